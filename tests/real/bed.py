"""One machine as backups see it: a real PostgreSQL and restic, an Engine that is a fake, volumes that are real folders."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import take
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.config import Config
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.place import Place
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.postgresql import Server
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restic import Repository
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine
from real.postgres import Postgres
from real.swarm import Swarm


def server_of(postgres: Postgres) -> Server:
    """That server as the product's code reaches it."""
    where = {"PGHOST": postgres.host, "PGPORT": str(postgres.port), "PGPASSWORD": postgres.password}
    return Server(Engine("/nowhere"), "test", Place((), {**where, "PGAPPNAME": "smarteros-backup"}), postgres.user)


@contextmanager
def connected(postgres: Postgres, database: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection on which each statement is final at once."""
    with psycopg.connect(
        host=postgres.host,
        port=postgres.port,
        user=postgres.user,
        password=postgres.password,
        dbname=database,
        autocommit=True,
    ) as connection:
        yield connection


@dataclass(frozen=True)
class Bed:
    """A machine in that folder."""

    postgres: Postgres
    config: Config
    folder: Path

    @property
    def swarm(self) -> Swarm:
        return Swarm(self.folder / "volumes")

    @property
    def server(self) -> Server:
        return server_of(self.postgres)

    @property
    def ways(self) -> take.Ways:
        return take.Ways(
            repository=Repository(self.config.path, self.config.password_file, {}, str(self.folder / "cache")),
            server=lambda _name: self.server,
            last=self.folder / "last.json",
            verified=self.folder / "verified.json",
        )

    def take(self) -> str:
        """Back everything up; gives the id."""
        engine: Any = self.swarm
        taken = take.take(self.config, engine, [], ways=self.ways, reason="timer")
        assert taken.ok, taken.outcome
        return taken.manifest.id
