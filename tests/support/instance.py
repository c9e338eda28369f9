"""An instance of SmarterOS for one test: its own specs, state and sandbox, and this checkout's code.

Nothing of it touches the checkout, and two instances know nothing of each other.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.smartercl.smarteros.plugins.module_utils.rut import check_digit
from smos.sandbox import server
from support import providers

ROOT = Path(__file__).resolve().parents[2]
TOOLS = Path(sys.executable).parent
ZONE = "smarterbot.cl"
CATALOGUE: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "specs" / "services" / "registry.yml").read_text())[
    "services"
]
# What a tenant gets, in the order in which it gets it
SERVICES = tuple(
    sorted(
        (name for name, service in CATALOGUE.items() if "tenant" in service.get("entries", ())),
        key=lambda name: int(CATALOGUE[name]["provisioning"]),
    )
)
PATIENCE_S = 600  # for one command; many times what it needs, because the machine may be busy
# What a run in production would have in its environment; a test starts from nothing.
_NOT_INHERITED = ("SMOS_", "ANSIBLE_", "PYTEST_", "SMTP_", *(f"{name.upper()}_" for name in CATALOGUE))


@dataclass(frozen=True)
class Shop:
    """A tenant to be."""

    rut: str
    name: str
    domain: str

    @property
    def slug(self) -> str:
        """The first label of its domain."""
        return self.domain.partition(".")[0]

    @property
    def words(self) -> tuple[str, str, str]:
        """What `smos create tenant` takes."""
        return self.rut, self.name, self.domain

    def document(self, **more: Any) -> dict[str, Any]:
        """Its file in the registry, as a person would write it."""
        spec = {"rut": self.rut, "name": self.name, "slug": self.slug, "domain": self.domain, "plan": "starter"}
        return {"spec": {**spec, "created_at": "2026-11-22T12:00:00Z", "environments": ["sandbox"], **more}}


def shop(number: int) -> Shop:
    """The n-th shop of the tests (n ≥ 0): always the same, with a right check digit."""
    body = 76_000_001 + 37 * number
    return Shop(f"{body}-{check_digit(body)}", f"Shop {number:05d}", f"shop-{number:05d}.{ZONE}")


ACME = Shop("12345678-5", "Acme Corp", f"acme.{ZONE}")


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    args: tuple[str, ...]
    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout."""
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def result(self) -> dict[str, Any]:
        """What the document says of the result."""
        result: dict[str, Any] = self.document["result"]
        return result

    @property
    def why(self) -> str:
        """All errors of the document as one text, for messages and searches."""
        return "\n".join(" | ".join(error.values()) for error in self.document["errors"])

    def __str__(self) -> str:
        return f"{' '.join(self.args)} ended with {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


@dataclass
class Instance:
    """``home`` holds everything; ``environment`` are further variables of every command."""

    home: Path
    environment: dict[str, str] = field(default_factory=dict)

    @classmethod
    def make(cls, home: Path, **environment: str) -> Instance:
        """A new instance in an empty or missing folder: specs without tenants, nothing running."""
        home.mkdir(parents=True, exist_ok=True)
        shutil.copytree(ROOT / "specs", home / "specs")
        made = cls(home, environment)
        for left in made.registry.iterdir():
            if left.name != ".gitkeep":
                shutil.rmtree(left) if left.is_dir() else left.unlink()
        return made

    @property
    def specs(self) -> Path:
        return self.home / "specs"

    @property
    def registry(self) -> Path:
        """The folder of the tenants' files."""
        return self.specs / "tenants" / "registry"

    @property
    def state(self) -> Path:
        return self.home / "state"

    @property
    def sandbox(self) -> Path:
        """The state directory that `smos.sandbox.server` takes."""
        return self.state / "sandbox"

    @property
    def variables(self) -> dict[str, str]:
        """The environment of a command."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}
        return {
            **kept,
            "PATH": f"{TOOLS}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "collections")]),
            "SMOS_PROJECT_DIR": str(ROOT),
            "SMOS_STATE_DIR": str(self.state),
            "SMOS_SPECS_REPO": str(self.specs),
            "SMOS_ENV_DIR": str(self.home / "env"),
            "SMOS_LANG": "en",
            "SMOS_LOCK_MACHINE": "",  # the machines of our inventories are examples
            **self.environment,
        }

    def run(self, *args: str, timeout: float = PATIENCE_S, **environment: str) -> Done:
        """Run `smos` with these arguments to its end."""
        return self._done([sys.executable, "-P", "-m", "smos", *args], args, timeout, environment)

    def playbook(self, *args: str, timeout: float = PATIENCE_S, **environment: str) -> Done:
        """Run the plain `ansible-playbook` on our playbook, without `smos`; the sandbox must run already."""
        return self.play("create_tenant.yml", *args, timeout=timeout, **environment)

    def play(self, name: str, *args: str, timeout: float = PATIENCE_S, **environment: str) -> Done:
        """Run the plain `ansible-playbook` on a playbook of ours, or on one by its path; the sandbox must run already."""
        book = name if Path(name).is_absolute() else f"playbooks/{name}"
        line = ["ansible-playbook", "-i", "inventories/sandbox", book, *args]
        return self._done(line, (name, *args), timeout, environment)

    def _done(self, line: list[str], args: tuple[str, ...], timeout: float, environment: Mapping[str, str]) -> Done:
        ended = subprocess.run(
            line,
            cwd=ROOT,
            env={**self.variables, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        return Done(args, ended.returncode, ended.stdout, ended.stderr)

    def start(self, *args: str, **environment: str) -> subprocess.Popen[str]:
        """Start `smos` in a session of its own and give its process; the caller waits for it."""
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "smos", *args],
            cwd=ROOT,
            env={**self.variables, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def create(self, shop: Shop, *more: str, **environment: str) -> Done:
        """`smos create tenant … --json`"""
        return self.run("create", "tenant", *shop.words, "--json", *more, timeout=PATIENCE_S, **environment)

    def up(self, **settings: Any) -> server.Sandbox:
        """Have the sandbox run. It gets this instance's variables, so that it takes its tokens."""
        done = self.run("sandbox", "up", "--json", "--no-rate-limits")
        assert done.code == 0, done
        if settings:
            server.settings(self.sandbox, **settings)
        running = done.result
        return server.Sandbox(running["url"], running["pid"])

    def down(self) -> None:
        """Stop the sandbox, if it runs."""
        server.down(self.sandbox)

    def add_files(self, shops: Sequence[Shop], **more: Any) -> None:
        """Write tenants into the registry, as a person would; ``more`` are further keys of their specs."""
        for each in shops:
            (self.registry / f"{each.rut}.yml").write_text(
                yaml.safe_dump(each.document(**more), allow_unicode=True, sort_keys=False)
            )

    def phase(self, shop: Shop) -> str:
        """The tenant's phase, as `tenant status` tells it."""
        done = self.run("tenant", "status", shop.rut, "--json")
        assert done.code == 0, done
        phase: str = done.result["tenant"]["phase"]
        return phase

    def phases(self) -> dict[str, str]:
        """The phase of each tenant by RUT."""
        done = self.run("tenant", "list", "--json")
        assert done.code == 0, done
        return {row["id"]: row["phase"] for row in done.result["tenants"]}

    def registered(self) -> dict[str, bytes]:
        """The registry's files by name, locks and all, with their content."""
        files = (path for path in self.registry.rglob("*") if path.is_file() and path.suffix != ".flock")
        return {str(path.relative_to(self.registry)): path.read_bytes() for path in files}

    def locks(self) -> list[str]:
        """The locks that are held."""
        return sorted(path.name for path in self.registry.glob(".locks/*.lock"))

    def inventory(self) -> providers.Inventory:
        """What the providers hold."""
        return providers.read(self.sandbox / "state.db")

    def content(self) -> providers.Content:
        """Every row that the providers hold, to compare two moments."""
        return providers.content(self.sandbox / "state.db")

    def requests(self, **which: Any) -> list[dict[str, Any]]:
        """The sandbox's request log."""
        found: list[dict[str, Any]] = server.requests(self.sandbox, **{"limit": 200_000, **which})["requests"]
        return found

    def seen(self) -> int:
        """The number of the newest request."""
        last: int = server.requests(self.sandbox, limit=0)["last"]
        return last

    def writes(self, since: int = 0) -> list[str]:
        """The names of the operations that changed something after that request."""
        return [f"{row['provider']} {row['operation']}" for row in self.requests(since=since, writes=True)]


@contextmanager
def instance(home: Path, **environment: str) -> Iterator[Instance]:
    """An instance whose sandbox is stopped in the end."""
    made = Instance.make(home, **environment)
    try:
        yield made
    finally:
        made.down()
