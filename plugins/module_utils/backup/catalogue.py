# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Which backups there are, where each of them is whole, and which of them were verified.

A backup is somewhere only where its manifest and every snapshot that it tells of are listed. It is verified where, besides,
the last check of that place found nothing and saw it: `verify` writes that down.
"""

from __future__ import annotations

import concurrent.futures
import difflib
import json
import os
import time
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import manifest as manifests
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.manifest import Manifest
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restic import Repository, ResticError, Snapshot
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restic_told import ABSENT, DAMAGED
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.retention import moment
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row

LOCAL = "local"  # the name of this machine's repository; remotes have the names of the configuration
LATEST = "latest"
FILE = "manifest.json"
PART = "manifest"
VERIFIED = Path("/var/lib/smarteros/backup/verified.json")
KEPT_READ = 500  # manifests that are kept beside restic's cache, each some kilobytes
SHOWN = 3

Json = dict[str, t.Any]


class UnknownBackup(Exception):
    """There is no backup of this id; ``nearest`` are ids that might have been meant."""

    def __init__(self, message: str, nearest: t.Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.nearest = nearest


@dataclass(frozen=True)
class Found:
    """A backup. ``locations``: where it is whole; none where it is nowhere.

    ``snapshots``: by location, the id of each snapshot there by the id that the manifest tells.
    """

    id: str
    manifest: Manifest
    locations: t.Sequence[str]
    verified: bool
    snapshots: t.Mapping[str, t.Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Held:
    """A backup as one repository holds it. ``lacking``: parts (service and key) whose snapshot is not listed."""

    manifest: Manifest
    snapshots: t.Mapping[str, str]  # ids here by the ids that the manifest tells
    own: str  # the manifest's own snapshot, by its id here
    lacking: t.Sequence[str] = ()
    every: t.Sequence[str] = ()  # ids here of all snapshots of this backup, also of those that no manifest tells of

    @property
    def whole(self) -> bool:
        """Whether everything is there."""
        return not self.lacking


@dataclass(frozen=True)
class Listing:
    """What one repository holds, by id. ``unread``: why a manifest cannot be read, by id. ``loose``: snapshots without one."""

    held: t.Mapping[str, Held] = field(default_factory=dict)
    unread: t.Mapping[str, str] = field(default_factory=dict)
    loose: t.Mapping[str, t.Sequence[Snapshot]] = field(default_factory=dict)

    @property
    def whole(self) -> list[str]:
        """Ids of the backups that are whole here, newest first."""
        return sorted((each for each, held in self.held.items() if held.whole), reverse=True)


def every(
    local: Repository,
    remotes: t.Mapping[str, Repository],
    errors: list[Json] | None = None,
    *,
    verified: Path = VERIFIED,
) -> list[Found]:
    """All backups, newest first. A place that does not answer, and a backup that is not whole, is told in ``errors``."""
    places = {LOCAL: local, **remotes}
    told = errors if errors is not None else []
    listings = {}
    with concurrent.futures.ThreadPoolExecutor(max_workers=4) as pool:
        asked = {name: pool.submit(_listing_there, repository) for name, repository in places.items()}
    for name, future in asked.items():
        try:
            listings[name] = future.result()
        except ResticError as exc:
            told.append(row(f"backups at {name}", exc.message, name, exc.following))
    return _together(listings, told, seen_sound(verified))


def listing(repository: Repository, host: str = "") -> Listing:
    """What a repository holds, of that host (`Config.host`) or of all. Raises ResticError."""
    groups: dict[str, list[Snapshot]] = {}
    for each in repository.snapshots("smos"):
        if host in ("", each.host):
            groups.setdefault(each.tags.get("id", ""), []).append(each)
    held, unread, loose = {}, {}, {}
    for backup, group in groups.items():
        own = next((each for each in reversed(group) if each.tags.get("part") == PART), None)
        if own is None or not manifests.ID.match(backup):
            loose[backup] = group
            continue
        try:
            held[backup] = _held(read(repository, own), own, group)
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            unread[backup] = " ".join(str(exc).split()) or type(exc).__name__
        except ResticError as exc:
            if exc.kind != DAMAGED:
                raise
            unread[backup] = exc.message
    _tidy(_kept(repository))
    return Listing(held, unread, loose)


def read(repository: Repository, snapshot: Snapshot) -> Manifest:
    """The manifest in a snapshot. What a snapshot holds never changes, so it is asked for once. Raises ResticError,
    and KeyError, TypeError and ValueError where it is none that can be read.
    """
    kept = _kept(repository) / f"{snapshot.original}.json"
    try:
        return manifests.of(json.loads(kept.read_bytes()))
    except (OSError, ValueError, KeyError, TypeError):
        pass
    data = repository.read(snapshot.id, FILE)
    found = manifests.of(json.loads(data))
    if found.id != snapshot.tags.get("id"):
        raise ValueError(f"it is the manifest of {found.id}, filed as {snapshot.tags.get('id')}")
    _write(kept, data)
    return found


def nearest(backup: str, ids: t.Iterable[str]) -> list[str]:
    """Ids that might have been meant: those that begin so, else the closest in time, else those that look alike."""
    known = sorted(ids, reverse=True)
    beginning = [each for each in known if backup and each.startswith(backup)]
    if beginning:
        return beginning[:SHOWN]
    try:
        wanted = moment(backup)
    except ValueError:
        return difflib.get_close_matches(backup, known, SHOWN, 0.6) or known[:SHOWN]
    return sorted(known, key=lambda each: abs(moment(each) - wanted))[:SHOWN]


def choose(ids: t.Iterable[str], wanted: str) -> str:
    """The id that is meant by ``latest`` or by an id. Raises UnknownBackup."""
    known = sorted(ids, reverse=True)
    if not known:
        raise UnknownBackup("there is no backup yet")
    if wanted == LATEST:
        return known[0]
    if wanted not in known:
        near = nearest(wanted, known)
        raise UnknownBackup(f"there is no backup {wanted}; the nearest are {', '.join(near)}", near)
    return wanted


def verify(
    repository: Repository,
    location: str = LOCAL,
    subset: str = "",
    *,
    host: str = "",
    verified: Path = VERIFIED,
    now: float | None = None,
) -> Listing:
    """Check a repository and list what is whole in it, and write both down. Raises ResticError where it is not sound."""
    try:
        repository.check(subset)
        found = listing(repository, host)
    except ResticError as exc:
        # One that did not answer is as sound as it was
        if exc.kind == DAMAGED:
            _note(verified, location, {"ok": False, "ids": [], "error": exc.message}, now)
        raise
    _note(verified, location, {"ok": True, "ids": found.whole, "error": ""}, now)
    return found


def seen_sound(verified: Path = VERIFIED) -> dict[str, list[str]]:
    """The ids that the last check of each place saw and found good, by location."""
    return {name: list(each.get("ids") or ()) for name, each in _notes(verified).items() if each.get("ok")}


def _listing_there(repository: Repository) -> Listing:
    """A repository that was not made yet holds nothing."""
    try:
        return listing(repository)
    except ResticError as exc:
        if exc.kind == ABSENT:
            return Listing()
        raise


def _together(
    listings: t.Mapping[str, Listing], errors: list[Json], sound: t.Mapping[str, t.Sequence[str]]
) -> list[Found]:
    made = []
    for backup in sorted({each for one in listings.values() for each in (*one.held, *one.unread)}, reverse=True):
        held = {name: one.held[backup] for name, one in listings.items() if backup in one.held}
        for name, one in listings.items():
            why = one.unread.get(backup) or _why(held.get(name))
            if why:
                following = "Use another backup, or another location of this one"
                errors.append(row(f"backup {backup} at {name}", why, name, following))
        if held:
            whole = [name for name, each in held.items() if each.whole]
            good = any(backup in sound.get(name, ()) for name in whole)
            ids = {name: held[name].snapshots for name in whole}
            made.append(Found(backup, next(iter(held.values())).manifest, whole, good, ids))
    return made


def _why(held: Held | None) -> str:
    if held is None or held.whole:
        return ""
    names = ", ".join(held.lacking[:SHOWN])
    return f"{len(held.lacking)} of its {len(held.manifest.parts)} parts are missing, for example {names}"


def _held(found: Manifest, own: Snapshot, group: t.Sequence[Snapshot]) -> Held:
    there = {each.original: each.id for each in group}
    there.update({each.id: each.id for each in group})
    wanted = [(name, part) for name, service in found.services.items() for part in service.parts]
    lacking = [f"{name} {part.key}" for name, part in wanted if part.snapshot not in there]
    ids = {part.snapshot: there[part.snapshot] for _service, part in wanted if part.snapshot in there}
    return Held(found, ids, own.id, lacking, [each.id for each in group])


def _kept(repository: Repository) -> Path:
    return Path(repository.cache).with_name("manifests")


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all; where that is not possible it is asked for again the next time."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)


def _tidy(folder: Path) -> None:
    try:
        found = sorted(folder.glob("*.json"), key=lambda each: each.stat().st_mtime, reverse=True)
        for each in found[KEPT_READ:]:
            each.unlink()
    except OSError:  # somebody else is at it
        pass


def _notes(path: Path) -> dict[str, Json]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {name: each for name, each in found.items() if isinstance(each, dict)} if isinstance(found, dict) else {}


def _note(path: Path, location: str, entry: Json, now: float | None) -> None:
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() if now is None else now))
    text = json.dumps({**_notes(path), location: {**entry, "at": at}}, indent=1, sort_keys=True)
    _write(path, f"{text}\n".encode())
