"""Processes below one that a test started, found in /proc and killed by their ids; and what work costs this process."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path


def below(pid: int) -> list[int]:
    """The descendants of a process, parents before children."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, waiting = [], list(children.get(pid, []))
    while waiting:
        each = waiting.pop(0)
        found.append(each)
        waiting += children.get(each, [])
    return found


def arguments(pid: int) -> list[str]:
    """The command line of a process; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []


def playbooks(pid: int) -> list[int]:
    """The main process of each ansible-playbook below a process (its workers have the same command line)."""
    named = [each for each in below(pid) if any(word.endswith("ansible-playbook") for word in arguments(each)[:3])]
    return named[:1]


def kill(pids: list[int]) -> None:
    """SIGKILL to each that still is there."""
    for each in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)


def gone(pids: list[int], within_s: float) -> list[int]:
    """Those that still live after that time; returns as soon as none does."""
    until = time.monotonic() + within_s
    while (left := [each for each in pids if _lives(each)]) and time.monotonic() < until:
        time.sleep(0.02)
    return left


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        return False


def costs(
    *works: Callable[[], object],
    turns: int = 3,
    clock: Callable[[], float] = time.process_time,
    of: Callable[[list[float]], float] = min,
) -> list[float]:
    """The least that each of these takes in some turns, by default of processor time, to compare one with the other.

    They take turns in one process and one run, so that a slow or a busy machine changes all of them alike.
    """
    took: list[list[float]] = [[] for _work in works]
    for _turn in range(turns):
        for work, times in zip(works, took, strict=True):
            began = clock()
            work()
            times.append(clock() - began)
    return [of(times) for times in took]


_watched: list[list[str]] = []


@functools.cache
def _listen() -> None:
    """Once: an audit hook stays as long as the process."""

    def hook(event: str, _arguments: object) -> None:
        if event == "open" or event.startswith("os."):
            for events in _watched:
                events.append(event)

    sys.addaudithook(hook)


@contextlib.contextmanager
def asked_of_the_disk() -> Iterator[list[str]]:
    """Files that this process opens, and calls like listdir, rename and link, while in here; each by its name."""
    _listen()
    events: list[str] = []
    _watched.append(events)
    try:
        yield events
    finally:
        _watched.clear()
