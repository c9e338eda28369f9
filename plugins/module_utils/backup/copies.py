# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Copies of backups in other places. Each run brings every place up to date, so a place that was away catches up by itself.

A backup's manifest is copied after all else of it is listed there: a copy that was cut off is no backup.
"""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass, replace
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import catalogue, restic, retention
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.catalogue import VERIFIED, Held, Listing
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.config import Config, Remote, Retention
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restic import Repository, ResticError
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restic_told import DAMAGED, NEXT, OTHER

ANEW = "If the local repository is sound (its own check says so), empty that place: the next run copies everything anew"


@dataclass(frozen=True)
class CopyOutcome:
    """How one place fared. ``ids``: backups that were copied and are verified there; ``error``: why not all is well."""

    remote: str
    ids: t.Sequence[str] = ()
    error: str = ""
    following: str = ""  # what to do about the error
    removed: t.Sequence[str] = ()  # ids that its retention let go


def copy_all(
    config: Config,
    local: Repository,
    ids: t.Collection[str] | None = None,
    *,
    remotes: t.Mapping[str, Repository] | None = None,
    now: float | None = None,
    keep: t.Collection[str] = (),
    progress: t.Callable[[str], None] = lambda _text: None,
    verified: Path = VERIFIED,
) -> list[CopyOutcome]:
    """Copy to every remote what it lacks, newest first (``ids``: only these), verify it there, and let old ones go.

    ``keep`` are ids that something else needs. Raises ResticError only where the local repository cannot be read.
    """
    if not config.remotes:
        return []
    moment = time.time() if now is None else now
    here = catalogue.listing(local, config.host)
    places = restic.remotes(config) if remotes is None else remotes
    made = []
    for each in config.remotes:
        kept = replace(config.retention, daily=each.keep_daily) if each.keep_daily else config.retention
        place = _Place(each, config.host, places[each.name], kept, moment, set(keep), progress, verified)
        made.append(place.bring(local, here, ids))
    return made


@dataclass
class _Place:
    """One remote, while it is brought up to date."""

    remote: Remote
    host: str
    repository: Repository
    kept: Retention
    now: float
    keep: set[str]
    say: t.Callable[[str], None]
    verified: Path

    def bring(self, local: Repository, here: Listing, ids: t.Collection[str] | None) -> CopyOutcome:
        """All of it; what fails is told and leaves the rest as it is."""
        copied: list[str] = []
        try:
            if not self.repository.exists():
                self.say(f"{self.remote.name}: a new repository is made")
                self.repository.init(like=local)
            self.repository.unlock()
            for backup in self._lacking(here, ids):
                self.say(f"{self.remote.name}: backup {backup}")
                self._copy(local, here.held[backup])
                copied.append(backup)
            there = catalogue.verify(self.repository, self.remote.name, host=self.host, verified=self.verified)
        except ResticError as exc:
            return CopyOutcome(self.remote.name, (), exc.message, ANEW if exc.kind == DAMAGED else exc.following)
        lost = [backup for backup in copied if backup not in there.whole]
        if lost:
            return CopyOutcome(self.remote.name, (), f"backup {', '.join(lost)} did not arrive whole", NEXT[OTHER])
        try:
            removed = self._let_go(here, there)
        except ResticError as exc:
            why = f"copied and verified, but old backups could not be removed there: {exc.message}"
            return CopyOutcome(self.remote.name, tuple(copied), why, exc.following)
        return CopyOutcome(self.remote.name, tuple(copied), removed=tuple(removed))

    def _lacking(self, here: Listing, ids: t.Collection[str] | None) -> list[str]:
        """Whole here and not there, newest first; not what would be let go again at once."""
        there = catalogue.listing(self.repository, self.host)
        both = {
            **{each: one.manifest for each, one in there.held.items()},
            **{each: here.held[each].manifest for each in here.whole},
        }
        excess = set(retention.excess(both.values(), self.kept, self.now, self.keep))
        wanted = here.whole if ids is None else [each for each in here.whole if each in ids]
        return [each for each in wanted if each not in there.whole and (each not in excess or ids is not None)]

    def _copy(self, local: Repository, held: Held) -> None:
        local.copy_to(self.repository, held.snapshots.values())
        listed = {each.original for each in self.repository.snapshots("smos", f"id={held.manifest.id}")}
        lost = [part.key for part in held.manifest.parts if part.snapshot not in listed]
        if lost:
            raise ResticError(f"{', '.join(lost[:3])} of backup {held.manifest.id} did not arrive")
        local.copy_to(self.repository, [held.own])

    def _let_go(self, here: Listing, there: Listing) -> list[str]:
        """What retention lets go, and what is left of copies that nobody will complete: their original is gone."""
        gone = retention.to_forget([one.manifest for one in there.held.values()], self.kept, self.now, self.keep)
        ids = [each for backup in gone for each in there.held[backup].every]
        if here.held:  # a local repository that is new, or was emptied, is no reason to remove anything
            ids += [
                each.id for backup, group in there.loose.items() if backup and backup not in here.held for each in group
            ]
        if ids:
            self.repository.forget(ids)
            self.repository.prune()
        return gone
