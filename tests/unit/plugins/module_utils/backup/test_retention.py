"""Which backups may go: for each service by itself, never the last whole one, nothing after a partial backup."""

from __future__ import annotations

import calendar
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import retention
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.config import Retention
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.manifest import Manifest, Part, ServicePart

DAY = 86400
NOW = float(calendar.timegm((2025, 6, 15, 2, 0, 0)))
WEEK = Retention()  # seven days
SERVICES = ("chatwoot", "n8n", "odoo")


def backup(moment: float, *services: str, broken: tuple[str, ...] = (), reason: str = "timer") -> Manifest:
    """A backup of some services; the broken ones failed."""
    each = {name: ServicePart((Part("database", name, f"snapshot of {name}"),)) for name in services}
    each.update({name: ServicePart(error="it failed") for name in broken})
    made = time.strftime("%Y%m%d-%H%M%S", time.gmtime(moment))
    return Manifest(made, "production", "v1.0.0", "machine", each, reason=reason)


def days(count: int, *services: str) -> list[Manifest]:
    """One backup a day, the newest now."""
    return [backup(NOW - number * DAY, *services) for number in range(count)]


def kept(manifests: list[Manifest], rule: Retention = WEEK, now: float = NOW) -> list[Manifest]:
    gone = retention.to_forget(manifests, rule, now)
    return [one for one in manifests if one.id not in gone]


def test_the_newest_of_each_of_the_last_days_stays() -> None:
    made = days(12, "odoo")
    assert retention.to_forget(made, Retention(daily=7), NOW) == sorted(one.id for one in made[7:])


def test_of_an_earlier_day_only_the_newest_stays_and_of_the_last_day_all() -> None:
    early, late = backup(NOW - 3 * DAY - 7200, "odoo"), backup(NOW - 3 * DAY, "odoo")
    recent = [backup(NOW - number * 3600, "odoo") for number in range(4)]
    assert kept([early, late, *recent]) == [late, *recent]


def test_weeks_and_months_reach_further_back() -> None:
    made = days(200, "odoo")
    stay = kept(made, Retention(daily=7, weekly=4, monthly=3))
    assert [one.id[:8] for one in stay] == [
        *("20250615", "20250614", "20250613", "20250612", "20250611", "20250610", "20250609"),
        *("20250608", "20250601", "20250531", "20250525", "20250430"),
    ]


def test_backups_of_one_service_take_no_other_services_place() -> None:
    whole = backup(NOW - 30 * DAY, *SERVICES)
    single = days(20, "n8n")
    stay = kept([whole, *single])
    assert whole in stay
    assert len(stay) == 8


def test_nothing_goes_after_a_partial_backup() -> None:
    made = [backup(NOW, "odoo", broken=("n8n",)), *[backup(NOW - (1 + each) * DAY, *SERVICES) for each in range(20)]]
    assert retention.to_forget(made, Retention(), NOW) == []


def test_a_service_that_fails_day_by_day_keeps_its_last_whole_backup() -> None:
    good = backup(NOW - 40 * DAY, "n8n", "odoo")
    failing = [backup(NOW - number * DAY, "odoo", broken=("n8n",)) for number in range(1, 30)]
    stay = kept([good, *failing, backup(NOW, "odoo")])
    assert good in stay
    assert failing[-1] not in stay


def test_what_was_taken_before_a_restore_pushes_nothing_out() -> None:
    good = backup(NOW - 2 * DAY, "odoo")
    spoilt = backup(NOW - 2 * DAY + 3600 * 9, "odoo", reason="restore")
    assert kept([good, spoilt, backup(NOW, "odoo")]) == [good, spoilt, backup(NOW, "odoo")]


def test_what_something_else_needs_stays() -> None:
    made = days(12, "odoo")
    assert made[11].id not in retention.to_forget(made, Retention(), NOW, keep={made[11].id})


def test_a_machine_that_was_off_for_months_loses_nothing() -> None:
    made = [backup(NOW - 200 * DAY - each * DAY, "odoo") for each in range(7)]
    assert retention.to_forget(made, Retention(daily=7), NOW) == []


def test_backups_from_the_future_push_nothing_out() -> None:
    real = days(7, "odoo")
    wrong = [backup(NOW + (3650 + each) * DAY, "odoo") for each in range(30)]
    assert kept([*real, *wrong]) == [*real, *wrong]


def test_a_clock_that_fell_back_removes_nothing() -> None:
    made = days(30, "odoo")
    assert retention.to_forget([*made, backup(0, "odoo")], Retention(), 0.0) == []


def test_a_clock_that_jumped_ahead_removes_no_more_than_any_day() -> None:
    made = [backup(NOW + 5000 * DAY, "odoo"), *days(7, "odoo")]
    assert retention.to_forget(made, Retention(daily=7), NOW + 5000 * DAY) == [made[7].id]


def test_another_environments_backups_count_by_themselves() -> None:
    other = Manifest(**{**vars(backup(NOW - 50 * DAY, "odoo")), "environment": "staging"})
    assert other in kept([other, *days(10, "odoo")])


moments = st.integers(0, 500 * DAY).map(lambda ago: NOW - ago)
odd_moments = st.one_of(moments, st.integers(1, 9000 * DAY).map(lambda ahead: NOW + ahead))
some = st.lists(st.sampled_from(SERVICES), unique=True, max_size=3)


@st.composite
def histories(draw: st.DrawFn, when: st.SearchStrategy[float] = odd_moments) -> list[Manifest]:
    """Backups of any services at any time, some of which failed, some of them under a wrong clock."""
    made = {}
    for moment in draw(st.lists(when, max_size=40)):
        whole, reason = draw(some), draw(st.sampled_from(["timer", "asked", "restore", "rollback", "deploy"]))
        broken = tuple(name for name in draw(some) if name not in whole)
        one = backup(moment, *whole, broken=broken, reason=reason)
        made[one.id] = one
    return list(made.values())


rules = st.builds(Retention, st.integers(0, 9), st.integers(0, 5), st.integers(0, 5))
clocks = st.one_of(st.just(NOW), odd_moments)


def whole_of(manifests: list[Manifest], service: str) -> list[str]:
    return sorted(one.id for one in manifests if service in one.services and not one.services[service].error)


@settings(max_examples=300, deadline=None)
@given(histories(), rules, clocks)
def test_the_last_whole_backup_of_a_service_is_never_forgotten(
    made: list[Manifest], rule: Retention, now: float
) -> None:
    stay = kept(made, rule, now)
    for service in SERVICES:
        before = whole_of(made, service)
        if before:
            assert before[-1] in {one.id for one in stay}
            past = [each for each in before if retention.moment(each) <= now + retention.AHEAD_S]
            assert not past or past[-1] in {one.id for one in stay}


@settings(max_examples=300, deadline=None)
@given(histories(moments), rules)
def test_each_service_keeps_as_many_days_as_the_rule_says(made: list[Manifest], rule: Retention) -> None:
    stay = kept(made, rule)
    for service in SERVICES:
        had = {one[:8] for one in whole_of([one for one in made if one.reason not in retention.SAFETY], service)}
        has = {one[:8] for one in whole_of([one for one in stay if one.reason not in retention.SAFETY], service)}
        assert len(has) >= min(len(had), rule.daily)
        assert set(sorted(had, reverse=True)[: rule.daily]) <= has


@settings(max_examples=300, deadline=None)
@given(histories(moments), rules, st.sampled_from(SERVICES))
def test_a_partial_backup_never_triggers_removal(made: list[Manifest], rule: Retention, service: str) -> None:
    failed = backup(NOW + 1, *(name for name in SERVICES if name != service), broken=(service,))
    assert retention.to_forget([*made, failed], rule, NOW + 1) == []


@settings(max_examples=300, deadline=None)
@given(histories(), rules, clocks)
def test_one_services_backups_never_remove_anothers(made: list[Manifest], rule: Retention, now: float) -> None:
    """What of a service goes is the same whether or not there are backups of others besides."""
    for service in SERVICES:
        alone = [one for one in made if set(one.services) == {service}]
        others = [one for one in made if service not in one.services]
        mine = set(retention.excess(alone, rule, now))
        assert mine == {
            one for one in retention.excess([*alone, *others], rule, now) if one in {each.id for each in alone}
        }


@settings(max_examples=200, deadline=None)
@given(histories(), rules, clocks)
def test_what_is_from_the_future_is_never_removed_and_not_everything_goes(
    made: list[Manifest], rule: Retention, now: float
) -> None:
    gone = retention.to_forget(made, rule, now)
    assert not [each for each in gone if retention.moment(each) > now]
    useful = [one for one in made if any(not each.error for each in one.services.values())]
    assert not useful or set(gone) < {one.id for one in made}


@settings(max_examples=200, deadline=None)
@given(histories(), rules, clocks)
def test_what_was_let_go_once_leaves_nothing_more_to_let_go(made: list[Manifest], rule: Retention, now: float) -> None:
    stay = kept(made, rule, now)
    assert retention.excess(stay, rule, now) == [] or len(stay) == len(made)
