# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""One service's part of a backup: its databases first, then its files. Files are only ever added, so whatever a row of the
dump refers to is in the copy of the files that is made after it.
"""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import guard, manifest, volumes
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.config import Config, ServiceData
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.machine import Seen
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.manifest import Manifest, Part, ServicePart
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.postgresql import (
    PostgresError,
    Server,
    Session,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.redis import FILE as RDB
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.redis import Redis, RedisError
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restic import (
    Incomplete,
    Repository,
    ResticError,
    Saved,
    SourceFailed,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine, EngineError

FAILURES = (PostgresError, volumes.VolumeError, RedisError, ResticError, SourceFailed, EngineError, OSError)
GLOBALS = "globals.sql"  # the stream's name in the repository
SMALL_VOLUME = 1 << 20

Say = t.Callable[[str], None]


class Doubted(Exception):
    """What was dumped cannot be all of it."""


@dataclass
class Around:
    """What all services of one backup have in common, and what is gathered on the way."""

    id: str
    config: Config
    engine: Engine
    repository: Repository
    server: t.Callable[[str], Server]
    redis: t.Callable[[str], Redis]
    say: Say
    accept_shrunk: bool = False
    before: t.Sequence[Manifest] = ()  # complete backups, newest first
    warnings: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    added: int = 0  # bytes that the repository grew by
    globals_done: set[str] = field(default_factory=set)  # servers whose roles are in this backup


class ServiceTaker:
    """Takes one service. Whatever fails ends this service's part and is told; the others go on."""

    def __init__(self, around: Around, data: ServiceData, seen: Seen | None) -> None:
        self._around = around
        self._data = data
        self._seen = seen
        self._parts: list[Part] = []
        self._wanted: set[str] = set()  # paths that rows refer to
        self._attachments: dict[str, int] = {}

    def take(self) -> ServicePart:
        """All of it, or as much as there is with what is wrong."""
        error = ""
        try:
            for database in self._data.databases:
                self._database(database)
            for volume in self._data.volumes:
                self._volume(volume)
            for folder in self._data.folders:
                self._folder(folder)
            if self._data.redis:
                self._redis()
        except (*FAILURES, Doubted) as exc:
            error = " ".join(str(exc).split()) or type(exc).__name__
        image, config = (self._seen.image, self._seen.config) if self._seen else ("", "")
        return ServicePart(tuple(self._parts), error, image, config, self._attachments)

    def _database(self, database: str) -> None:
        server = self._around.server(self._data.server)
        self._globals(server)
        began = time.monotonic()
        self._around.say(f"{self._data.name}: database {database}")
        shape = server.shape(database)
        if not shape:
            raise PostgresError(f"database {database} does not exist on {server.service}")
        tables = self._data.databases[database]
        with server.session(database) as session:
            counts = session.counts(tables)
            if self._can_refer(set(tables) - set(counts)):
                self._refer(database, session)
            saved = self._around.repository.backup_stream(
                server.dump_argv(database, session.snapshot),
                f"{database}.dump",
                self._around.config.host,
                self._tags(manifest.DATABASE, database),
                env=server.env,
            )
        for table in sorted(set(tables) - set(counts)):
            self._around.warnings.append(
                f"{self._data.name}: {database} has no table {table}: its rows were not counted"
            )
        self._add(manifest.DATABASE, database, saved, began, counts=counts, shape=shape)

    def _globals(self, server: Server) -> None:
        """Once for each server, filed with the first service that uses it."""
        if server.service in self._around.globals_done:
            return
        began = time.monotonic()
        self._around.versions[server.service] = server.version()
        saved = self._around.repository.backup_stream(
            server.globals_argv(),
            GLOBALS,
            self._around.config.host,
            self._tags(manifest.GLOBALS, server.service),
            env=server.env,
        )
        self._add(manifest.GLOBALS, server.service, saved, began)
        self._around.globals_done.add(server.service)

    def _can_refer(self, lacking: t.Collection[str]) -> bool:
        """An application that has not made its tables yet has no files either."""
        asked = self._data.attachments
        return asked is not None and not set(lacking) & set(asked.query.split())

    def _refer(self, database: str, session: Session) -> None:
        """Remember which files the rows of this very moment refer to."""
        asked = self._data.attachments
        if asked is not None and asked.database == database:
            below = asked.below.strip("/")
            self._wanted = {
                "/".join(filter(None, (below, path.strip("/")))) for path in session.rows(f"{asked.query};")
            }
            self._attachments = {"rows": len(self._wanted), "missing": 0}

    def _volume(self, volume: str) -> None:
        began = time.monotonic()
        self._around.say(f"{self._data.name}: volume {volume}")
        folder = volumes.mountpoint(self._around.engine, volume)
        left_out = self._data.leave_out.get(volume, ())
        saved = self._files(manifest.VOLUME, volume, folder, left_out, began)
        asked = self._data.attachments
        if asked is not None and asked.volume == volume and self._wanted:
            self._look_for_attachments(saved)

    def _look_for_attachments(self, saved: Saved) -> None:
        missing = set(self._wanted)
        for node in self._around.repository.ls(saved.snapshot):
            missing.discard(node.path.lstrip("/"))
        self._attachments["missing"] = len(missing)
        if missing:
            self._around.warnings.append(
                f"{self._data.name}: {len(missing)} of {len(self._wanted)} files that its database refers to do not exist,"
                f" for example {min(missing)}"
            )

    def _folder(self, name: str) -> None:
        began = time.monotonic()
        self._around.say(f"{self._data.name}: folder {name}")
        folder = Path(name)
        if not folder.is_dir():
            raise volumes.VolumeError(f"folder {name} does not exist")
        self._files(manifest.FOLDER, name, folder, self._data.leave_out.get(name, ()), began)

    def _files(self, kind: str, name: str, folder: Path, left_out: t.Sequence[str], began: float) -> Saved:
        root = volumes.root_of(folder)
        try:
            saved = self._around.repository.backup_folder(
                folder, self._around.config.host, self._tags(kind, name), list(left_out)
            )
        except Incomplete as exc:  # what could be read is there, and told as what it is
            self._add(kind, name, exc.saved, began, root=root)
            raise
        self._add(kind, name, saved, began, root=root)
        return saved

    def _redis(self) -> None:
        began = time.monotonic()
        self._around.say(f"{self._data.name}: queues in {self._data.redis}")
        redis = self._around.redis(self._data.redis)
        self._around.versions[redis.service] = redis.version()
        root = volumes.root_of(volumes.mountpoint(self._around.engine, redis.volume()))
        tags = self._tags(manifest.REDIS, redis.service)
        saved = self._around.repository.backup_stream(
            redis.dump_argv(), RDB, self._around.config.host, tags, env=redis.env
        )
        self._add(manifest.REDIS, redis.service, saved, began, root=root)

    def _tags(self, kind: str, name: str) -> list[str]:
        return manifest.tags(self._around.id, self._data.name, f"{kind}:{name}")

    def _add(self, kind: str, name: str, saved: Saved, began: float, **more: t.Any) -> None:
        """Keep what was saved, and doubt it where it is far less than the last time."""
        part = Part(
            kind, name, saved.snapshot, saved.bytes, saved.files, seconds=round(time.monotonic() - began, 3), **more
        )
        self._parts.append(part)
        self._around.added += saved.added
        last = self._last(part.key)
        if last is None or self._around.accept_shrunk or not _judged(last, part):
            return
        if guard.shrunk(last.bytes, part.bytes, self._around.config.floor_percent):
            raise Doubted(
                f"{kind} {name} shrunk from {guard.size(last.bytes)} to {guard.size(part.bytes)} since the last complete backup;"
                " if that is right: --accept-shrunk"
            )

    def _last(self, key: str) -> Part | None:
        for each in self._around.before:
            service = each.services.get(self._data.name)
            if service and not service.error:
                return next((part for part in service.parts if part.key == key), None)
        return None


def _judged(last: Part, now: Part) -> bool:
    """Queues are empty when all is well, and a small volume comes and goes; but none loses all of its files."""
    if now.kind == manifest.DATABASE:
        return True
    return now.kind == manifest.VOLUME and (last.bytes >= SMALL_VOLUME or not now.files)
