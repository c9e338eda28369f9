# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""A day of the digest: from midnight to midnight in Chile, also when the clocks change."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import daily_day
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import INVALID, Stop

SANTIAGO = "America/Santiago"
NOW = datetime(2026, 11, 23, 11, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("date", "start", "hours"),
    [
        ("2026-04-04", "2026-04-04T03:00:00Z", 25),  # at midnight the clocks go back to 23:00 of the same Saturday
        ("2026-04-05", "2026-04-05T04:00:00Z", 24),
        ("2026-09-05", "2026-09-05T04:00:00Z", 24),
        ("2026-09-06", "2026-09-06T04:00:00Z", 23),  # this Sunday begins at one
        ("2026-11-22", "2026-11-22T03:00:00Z", 24),
    ],
)
def test_a_day_in_chile_has_23_to_25_hours(date: str, start: str, hours: int) -> None:
    day = daily_day.judged(date, SANTIAGO, NOW).as_dict()
    assert (day["from"], day["hours"], day["over"]) == (start, hours, True)


@given(st.datetimes(min_value=datetime(2020, 1, 2), max_value=datetime(2035, 1, 1)))
def test_yesterday_ends_where_today_begins(moment: datetime) -> None:
    now = moment.replace(tzinfo=UTC)
    yesterday = daily_day.judged("", SANTIAGO, now)
    today = daily_day.judged((yesterday.date.fromordinal(yesterday.date.toordinal() + 1)).isoformat(), SANTIAGO, now)
    assert yesterday.end == today.start <= now < today.end
    assert yesterday.over
    assert not today.over


def test_today_is_that_of_the_zone() -> None:
    day = daily_day.judged("today", SANTIAGO, datetime(2026, 11, 24, 1, 0, tzinfo=UTC))
    assert (day.date.isoformat(), day.over) == ("2026-11-23", False)


@pytest.mark.parametrize(
    "date", ["2026-11-24", "1999-12-31", "20261122", "2026-02-30", "ayer", "2026-11-22T00:00", "{{ 1 }}"]
)
def test_what_is_no_day_that_has_begun_is_refused(date: str) -> None:
    with pytest.raises(Stop) as refused:
        daily_day.judged(date, SANTIAGO, NOW)
    assert refused.value.exit_code == INVALID


@pytest.mark.parametrize("zone", ["", "Chile", "../etc/passwd", "/etc/localtime", "\0"])
def test_a_zone_that_nobody_knows_is_refused(zone: str) -> None:
    with pytest.raises(Stop):
        daily_day.judged("", zone, NOW)
