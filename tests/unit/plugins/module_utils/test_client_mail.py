# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Mail through the sandbox's own mail server, and through servers that behave badly."""

from __future__ import annotations

import asyncio
import socket
import threading
import typing as t
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import mail as client_mail
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.mail import Mail, MailClient
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Policy
from smos.sandbox import outbox, smtp, smtp_server
from smos.sandbox.engine import Engine
from smos.sandbox.state import State

PASSWORD = "sandbox-smtp-token"


class Sink:
    """The sandbox's mail server in a thread of its own."""

    def __init__(self, home: Path) -> None:
        self.home, self.port = home, 0
        self._stop: Callable[[], object] = lambda: None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        assert self._ready.wait(60)

    async def _serve(self) -> None:
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        self.state = State(self.home / "state.db", (smtp.PROVIDER,))
        self.engine = Engine(self.state, {"smtp": frozenset({PASSWORD})})
        async with smtp_server.listening(self.engine, self.home, lambda port: setattr(self, "port", port)):
            self._stop = lambda: loop.call_soon_threadsafe(done.set)
            self._loop = loop
            self._ready.set()
            await done.wait()

    def ask(self, question: Callable[[], t.Any]) -> t.Any:
        """Ask in the server's own thread: SQLite belongs to it."""

        async def asked() -> t.Any:
            return question()

        return asyncio.run_coroutine_threadsafe(asked(), self._loop).result(60)

    @property
    def messages(self) -> list[dict[str, t.Any]]:
        return t.cast("list[dict[str, t.Any]]", self.ask(lambda: outbox.find(self.state)["messages"]))

    def fault(self, **rule: t.Any) -> None:
        self.ask(lambda: self.engine.faults.add({"provider": "smtp", **rule}))

    def client(self, **more: t.Any) -> MailClient:
        wish = {"host": "127.0.0.1", "port": str(self.port), "user": smtp.USER, "password": PASSWORD}
        policy = Policy(read=60.0)
        return client_mail.connect({**wish, "from": "no-reply@example.com", "tls": "none", **more}, policy)

    def close(self) -> None:
        self._stop()
        self._thread.join(60)


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[Sink]:
    server = Sink(tmp_path)
    yield server
    server.close()


def mail(to: str = "ana@example.com", **more: t.Any) -> Mail:
    return Mail(
        **{"to": to, "name": "Ana", "subject": "Ya está lista", "body": "Hola ñandú\n.\n.. fin\n", "id": "1", **more}
    )


def refused(client: MailClient, to: str, **more: t.Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        client.send(mail(to, **more))
    return caught.value


def test_a_message_arrives_as_it_was_written(sink: Sink) -> None:
    client = sink.client()
    assert client.send(mail(id="smarteros.1")) == "<smarteros.1@example.com>"
    client.close()
    (row,) = sink.messages
    assert (row["to"], row["subject"], row["id"]) == ("ana@example.com", "Ya está lista", "<smarteros.1@example.com>")
    assert row["text"] == "Hola ñandú\n.\n.. fin\n"


def test_many_threads_send_over_one_connection_each(sink: Sink) -> None:
    client = sink.client()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: client.send(mail(f"p{number}@example.com", id=str(number))), range(40)))
    client.close()
    assert len({row["to"] for row in sink.messages}) == len(sink.messages) == 40


def test_a_refused_recipient_is_told_apart_from_one_that_may_come_later(sink: Sink) -> None:
    client = sink.client()
    gone, busy = refused(client, "x@bounce.example"), refused(client, "x@busy.example")
    assert (gone.kind, gone.code, busy.kind, busy.code) == ("invalid", "recipient", "throttled", "")
    assert "550" in gone.message
    client.send(mail())  # the connection is still good
    client.close()
    assert len(sink.messages) == 1


def test_a_connection_that_breaks_after_the_message_leaves_its_fate_open(sink: Sink) -> None:
    for kind, kept in (("reset", 0), ("timeout_after_commit", 1)):
        sink.fault(kind=kind, seconds=0.1)
        client = sink.client()
        assert refused(client, "ana@example.com").kind == "unanswered"
        client.close()
        assert len(sink.messages) == kept


def test_a_server_that_says_no_to_the_message_has_not_sent_it(sink: Sink) -> None:
    sink.fault(status=500)
    assert (refused(sink.client(), "ana@example.com").kind, sink.messages) == ("throttled", [])


def test_the_login_is_checked_without_sending(sink: Sink) -> None:
    assert sink.client().check()["state"] == "valid"
    wrong = sink.client(password="planted-password").check()
    assert (wrong["state"], "planted-password" in str(wrong)) == ("invalid", False)
    assert sink.client(**{"from": ""}).check()["state"] == "missing"
    assert sink.messages == []


def test_an_account_that_may_not_send_is_refused(sink: Sink) -> None:
    error = refused(sink.client(password=smtp.LIMITED), "ana@example.com")
    assert "not allowed to send" in error.message


def test_secrets_go_nowhere_without_tls(sink: Sink) -> None:
    assert "starttls" in sink.client(tls="starttls").check()["message"].lower()
    outside = client_mail.connect({"host": "mail.example.com", "tls": "none", "from": "a@example.com"})
    assert "this machine only" in outside.check()["message"]
    assert sink.client(tls="sometimes").check()["state"] == "invalid"


@pytest.mark.parametrize(
    ("to", "name"),
    [("a@example.com\r\nBcc: b@example.com", "Ana"), ("ñ@example.com", "Ana"), ("", "Ana"), ("a b", "Ana")],
)
def test_an_address_that_is_none_is_refused_by_us_or_the_server(sink: Sink, to: str, name: str) -> None:
    assert refused(sink.client(), to, name=name).kind == "invalid"
    assert sink.messages == []


def test_what_a_tenant_is_called_cannot_break_a_header(sink: Sink) -> None:
    client = sink.client()
    client.send(mail(name="Ana\r\nBcc: x@example.com", subject="Hola\r\nX-Evil: 1"))
    client.close()
    (row,) = sink.messages
    assert (row["to"], row["subject"]) == ("ana@example.com", "Hola X-Evil: 1")


def test_a_server_that_speaks_no_smtp_is_told_in_time() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        silent = client_mail.connect(
            {"host": "127.0.0.1", "port": port, "from": "a@example.com", "tls": "none"}, Policy(read=0.3)
        )
        assert silent.check()["state"] == "unreachable"
    gone = client_mail.connect({"host": "127.0.0.1", "port": port, "from": "a@example.com", "tls": "none"})
    assert gone.check()["state"] == "unreachable"


def test_a_port_that_is_none_is_refused() -> None:
    with pytest.raises(ApiError, match="smtp_port"):
        client_mail.connect({"host": "127.0.0.1", "port": "smtp"})


def test_the_port_is_kept_for_the_next_start(sink: Sink) -> None:
    assert (sink.home / smtp_server.PORT_FILE).read_text() == f"{sink.port}\n"
