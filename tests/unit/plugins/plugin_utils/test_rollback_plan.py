"""A rollback's plan: what goes back, which data it needs, from which backup, and what is refused."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.smartercl.smarteros.plugins.module_utils import ledger
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import releases, rollback_plan
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.rollback_plan import Data

ROOT = Path(__file__).resolve().parents[4] / "specs"
A, B = {"n8n": "2.40.0"}, {"n8n": "2.41.1"}
DAY = "2030-01-{:02d}T12:00:00Z"


def record(versions: dict[str, str], data: dict[str, str] | None = None, release: str = "") -> dict[str, Any]:
    components = {name: {"version": version, "image": f"{name}:{version}"} for name, version in versions.items()}
    return {**rollback_plan.EMPTY, "components": components, "data": data or versions, "release": release}


def entry(day: int, release: str, services: dict[str, Any], **more: Any) -> ledger.Entry:
    return {"release": release, "run": f"run{day}", "at": DAY.format(day), "services": services, **more}


def crossed(data: Any, wanted: Any) -> Sequence[releases.Crossing]:
    return releases.crossed(data, wanted, ROOT)


def nothing(_release: str) -> dict[str, dict[str, str]]:
    return {}


def find(entries: list[ledger.Entry], ids: list[str], wanted: dict[str, str]) -> list[str]:
    backups = [{"id": each, "services": ["n8n"]} for each in ids]
    return rollback_plan.fitting(entries, backups, "n8n", wanted, crossed, nothing)


HISTORY = [entry(1, "1", {"n8n": record(A)}), entry(3, "2", {"n8n": record(B)}), entry(5, "2", {"n8n": record(B)})]
BACKUPS = ["20300101-020000", "20300102-020000", "20300103-110000", "20300104-020000", "20300106-020000"]


def test_the_backup_is_the_newest_from_the_time_of_the_older_version() -> None:
    assert find(HISTORY, BACKUPS, A) == ["20300103-110000", "20300102-020000"]
    assert find(HISTORY, BACKUPS, B) == ["20300106-020000", "20300104-020000"]


def test_a_version_that_was_tried_and_taken_back_ends_the_time_of_the_older_one() -> None:
    tried = [HISTORY[0], entry(3, "2", {"n8n": record(A, B)}, result="rolled back")]
    assert find(tried, BACKUPS, A) == ["20300103-110000", "20300102-020000"]


def test_an_old_entry_has_the_versions_of_its_release() -> None:
    old = [entry(1, "1", {"n8n": {"config": "a", "images": {}}})]
    known = {"1": {"n8n": A}}
    assert rollback_plan.fitting(old, [{"id": BACKUPS[1], "services": ["n8n"]}], "n8n", A, crossed, lambda r: known[r])
    assert rollback_plan.records(old[0]["services"], "1", lambda r: known[r])["n8n"]["data"] == A
    assert not find(old, BACKUPS, A)  # nobody knows any more what release 1 was


@pytest.mark.parametrize(
    ("services", "state", "good"),
    [
        (["n8n"], "complete", True),
        (["n8n"], "partial", False),
        (["odoo"], "complete", False),
        ({"n8n": {"error": ""}}, "partial", True),
        ({"n8n": {"error": "no dump"}}, "partial", False),
        ({"n8n": {"state": "failed"}}, "partial", False),
    ],
)
def test_a_backup_that_lacks_the_service_is_not_taken(services: Any, state: str, good: bool) -> None:
    backups = [{"id": BACKUPS[1], "services": services, "state": state}]
    assert bool(rollback_plan.fitting(HISTORY, backups, "n8n", A, crossed, nothing)) is good


def data(
    before: dict[str, Any], wanted: dict[str, Any], visited: Sequence[str], ids: dict[str, list[str]]
) -> list[Data]:
    return rollback_plan.data_of(before, wanted, visited, lambda name, _versions: ids.get(name, []), crossed)


def test_data_are_needed_on_the_way_down_and_offered_on_the_way_up() -> None:
    (down,) = data({"n8n": record(B)}, {"n8n": record(A)}, ["n8n"], {"n8n": ["x"]})
    (up,) = data({"n8n": record(A)}, {"n8n": record(B)}, ["n8n"], {"n8n": ["x"]})
    assert (down.needed, up.needed) == (True, False)
    (taken_back,) = data({"n8n": record(A, B)}, {"n8n": record(A)}, [], {"n8n": ["x"]})
    assert not taken_back.needed
    traefik = ({"traefik": record({"traefik": "3.7.9"})}, {"traefik": record({"traefik": "3.7.8"})})
    assert data(*traefik, ["traefik"], {}) == []


def test_one_backup_for_all_goes_before_the_newest_of_each() -> None:
    before = {"n8n": record(B), "metabase": record({"metabase": "0.64.0"})}
    wanted = {"n8n": record(A), "metabase": record({"metabase": "0.63.5"})}
    both = data(before, wanted, list(wanted), {"n8n": ["3", "2"], "metabase": ["2", "1"]})
    assert rollback_plan.groups(both) == [{"backup": "2", "services": ["n8n", "metabase"]}]
    apart = data(before, wanted, list(wanted), {"n8n": ["3"], "metabase": ["2"]})
    assert [group["backup"] for group in rollback_plan.groups(apart)] == ["2", "3"]


NOW = rollback_plan.began("20300103-110000") + 5.2 * 3600


def planned(ids: list[str], with_data: bool, order: Sequence[str] = ("postgresql", "n8n")) -> rollback_plan.Plan:
    found = data({"n8n": record(B)}, {"n8n": record(A)}, list(order), {"n8n": ids})
    return rollback_plan.plan("1", "2", order, found, with_data, NOW)


def test_without_data_it_is_refused_and_says_what_it_would_cost() -> None:
    (error,) = planned(["20300103-110000"], False).refused
    assert error["what"] == "n8n"
    assert "2.40.0 does not read them" in error["why"]
    for words in ("smos rollback 1 --with-data", "20300103-110000", "2030-01-03 11:00 UTC", "5.2 h"):
        assert words in error["next"], words


def test_with_data_it_goes_and_the_dependents_go_first() -> None:
    made = planned(["20300103-110000"], True)
    assert not made.refused
    assert made.visited == ("n8n", "postgresql")
    assert made.restore == ({"backup": "20300103-110000", "services": ["n8n"]},)
    rows = rollback_plan.rows(made, [{"service": "postgresql"}, {"service": "n8n"}], NOW)
    assert [(row["service"], row.get("what")) for row in rows] == [
        ("n8n", "data (loses 5.2 h)"),
        ("n8n", None),
        ("postgresql", None),
    ]
    assert rollback_plan.told(made, NOW)["data"][0]["restored"]


def test_while_a_restore_is_half_done_only_what_restores_may_go_on() -> None:
    half = "the restore of 20300103-110000 (n8n), begun at noon, was cut off while switching"

    def refused(ids: list[str], with_data: bool, there: dict[str, str]) -> tuple[dict[str, str], ...]:
        found = data({"n8n": record(there)}, {"n8n": record(A)}, ["n8n"], {"n8n": ids})
        return rollback_plan.plan("1", "2", ["n8n"], found, with_data, NOW, half).refused

    (error,) = refused([], False, A)
    assert (error["why"], error["next"]) == (half, "Run that first, or this with --with-data")
    assert refused(["20300103-110000"], True, B) == ()  # the restore judges whether it is the same
    (error,) = refused(["20300103-110000"], False, B)
    assert "--with-data" in error["next"]
    (error,) = rollback_plan.forbidden([], "1", False, (), half)
    assert (error["why"], "--acknowledge 1" in error["next"]) == (half, True)
    assert rollback_plan.forbidden([], "1", True, ["1"], half) == []


def test_without_a_backup_there_is_no_way_back() -> None:
    (error,) = planned([], True).refused
    assert "no backup of them from before" in error["why"]


def test_what_is_done_by_hand_is_not_undone_by_a_command() -> None:
    found = data({"odoo": record({"odoo": "18.0"})}, {"odoo": record({"odoo": "17.0"})}, ["odoo"], {"odoo": ["x"]})
    (error,) = rollback_plan.plan("1", "2", ["odoo"], found, True, NOW).refused
    assert "no command" in error["why"]


def test_a_service_whose_data_alone_go_back_is_started_again() -> None:
    found = data({"n8n": record(A, B)}, {"n8n": record(A)}, [], {"n8n": ["20300103-110000"]})
    assert rollback_plan.plan("1", "1", [], found, False, NOW).visited == ()
    assert rollback_plan.plan("1", "1", [], found, True, NOW).visited == ("n8n",)


def test_data_become_older_only_by_a_restore() -> None:
    before = {"n8n": record(B), "odoo": record({"odoo": "17.0"})}
    wanted = {"n8n": {**record(A), "data": {}}}
    assert rollback_plan.settled(before, wanted, ["n8n"])["n8n"]["data"] == B
    assert rollback_plan.settled(before, wanted, ["n8n"], ["n8n"])["n8n"]["data"] == A
    assert rollback_plan.settled(before, wanted, ["n8n"])["odoo"] == before["odoo"]


def test_an_unknown_release_is_told_with_the_nearest() -> None:
    entries = [entry(1, "0.1.0", {}), entry(2, "0.2.0", {}), entry(3, "0.3.0", {}, result="failed")]
    assert rollback_plan.target(entries, "v0.1.0") is entries[0]
    assert rollback_plan.target(entries, "previous") is entries[0]
    with pytest.raises(
        rollback_plan.UnknownTarget, match=r"never deployed .* known: 0\.2\.0, 0\.1\.0; did you mean 0\.2\.0"
    ):
        rollback_plan.target(entries, "0.2.1")
    with pytest.raises(rollback_plan.UnknownTarget, match="never deployed"):
        rollback_plan.target(entries, "0.3.0")
    with pytest.raises(rollback_plan.UnknownTarget, match="nothing was deployed"):
        rollback_plan.target([], "previous")


def test_a_bad_release_comes_only_by_name_and_acknowledged() -> None:
    entries = [entry(3, "1", {}, kind="rollback", previous="2", bad={"2": {"at": "then", "who": "ana@pc", "run": "r"}})]
    (error,) = rollback_plan.forbidden(entries, "2", False, [])
    assert "ana@pc" in error["why"]
    assert "--release 2 --acknowledge 2" in error["next"]
    assert rollback_plan.forbidden(entries, "2", True, [])
    assert rollback_plan.forbidden(entries, "2", False, ["2"])
    assert not rollback_plan.forbidden(entries, "2", True, ["2"])
    assert not rollback_plan.forbidden(entries, "3", False, [])


def test_while_a_rollback_is_unfinished_nothing_is_deployed_by_the_way() -> None:
    entries = [entry(1, "1", {}), entry(2, "1", {}, kind="rollback", result="failed", restore=[{"backup": "x"}])]
    (error,) = rollback_plan.forbidden(entries, "2", False, [])
    assert "`smos rollback 1 --with-data` goes on" in error["next"]


@given(
    st.lists(st.tuples(st.sampled_from(["A", "B"]), st.sampled_from(["A", "B"])), min_size=1, max_size=8),
    st.lists(st.integers(0, 40), max_size=12, unique=True),
)
def test_a_backup_is_never_taken_from_a_time_of_other_data(steps: list[tuple[str, str]], days: list[int]) -> None:
    """Whatever was deployed, tried and taken back: data come only from a time at which they were of the wanted version."""
    versions = {"A": A, "B": B}
    base = time.mktime((2030, 1, 1, 0, 0, 0, 0, 0, 0))
    stamps = [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(base + 4 * 86400 * n)) for n in range(len(steps))]
    entries = [
        {"release": runs, "run": at, "at": at, "services": {"n8n": record(versions[runs], versions[wrote])}}
        for at, (runs, wrote) in zip(stamps, steps, strict=True)
    ]
    ids = {time.strftime("%Y%m%d-%H%M%S", time.gmtime(base + 86400 * day + 3600)): day for day in days}
    for name, wanted in versions.items():
        for each in find(entries, list(ids), wanted):
            place = min(ids[each] // 4, len(steps) - 1)
            assert steps[place][1] == name
