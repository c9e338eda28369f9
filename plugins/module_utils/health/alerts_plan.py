# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What each way is to be told now, out of what is wrong and what it was told before. Pure functions.

A pass gives a way one message or none. What a way was not told, because it was away, people slept or it had its share
of messages, stays due: the next message has it all.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ansible_collections.smartercl.smarteros.plugins.module_utils.health.alerts_rules import Rules
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.alerts_state import State, Told, Way
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.incident import CRITICAL, WARNING, Incident

NEW, WORSE, UNSTEADY, REMINDED, OVER, RECOVERED = "new", "worse", "unsteady", "reminded", "over", "recovered"
PHASES = (NEW, WORSE, UNSTEADY, REMINDED, OVER, RECOVERED)
GRACE_S = 1800.0  # an incident that nobody knows any more may come back: the collector may have lost its book


@dataclass(frozen=True)
class Item:
    """One subject in a message. ``ids`` are incidents that the way hears of for the first time."""

    phase: str
    severity: str
    subject: str
    kind: str
    title: str
    what: str
    opened: float
    ended: float = 0.0
    times: int = 1
    ids: tuple[int, ...] = ()


@dataclass(frozen=True)
class Alert:
    """One message. ``before`` is what the way knows as long as it is not handed over."""

    way: str
    items: tuple[Item, ...]
    at: float
    before: Way


def plan(incidents: Sequence[Incident], told: State, rules: Rules, now: float) -> tuple[list[Alert], State]:
    """The messages that are due, and the state once all of them are handed over.

    ``incidents`` are all that are open and those that closed lately.
    """
    subjects: dict[str, list[Incident]] = {}
    for each in sorted(incidents, key=lambda each: (each.opened_at, each.id)):
        subjects.setdefault(each.subject, []).append(each)
    critical = {
        each.id: min(told.critical.get(each.id, each.opened_at if each.closed_at is not None else now), now)
        for each in incidents
        if each.severity == CRITICAL
    }
    alerts, ways = [], {}
    for name in rules.ways:
        known = told.ways.get(name)
        if known is None:  # what ended before anybody could be told is no news
            known = Way(done=tuple(each.id for each in incidents if each.closed_at is not None))
        before = known.as_of(now)
        items, after = _Desk(name, rules, critical, before, now).look(subjects)
        if items and _may_write(before, items, rules, now):
            alerts.append(Alert(name, tuple(items), now, before))
            ways[name] = after.handed_over(now)
        else:
            ways[name] = before if items else after
    return alerts, State(ways, critical)


def settled(after: State, alerts: Sequence[Alert], failed: t.Collection[str], now: float) -> State:
    """The state when some ways could not be reached."""
    again = {each.way: each.before.failed(now) for each in alerts if each.way in failed}
    return replace(after, ways={**after.ways, **again})


def _may_write(way: Way, items: Sequence[Item], rules: Rules, now: float) -> bool:
    share = rules.per_hour * (2 if any(each.severity == CRITICAL for each in items) else 1)
    return now >= way.again_at and len(way.sent) < share


class _Desk:
    """One way, at one moment."""

    def __init__(self, name: str, rules: Rules, critical: Mapping[int, float], way: Way, now: float) -> None:
        self._name, self._rules, self._critical, self._way, self._now = name, rules, critical, way, now
        self._done = frozenset(way.done)
        self._quiet = rules.is_quiet(now)
        self._patience = 1.0

    def look(self, subjects: Mapping[str, Sequence[Incident]]) -> tuple[list[Item], Way]:
        """What is to be told of all subjects, and what the way knows then."""
        if any(self._is_due(each, subjects.get(name, ())) for name, each in self._way.told.items()):
            self._patience = 0.5  # who is reminded of one thing is reminded of all that is about as old
        items, told, done = [], {}, set(self._done)
        for subject in sorted({*subjects, *self._way.told}):
            incidents, before = subjects.get(subject, ()), self._way.told.get(subject)
            item, after = self._go_on(subject, before, incidents) if before else self._begin(incidents)
            if item is not None and self._sleeps(item.severity):
                item, after = None, before
            elif item is not None and after is None:
                done |= {each.id for each in incidents if each.closed_at is not None}
            if item is not None:
                items.append(item)
            if after is not None:
                told[subject] = after
        here = {each.id for incidents in subjects.values() for each in incidents}
        items.sort(key=lambda each: (each.severity != CRITICAL, PHASES.index(each.phase), each.kind, each.title))
        return items, replace(self._way, told=told, done=tuple(sorted(done & here)))

    def _begin(self, incidents: Sequence[Incident]) -> tuple[Item | None, Told | None]:
        """A subject of which the way knows nothing bad."""
        new = [each for each in incidents if each.id not in self._done and self._concerns(each)]
        if not new:
            return None, None
        lasting = [each for each in new if each.closed_at is None]
        about = (lasting or new)[-1]
        unsteady = self._recent(incidents) >= self._rules.flaps
        phase = UNSTEADY if unsteady else NEW if lasting else OVER
        times = self._recent(incidents) if unsteady else len(new)
        ids = tuple(each.id for each in new)
        severity = CRITICAL if any(each.severity == CRITICAL for each in lasting or new) else WARNING
        item = Item(
            *(phase, severity, about.subject, about.kind, about.title, about.what),
            opened=min(about.opened_at, self._now),
            ended=min(about.closed_at or 0.0, self._now),
            times=times,
            ids=ids,
        )
        if phase == OVER:
            return item, None
        last = self._now if lasting else self._last(new)
        told = Told(ids, severity, self._now, item.opened, about.kind, about.title, times, unsteady, last)
        return item, told

    def _go_on(self, subject: str, told: Told, incidents: Sequence[Incident]) -> tuple[Item | None, Told | None]:
        """A subject that the way knows of."""
        fresh = [each for each in incidents if each.id not in told.ids and each.id not in self._done]
        current = next((each for each in incidents if each.closed_at is None), None)
        here = [each.id for each in incidents if each.id in told.ids]
        gone = 0.0 if here or fresh else told.gone or self._now
        after = replace(
            told,
            ids=(*here, *(each.id for each in fresh)) or told.ids,
            times=told.times + len(fresh),
            last=max(told.last, self._last(incidents), gone),
            gone=gone,
        )
        said = Item(*("", told.severity, subject, told.kind, told.title, ""), opened=told.opened, times=after.times)
        said = replace(said, ids=tuple(each.id for each in fresh), what=current.what if current else "")
        if current and current.severity == CRITICAL != told.severity and self._concerns(current):
            worse = replace(said, phase=WORSE, severity=CRITICAL, ids=(current.id,))
            return worse, replace(after, severity=CRITICAL, at=self._now)
        if fresh and not told.unsteady and self._recent(incidents) >= self._rules.flaps:
            unsteady = replace(said, phase=UNSTEADY, times=self._recent(incidents))
            return unsteady, replace(after, unsteady=True, at=self._now)
        if self._is_over(after, current):
            return replace(said, phase=RECOVERED, ended=after.last), None
        if self._is_due(told, incidents):
            return replace(said, phase=REMINDED), replace(after, at=self._now)
        return None, after

    def _is_over(self, told: Told, current: Incident | None) -> bool:
        if current is not None:
            return False
        if told.gone and self._now - told.gone < GRACE_S:
            return False
        return not told.unsteady or self._now - told.last >= self._rules.calm_s

    def _is_due(self, told: Told, incidents: Sequence[Incident]) -> bool:
        """Whether the way is to be reminded."""
        if all(each.closed_at is not None for each in incidents) or self._sleeps(told.severity):
            return False
        return self._now - told.at >= self._rules.remind_s[told.severity] * self._patience

    def _sleeps(self, severity: str) -> bool:
        return self._quiet and severity != CRITICAL

    def _concerns(self, each: Incident) -> bool:
        delay = self._rules.delay(self._name, each.severity)
        if not delay:
            return delay is not None
        end = self._now if each.closed_at is None else each.closed_at
        return end - self._critical.get(each.id, each.opened_at) >= delay

    def _recent(self, incidents: Sequence[Incident]) -> int:
        return sum(1 for each in incidents if self._now - each.opened_at < self._rules.calm_s)

    def _last(self, incidents: Sequence[Incident]) -> float:
        """When something ended last."""
        return min(max((each.closed_at or 0.0 for each in incidents), default=0.0), self._now)
