# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The machine's own figures: how much of its processors, memory and disks is in use, in percent."""

from __future__ import annotations

import os
import typing as t
from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")
DISKS = ("/", "/var/lib/docker")
_MEMORY = ("MemTotal", "MemAvailable")

Ticks = tuple[int, int]
"""Of all processors since the start: idle, and all."""


def ticks(proc: Path = PROC) -> Ticks:
    """The processors' clock. Raises OSError."""
    fields = [int(each) for each in (proc / "stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]]
    return fields[3] + fields[4], sum(fields)


def cpu_percent(before: t.Any, now: Ticks) -> float | None:
    """The share in use between two looks; None where there was none before, or the machine has started anew since."""
    if not isinstance(before, (list, tuple)) or len(before) != 2 or now[1] <= before[1]:
        return None
    idle: float = (now[0] - before[0]) / (now[1] - before[1])
    return round(100 * (1 - idle), 1)


def memory_percent(proc: Path = PROC) -> float:
    """The share that is not available to programs. Raises OSError."""
    found = dict(
        line.split(":", 1) for line in (proc / "meminfo").read_text(encoding="ascii").splitlines() if ":" in line
    )
    total, available = (int(found[name].split()[0]) for name in _MEMORY)
    return round(100 * (1 - available / total), 1)


def disk_percent(disks: Iterable[str] = DISKS) -> float:
    """The share in use of the fullest of these disks, as `df` counts it: what only root may take is none."""
    shares = [0.0]
    for each in disks:
        if os.path.isdir(each):
            about = os.statvfs(each)
            used = about.f_blocks - about.f_bfree
            shares.append(100 * used / max(1, used + about.f_bavail))
    return round(max(shares), 1)
