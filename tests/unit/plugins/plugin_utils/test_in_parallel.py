# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Work on many things with all processors."""

from __future__ import annotations

import gc
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import in_parallel


@pytest.fixture(autouse=True)
def four_processors(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(in_parallel, "_WORTH_IT", 10)
    monkeypatch.setattr(in_parallel.os, "sched_getaffinity", lambda _pid: {0, 1, 2, 3}, raising=False)
    # Threads that other tests have left behind are not this test's
    before = set(threading.enumerate())
    monkeypatch.setattr(in_parallel.threading, "active_count", lambda: 1 + len(set(threading.enumerate()) - before))


@pytest.mark.parametrize("count", [0, 1, 9, 10, 19, 20, 41, 1000])
def test_results_come_in_the_order_of_the_things(count: int) -> None:
    assert in_parallel.mapped(lambda number: number * 2, range(count)) == [number * 2 for number in range(count)]
    assert gc.isenabled()


def test_large_shares_are_done_in_other_processes() -> None:
    assert len(set(in_parallel.mapped(lambda _thing: os.getpid(), range(100)))) == 4


def test_with_other_threads_about_nothing_is_forked() -> None:
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    try:
        assert set(in_parallel.mapped(lambda _thing: os.getpid(), range(100))) == {os.getpid()}
    finally:
        over.set()
        thread.join()


def test_the_share_of_a_child_that_dies_is_done_here() -> None:
    here = os.getpid()

    def work(number: int) -> Any:
        if number == 99 and os.getpid() != here:
            os._exit(9)
        return number

    assert in_parallel.mapped(work, range(100)) == list(range(100))


def children() -> set[str]:
    """Processes of ours by number; servers that other tests share may be among them."""
    return {each for task in Path("/proc/self/task").iterdir() for each in (task / "children").read_text().split()}


@pytest.mark.parametrize("wrong", [0, 99])
def test_an_error_in_the_work_is_raised_and_no_child_is_left(wrong: int) -> None:
    def work(number: int) -> Any:
        if number == wrong:
            raise ValueError("no")
        return number

    before = children()
    with pytest.raises(ValueError, match="no"):
        in_parallel.mapped(work, range(100))
    assert children() <= before
