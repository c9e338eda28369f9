# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Taking a backup: what was asked for and runs here, service by service, then the manifest that makes a backup of it, then
what makes it trustworthy: a check, copies elsewhere, and room for the next one.

A service that fails never stops the others; the backup says so itself, for as long as it exists.
"""

from __future__ import annotations

import contextlib
import difflib
import shutil
import time
import typing as t
from dataclasses import asdict, dataclass
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import (
    catalogue,
    copies,
    guard,
    job,
    journal,
    machine,
    manifest,
    restic,
    retention,
    sweep,
    take_files,
    volumes,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.config import Config, ServiceData
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.manifest import Manifest, ServicePart
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.postgresql import PostgresError, Server
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.redis import Redis
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.refused import (
    AGAIN,
    INVALID,
    UNSAFE,
    UNUSABLE,
    Refused,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restic import Repository, ResticError
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restic_told import ABSENT
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.take_files import Files
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.take_service import Around, ServiceTaker
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine, EngineError
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row

ALL = "all"
RESTORING = ("restore", "rollback")  # reasons of a backup that is part of a restore: nothing is let go meanwhile
SCHEDULED = ("asked", "timer")  # those that are copied at once; whoever waits for another one waits for something else

Json = dict[str, t.Any]
Say = t.Callable[[str], None]
Made = t.TypeVar("Made")


@dataclass(frozen=True)
class Taken:
    """A backup that was taken, whole or in part. ``added``: bytes that the repository grew by."""

    manifest: Manifest
    verified: bool
    copies: t.Sequence[copies.CopyOutcome] = ()
    warnings: t.Sequence[str] = ()
    errors: t.Sequence[Json] = ()
    added: int = 0
    removed: t.Sequence[str] = ()  # ids of backups that retention let go
    swept: t.Sequence[str] = ()  # ids of runs that had died
    notes: t.Sequence[str] = ()

    @property
    def ok(self) -> bool:
        """Whether it is complete and was verified. A copy that did not arrive is a warning: the next run catches up."""
        return self.verified and not self.errors and self.manifest.state == manifest.COMPLETE

    def to_json(self) -> Json:
        """As commands report it."""
        return {
            "backup": self.manifest.id,
            "state": self.manifest.state,
            "services": {name: _told(each) for name, each in self.manifest.services.items()},
            "bytes": self.manifest.size,
            "files": self.manifest.files,
            "added": self.added,
            "verified": self.verified,
            "copies": [asdict(each) for each in self.copies],
            "removed": list(self.removed),
            "warnings": list(self.warnings),
            "notes": list(self.notes),
        }

    @property
    def outcome(self) -> job.Outcome:
        """In one sentence."""
        bad = [f"{each['what']}: {each['why']}" for each in self.errors]
        late = [f"not copied to {each.remote}: {each.error}" for each in self.copies if each.error]
        message = "; ".join([*bad, *late]) or "complete"
        held = sorted(self.held) if self.verified and not late else []
        return job.Outcome(self.ok and not late, message, self.manifest.id, self.added, held)

    @property
    def held(self) -> set[str]:
        """The services that are whole in it."""
        whole = {name for name, each in self.manifest.services.items() if not each.error}
        return whole.difference(manifest.BY_HAND)


@dataclass(frozen=True)
class Ways:
    """How repository and servers are reached, where that is otherwise than the configuration says: in tests, in a drill."""

    repository: Repository | None = None
    server: t.Callable[[str], Server] | None = None
    redis: t.Callable[[str], Redis] | None = None
    remotes: t.Mapping[str, Repository] | None = None
    last: Path = job.LAST
    verified: Path = catalogue.VERIFIED
    machine: t.Sequence[str] = take_files.OF_MACHINE


def take(
    config: Config,
    engine: Engine,
    wanted: t.Sequence[str],
    *,
    reason: str = "asked",
    run: str = "",
    accept_shrunk: bool = False,
    accounts: Files | None = None,
    progress: Say = lambda _text: None,
    ways: Ways | None = None,
) -> Taken:
    """Take a backup of these services (none, or ``all``: of all that run here). Only under the lock: see `job.alone`.

    With all of them, or where they are named, also what `take_files` describes. ``accounts``: what the control node read.
    Raises Refused, ResticError where the repository cannot be used, and EngineError where there is no Engine.
    """
    the_ways = ways or Ways()
    began = time.time()
    here = machine.look(engine)
    notes: list[str] = []
    chosen = choose(config, here, wanted, notes)
    beside = choose_files(wanted, accounts, the_ways.machine)
    notes += [note for each in beside for note in each.notes]
    if reason not in RESTORING and (half := journal.unfinished()):
        raise Refused(half, UNSAFE, "Run that command first")
    repository = _opened(config, the_ways)
    there = catalogue.listing(repository, config.host)
    swept = sweep.sweep(repository, there)
    warnings: list[str] = []
    before = _before(config, chosen, [there.held[each].manifest for each in there.whole], reason, the_ways, warnings)
    around = Around(
        id=manifest.new_id(began, {*there.held, *there.unread, *there.loose}),
        config=config,
        engine=engine,
        repository=repository,
        server=_once(the_ways.server or (lambda name: Server(engine, name))),
        redis=_once(the_ways.redis or (lambda name: Redis(engine, name))),
        say=progress,
        accept_shrunk=accept_shrunk,
        before=before,
        warnings=warnings,
    )
    sweep.end_sessions([around.server(name) for name in sorted({each.server for each in chosen if each.databases})])
    need_room(
        config,
        lambda: sum(size(engine, around.server, each) for each in chosen) + sum(each.size for each in beside),
        the_ways.last,
    )
    services = {each.name: ServiceTaker(around, each, here.get(each.name)).take() for each in chosen}
    done = {each.name: take_files.take(around, each) for each in beside}
    services |= {name: part for name, (part, _rows) in done.items()}
    whole = Manifest(
        id=around.id,
        environment=config.environment,
        release=config.release,
        machine=machine.name(),
        services=services,
        reason=reason,
        run=run,
        seconds=round(time.time() - began, 1),
        versions=around.versions,
        keys={key: config.fingerprints[key] for each in chosen for key in each.keys if key in config.fingerprints},
    )
    known = {name: rows for name, (_part, rows) in done.items()}
    return _End(around, whole, the_ways, swept, notes, known).reach()


def choose(
    config: Config, here: t.Mapping[str, machine.Seen], wanted: t.Sequence[str], notes: list[str]
) -> list[ServiceData]:
    """The services to take: those asked for, or all that are on this machine. Raises Refused."""
    asked = [] if ALL in wanted else list(dict.fromkeys(wanted))
    names = [name for name in asked if name not in manifest.BY_HAND]
    if asked and not names:
        return []
    for name in names:
        if name not in config.services:
            near = difflib.get_close_matches(name, config.services, 3) or sorted(config.services)
            raise Refused(
                f"there is no backup of a service {name}: known are {', '.join(near)}", INVALID, "Name one of them"
            )
        if not _is_here(config.services[name], here):
            raise Refused(f"{name} does not run on this machine", UNUSABLE, f"Deploy it first: smos deploy {name}")
    found = []
    for name, each in config.services.items():
        if names and name not in names:
            continue
        if _is_here(each, here):
            found.append(each)
        else:
            notes.append(f"{name} does not run on this machine and is not in this backup")
    if not found:
        raise Refused("nothing that is backed up runs on this machine", UNUSABLE, "Deploy first: smos deploy backend")
    return found


def choose_files(
    wanted: t.Sequence[str], accounts: Files | None, patterns: t.Sequence[str] = take_files.OF_MACHINE
) -> list[Files]:
    """What goes along beside the services. Raises Refused."""
    return take_files.choose(wanted, not wanted or ALL in wanted, accounts, patterns)


def _before(
    config: Config,
    chosen: t.Sequence[ServiceData],
    own: t.Sequence[Manifest],
    reason: str,
    ways: Ways,
    warnings: list[str],
) -> list[Manifest]:
    """The backups, newest first, that this one is held against.

    Until a machine has scheduled backups of its own it asks the other places as well: one that was made anew after a disaster
    has empty databases, and a backup of those must not pass for the newest of what was lost. What goes nowhere else (the
    backup before a deploy) is not held up by that.
    """
    known = [each for each in own if each.reason in SCHEDULED]
    have = {name for each in known for name, part in each.services.items() if not part.error}
    if reason not in SCHEDULED or not config.remotes or have.issuperset(each.name for each in chosen):
        return list(own)
    for name, repository in (restic.remotes(config) if ways.remotes is None else ways.remotes).items():
        try:
            there = catalogue.listing(repository, config.host)
        except ResticError as exc:
            if exc.kind != ABSENT:
                warnings.append(f"whether this holds less than the backups at {name} is not known: {exc.message}")
        else:
            known += [there.held[each].manifest for each in there.whole]
    return sorted(known, key=lambda each: each.id, reverse=True)


def _is_here(data: ServiceData, here: t.Mapping[str, machine.Seen]) -> bool:
    if data.name in here:
        return True
    only_folders = data.folders and not (data.databases or data.volumes or data.redis)
    return bool(only_folders) and any(Path(each).is_dir() for each in data.folders)


def _opened(config: Config, ways: Ways) -> Repository:
    """The repository, made where there has never been one. One that is gone is not made anew: its disk may not be mounted."""
    repository = ways.repository or restic.local(config)
    if repository.exists():
        repository.unlock()
    else:
        good = job.read_last(ways.last).get(job.BACKUP, {}).get("good")
        if good:
            raise Refused(
                f"the repository at {config.path} is gone; backup {good['id']} of {good['at']} was in it",
                UNUSABLE,
                f"Mount its disk. To begin with an empty one, remove {ways.last}",
            )
        repository.init()
    return repository


def need_room(config: Config, data: t.Callable[[], int], last: Path = job.LAST) -> None:
    """Refuse before anything is written where the disk could fill up; ``data`` counts the bytes that there are to save."""
    there = next(each for each in (Path(config.path), *Path(config.path).parents) if each.is_dir())
    good = job.read_last(last).get(job.BACKUP, {}).get("good") or {}
    added = int(good["added"]) if "added" in good else None
    if why := guard.room(shutil.disk_usage(there).free, added, data):
        raise Refused(why, UNSAFE, f"Free space on the disk of {config.path}, then run the same command again")


def size(engine: Engine, server: t.Callable[[str], Server], data: ServiceData) -> int:
    """About how many bytes a service has; what cannot be asked fails later, where it is said."""
    total = 0
    with contextlib.suppress(PostgresError, EngineError):
        sizes = server(data.server).databases() if data.databases else {}
        total += sum(sizes.get(each, 0) for each in data.databases)
    for each in data.volumes:
        with contextlib.suppress(volumes.VolumeError, EngineError):
            total += volumes.size(volumes.mountpoint(engine, each))[0]
    return total + sum(volumes.size(Path(each))[0] for each in data.folders)


def _told(service: ServicePart) -> Json:
    return {
        "ok": not service.error,
        "error": service.error,
        "bytes": sum(part.bytes for part in service.parts),
        "files": sum(part.files or 1 for part in service.parts),
        "parts": [part.key for part in service.parts],
        "attachments": dict(service.attachments),
    }


def _once(make: t.Callable[[str], Made]) -> t.Callable[[str], Made]:
    """The same object for the same name: its container is looked for once."""
    made: dict[str, Made] = {}

    def get(name: str) -> Made:
        if name not in made:
            made[name] = make(name)
        return made[name]

    return get


class _End:
    """What comes after the services: the manifest, the check, copies, retention."""

    def __init__(
        self,
        around: Around,
        whole: Manifest,
        ways: Ways,
        swept: t.Sequence[str],
        notes: list[str],
        known: t.Mapping[str, t.Sequence[Json]],
    ) -> None:
        self._around = around
        self._whole = whole
        self._ways = ways
        self._swept = swept
        self._notes = notes
        self._errors = [
            row(f"backup of {name}", each.error, name, AGAIN)
            for name, each in whole.services.items()
            if each.error and name not in known
        ]
        self._errors += [each for rows in known.values() for each in rows]

    def reach(self) -> Taken:
        """Never raises for the repository: what is in it by now is told."""
        copied: list[copies.CopyOutcome] = []
        removed: list[str] = []
        there = self._verified() if self._whole.parts and self._manifest() else None
        if there is not None:
            copied = self._copied()
            removed = self._let_go(there)
        late = [
            f"not copied to {each.remote}: {each.error}; the next backup catches up" for each in copied if each.error
        ]
        return Taken(
            manifest=self._whole,
            verified=there is not None,
            copies=copied,
            warnings=[*self._around.warnings, *late],
            errors=self._errors,
            added=self._around.added,
            removed=removed,
            swept=self._swept,
            notes=self._notes,
        )

    def _manifest(self) -> bool:
        """From here on it is a backup."""
        self._around.say("writing the manifest")
        tags = manifest.tags(self._whole.id, "smos", catalogue.PART)
        try:
            saved = self._around.repository.backup_bytes(
                self._whole.to_json(), catalogue.FILE, self._around.config.host, tags
            )
        except ResticError as exc:
            self._fail("the manifest", exc)
            return False
        self._around.added += saved.added
        return True

    def _verified(self) -> catalogue.Listing | None:
        """What the repository holds, where it is sound and this backup is in it with all of its parts."""
        self._around.say("checking the repository")
        repository, what = self._around.repository, "check of the repository"
        try:
            if self._errors:
                repository.unlock()  # of a stream that failed: whoever was to keep it was killed
            there = catalogue.verify(repository, host=self._around.config.host, verified=self._ways.verified)
        except ResticError as exc:
            self._fail(what, exc)
            return None
        if self._whole.id in there.whole:
            return there
        held = there.held.get(self._whole.id)
        lacking = ", ".join(held.lacking) if held else there.unread.get(self._whole.id, "its manifest")
        self._errors.append(row(what, f"{lacking} of this backup is not in it", self._around.config.path, AGAIN))
        return None

    def _copied(self) -> list[copies.CopyOutcome]:
        """Bring the other places up to date; none is a reason to call what is here not taken."""
        config = self._around.config
        if self._whole.reason not in SCHEDULED:
            if config.remotes:
                self._notes.append("not copied elsewhere now: the next backup of the timer sees to that")
            return []
        try:
            return copies.copy_all(
                config,
                self._around.repository,
                remotes=self._ways.remotes,
                progress=self._around.say,
                verified=self._ways.verified,
            )
        except ResticError as exc:
            return [copies.CopyOutcome(each.name, (), exc.message, exc.following) for each in config.remotes]

    def _let_go(self, there: catalogue.Listing) -> list[str]:
        """What retention does not keep; gives the ids. What could not be removed goes the next time."""
        if self._whole.reason in RESTORING:
            return []
        repository = self._around.repository
        known = [each.manifest for each in there.held.values()]
        old = retention.to_forget(known, self._around.config.retention, time.time())
        try:
            if old:
                self._around.say(f"letting go of {len(old)} old backups")
                repository.forget([each for backup in old for each in there.held[backup].every])
            if old or self._swept:
                repository.prune()
        except ResticError as exc:
            self._fail("removing old backups", exc)
            return []
        return list(old)

    def _fail(self, what: str, exc: ResticError) -> None:
        self._errors.append(row(what, exc.message, self._around.config.path, exc.following))
