# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Leases on many tenants at once, on the machine itself: control nodes with specs of their own see no locks of each other.

All leases of an environment lie in one file, which is written whole under a flock: thousands of tenants cost one write. Times are
the machine's own, so that it does not matter whose clock is wrong.
"""

from __future__ import annotations

import json
import re
import time
import typing as t
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.module_utils.target_lock import (
    FOLDER,
    LEASE_S,
    Holder,
    guarded,
    put,
)

POLL_S = 0.5
FORGOTTEN_S = 86_400.0  # a lease that has been over for so long is of no run that still lives
_ENVIRONMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")


class Taken(t.NamedTuple):
    """What came of taking: tenants that another run holds, and former holders that were displaced."""

    refused: dict[str, Holder]
    taken_over: dict[str, Holder]


class TargetLeases:
    """The leases of an environment's tenants. Raises ValueError for a name that cannot be one of a file."""

    def __init__(self, environment: str, folder: Path = FOLDER) -> None:
        if not _ENVIRONMENT.match(environment):
            raise ValueError(f"{environment!r} cannot be the name of an environment")
        self._path = folder / f"tenants.{environment}.lock"

    def held(self) -> dict[str, Holder]:
        """Who holds what, leases that are over included."""
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (
            ValueError
        ):  # a power cut; a run that lived through it learns at its next renewal that it lost its leases
            return {}
        if not isinstance(found, dict):
            return {}
        return {key: each for key, each in found.items() if isinstance(each, dict)}

    def take(
        self, keys: t.Iterable[str], holder: Holder, take_over: t.Collection[str] = (), lease_s: float = LEASE_S
    ) -> Taken:
        """Take all that can be had; what the run holds already begins its lease anew.

        ``holder`` names its ``run``; ``take_over`` are runs that the caller knows to be dead.
        """
        refused: dict[str, Holder] = {}
        over: dict[str, Holder] = {}
        with guarded(self._path):
            book, now = self._living(), time.time()
            mine = {**holder, "taken_at": now, "expires_at": now + lease_s}
            for key in keys:
                there = book.get(key)
                others = there is not None and there.get("run") != holder["run"]
                if others and there is not None:
                    if _left(there, now) > 0 and there.get("run") not in take_over:
                        refused[key] = there
                        continue
                    over[key] = there
                book[key] = mine
            put(self._path, book)
        return Taken(refused, over)

    def wait(
        self,
        keys: t.Iterable[str],
        holder: Holder,
        take_over: t.Collection[str] = (),
        lease_s: float = LEASE_S,
        wait_s: float = 0.0,
    ) -> Taken:
        """The same, and wait at most so many seconds for those that others hold."""
        until = time.monotonic() + wait_s
        refused, over = self.take(keys, holder, take_over, lease_s)
        while refused and time.monotonic() < until:
            time.sleep(min(POLL_S, max(0.0, until - time.monotonic())))
            refused, more = self.take([*refused], holder, take_over, lease_s)
            over.update(more)
        return Taken(refused, over)

    def renew(self, run: str, lease_s: float = LEASE_S) -> list[str]:
        """Begin the leases of a run anew; gives the tenants that it still holds."""
        if not self._path.exists():
            return []
        with guarded(self._path):
            book, until = self._living(), time.time() + lease_s
            mine = [key for key, there in book.items() if there.get("run") == run]
            book.update({key: {**book[key], "expires_at": until} for key in mine})
            if mine:
                put(self._path, book)
        return mine

    def release(self, run: str, keys: t.Collection[str] | None = None) -> list[str]:
        """Give back what the run holds (of these tenants; None: all); gives what that was. Another run's stays."""
        if not self._path.exists():
            return []
        with guarded(self._path):
            book = self._living()
            mine = [key for key, there in book.items() if there.get("run") == run and (keys is None or key in keys)]
            for key in mine:
                del book[key]
            if mine:
                put(self._path, book)
        return mine

    def _living(self) -> dict[str, Holder]:
        now = time.time()
        return {key: there for key, there in self.held().items() if _left(there, now) > -FORGOTTEN_S}


def told(key: str, holder: Holder) -> Holder:
    """A lease as another machine understands it, whose clock may be another: with its age and what is left, in seconds."""
    now = time.time()
    age = max(0.0, now - float(holder.get("taken_at") or now))
    return {**holder, "tenant": key, "age_s": round(age, 1), "left_s": round(_left(holder, now), 1)}


def _left(holder: Holder, now: float) -> float:
    try:
        return float(holder.get("expires_at") or 0.0) - now
    except (TypeError, ValueError):
        return -now
