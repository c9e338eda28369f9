"""Bootstrap of services that keep their data in PostgreSQL, in a real one: Dokploy, Odoo and its modules, Chatwoot.

The services are stand-ins; their commands run on this machine as they would in a container.
"""

from __future__ import annotations

import os
import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.bootstrap import shape
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Executed
from ansible_collections.smartercl.smarteros.plugins.modules import (
    chatwoot_installation,
    dokploy_owner,
    odoo_database,
    odoo_modules_info,
)
from real.postgres import Postgres
from real.processes import free_port, running, wait_until
from support.containers import Container, placed
from unit.plugins.wire import run_module

IMAGES = Path(__file__).parents[2] / "src/smos/sandbox/images"
EMAIL, PASSWORD = "admin@example.com", "Correct-horse-7-battery"
MODULES = ["base", "contacts", "account", "l10n_cl"]


class Local:
    """An Engine whose container is this machine; `programs` are the stand-ins behind the products' commands."""

    def __init__(self, programs: Mapping[str, str], env: Mapping[str, str]) -> None:
        self._programs = programs
        self._env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(IMAGES), **env}

    def container_of(self, _service: str) -> str:
        return "here"

    def tasks(self, _service: str) -> list[dict[str, Any]]:
        return []

    def get(self, _path: str) -> Any:
        return {"Config": {"Entrypoint": None}}

    def execute(
        self,
        _container: str,
        argv: Sequence[str],
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        user: str | None = None,
        timeout_s: float = 300,
    ) -> Executed:
        name = self._programs.get(argv[0])
        command = [sys.executable, "-m", f"standin.{name}", *argv[1:]] if name else list(argv)
        done = subprocess.run(command, input=stdin, env={**self._env, **(env or {})}, capture_output=True, timeout=60)
        return Executed(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.fixture
def local(
    monkeypatch: pytest.MonkeyPatch, real_postgres: Postgres, tmp_path: Path
) -> Callable[..., Callable[..., Executed]]:
    def install(programs: Mapping[str, str], **env: str) -> Callable[..., Executed]:
        engine = Local(programs, {"STANDIN_HOME": str(tmp_path), "PGPORT": str(real_postgres.port), **env})
        monkeypatch.setattr(shape, "Engine", lambda _socket: engine)
        return lambda *argv: engine.execute("", argv)

    return install


def own(module: Any, check: bool = False, **more: Any) -> dict[str, Any]:
    answer = run_module(module, check, **{"service": "x_x", "timeout": 30, **more})
    assert not answer.get("failed"), answer["msg"]
    return answer


def whats(answer: Mapping[str, Any]) -> list[str]:
    return [row["what"] for row in answer["changes"]]


# --- Dokploy ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def dokploy(real_postgres: Postgres, tmp_path: Path) -> Iterator[int]:
    port, log = free_port(), tmp_path / "dokploy.log"
    (tmp_path / "password").write_text(real_postgres.password, encoding="utf-8")
    (tmp_path / "secret").write_text("auth-secret", encoding="utf-8")
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(IMAGES),
        "STANDIN_HOME": str(tmp_path),
        "STANDIN_DATA": str(tmp_path / "etc"),
        "STANDIN_START_S": "0.3",
        "DATABASE_URL": (
            f"postgres://{real_postgres.user}:{real_postgres.password}@{real_postgres.host}:{real_postgres.port}/"
            f"{real_postgres.create_database(f'dokploy_{port}')}"
        ),
        "BETTER_AUTH_SECRET_FILE": str(tmp_path / "secret"),
        "PORT": str(port),
    }
    with running([sys.executable, "-m", "standin.dokploy", "start"], log=log, env=env, cwd=tmp_path) as process:
        wait_until(lambda: "listening" in log.read_text(), "dokploy", process=process, log=log, seconds=30)
        yield port


def test_dokploys_administrator_and_key(dokploy: int, monkeypatch: pytest.MonkeyPatch) -> None:
    container = placed(monkeypatch, Container(ports={3000: dokploy}))
    asked: dict[str, Any] = {"email": EMAIL, "password": PASSWORD}
    assert whats(own(dokploy_owner, check=True, **asked)) == ["administrator", "API key"]
    made = own(dokploy_owner, **asked)
    assert whats(made) == ["administrator", "API key"]

    container.sent.clear()
    assert own(dokploy_owner, **asked, api_key=made["api_key"])["changed"] is False
    assert {method for method, _path in container.sent} == {"GET"}
    anew = own(dokploy_owner, **asked)  # it could not be kept
    assert whats(anew) == ["API key"]
    assert whats(own(dokploy_owner, **asked, api_key=made["api_key"])) == ["API key"]  # the first one is gone

    refused = run_module(dokploy_owner, service="x", timeout=30, email=EMAIL, password="Another-password-7")
    assert "another password" in refused["msg"]
    refused = run_module(dokploy_owner, service="x", timeout=30, email="b@example.com", password=PASSWORD)
    assert "another administrator" in refused["msg"]


@pytest.mark.parametrize("died_after", [2, 3])
def test_a_run_that_died_in_dokploys_sign_up_is_completed(
    dokploy: int, died_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    container = placed(monkeypatch, Container(ports={3000: dokploy}, dies_after_writes=died_after))
    asked: dict[str, Any] = {"email": EMAIL, "password": PASSWORD}
    assert run_module(dokploy_owner, service="x", timeout=30, **asked)["failed"] is True
    container.dies_after_writes = None
    made = own(dokploy_owner, **asked)
    assert whats(made) == ["API key"]
    assert own(dokploy_owner, **asked, api_key=made["api_key"])["changed"] is False


# --- Odoo --------------------------------------------------------------------------------------------------------------


def test_odoos_modules_administrator_and_key(
    local: Callable[..., Callable[..., Executed]], real_postgres: Postgres, tmp_path: Path
) -> None:
    database = real_postgres.create_database(f"odoo_{os.getpid()}")
    config = tmp_path / "odoo.conf"
    config.write_text(
        f"[options]\ndb_host = {real_postgres.host}\ndb_port = {real_postgres.port}\n"
        f"db_user = {real_postgres.user}\ndb_password = {real_postgres.password}\n",
        encoding="utf-8",
    )
    execute = local({"odoo": "odoo"})
    server: dict[str, Any] = {
        "database": database,
        "user": real_postgres.user,
        "password": real_postgres.password or "none",
    }

    def missing(*names: str) -> tuple[bool, list[str]]:
        answer = own(odoo_modules_info, modules=list(names), **server)
        return answer["initialised"], answer["missing"]

    assert missing(*MODULES) == (False, MODULES)
    done = execute("odoo", f"--config={config}", "-d", database, "-i", ",".join(MODULES), "--stop-after-init")
    assert done.code == 0, done.stderr
    assert missing(*MODULES) == (True, [])
    assert missing(*MODULES, "crm") == (True, ["crm"])

    asked: dict[str, Any] = {
        "database": database,
        "config": str(config),
        "email": EMAIL,
        "password": PASSWORD,
        "company": "SmarterCL",
    }
    all_of_it = ["administrator's login", "administrator's password", "main company", "service user", "API key"]
    assert whats(own(odoo_database, check=True, **asked)) == all_of_it
    made = own(odoo_database, **asked)
    assert whats(made) == all_of_it
    assert own(odoo_database, **asked, api_key=made["api_key"])["changed"] is False
    assert whats(own(odoo_database, **asked)) == ["API key"]


# --- Chatwoot --------------------------------------------------------------------------------------------------------


class Keys(socketserver.StreamRequestHandler):
    """As much of Redis as one flag needs."""

    kept: ClassVar[dict[str, str]] = {}

    def handle(self) -> None:
        while count := self.rfile.readline():
            words = [self._word() for _number in range(int(count[1:]))]
            self.wfile.write(self._answer(*words).encode())

    def _word(self) -> str:
        length = int(self.rfile.readline()[1:])
        return self.rfile.read(length + 2)[:-2].decode()

    def _answer(self, verb: str, *words: str) -> str:
        if verb == "GET":
            value = self.kept.get(words[0])
            return "$-1\r\n" if value is None else f"${len(value)}\r\n{value}\r\n"
        if verb == "DEL":
            return f":{int(self.kept.pop(words[0], None) is not None)}\r\n"
        if verb == "SET":
            self.kept[words[0]] = words[1]
        return "+OK\r\n"


@pytest.fixture
def redis(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(Keys, "kept", {})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Keys) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_chatwoots_super_admin_and_token(
    local: Callable[..., Callable[..., Executed]], real_postgres: Postgres, redis: int
) -> None:
    execute = local(
        {"bundle": "chatwoot"},
        STANDIN_VERSION="v3.13.0",
        SECRET_KEY_BASE="x" * 64,
        POSTGRES_HOST=real_postgres.host,
        POSTGRES_PORT=str(real_postgres.port),
        POSTGRES_USERNAME=real_postgres.user,
        POSTGRES_PASSWORD=real_postgres.password,
        POSTGRES_DATABASE=real_postgres.create_database(f"chatwoot_{os.getpid()}"),
        REDIS_URL=f"redis://127.0.0.1:{redis}/1",
    )
    assert execute("bundle", "exec", "rails", "db:chatwoot_prepare").code == 0
    asked: dict[str, Any] = {"email": EMAIL, "password": PASSWORD}
    all_of_it = ["super admin", "open set-up page", "platform app"]
    foretold = own(chatwoot_installation, check=True, **asked)
    assert (whats(foretold), "platform_token" in foretold) == (all_of_it, False)
    made = own(chatwoot_installation, **asked)
    assert whats(made) == all_of_it
    again = own(chatwoot_installation, **asked)
    assert (again["changed"], again["platform_token"]) == (False, made["platform_token"])
    changed = own(chatwoot_installation, email=EMAIL, password="Another-password-7")
    assert whats(changed) == ["password of the super admin"]
