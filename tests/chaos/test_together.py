"""Runs at the same time, runs that are stopped, and a disk that is full."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import archive
from support import processes
from support.instance import ACME, Done, Instance, Shop, instance, shop
from support.phases import off
from support.providers import differences

PATIENCE_S = 1200  # for sixteen commands at once


def ended(run: subprocess.Popen[str]) -> Done:
    """Wait for a started command."""
    out, err = run.communicate(timeout=PATIENCE_S)
    return Done(tuple(run.args[4:]) if isinstance(run.args, list) else (), run.returncode, out, err)


def started(smos: Instance, each: Shop) -> subprocess.Popen[str]:
    return smos.start("create", "tenant", *each.words, "--json")


def test_sixteen_creations_at_once_make_sixteen_tenants(smos: Instance) -> None:
    shops = [shop(number) for number in range(16)]
    done = [ended(run) for run in [started(smos, each) for each in shops]]
    assert not (failed := [str(each) for each in done if each.code != 0]), "\n".join(failed)
    assert set(smos.phases().values()) == {"active"}
    assert smos.inventory().wrong(each.rut for each in shops) == []
    assert smos.locks() == []
    assert len(smos.run("history", "--json").result["runs"]) == 16


def test_two_creations_of_the_same_tenant_at_once_make_it_once(smos: Instance) -> None:
    smos.up(latency_ms=30)
    done = [ended(run) for run in [started(smos, ACME), started(smos, ACME)]]
    codes = sorted(each.code for each in done)
    assert codes in ([0, 0], [0, 4]), "\n".join(map(str, done))
    assert sum(each.document["changed"] for each in done) == 1, "one does the work, the other waits or is refused"
    assert smos.inventory().wrong([ACME.rut]) == []
    assert smos.phase(ACME) == "active"
    assert smos.locks() == []


PAIRS = (
    (("suspend",), ("suspend",)),
    (("resume",), ("update", "--name", "Acme Two")),
    (("update", "--name", "Acme Three"), ("delete", "--yes")),
    (("restore",), ("restore",)),
    (("delete", "--purge", "--yes"), ("update", "--name", "Acme Four")),
)
LEADS_TO = {"suspend": "suspended", "resume": "active", "delete": "deleted", "restore": "active"}


@pytest.mark.slow
def test_of_two_steps_of_a_life_at_once_none_undoes_the_other(smos: Instance) -> None:
    """Both are taken one after the other, or one of them is refused and has no effect at all."""
    smos.up(latency_ms=20)
    smos.add_files([ACME])
    assert smos.run("tenant", "apply").code == 0
    phase = "active"
    for pair in PAIRS:
        begun = [smos.start("tenant", job, ACME.slug, *more, "--json") for job, *more in pair]
        done = [ended(run) for run in begun]
        told = "\n".join(map(str, done))
        codes = [each.code for each in done]
        print(f"{pair[0]} and {pair[1]}: {codes}")
        assert 0 in codes, told
        assert set(codes) <= {0, 2, 4}, told  # 2: what the first one did makes the second impossible
        path = smos.registry / f"{ACME.rut}.yml"
        name = yaml.safe_load(path.read_text())["spec"]["name"] if path.exists() else ""
        for (job, *more), each in zip(pair, done, strict=True):
            if each.code == 0:
                phase = "purged" if "--purge" in more else LEADS_TO.get(job, phase)
        for (job, *more), each in zip(pair, done, strict=True):
            assert each.code == 0 or not each.document["changed"], told
            if job == "update" and path.exists():
                assert (name == more[1]) == (each.code == 0), told
        assert path.exists() == (phase != "purged"), told
        assert sum(each.document["changed"] for each in done) == (1 if pair[0] == pair[1] else codes.count(0)), told
        assert off(smos.inventory(), {ACME.rut: phase}) == [], told
        assert smos.locks() == []
        if phase != "purged":
            assert smos.phase(ACME) == phase
        for (job, *more), each in zip(pair, done, strict=True):
            # The next pair starts from where this one leads
            if each.code == 4 and job in LEADS_TO and phase != "purged" and "--purge" not in more:
                again = smos.run("tenant", job, ACME.slug, *more, "--json")
                assert again.code == 0, again
                phase = LEADS_TO.get(job, phase)


def test_of_two_tenants_that_want_the_same_domain_at_once_one_gets_it(smos: Instance) -> None:
    smos.up()
    rival = Shop(shop(1).rut, "Another Acme", ACME.domain)
    done = [ended(run) for run in [started(smos, ACME), started(smos, rival)]]
    assert sorted(each.code for each in done) == [0, 2], "\n".join(map(str, done))
    (winner,) = [each.result["tenant"]["id"] for each in done if each.code == 0]
    assert smos.inventory().wrong([winner]) == []
    assert list(smos.phases()) == [winner]


def test_a_run_over_all_tenants_leaves_the_one_alone_that_another_run_works_on(smos: Instance) -> None:
    smos.up(latency_ms=60)
    smos.add_files([shop(1), shop(2)])
    slow = started(smos, ACME)
    _wait_for_writes(smos, slow, 3)
    everyone = smos.run("tenant", "apply", "--json", "-e", '{"lock_wait": 0}')
    slow_done = ended(slow)
    assert slow_done.code == 0, slow_done
    assert everyone.code in (0, 1), everyone  # 1: it tells that one was left out
    assert everyone.code == 0 or "working on it" in everyone.why, everyone
    assert set(smos.phases().values()) == {"active"}
    assert smos.inventory().wrong([ACME.rut, shop(1).rut, shop(2).rut]) == []
    again = smos.run("tenant", "apply", "--json")
    assert (again.code, again.document["changed"]) == (0, False), again


def test_two_sandboxes_at_once_know_nothing_of_each_other(smos: Instance, tmp_path: Path) -> None:
    with instance(tmp_path / "other") as other:
        done = [ended(run) for run in [started(smos, ACME), started(other, ACME)]]
        assert [each.code for each in done] == [0, 0], "\n".join(map(str, done))
        other_one = shop(1)
        assert other.create(other_one).code == 0
        assert smos.inventory().wrong([ACME.rut]) == []
        assert other.inventory().wrong([ACME.rut, other_one.rut]) == []
        assert (smos.sandbox / "url").read_text() != (other.sandbox / "url").read_text()


def _wait_for_writes(smos: Instance, run: subprocess.Popen[str], count: int) -> None:
    until = time.monotonic() + PATIENCE_S
    while len(smos.writes()) < count:
        assert run.poll() is None, ended(run)
        assert time.monotonic() < until, "the run does not write"
        time.sleep(0.01)


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_stops_cleanly_and_the_next_run_completes(smos: Instance, sign: signal.Signals) -> None:
    smos.up(latency_ms=150)
    run = started(smos, ACME)
    _wait_for_writes(smos, run, 4)
    family = processes.below(run.pid)
    began = time.monotonic()
    run.send_signal(sign)
    done = ended(run)
    print(f"stopped in {time.monotonic() - began:.1f} s")
    assert done.code == 130, done
    assert done.document["ok"] is False
    assert "Ctrl-C" in done.why
    assert processes.gone(family, 60) == [], "processes of the run are left"
    assert smos.inventory().wrong([ACME.rut]) != [], "they went on to the end"
    assert smos.locks() == []
    assert list((smos.state / "running").iterdir()) == []
    (record,) = smos.run("history", "--json").result["runs"]
    assert (record["state"], record["ok"]) == ("interrupted", False)
    last = smos.seen()
    time.sleep(0.5)
    assert smos.seen() == last, "something goes on writing"

    assert smos.create(ACME).code == 0
    assert smos.inventory().wrong([ACME.rut]) == []


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system of 256 kB in this folder; skips the test where none can be mounted."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"NOT RUN: a small disk cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def filled(folder: Path) -> Path:
    """A file that takes all the space that is left."""
    filler = folder / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 512)
    return filler


only_root = pytest.mark.skipif(os.geteuid() != 0, reason="NOT RUN: only root can mount a small disk")


@only_root
def test_a_full_disk_under_the_registry_loses_nothing(smos: Instance) -> None:
    smos.up()
    with small_disk(smos.registry):
        assert smos.create(shop(1)).code == 0
        before = {path.name: path.read_bytes() for path in smos.registry.glob("*.yml")}
        filler = filled(smos.registry)
        done = smos.create(ACME)
        assert done.code in (1, 3), done
        assert "space" in done.why.lower(), done
        assert {path.name: path.read_bytes() for path in smos.registry.glob("*.yml")} == before
        filler.unlink()
        done = smos.create(ACME)
        assert done.code == 0, done
        assert smos.inventory().wrong([ACME.rut, shop(1).rut]) == []
        assert json.loads(smos.run("tenant", "list", "--json").out)["ok"]


@only_root
def test_a_disk_that_takes_no_archive_keeps_the_tenant_from_being_deleted(smos: Instance) -> None:
    """Once it cannot be written to, once it is full; then there is space, and the same command deletes."""
    smos.up()
    smos.add_files([ACME])
    assert smos.run("tenant", "apply").code == 0
    before = smos.content()
    folder = smos.state / "exports"
    folder.mkdir(mode=0o700)
    with small_disk(folder):

        def refused(why: str) -> None:
            done = smos.run("tenant", "delete", ACME.slug, "--yes", "--json")
            assert done.code == 1, done
            assert why in done.why, done
            assert "nothing was taken" in done.why, done
            seen = yaml.safe_load((smos.registry / f"{ACME.rut}.yml").read_text())["status"]["sandbox"]
            assert seen["phase"] == "failed"
            assert why in seen["reason"]
            assert differences(before, smos.content()) == []
            assert [path for path in folder.rglob("*") if path.is_file() and path.name != "filler"] == []
            assert smos.locks() == []

        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        refused("Read-only file system")
        subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)
        (folder / "sandbox").mkdir(mode=0o700)
        filler = filled(folder)
        refused("No space left")
        filler.unlink()
        done = smos.run("tenant", "delete", ACME.slug, "--yes", "--json")
        assert done.code == 0, done
        (written,) = folder.rglob("*.tar.gz")
        assert archive.read(written).manifest["tenant"] == ACME.rut
    assert off(smos.inventory(), {ACME.rut: "deleted"}) == []
