# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What a deploy must mind of the data that are there: which services it backs up first, and which steps are refused."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from ansible_collections.smartercl.smarteros.plugins.module_utils import ledger
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import releases, rollback_plan
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.specs import Specs

JUST_NOW = 0.0  # hours: the age of a backup that the deploy makes itself


@dataclass(frozen=True)
class Safety:
    """A deploy, as its data see it. ``kept`` are services of which something is backed up; ``policy`` says whether the environment wants a
    backup before every deploy, ``backup`` what the operator says (None: nothing).
    """

    specs: Specs
    release: str
    entries: Sequence[ledger.Entry]
    visited: Mapping[str, Mapping[str, str]]
    live: Mapping[str, Mapping[str, t.Any]]
    kept: Sequence[str]
    backup: bool | None = None
    policy: bool = True

    @cached_property
    def before(self) -> dict[str, dict[str, t.Any]]:
        """The ledger's newest records, whole."""
        last = self.entries[-1] if self.entries else {}
        return rollback_plan.records(last.get("services") or {}, last.get("release", ""), self.versions)

    def versions(self, release: str) -> dict[str, dict[str, str]]:
        """Versions by component by service of a release; empty where the specs know it no more."""
        try:
            found = releases.load(self.specs, release)
        except releases.UnknownRelease:
            return {}
        return {
            name: rollback_plan.versions_of({"components": own}) for name, own in releases.by_service(found, {}).items()
        }

    def to_back_up(self) -> list[str]:
        """The services that are deployed, exist, and have data: if the environment, the operator or a step wants a backup."""
        wanted = self.policy if self.backup is None else self.backup
        if not wanted and (self.backup is False or not self._needing):
            return []
        return [name for name in self.visited if name in self.live and name in self.kept]

    def hazards(self, backup_age_h: float | None, acknowledged: t.Container[str]) -> list[dict[str, str]]:
        """Why the deploy must not take these steps: rows of what, where, why, next."""
        saved = self.to_back_up()
        rows = []
        for name in self.visited:
            before, after = self._step(name)
            age = JUST_NOW if name in saved else backup_age_h
            rows += releases.hazards(before, after, age, self.specs, acknowledged)
        return rows

    @cached_property
    def _needing(self) -> list[str]:
        return [name for name in self.visited if releases.need_backup(*self._step(name), self.specs)]

    def _step(self, name: str) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """From the versions of the data to the wanted ones; nothing where the wanted version runs already, on whatever data."""
        after = self.versions(self.release).get(name, {})
        record = self.before.get(name)
        if record is None or name not in self.live:
            return {}, after
        running = rollback_plan.versions_of(record)
        return {each: there for each, there in record["data"].items() if running.get(each) != after.get(each)}, after
