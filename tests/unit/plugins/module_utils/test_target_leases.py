"""Leases on many tenants, on the machine itself."""

from __future__ import annotations

import json
import multiprocessing
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import target_leases, target_lock
from ansible_collections.smartercl.smarteros.plugins.module_utils.target_leases import TargetLeases, told
from ansible_collections.smartercl.smarteros.plugins.modules import tenant_lease
from unit.plugins.wire import run_module

ONE, TWO, THREE = "10000001-6", "10000002-4", "10000003-2"


def who(run: str) -> dict[str, Any]:
    return {"run": run, "holder": "ana@control", "reason": "update tenant"}


@pytest.fixture
def leases(tmp_path: Path) -> TargetLeases:
    return TargetLeases("production", tmp_path / "locks")


def runs(leases: TargetLeases) -> dict[str, str]:
    return {key: there["run"] for key, there in leases.held().items()}


def test_free_tenants_are_taken_at_once_and_given_back(leases: TargetLeases) -> None:
    assert leases.release("a") == []
    assert leases.take([ONE, TWO], who("a")) == ({}, {})
    assert runs(leases) == {ONE: "a", TWO: "a"}
    assert leases.held()[ONE]["expires_at"] > time.time() + 800
    assert leases.release("a", [ONE]) == [ONE]
    assert leases.release("b") == []
    assert leases.release("a") == [TWO]
    assert leases.held() == {}


def test_what_another_run_holds_is_refused_and_the_rest_is_taken(leases: TargetLeases) -> None:
    leases.take([ONE], who("a"))
    got = leases.take([ONE, TWO], who("b"))
    assert {key: there["run"] for key, there in got.refused.items()} == {ONE: "a"}
    assert runs(leases) == {ONE: "a", TWO: "b"}


def test_a_lease_that_is_over_or_of_a_dead_run_is_taken_over_and_told(leases: TargetLeases) -> None:
    leases.take([ONE], who("a"), lease_s=-1)
    leases.take([TWO, THREE], who("dead"))
    got = leases.take([ONE, TWO], who("b"), take_over=["dead"])
    assert got.refused == {}
    assert {key: there["run"] for key, there in got.taken_over.items()} == {ONE: "a", TWO: "dead"}
    assert runs(leases) == {ONE: "b", TWO: "b", THREE: "dead"}


def test_the_same_run_begins_anew_and_displaces_nobody(leases: TargetLeases) -> None:
    leases.take([ONE], who("a"), lease_s=5)
    assert leases.take([ONE], who("a")) == ({}, {})
    assert leases.held()[ONE]["expires_at"] > time.time() + 800


def test_renewing_tells_what_is_still_held(leases: TargetLeases) -> None:
    assert leases.renew("a") == []
    leases.take([ONE, TWO], who("a"), lease_s=-1)
    leases.take([ONE], who("b"))
    assert leases.renew("a") == [TWO]
    assert leases.held()[TWO]["expires_at"] > time.time() + 800
    assert runs(leases)[ONE] == "b"


def test_environments_do_not_meet(tmp_path: Path) -> None:
    TargetLeases("staging", tmp_path).take([ONE], who("a"))
    assert TargetLeases("production", tmp_path).take([ONE], who("b")).refused == {}
    with pytest.raises(ValueError, match="name of an environment"):
        TargetLeases("../x", tmp_path)


@pytest.mark.parametrize(
    "damaged", ["{", "[]", '{"10000001-6": 7}', '{"10000001-6": {"run": "a", "expires_at": "soon"}}']
)
def test_a_damaged_file_stands_in_nobodys_way(leases: TargetLeases, tmp_path: Path, damaged: str) -> None:
    leases.take([ONE], who("a"))
    (tmp_path / "locks" / "tenants.production.lock").write_text(damaged)
    assert leases.take([ONE], who("b")).refused == {}
    assert runs(leases) == {ONE: "b"}


def test_what_was_over_long_ago_is_forgotten(leases: TargetLeases) -> None:
    leases.take([ONE], who("a"), lease_s=-2 * target_leases.FORGOTTEN_S)
    leases.take([TWO], who("b"))
    assert runs(leases) == {TWO: "b"}


def test_a_run_waits_until_the_other_one_ends(leases: TargetLeases, monkeypatch: pytest.MonkeyPatch) -> None:
    leases.take([ONE], who("a"))
    monkeypatch.setattr(target_leases.time, "sleep", lambda _s: leases.release("a"))
    assert leases.wait([ONE, TWO], who("b"), wait_s=600.0).refused == {}
    assert runs(leases) == {ONE: "b", TWO: "b"}
    assert list(leases.wait([ONE], who("c")).refused) == [ONE]


def test_a_module_that_takes_long_keeps_the_leases_of_its_run(
    leases: TargetLeases, monkeypatch: pytest.MonkeyPatch
) -> None:
    leases.take([ONE], who("a"), lease_s=1)
    monkeypatch.setenv(target_lock.RUN, "a")
    target_lock.keep_alive(leases, 0.01)
    until = time.monotonic() + 60
    while leases.held()[ONE]["expires_at"] < time.time() + 800:
        assert time.monotonic() < until
        time.sleep(0.01)
    leases.release("a")  # the thread ends by that


def race(folder: str, number: int, results: Any) -> None:
    got = TargetLeases("production", Path(folder)).take([ONE, TWO], who(f"run-{number}"))
    results.put((number, sorted({ONE, TWO} - set(got.refused))))


def test_of_many_that_come_at_once_one_gets_each_tenant(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    racers = [context.Process(target=race, args=(str(tmp_path), number, results)) for number in range(6)]
    for racer in racers:
        racer.start()
    got = [results.get(timeout=120) for _ in racers]
    for racer in racers:
        racer.join(120)
    winners = [number for number, taken in got if taken]
    assert len(winners) == 1
    assert runs(TargetLeases("production", tmp_path)) == {ONE: f"run-{winners[0]}", TWO: f"run-{winners[0]}"}


def test_a_lease_is_told_with_age_and_what_is_left() -> None:
    now = time.time()
    row = told(ONE, {"run": "a", "taken_at": now - 100, "expires_at": now + 200})
    assert row["tenant"] == ONE
    assert row["age_s"] >= 100
    assert 0 < row["left_s"] <= 200


# --- the module


def lease(folder: Path, check: bool = False, **more: Any) -> dict[str, Any]:
    return run_module(tenant_lease, check, environment="production", folder=str(folder), **more)


def test_the_module_takes_renews_and_gives_back(tmp_path: Path) -> None:
    holder = {"holder": "ana@control", "reason": "update tenant"}
    first = lease(tmp_path, run="a", tenants=[ONE, TWO], holder=holder)
    assert (first["changed"], first["refused"], first["taken_over"]) == (False, [], [])
    (refused,) = lease(tmp_path, run="b", tenants=[ONE, THREE], holder=holder)["refused"]
    assert (refused["tenant"], refused["run"], refused["holder"]) == (ONE, "a", "ana@control")
    (over,) = lease(tmp_path, run="b", tenants=[ONE], take_over=["a"])["taken_over"]
    assert over["run"] == "a"
    assert lease(tmp_path, run="a", tenants=[ONE, TWO], state="renewed")["lost"] == [ONE]
    lease(tmp_path, run="b", state="released")
    assert runs(TargetLeases("production", tmp_path)) == {TWO: "a"}


def test_check_mode_touches_nothing(tmp_path: Path) -> None:
    told = lease(tmp_path / "locks", check=True, run="a", tenants=[ONE])
    assert (told["changed"], told["refused"]) == (False, [])
    assert not (tmp_path / "locks").exists()


def test_what_cannot_be_done_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused = lease(tmp_path / "file", run="a", tenants=[ONE])
    assert refused["exit_code"] == 3
    assert str(tmp_path / "file") in refused["errors"][0]["why"]
    wrong = run_module(tenant_lease, environment="../x", run="a", folder=str(tmp_path))
    assert wrong["exit_code"] == 2
    assert json.loads(json.dumps(wrong))["failed"]
