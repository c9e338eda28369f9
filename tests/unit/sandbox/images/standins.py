"""Stand-ins as processes on loopback, and our own bootstrap code in front of them as if they were in containers."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.smartercl.smarteros.plugins.module_utils.bootstrap.shape import Outcome, Room
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Executed
from ansible_collections.smartercl.smarteros.plugins.module_utils.inside import Answer, Unreachable
from real.processes import free_port, running

HERE = Path(__file__).parents[4] / "src/smos/sandbox/images"
PATIENCE_S = 20.0


@dataclass
class Place:
    """One stand-in: its program, its settings, its folder, and where it listens."""

    module: str
    folder: Path
    settings: dict[str, str]
    argv: Sequence[str] = ()
    port: int = field(default_factory=free_port)

    @property
    def env(self) -> dict[str, str]:
        """Nothing of this process but the way to Python."""
        own = {"PATH": os.environ["PATH"], "PYTHONPATH": str(HERE), "HOME": str(self.folder)}
        return {
            **own,
            "STANDIN_HOME": str(self.folder),
            "STANDIN_DATA": str(self.folder),
            "STANDIN_START_S": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
            **self.settings,
        }

    def command(self, argv: Sequence[str]) -> list[str]:
        """The program with these arguments."""
        return [sys.executable, "-m", f"standin.{self.module}", *argv]

    def once(self, *argv: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command of it to its end."""
        return subprocess.run(self.command(argv), env=self.env, input=stdin, capture_output=True, text=True, timeout=60)

    @contextmanager
    def served(self) -> Iterator[Place]:
        """It answers while the block runs."""
        log = self.folder / f"{self.module}.log"
        with running(self.command(self.argv), log=log, env=self.env) as process:
            until = time.monotonic() + PATIENCE_S
            while True:
                try:
                    self.ask("GET", "/", headers={"X-Forwarded-Proto": "https"})
                    break
                except Unreachable:
                    assert process.poll() is None, log.read_text()
                    assert time.monotonic() < until, log.read_text()
                    time.sleep(0.05)
            yield self

    def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None, port: int = 0
    ) -> Answer:
        """One call."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=30)
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, dict(headers or {}))
            answer = connection.getresponse()
            text = answer.read().decode()
        except OSError as exc:
            raise Unreachable(str(exc)) from exc
        finally:
            connection.close()
        names = {name.lower(): value for name, value in answer.getheaders()}
        pairs = [value.partition(";")[0].partition("=") for value in answer.headers.get_all("set-cookie") or ()]
        return Answer(answer.status, names, text, {name: value for name, _equals, value in pairs})

    def records(self, kind: str) -> list[dict[str, Any]]:
        """What it wrote down of that kind."""
        lines = (self.folder / "record.jsonl").read_text().splitlines()
        return [line for line in map(json.loads, lines) if line["kind"] == kind]

    def room(self, *, check_mode: bool = False, **params: Any) -> Room:
        """What a bootstrap module works in."""
        given = {
            "email": "admin@example.com",
            "password": "Correct-horse-7",
            "first_name": "Ana",
            "last_name": "Rojas",
            "name": "SmarterOS",
            "account": "SmarterOS",
            "site_name": "SmarterOS",
            "locale": "es",
            "api_key": "",
            "timeout": 20.0,
            "port": self.port,
            "service": self.module,
            **params,
        }
        engine: Any = _Engine(self)
        return Room(engine, "c0ffee", _Inside(self), given, check_mode, Outcome(self.module))  # type: ignore[arg-type] # stands for a container


class _Engine:
    """`docker exec` into the stand-in's container."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def get(self, _path: str) -> Any:
        """Its entry point is not wrapped."""
        return {"Config": {"Entrypoint": []}}

    def execute(self, _container: str, argv: Sequence[str], stdin: bytes = b"", **_more: Any) -> Executed:
        """The first word is the product's program."""
        done = self._place.once(*argv[1:], stdin=stdin.decode())
        return Executed(done.returncode, done.stdout, done.stderr)


class _Inside:
    """HTTP from inside of its network; the product's own port leads to the one that it has here."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def request(
        self, method: str, _port: int, path: str, json: Any = None, headers: Any = None, timeout_s: float = 30
    ) -> Answer:
        """One call."""
        return self._place.ask(method, path, json, {"Content-Type": "application/json", **(headers or {})})
