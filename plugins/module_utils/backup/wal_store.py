# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Where base backups and archived segments are kept: a restic repository of their own inside each place of the backups. So
neither waits for the other's lock, and backups are listed as fast as ever however many segments there are.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
import typing as t
from dataclasses import dataclass, replace
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import restic, wal_plan
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.config import Config
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restic import Repository, ResticError, Snapshot
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restic_told import LOCKED
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.wal_plan import Base, Held, Piece

FOLDER = "wal"  # of a repository, inside the other one's place
MARK = "smos-wal"
BASE, STREAM, PIECE = (
    "base",
    "stream",
    "piece",
)  # a base is told by a small snapshot that comes after its stream is whole
BASE_FILE = "base.tar"
GATE = Path("/var/lib/smarteros/backup/wal.lock")
POLL_S = 0.2
_BUCKETS = ("b2:", "azure:", "gs:", "swift:")  # a colon, and no slash, ends the name of the bucket


class Shut(Exception):
    """Another process works on the archive."""


@dataclass(frozen=True)
class Places:
    """The repositories: on this machine, and elsewhere by name."""

    local: Repository
    remotes: t.Mapping[str, Repository]


def places(config: Config) -> Places:
    """As the configuration says."""
    return Places(inside(restic.local(config)), {name: inside(one) for name, one in restic.remotes(config).items()})


def inside(repository: Repository) -> Repository:
    """The archive's repository of a place."""
    where = repository.location
    bucket = where.startswith(_BUCKETS) and where.count(":") == 1
    return replace(repository, location=f"{where.rstrip('/')}{':' if bucket else ''}/{FOLDER}")


def ready(repository: Repository, like: Repository | None = None) -> None:
    """Make it where it is not there yet; on this machine also free it of runs that were killed. Raises ResticError."""
    if repository.exists() and not repository.elsewhere:
        repository.unlock()
    if not repository.exists():
        if not repository.elsewhere:
            Path(repository.location).mkdir(mode=0o700, parents=True, exist_ok=True)
        repository.init(like)


def held(repository: Repository) -> Held:
    """What a repository has; one that was not made yet has nothing. Raises ResticError."""
    return of(repository.snapshots(MARK)) if repository.exists() else Held()


def of(snapshots: t.Iterable[Snapshot]) -> Held:
    """What these snapshots are, by their tags; what has other tags than ours, or is only half of a base, is left out."""
    every = list(snapshots)
    streams = {name: each.id for each in every if each.tags.get("kind") == STREAM for name in (each.id, each.original)}
    bases: list[Base] = []
    pieces: list[Piece] = []
    for each in every:
        told = each.tags
        with contextlib.suppress(KeyError, ValueError):
            if told["kind"] == PIECE:
                until = float(told["until"])
                line, first, last = _numbers(told, "timeline", "first", "last")
                pieces.append(Piece(each.id, told["system"], line, first, last, until))
            elif told["kind"] == BASE:
                line, first, size = _numbers(told, "timeline", "first", "bytes")
                stream = streams[told["stream"]]
                bases.append(Base(stream, told["system"], line, first, float(told["at"]), size, each.id))
    return Held(tuple(bases), tuple(pieces))


def _numbers(told: t.Mapping[str, str], *names: str) -> list[int]:
    return [int(told[name]) for name in names]


def tags(kind: str, **told: str | int) -> list[str]:
    """The tags of a snapshot."""
    return [MARK, f"kind={kind}", *(f"{name}={value}" for name, value in told.items())]


def copy(where: Places, *kinds: str) -> dict[str, str]:
    """Copy to each remote what of these kinds it lacks, one kind after the other; gives why not, by name of the remote."""
    if not where.remotes:
        return {}
    here = where.local.snapshots(MARK)
    wanted = [each for kind in kinds for each in here if each.tags.get("kind") == kind]
    failed = {}
    for name, remote in where.remotes.items():
        try:
            ready(remote, where.local)
            there = {each.original for each in remote.snapshots(MARK)}
            lacking = [each for each in wanted if each.original not in there]
            if lacking:
                for kind in kinds:  # what tells of a base comes after it
                    where.local.copy_to(remote, [each.id for each in lacking if each.tags["kind"] == kind])
                there = {each.original for each in remote.snapshots(MARK)}
            lost = [each for each in wanted if each.original not in there]
            if lost:
                failed[name] = f"{len(lost)} of {len(lacking)} snapshots did not arrive"
        except ResticError as exc:
            failed[name] = exc.message
            if exc.kind == LOCKED:
                _free(remote)
    return failed


def _free(remote: Repository) -> None:
    """Of a run that was killed: the next one catches up. Not asked each time, because all that is elsewhere takes long."""
    with contextlib.suppress(ResticError):
        remote.unlock()


def let_go(repository: Repository, keep_days: int, now: float) -> int:
    """Remove what no moment of the last so many days needs; gives how many snapshots. Raises ResticError.

    Only with the gate shut to others: removing data needs the repository for itself.
    """
    if not repository.exists():
        return 0
    there = repository.snapshots(MARK)
    known = of(there)
    told = {each.snapshot for each in known.bases}
    halves = [each.id for each in there if each.tags.get("kind") == STREAM and each.id not in told]
    gone = [*wal_plan.to_forget(known, keep_days, now), *halves]
    if gone:
        repository.forget(gone)
        repository.prune()
    return len(gone)


@contextlib.contextmanager
def gate(patience_s: float, path: Path = GATE) -> t.Iterator[None]:
    """Be the only one who writes to the archive; the kernel opens it again however this ends. Raises Shut."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    until = time.monotonic() + patience_s
    try:
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise Shut("another run works on the archive") from None
                time.sleep(POLL_S)
        yield
    finally:
        os.close(fd)
