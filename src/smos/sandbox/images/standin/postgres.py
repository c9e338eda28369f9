"""As much of PostgreSQL's protocol as a stand-in needs: a real login, and statements with parameters.

Source: PostgreSQL documentation, Frontend/Backend Protocol 3.0; RFC 5802 and 7677 for SCRAM-SHA-256.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import secrets
import socket
import struct
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit

TIMEOUT_S = 10.0
_PROTOCOL = 196608  # 3.0
_OK, _CLEARTEXT, _MD5, _SASL, _SASL_CONTINUE, _SASL_FINAL = 0, 3, 5, 10, 11, 12


class DatabaseError(Exception):
    """The server cannot be reached or refused; ``code`` is its SQLSTATE, empty where it gave none."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Database:
    """One database and who comes to it."""

    host: str
    name: str
    user: str
    password: str = field(repr=False)
    port: int = 5432

    @classmethod
    def at(cls, url: str) -> Database:
        """From postgres://user:password@host:port/name."""
        parts = urlsplit(url)
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        return cls(parts.hostname or "", parts.path.strip("/") or user, user, password, parts.port or 5432)

    def connect(self) -> Connection:
        """Log in. Raises DatabaseError."""
        try:
            connected = socket.create_connection((self.host, self.port), TIMEOUT_S)
        except OSError as exc:
            raise DatabaseError(f"no PostgreSQL at {self.host}:{self.port}: {exc}") from exc
        connection = Connection(connected)
        try:
            connection.log_in(self)
        except BaseException:
            connection.close()
            raise
        return connection

    def ask(self, sql: str, *values: str | None) -> list[list[str | None]]:
        """One statement in a connection of its own."""
        with self.connect() as connection:
            return connection.ask(sql, *values)


class Connection:
    """A session; ends with the `with` block."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._stream = connected.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Say goodbye; an open transaction is rolled back."""
        with contextlib.suppress(DatabaseError):
            self._send(b"X", b"")
        self._stream.close()
        self._socket.close()

    def log_in(self, who: Database) -> None:
        """Start the session. Raises DatabaseError."""
        pairs = {"user": who.user, "database": who.name, "application_name": "smarteros-stand-in"}
        content = b"".join(_text(name) + _text(value) for name, value in pairs.items()) + b"\0"
        self._send(b"", struct.pack("!i", _PROTOCOL) + content)
        while True:
            kind, body = self._receive()
            if kind == b"R":
                self._authenticate(body, who)
            elif kind == b"Z":
                return

    def ask(self, sql: str, *values: str | None) -> list[list[str | None]]:
        """Run one statement with $1, $2 … bound as text; gives the rows as text. Raises DatabaseError."""
        self._send(b"P", _text("") + _text(sql) + struct.pack("!h", 0))
        bound = b"".join(_value(value) for value in values)
        self._send(b"B", _text("") * 2 + struct.pack("!hh", 0, len(values)) + bound + struct.pack("!h", 0))
        self._send(b"E", _text("") + struct.pack("!i", 0))
        self._send(b"S", b"")
        rows: list[list[str | None]] = []
        trouble: DatabaseError | None = None
        while True:
            try:
                kind, body = self._receive()
            except DatabaseError as exc:
                if not exc.code:
                    raise
                trouble = exc
                continue
            if kind == b"D":
                rows.append(_row(body))
            elif kind == b"Z":
                if trouble:
                    raise trouble
                return rows

    def _authenticate(self, body: bytes, who: Database) -> None:
        (wanted,) = struct.unpack("!i", body[:4])
        if wanted == _CLEARTEXT:
            self._send(b"p", _text(who.password))
        elif wanted == _MD5:
            inner = hashlib.md5(f"{who.password}{who.user}".encode(), usedforsecurity=False).hexdigest().encode()
            self._send(b"p", _text("md5" + hashlib.md5(inner + body[4:8], usedforsecurity=False).hexdigest()))
        elif wanted == _SASL:
            self._scram(who.password)
        elif wanted not in (_OK, _SASL_FINAL):
            raise DatabaseError(f"the server wants an authentication that is not known here ({wanted})")

    def _scram(self, password: str) -> None:
        nonce = base64.b64encode(secrets.token_bytes(18)).decode()
        bare = f"n=,r={nonce}"
        first = f"n,,{bare}".encode()
        self._send(b"p", _text("SCRAM-SHA-256") + struct.pack("!i", len(first)) + first)
        _kind, body = self._receive()
        server = body[4:].decode()
        parts = dict(part.split("=", 1) for part in server.split(","))
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(parts["s"]), int(parts["i"]))
        final = f"c=biws,r={parts['r']}"
        signed = f"{bare},{server},{final}".encode()
        key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(key).digest(), signed, "sha256")
        proof = base64.b64encode(bytes(a ^ b for a, b in zip(key, signature, strict=True))).decode()
        self._send(b"p", f"{final},p={proof}".encode())

    def _send(self, kind: bytes, body: bytes) -> None:
        try:
            self._socket.sendall(kind + struct.pack("!i", len(body) + 4) + body)
        except OSError as exc:
            raise DatabaseError(f"the connection to PostgreSQL broke: {exc}") from exc

    def _receive(self) -> tuple[bytes, bytes]:
        kind = self._exactly(1)
        (length,) = struct.unpack("!i", self._exactly(4))
        body = self._exactly(length - 4)
        if kind == b"E":
            raise _refusal(body)
        return kind, body

    def _exactly(self, count: int) -> bytes:
        try:
            data = self._stream.read(count)
        except OSError as exc:
            raise DatabaseError(f"the connection to PostgreSQL broke: {exc}") from exc
        if len(data) != count:
            raise DatabaseError("PostgreSQL closed the connection")
        return data


def _text(value: str) -> bytes:
    return value.encode() + b"\0"


def _value(value: str | None) -> bytes:
    if value is None:
        return struct.pack("!i", -1)
    raw = value.encode()
    return struct.pack("!i", len(raw)) + raw


def _row(body: bytes) -> list[str | None]:
    (count,) = struct.unpack("!h", body[:2])
    at, row = 2, []
    for _column in range(count):
        (length,) = struct.unpack("!i", body[at : at + 4])
        at += 4
        row.append(None if length < 0 else body[at : at + length].decode())
        at += max(length, 0)
    return row


def _refusal(body: bytes) -> DatabaseError:
    fields = {part[:1]: part[1:].decode(errors="replace") for part in body.split(b"\0") if part}
    return DatabaseError(f"{fields.get(b'S', 'ERROR')}: {fields.get(b'M', '')}", fields.get(b"C", ""))
