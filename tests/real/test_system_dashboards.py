"""The founder's dashboards on a real PostgreSQL: the role that reads, the figures of a day, and the SQL of every card."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.place import Place
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.postgresql import Server
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine
from ansible_collections.smartercl.smarteros.plugins.module_utils.health import rows
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.book import Book
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.config import Rules
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.incident import DOWN, UP, Observation, Subject
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.store import Store
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import metabase_dashboards as dashboards
from ansible_collections.smartercl.smarteros.plugins.modules import daily_figures, postgresql_databases
from real import postgres
from real.test_postgresql_databases import Container
from unit.plugins.wire import run_module

SPECS = Path(__file__).parents[2] / "specs" / "dashboards"
BOARDS = dashboards.of(dashboards.load(str(SPECS)), dashboards.SYSTEM)
CARDS = {card.name: card.sql for board in BOARDS for card in board.cards}
PASSWORD = "only-reads-" + "r" * 20
NOW = int(datetime.now(UTC).timestamp()) // 3600 * 3600
YESTERDAY = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}"
ODD = "Pan $q$ y 'Sal'\\; DROP TABLE health.figures; --"
SHOP = Subject("tenant:76000001-1", "tenant", ODD, tenant="76000001-1", target=99.5)
N8N = Subject("service:n8n", "service", "n8n", service="n8n", target=99.9)
TENANTS: list[dict[str, Any]] = [
    {
        "id": "76000001-1",
        "slug": "pan",
        "name": ODD,
        "phase": "active",
        "plan": "growth",
        "services": {
            "shopify": {"orders": 3, "totals": {"CLP": "41000", "USD": "12.50"}},
            "odoo": {"orders": 2, "totals": {"CLP": "40000"}},
            "chatwoot": {"opened": 4, "resolved": 3, "first_response_s": None},
        },
    },
    {
        "id": "76086428-5",
        "slug": "acme",
        "name": "Acme Corp",
        "phase": "suspended",
        "plan": "starter",
        "services": {"shopify": {"unknown": "no answer"}, "n8n": {"failed": 2}},
    },
]


@dataclass
class Bed:
    """A database of the cluster, the role that reads, and both modules as they find the server."""

    server: postgres.Postgres
    database: str
    role: str
    store: Store
    patch: pytest.MonkeyPatch

    def read(self, check: bool = False) -> dict[str, Any]:
        self.patch.setattr(postgresql_databases, "Engine", lambda _socket: Container(self.server))
        role = {"name": self.role, "password": PASSWORD, "reads": {self.database: "health"}}
        known = {"service": "postgresql_postgresql", "superuser": self.server.user, "timeout": 0}
        return run_module(postgresql_databases, check, roles=[role], **known)

    def figures(self, check: bool = False, tenants: Any = None) -> dict[str, Any]:
        self.patch.setattr(daily_figures, "Server", lambda *_words: self.store._server)
        options = {"date": YESTERDAY, "database": self.database, "tenants": TENANTS if tenants is None else tenants}
        return run_module(daily_figures, check, **options)

    def asked(self, query: str, user: str = "", password: str = "") -> list[tuple[Any, ...]]:
        with psycopg.connect(
            host=self.server.host,
            port=self.server.port,
            dbname=self.database,
            user=user or self.server.user,
            password=password or self.server.password,
        ) as connection:
            return connection.execute(query.encode()).fetchall()

    def as_reader(self, query: str) -> list[tuple[Any, ...]]:
        return self.asked(query, self.role, PASSWORD)


@pytest.fixture
def bed(real_postgres: postgres.Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bed]:
    word = os.urandom(4).hex()
    database, role = real_postgres.create_database(f"boards_{word}"), f"reader_{word}"
    known = {"PGHOST": real_postgres.host, "PGPORT": str(real_postgres.port), "PGPASSWORD": real_postgres.password}
    here = Place(environment={**known, "PATH": f"{real_postgres.bin}{os.pathsep}{os.environ['PATH']}"})
    store = Store(Server(Engine(), "postgresql", here, real_postgres.user), database)
    made = Bed(real_postgres, database, role, store, monkeypatch)
    store._server.rows(f'REVOKE ALL ON DATABASE "{database}" FROM PUBLIC;')
    yield made
    store._server.rows(f'DROP DATABASE "{database}" WITH (FORCE);\nDROP ROLE IF EXISTS "{role}";')


def lived(store: Store) -> None:
    """Two days in which a shop was down for an hour, a service is down now, and the disk fills up."""
    book, parts = Book(), []
    for at in range(NOW - 2 * 86400, NOW + 1, 600):
        broken = NOW - 86400 <= at < NOW - 86400 + 3600
        seen = [
            Observation(SHOP, DOWN if broken else UP, "it's down" if broken else "", 20),
            Observation(N8N, DOWN if at > NOW - 3600 else UP, "", 5),
        ]
        parts.append(rows.of_ended(book.take(seen, at, Rules(every_s=600), ZoneInfo("America/Santiago"))))
    figures = {"cpu_percent": 12.5, "memory_percent": 40.0, "disk_percent": 71.0, "load1": 0.5}
    store.write([*parts, rows.of_book(book, figures, NOW)])


def test_every_card_runs_with_the_rights_of_its_role_and_shows_something(bed: Bed) -> None:
    bed.store.ready()
    assert bed.read()["changed"]
    for name, sql in CARDS.items():
        assert isinstance(bed.as_reader(sql), list), name  # an installation of today has nothing to show yet
    lived(bed.store)
    assert bed.figures()["changed"]
    empty = [name for name, sql in CARDS.items() if not bed.as_reader(sql)]
    assert empty == ["Certificados, tokens y respaldos"]
    assert bed.as_reader(CARDS["Caídos ahora"]) == [(1,)]
    assert [row[0] for row in bed.as_reader(CARDS["Lo que no está bien"])] == ["n8n"]
    sold = bed.as_reader(CARDS["Tiendas que más vendieron en 30 días"])
    assert [(row[0], row[1], row[2], float(row[3]), row[4]) for row in sold] == [
        (ODD, "CLP", "shopify", 41000, 1),
        (ODD, "USD", "shopify", 12.5, 1),
        (ODD, "CLP", "odoo", 40000, 1),
    ]
    assert sorted(bed.as_reader(CARDS["Clientes por plan"])) == [("growth", 1), ("starter", 1)]
    columns = {name: sql for board in BOARDS for card in board.cards for name, sql in [(card.name, card)]}
    for name, card in columns.items():
        named = [word for key in ("graph.dimensions", "graph.metrics") for word in card.settings.get(key, [])]
        named += [card.settings[key] for key in ("pie.dimension", "pie.metric") if key in card.settings]
        assert all(f'AS "{word}"' in card.sql for word in named), name


def test_the_role_reads_and_nothing_more(bed: Bed) -> None:
    foretold = bed.read(check=True)
    assert [change["what"] for change in foretold["changes"]] == [
        f"role {bed.role}",
        f"what role {bed.role} may read of {bed.database}.health",
    ]
    assert bed.read()["changes"] == foretold["changes"]
    assert not bed.read()["changed"]  # there is no schema yet
    bed.store.ready()
    assert bed.read()["changed"]
    assert not bed.read()["changed"]
    lived(bed.store)  # makes partitions, which it may read without another run
    assert not bed.read()["changed"]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        bed.as_reader("DELETE FROM health.figures RETURNING 1")
    assert PASSWORD not in str(foretold)


def test_the_figures_of_a_day_are_written_once_and_follow_what_is_known(bed: Bed) -> None:
    told = bed.figures()
    assert (told["changed"], told["rows"]) == (False, 12)
    assert "not there yet" in told["message"]
    bed.store.ready()
    foretold, done = bed.figures(check=True), bed.figures()
    assert foretold["changes"] == done["changes"]
    assert foretold["diff"] == done["diff"]
    assert done["changes"][0]["after"] == {"rows": 12, "new": 12, "altered": 0, "gone": 0}
    assert not bed.figures()["changed"]
    assert bed.asked("SELECT count(*), count(DISTINCT tenant) FROM health.figures") == [(12, 2)]
    later = [{**TENANTS[0], "plan": "pro", "services": {"shopify": {"orders": 2, "totals": {"CLP": "41000"}}}}]
    changed = bed.figures(tenants=later)["changes"][0]["after"]
    assert changed == {"rows": 11, "new": 1, "altered": 1, "gone": 2}  # the dollars and the plan; Odoo was not told of
    assert bed.asked("SELECT value FROM health.figures WHERE service = 'odoo' AND measure = 'amount'") == [(40000,)]
