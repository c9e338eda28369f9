"""A dump of a project's database through its address, with a real `pg_dump` on a real PostgreSQL."""

from __future__ import annotations

import os
import subprocess
import time
from itertools import count
from pathlib import Path
from urllib.parse import quote

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import supabase_dump
from real.postgres import Postgres

PASSWORD = "Ñandú & p@ss=wörd/with #signs"
SQL = """
create schema auth; create schema vault; create schema smarteros;
create table public.tenants (id text primary key, name text);
insert into public.tenants values ('76086428-5', 'Ñuñoa {{ braces }}');
create table auth.users (id int primary key, email text);
insert into auth.users values (1, 'ana@example.com');
create table auth.sessions (id int primary key, secret text);
insert into auth.sessions values (1, 'session-of-yesterday');
create table vault.secrets (id int primary key, secret text);
insert into vault.secrets values (1, 'kept-by-supabase');
"""
_numbers = count()


def psql(server: Postgres, database: str, sql: str) -> str:
    env = {**os.environ, "PGPASSWORD": server.password}
    where = ["-h", server.host, "-p", str(server.port), "-U", server.user, "-d", database, "-v", "ON_ERROR_STOP=1"]
    done = subprocess.run(
        [str(server.bin / "psql"), *where, "-XAtq"], input=sql, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def url(real_postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a database with a password that needs care everywhere."""
    monkeypatch.setenv("PATH", f"{real_postgres.bin}{os.pathsep}{os.environ['PATH']}")
    number = next(_numbers)
    name, role = real_postgres.create_database(f"supabase_{number}"), f"owner_{number}"
    psql(real_postgres, name, SQL)
    psql(real_postgres, name, f"create role {role} superuser login password '{PASSWORD}'")
    return f"postgresql://{role}:{quote(PASSWORD, safe='')}@{real_postgres.host}:{real_postgres.port}/{name}?sslmode=prefer"


def test_the_dump_comes_back_as_it_was(url: str, real_postgres: Postgres) -> None:
    text = supabase_dump.dump(url, 60)
    for gone in ("session-of-yesterday", "kept-by-supabase", PASSWORD):
        assert gone not in text
    other = real_postgres.create_database(f"restored_{next(_numbers)}")
    psql(real_postgres, other, text)
    assert psql(real_postgres, other, "select name from public.tenants") == "Ñuñoa {{ braces }}"
    assert psql(real_postgres, other, "select email from auth.users") == "ana@example.com"
    assert psql(real_postgres, other, "select count(*) from auth.sessions") == "0"


def test_the_same_rows_give_the_same_text(url: str) -> None:
    first, second = supabase_dump.dump(url, 60), supabase_dump.dump(url, 60)
    assert strip(first) == strip(second)


def strip(text: str) -> list[str]:
    """Newer versions put a random word around each dump."""
    return [line for line in text.splitlines() if not line.startswith(("\\restrict ", "\\unrestrict "))]


def test_a_wrong_password_is_told_and_not_shown(url: str) -> None:
    with pytest.raises(ApiError) as told:
        supabase_dump.dump(url.replace(quote(PASSWORD, safe=""), "another-secret"), 60)
    assert told.value.kind == errors.REFUSED
    assert "another-secret" not in told.value.message + told.value.where


def test_nobody_there_is_told(url: str) -> None:
    with pytest.raises(ApiError) as told:
        supabase_dump.dump("postgresql://me:another-secret@127.0.0.1:9/postgres", 60)
    assert told.value.kind == errors.UNREACHABLE
    assert "another-secret" not in told.value.message


def test_a_project_that_is_too_large_is_refused(url: str) -> None:
    with pytest.raises(ApiError, match="is larger than"):
        supabase_dump.dump(url, 60, most=500)


def test_the_password_is_nowhere_to_be_seen_while_it_runs(
    url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A stand-in that looks at its own arguments, environment and service file."""
    tool = tmp_path / "pg_dump"
    tool.write_text('#!/bin/sh\ncat /proc/$$/cmdline /proc/$$/environ; echo; stat -Lc %a "$PGSERVICEFILE"\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    text = supabase_dump.dump(url, 60)
    assert PASSWORD not in text
    assert quote(PASSWORD, safe="") not in text
    assert text.rstrip().endswith("\n600")


def test_one_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tool = tmp_path / "pg_dump"
    tool.write_text("#!/bin/sh\nexec sleep 600\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    began = time.monotonic()
    with pytest.raises(ApiError, match=r"did not end within 0\.5 s"):
        supabase_dump.dump("postgresql://me@127.0.0.1/postgres", 0.5)
    assert time.monotonic() - began < 60


def test_a_server_that_is_newer_than_the_tool_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tool = tmp_path / "pg_dump"
    tool.write_text("#!/bin/sh\necho 'pg_dump: error: aborting because of server version mismatch' >&2; exit 1\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(ApiError, match="install a pg_dump that is as new as the server"):
        supabase_dump.dump("postgresql://me@127.0.0.1/postgres", 60)


@pytest.mark.parametrize(
    "wrong", ["", "mysql://a@b/c", "postgresql://", "postgresql://a:b@c:port/d", "postgresql://a:b%0Ac@d/e"]
)
def test_an_address_that_is_none_is_refused(wrong: str) -> None:
    with pytest.raises(ApiError, match="database address"):
        supabase_dump.dump(wrong, 60)
