# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""How long something was up, degraded, down or not known, by hour and by day. Pure functions, whole seconds.

What a look found holds until the next one. After the longest time that may pass between two looks nothing is known: what
was found holds as long as the looks are apart, and the rest of the hole is unknown. An hour is one of UTC; a day is one of
the zone, and has 23 or 25 hours when the clocks change.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta, tzinfo

from ansible_collections.smartercl.smarteros.plugins.module_utils.health.incident import DEGRADED, DOWN, UNKNOWN, UP

HOUR_S = 3600
STATES = (UP, DEGRADED, DOWN, UNKNOWN)


@dataclass
class Hour:
    """An hour of one subject so far; ``at`` is its begin in seconds since 1970."""

    at: int
    passes: int = 0
    latency_sum: int = 0
    latency_count: int = 0
    latency_max: int = 0
    seconds: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STATES, 0))

    def answered(self, latency_ms: int | None) -> None:
        """Count a look."""
        self.passes += 1
        if latency_ms is not None:
            self.latency_sum += latency_ms
            self.latency_count += 1
            self.latency_max = max(self.latency_max, latency_ms)


@dataclass
class Day:
    """A day of one subject so far."""

    day: str  # YYYY-MM-DD
    seconds: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STATES, 0))


class Piece(t.NamedTuple):
    """A time within one hour and one day, and the state that it counts for."""

    begin: int
    end: int
    state: str


def pieces(last: int, now: int, state: str, every_s: int, longest_s: int, zone: tzinfo) -> Iterator[Piece]:
    """What the time between two looks counts for, cut at hours and midnights; nothing where the clock went back."""
    known = now if now - last <= longest_s else last + every_s
    for begin, end, what in ((last, known, state), (known, now, UNKNOWN)):
        at = begin
        while at < end:
            following = min(end, at - at % HOUR_S + HOUR_S, midnight_after(at, zone))
            yield Piece(at, following, what)
            at = following


def day_of(at: int, zone: tzinfo) -> str:
    """The day in which a moment lies, YYYY-MM-DD."""
    return datetime.fromtimestamp(at, zone).date().isoformat()


def midnight_after(at: int, zone: tzinfo) -> int:
    """When the next day begins. In Chile there is no 00:00 on the day on which summer begins: it is 01:00 then."""
    following = datetime.fromtimestamp(at, zone).date() + timedelta(days=1)
    return int(datetime.combine(following, time(), zone).timestamp())
