"""Dumps, counts, shapes and renames on a real PostgreSQL: what a backup takes and what a restore builds on."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.postgresql import PostgresError, Server
from real.bed import server_of
from real.postgres import Postgres

SHOP = """
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE EXTENSION IF NOT EXISTS citext;
CREATE SCHEMA tienda;
CREATE TABLE tienda.productos (id serial PRIMARY KEY, nombre text NOT NULL, correo citext, datos jsonb);
CREATE TABLE "Pedidos" (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, nota text);
CREATE INDEX ON tienda.productos USING gin (nombre gin_trgm_ops);
INSERT INTO tienda.productos (nombre, correo, datos)
  SELECT 'ñandú 🦙 ' || n || E'\\n línea', 'A' || n || '@example.com', jsonb_build_object('precio', n * 1.19)
  FROM generate_series(1, 2000) n;
INSERT INTO "Pedidos" (nota) SELECT repeat('日本語 ', 50) FROM generate_series(1, 500);
DELETE FROM "Pedidos" WHERE id > 400;
SELECT lo_from_bytea(4711, decode(repeat('00ff10', 100000), 'hex'));
"""


@pytest.fixture
def server(real_postgres: Postgres) -> Server:
    return server_of(real_postgres)


@contextmanager
def connected(postgres: Postgres, database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(
        host=postgres.host, port=postgres.port, user=postgres.user, password=postgres.password, dbname=database
    ) as connection:
        connection.autocommit = True
        yield connection


@pytest.fixture
def shop(real_postgres: Postgres, server: Server) -> Iterator[str]:
    """A database with everything that is easily lost."""
    server.drop("tienda", "tienda_2", "tienda_3")
    with connected(real_postgres, "postgres") as admin:
        for role in ("dueña", "lector", "contadora"):
            admin.execute(f'DROP ROLE IF EXISTS "{role}"')
            admin.execute(f'CREATE ROLE "{role}" LOGIN')
        admin.execute(
            "CREATE DATABASE tienda TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' OWNER \"dueña\""
        )
        admin.execute("REVOKE ALL ON DATABASE tienda FROM PUBLIC")
        admin.execute("GRANT CONNECT ON DATABASE tienda TO lector WITH GRANT OPTION")
        admin.execute("ALTER DATABASE tienda SET search_path TO public, tienda, \"$user\", ''")
        admin.execute("ALTER DATABASE tienda SET \"app.name\" TO 'it''s \\ here'")
        admin.execute("ALTER ROLE lector IN DATABASE tienda SET work_mem TO '7MB'")
        admin.execute("ALTER DATABASE tienda CONNECTION LIMIT 17")
        admin.execute("COMMENT ON DATABASE tienda IS 'la tienda'")
    with connected(real_postgres, "tienda") as connection:
        connection.execute(SHOP)
    yield "tienda"
    server.drop("tienda", "tienda_2", "tienda_3")
    with connected(real_postgres, "postgres") as admin:
        for role in ("dueña", "lector", "contadora"):
            admin.execute(f'DROP ROLE IF EXISTS "{role}"')


def copied(server: Server, source: str, snapshot: str, target: str) -> None:
    server.create(target, server.shape(source))
    dump = subprocess.Popen(server.dump_argv(source, snapshot), stdout=subprocess.PIPE, env=server.env)
    done = subprocess.run(server.restore_argv(target), stdin=dump.stdout, env=server.env, capture_output=True)
    assert dump.wait() == 0
    assert done.returncode == 0, done.stderr.decode()


def plain(server: Server, database: str) -> str:
    """A plain dump, which says everything of a database but its own name and shape."""
    words = server.place.argv("pg_dump", "-U", server.superuser, "-d", database)
    found = subprocess.run(words, check=True, capture_output=True, text=True, env=server.env).stdout
    return "\n".join(line for line in found.splitlines() if not line.startswith(("\\restrict", "\\unrestrict")))


def test_a_restored_database_is_the_same_in_everything_that_can_be_asked(server: Server, shop: str) -> None:
    with server.session(shop) as session:
        counted = session.counts(["tienda.productos", '"Pedidos"', "pg_class_not_there"])
        copied(server, shop, session.snapshot, "tienda_2")
    assert counted == {"tienda.productos": 2000, '"Pedidos"': 400}
    assert server.counts("tienda_2", list(counted)) == counted
    assert plain(server, shop) == plain(server, "tienda_2")
    assert "lo_create('4711')" in plain(server, "tienda_2")
    shape = server.shape("tienda_2")
    assert shape == server.shape(shop)
    assert shape["owner"] == "dueña"
    assert shape["connections"] == 17
    assert ["lector", "CONNECT", True] in shape["grants"]
    assert not [each for each in shape["grants"] if each[0] == ""]
    assert shape["settings"]


def test_what_is_written_during_a_dump_is_in_neither_the_counts_nor_the_dump(
    real_postgres: Postgres, server: Server, shop: str
) -> None:
    stop, turns = threading.Event(), threading.Semaphore(0)

    def write() -> None:
        with connected(real_postgres, shop) as connection:
            while not stop.is_set():
                connection.execute("INSERT INTO tienda.productos (nombre) SELECT 'otro' FROM generate_series(1, 20)")
                connection.execute("DELETE FROM tienda.productos WHERE id % 97 = 3")
                turns.release()

    def later_on() -> None:
        """Once as much has come that it is more than what went."""
        for _ in range(5):
            assert turns.acquire(timeout=300)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with server.session(shop) as session:
            counted = session.counts(["tienda.productos"])
            later_on()
            assert session.counts(["tienda.productos"]) == counted
            copied(server, shop, session.snapshot, "tienda_2")
            later_on()
        later = server.counts(shop, ["tienda.productos"])
    finally:
        stop.set()
        writer.join()
    assert server.counts("tienda_2", ["tienda.productos"]) == counted
    assert later != counted


def test_databases_change_names_all_or_none_and_throw_out_who_is_connected(
    real_postgres: Postgres, server: Server, shop: str
) -> None:
    server.create("tienda_2", server.shape(shop))
    with connected(real_postgres, shop) as connected_one:
        server.rename((shop, "tienda_3"), ("tienda_2", shop))
        with pytest.raises(psycopg.OperationalError):
            connected_one.execute("SELECT 1")
    assert server.counts("tienda_3", ['"Pedidos"']) == {'"Pedidos"': 400}
    assert server.counts(shop, ['"Pedidos"']) == {}
    with pytest.raises(PostgresError, match="does not exist"):
        server.rename((shop, "tienda_2"), ("not_there", shop))
    assert server.counts(shop, ['"Pedidos"']) == {}, "it has its name, and can be connected to"
    assert {"tienda", "tienda_3"} <= set(server.databases())
    assert "tienda_2" not in server.databases()


def test_roles_are_made_where_they_are_missing_and_left_alone_where_they_are_not(
    real_postgres: Postgres, server: Server, shop: str
) -> None:
    with connected(real_postgres, "postgres") as admin:
        admin.execute("ALTER ROLE contadora CONNECTION LIMIT 3 CREATEDB")
        admin.execute("ALTER ROLE contadora SET search_path TO 'uno', 'dos'")
        admin.execute("GRANT lector TO contadora")
        admin.execute("ALTER ROLE lector PASSWORD 'planted-secret'")
    dumped = subprocess.run(server.globals_argv(), check=True, capture_output=True, text=True, env=server.env).stdout
    assert "SCRAM" not in dumped
    with connected(real_postgres, "postgres") as admin:
        admin.execute("DROP ROLE contadora")
        admin.execute("ALTER ROLE lector CONNECTION LIMIT 9")
    assert server.create_roles(dumped) == ["contadora"]
    assert server.create_roles(dumped) == []
    with connected(real_postgres, "postgres") as admin:
        found = admin.execute(
            "SELECT rolname, rolconnlimit, rolcreatedb, rolconfig, pg_has_role('contadora', 'lector', 'MEMBER')"
            " FROM pg_roles WHERE rolname IN ('contadora', 'lector') ORDER BY 1"
        ).fetchall()
    assert found[0] == ("contadora", 3, True, ["search_path=uno, dos"], True)
    assert found[1][1] == 9


def test_a_session_tells_what_the_server_said(server: Server, shop: str) -> None:
    with server.session(shop) as session:
        assert session.rows("SELECT E'two\\nlines' UNION ALL SELECT '' ORDER BY 1;") == ["", "two\nlines"]
        with pytest.raises(PostgresError, match="does not exist"):
            session.rows("SELECT * FROM not_there;")
        with pytest.raises(PostgresError):
            session.rows("SELECT 1;")
    with pytest.raises(PostgresError, match="not_there"):
        server.session("not_there")


def test_what_a_dead_run_left_open_is_ended(server: Server, shop: str) -> None:
    left = server.session(shop)
    assert server.end_leftovers() == 1
    with pytest.raises(PostgresError):
        left.rows("SELECT 1;")
    left.close()
    assert server.end_leftovers() == 0


def test_a_database_needs_its_owner(server: Server, shop: str) -> None:
    with pytest.raises(PostgresError, match="role nobody-knows"):
        server.create("tienda_2", {**server.shape(shop), "owner": "nobody-knows"})
    assert server.shape("not_there") == {}
