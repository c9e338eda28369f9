# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What the collector knows between two passes, and what a pass adds to it. No input or output but plain data.

All that is handed out is whole, never a difference: who writes it twice has written it once.
"""

from __future__ import annotations

import typing as t
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import tzinfo

from ansible_collections.smartercl.smarteros.plugins.module_utils.health import incident, tally
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.config import Rules
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.incident import (
    Doubt,
    Incident,
    Observation,
    Subject,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.tally import Day, Hour

AWAY = "it is not watched any more"
Json = dict[str, t.Any]


@dataclass
class Line:
    """One subject. ``since`` is when its state began, ``last`` when it was looked at."""

    subject: Subject
    state: str
    since: int
    last: int
    message: str
    latency_ms: int | None
    hour: Hour
    day: Day
    doubt: Doubt = field(default_factory=Doubt)
    incident: Incident | None = None

    def as_json(self) -> Json:
        """As it is kept in a file."""
        return asdict(self)

    @classmethod
    def of_json(cls, found: Json) -> Line:
        """The opposite. Raises KeyError and TypeError for what is none."""
        made = cls(
            **{
                **found,
                "subject": Subject(**found["subject"]),
                "hour": Hour(**found["hour"]),
                "day": Day(**found["day"]),
            }
        )
        made.doubt = Doubt(**found["doubt"])
        made.incident = Incident(**found["incident"]) if found["incident"] else None
        return made


@dataclass
class Ended:
    """What a pass brought to its end: hours and days by subject, and incidents that closed."""

    hours: list[tuple[str, Hour]] = field(default_factory=list)
    days: list[tuple[str, Day]] = field(default_factory=list)
    incidents: list[Incident] = field(default_factory=list)


@dataclass
class Book:
    """All subjects by key. ``last_id`` is that of the newest incident."""

    lines: dict[str, Line] = field(default_factory=dict)
    last_id: int = 0

    def take(self, seen: Sequence[Observation], at: int, rules: Rules, zone: tzinfo) -> Ended:
        """Add a pass at ``at``, seconds since 1970. Who is not seen any more has no incident, and is not known."""
        ended = Ended()
        here = {each.subject.key for each in seen}
        for key in [key for key in self.lines if key not in here]:
            self._away(key, at, rules, zone, ended)
        for each in seen:
            self._add(each, at, rules, zone, ended)
        return ended

    def open_incidents(self) -> list[Incident]:
        """Those that last, the oldest first."""
        found = [line.incident for line in self.lines.values() if line.incident]
        return sorted(found, key=lambda each: (each.opened_at, each.id))

    def _away(self, key: str, at: int, rules: Rules, zone: tzinfo, ended: Ended) -> None:
        """Keep the line until its day is over: a day is written whole, and who comes back must not begin it again."""
        line = self.lines[key]
        self._count(key, line, at, rules, zone, ended)
        if line.incident:
            closed = max(float(at), line.incident.opened_at)
            ended.incidents.append(Incident(**{**line.incident.as_row(), "closed_at": closed}))
        if line.message != AWAY:
            line.since = at
        elif line.day.day != tally.day_of(line.since, zone):
            ended.hours.append((key, line.hour))
            ended.days.append((key, line.day))
            del self.lines[key]
            return
        line.state, line.last, line.message, line.latency_ms = incident.UNKNOWN, at, AWAY, None
        line.doubt, line.incident = Doubt(), None

    def _add(self, seen: Observation, at: int, rules: Rules, zone: tzinfo, ended: Ended) -> None:
        key = seen.subject.key
        line = self.lines.get(key)
        if line is None:
            hour, day = Hour(at - at % tally.HOUR_S), Day(tally.day_of(at, zone))
            line = self.lines[key] = Line(seen.subject, seen.state, at, at, seen.message, seen.latency_ms, hour, day)
        else:
            self._count(key, line, at, rules, zone, ended)
            if seen.state != line.state:
                line.since = at
        line.subject, line.state, line.last = seen.subject, seen.state, at
        line.message, line.latency_ms = seen.message, seen.latency_ms
        line.hour.answered(seen.latency_ms)
        new_id = max(self.last_id + 1, at * 1000)
        line.doubt, after = incident.judge(
            seen, at, line.doubt, line.incident, rules.open_after, rules.close_after, new_id
        )
        if after and after.id == new_id:
            self.last_id = new_id
        if after and after.closed_at is not None:
            ended.incidents.append(after)
            after = None
        line.incident = after

    def _count(self, key: str, line: Line, at: int, rules: Rules, zone: tzinfo, ended: Ended) -> None:
        for piece in tally.pieces(line.last, at, line.state, rules.every_s, rules.longest_s, zone):
            self._turn(key, line, piece.begin, zone, ended)
            line.hour.seconds[piece.state] += piece.end - piece.begin
            line.day.seconds[piece.state] += piece.end - piece.begin
        if at > line.last:
            self._turn(key, line, at, zone, ended)

    def _turn(self, key: str, line: Line, at: int, zone: tzinfo, ended: Ended) -> None:
        """Begin a new hour and a new day where this moment lies in others."""
        hour, day = at - at % tally.HOUR_S, tally.day_of(at, zone)
        if hour != line.hour.at:
            ended.hours.append((key, line.hour))
            line.hour = Hour(hour)
        if day != line.day.day:
            ended.days.append((key, line.day))
            line.day = Day(day)
