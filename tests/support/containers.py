"""A container that is no container: an Engine that knows one, and its network as ports of this machine's loopback."""

from __future__ import annotations

import http.client
import json as jsonlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.bootstrap import shape
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import EngineError, Executed
from ansible_collections.smartercl.smarteros.plugins.module_utils.inside import Answer, Unreachable

CONTAINER = "0123456789abcdef"


@dataclass
class Container:
    """What the module finds: nothing (`there` False), or a container with this entry point, which answers programs so.

    `coming` is how often one must look until it runs.
    """

    there: bool = True
    coming: int = 0
    engine: bool = True
    entrypoint: Sequence[str] = ()
    answers: list[Executed] = field(default_factory=list)
    ran: list[tuple[list[str], str, dict[str, str]]] = field(default_factory=list)
    ports: dict[int, int] = field(default_factory=dict)
    sent: list[tuple[str, str]] = field(default_factory=list)
    dies_after_writes: int | None = None


class _Engine:
    def __init__(self, container: Container) -> None:
        self._container = container

    def container_of(self, _service: str) -> str | None:
        if not self._container.engine:
            raise EngineError("no answer from the Docker Engine")
        if self._container.coming:
            self._container.coming -= 1
            return None
        return CONTAINER if self._container.there else None

    def tasks(self, _service: str) -> list[dict[str, Any]]:
        return [{"DesiredState": "running"}] if self._container.there else []

    def get(self, _path: str) -> Any:
        return {"Config": {"Entrypoint": list(self._container.entrypoint)}}

    def execute(
        self,
        _container: str,
        argv: Sequence[str],
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        user: str | None = None,
        timeout_s: float = 300,
    ) -> Executed:
        self._container.ran.append((list(argv), stdin.decode(), dict(env or {})))
        return self._container.answers.pop(0)


class _Inside:
    """Its port 5678 is the one of this machine that `ports` says."""

    def __init__(self, container: Container) -> None:
        self._container = container

    def request(
        self,
        method: str,
        port: int,
        path: str,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 30,
    ) -> Answer:
        self._container.sent.append((method, path))
        connection = http.client.HTTPConnection("127.0.0.1", self._container.ports.get(port, port), timeout=timeout_s)
        content = None if json is None else jsonlib.dumps(json).encode()
        kind = {} if content is None else {"Content-Type": "application/json"}
        try:
            connection.request(method, path, content, {**kind, **(headers or {})})
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as exc:
            raise Unreachable(str(exc)) from exc
        finally:
            connection.close()
        if method != "GET" and self._container.dies_after_writes is not None:
            self._container.dies_after_writes -= 1
            if self._container.dies_after_writes == 0:
                raise Unreachable("the run died here, and nobody saw the answer")
        pairs = [value.partition(";")[0].partition("=") for value in answer.headers.get_all("set-cookie") or ()]
        cookies = {name.strip(): value.strip() for name, _equals, value in pairs}
        return Answer(answer.status, {key.lower(): value for key, value in answer.getheaders()}, text, cookies)


def placed(monkeypatch: pytest.MonkeyPatch, container: Container) -> Container:
    """The bootstrap modules find this container."""
    monkeypatch.setattr(shape, "Engine", lambda _socket: _Engine(container))
    monkeypatch.setattr(shape, "Inside", lambda _engine, _id: _Inside(container))
    monkeypatch.setattr(shape, "PAUSE_S", 0.05)
    return container
