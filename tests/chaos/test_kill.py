"""kill -9 of a run at any moment, then the same command again: exactly one of everything, nothing orphaned."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import archive
from support import processes
from support.instance import PATIENCE_S, Done, Instance, Shop, shop
from support.phases import off
from support.sandbox_api import ByHand

KILLS = 20
LATENCY_MS = 20  # so that a kill often falls between what a provider did and what the run heard of it
TRIES = 3
VICTIMS = ("everything", "smos", "ansible-playbook")
DONE, INVALID = 0, 2  # exit codes
STEPS = 12
CONTACTS = ("Rosa Díaz", "Juan Pérez", "Óscar Ñuñez")

pytestmark = [pytest.mark.timeout(3600), pytest.mark.slow]

# From each phase: the jobs that a tenant can take there, and where they lead
LIFE: dict[str, dict[str, str]] = {
    "active": {"suspend": "suspended", "update": "active", "delete": "deleted", "purge": "purged"},
    "suspended": {"resume": "active", "update": "suspended", "delete": "deleted", "purge": "purged"},
    "deleted": {"restore": "active", "purge": "purged"},
    "purged": {"import": "active"},
}
# About how many requests and writes a job takes of one tenant
REQUESTS, WRITES = 90, {"purge": 27, "import": 45, "update": 6}


def _seeded() -> random.Random:
    seed = int(os.environ.get("SMOS_TEST_SEED", random.randrange(10**6)))
    print(f"seed {seed} (again with SMOS_TEST_SEED={seed})")
    return random.Random(seed)


def test_a_creation_killed_at_twenty_random_moments_is_completed_by_the_same_command(smos: Instance) -> None:
    chance = _seeded()
    smos.up(latency_ms=LATENCY_MS)
    first = shop(0)
    began = time.monotonic()
    assert smos.create(first).code == 0
    whole = time.monotonic() - began
    writes = len(smos.writes())

    shops = [shop(number) for number in range(1, KILLS + 1)]
    for number, each in enumerate(shops):
        victim = VICTIMS[number % len(VICTIMS)]
        words = ("create", "tenant", *each.words, "--json")
        if number % 2:
            killed = _killed_after(smos, words, victim, chance.uniform(0.1, 0.95) * whole)
        else:
            turn = chance.randint(1, max(1, writes - 30))  # what all tenants share is made already
            killed = _killed_at_write(smos, words, victim, turn)
        print(f"{each.rut}: {killed}")
        _completed(smos, *words)
        assert smos.locks() == []

    _all_is_well(smos, {one.rut: "active" for one in [first, *shops]})


def test_a_life_killed_at_random_moments_is_completed_by_the_same_commands(smos: Instance) -> None:
    """A walk through the phases of a tenant, every step killed once, each job at least once; another tenant looks on."""
    chance = _seeded()
    smos.up(latency_ms=LATENCY_MS)
    tenant, other = shop(1), shop(0)
    smos.add_files([tenant, other])
    began = time.monotonic()
    assert smos.run("tenant", "apply", "--json").code == 0
    whole = time.monotonic() - began
    _give_contacts(smos, tenant)
    phase = "active"
    for number, job in enumerate(_walk(chance)):
        words = _words(smos, job, tenant, number)
        victim = VICTIMS[number % len(VICTIMS)]
        killed = _killed_somewhere(smos, words, victim, job, whole, chance)
        print(f"{phase}: {job}: {killed}")
        phase = LIFE[phase][job]
        ended = _completed(smos, *words)
        if ended.code == DONE:
            assert ended.result["tenant"]["phase"] == phase, ended
        else:
            assert job == "purge", ended
            assert not (smos.registry / f"{tenant.rut}.yml").exists(), ended
        assert smos.locks() == []
        assert off(smos.inventory(), {tenant.rut: phase, other.rut: "active"}) == [], job
        if phase == "active":
            assert _contacts(smos, tenant) == Counter(CONTACTS)
        _only_whole_archives(smos)
    while phase != "active":
        job = {"suspended": "resume", "deleted": "restore", "purged": "import"}[phase]
        assert _completed(smos, *_words(smos, job, tenant, STEPS)).code == DONE
        phase = LIFE[phase][job]
    assert _contacts(smos, tenant) == Counter(CONTACTS)
    _all_is_well(smos, {tenant.rut: "active", other.rut: "active"})


def _walk(chance: random.Random) -> list[str]:
    """Jobs from the phase active on, each of all at least once, drawn so that it does not take much longer than that."""
    phase, taken = "active", list[str]()
    while len(taken) < STEPS or not _jobs() <= {*taken}:
        new = [job for job in LIFE[phase] if job not in taken]
        leading = [job for job, then in LIFE[phase].items() if not {*LIFE[then]} <= {*taken}]
        taken.append(chance.choice(new or leading or [*LIFE[phase]]))
        phase = LIFE[phase][taken[-1]]
    return taken


def _jobs() -> set[str]:
    return {job for jobs in LIFE.values() for job in jobs}


def _all_is_well(smos: Instance, phases: dict[str, str]) -> None:
    assert off(smos.inventory(), phases) == []
    assert set(smos.phases().values()) == {"active"}
    again = smos.run("plan", "tenants", "--json", "--exit-code")
    assert again.code == 0, again
    assert list((smos.state / "running").iterdir()) == []
    wanted = {".gitkeep", *(f"{rut}.yml" for rut in phases)}
    assert {name for name in smos.registered() if name not in wanted} == set(), "half-written files are left"


def _words(smos: Instance, job: str, tenant: Shop, number: int) -> tuple[str, ...]:
    if job == "import":
        return ("tenant", "import", str(_archives(smos)[-1]), "--json")
    more = {"update": ("--name", f"Shop renamed {number}"), "purge": ("--purge",)}.get(job, ())
    return ("tenant", "delete" if job == "purge" else job, tenant.slug, *more, "--yes", "--json")


def _archives(smos: Instance) -> list[Path]:
    """The archives, oldest first: their names end with the time of their run."""
    return sorted((smos.state / "exports" / "sandbox").glob("*.tar.gz"))


def _exported(smos: Instance) -> set[str]:
    """The names of all that lies where the archives are."""
    folder = smos.state / "exports" / "sandbox"
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def _only_whole_archives(smos: Instance) -> None:
    assert _exported(smos) == {path.name for path in _archives(smos)}
    for path in _archives(smos):
        archive.read(path)


def _give_contacts(smos: Instance, tenant: Shop) -> None:
    odoo = ByHand(smos).odoo
    (company,) = odoo("res.company", "search", [["vat", "ilike", tenant.rut]])
    for name in CONTACTS:
        odoo("res.partner", "create", {"name": name, "company_id": company})


def _contacts(smos: Instance, tenant: Shop) -> Counter[str]:
    found = ByHand(smos).odoo("res.partner", "search_read", [["name", "in", [*CONTACTS]]], ["name"])
    return Counter(row["name"] for row in found)


def _killed_somewhere(
    smos: Instance, words: tuple[str, ...], victim: str, job: str, whole: float, chance: random.Random
) -> str:
    keeps = ("archive",) if job in ("delete", "purge") else ()
    kind = chance.choice(("time", "request", "write", "registry", *keeps))
    if kind == "time":
        return _killed_after(smos, words, victim, chance.uniform(0.1, 0.9) * whole)
    if kind == "request":
        at = chance.randint(1, REQUESTS)
        return _killed_at(smos, words, victim, f"request {at}", lambda since: smos.seen() - since >= at)
    if kind == "write":
        return _killed_at_write(smos, words, victim, chance.randint(1, WRITES.get(job, 10)))
    if kind == "archive":
        known = _exported(smos)
        return _killed_at(smos, words, victim, "the first byte of the archive", lambda _since: _exported(smos) != known)
    before = smos.registered()
    return _killed_at(smos, words, victim, "the first word in the registry", lambda _since: smos.registered() != before)


def _killed_after(smos: Instance, words: tuple[str, ...], victim: str, moment: float) -> str:
    run = smos.start(*words)
    try:
        run.wait(moment)
    except subprocess.TimeoutExpired:
        return f"{victim} killed after {moment:.2f} s: {_kill(run, victim)}"
    return f"was done before {moment:.2f} s, with {run.returncode}"


def _killed_at_write(smos: Instance, words: tuple[str, ...], victim: str, turn: int) -> str:
    return _killed_at(smos, words, victim, f"write {turn}", lambda since: len(smos.writes(since)) >= turn)


def _killed_at(smos: Instance, words: tuple[str, ...], victim: str, moment: str, reached: Callable[[int], bool]) -> str:
    before = smos.seen()
    run = smos.start(*words)
    while run.poll() is None:
        if reached(before):
            return f"{victim} killed at {moment}: {_kill(run, victim)}"
        time.sleep(0.005)
    return f"was done before {moment}, with {run.returncode}"


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
        run.wait(PATIENCE_S)  # smos itself ends, and tells that the run failed
    else:
        run.wait(60)
    return f"{len(chosen)} of {1 + len(family)} processes"


def _completed(smos: Instance, *words: str) -> Done:
    """Run the command until it is done. A purge that was through when it was killed finds nothing to purge."""
    for _turn in range(TRIES):
        done = smos.run(*words)
        if done.code in ((DONE, INVALID) if "--purge" in words else (DONE,)):
            return done
        print(f"again: {done.why}")
    raise AssertionError(f"not completed in {TRIES} tries: {done}")
