# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""HTTP from inside a container's network: a service is spoken to before any route leads to it, and no tool has to be in its
image. The calling thread enters the network namespace of the container, connects, and comes back.
"""

from __future__ import annotations

import ctypes
import http.client
import json
import os
import socket
import threading
import typing as t
from dataclasses import dataclass

from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine, EngineError

CLONE_NEWNET = 0x40000000
TIMEOUT_S = 30.0
MOST_BYTES = 5_000_000


class Unreachable(Exception):
    """Nothing answered inside the container; the message says what was tried."""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer. Names of headers are in lower case; ``cookies`` holds the pairs that it set."""

    status: int
    headers: t.Mapping[str, str]
    text: str
    cookies: t.Mapping[str, str]

    def json(self) -> t.Any:
        """The body as JSON; None where it is none."""
        try:
            return json.loads(self.text)
        except ValueError:
            return None


class Inside:
    """The network of one running container."""

    def __init__(self, engine: Engine, container: str) -> None:
        self.container = container
        self._engine = engine

    def request(
        self,
        method: str,
        port: int,
        path: str,
        json: t.Any = None,
        headers: t.Mapping[str, str] | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> Answer:
        """One request to 127.0.0.1:``port`` there. Raises Unreachable."""
        where = f"{method} http://127.0.0.1:{port}{path} in container {self.container[:12]}"
        try:
            connected = _connect(self._namespace(), port, timeout_s)
            return _send(connected, method, port, path, json, headers or {}, timeout_s)
        except (OSError, http.client.HTTPException, EngineError) as exc:
            raise Unreachable(f"{where}: {exc}") from exc

    def _namespace(self) -> str:
        pid = self._engine.get(f"/containers/{self.container}/json")["State"]["Pid"]
        if not pid:
            raise EngineError("the container does not run")
        return f"/proc/{pid}/ns/net"


def _send(
    connected: socket.socket,
    method: str,
    port: int,
    path: str,
    body: t.Any,
    headers: t.Mapping[str, str],
    timeout_s: float,
) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    connection.sock = connected
    try:
        content = None if body is None else json.dumps(body).encode()
        kind = {} if content is None else {"Content-Type": "application/json"}
        connection.request(method, path, content, {**kind, **headers})
        answer = connection.getresponse()
        text = answer.read(MOST_BYTES).decode(errors="replace")
        names = {name.lower(): value for name, value in answer.getheaders()}
        cookies = dict(_pair(value) for value in answer.headers.get_all("set-cookie") or ())
        return Answer(answer.status, names, text, cookies)
    finally:
        connection.close()


def _pair(cookie: str) -> tuple[str, str]:
    name, _equals, value = cookie.partition(";")[0].partition("=")
    return name.strip(), value.strip()


def _connect(namespace: str, port: int, timeout_s: float) -> socket.socket:
    """A connection made inside the namespace. A thread of its own goes there: it ends with it, so that nothing else of
    this process is ever in the wrong network."""
    made: list[socket.socket] = []
    failed: list[BaseException] = []

    def there() -> None:
        try:
            _enter(namespace)
            made.append(socket.create_connection(("127.0.0.1", port), timeout_s))
        except BaseException as exc:  # noqa: BLE001 - handed to the calling thread whatever it is
            failed.append(exc)

    thread = threading.Thread(target=there, name="inside")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return made[0]


def _enter(namespace: str) -> None:
    """setns(2); Python has it from 3.12 on, and targets may run 3.11."""
    fd = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(fd, CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(fd)
