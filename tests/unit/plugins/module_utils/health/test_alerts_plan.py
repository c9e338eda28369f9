# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Who is told of what: once, together, not at night unless it must be, and never a storm."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.smartercl.smarteros.plugins.module_utils.health import alerts_plan, alerts_state, alerts_text
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.alerts_plan import (
    NEW,
    OVER,
    RECOVERED,
    REMINDED,
    UNSTEADY,
    WORSE,
    Alert,
    Item,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.alerts_rules import Rules, Step
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.alerts_state import State, Way
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.incident import CRITICAL, WARNING, Incident

CHILE = ZoneInfo("America/Santiago")
NOON = datetime(2026, 11, 24, 12, tzinfo=CHILE).timestamp()
PASS, HOUR, DAY = 300.0, 3600.0, 86400.0
CHAT, MAIL, DEPUTY = "admin/whatsapp", "admin/email", "deputy/email"
RULES = Rules(
    CHILE,
    {CRITICAL: (CHAT,), WARNING: (MAIL,)},
    (Step(1800.0, (DEPUTY,)),),
    quiet=(22 * 60, 8 * 60),
)
ALWAYS: Mapping[str, bool] = {}


@dataclass
class World:
    """A machine and its people. ``heard``: what was handed over, ``tried``: how often it was tried."""

    rules: Rules = RULES
    now: float = NOON
    state: State = field(default_factory=State)
    heard: list[Alert] = field(default_factory=list)
    tried: Counter[str] = field(default_factory=Counter)
    known: dict[int, Incident] = field(default_factory=dict)
    number: int = 0

    def open(self, subject: str = "service:n8n", severity: str = CRITICAL, what: str = "no responde") -> Incident:
        self.number += 1
        kind, _colon, title = subject.partition(":")
        made = Incident(self.number, subject, kind, severity, what, self.now, None, title, "", "")
        self.known[made.id] = made
        return made

    def close(self, each: Incident) -> None:
        self.known[each.id] = replace(self.known[each.id], closed_at=self.now)

    def look(self, reached: Mapping[str, bool] = ALWAYS, later: float = PASS) -> list[Alert]:
        """One pass, so much later; gives what was handed over."""
        self.now += later
        news = [each for each in self.known.values() if each.closed_at is None or self.now - each.closed_at < DAY]
        alerts, after = alerts_plan.plan(news, self.state, self.rules, self.now)
        assert len({each.way for each in alerts}) == len(alerts)
        self.tried.update(each.way for each in alerts)
        failed = [each.way for each in alerts if not reached.get(each.way, True)]
        self.state = alerts_state.of_json(alerts_state.as_json(alerts_plan.settled(after, alerts, failed, self.now)))
        went = [each for each in alerts if each.way not in failed]
        self.heard += went
        return went

    def items(self, way: str) -> list[Item]:
        return [item for each in self.heard if each.way == way for item in each.items]


def phases(alerts: Sequence[Alert]) -> dict[str, list[str]]:
    return {each.way: [item.phase for item in each.items] for each in alerts}


def test_an_incident_is_told_once_and_taken_back_once() -> None:
    world = World()
    down = world.open()
    assert phases(world.look()) == {CHAT: [NEW]}
    assert [world.look() for _ in range(4)] == [[]] * 4
    world.close(down)
    assert phases(world.look()) == {CHAT: [RECOVERED]}
    assert [world.look() for _ in range(400)] == [[]] * 400
    assert world.state.ways[CHAT].told == {}


def test_a_hundred_shops_are_one_message() -> None:
    world = World()
    shops = [world.open(f"tenant:Tienda {number}") for number in range(100)]
    (told,) = world.look()
    line = alerts_text.words(told, "production", RULES).line
    assert line == "100 críticos. CRÍTICO: 100 tiendas: Tienda 0, Tienda 1, Tienda 10 y 97 más"
    for each in shops:
        world.close(each)
    (back,) = world.look()
    assert {item.phase for item in back.items} == {RECOVERED}
    assert len(world.heard) == 2


def test_shops_that_fall_one_by_one_are_no_storm_either() -> None:
    world = World(replace(RULES, per_hour=3, escalation=()))
    for number in range(100):
        world.open(f"tenant:Tienda {number}")
        world.look(later=60)
    assert len(world.heard) <= 2 * 6  # in 100 minutes
    world.look(later=HOUR)
    assert sum(len(each.ids) for each in world.items(CHAT)) == 100


def test_warnings_wait_for_the_morning_and_come_as_one_what_is_critical_does_not() -> None:
    world = World(now=datetime(2026, 11, 24, 22, 30, tzinfo=CHILE).timestamp())
    first = world.open("host:disk", WARNING)
    world.open("host:memory", WARNING)
    assert world.look() == []
    world.close(first)
    world.open("service:odoo")
    assert phases(world.look()) == {CHAT: [NEW]}
    night = [world.look() for _ in range(12 * 8)]
    assert {each.way for alerts in night for each in alerts} == {CHAT, DEPUTY}  # the reminder, and who hears next
    morning = phases(world.look(later=2 * HOUR))
    assert morning[MAIL] == [NEW, OVER]


def test_recoveries_of_warnings_wait_too() -> None:
    world = World(now=datetime(2026, 11, 24, 21, 30, tzinfo=CHILE).timestamp())
    full = world.open("host:disk", WARNING)
    assert phases(world.look()) == {MAIL: [NEW]}
    world.now += HOUR
    world.close(full)
    assert [world.look() for _ in range(12 * 9)] == [[]] * 108
    assert phases(world.look(later=HOUR)) == {MAIL: [RECOVERED]}


@pytest.mark.parametrize(
    ("evening", "hours"),
    [((2026, 4, 4), 11), ((2026, 9, 5), 9), ((2026, 11, 24), 10)],
    ids=["clocks go back", "clocks go forward", "any other"],
)
def test_quiet_hours_are_those_of_the_clock_on_the_wall(evening: tuple[int, int, int], hours: int) -> None:
    begin = datetime(*evening, 22, tzinfo=CHILE).timestamp()
    quiet = [minute for minute in range(-60, 14 * 60) if RULES.is_quiet(begin + minute * 60)]
    assert (quiet[0], quiet[-1] + 1, len(quiet)) == (0, hours * 60, hours * 60)


def test_quiet_hours_within_a_day() -> None:
    rules = replace(RULES, quiet=(13 * 60, 14 * 60))
    assert [rules.is_quiet(NOON + hours * HOUR) for hours in (0, 1, 2)] == [False, True, False]
    assert not replace(RULES, quiet=None).is_quiet(NOON)


def test_who_is_next_hears_of_what_stays_critical_and_of_its_end() -> None:
    world = World()
    down, brief = world.open("service:n8n"), world.open("service:odoo")
    world.look()
    world.close(brief)
    heard = [alert for _ in range(8) for alert in world.look()]
    assert phases(heard) == {CHAT: [RECOVERED], DEPUTY: [NEW]}
    world.close(down)
    assert phases(world.look()) == {CHAT: [RECOVERED], DEPUTY: [RECOVERED]}


def test_what_was_a_warning_for_hours_escalates_only_after_it_is_critical() -> None:
    world = World()
    slow = world.open("service:n8n", WARNING)
    assert phases(world.look()) == {MAIL: [NEW]}
    world.look(later=5 * HOUR)
    world.known[slow.id] = replace(slow, severity=CRITICAL)
    assert phases(world.look()) == {CHAT: [NEW]}
    assert phases(world.look(later=1900)) == {DEPUTY: [NEW]}
    world.close(slow)
    assert phases(world.look()) == {CHAT: [RECOVERED], MAIL: [RECOVERED], DEPUTY: [RECOVERED]}


def test_a_way_for_both_hears_that_it_got_worse() -> None:
    world = World(replace(RULES, routes={CRITICAL: (MAIL,), WARNING: (MAIL,)}))
    slow = world.open("service:n8n", WARNING)
    world.look()
    world.known[slow.id] = replace(slow, severity=CRITICAL)
    assert phases(world.look()) == {MAIL: [WORSE]}
    assert world.look() == []


def test_what_stays_open_is_told_again_all_of_it_at_once() -> None:
    world = World(replace(RULES, escalation=(), quiet=None))
    world.open("service:n8n")
    world.look()
    world.open("service:odoo")
    world.look(later=HOUR)
    assert phases(world.look(later=5 * HOUR)) == {CHAT: [REMINDED, REMINDED]}
    assert world.look() == []


def test_what_comes_and_goes_is_told_as_one_thing_until_it_is_steady() -> None:
    world = World(replace(RULES, escalation=()))
    for _ in range(20):
        down = world.open()
        world.look()
        world.close(down)
        world.look()
    assert [item.phase for item in world.items(CHAT)] == [NEW, RECOVERED, NEW, RECOVERED, UNSTEADY]
    world.look(later=HOUR)
    last = world.items(CHAT)[-1]
    assert (last.phase, last.times) == (RECOVERED, 20)
    assert world.state.ways[CHAT].told == {}


def test_a_way_that_is_away_is_tried_ever_more_seldom_and_then_has_it_all_at_once() -> None:
    world = World(replace(RULES, escalation=()))
    down = world.open("service:n8n")
    for _ in range(12 * 10):
        world.look({CHAT: False})
    assert world.tried[CHAT] <= 24  # in ten hours
    world.close(down)
    world.open("service:odoo")
    world.look(later=HOUR)
    assert [(item.phase, item.title) for item in world.items(CHAT)] == [(NEW, "odoo"), (OVER, "n8n")]
    assert world.look() == []


def test_what_stays_as_it_is_changes_nothing_that_is_kept() -> None:
    world = World()
    world.open()
    world.look()
    before = world.state
    world.look()
    assert world.state == before


def test_a_lost_state_tells_what_is_open_again_and_not_what_is_over() -> None:
    world = World()
    world.close(world.open("service:odoo"))
    for number in range(50):
        world.open(f"tenant:{number}")
    world.look()
    world.state = State()
    (told,) = world.look()
    assert {item.phase for item in told.items} == {NEW}
    assert len(told.items) == 50


def test_a_clock_that_goes_back_repeats_nothing_and_silences_nobody() -> None:
    world = World()
    down = world.open()
    world.look()
    world.now -= 30 * DAY
    assert [alert.way for _ in range(6) for alert in world.look()] == []
    world.open("service:odoo")
    assert phases(world.look())[CHAT] == [NEW]
    world.close(down)
    assert RECOVERED in phases(world.look())[CHAT]


def test_a_collector_that_lost_its_book_looks_like_no_recovery() -> None:
    world = World(replace(RULES, escalation=()))
    world.open()
    world.look()
    world.known.clear()
    assert world.look() == []
    again = world.open()
    assert world.look() == []
    world.close(again)
    assert phases(world.look()) == {CHAT: [RECOVERED]}


def test_what_nobody_knows_any_more_is_over_after_a_while() -> None:
    world = World(replace(RULES, escalation=()))
    world.open()
    world.look()
    world.known.clear()
    heard = [alert for _ in range(10) for alert in world.look()]
    assert phases(heard) == {CHAT: [RECOVERED]}


Moves = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from([CRITICAL, WARNING]), st.booleans(), st.booleans()),
    min_size=1,
    max_size=80,
)
"""Of each pass: the subject that changes, how bad it is, and whether the two ways of the admin can be reached."""


def played(world: World, moves: Sequence[tuple[int, str, bool, bool]], *, away: bool) -> None:
    current: dict[int, Incident] = {}
    for subject, severity, chat, mail in moves:
        if subject in current:
            world.close(current.pop(subject))
        else:
            current[subject] = world.open(f"service:{subject}", severity)
        reached: Mapping[str, bool] = {CHAT: chat, MAIL: mail} if away else {}
        world.look(reached)
    for each in current.values():
        world.close(each)
    for _ in range(20):
        world.look(later=HOUR)


@settings(max_examples=40, deadline=None)
@given(Moves)
def test_each_critical_incident_is_told_exactly_once_and_taken_back_exactly_once(
    moves: list[tuple[int, str, bool, bool]],
) -> None:
    world = World(replace(RULES, escalation=(), flaps=10**6, per_hour=10**6))
    played(world, moves, away=False)
    for each in world.known.values():
        if each.severity == CRITICAL and each.closed_at != each.opened_at:
            assert [item.phase for item in world.items(CHAT) if each.id in item.ids][:1] in ([NEW], [OVER])
    told = Counter(number for item in world.items(CHAT) for number in item.ids)
    assert set(told.values()) <= {1}
    begun = Counter(item.subject for item in world.items(CHAT) if item.phase == NEW)
    ended = Counter(item.subject for item in world.items(CHAT) if item.phase == RECOVERED)
    assert begun == ended


@settings(max_examples=40, deadline=None)
@given(Moves)
def test_whatever_happens_messages_are_few_nothing_is_told_twice_and_all_ends_well(
    moves: list[tuple[int, str, bool, bool]],
) -> None:
    world = World()
    played(world, moves, away=True)
    for way in RULES.ways:
        told = Counter(number for item in world.items(way) if item.phase != WORSE for number in item.ids)
        assert set(told.values()) <= {1}
        moments = [each.at for each in world.heard if each.way == way]
        assert all(sum(1 for each in moments if at - HOUR < each <= at) <= 2 * RULES.per_hour for at in moments)
        balance = Counter(item.subject for item in world.items(way) if item.phase == RECOVERED)
        begun = Counter(item.subject for item in world.items(way) if item.phase in (NEW, UNSTEADY))
        assert all(balance[subject] <= begun[subject] for subject in begun)
        assert world.state.ways[way].told == {}
        assert world.state.ways[way].tries == 0


def test_a_state_outlives_its_file_and_another_shape_is_refused() -> None:
    world = World()
    world.open()
    world.look()
    kept = alerts_state.as_json(world.state)
    assert alerts_state.of_json(kept) == world.state
    wrong = {**kept, "ways": {CHAT: {**kept["ways"][CHAT], "sent": ["x"]}}}
    others: list[Any] = [{}, [], {"ways": 1}, wrong]
    for broken in others:
        with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
            alerts_state.of_json(broken)


def test_pauses_have_a_limit() -> None:
    way = Way()
    pauses = []
    for _ in range(8):
        way = way.failed(0.0)
        pauses.append(way.again_at)
    assert pauses == [300, 600, 1200, 1800, 1800, 1800, 1800, 1800]
    assert way.handed_over(9.0) == Way(sent=(9.0,))
