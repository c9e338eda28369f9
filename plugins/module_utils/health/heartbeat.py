# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The mark that the collector leaves after each pass, and how old it is.

Its age is counted by the clock that runs from the machine's start and that nobody sets: neither a wrong clock nor a day
of 25 hours makes a collector look dead, or alive.
"""

from __future__ import annotations

import time
import typing as t
from dataclasses import asdict, dataclass
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.module_utils.health.alerts_state import Memory

FILE = "heartbeat.json"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Moment:
    """A moment of this start of the machine: ``up`` are seconds since then, without those that it slept."""

    boot: str
    up: float

    def age(self, now: Moment) -> float:
        """Seconds since then; those since the start where that was before it."""
        return max(0.0, now.up - self.up if self.boot == now.boot else now.up)


def present(boot_id: Path = BOOT_ID) -> Moment:
    """This moment."""
    try:
        boot = boot_id.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        boot = ""
    return Moment(boot, time.monotonic())


def beat(folders: t.Sequence[Path], now: Moment) -> None:
    """Leave the mark. Raises OSError."""
    memory = Memory(FILE, folders)
    memory.read()
    memory.write(asdict(now))


def last(folders: t.Sequence[Path]) -> Moment | None:
    """The newest mark; None where there is none that can be read."""
    return of(Memory(FILE, folders).read()[0])


def of(found: t.Any) -> Moment | None:
    """A mark as it is kept; None where it is none."""
    try:
        return Moment(str(found["boot"]), float(found["up"]))
    except (KeyError, TypeError, ValueError):
        return None
