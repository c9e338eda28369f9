# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Which backups may go. Counted for each service by itself, over those in which it is whole: a backup of one service never
takes another one's place, and the newest of each service stays whatever happens.

Days are days that have a backup, never days before today: a machine that was off for a month, or whose clock is wrong,
does not lose what it has.
"""

from __future__ import annotations

import calendar
import time
import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.config import Retention
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.manifest import PARTIAL, Manifest

DAY_S = 86400
RECENT_S = DAY_S  # everything of the last day stays: it may be needed before anybody notices what went wrong
AHEAD_S = 3600  # a backup from later than this was taken under a wrong clock (now's or its own)
SAFETY = ("restore", "rollback")  # taken before something was undone: they must not push out what it is undone to


def moment(backup: str) -> float:
    """When a backup began, by its id."""
    return float(calendar.timegm(time.strptime(backup, "%Y%m%d-%H%M%S")))


def to_forget(
    manifests: t.Iterable[Manifest], retention: Retention, now: float, keep: t.Container[str] = ()
) -> list[str]:
    """Ids of the backups that may go, oldest first. ``keep`` are ids that something else needs.

    Nothing goes after a partial backup: what is whole may be needed sooner than anybody likes.
    """
    known = sorted(manifests, key=lambda one: one.id)
    past = [one for one in known if moment(one.id) <= now + AHEAD_S]
    if not past or past[-1].state == PARTIAL:
        return []
    return excess(known, retention, now, keep)


def excess(manifests: t.Iterable[Manifest], retention: Retention, now: float, keep: t.Container[str] = ()) -> list[str]:
    """What is more than is to be kept, oldest first, whatever the last backup came to."""
    known = sorted(manifests, key=lambda one: one.id, reverse=True)
    past = [one for one in known if moment(one.id) <= now + AHEAD_S]
    kept = {one.id for one in known if moment(one.id) > now - RECENT_S or one.id in keep}
    for environment, service in sorted({(one.environment, name) for one in known for name in one.services}):
        mine = [one for one in past if one.environment == environment and service in one.services]
        kept |= set(_of_service([one for one in mine if not one.services[service].error], retention))
    return [one.id for one in reversed(known) if one.id not in kept]


def _of_service(whole: t.Sequence[Manifest], retention: Retention) -> t.Iterator[str]:
    """Ids that stay because of one service, from those in which it is whole, newest first."""
    plain = [one.id for one in whole if one.reason not in SAFETY]
    safety = [one.id for one in whole if one.reason in SAFETY]
    yield from (each.id for each in whole[:1])
    yield from plain[:1]
    yield from _newest(plain, retention.daily, "%Y-%m-%d")
    yield from _newest(plain, retention.weekly, "%G-%V")
    yield from _newest(plain, retention.monthly, "%Y-%m")
    yield from _newest(safety, retention.daily, "%Y-%m-%d")


def _newest(ids: t.Iterable[str], count: int, slot: str) -> t.Iterator[str]:
    """The newest id of each of the last so many days, weeks or months that have one."""
    seen: set[str] = set()
    for each in ids:
        found = time.strftime(slot, time.gmtime(moment(each)))
        if found not in seen and len(seen) < count:
            seen.add(found)
            yield each
