# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Lease locks: one writer per tenant."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import locks
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.locks import Holder, LockError, Locks
from support.processes import asked_of_the_disk

ONE, TWO, THREE = "10000001-6", "10000002-4", "10000003-2"


@pytest.fixture
def store(tmp_path: Path) -> Any:
    return Locks(tmp_path, "sandbox")


@pytest.fixture
def sleeper() -> Any:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


def rewrite(store: Locks, key: str, **changed: Any) -> Any:
    """Make a lock look as if somebody else had written it."""
    path = store.folder / f"sandbox.{key}.lock"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))


def test_a_free_lock_is_taken_and_says_by_whom_and_why(store: Locks) -> None:
    got = store.acquire([ONE, TWO], "run-a", "create tenant")
    assert (got.taken, got.refused, got.taken_over) == ((ONE, TWO), {}, {})
    holder = store.held()[ONE]
    assert (holder.run, holder.reason, holder.pid) == ("run-a", "create tenant", os.getpid())
    assert holder.holder.endswith("@" + holder.host)
    assert holder.age_s < 60
    assert 840 < holder.left_s <= 900
    assert sorted(json.loads((store.folder / f"sandbox.{ONE}.lock").read_text())) == sorted(Holder.__dataclass_fields__)


def test_a_lock_that_a_living_run_holds_is_refused(store: Locks, sleeper: subprocess.Popen[bytes]) -> None:
    store.acquire([ONE], "run-a", "create tenant", sleeper.pid)
    got = store.acquire([ONE, TWO], "run-b", "x")
    assert got.taken == (TWO,)
    assert got.refused[ONE].run == "run-a"
    assert store.held()[ONE].run == "run-a"


def test_all_or_none_gives_back_only_what_is_new(store: Locks, sleeper: subprocess.Popen[bytes]) -> None:
    store.acquire([ONE], "run-a", "x", sleeper.pid)
    store.acquire([THREE], "run-b", "x")
    got = store.acquire([TWO, ONE, THREE], "run-b", "x", whole=True)
    assert (got.taken, list(got.refused)) == ((), [ONE])
    assert {key: holder.run for key, holder in store.held().items()} == {ONE: "run-a", THREE: "run-b"}


def test_the_same_run_takes_its_lock_again_with_a_new_lease(store: Locks) -> None:
    store.acquire([ONE], "run-a", "x", lease_s=10)
    got = store.acquire([ONE], "run-a", "x", lease_s=500)
    assert (got.taken, got.taken_over) == ((ONE,), {})
    assert store.held()[ONE].left_s > 400


def test_environments_do_not_meet(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    Locks(tmp_path, "sandbox").acquire([ONE], "run-a", "x", sleeper.pid)
    assert Locks(tmp_path, "production").acquire([ONE], "run-b", "x").taken == (ONE,)
    assert list(Locks(tmp_path, "production").held()) == [ONE]


def test_the_lock_of_a_dead_process_is_taken_over_with_a_notice(store: Locks, sleeper: subprocess.Popen[bytes]) -> None:
    store.acquire([ONE], "run-a", "x", sleeper.pid)
    sleeper.kill()
    sleeper.wait()
    got = store.acquire([ONE], "run-b", "x")
    assert (got.taken, got.taken_over[ONE].run) == ((ONE,), "run-a")


def test_a_dead_process_that_nobody_has_waited_for_is_dead(store: Locks, sleeper: subprocess.Popen[bytes]) -> None:
    store.acquire([ONE], "run-a", "x", sleeper.pid)
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)  # it is dead, and stays a zombie
    assert store.acquire([ONE], "run-b", "x").taken == (ONE,)


def test_another_process_with_the_same_number_is_not_the_holder(store: Locks, sleeper: subprocess.Popen[bytes]) -> None:
    store.acquire([ONE], "run-a", "x", sleeper.pid)
    rewrite(store, ONE, started="1")
    assert store.acquire([ONE], "run-b", "x").taken == (ONE,)


@pytest.mark.parametrize("changed", [{"host": "elsewhere"}, {"boot": "another"}, {"pids": "pid:[1]"}])
def test_a_process_elsewhere_counts_as_alive_until_its_lease_is_over(
    store: Locks, sleeper: subprocess.Popen[bytes], changed: dict[str, str]
) -> None:
    store.acquire([ONE], "run-a", "x", sleeper.pid)
    rewrite(store, ONE, pid=999_999_999, **changed)
    assert list(store.acquire([ONE], "run-b", "x").refused) == [ONE]
    rewrite(store, ONE, expires_at=time.time() - 1)
    assert store.acquire([ONE], "run-b", "x").taken_over[ONE].run == "run-a"


def test_a_lease_that_is_over_is_taken_over_from_a_living_process(
    store: Locks, sleeper: subprocess.Popen[bytes]
) -> None:
    store.acquire([ONE], "run-a", "x", sleeper.pid, lease_s=-1)
    assert store.acquire([ONE], "run-b", "x").taken_over[ONE].run == "run-a"


def test_without_proc_only_the_lease_counts(
    store: Locks, sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(locks, "_PROC", tmp_path / "no-proc")
    locks._machine.cache_clear()
    try:
        store.acquire([ONE], "run-a", "x", 999_999_999)
        assert list(store.acquire([ONE], "run-b", "x").refused) == [ONE]
        rewrite(store, ONE, expires_at=time.time() - 1)
        assert store.acquire([ONE], "run-b", "x").taken == (ONE,)
    finally:
        locks._machine.cache_clear()


def test_a_process_that_proc_hides_counts_as_alive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(locks, "_PROC", tmp_path)
    assert locks._is_gone(os.getpid(), "123") is False
    assert locks._is_gone(999_999_999, "123") is True


def test_renewing_starts_the_lease_anew_and_tells_what_was_lost(store: Locks, sleeper: subprocess.Popen[bytes]) -> None:
    store.acquire([ONE, TWO], "run-a", "x", sleeper.pid, lease_s=1)
    rewrite(store, TWO, run="run-b")
    assert store.renew("run-a", 600) == (ONE,)
    assert store.held()[ONE].left_s > 500
    assert store.held()[TWO].left_s < 2


def test_releasing_never_touches_another_runs_lock(store: Locks, sleeper: subprocess.Popen[bytes]) -> None:
    store.acquire([ONE], "run-a", "x", sleeper.pid)
    store.acquire([TWO, THREE], "run-b", "x")
    assert store.release("run-b", [ONE, TWO]) == (TWO,)
    assert store.release("run-b") == (THREE,)
    assert store.release("run-b") == ()
    assert list(store.held()) == [ONE]


def test_releasing_where_nothing_was_ever_locked_makes_nothing(tmp_path: Path) -> None:
    assert Locks(tmp_path / "none", "sandbox").release("run") == ()
    assert not (tmp_path / "none").exists()


def test_waiting_ends_when_the_lock_is_free(store: Locks, sleeper: subprocess.Popen[bytes]) -> None:
    began = time.monotonic()
    store.acquire([ONE], "run-a", "x", sleeper.pid, lease_s=0.4)
    assert store.acquire([ONE, TWO], "run-b", "x", wait_s=300).taken == (ONE, TWO)
    assert 0.3 < time.monotonic() - began < 100, "neither before the lease is over nor as late as the patience ends"


def test_waiting_ends_with_a_refusal_in_time(store: Locks, sleeper: subprocess.Popen[bytes]) -> None:
    store.acquire([ONE], "run-a", "x", sleeper.pid)
    began = time.monotonic()
    assert list(store.acquire([ONE], "run-b", "x", wait_s=0.3).refused) == [ONE]
    assert 0.25 < time.monotonic() - began < 60


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"run": "x"}', b"\xff"])
def test_an_unreadable_lock_is_taken_over(store: Locks, content: bytes) -> None:
    store.folder.mkdir()
    (store.folder / f"sandbox.{ONE}.lock").write_bytes(content)
    assert store.acquire([ONE], "run-a", "x").taken_over[ONE].reason == "the lock file is unreadable"


@pytest.mark.parametrize("key", ["../x", "a/b", "", ".", "a b"])
def test_odd_keys_are_refused(store: Locks, key: str) -> None:
    with pytest.raises(LockError):
        store.acquire([key], "run", "x")


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LockError, match="file"):
        Locks(tmp_path / "file", "sandbox").acquire([ONE], "run", "x")


def test_a_lock_costs_the_same_among_a_thousand_as_among_a_hundred(tmp_path: Path) -> None:
    def life(size: int) -> int:
        store = Locks(tmp_path / str(size), "sandbox")
        keys = [f"{10_000_000 + number}-5" for number in range(size)]
        with asked_of_the_disk() as questions:
            assert len(store.acquire(keys, "run", "x").taken) == size
            assert len(store.renew("run")) == size
            assert len(store.release("run")) == size
        return len(questions)

    assert life(1000) <= 10 * life(100), "100 times as much where each one looks at all others"


def racer(folder: Path, number: int, start: Any, seen: Any, end: Any) -> Any:
    start.wait()
    taken = over = False
    try:
        got = Locks(folder, "sandbox").acquire([ONE], f"run-{number}", "race", os.getpid())
        taken, over = bool(got.taken), bool(got.taken_over)
    finally:
        seen.put((number, taken, over))
    end.wait()  # a holder that is gone could be taken over, and rightly so


def race(folder: Path) -> Any:
    context = multiprocessing.get_context("fork")
    start, seen, end = context.Event(), context.SimpleQueue(), context.Event()
    processes = [context.Process(target=racer, args=(folder, number, start, seen, end)) for number in range(16)]
    for process in processes:
        process.start()
    start.set()
    results = [seen.get() for _process in processes]
    end.set()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 16
    return [(number, over) for number, taken, over in results if taken]


@pytest.mark.parametrize("attempt", range(3))
def test_of_sixteen_who_want_a_free_lock_exactly_one_has_it(tmp_path: Path, attempt: int) -> None:
    winners = race(tmp_path)
    assert len(winners) == 1
    assert Locks(tmp_path, "sandbox").held()[ONE].run == f"run-{winners[0][0]}"


@pytest.mark.parametrize("attempt", range(3))
def test_of_sixteen_who_find_a_dead_lock_exactly_one_takes_it_over(tmp_path: Path, attempt: int) -> None:
    Locks(tmp_path, "sandbox").acquire([ONE], "dead", "x", 999_999_999)
    winners = race(tmp_path)
    assert [over for _number, over in winners] == [True]


def worker(folder: Path, number: int) -> Any:
    store = Locks(folder, "sandbox")
    for turn in range(20):
        run = f"run-{number}-{turn}"
        while not store.acquire([ONE], run, "count", os.getpid(), wait_s=30).taken:
            pass
        total = int((folder / "total").read_text())
        time.sleep(0.001)
        (folder / "total").write_text(str(total + 1))
        store.release(run)


def test_there_is_one_writer_at_any_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "_PAUSE_S", 0.002)
    (tmp_path / "total").write_text("0")
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=worker, args=(tmp_path, number)) for number in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert (tmp_path / "total").read_text() == "160"
