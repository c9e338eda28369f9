# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Who is told of what, when: the rules of ``specs/infra/monitoring.yml`` as a machine has them in its configuration."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from zoneinfo import ZoneInfo

from ansible_collections.smartercl.smarteros.plugins.module_utils.health.incident import CRITICAL, WARNING

MINUTE_S, HOUR_S = 60.0, 3600.0
SEVERITIES = (CRITICAL, WARNING)


@dataclass(frozen=True)
class Step:
    """Who else is told of what is critical and still open after so long."""

    after_s: float
    ways: tuple[str, ...]


@dataclass(frozen=True)
class Rules:
    """Ways are named ``contact/channel``. ``quiet`` are minutes of the local day from when and to when; None: never.

    ``flaps`` incidents of a subject within ``calm_s`` make it unsteady; it is steady again after as long without one.
    ``per_hour`` messages go out one way; news that is critical may take twice as many.
    """

    zone: tzinfo
    routes: t.Mapping[str, tuple[str, ...]]
    escalation: tuple[Step, ...] = ()
    quiet: tuple[int, int] | None = None
    remind_s: t.Mapping[str, float] = field(default_factory=lambda: {CRITICAL: 6 * HOUR_S, WARNING: 24 * HOUR_S})
    flaps: int = 3
    calm_s: float = HOUR_S
    per_hour: int = 6

    @property
    def ways(self) -> tuple[str, ...]:
        """All that may be told of something, each once."""
        named = [way for severity in SEVERITIES for way in self.routes.get(severity, ())]
        return tuple(dict.fromkeys([*named, *(way for step in self.escalation for way in step.ways)]))

    def delay(self, way: str, severity: str) -> float | None:
        """After how long an incident of this severity concerns a way; None: never."""
        if way in self.routes.get(severity, ()):
            return 0.0
        return min(
            (step.after_s for step in self.escalation if severity == CRITICAL and way in step.ways), default=None
        )

    def is_quiet(self, now: float) -> bool:
        """Whether people sleep. The clock on the wall counts, whatever the day's length."""
        if self.quiet is None:
            return False
        local = datetime.fromtimestamp(now, self.zone)
        begin, end = self.quiet
        minute = local.hour * 60 + local.minute
        return begin <= minute < end if begin < end else minute >= begin or minute < end


def of(section: t.Mapping[str, t.Any], zone: tzinfo) -> Rules:
    """The rules in the section ``rules`` of a configuration. Raises KeyError, TypeError and ValueError."""
    quiet = section.get("quiet_hours")
    return Rules(
        zone=zone,
        routes={name: tuple(section["routes"].get(name, ())) for name in SEVERITIES},
        escalation=tuple(Step(each["after_min"] * MINUTE_S, tuple(each["ways"])) for each in section["escalation"]),
        quiet=(_minute(quiet["begin"]), _minute(quiet["end"])) if quiet else None,
        remind_s={name: section["remind_h"][name] * HOUR_S for name in SEVERITIES},
        flaps=int(section["flapping"]["times"]),
        calm_s=section["flapping"]["within_min"] * MINUTE_S,
        per_hour=int(section["per_hour"]),
    )


def zone_of(name: str) -> tzinfo:
    """A time zone by its name. Raises ValueError and KeyError."""
    return ZoneInfo(name)


def _minute(clock: str) -> int:
    hour, _colon, minute = clock.partition(":")
    return int(hour) * 60 + int(minute)
