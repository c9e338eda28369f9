"""As much of Redis' protocol as a stand-in needs. Source: Redis documentation, RESP2."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from typing import BinaryIO, cast
from urllib.parse import unquote, urlsplit

TIMEOUT_S = 5.0


class RedisError(Exception):
    """The server cannot be reached or refused."""


@dataclass(frozen=True)
class Redis:
    """One numbered database and how to get in."""

    host: str
    port: int = 6379
    number: int = 0
    password: str = field(default="", repr=False)

    @classmethod
    def at(cls, url: str, password: str = "") -> Redis:
        """From redis://:password@host:port/number; a password given beside it wins, as in Chatwoot."""
        parts = urlsplit(url)
        number = parts.path.strip("/")
        return cls(
            parts.hostname or "", parts.port or 6379, int(number or 0), password or unquote(parts.password or "")
        )

    def ask(self, *words: str) -> str | None:
        """One command in a connection of its own; gives a simple, a bulk or a whole-number reply as text."""
        before = [("AUTH", self.password)] if self.password else []
        before += [("SELECT", str(self.number))] if self.number else []
        try:
            with socket.create_connection((self.host, self.port), TIMEOUT_S) as connected:
                stream = cast("BinaryIO", connected.makefile("rb"))
                for each in [*before, words]:
                    connected.sendall(_packed(each))
                    answer = _reply(stream)
        except OSError as exc:
            raise RedisError(f"no Redis at {self.host}:{self.port}: {exc}") from exc
        return answer


def _packed(words: tuple[str, ...]) -> bytes:
    parts = [f"${len(word.encode())}\r\n{word}\r\n" for word in words]
    return f"*{len(words)}\r\n{''.join(parts)}".encode()


def _reply(stream: BinaryIO) -> str | None:
    line = stream.readline().decode().rstrip("\r\n")
    if line[:1] == "-":
        raise RedisError(line[1:])
    if line[:1] == "$":
        length = int(line[1:])
        return None if length < 0 else stream.read(length + 2)[:-2].decode()
    if line[:1] in ("+", ":"):
        return line[1:]
    raise RedisError("Redis closed the connection" if not line else f"an answer that is not known here: {line}")
