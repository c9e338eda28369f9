# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Archiving what a PostgreSQL server writes, all the time: segments that it has put into its archive folder go into the
repository and then away from there, and now and then a copy of the whole server, from which the segments lead on.

The server itself is only asked to end its segment; nothing in it waits for us. Where nobody fetches segments, its archive
command lets them go beyond a number of files, rather than fill the disk: that is told, and a new copy is taken.
"""

from __future__ import annotations

import json
import math
import shutil
import struct
import time
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import guard, volumes, wal_plan, wal_store
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.config import Config, Wal
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.postgresql import PostgresError, Server
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restic import Repository, ResticError
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.wal_plan import Held
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.wal_store import BASE, PIECE, STREAM, Places
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine, EngineError

OUT = ".out"  # in the archive folder: what is on its way into the repository
LOST = ".lost"  # there: the archive command has let segments go
ARRIVE_S = 90.0  # after a failure the server itself waits a minute
POLL_S = 0.1
LATE_S = 300.0  # the least after which somebody is told
ANSWER_S = 60.0
_HEADER = struct.Struct(
    "<HHIQIxxxxQII"
)  # of a segment's first page: …, its server's number, its size, the size of a page

_STATE = """
SELECT json_build_object('system', (SELECT system_identifier::text FROM pg_control_system()), 'mode', current_setting('archive_mode'),
  'segment', pg_walfile_name(pg_current_wal_insert_lsn()), 'now', extract(epoch FROM clock_timestamp()));
"""
# A transaction that is known by number leaves a mark: recovery up to a moment only ends at one that was committed later
_END = """
BEGIN;
SELECT pg_current_xact_id();
SELECT extract(epoch FROM now());
COMMIT;
SELECT pg_walfile_name(pg_current_wal_insert_lsn());
SELECT pg_switch_wal();
"""

Say = t.Callable[[str], None]


class WalError(Exception):
    """Something is not archived; the text is for the operator."""


@dataclass(frozen=True)
class Archive:
    """A server, the folder into which it archives, and where that goes. ``root``: owner and mode that the folder must have."""

    wal: Wal
    host: str
    server: Server
    folder: Path
    where: Places
    root: t.Mapping[str, int] = field(default_factory=dict)
    gate: Path = wal_store.GATE


@dataclass(frozen=True)
class Mark:
    """All that was committed before ``at`` is in segments up to ``segment``."""

    system: str
    timeline: int
    segment: str
    at: float


@dataclass(frozen=True)
class Pushed:
    """What came of it. ``until``: all that was committed before is in the repository of this machine (0: not known)."""

    segments: int = 0
    until: float = 0.0
    due: str = ""  # why a new base backup is to be taken
    problems: t.Sequence[str] = ()


def archive(config: Config, engine: Engine) -> Archive:
    """Of this machine. Raises VolumeError and EngineError."""
    wal = config.wal
    root = volumes.root_of(volumes.mountpoint(engine, wal.data))
    folder = volumes.mountpoint(engine, wal.volume)
    return Archive(wal, config.host, Server(engine, wal.server), folder, wal_store.places(config), root)


def push(own: Archive, *, now: float | None = None, say: Say = lambda _text: None) -> Pushed:
    """Have the server end its segment, and bring what it has archived into the repositories.

    Raises Shut where another run is at it, WalError, ResticError and OSError where nothing can be kept at all.
    """
    with wal_store.gate(own.wal.every_s, own.gate):
        prepare(own)
        problems: list[str] = []
        mark = _ended(own, problems)
        lost = (own.folder / LOST).exists()
        segments = _fetched(own, mark, say)
        if lost:
            problems.append("the archive was full, and the server has let segments go: a new base backup is needed")
        known = wal_store.held(own.where.local)
        copied = wal_store.copy(own.where, PIECE)
    problems += [f"copy to {name}: {why}" for name, why in copied.items()]
    moment = time.time() if now is None else now
    due = (
        wal_plan.due(known, mark.system, mark.timeline, moment, (own.wal.base_days + 1) * wal_plan.DAY_S)
        if mark
        else ""
    )
    until = max((each.until for each in known.pieces), default=0.0)
    if moment - until > late_after(own.wal) and known.bases:
        problems.insert(0, f"nothing was archived since {wal_plan.stamp(until)}")
    elif mark and not lost and not copied:
        problems.clear()  # it was slow, and it is there
    return Pushed(segments, until, due, problems)


def base(own: Archive, *, now: t.Callable[[], float] = time.time, say: Say = lambda _text: None) -> Held:
    """Copy the whole server into the repository, let go what is no longer needed, and copy that elsewhere.

    The caller holds the lock of the machine. Raises WalError, SourceFailed, ResticError, PostgresError, EngineError, Shut.
    """
    prepare(own)
    local = own.where.local
    _room(local, sum(own.server.databases().values()))
    problems: list[str] = []
    with wal_store.gate(own.wal.every_s, own.gate):
        (own.folder / LOST).unlink(missing_ok=True)
        mark = _ended(own, problems)  # nobody takes its segment away meanwhile
    if mark is None or problems:
        raise WalError("; ".join(problems))
    say("a copy of the whole server")
    first = wal_plan.number(mark.segment)
    about: dict[str, str | int] = {"system": mark.system, "timeline": mark.timeline, "first": first}
    argv = own.server.place.argv(
        "pg_basebackup", "-D", "-", "-Ft", "-X", "none", "-c", "fast", "-U", own.server.superuser
    )
    saved = local.backup_stream(argv, wal_store.BASE_FILE, own.host, wal_store.tags(STREAM, **about), own.server.env)
    whole = {**about, "at": math.ceil(now()), "bytes": saved.bytes, "stream": saved.snapshot}
    local.backup_bytes(b"\n", wal_store.BASE_FILE, own.host, wal_store.tags(BASE, **whole))
    with wal_store.gate(own.wal.every_s, own.gate):
        wal_store.let_go(local, own.wal.keep_days, now())
    failed = wal_store.copy(own.where, STREAM, BASE, PIECE)
    with wal_store.gate(own.wal.every_s, own.gate):
        for name, remote in own.where.remotes.items():
            if name not in failed:
                wal_store.let_go(remote, own.wal.keep_days, now())
    if failed:
        raise WalError("; ".join(f"copy to {name}: {why}" for name, why in failed.items()))
    return wal_store.held(local)


def prepare(own: Archive) -> None:
    """The folder belongs to the server's account, and the repository is there. Raises OSError, ResticError and WalError."""
    if volumes.root_of(own.folder) != dict(own.root):
        volumes.give_root(own.folder, own.root)
    wal_store.ready(own.where.local)
    free = shutil.disk_usage(own.where.local.location).free
    if free < guard.LEAST_FREE:
        raise WalError(
            f"{guard.size(free)} are free where the archive is kept, and {guard.size(guard.LEAST_FREE)} must be"
        )


def late_after(wal: Wal) -> float:
    """Seconds after which nothing having been archived is told."""
    return max(LATE_S, 2.0 * wal.every_s)


def system_of(segment: Path) -> str:
    """The number of the server that wrote a segment. Raises WalError for what is none."""
    with segment.open("rb") as file:
        head = file.read(_HEADER.size)
    try:
        _magic, info, _line, _address, _rest, system, size, _page = _HEADER.unpack(head)
    except struct.error:
        size = info = system = 0
    if size != wal_plan.SEGMENT_BYTES or not info & 2 or segment.stat().st_size != size:
        raise WalError(f"{segment.name} is no whole segment of {guard.size(wal_plan.SEGMENT_BYTES)}")
    return str(system)


def _room(local: Repository, data: int) -> None:
    why = guard.enough_space(shutil.disk_usage(local.location).free, None, data)
    if why:
        raise WalError(why)


def _ended(own: Archive, problems: list[str]) -> Mark | None:
    """Have the server end its segment, and wait until that is in the folder; None where the server cannot be asked."""
    try:
        state = json.loads(own.server.rows(_STATE, timeout_s=ANSWER_S)[0])
        if state["mode"] == "off":
            raise WalError("the server does not archive yet: deploy it, smos deploy backend")
        found = [each for each in own.server.rows(_END, timeout_s=ANSWER_S) if each]
    except (PostgresError, EngineError) as exc:
        problems.append(f"the server does not answer: {' '.join(str(exc).split())}")
        return None
    segment = next(each for each in found if wal_plan.SEGMENT.match(each))
    mark = Mark(state["system"], wal_plan.timeline(segment), segment, math.floor(float(found[1])))
    until = time.monotonic() + ARRIVE_S
    while not (own.folder / segment).exists():
        if time.monotonic() > until:
            problems.append(f"the server has not archived {segment} within {ARRIVE_S:.0f} s: its log says why")
            break
        time.sleep(POLL_S)
    return mark


def _fetched(own: Archive, mark: Mark | None, say: Say) -> int:
    """Bring the segments in the folder into the repository, and away from there; gives how many."""
    out = own.folder / OUT
    out.mkdir(mode=0o700, exist_ok=True)
    for left in out.iterdir():  # of a run that was cut off
        left.replace(own.folder / left.name)
    names = [each.name for each in own.folder.iterdir()]
    beside = [name for name in names if wal_plan.BESIDE.match(name)]
    by_system: dict[str, list[str]] = {}
    for name in names:
        if wal_plan.SEGMENT.match(name):
            by_system.setdefault(system_of(own.folder / name), []).append(name)
    count = 0
    for system, mine in by_system.items():
        for run in wal_plan.runs(mine):
            for name in (*run, *beside):
                (own.folder / name).replace(out / name)
            _kept(own, out, system, run, mark)
            beside = []
            count += len(run)
            say(f"{len(run)} segments up to {run[-1]}")
    return count


def _kept(own: Archive, out: Path, system: str, run: t.Sequence[str], mark: Mark | None) -> None:
    """A run of segments becomes a snapshot; what is listed there, whole, goes from here."""
    within = mark is not None and mark.system == system and mark.segment in run
    told: dict[str, str | int] = {
        "system": system,
        "timeline": wal_plan.timeline(run[0]),
        "first": wal_plan.number(run[0]),
        "last": wal_plan.number(run[-1]),
        "until": int(mark.at) if mark and within else 0,
    }
    saved = own.where.local.backup_folder(out, own.host, wal_store.tags(PIECE, **told))
    listed = {each.path.lstrip("/"): each.size for each in own.where.local.ls(saved.snapshot) if each.type == "file"}
    for each in list(out.iterdir()):
        if listed.get(each.name) != each.stat().st_size:
            raise ResticError(f"{each.name} is not in the repository as it was archived")
        each.unlink()
