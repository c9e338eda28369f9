# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Incidents: when one begins, grows and ends. Pure functions.

One look that fails is no incident, and one that succeeds ends none: it takes some in a row. A look that found out nothing
counts for neither. An incident dates from the first look that failed, and ends with the first that succeeded again.
"""

from __future__ import annotations

import typing as t
from dataclasses import asdict, dataclass, replace

UP, DEGRADED, DOWN, UNKNOWN = "up", "degraded", "down", "unknown"
CRITICAL, WARNING = "critical", "warning"


@dataclass(frozen=True)
class Subject:
    """What is watched. ``target`` is the availability that is aimed at, in percent; None where there is none."""

    key: str
    kind: str
    title: str
    tenant: str = ""
    service: str = ""
    target: float | None = None


@dataclass(frozen=True)
class Observation:
    """What one look found out of a subject. ``latency_ms`` is None where nothing answered, or nothing was asked."""

    subject: Subject
    state: str
    message: str = ""
    latency_ms: int | None = None


@dataclass(frozen=True)
class Incident:
    """A time in which a subject was not well; moments are seconds since 1970. ``closed_at`` is None while it lasts."""

    id: int
    subject: str
    kind: str
    severity: str
    what: str
    opened_at: float
    closed_at: float | None
    title: str
    tenant: str
    service: str

    def as_row(self) -> dict[str, t.Any]:
        """As it is kept."""
        return asdict(self)


@dataclass(frozen=True)
class Doubt:
    """Looks in a row: ``bad`` since ``since``, or ``good`` since then. Both 0: nothing to tell."""

    bad: int = 0
    good: int = 0
    since: int = 0


def judge(
    seen: Observation, at: int, doubt: Doubt, current: Incident | None, open_after: int, close_after: int, new_id: int
) -> tuple[Doubt, Incident | None]:
    """The doubt and the incident after this look; an incident that it closes is given with ``closed_at``."""
    if seen.state == UNKNOWN:
        return doubt, current
    if seen.state == UP:
        return _good(at, doubt, current, close_after)
    doubt = Doubt(bad=doubt.bad + 1, since=doubt.since if doubt.bad else at)
    severity = CRITICAL if seen.state == DOWN else WARNING
    if current:
        worse = CRITICAL if CRITICAL in (severity, current.severity) else WARNING
        return doubt, replace(current, severity=worse, what=seen.message or current.what)
    if doubt.bad < open_after:
        return doubt, None
    about = seen.subject
    what = seen.message or seen.state
    started = (
        about.key,
        about.kind,
        severity,
        what,
        float(doubt.since),
        None,
        about.title,
        about.tenant,
        about.service,
    )
    return doubt, Incident(new_id, *started)


def _good(at: int, doubt: Doubt, current: Incident | None, close_after: int) -> tuple[Doubt, Incident | None]:
    if current is None:
        return Doubt(), None
    doubt = Doubt(good=doubt.good + 1, since=doubt.since if doubt.good else at)
    if doubt.good < close_after:
        return doubt, current
    return Doubt(), replace(current, closed_at=float(doubt.since))
