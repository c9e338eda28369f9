"""Releases of the tests' own, the commands that go from one to another, and the machine on which that happens."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from support import machine

STATE = Path(os.environ["SMOS_STATE_DIR"])
ORIGIN = Path(os.environ["SMOS_SPECS_REPO"])
VARIABLES = Path(__file__).parents[1] / "vars/upgrade.yml"
TAKE_VARIABLES = ("deploy", "rollback")
CATALOGUE = "services/registry.yml"
RELEASES = "smos-version.yml"
HOST = "chatwoot.smarterbot.cl"
CLIENTS = 3


@dataclass(frozen=True)
class Done:
    """What a command came to."""

    code: int
    document: dict[str, Any]
    said: str

    @property
    def result(self) -> dict[str, Any]:
        found: dict[str, Any] = self.document["result"]
        return found

    @property
    def why(self) -> str:
        return "\n".join(" ".join(map(str, each.values())) for each in self.document["errors"])


@dataclass
class Smos:
    """`smos` with specs that go from release to release, as those in git would."""

    specs: Path
    versions: dict[str, str] = field(default_factory=dict)
    before: list[tuple[dict[str, str], dict[str, str]]] = field(default_factory=list)

    def describe(self, release: str, **versions: str) -> None:
        """A new release with these versions; the one that was described until now becomes history."""
        texts = {name: (self.specs / name).read_text(encoding="utf-8") for name in (RELEASES, CATALOGUE)}
        self.before.append((texts, dict(self.versions)))
        self.versions.update({name.replace("_", "-"): version for name, version in versions.items()})
        known = self._read(RELEASES)
        before = {"date": "2026-01-01", "summary": "A release of the test.", "components": dict(known["components"])}
        known["history"].insert(0, {**_named(known["release"]["version"]), **before})
        known["release"] = {**_named(release), "state": "released"}
        catalogue = self._read(CATALOGUE)
        for name, version in self.versions.items():
            image = known["components"][name]["image"].partition(":")[0]
            known["components"][name] = {"version": version, "image": f"{image}:{version}"}
            catalogue["services"][name]["version"] = version
        self._write(RELEASES, known)
        self._write(CATALOGUE, catalogue)

    def revert(self) -> None:
        """Take the last description back, as one would in git."""
        texts, self.versions = self.before.pop()
        for name, text in texts.items():
            (self.specs / name).write_text(text, encoding="utf-8")

    def deploy(self, *more: str) -> Done:
        """`smos deploy backend`."""
        return self.run("deploy", "backend", *more)

    def run(self, *more: str) -> Done:
        """Any command."""
        given = ["-e", f"@{VARIABLES}"] if more[0] in TAKE_VARIABLES else []
        words = [sys.executable, "-m", "smos", *given, *more, "--json"]
        chosen = " ".join(f"{name}={version}" for name, version in self.versions.items())
        environment = {**os.environ, "SMOS_VPS_VERSIONS": chosen, "SMOS_SPECS_REPO": str(self.specs)}
        done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
        return Done(done.returncode, json.loads(done.stdout), done.stderr)

    def ledger(self) -> list[dict[str, Any]]:
        """What `smos releases --deployed` lists, newest first."""
        done = self.run("releases", "--deployed")
        assert done.code == 0, done
        found: list[dict[str, Any]] = done.result["deployed"]
        return found

    def _read(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = yaml.safe_load((self.specs / name).read_text(encoding="utf-8"))
        return found

    def _write(self, name: str, document: dict[str, Any]) -> None:
        # JSON is YAML, and knows no aliases, which specs do not have
        (self.specs / name).write_text(json.dumps(document, ensure_ascii=False, indent=1), encoding="utf-8")


class Clients:
    """Ask again and again, each on connections of its own; count what comes back."""

    def __init__(self) -> None:
        self.answers: Counter[str] = Counter()
        self._port = machine.known(STATE)["https_port"]
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _each in range(CLIENTS)]

    def _ask(self) -> None:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        while not self._stop.is_set():
            connection = http.client.HTTPSConnection("127.0.0.1", self._port, timeout=30, context=context)
            try:
                connection.request("GET", "/api", headers={"Host": HOST})
                answer = connection.getresponse()
                answer.read()
                self.answers[str(answer.status)] += 1
            except (OSError, http.client.HTTPException) as exc:
                self.answers[repr(exc)] += 1
            finally:
                connection.close()
            time.sleep(0.1)  # below the rate that one address is allowed

    @contextmanager
    def at_work(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join()


def _named(release: str) -> dict[str, str]:
    return {"version": release, "codename": f"Release {release}"}


@pytest.fixture(scope="session")
def smos() -> Smos:
    """Specs that describe what the scenario has deployed: the release that the project describes."""
    mine = STATE / "specs"
    if mine.exists():
        shutil.rmtree(mine)
    shutil.copytree(ORIGIN, mine)
    return Smos(mine)


@pytest.fixture
def clients() -> Clients:
    """People who use the service meanwhile."""
    return Clients()


@pytest.fixture(scope="session")
def host() -> Any:
    return machine.host(STATE)


@dataclass(frozen=True)
class Letters:
    """Rows in the service's database."""

    host: Any

    def write(self, text: str) -> None:
        """Add one."""
        self._ask(f"CREATE TABLE IF NOT EXISTS letters (said text); INSERT INTO letters VALUES ('{text}')")

    def read(self) -> list[str]:
        """All of them, in the order of the alphabet."""
        return self._ask("SELECT said FROM letters ORDER BY said")

    def _ask(self, sql: str) -> list[str]:
        inside = "docker exec -u postgres $(docker ps -q -f name=postgresql_postgresql)"
        return list(self.host.check_output(f'{inside} psql -d chatwoot -qtAc "{sql}"').splitlines())


@pytest.fixture(scope="session")
def letters(host: Any) -> Letters:
    """What people have written into the service."""
    return Letters(host)
