"""A look at a page tells what a visitor would get, over a real connection."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import web_look

ANSWERS: dict[str, tuple[int, dict[str, str]]] = {
    "/": (200, {}),
    "/moved": (307, {"Location": "/sign-in"}),
    "/ill": (503, {}),
    "/guarded": (401, {"Set-Cookie": "_vercel_sso_nonce=x; Path=/"}),
    "/led": (302, {"Location": "https://vercel.com/sso-api?url=x"}),
    "/own": (401, {}),
}


class Pages(BaseHTTPRequestHandler):
    """Answers as the path says; with the bypass, guarded pages are open."""

    def do_GET(self) -> None:
        status, headers = ANSWERS[self.path]
        if self.headers.get("x-vercel-protection-bypass") == "s3cret":
            status, headers = 200, {}
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("path", "status", "well", "protected"),
    [
        ("/", 200, True, False),
        ("/moved", 307, True, False),
        ("/ill", 503, False, False),
        ("/guarded", 401, False, True),
        ("/led", 302, False, True),
        ("/own", 401, False, False),
    ],
)
def test_what_a_visitor_gets(url: str, path: str, status: int, well: bool, protected: bool) -> None:
    page = web_look.ask(url + path, 60, {})
    assert (page.status, page.well, page.protected) == (status, well, protected)


def test_the_bypass_opens_a_guarded_page(url: str) -> None:
    assert web_look.ask(f"{url}/guarded", 60, {"x-vercel-protection-bypass": "s3cret"}).well


def test_no_answer_is_told_in_a_line(url: str) -> None:
    page = web_look.ask("http://127.0.0.1:1/", 60, {})
    assert (page.status, page.well, "no connection" in page.why) == (0, False, True)


def test_one_waits_until_it_answers_or_the_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = [web_look.Page(503, "HTTP 503"), web_look.Page(0, "no connection"), web_look.Page(200)]
    monkeypatch.setattr(web_look, "ask", lambda *_: pages.pop(0))
    now = [0.0]
    slept: list[float] = []
    assert web_look.wait("http://x/", 60, {}, slept.append, lambda: now[0]).status == 200
    assert slept == [web_look.PAUSE_S] * 2
    pages.append(web_look.Page(503, "HTTP 503"))
    assert web_look.wait("http://x/", 0, {}, slept.append, lambda: now[0]).status == 503
