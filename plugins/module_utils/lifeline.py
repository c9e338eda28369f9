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

HIGHEST = 8  # generations to look at; between a module and its worker there are one or two shells
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
    """End this process as soon as the run that it belongs to, or the ``smos`` that started the run, is gone."""
    line = line_to_run(os.getpid())
    command = os.environ.get("SMOS_PID", "")
    watched = int(command) if command.isdigit() else None
    if line or watched:
        threading.Thread(target=_watch, args=(line, watched), name="lifeline", daemon=True).start()


def line_to_run(pid: int) -> list[int]:
    """The process and its ancestors up to ansible-playbook, youngest first; empty where that is not to be found.

    Ansible's worker is a fork of the main process: the two are the first parent and child with one command line.
    """
    line = [pid]
    while len(line) < HIGHEST:
        parent = _parent(line[-1])
        if not parent or parent == 1:
            return []
        line.append(parent)
        command = _command(parent)
        if b"ansible" in command and _command(line[-2]) == command:
            return line
    return []


def _watch(line: list[int], command: int | None) -> None:
    while True:
        time.sleep(PERIOD_S)
        broken = any(_parent(child) not in (parent, None) for child, parent in zip(line, line[1:]))
        if broken or (command is not None and not lives(command)):
            os._exit(1)


def _parent(pid: int) -> int | None:
    """The parent's process id: 0 when the process is gone, None when that cannot be told."""
    fields = _stat(pid)
    if fields is None:
        return None
    return int(fields[1]) if fields else 0


def _state(pid: int) -> str:
    fields = _stat(pid)
    return fields[0] if fields else ""


def _stat(pid: int) -> list[str] | None:
    """State, parent and further fields of /proc/PID/stat; empty when it is gone, None when it cannot be read."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return [] if os.path.exists("/proc/self/stat") else None
    except OSError:
        return None
    return text.rpartition(")")[2].split()  # the command's name before it may hold anything


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return str(pid).encode()  # like no other
