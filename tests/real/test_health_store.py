"""The collector's tables on a real PostgreSQL: made twice, written twice, asked, cleaned."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.place import Place
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.postgresql import PostgresError, Server
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine
from ansible_collections.smartercl.smarteros.plugins.module_utils.health import rows, schema
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.book import Book
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.config import Rules
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.incident import DOWN, UP, Observation, Subject
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.store import Store
from real import postgres

ZONE = ZoneInfo("America/Santiago")
ODD = "Pan $q$ y 'Sal'\\; DROP TABLE health.days; --"
SHOP = Subject("tenant:76000001-1", "tenant", ODD, tenant="76000001-1", target=99.5)
N8N = Subject("service:n8n", "service", "n8n", service="n8n", target=99.9)
NOW = int(datetime.now(UTC).timestamp()) // 3600 * 3600


@pytest.fixture
def database(real_postgres: postgres.Postgres) -> str:
    name = f"health_{os.urandom(4).hex()}"
    return real_postgres.create_database(name)


@pytest.fixture
def store(real_postgres: postgres.Postgres, database: str) -> Store:
    known = {"PGHOST": real_postgres.host, "PGPORT": str(real_postgres.port), "PGPASSWORD": real_postgres.password}
    path = f"{real_postgres.bin}{os.pathsep}{os.environ['PATH']}"
    here = Place(environment={**known, "PATH": path})
    return Store(Server(Engine(), "postgresql", here, real_postgres.user), database)


def asked(server: postgres.Postgres, database: str, query: str) -> list[Any]:
    with psycopg.connect(
        host=server.host, port=server.port, user=server.user, password=server.password, dbname=database
    ) as connection:
        return connection.execute(query.encode()).fetchall()


def lived(days: int) -> list[rows.Rows]:
    """Looks at a service and a shop every five minutes; the shop is down for an hour, in the middle of the last day but one."""
    book, parts, begin = Book(), [], NOW - days * 86400
    for at in range(begin, NOW + 1, 300):
        broken = NOW - 86400 - 43200 <= at < NOW - 86400 - 43200 + 3600
        seen = [
            Observation(SHOP, DOWN if broken else UP, "it's down" if broken else "", 20),
            Observation(N8N, UP, "", 5),
        ]
        parts.append(rows.of_ended(book.take(seen, at, Rules(), ZONE)))
    return [*parts, rows.of_book(book, {"cpu_percent": 12.5}, NOW)]


def test_a_month_gives_exact_figures_however_often_it_is_written(
    store: Store, real_postgres: postgres.Postgres, database: str
) -> None:
    for _time in ("made", "there"):
        store.ready()
    parts = lived(30)
    for _time in ("once", "and again, as after a crash"):
        store.write(parts)
    sums = asked(
        real_postgres,
        database,
        "SELECT subject, sum(up_s), sum(down_s), sum(unknown_s), max(target) FROM health.v_availability GROUP BY 1 ORDER BY 1",
    )
    assert [tuple(float(each) if number else each for number, each in enumerate(row)) for row in sums] == [
        ("service:n8n", 30 * 86400, 0, 0, 99.9),
        (SHOP.key, 30 * 86400 - 3600, 3600, 0, 99.5),
    ]
    (incident,) = asked(real_postgres, database, "SELECT title, severity, what, minutes FROM health.v_incidents")
    assert incident == (ODD, "critical", "it's down", 60)
    (latency,) = asked(
        real_postgres, database, "SELECT count(*), min(avg_ms), max(max_ms) FROM health.v_latency WHERE kind = 'tenant'"
    )
    assert latency == (30 * 24 + 1, 20, 20)
    assert asked(real_postgres, database, "SELECT name, value FROM health.v_metrics") == [("cpu_percent", 12.5)]
    (state,) = asked(
        real_postgres, database, "SELECT title, state, latency_ms FROM health.v_status WHERE kind = 'tenant'"
    )
    assert state == (ODD, "up", 20)
    told = store.history(7, "America/Santiago")
    by_subject = {each["subject"]: each for each in told["subjects"]}
    assert by_subject[SHOP.key]["down_s"] == 3600
    assert by_subject["service:n8n"]["percent"] == 100
    assert [each["what"] for each in told["incidents"]] == ["it's down"]


def test_what_is_too_old_goes_by_whole_months(store: Store, real_postgres: postgres.Postgres, database: str) -> None:
    store.ready()
    old = NOW - 500 * 86400
    for at in (old, NOW):
        book = Book()
        book.take([Observation(N8N, UP)], at, Rules(), ZONE)
        store.write([rows.of_book(book, {"load1": 1.0}, at)])
    parts = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'health.hours'::regclass"
    assert asked(real_postgres, database, parts) == [(2,)]
    store.clean(NOW)
    assert asked(real_postgres, database, parts) == [(1,)]
    for table in ("hours", "days", "metrics"):
        assert asked(real_postgres, database, f"SELECT count(*) FROM health.{table}") == [(1,)]


def test_a_reader_sees_and_changes_nothing(store: Store, real_postgres: postgres.Postgres, database: str) -> None:
    store.ready()
    with psycopg.connect(
        host=real_postgres.host,
        port=real_postgres.port,
        user=real_postgres.user,
        password=real_postgres.password,
        dbname=database,
        autocommit=True,
    ) as connection:
        there = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (schema.READER,)).fetchone()
        if there is None:
            connection.execute(f"CREATE ROLE {schema.READER} LOGIN".encode())
        connection.execute(schema.made().encode())
        connection.execute(f"SET ROLE {schema.READER}".encode())
        assert connection.execute("SELECT count(*) FROM health.v_status").fetchone() == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DELETE FROM health.days")
        connection.execute("RESET ROLE")
        if there is None:
            connection.execute(f"DROP OWNED BY {schema.READER}; DROP ROLE {schema.READER}".encode())


def test_before_the_first_look_there_is_no_history(store: Store) -> None:
    assert store.history(7, "America/Santiago") == {"days": 7, "subjects": [], "incidents": []}


def test_a_database_that_is_not_there_is_told(real_postgres: postgres.Postgres, store: Store) -> None:
    store._database = "never_made"
    with pytest.raises(PostgresError, match="never_made"):
        store.ready()
