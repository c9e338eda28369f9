# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""A module must not go on writing when the run that started it has been killed.

Ansible's workers and their modules survive a ``kill -9`` of the main process. The next run would then find the dead
run's locks, take them over, and work beside an old module that is still creating things.
"""

from __future__ import annotations

import os
import select
import signal
import stat
import threading
import time
import typing as t
from pathlib import Path

HIGHEST = 8  # generations to look at; between a module and its worker there are one or two shells
PERIOD_S = 0.1  # a new run needs longer than this to come to its first write
LOOK_MS = 500  # how often it is looked whether a connection is still there
OUTPUT = 1  # the descriptor that Ansible reads a module's answer from


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


def heed() -> None:
    """From now on the end of the connection that this module came by is what Ctrl-C is to a program: KeyboardInterrupt.

    Over SSH nothing else tells a module that the run has been stopped: it would go on to its end, and hold the machine's lock.
    For what takes back on KeyboardInterrupt what it has half done. Not every connection can be seen to end (``docker exec``).
    """
    line = line_to_session(os.getpid())
    reader = select.poll()
    if _is_read():
        reader.register(OUTPUT, 0)  # only that there is nobody any more
    elif not line:
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=_heed, args=(line, reader), name="connection", daemon=True).start()


def line_to_session(pid: int) -> list[int]:
    """The process and its ancestors up to the SSH session that it belongs to, youngest first; empty where there is none.

    Not further up: the server itself may be started anew, and no session ends by that.
    """
    return _line(pid, lambda _child, parent: _name(parent).startswith("sshd"))


def line_to_run(pid: int) -> list[int]:
    """The process and its ancestors up to ansible-playbook, youngest first; empty where that is not to be found.

    Ansible's worker is a fork of the main process: the two are the first parent and child with one command line.
    """
    return _line(pid, _is_ansibles)


def _is_ansibles(child: int, parent: int) -> bool:
    command = _command(parent)
    return b"ansible" in command and _command(child) == command


def _line(pid: int, ends: t.Callable[[int, int], bool]) -> list[int]:
    """The process and its ancestors up to the first one of which ``ends`` (of a child and its parent) is true; else empty."""
    line = [pid]
    while len(line) < HIGHEST:
        parent = _parent(line[-1])
        if not parent or parent == 1:
            return []
        line.append(parent)
        if ends(line[-2], parent):
            return line
    return []


def _watch(line: list[int], command: int | None) -> None:
    while True:
        time.sleep(PERIOD_S)
        if _is_broken(line) or (command is not None and not lives(command)):
            os._exit(1)


def _heed(line: list[int], reader: select.poll) -> None:
    while not reader.poll(LOOK_MS) and not _is_broken(line):
        pass
    signal.pthread_kill(t.cast("int", threading.main_thread().ident), signal.SIGINT)


def _is_read() -> bool:
    """Whether somebody is at the other end of our output, who can go away."""
    try:
        kind = os.fstat(OUTPUT).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind) or os.isatty(OUTPUT)


def _is_broken(line: list[int]) -> bool:
    return any(_parent(child) not in (parent, None) for child, parent in zip(line, line[1:]))


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


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return str(pid).encode()  # like no other
