"""`postgresql_databases` on a real PostgreSQL: only the way into the container is replaced, by a psql of this machine."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Executed
from ansible_collections.smartercl.smarteros.plugins.modules import postgresql_databases as module
from real import postgres
from unit.plugins.wire import run_module

PASSWORDS = {"db_core": "one-" + "a" * 30, "db_n8n": "two-'\"\\$" + "b" * 30, "db_chat": "three-" + "c" * 30}
ROLES: list[dict[str, Any]] = [
    {"name": "db_core", "password": PASSWORDS["db_core"], "databases": ["db_core"], "connections": -1},
    {"name": "db_n8n", "password": PASSWORDS["db_n8n"], "databases": ["db_n8n"], "connections": 3},
    {"name": "db_chat", "password": PASSWORDS["db_chat"], "databases": ["db_chat", "db-chat-old"], "connections": 9},
]
EXTENSIONS = {"db_chat": ["pg_trgm", "pgcrypto"], "db_n8n": ["uuid-ossp"], "never-made": ["pgcrypto"]}


@dataclass
class Container:
    """Stands for the Engine; what is run in the container runs here, as the cluster's superuser over TCP."""

    server: postgres.Postgres
    calls: list[tuple[list[str], str, dict[str, str]]] = field(default_factory=list)

    def container_of(self, service: str) -> str | None:
        return "c0ffee" if service == "postgresql_postgresql" else None

    def execute(
        self,
        container: str,
        argv: Sequence[str],
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        user: str | None = None,
        timeout_s: float = 0,
    ) -> Executed:
        self.calls.append((list(argv), stdin.decode(), dict(env or {})))
        known = {"PGHOST": self.server.host, "PGPORT": str(self.server.port), "PGPASSWORD": self.server.password}
        psql = str(self.server.bin / "psql")
        done = subprocess.run(
            [psql, *argv[1:]], input=stdin, capture_output=True, env={**os.environ, **known, **(env or {})}, check=False
        )
        return Executed(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.fixture
def container(real_postgres: postgres.Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[Container]:
    """The server as the module finds it, and empty again afterwards."""
    stand_in = Container(real_postgres)
    monkeypatch.setattr(module, "Engine", lambda _socket: stand_in)
    yield stand_in
    with admin(real_postgres) as connection:
        for database in ("db_core", "db_n8n", "db_chat", "db-chat-old"):
            connection.execute(f'drop database if exists "{database}"')
        for role in ("db_core", "db_n8n", "db_chat", "db_stranger"):
            connection.execute(f'drop role if exists "{role}"')


def admin(server: postgres.Postgres, database: str = "postgres") -> psycopg.Connection[Any]:
    return login(server, database, server.user, server.password)


def login(server: postgres.Postgres, database: str, user: str, password: str) -> psycopg.Connection[Any]:
    return psycopg.connect(
        host=server.host, port=server.port, dbname=database, user=user, password=password, autocommit=True
    )


def run(container: Container, check: bool = False, **more: Any) -> dict[str, Any]:
    """The module's result; the superuser is the test cluster's."""
    given = {
        "service": "postgresql_postgresql",
        "roles": ROLES,
        "extensions": EXTENSIONS,
        "superuser": container.server.user,
        "timeout": 0,
        **more,
    }
    return run_module(module, check, **given)


def test_each_service_gets_a_role_and_databases_of_its_own(container: Container) -> None:
    answer = run(container)
    assert answer["changed"], answer
    assert [change["what"] for change in answer["changes"]] == [
        "role db_core",
        "role db_n8n",
        "role db_chat",
        "database db_core",
        "database db_n8n",
        "extension uuid-ossp in db_n8n",
        "database db_chat",
        "extension pg_trgm in db_chat",
        "extension pgcrypto in db_chat",
        "database db-chat-old",
    ]
    for role in ROLES:
        for database in role["databases"]:
            with login(container.server, database, role["name"], PASSWORDS[role["name"]]) as connection:
                connection.execute("create table own (id int)")
                flags = connection.execute(
                    "select rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls, rolconnlimit"
                    " from pg_roles where rolname = current_user"
                ).fetchone()
                assert flags == (False, False, False, False, False, role["connections"])
    with admin(container.server, "db_chat") as connection:
        rows = connection.execute("select extname from pg_extension order by 1").fetchall()
    assert [row[0] for row in rows] == ["pg_trgm", "pgcrypto", "plpgsql"]


def test_nobody_opens_another_services_database(container: Container) -> None:
    run(container)
    for user, password in PASSWORDS.items():
        for database in ("db_core", "db_n8n", "db_chat", "db-chat-old"):
            if database in next(role["databases"] for role in ROLES if role["name"] == user):
                continue
            with pytest.raises(psycopg.OperationalError, match="permission denied"):
                login(container.server, database, user, password)


def test_a_second_run_asks_once_and_changes_nothing(container: Container) -> None:
    run(container)
    container.calls.clear()
    answer = run(container)
    assert (answer["changed"], answer["changes"], len(container.calls)) == (False, [], 1)


def test_check_mode_foretells_exactly_what_is_done(container: Container) -> None:
    foretold = run(container, check=True)
    with admin(container.server) as connection:
        assert connection.execute("select count(*) from pg_roles where rolname = 'db_n8n'").fetchone() == (0,)
    done = run(container)
    assert (foretold["changes"], foretold["diff"]) == (done["changes"], done["diff"])


def test_what_was_changed_by_hand_is_put_right_and_strangers_are_left_alone(container: Container) -> None:
    run(container)
    with admin(container.server) as connection:
        connection.execute("create role db_stranger superuser login")
        connection.execute("alter role db_n8n superuser createdb connection limit 99 valid until '2001-01-01'")
        connection.execute("alter role db_chat password 'guessed'")
        connection.execute("alter database db_n8n owner to db_stranger")
        connection.execute("grant connect on database db_chat to public")
    told = {change["what"]: (change["before"], change["after"]) for change in run(container)["changes"]}
    assert set(told) == {"role db_n8n", "password of role db_chat", "database db_n8n", "database db_chat"}
    assert told["role db_n8n"][0] == {
        "login": True,
        "connections": 99,
        "rolsuper": True,
        "rolcreatedb": True,
        "expires": True,
    }
    for user in ("db_n8n", "db_chat"):
        login(container.server, user, user, PASSWORDS[user]).close()
    assert run(container)["changes"] == []
    with admin(container.server) as connection:
        assert connection.execute("select rolsuper from pg_roles where rolname = 'db_stranger'").fetchone() == (True,)


def test_the_superusers_password_follows_the_vault(container: Container) -> None:
    changes = run(container, superuser_password="kept-in-the-vault", roles=[])["changes"]
    assert [change["what"] for change in changes] == [f"password of role {container.server.user}"]
    with login(container.server, "postgres", container.server.user, "kept-in-the-vault") as connection:
        connection.execute(f"alter role {container.server.user} password '{container.server.password}'")


def test_an_extension_that_the_server_lacks_is_an_error_before_anything_is_done(container: Container) -> None:
    wanted = {"db_chat": ["pgcrypto", "no_such_thing"]}
    answer = run(container, extensions=wanted)
    assert (answer["failed"], answer["exit_code"], answer["changes"]) == (True, 3, [])
    assert "db_chat needs no_such_thing" in answer["msg"]
    with admin(container.server) as connection:
        assert connection.execute("select count(*) from pg_database where datname = 'db_chat'").fetchone() == (0,)
    answer = run(container, extensions=wanted, optional_extensions=["no_such_thing"])
    assert (answer["changed"], answer["left_out"]) == (True, ["no_such_thing"])


def test_a_failure_halfway_tells_what_was_done_and_the_next_run_completes_it(
    container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = module.planning.script
    monkeypatch.setattr(module.planning, "script", lambda steps: real(steps[:2]) + "SELECT 1/0;\n" + real(steps[2:]))
    answer = run(container)
    assert (answer["failed"], answer["exit_code"]) == (True, 1)
    assert [change["what"] for change in answer["changes"]] == ["role db_core", "role db_n8n"]
    assert "division by zero" in answer["msg"]
    monkeypatch.undo()
    monkeypatch.setattr(module, "Engine", lambda _socket: container)
    assert len(run(container)["changes"]) == 8
    assert run(container)["changes"] == []


def test_no_password_is_in_a_command_a_statement_a_result_or_the_servers_log(container: Container) -> None:
    with admin(container.server) as connection:
        connection.execute("alter system set log_statement = 'all'")
        connection.execute("select pg_reload_conf()")
        folder = Path(str(connection.execute("show data_directory").fetchone()[0])).parent  # type: ignore[index] # show gives one row
    try:
        told = [run(container), run(container, check=True)]
    finally:
        with admin(container.server) as connection:
            connection.execute("alter system reset log_statement")
            connection.execute("select pg_reload_conf()")
    written = (folder / "log").read_text()
    seen_by_others = repr(told) + repr([(argv, env) for argv, _stdin, env in container.calls])
    for password in PASSWORDS.values():
        assert password not in written + seen_by_others + "".join(stdin for _argv, stdin, _env in container.calls)
    assert "SCRAM-SHA-256" not in written + seen_by_others
