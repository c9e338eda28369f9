"""Which process is ours: a process id together with its start time, so that a recycled id is never mistaken for it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def birth(pid: int) -> str | None:
    """When the process started, as text that no other process of this machine shares; ``None`` when it is gone.

    A zombie counts as gone: it serves nobody.
    """
    stat = Path(f"/proc/{pid}/stat")
    try:
        fields = stat.read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None if Path("/proc/self/stat").exists() else _birth_by_ps(pid)
    boot = BOOT_ID.read_text().strip() if BOOT_ID.exists() else ""
    return None if fields[0] in "ZX" else f"{boot}:{fields[19]}"


def stop(pid: int, born: str, patience: float = 5.0) -> bool:
    """End the process if it still is the one born then: politely, after ``patience`` seconds by force.

    Returns whether it was there to be ended.
    """
    if birth(pid) != born:
        return False
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return True
        ends = time.monotonic() + patience
        while time.monotonic() < ends:
            if birth(pid) != born:
                return True
            time.sleep(0.01)
    return True


def _birth_by_ps(pid: int) -> str | None:
    """For systems without /proc."""
    done = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return done.stdout.strip() or None
