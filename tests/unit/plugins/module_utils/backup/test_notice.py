"""Notices of failed backups: told once, told again after a day, taken back once, and never in the way of a job."""

from __future__ import annotations

import http.server
import json
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import notice, notice_text, notice_ways
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.config import Config
from smos.sandbox import smtp
from unit.plugins.module_utils.test_client_mail import PASSWORD, Sink

ROOT = Path(__file__).resolve().parents[5]
TOKEN = "token-that-nobody-may-see"
DAY = 24 * 3600.0
NOW = 1_795_000_000.0


class Server:
    """An HTTP server on loopback that keeps what it gets and answers as it is told."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, str], Any]] = []
        self.answer: tuple[int, dict[str, str], Any] = (200, {}, {"messages": [{"id": "wamid.1"}]})
        self.pause = 0.0
        self._closing = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append((self.path, dict(self.headers), json.loads(raw)))
                outer._closing.wait(outer.pause)
                status, headers, body = outer.answer
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def do_GET(self) -> None:
                outer.got.append((self.path, dict(self.headers), None))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_args: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def states(self) -> list[str]:
        return [f"{body['job']} {body['state']}" for _path, _headers, body in self.got]

    def close(self) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(30)


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@dataclass
class Machine:
    """A machine that runs jobs. ``said``: everything that `tell` gave back."""

    folder: Path
    config: Config
    now: float = NOW
    said: list[str] = field(default_factory=list)

    def job(self, ok: bool, message: str = "", job: str = "backup", later: float = 0.0) -> list[str]:
        self.now += later
        said = notice.tell(self.config, job, ok, message, state_folder=self.folder, now=self.now)
        self.said += said
        return said

    @property
    def state(self) -> dict[str, Any]:
        found: dict[str, dict[str, Any]] = json.loads((self.folder / notice.FILE).read_text())
        return found["jobs"]


def machine(tmp_path: Path, **notices: Any) -> Machine:
    config = Config("production", "/backups", "/nowhere", {}, zone="example.com", notices=notices)
    return Machine(tmp_path / "state", config)


@pytest.fixture
def told(tmp_path: Path, server: Server) -> Machine:
    """A machine with a webhook."""
    return machine(tmp_path, webhook={"url": f"{server.url}/hook", "token_file": secret(tmp_path, "hook")})


def secret(folder: Path, name: str, text: str = TOKEN) -> str:
    path = folder / name
    path.write_text(f"{text}\n")
    path.chmod(0o600)
    return str(path)


def test_a_failure_is_told_once_and_taken_back_once(told: Machine, server: Server) -> None:
    assert told.job(True) == []
    assert told.job(False, "no space: 1.5 GiB free, 4 GiB needed") == ["webhook: told that backup failed"]
    assert told.job(False, "no space: 900 MiB free, 5 GiB needed", later=3600) == []
    assert told.job(True, later=60) == ["webhook: told that backup works again"]
    assert told.job(True, later=DAY) == []
    assert server.states == ["backup failed", "backup recovered"]
    assert told.state == {}


def test_what_a_webhook_gets(told: Machine, server: Server) -> None:
    told.job(False, "pg_dump of odoo ended with 1", job="drill")
    ((path, headers, body),) = server.got
    assert (path, headers["Authorization"]) == ("/hook", f"Bearer {TOKEN}")
    assert body == {
        "source": "smarteros",
        "environment": "production",
        "zone": "example.com",
        "job": "drill",
        "state": "failed",
        "message": "pg_dump of odoo ended with 1",
        "since": int(NOW),
        "text": "SmarterOS production: falló el simulacro de restauración: pg_dump of odoo ended with 1",
    }


def test_another_kind_of_failure_is_told_at_once_and_one_that_lasts_every_day(told: Machine, server: Server) -> None:
    told.job(False, "n8n: no container")
    told.job(False, "odoo: no container", later=60)
    told.job(False, "odoo: no container", later=DAY - 1)
    assert server.states == ["backup failed", "backup failed"]
    told.job(False, "odoo: no container", later=1)
    told.job(False, "odoo: no container", later=DAY)
    assert server.states[2:] == ["backup still_failing", "backup still_failing"]
    assert server.got[-1][2]["since"] == int(NOW)


def test_jobs_fail_and_recover_on_their_own(told: Machine, server: Server) -> None:
    told.job(False, "a", job="backup")
    told.job(False, "a", job="copy")
    told.job(True, job="check")
    told.job(True, job="backup")
    assert server.states == ["backup failed", "copy failed", "backup recovered"]
    assert list(told.state) == ["copy"]
    told.job(True, job="backup", later=DAY)  # a weekly job is not forgotten between its runs
    assert server.states[3:] == ["copy still_failing"]


def test_a_channel_that_fails_is_tried_again_by_any_job(told: Machine, server: Server) -> None:
    server.answer = (500, {}, {"error": TOKEN})
    (said,) = told.job(False, "full")
    assert said.startswith("webhook: could not be told of backup: 127.0.0.1 refuses it (HTTP 500)")
    server.answer = (200, {}, None)
    assert told.job(True, job="check") == ["webhook: told that backup failed"]
    server.answer = (503, {}, None)
    told.job(True)
    server.answer = (200, {}, None)
    told.job(True, later=DAY)
    assert server.states[-2:] == ["backup recovered", "backup recovered"]
    assert told.state == {}


def test_a_failure_that_nobody_heard_of_needs_no_recovery(told: Machine, server: Server) -> None:
    server.answer = (500, {}, None)
    told.job(False, "full")
    server.got.clear()
    assert told.job(True) == []
    assert (server.got, told.state) == ([], {})


def test_a_recovery_that_cannot_be_told_is_dropped_after_a_week(told: Machine, server: Server) -> None:
    told.job(False, "full")
    server.answer = (500, {}, None)
    told.job(True)
    assert told.state["backup"]["ok"] is True
    told.job(True, later=8 * DAY)
    assert told.state == {}


def test_a_redirect_takes_neither_token_nor_news_elsewhere(told: Machine, server: Server) -> None:
    server.answer = (302, {"Location": f"{server.url}/elsewhere"}, None)
    (said,) = told.job(False, "full")
    assert "redirect (HTTP 302), which is not followed" in said
    assert [path for path, _headers, _body in server.got] == ["/hook"]


def test_channels_fail_each_on_its_own(tmp_path: Path, server: Server) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        mail = {"host": "127.0.0.1", "port": port, "tls": "none", "from": "a@example.com", "to": "b@example.com"}
        made = machine(tmp_path, webhook={"url": server.url}, email=mail, whatsapp={"url": server.url})
        said = made.job(False, "full")
    assert said[0] == "webhook: told that backup failed"
    assert said[1].startswith("email: could not be told of backup: no mail server answers there")
    assert said[2].startswith("whatsapp: could not be told of backup: phone_number_id is not set")
    assert made.job(False, "full", later=60) == said[1:]
    assert server.states == ["backup failed"]


def test_one_that_hangs_keeps_nobody(told: Machine, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notice, "WHOLE_S", 0.3)
    server.pause = 30.0
    began = time.monotonic()
    (said,) = told.job(False, "full")
    assert time.monotonic() - began < 15
    assert "no answer within 0.3 s" in said


def test_an_answer_is_waited_for_ten_seconds_and_no_longer(
    told: Machine, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert notice_ways.TIMEOUT_S == 10.0
    monkeypatch.setattr(notice_ways, "TIMEOUT_S", 0.2)
    server.pause = 30.0
    (said,) = told.job(False, "full")
    assert "127.0.0.1 does not answer (no answer within 0.2 s)" in said


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"jobs": []}', '{"jobs": {"backup": 5}}', "[" * 100_000])
def test_a_broken_state_file_is_begun_anew(told: Machine, server: Server, content: str) -> None:
    told.folder.mkdir()
    (told.folder / notice.FILE).write_text(content)
    said = told.job(False, "full")
    assert any("begun anew" in each for each in said), said
    assert server.states == ["backup failed"]
    assert list(told.state) == ["backup"]


@pytest.mark.parametrize("wrong", ["NaN", "1e999", "-5", '"x"', "9" * 400])
def test_a_moment_that_is_none_spoils_its_own_job_only(told: Machine, server: Server, wrong: str) -> None:
    told.job(False, "full", job="copy")
    told.job(False, "full")
    jobs = told.state
    jobs["backup"]["since"] = "HERE"
    (told.folder / notice.FILE).write_text(json.dumps({"jobs": jobs}).replace('"HERE"', wrong))
    said = told.job(False, "full")
    assert said == [f"{notice.FILE} says of backup what nobody understands: it is begun anew", _TOLD]
    assert server.states == ["copy failed", "backup failed", "backup failed"]


_TOLD = "webhook: told that backup failed"


def test_a_clock_that_was_wrong_silences_nothing(told: Machine, server: Server) -> None:
    told.job(False, "full", later=900 * DAY)
    told.job(False, "full", later=-900 * DAY)
    told.job(False, "full", later=60)
    assert server.states == ["backup failed", "backup still_failing"]


def test_the_state_file_is_for_its_owner_only(told: Machine) -> None:
    told.job(False, "full")
    assert stat.S_IMODE((told.folder / notice.FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE(told.folder.stat().st_mode) == 0o700
    assert sorted(each.name for each in told.folder.iterdir()) == [f".{notice.FILE}.guard", notice.FILE]


def test_a_state_folder_that_cannot_be_written_stops_no_notice(told: Machine, server: Server) -> None:
    told.folder.write_text("a file where the folder should be")
    said = told.job(False, "full")
    assert _TOLD in said
    assert any("could not be written" in each for each in said)


def test_nobody_to_tell_is_said(tmp_path: Path) -> None:
    made = machine(tmp_path)
    assert made.job(False, "full") == [
        "nobody was told that backup failed: no webhook, email or whatsapp is configured for notices"
    ]
    assert made.job(True) == []


def test_a_channel_that_was_taken_away_is_waited_for_no_longer(told: Machine) -> None:
    told.job(False, "full")
    told.config = replace(told.config, notices={})
    told.job(True)
    assert told.state == {}


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"url": "ftp://example.com/x"}, "does not begin with https://"),
        ({"url": "http://example.com/x"}, "is not asked without TLS"),
        ({"url": "https://me:pass@example.com/x"}, "holds a user name or password"),
        ({"url": "https://[::1"}, "its address is none"),
        ({"url_file": "/nowhere/at/all"}, "/nowhere/at/all cannot be read"),
        ({"token_file": "x"}, "url is not set"),
        ("https://example.com", "another shape"),
    ],
)
def test_settings_that_cannot_be_used_are_told(tmp_path: Path, settings: Any, why: str) -> None:
    (said,) = machine(tmp_path, webhook=settings).job(False, "full")
    assert why in said


# --- mail


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[Sink]:
    (tmp_path / "smtp").mkdir()
    made = Sink(tmp_path / "smtp")
    yield made
    made.close()


def mailer(tmp_path: Path, sink: Sink, password: str = PASSWORD) -> Machine:
    mail = {
        "host": "127.0.0.1",
        "port": sink.port,
        "tls": "none",
        "user": smtp.USER,
        "password_file": secret(tmp_path, "smtp-password", password),
        "from": "no-reply@example.com",
        "to": "admin@example.com",
    }
    return machine(tmp_path, email=mail)


def test_mail_is_spanish_and_short(tmp_path: Path, sink: Sink) -> None:
    made = mailer(tmp_path, sink)
    made.job(False, "no space left")
    made.job(True, later=7200)
    failed, recovered = sink.messages
    assert (failed["to"], failed["subject"]) == ("admin@example.com", "SmarterOS production: falló el respaldo")
    assert failed["text"] == (
        "SmarterOS, ambiente production (example.com)\n\nFalló el respaldo: no space left\n\n"
        "Revisa el estado con: smos status --env production\n"
    )
    assert recovered["subject"] == "SmarterOS production: volvió a funcionar el respaldo"
    assert f"que fallaba desde el {notice_text.moment(NOW)}" in recovered["text"]


def test_a_mail_server_that_refuses_is_told_without_the_password(tmp_path: Path, sink: Sink) -> None:
    wrong = "another-password-that-is-secret"
    made = mailer(tmp_path, sink, wrong)
    (said,) = made.job(False, "full")
    assert "refuses the login" in said
    assert wrong not in said
    made = mailer(tmp_path, sink)
    sink.fault(kind="status", status=503, times=1)
    (said,) = made.job(False, "full")
    assert "the mail server refuses it: 451" in said
    assert made.job(False, "full") == ["email: told that backup failed"]


# --- WhatsApp


def writer(tmp_path: Path, server: Server, **more: Any) -> Machine:
    settings = {"url": f"{server.url}/v23.0", "phone_number_id": "1000", "to": "+56 9 0000 0000"}
    return machine(tmp_path, whatsapp={**settings, "token_file": secret(tmp_path, "whatsapp"), **more})


def test_whatsapp_gets_the_approved_template(tmp_path: Path, server: Server) -> None:
    made = writer(tmp_path, server)
    made.job(False, "one\n\n   line\tonly " + "x" * 900)
    ((path, headers, body),) = server.got
    assert (path, headers["Authorization"]) == ("/v23.0/1000/messages", f"Bearer {TOKEN}")
    assert (body["to"], body["type"], body["template"]["name"]) == ("56900000000", "template", "smarteros_respaldo")
    assert body["template"]["language"] == {"policy": "deterministic", "code": "es"}
    (component,) = body["template"]["components"]
    environment, what = [each["text"] for each in component["parameters"]]
    assert environment == "production"
    assert what.startswith("falló el respaldo: one line only xxx")
    assert len(what) <= 400


def test_metas_refusal_is_told_by_its_code(tmp_path: Path, server: Server) -> None:
    made = writer(tmp_path, server)
    server.answer = (404, {}, {"error": {"code": 132001, "message": f"no template for {TOKEN}"}})
    (said,) = made.job(False, "full")
    assert "HTTP 404, Meta code 132001: there is no approved template of this name" in said
    server.answer = (200, {}, {"odd": 1})
    (said,) = made.job(False, "full")
    assert "Meta's answer names no message" in said
    server.answer = (200, {}, {"messages": [{"id": "wamid.1"}]})
    assert made.job(False, "full") == ["whatsapp: told that backup failed"]


def test_a_telephone_number_that_is_none_is_told(tmp_path: Path, server: Server) -> None:
    (said,) = writer(tmp_path, server, to="me").job(False, "full")
    assert "the telephone number is not written as" in said
    assert server.got == []


# --- what leaves the machine


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("PGPASSWORD=hunter22 failed", "PGPASSWORD=*** failed"),
        ("s3 said AWS_SECRET_ACCESS_KEY: abc/def+123, no", "s3 said AWS_SECRET_ACCESS_KEY: ***, no"),
        ("Authorization: Bearer abc.def.ghi", "Authorization: ***"),
        ('{"token": "abcdef"}', '{"token": ***'),
        ("postgresql://smos:hunter22@db.example.com/x is gone", "postgresql://***@db.example.com/x is gone"),
        ("two\nlines\tand\x00signs", "two lines and signs"),
        (
            'the job broke: Traceback (most recent call last):\n  File "x.py", line 3, in f\n    g()\nValueError: no',
            "the job broke: ValueError: no",
        ),
        ("wrong password or no key found", "wrong password or no key found"),
    ],
)
def test_messages_are_one_line_without_secrets_and_traces(message: str, shown: str) -> None:
    assert notice_text.plain(message) == shown


def test_long_messages_are_cut() -> None:
    assert len(notice_text.plain("é" * 5000)) == notice_text.MAX_MESSAGE


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("1.2 GiB free, 4 GiB needed", "900 MiB free, 12.5 GiB needed", True),
        ("backup 20260101-020000 lacks snapshot 1a2b3c4d", "backup 20260102-020007 lacks snapshot ffee0011", True),
        ("run 20260101-020000-ab12 holds the lock", "run 20260102-030000-0f3e holds the lock", True),
        ("n8n: exit 1", "odoo: exit 1", False),
        ("the remote s3 does not answer", "the local repository is locked", False),
    ],
)
def test_the_kind_of_a_message_is_without_its_numbers(one: str, other: str, same: bool) -> None:
    assert (notice_text.kind_of(one) == notice_text.kind_of(other)) is same


def test_english_where_it_is_asked_for(tmp_path: Path, server: Server) -> None:
    made = machine(tmp_path, webhook={"url": server.url}, language="en")
    made.job(False, "full")
    assert server.got[0][2]["text"] == "SmarterOS production: the backup failed: full"


def test_no_secret_is_in_the_state_nor_in_what_is_said(tmp_path: Path, server: Server, sink: Sink) -> None:
    made = writer(tmp_path, server)
    hook = {"url_file": secret(tmp_path, "url", f"{server.url}/{TOKEN}"), "token_file": secret(tmp_path, "t")}
    made.config = replace(
        made.config, notices={**made.config.notices, "webhook": hook, **mailer(tmp_path, sink).config.notices}
    )
    made.job(False, f"token={TOKEN}")
    server.answer = (500, {}, {"error": {"message": TOKEN}})
    made.job(True)
    server.answer = (302, {"Location": f"{server.url}/{TOKEN}"}, None)
    made.job(True)
    everything = "\n".join([*made.said, *(each.read_text() for each in made.folder.iterdir())])
    assert TOKEN not in everything
    assert PASSWORD not in everything
    assert len(made.said) == 8, made.said


def test_two_processes_at_once_tell_one_thing_once(told: Machine, server: Server) -> None:
    server.pause = 0.2
    threads = [threading.Thread(target=told.job, args=(False, "full")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert server.states == ["backup failed"]


def test_the_standard_library_is_enough(tmp_path: Path, server: Server) -> None:
    """With an interpreter that has no packages at all, as on the machine."""
    script = f"""
import sys, types
sys.path.insert(0, {str(ROOT / "collections")!r})
from pathlib import Path
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import notice
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.config import Config
config = Config("production", "/b", "/p", {{}}, notices={{"webhook": {{"url": {server.url!r}}}}})
print(notice.tell(config, "backup", False, "full", state_folder=Path({str(tmp_path / "state")!r})))
assert "requests" not in sys.modules and "ansible.module_utils" not in sys.modules, sorted(sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, env={"PATH": os.defpath}
    )
    assert (done.returncode, done.stdout.strip()) == (0, "['webhook: told that backup failed']"), done.stderr
