# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The Docker Engine of this machine, asked through its socket: one connection, milliseconds per question, no library on
the target. What only the ``docker`` command can do (deploying a stack, a program inside a container) goes through that.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import typing as t
import urllib.parse
from dataclasses import dataclass

SOCKET = "/var/run/docker.sock"
TIMEOUT_S = 60.0
LOG_BYTES = 200_000  # how much of a container's log is ever held
HEADER_BYTES = 8  # of a frame of a container's log: stream, three zeros, length


class EngineError(Exception):
    """The Engine refused or is not there. ``status`` is its HTTP status, 0 where it gave none."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


@dataclass(frozen=True)
class Executed:
    """What a command came to. The texts are what it wrote."""

    code: int
    stdout: str
    stderr: str


class _Connection(http.client.HTTPConnection):
    """HTTP over the Engine's socket."""

    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        """Called by the base class before the first request."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Engine:
    """The Engine behind a socket. Methods raise EngineError. Source: Docker Engine API, reference v1.41."""

    def __init__(self, socket_path: str = SOCKET, timeout_s: float = TIMEOUT_S) -> None:
        self.socket = socket_path
        self._timeout_s = timeout_s

    @property
    def present(self) -> bool:
        """Whether an Engine answers."""
        try:
            self._ask("GET", "/_ping")
        except EngineError:
            return False
        return True

    def get(self, path: str, **filters: t.Sequence[str]) -> t.Any:
        """The JSON of a resource, for example ``get("/services", label=["a=b"])``."""
        return json.loads(self._ask("GET", _with(path, filters)) or b"null")

    def post(self, path: str, body: t.Any = None) -> t.Any:
        """Create or act; gives the answer's JSON, None where there is none."""
        return json.loads(self._ask("POST", path, body) or b"null")

    def delete(self, path: str) -> None:
        """Remove a resource."""
        self._ask("DELETE", path)

    def tasks(self, service: str) -> list[dict[str, t.Any]]:
        """The tasks of a Swarm service by its name, newest first."""
        found: list[dict[str, t.Any]] = self.get("/tasks", service=[service])
        return sorted(found, key=lambda task: str(task["CreatedAt"]), reverse=True)

    def container_of(self, service: str) -> str | None:
        """The id of the newest running container of a Swarm service on this machine; None where there is none."""
        here = {each["Id"] for each in self.get("/containers/json", label=[f"com.docker.swarm.service.name={service}"])}
        for task in self.tasks(service):
            container = (task["Status"].get("ContainerStatus") or {}).get("ContainerID")
            if container in here and task["Status"]["State"] == "running":
                return str(container)
        return None

    def logs(self, path: str, lines: int) -> list[str]:
        """The last lines of ``/services/<name>`` or ``/containers/<id>``, both streams."""
        raw = self._ask("GET", f"{path}/logs?stdout=1&stderr=1&tail={lines}")[-LOG_BYTES:]
        return _text_of(raw).splitlines()[-lines:]

    def execute(
        self,
        container: str,
        argv: t.Sequence[str],
        stdin: bytes = b"",
        env: t.Mapping[str, str] | None = None,
        user: str | None = None,
        timeout_s: float = 300,
    ) -> Executed:
        """Run a command in a container. Secrets go in by ``stdin`` or ``env``, never by ``argv``, which everybody can see."""
        given = env or {}
        words = ["exec", "-i", *(["-u", user] if user else [])]
        for name in given:
            words += ["-e", name]  # the name alone: the value comes from the environment of the command
        return self.command([*words, container, *argv], stdin=stdin, env=given, timeout_s=timeout_s)

    def command(
        self,
        words: t.Sequence[str],
        stdin: bytes = b"",
        env: t.Mapping[str, str] | None = None,
        timeout_s: float = 300,
    ) -> Executed:
        """The ``docker`` command with these words. Raises EngineError only where it cannot be run to its end."""
        environment = {**os.environ, "DOCKER_HOST": f"unix://{self.socket}", **(env or {})}
        try:
            # No AnsibleModule here, and the input may be bytes
            done = subprocess.run(  # pylint: disable=ansible-bad-function
                ["docker", *words], check=False, input=stdin, capture_output=True, env=environment, timeout=timeout_s
            )
        except FileNotFoundError:
            raise EngineError("the docker command is not installed") from None
        except subprocess.TimeoutExpired:
            raise EngineError(f"docker {words[0]} did not end within {timeout_s:.0f} s") from None
        return Executed(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))

    def _ask(self, method: str, path: str, body: t.Any = None) -> bytes:
        connection = _Connection(self.socket, self._timeout_s)
        try:
            content = None if body is None else json.dumps(body).encode()
            connection.request(method, path, content, {"Content-Type": "application/json"} if content else {})
            answer = connection.getresponse()
            data = answer.read()
        except (OSError, http.client.HTTPException) as exc:
            raise EngineError(f"no answer from the Docker Engine at {self.socket}: {exc}") from exc
        finally:
            connection.close()
        if answer.status >= 400:
            raise EngineError(_message(data) or f"HTTP {answer.status}", answer.status)
        return data


def _with(path: str, filters: t.Mapping[str, t.Sequence[str]]) -> str:
    if not filters:
        return path
    return (
        f"{path}?{urllib.parse.urlencode({'filters': json.dumps({key: list(each) for key, each in filters.items()})})}"
    )


def _message(data: bytes) -> str:
    try:
        return str(json.loads(data)["message"])
    except (ValueError, KeyError, TypeError):
        return data.decode(errors="replace")[:500].strip()


def _text_of(raw: bytes) -> str:
    """The text of a log: frames of a header and its bytes, or plain bytes where the container has a terminal."""
    parts, at = [], 0
    while at + HEADER_BYTES <= len(raw) and raw[at] in (0, 1, 2) and raw[at + 1 : at + 4] == b"\0\0\0":
        size = int.from_bytes(raw[at + 4 : at + HEADER_BYTES], "big")
        parts.append(raw[at + HEADER_BYTES : at + HEADER_BYTES + size])
        at += HEADER_BYTES + size
    return (b"".join(parts) or raw).decode(errors="replace")
