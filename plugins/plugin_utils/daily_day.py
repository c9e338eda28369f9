# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""A day as people in a time zone count it: it has 23 or 25 hours when the clocks change. Pure but for the clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import INVALID, Stop

TODAY = "today"
_FIRST = date(2000, 1, 1)


@dataclass(frozen=True)
class Day:
    """A date in a zone. ``over`` says whether it has ended; figures of one that has not will still grow."""

    date: date
    zone: str
    start: datetime
    end: datetime
    over: bool

    def as_dict(self) -> dict[str, Any]:
        """The day as a result tells it; moments in UTC."""
        return {
            "date": self.date.isoformat(),
            "zone": self.zone,
            "from": _moment(self.start),
            "to": _moment(self.end),
            "hours": (self.end - self.start) / timedelta(hours=1),
            "over": self.over,
        }


def judged(text: str, zone: str, now: datetime | None = None) -> Day:
    """The day of a date (YYYY-MM-DD, or today), yesterday where there is none. Raises Stop for what is no date, or is to come."""
    moment = now or datetime.now(UTC)
    try:
        clock = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise _refused(
            "time zone", f"{zone!r} is none that this machine knows", "Name one as America/Santiago"
        ) from None
    today = moment.astimezone(clock).date()
    try:
        wanted = _date(text, today)
    except ValueError:
        raise _refused("--date", f"{text!r} is no date", "Write it as 2026-11-22") from None
    if len(text) not in (0, len(TODAY), 10) or not _FIRST <= wanted <= today:
        raise _refused("--date", f"{wanted} is not between {_FIRST} and {today}", "Choose a day that has begun")
    start, end = (
        datetime.combine(each, time(), clock).astimezone(UTC) for each in (wanted, wanted + timedelta(days=1))
    )
    return Day(wanted, zone, start, end, end <= moment)


def _date(text: str, today: date) -> date:
    if text == TODAY:
        return today
    return date.fromisoformat(text) if text else today - timedelta(days=1)


def _moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _refused(what: str, why: str, following: str) -> Stop:
    return Stop(INVALID, [row(what, why, "", following)])
