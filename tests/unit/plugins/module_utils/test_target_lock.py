"""One operation at a time on a machine."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import target_lock
from ansible_collections.smartercl.smarteros.plugins.module_utils.target_lock import Held, TargetLock


def holder(run: str, lease_s: float = 900) -> dict[str, object]:
    return {"run": run, "holder": "ana@control", "reason": "deploy", "expires_at": time.time() + lease_s}


@pytest.fixture
def lock(tmp_path: Path) -> TargetLock:
    return TargetLock(folder=tmp_path / "locks")


def test_a_free_lock_is_taken_and_given_back(lock: TargetLock) -> None:
    assert lock.holder() is None
    assert lock.take(holder("one")) is None
    found = lock.holder()
    assert found is not None
    assert found["run"] == "one"
    assert lock.release("one")
    assert lock.holder() is None
    assert not lock.release("one")


def test_another_living_run_is_refused_and_named(lock: TargetLock) -> None:
    lock.take(holder("one"))
    with pytest.raises(Held) as refused:
        lock.take(holder("two"))
    assert refused.value.holder["run"] == "one"
    assert not lock.release("two")
    assert lock.holder() is not None


def test_the_same_run_begins_its_lease_anew(lock: TargetLock) -> None:
    lock.take(holder("one", 10))
    assert lock.take(holder("one", 900)) is None
    found = lock.holder()
    assert found is not None
    assert found["expires_at"] > time.time() + 800
    assert lock.renew("one", 5)
    assert not lock.renew("two")


def test_an_expired_lease_is_taken_over_and_said(lock: TargetLock) -> None:
    lock.take(holder("one", -1))
    former = lock.take(holder("two"))
    assert former is not None
    assert former["run"] == "one"
    assert not lock.renew("one")


def test_a_run_that_is_known_to_be_dead_is_taken_over(lock: TargetLock) -> None:
    lock.take(holder("one"))
    with pytest.raises(Held):
        lock.take(holder("two"), take_over="somebody else")
    assert lock.take(holder("two"), take_over="one") is not None


def test_a_broken_lock_file_counts_as_expired(lock: TargetLock, tmp_path: Path) -> None:
    lock.take(holder("one"))
    next((tmp_path / "locks").glob("*.lock")).write_text("{")
    assert lock.take(holder("two")) is not None


def test_a_module_that_takes_long_keeps_the_lease_of_its_run(lock: TargetLock, monkeypatch: pytest.MonkeyPatch) -> None:
    lock.take(holder("one", 1))
    monkeypatch.setenv(target_lock.RUN, "one")
    target_lock.keep_alive(lock, 0.01)
    until = time.monotonic() + 60
    while ((found := lock.holder()) or {})["expires_at"] < time.time() + 800:
        assert time.monotonic() < until, found
        time.sleep(0.01)
    lock.release("one")  # the module's thread ends by that


def test_outside_a_run_no_lease_is_kept(lock: TargetLock, monkeypatch: pytest.MonkeyPatch) -> None:
    lock.take(holder("one", 1))
    for run in ("", "another"):
        monkeypatch.setenv(target_lock.RUN, run)
        target_lock.keep_alive(lock, 0.01)
    time.sleep(0.1)
    found = lock.holder()
    assert found is not None
    assert found["expires_at"] < time.time() + 800
