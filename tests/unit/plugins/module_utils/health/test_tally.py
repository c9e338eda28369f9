# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Seconds by hour and day, against a reference that goes through time second by second (in steps of a minute)."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.smartercl.smarteros.plugins.module_utils.health import tally
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.book import Book
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.config import Rules
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.incident import (
    DEGRADED,
    DOWN,
    UNKNOWN,
    UP,
    Observation,
    Subject,
)

CHILE = ZoneInfo("America/Santiago")
RULES = Rules()
MINUTE = 60
SHOP = Subject("tenant:76000001-1", "tenant", "Shop", tenant="76000001-1", target=99.5)


def moment(text: str, zone: ZoneInfo = CHILE) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp())


def reference(passes: list[tuple[int, str]], zone: ZoneInfo) -> dict[str, Counter[str]]:
    """By day, how many seconds each state has: every minute asks which look it belongs to."""
    found: dict[str, Counter[str]] = {}
    for (at, state), (following, _state) in pairwise(passes):
        for minute in range(at, following, MINUTE):
            hole = following - at > RULES.longest_s and minute >= at + RULES.every_s
            day = datetime.fromtimestamp(minute, UTC).astimezone(zone).date().isoformat()
            found.setdefault(day, Counter())[UNKNOWN if hole else state] += MINUTE
    return found


def told(passes: list[tuple[int, str]], zone: ZoneInfo) -> dict[str, Counter[str]]:
    """The same from the book, as the database would have it in the end."""
    book, days = Book(), {}
    for at, state in passes:
        ended = book.take([Observation(SHOP, state)], at, RULES, zone)
        days.update({day.day: day for _key, day in ended.days})
    line = book.lines[SHOP.key]
    days[line.day.day] = line.day
    sums = {
        day: Counter({state: value for state, value in each.seconds.items() if value}) for day, each in days.items()
    }
    return {day: each for day, each in sums.items() if each}


@given(
    start=st.sampled_from(["2026-04-03T21:00", "2026-09-04T21:00", "2026-02-27T22:00", "2026-12-31T20:00"]),
    steps=st.lists(
        st.tuples(
            st.one_of(st.just(5), st.integers(1, 12), st.sampled_from([61, 240, 1500, 4000])),
            st.sampled_from([UP, UP, DEGRADED, DOWN, UNKNOWN]),
        ),
        min_size=1,
        max_size=60,
    ),
    zone=st.sampled_from(["America/Santiago", "UTC", "Asia/Kolkata", "Australia/Lord_Howe"]),
)
def test_every_second_counts_once_and_for_what_was_found(start: str, steps: list[tuple[int, str]], zone: str) -> None:
    at = moment(start)
    passes = [(at, UP)]
    for minutes, state in steps:
        at += minutes * MINUTE
        passes.append((at, state))
    assert told(passes, ZoneInfo(zone)) == reference(passes, ZoneInfo(zone))


def test_a_month_of_looks_gives_its_exact_figures() -> None:
    first = moment("2026-11-01T00:00")
    passes = []
    for number in range(30 * 288 + 1):
        at = first + number * 300
        day = number // 288
        # On the 10th an hour and a half down from noon, on the 20th ten minutes degraded
        state = DOWN if day == 9 and 144 <= number % 288 < 162 else DEGRADED if day == 19 and number % 288 < 2 else UP
        passes.append((at, state))
    sums = told(passes, CHILE)
    assert sums["2026-11-10"] == {UP: 86400 - 5400, DOWN: 5400}
    assert sums["2026-11-20"] == {UP: 86400 - 600, DEGRADED: 600}
    others = [each for day, each in sums.items() if day not in ("2026-11-10", "2026-11-20")]
    assert all(each == {UP: 86400} for each in others)
    assert len(sums) == 30


@pytest.mark.parametrize(("day", "hours"), [("2026-04-04", 25), ("2026-09-06", 23), ("2026-09-05", 24)])
def test_a_day_on_which_the_clocks_change_has_its_own_length(day: str, hours: int) -> None:
    at = moment(f"{day}T12:00") - 86400 * 2
    passes = [(at + number * 300, UP) for number in range(4 * 288)]
    assert told(passes, CHILE)[day] == {UP: hours * 3600}


def test_a_clock_that_goes_back_counts_nothing_twice() -> None:
    at = moment("2026-11-10T12:00")
    assert list(tally.pieces(at, at - 600, UP, 300, 750, CHILE)) == []
    sums = told([(at, UP), (at + 300, UP), (at - 300, UP), (at, UP)], CHILE)
    assert sum(sums["2026-11-10"].values()) == 600


def test_a_hole_is_not_known_beyond_one_step() -> None:
    at = moment("2026-11-10T12:00")
    assert told([(at, UP), (at + 7200, UP)], CHILE) == {"2026-11-10": {UP: 300, UNKNOWN: 6900}}
