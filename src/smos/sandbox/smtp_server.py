# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""SMTP on a loopback port: so much of RFC 5321 and its AUTH extension as a mail program needs to hand a message over.

Faults on demand befall the operation ``messages.send`` of the provider ``smtp``: a status of 500 and above refuses the
message for now (451), one below for good (554); a reset or time-out closes the connection before or after the message
is kept.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hmac
import re
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from smos.sandbox import smtp
from smos.sandbox.engine import Engine
from smos.sandbox.faults import NO_HIT, Hit
from smos.sandbox.requestlog import Entry

PORT_FILE = "smtp_port"
OPERATION = "messages.send"
MAX_LINE = 64 * 1024
MAX_MESSAGE = 16 * 1024 * 1024
IDLE_SECONDS = 300.0
_PATH = re.compile(r"(?i)^(?:from|to):\s*<([^<>\s]*)>")


class Closed(Exception):
    """The conversation is over."""


class Conversation:
    """One client. Every command is answered in its turn; a message is kept in a transaction of its own."""

    def __init__(self, engine: Engine, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.engine, self.reader, self.writer = engine, reader, writer
        self.token = ""
        self.sender: str | None = None
        self.recipients: list[str] = []

    async def run(self) -> None:
        """Talk until the client leaves."""
        try:
            await self._say(220, "localhost SMTP sandbox")
            while True:
                await self._answer((await self._line()).decode("utf-8", "replace"))
        except (
            Closed,
            ConnectionError,
            TimeoutError,
            asyncio.IncompleteReadError,
            asyncio.LimitOverrunError,
            ValueError,
        ):
            pass
        finally:
            self.writer.close()
            with contextlib.suppress(ConnectionError):
                await self.writer.wait_closed()

    async def _answer(self, line: str) -> None:
        verb, _space, rest = line.strip().partition(" ")
        known = {
            "EHLO": self._ehlo,
            "HELO": self._helo,
            "AUTH": self._auth,
            "MAIL": self._mail,
            "RCPT": self._rcpt,
            "DATA": self._data,
            "RSET": self._rset,
            "NOOP": self._noop,
            "QUIT": self._quit,
        }
        handler = known.get(verb.upper())
        if handler is None:
            await self._say(502, "5.5.2 Command not recognized")
        else:
            await handler(rest.strip())

    async def _ehlo(self, _rest: str) -> None:
        await self._say(250, "localhost", f"SIZE {MAX_MESSAGE}", "8BITMIME", "SMTPUTF8", "AUTH PLAIN LOGIN")

    async def _helo(self, _rest: str) -> None:
        await self._say(250, "localhost")

    async def _noop(self, _rest: str) -> None:
        await self._say(250, "2.0.0 OK")

    async def _rset(self, _rest: str) -> None:
        self.sender, self.recipients = None, []
        await self._say(250, "2.0.0 OK")

    async def _quit(self, _rest: str) -> None:
        await self._say(221, "2.0.0 Bye")
        raise Closed

    async def _auth(self, rest: str) -> None:
        kind, _space, first = rest.partition(" ")
        if kind.upper() == "PLAIN":
            parts = (await self._secret(first, "")).split("\0")
            user, password = (parts[1], parts[2]) if len(parts) == 3 else ("", "")
        elif kind.upper() == "LOGIN":
            user = await self._secret(first, "VXNlcm5hbWU6")
            password = await self._secret("", "UGFzc3dvcmQ6")
        else:
            await self._say(504, "5.5.4 Unrecognized authentication type")
            return
        accepted = (*self.engine.tokens["smtp"], smtp.LIMITED)
        known = any(hmac.compare_digest(password.encode(), one.encode()) for one in accepted)
        if not known or user != smtp.USER:
            await self._say(535, "5.7.8 Username and Password not accepted")
            return
        self.token = password
        await self._say(235, "2.7.0 Authentication successful")

    async def _secret(self, given: str, challenge: str) -> str:
        if not given:
            await self._say(334, challenge)
            given = (await self._line()).decode("ascii", "replace").strip()
        try:
            return base64.b64decode(given, validate=True).decode("utf-8", "replace")
        except binascii.Error:
            return ""

    async def _mail(self, rest: str) -> None:
        found = _PATH.match(rest)
        if not self.token:
            await self._say(530, "5.7.0 Authentication required")
        elif self.token == smtp.LIMITED:
            await self._say(550, "5.7.1 This account is not allowed to send")
        elif found is None:
            await self._say(501, "5.5.2 Syntax error, cannot decode response")
        else:
            self.sender, self.recipients = found[1], []
            await self._say(250, "2.1.0 OK")

    async def _rcpt(self, rest: str) -> None:
        found = _PATH.match(rest)
        if self.sender is None:
            await self._say(503, "5.5.1 MAIL first")
            return
        refused = smtp.refusal(found[1]) if found else (501, "5.5.2 Syntax error, cannot decode response")
        if found is None or refused:
            await self._say(*(refused or (501, "5.5.2 Syntax error")))
            return
        self.recipients.append(found[1])
        await self._say(250, "2.1.5 OK")

    async def _data(self, _rest: str) -> None:
        if self.sender is None or not self.recipients:
            await self._say(503, "5.5.1 RCPT first")
            return
        await self._say(354, "Go ahead")
        raw = await self._message()
        sender, recipients = self.sender, self.recipients
        self.sender, self.recipients = None, []
        began = time.perf_counter()
        hit = self.engine.faults.take("smtp", OPERATION) if self.engine.faults else NO_HIT
        status = await self._keep(sender, recipients, raw, hit)
        self._log(status, (time.perf_counter() - began) * 1000, hit)
        if status == 0:
            self.writer.transport.abort()
            raise Closed

    async def _keep(self, sender: str, recipients: list[str], raw: bytes, hit: Hit) -> int:
        """Keep the message unless a fault says otherwise; gives the code of the answer, 0 where none was sent."""
        if hit.delay:
            await asyncio.sleep(hit.delay)
        kind = hit.rule.kind if hit.rule else ""
        if hit.rule and kind == "status":
            code = 451 if hit.rule.status >= 500 or hit.rule.status == 429 else 554
            await self._say(code, "fault on demand")
            return code
        if kind not in ("reset", "timeout_before"):
            name = smtp.keep(self.engine.state.db, sender, recipients, raw)
        if hit.rule:
            await asyncio.sleep(0 if kind == "reset" else hit.rule.seconds)
            return 0
        await self._say(250, f"2.0.0 OK queued as {name}")
        return 250

    def _log(self, status: int, ms: float, hit: Hit) -> None:
        fault = hit.rule.kind if hit.rule else "latency" if hit.delay else ""
        self.engine.log.add(
            Entry(time.time(), "smtp", OPERATION, "DATA", "/smtp", {}, b"", status, ms, write=True, fault=fault)
        )

    async def _message(self) -> bytes:
        """The message without its end mark and the dots that were doubled for the way."""
        lines: list[bytes] = []
        size = 0
        while (line := await self._line()) != b".":
            lines.append(line[1:] if line.startswith(b".") else line)
            size += len(line)
            if size > MAX_MESSAGE:
                await self._say(552, "5.3.4 Message too big")
                raise Closed
        return b"\r\n".join([*lines, b""])

    async def _line(self) -> bytes:
        async with asyncio.timeout(IDLE_SECONDS):
            return (await self.reader.readuntil(b"\n")).rstrip(b"\r\n")

    async def _say(self, code: int, *lines: str) -> None:
        marks = ["-"] * (len(lines) - 1) + [" "]
        text = "".join(f"{code}{mark}{line}\r\n" for mark, line in zip(marks, lines, strict=True))
        self.writer.write(text.encode())
        await self.writer.drain()


@contextlib.asynccontextmanager
async def listening(engine: Engine, home: Path | None, told: Callable[[int], None]) -> AsyncIterator[None]:
    """Serve SMTP on a free loopback port while inside; writes the port into ``home`` and tells it.

    The port of the last time is taken again when it is free. Without ``home`` nothing listens.
    """
    if home is None or "smtp" not in engine.tokens:
        yield
        return
    talks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            talks.add(task)
            task.add_done_callback(talks.discard)
        await Conversation(engine, reader, writer).run()

    server = await _server(talk, home / PORT_FILE)
    port = int(server.sockets[0].getsockname()[1])
    partial = home / f".{PORT_FILE}"
    partial.write_text(f"{port}\n")
    partial.replace(home / PORT_FILE)
    told(port)
    try:
        yield
    finally:
        server.close()
        for task in tuple(talks):
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)


async def _server(talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], object], file: Path) -> asyncio.Server:
    try:
        before = int(file.read_text())
    except (OSError, ValueError):
        before = 0
    for port in (before, 0):
        with contextlib.suppress(OSError):
            return await asyncio.start_server(talk, "127.0.0.1", port, limit=MAX_LINE)  # type: ignore[arg-type]  # a coroutine function, which the type of `talk` leaves open
    raise OSError("no free port for SMTP")
