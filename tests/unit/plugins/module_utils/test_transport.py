"""The HTTP policy, against a server on loopback that does as it is told."""

from __future__ import annotations

import email.utils
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors, transport
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Http, Policy

TOKEN = "s3cret-token-that-nobody-sees"
Script = list[Any]


class Server(ThreadingHTTPServer):
    """Plays a script: per request (status, body, headers), or a callable that gets the handler."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: Script = []
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is part of the play."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def play(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.server.lock:
            self.server.seen.append((self.command, self.path, dict(self.headers), body))
            step = self.server.script.pop(0) if self.server.script else (200, {"ok": True})
        if callable(step):
            step(self)
            return
        status, content, *more = step
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in (more[0] if more else {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = play  # noqa: N815 - the names that http.server calls

    def log_message(self, *args: Any) -> None:
        """Silence."""


def reset(handler: Handler) -> None:
    """Break the connection hard."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.rfile.close()  # both files hold the socket open
    handler.wfile.close()
    handler.connection.close()
    handler.close_connection = True


class Time:
    """A clock that only moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now, self.slept = 1000.0, []  # type: float, list[float]

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def clock(self) -> float:
        return self.now


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def hours() -> Time:
    return Time()


@pytest.fixture
def make(server: Server, hours: Time) -> Callable[..., Http]:
    def made(url: str = "", **policy: Any) -> Http:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        patience = Policy(**{"read": 60.0, **policy})
        return Http(url or server.url, headers, (TOKEN,), patience, sleep=hours.sleep, clock=hours.clock)

    return made


def failure(call: Callable[[], Any]) -> ApiError:
    with pytest.raises(ApiError) as caught:
        call()
    return caught.value


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("trouble", [reset, (500, {}), (503, {})], ids=["reset", "500", "503"])
def test_what_may_be_repeated_is_repeated_after_a_pause(
    make: Any, server: Any, hours: Any, method: Any, trouble: Any
) -> None:
    server.script = [trouble, trouble]
    assert make().request(method, "/x").body == {"ok": True}
    assert len(server.seen) == 3
    assert len(hours.slept) == 2
    assert 0 < hours.slept[0] < hours.slept[1] <= 1


def test_a_post_is_sent_again_when_its_caller_says_that_it_does_no_harm(make: Any, server: Any) -> None:
    server.script = [(500, {})]
    assert make().request("POST", "/x", repeat=True).status == 200
    assert len(server.seen) == 2


@pytest.mark.parametrize("trouble", [reset, (502, {})], ids=["reset", "502"])
def test_a_post_whose_fate_is_unknown_is_sent_once(make: Any, server: Any, trouble: Any) -> None:
    server.script = [trouble]
    assert failure(lambda: make().request("POST", "/x", json={})).kind == errors.UNANSWERED
    assert len(server.seen) == 1


def test_an_answer_that_does_not_come_in_time_is_no_answer(make: Any, server: Any) -> None:
    server.script = [lambda handler: time.sleep(0.4)]
    error = failure(lambda: make(read=0.1).request("POST", "/x", json={}))
    assert (error.kind, error.message) == (errors.UNANSWERED, "no answer within 0.1 s")


def test_trouble_that_stays_is_told_after_the_last_attempt(make: Any, server: Any) -> None:
    server.script = [(500, {"message": "boom"})] * 9
    error = failure(lambda: make(attempts=3).request("GET", "/x"))
    assert (error.kind, error.status, len(server.seen)) == (errors.SERVER, 500, 3)
    assert "boom" in error.message


def test_a_refused_connection_is_unreachable_for_a_post_too(make: Any, hours: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    error = failure(lambda: make(f"http://127.0.0.1:{port}", attempts=3).request("POST", "/x", json={}))
    assert error.kind == errors.UNREACHABLE
    assert len(hours.slept) == 2


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_rate_limit_is_waited_for_as_long_as_it_says(make: Any, server: Any, hours: Any, method: Any) -> None:
    server.script = [(429, {}, {"Retry-After": "7"}), (429, {}, {"Retry-After": "3"})]
    assert make(attempts=1).request(method, "/x").status == 200
    assert hours.slept == [7.0, 3.0]


def test_a_rate_limit_may_name_a_date(make: Any, server: Any, hours: Any) -> None:
    server.script = [(429, {}, {"Retry-After": email.utils.formatdate(time.time() + 200, usegmt=True)})]
    make().request("GET", "/x")
    assert hours.slept == [pytest.approx(170, abs=31)]


def test_a_rate_limit_beyond_our_patience_is_an_error(make: Any, server: Any, hours: Any) -> None:
    server.script = [(429, {}, {"Retry-After": "100"})] * 9
    error = failure(lambda: make(patience=250.0).request("GET", "/x"))
    assert error.kind == errors.THROTTLED
    assert sum(hours.slept) == 200


def test_a_used_up_window_holds_back_every_thread(make: Any, server: Any, hours: Any) -> None:
    client = make()
    server.script = [(200, {}, {"Ratelimit": '"default";r=0;t=11'})]
    client.request("GET", "/x")
    assert hours.slept == []
    other = threading.Thread(target=client.request, args=("GET", "/y"))
    other.start()
    other.join(60)
    assert hours.slept == [11.0]


def test_create_takes_what_it_finds_when_the_answer_was_lost(make: Any, server: Any) -> None:
    server.script = [reset]
    assert make().create("/things", {"name": "a"}, find=lambda: {"id": 7}) == {"id": 7}
    assert [seen[0] for seen in server.seen] == ["POST"]


def test_create_sends_again_only_when_nothing_is_found(make: Any, server: Any) -> None:
    looked = []
    server.script = [reset, (201, {"id": 8})]
    assert make().create("/things", {"name": "a"}, find=lambda: looked.append(1)) == {"id": 8}
    assert (len(looked), len(server.seen)) == (1, 2)


def test_create_does_not_look_when_the_provider_said_no(make: Any, server: Any) -> None:
    server.script = [(409, {"message": "taken"})]
    error = failure(lambda: make().create("/things", {}, find=lambda: pytest.fail("nothing to look for")))
    assert error.kind == errors.CONFLICT


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.INVALID),
        (401, errors.REFUSED),
        (403, errors.REFUSED),
        (404, errors.MISSING),
        (409, errors.CONFLICT),
    ],
)
def test_a_refusal_has_its_kind_and_is_not_repeated(make: Any, server: Any, status: Any, kind: Any) -> None:
    server.script = [(status, {"message": "no"})]
    error = failure(lambda: make().request("GET", "/x", params={"q": "1"}))
    assert (error.kind, error.status, len(server.seen)) == (kind, status, 1)
    assert error.where == f"GET {server.url}/x"


def test_secrets_are_cut_out_of_what_a_provider_says(make: Any, server: Any) -> None:
    server.script = [(400, {"message": f"bad header Bearer {TOKEN}\nsecond line"})]
    error = failure(lambda: make().request("GET", "/x"))
    assert TOKEN not in f"{error} {error.as_dict('x')}"
    assert "bad header Bearer ***" in error.message


def test_a_page_instead_of_json_is_an_error_that_shows_its_beginning(make: Any, server: Any) -> None:
    server.script = [(200, b"<html>starting up</html>", {"Content-Type": "text/html"})]
    error = failure(lambda: make().request("GET", "/x"))
    assert error.message == "expected JSON, got text/html: <html>starting up</html>"


def test_an_empty_answer_is_no_body(make: Any, server: Any) -> None:
    server.script = [(204, b"")]
    assert make().request("DELETE", "/x").body is None


def test_an_answer_that_is_too_large_is_not_read_to_its_end(make: Any, server: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(transport, "MAX_BODY", 1000)
    server.script = [(200, b" " * 400_000)]
    assert "larger than 1000 bytes" in failure(lambda: make().request("GET", "/x")).message


def test_a_redirect_is_refused_and_the_token_does_not_travel(make: Any, server: Any) -> None:
    server.script = [(302, b"", {"Location": f"{server.url}/elsewhere"})]
    error = failure(lambda: make().request("GET", "/x"))
    assert (error.kind, error.status) == (errors.INVALID, 302)
    assert [seen[1] for seen in server.seen] == ["/x"]


def test_a_netrc_file_never_replaces_our_token(make: Any, server: Any, monkeypatch: Any, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    make().request("GET", "/x")
    assert server.seen[0][2]["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize("url", ["ftp://example.com", "example.com", "https://user:pass@example.com", ""])
def test_an_address_must_be_a_plain_one(url: str) -> None:
    error = failure(lambda: Http(url))
    assert "pass@" not in f"{error} {error.where}"


def test_every_attempt_is_counted(make: Any, server: Any) -> None:
    server.script = [(500, {})]
    client = make()
    client.request("GET", "/x")
    client.request("GET", "/y")
    assert client.sent == 3


def test_one_call_with_its_repeats_has_an_end(make: Any, server: Any, hours: Any) -> None:
    server.script = [(503, {})] * 99
    error = failure(lambda: make(attempts=99, backoff=2.0, backoff_max=2.0, total=10.0).request("GET", "/x"))
    assert error.kind in (errors.SERVER, errors.UNANSWERED)  # the last one gets no more time than is left
    assert sum(hours.slept) < 10.0
    assert len(server.seen) < 12


def test_the_pause_that_a_provider_asks_for_does_not_count_as_slowness(make: Any, server: Any, hours: Any) -> None:
    server.script = [(429, {}, {"Retry-After": "100"}), (503, {})]
    assert make(total=5.0).request("GET", "/x").status == 200
    assert hours.slept[0] == 100.0


def test_looking_for_what_may_have_been_made_has_an_end(make: Any, server: Any) -> None:
    server.script = [(503, {})] * 99
    looked: list[int] = []
    error = failure(lambda: make(attempts=99, backoff=2.0, total=10.0).create("/x", {}, find=lambda: looked.append(1)))
    assert error.kind == errors.UNANSWERED
    assert 0 < len(looked) < 12


@pytest.mark.parametrize("value", ["\u00b2", "soon", "Mon, 99 Abc 99999 99:99:99 GMT", ""])
def test_a_time_to_wait_that_makes_no_sense_is_none(value: str) -> None:
    assert transport._retry_after({"Retry-After": value}) == 0.0


def test_pages_are_counted_and_a_cursor_comes_once(make: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(transport, "MAX_PAGES", 3)
    numbered, named = make().pages("/list"), make().pages("/list")
    for _ in range(3):
        numbered.turn()
    assert "does not end after 3 pages" in failure(numbered.turn).message
    named.turn("a")
    named.turn("b")
    error = failure(lambda: named.turn("a"))
    assert "in circles" in error.message
    assert error.where.endswith("/list")


def test_nothing_readable_is_still_shown_as_something(make: Any) -> None:
    assert (make().shown("\ud800"), make().shown("")) == ("…", "")
