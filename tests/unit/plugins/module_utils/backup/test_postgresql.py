"""What is said to the server's programs, without a server: tests/real says the same to a real one."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import postgresql_sql as sql
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.postgresql import PostgresError, Server

GLOBALS = '''--
-- Roles
--
CREATE ROLE n8n;
ALTER ROLE n8n WITH NOSUPERUSER INHERIT NOCREATEROLE NOCREATEDB LOGIN NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 30;
ALTER ROLE n8n SET search_path TO 'uno', 'dos';
CREATE ROLE "n8n-lee ""todo""";
ALTER ROLE "n8n-lee ""todo""" WITH NOSUPERUSER;
CREATE ROLE postgres;
ALTER ROLE postgres WITH SUPERUSER;
GRANT n8n TO "n8n-lee ""todo""" GRANTED BY postgres;
GRANT pg_monitor TO postgres GRANTED BY postgres;
'''
SHAPE = {
    "owner": "n8n",
    "encoding": "UTF8",
    "collate": "es_CL.UTF-8",
    "ctype": "es_CL.UTF-8",
    "provider": "i",
    "locale": "es-CL",
    "rules": None,
    "connections": 12,
    "comment": "it's \\ ours",
    "grants": [
        ["n8n", "CREATE", False],
        ["lector", "CONNECT", True],
        ["gone", "CONNECT", False],
        ["", "CONNECT", True],
    ],
    "settings": [
        ["", ['search_path="$user", public, "a,""b"', "app.mode=it's"]],
        ["n8n", ["work_mem=8MB"]],
        ["gone", ["work_mem=1MB"]],
    ],
}


class Containers:
    """As much of an Engine as finding a server needs."""

    socket = "/run/docker.sock"

    def __init__(self, *env: str) -> None:
        self.env = env
        self.container: str | None = "c0ffee"
        self.asked = 0

    def container_of(self, _service: str) -> str | None:
        self.asked += 1
        return self.container

    def get(self, path: str) -> Any:
        assert path == f"/containers/{self.container}/json"
        return {"Config": {"Env": ["PATH=/bin", *self.env]}}


def test_names_and_texts_are_quoted_whatever_is_in_them() -> None:
    assert sql.name('a"b') == '"a""b"'
    assert sql.text("it's") == "'it''s'"
    assert sql.text("a\\'b") == "E'a\\\\''b'"


def test_a_database_is_made_as_the_other_one_was() -> None:
    assert sql.create("n8n_new", SHAPE) == (
        "CREATE DATABASE \"n8n_new\" WITH TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'es_CL.UTF-8' LC_CTYPE 'es_CL.UTF-8'"
        " LOCALE_PROVIDER icu ICU_LOCALE 'es-CL' OWNER \"n8n\";\n"
    )
    older = {**SHAPE, "provider": None, "locale": None}
    assert "PROVIDER" not in sql.create("n8n_new", older)
    assert "BUILTIN_LOCALE 'C.UTF-8'" in sql.create("x", {**SHAPE, "provider": "b", "locale": "C.UTF-8"})


def test_rights_and_settings_are_said_of_roles_that_are_there() -> None:
    lines = sql.dress("new", SHAPE, {"n8n", "lector"}).splitlines()
    assert lines == [
        'REVOKE ALL ON DATABASE "new" FROM PUBLIC, "n8n";',
        'GRANT CREATE ON DATABASE "new" TO "n8n";',
        'GRANT CONNECT ON DATABASE "new" TO "lector" WITH GRANT OPTION;',
        'GRANT CONNECT ON DATABASE "new" TO PUBLIC;',
        "ALTER DATABASE \"new\" SET \"search_path\" TO '$user', 'public', 'a,\"b';",
        'ALTER DATABASE "new" SET "app"."mode" TO \'it\'\'s\';',
        'ALTER ROLE "n8n" IN DATABASE "new" SET "work_mem" TO \'8MB\';',
        'ALTER DATABASE "new" CONNECTION LIMIT 12;',
        "COMMENT ON DATABASE \"new\" IS E'it''s \\\\ ours';",
    ]


def test_only_missing_roles_are_made() -> None:
    missing, script = sql.roles_of(GLOBALS, {"postgres", "n8n"})
    assert missing == ['n8n-lee "todo"']
    assert script.splitlines() == [
        'CREATE ROLE "n8n-lee ""todo""";',
        'ALTER ROLE "n8n-lee ""todo""" WITH NOSUPERUSER;',
        'GRANT n8n TO "n8n-lee ""todo""" GRANTED BY postgres;',
    ]
    assert sql.roles_of(GLOBALS, {"postgres", "n8n", 'n8n-lee "todo"'})[0] == []
    assert "ALTER ROLE n8n SET search_path" in sql.roles_of(GLOBALS, {"postgres"})[1]


def test_programs_run_inside_the_container_as_its_own_account() -> None:
    engine: Any = Containers("POSTGRES_USER=dokploy")
    server = Server(engine, "dokploy_dokploy-postgres")
    inside = ["docker", "exec", "-i", "-u", "postgres", "-e", "PGAPPNAME=smarteros-backup", "c0ffee"]
    dump = server.dump_argv("dokploy", "0003-1")
    assert dump[:8] == inside
    assert dump[8:11] == ["pg_dump", "-Fc", "-Z0"]
    assert dump[-5:] == ["-U", "dokploy", "--snapshot=0003-1", "-d", "dokploy"]
    assert "--no-role-passwords" in server.globals_argv()
    assert server.restore_argv("new")[8:] == ["pg_restore", "--exit-on-error", "-U", "dokploy", "-d", "new"]
    assert server.env["DOCKER_HOST"] == "unix:///run/docker.sock"
    assert engine.asked == 1
    engine.container = "decaf"
    assert "c0ffee" in server.dump_argv("x")
    server.forget()
    assert "decaf" in server.dump_argv("x")


def test_a_server_that_does_not_run_is_said() -> None:
    engine: Any = Containers()
    assert Server(engine, "postgresql_postgresql").superuser == "postgres"
    engine.container = None
    server = Server(engine, "postgresql_postgresql")
    assert not server.present
    with pytest.raises(PostgresError, match="no running container of postgresql_postgresql"):
        server.dump_argv("n8n")
