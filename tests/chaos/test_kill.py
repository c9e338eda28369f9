"""kill -9 of a run at any moment, then the same command again: exactly one of everything, nothing orphaned."""

from __future__ import annotations

import os
import random
import subprocess
import time

import pytest

from support import processes
from support.instance import Instance, Shop, shop

KILLS = 20
LATENCY_MS = 30  # so that a kill often falls between what a provider did and what the run heard of it
TRIES = 3
VICTIMS = ("everything", "smos", "ansible-playbook")

pytestmark = pytest.mark.timeout(900)


def test_a_run_killed_at_twenty_random_moments_is_completed_by_the_same_command(smos: Instance) -> None:
    seed = int(os.environ.get("SMOS_TEST_SEED", random.randrange(10**6)))
    chance = random.Random(seed)
    print(f"seed {seed} (again with SMOS_TEST_SEED={seed})")
    smos.up(latency_ms=LATENCY_MS)
    first = shop(0)
    began = time.monotonic()
    assert smos.create(first).code == 0
    whole = time.monotonic() - began
    writes = len(smos.writes())

    shops = [shop(number) for number in range(1, KILLS + 1)]
    for number, each in enumerate(shops):
        victim = VICTIMS[number % len(VICTIMS)]
        if number % 2:
            moment = chance.uniform(0.1, 0.95) * whole
            killed = _killed_after(smos, each, victim, moment)
            print(f"{each.rut}: {victim} killed after {moment:.2f} s: {killed}")
        else:
            turn = chance.randint(1, max(1, writes - 2))  # what all tenants share is made already
            killed = _killed_at_write(smos, each, victim, turn)
            print(f"{each.rut}: {victim} killed at write {turn} of about {writes}: {killed}")
        _completed(smos, each)
        assert smos.locks() == []

    assert smos.inventory().wrong(one.rut for one in [first, *shops]) == []
    assert set(smos.phases().values()) == {"active"}
    again = smos.run("plan", "--json", "--exit-code")
    assert again.code == 0, again
    assert list((smos.state / "running").iterdir()) == []
    wanted = {".gitkeep", *(f"{one.rut}.yml" for one in [first, *shops])}
    assert {name for name in smos.registered() if name not in wanted} == set(), "half-written files are left"


def _killed_after(smos: Instance, each: Shop, victim: str, moment: float) -> str:
    run = smos.start("create", "tenant", *each.words, "--json")
    try:
        run.wait(moment)
    except subprocess.TimeoutExpired:
        return _kill(run, victim)
    return f"was done before, with {run.returncode}"


def _killed_at_write(smos: Instance, each: Shop, victim: str, turn: int) -> str:
    before = smos.seen()
    run = smos.start("create", "tenant", *each.words, "--json")
    while run.poll() is None:
        if len(smos.writes(before)) >= turn:
            return _kill(run, victim)
        time.sleep(0.005)
    return f"was done before, with {run.returncode}"


def _kill(run: subprocess.Popen[str], victim: str) -> str:
    """Kill, and do not wait for anything but the killed: what outlives them is part of the test."""
    family = processes.below(run.pid)
    chosen = {
        "everything": [run.pid, *family],
        "smos": [run.pid],
        "ansible-playbook": processes.playbooks(run.pid) or [run.pid],
    }[victim]
    processes.kill(chosen)
    if victim == "ansible-playbook":
        run.wait(60)  # smos itself ends, and tells that the run failed
    else:
        run.wait(5)
    return f"{len(chosen)} of {1 + len(family)} processes"


def _completed(smos: Instance, each: Shop) -> None:
    for _turn in range(TRIES):
        done = smos.create(each)
        if done.code == 0:
            return
    raise AssertionError(f"not completed in {TRIES} tries: {done}")
