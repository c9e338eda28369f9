# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The tenant store when writers are killed, many, or out of space."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.registry.errors import StoreError
from ansible_collections.smartercl.smarteros.plugins.module_utils.registry.store import Registry
from unit.plugins import registry_samples as samples

RUT = samples.rut(1)
ROOT = Path(__file__).resolve().parents[5]
WRITER = """
import sys, time
from pathlib import Path
from ansible_collections.smartercl.smarteros.plugins.module_utils.registry.store import Registry
registry = Registry(Path(sys.argv[1]))
count = 0
print("writing", flush=True)
while True:
    count += 1
    time.sleep(float(sys.argv[4]))
    registry.set_status(sys.argv[2], sys.argv[3], {"count": count, "padding": "x" * (count * 37 % 9000)})
"""


def writer(folder: Path, env: str = "sandbox", pause_s: float = 0.0) -> Any:
    path = os.pathsep.join([str(ROOT / "collections"), str(ROOT / "src")])
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), RUT, env, str(pause_s)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"writing\n"
    return process


def counts(registry: Registry) -> Counter[str]:
    """How often each writer has written so far."""
    status = registry.read(RUT).get("status", {})
    return Counter({env: block["count"] for env, block in status.items()})


def until(reached: Callable[[], bool]) -> None:
    """Wait for it as long as even a busy machine needs."""
    ends = time.monotonic() + 120
    while not reached():
        assert time.monotonic() < ends
        time.sleep(0.01)


def test_a_writer_killed_at_any_moment_leaves_a_whole_file(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    path = registry.create(RUT, {"spec": samples.spec(1)}, "by hand")
    moments = random.Random(4)
    left = 0
    for _kill in range(50):
        process = writer(tmp_path)
        time.sleep(moments.uniform(0, 0.04))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert registry.read(RUT)["spec"] == samples.spec(1)
        assert path.read_text().startswith("# by hand\nspec:\n")
        left += len(list(tmp_path.glob(".*.tmp")))
    Registry(tmp_path).set_status(RUT, "sandbox", {"phase": "active"})
    assert list(tmp_path.glob(".*.tmp")) == []
    assert registry.read(RUT)["status"] == {"sandbox": {"phase": "active"}}
    print(f"{left} of 50 kills left a temp file")


def test_what_dead_writers_left_is_swept_and_what_living_ones_write_stays(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    registry.create(RUT, {"spec": samples.spec(1)})
    dead = tmp_path / f".{samples.rut(2)}.yml.tmp"
    process = writer(tmp_path)
    until(lambda: counts(registry)["sandbox"] > 1)
    dead.write_text("spec: {half")
    try:
        assert registry.sweep() == [dead.name]
        for _look in range(200):
            assert registry.sweep() == []
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_writers_of_the_same_file_do_not_lose_each_others_work(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    registry.create(RUT, {"spec": samples.spec(1)})
    processes = [writer(tmp_path, f"env{number}", 0.005) for number in range(4)]
    last: Counter[str] = Counter()

    def each_has_written_often() -> bool:
        nonlocal last
        before, last = last, counts(registry)
        assert before <= last, "what one writer wrote was undone by another"
        return min(last[f"env{number}"] for number in range(4)) >= 25

    try:
        until(each_has_written_often)
    finally:
        for process in processes:
            process.kill()
            process.wait()
            process.stdout.close()
    assert last <= counts(registry)


@pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="only root can mount a small disk")
def test_a_disk_that_is_full_leaves_the_old_file(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("no right to mount here")
    try:
        registry = Registry(folder)
        registry.create(RUT, {"spec": samples.spec(1)})
        with pytest.raises(StoreError, match="No space left on device"):
            registry.set_status(RUT, "sandbox", {"message": "x" * 100_000})
        assert registry.read(RUT) == {"spec": samples.spec(1)}
        assert list(folder.glob(".*.tmp")) == []
        with pytest.raises(StoreError, match="No space left on device"):
            registry.create(samples.rut(2), {"spec": {"name": "x" * 100_000}})
        assert not registry.exists(samples.rut(2))
    finally:
        subprocess.run(["umount", str(folder)], check=True)
