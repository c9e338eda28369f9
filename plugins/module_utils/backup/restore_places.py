# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What a restore brings back, one by one: a database or a folder, filled beside the one that is there, looked at, and put in
its place. Each step looks at what is there first, so that it can be asked for again after an interruption.
"""

from __future__ import annotations

import shutil
import typing as t
from dataclasses import dataclass, field, replace
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import checks, redis, volumes
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.checks import Check
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.manifest import (
    DATABASE,
    FOLDER,
    GLOBALS,
    REDIS,
    Manifest,
    Part,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.postgresql import PostgresError, Server
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restic import Repository, ResticError
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restore_plan import sibling
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import EngineError, Executed

RESTORE, BEFORE = "restore", "before"
GLOBALS_FILE = "globals.sql"

Json = dict[str, t.Any]


@dataclass(frozen=True)
class Source:
    """A backup in the repository that it is read from. ``snapshots``: ids there by the ids that the manifest tells."""

    repository: Repository
    manifest: Manifest
    snapshots: t.Mapping[str, str]
    _roles: dict[str, str] = field(default_factory=dict, init=False, repr=False, compare=False)

    def free(self) -> None:
        """Take away the locks of runs that were killed: a check's or a prune's would keep us out. Only under the machine's lock."""
        try:
            self.repository.unlock()
        except ResticError:
            if not self.repository.elsewhere:
                raise  # a place elsewhere that lets nothing be removed can be read all the same, or says why not

    def snapshot(self, part: Part) -> str:
        """The snapshot of a part, in this repository."""
        return self.snapshots.get(part.snapshot, part.snapshot)

    def stream(self, part: Part, filename: str, argv: t.Sequence[str], env: t.Mapping[str, str]) -> Executed:
        """Stream a part's file into a program."""
        return self.repository.stream_into(self.snapshot(part), filename, list(argv), env)

    def globals_of(self, server: str) -> str:
        """The roles of a server as they were dumped: filed with whichever service came first. Empty where there are none.

        Read once: each of its databases asks, and a snapshot never changes.
        """
        if server not in self._roles:
            part = next((each for each in self.manifest.parts if (each.kind, each.name) == (GLOBALS, server)), None)
            read = self.repository.read(self.snapshot(part), GLOBALS_FILE).decode() if part else ""
            self._roles[server] = read
        return self._roles[server]


class Place(t.Protocol):
    """Where something is brought back to."""

    service: str
    what: str  # for messages

    def describe(self) -> Json:
        """What the journal keeps of it."""

    def fill(self, source: Source, part: Part) -> None:
        """Bring the backup's data beside what is there; what an earlier attempt left goes first."""

    def look(self, part: Part) -> list[Check]:
        """What was filled, against what the backup says."""

    def switch(self) -> None:
        """Put what was filled in its place, and what was there aside."""

    def back(self) -> None:
        """Put what was there in its place again, where it was put aside."""

    def discard(self) -> None:
        """Remove what was filled and is not in its place."""

    def tidy(self) -> None:
        """Remove what was put aside."""


class DatabasePlace:
    """A database. ``existed``: whether there was one of this name before."""

    def __init__(self, service: str, name: str, server: Server, backup: str, *, existed: bool) -> None:
        self.service = service
        self.name = name
        self.what = f"database {name}"
        self.filled = sibling(name, RESTORE, backup)
        self._aside = sibling(name, BEFORE, backup)
        self._server = server
        self._existed = existed

    def describe(self) -> Json:
        """What the journal keeps of it."""
        kept = {"service": self.service, "kind": DATABASE, "name": self.name}
        return {**kept, "server": self._server.service, "existed": self._existed}

    def fill(self, source: Source, part: Part) -> None:
        """Made as the one that is there, or, where there is none, as the backup's was."""
        if self._aside in self._server.databases():
            if not self._existed:
                raise PostgresError(f"{self._aside} is there and {self.name} is not: rename it by hand, or drop it")
            self.tidy()  # of an earlier restore of this backup: it must not be taken for what is there now
        fill_database(self._server, self.filled, source, part, like=self.name if self._existed else "")

    def look(self, part: Part) -> list[Check]:
        """Rows of the counted tables."""
        return checks.rows(self.name, part.counts, self._server.counts(self.filled, list(part.counts)))

    def rows(self, query: str) -> list[str]:
        """What a query says of the restored data."""
        return self._server.rows(f"{query};", self.filled)

    def switch(self) -> None:
        """All names change at once; connections to either are ended."""
        there = self._server.databases()
        if self.filled not in there and (self._aside if self._existed else self.name) not in there:
            raise PostgresError(f"the restored {self.what} is not there any more")
        if self.filled in there:
            aside = [(self.name, self._aside)] if self._existed and self.name in there else []
            self._server.rename(*aside, (self.filled, self.name))
        self._server.open(self.name)

    def back(self) -> None:
        """Decided by the names that are there: without the filled one it is in the other's place."""
        there = self._server.databases()
        if self._existed:
            if self._aside in there:
                forward = [(self.name, self.filled)] if self.name in there and self.filled not in there else []
                self._server.rename(*forward, (self._aside, self.name))
            self._server.open(self.name)
        elif self.name in there and self.filled not in there:
            self._server.rename((self.name, self.filled))

    def discard(self) -> None:
        """Gone, half full or full."""
        self._server.drop(self.filled)

    def tidy(self) -> None:
        """What was there before goes."""
        self._server.drop(self._aside)


class FolderPlace:
    """A folder: of a volume, of the machine, or of a Redis. ``existed``: whether there was one before.

    ``volume``: the Docker volume that it belongs to, if any.
    """

    def __init__(
        self, service: str, kind: str, name: str, folder: Path, backup: str, *, existed: bool, volume: str = ""
    ) -> None:
        self.service = service
        self.kind = kind
        self.volume = volume
        self.name = name
        self.folder = folder
        self.what = f"{kind} {name}"
        self.filled = _beside(kind, folder, volumes.restored(folder, backup))
        self._aside = _beside(kind, folder, volumes.before(folder, backup))
        self._existed = existed

    def describe(self) -> Json:
        """What the journal keeps of it."""
        kept = {"service": self.service, "kind": self.kind, "name": self.name}
        return {**kept, "folder": str(self.folder), "volume": self.volume, "existed": self._existed}

    def fill(self, source: Source, part: Part) -> None:
        """On the same file system, so that switching is a rename."""
        if self._aside.is_dir():
            if not self._existed:
                raise volumes.VolumeError(
                    f"{self._aside} is there and {self.folder} is not: rename it by hand, or remove it"
                )
            self.tidy()  # of an earlier restore of this backup: it must not be taken for what is there now
        self.discard()
        fill_folder(self.filled, source, part)

    def look(self, part: Part) -> list[Check]:
        """Files, bytes, owner."""
        return look_at_folder(self.filled, part)

    def switch(self) -> None:
        """By renaming."""
        if self._existed:
            volumes.swap(self.folder, self.filled, self._aside)
        elif self.filled.is_dir():
            self.filled.rename(self.folder)
        elif not self.folder.is_dir():
            raise volumes.VolumeError(f"the restored {self.what} is not there any more")

    def back(self) -> None:
        """By renaming, where it was put aside."""
        if self._existed:
            if self._aside.is_dir():
                volumes.swap(self.folder, self._aside, self.filled)
        elif self.folder.is_dir() and not self.filled.is_dir():
            self.folder.rename(self.filled)

    def discard(self) -> None:
        """Gone, half full or full."""
        remove(self.filled)

    def tidy(self) -> None:
        """What was there before goes."""
        remove(self._aside)


def fill_database(server: Server, name: str, source: Source, part: Part, like: str = "") -> None:
    """Bring a dump into a new database: its roles first, then one as it was made, then its content. Raises PostgresError."""
    server.drop(name)
    server.create_roles(source.globals_of(server.service))
    shape = (server.shape(like) if like else {}) or dict(part.shape)
    if not shape:
        raise PostgresError(f"how the database {part.name} was made is told neither by the server nor by the backup")
    server.create(name, shape)
    done = source.stream(part, f"{part.name}.dump", server.restore_argv(name), server.env)
    if done.code != 0:
        said = " ".join(done.stderr.split())[-600:]
        raise PostgresError(f"pg_restore of {part.name} ended with {done.code}: {said}", done.code)
    server.analyze(name)


def fill_folder(folder: Path, source: Source, part: Part) -> None:
    """Bring files into a new folder, with owners, modes and times."""
    folder.mkdir(mode=0o700, parents=True)
    source.repository.restore(source.snapshot(part), folder)
    if part.kind == REDIS:
        redis.check(folder)
        redis.settle(folder, part.root)
    volumes.give_root(folder, part.root)


def look_at_folder(folder: Path, part: Part) -> list[Check]:
    """What is in a restored folder, against what the backup says. Of a Redis its server is the judge, when it starts."""
    found = checks.measured(str(folder))
    told = replace(part, files=found.files, bytes=found.bytes) if part.kind == REDIS else part
    return checks.tree(f"{part.kind} {part.name}", told, found)


def refer(service: str, told: t.Mapping[str, int], below: str, paths: t.Iterable[str], folder: Path) -> list[Check]:
    """Whether the files are in a restored folder that a restored database refers to."""
    wanted = {"/".join(filter(None, (below.strip("/"), path.strip("/")))) for path in paths}
    return checks.references(service, told, wanted, lambda path: (folder / path).exists())


def remove(folder: Path) -> None:
    """Remove a folder and all in it; one that is not there is fine. Raises OSError."""
    if folder.is_dir() and not folder.is_symlink():
        shutil.rmtree(folder)


def _beside(kind: str, folder: Path, name: Path) -> Path:
    """Folders of the machine may stand beside each other, so theirs bear their own name as well."""
    return name.with_name(f"{name.name}-{folder.name}") if kind == FOLDER else name


FAILURES = (PostgresError, volumes.VolumeError, redis.RedisError, ResticError, EngineError, OSError)
