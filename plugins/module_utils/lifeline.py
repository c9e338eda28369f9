# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""A module must not go on writing when the run that started it has been killed.

Ansible's workers and their modules survive a ``kill -9`` of the main process. The next run would then find the dead
run's locks, take them over, and work beside an old module that is still creating things.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

GENERATIONS = 3  # the shell, Ansible's worker, ansible-playbook
PERIOD_S = 0.1  # a new run needs longer than this to come to its first write


def lives(pid: int) -> bool:
    """Whether a process of this number exists (a zombie does not count where /proc tells)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return _state(pid) != "Z"


def hold() -> None:
    """End this process as soon as one of its ancestors, or the ``smos`` that started the run, is gone."""
    line = ancestors(os.getpid(), GENERATIONS)
    command = os.environ.get("SMOS_PID", "")
    watched = int(command) if command.isdigit() else None
    if line or watched:
        threading.Thread(target=_watch, args=(line, watched), name="lifeline", daemon=True).start()


def ancestors(pid: int, generations: int) -> list[int]:
    """The process and its parents, youngest first; empty where /proc does not tell."""
    line = [pid]
    for _generation in range(generations):
        parent = _parent(line[-1])
        if parent <= 1:
            break
        line.append(parent)
    return line if len(line) > 1 else []


def _watch(line: list[int], command: int | None) -> None:
    while True:
        time.sleep(PERIOD_S)
        broken = any(_parent(child) != parent for child, parent in zip(line, line[1:]))
        if broken or (command is not None and not lives(command)):
            os._exit(1)


def _parent(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def _state(pid: int) -> str:
    fields = _stat(pid)
    return fields[0] if fields else ""


def _stat(pid: int) -> list[str]:
    """State, parent and further fields of /proc/PID/stat; the command's name before them may hold anything."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
