# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The swap file: as large as the specs say, unless the machine has that much swap already."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass

from ansible_collections.smartercl.smarteros.plugins.module_utils import host_files
from ansible_collections.smartercl.smarteros.plugins.module_utils.host_files import FILE, Seen
from ansible_collections.smartercl.smarteros.plugins.module_utils.host_machine import HostError, Run

MB = 1024 * 1024
ROOM_MB = 2048  # free space that the file leaves
FSTAB = "/etc/fstab"
OFFSET_MB = 1  # a swap area is a page smaller than its file; providers round


@dataclass(frozen=True)
class State:
    """What there is: our file's size, whether it is in use, and all other swap, in MB."""

    file_mb: int
    active: bool
    other_mb: int
    free_mb: int
    in_fstab: bool


def look(path: str, swaps: str = "/proc/swaps", fstab: str = FSTAB) -> State:
    """Look at the machine."""
    rows = [line.split() for line in _read(swaps).splitlines()[1:] if line.strip()]
    size = os.path.getsize(path) // MB if os.path.isfile(path) else 0
    room = os.statvfs(_there(os.path.dirname(path)))
    return State(
        file_mb=size,
        active=any(row[0] == path for row in rows),
        other_mb=sum(int(row[2]) for row in rows if row[0] != path) // 1024,
        free_mb=room.f_bavail * room.f_frsize // MB,
        in_fstab=any(line.split()[:1] == [path] for line in _read(fstab).splitlines()),
    )


def plan(path: str, size_mb: int, state: State, container: str) -> tuple[list[str], str]:
    """What is to be done (``make``, ``use``, ``keep at boot``), and what the operator is to know. Raises HostError."""
    if container:
        return [], f"No swap file: the machine is a container ({container}); its host gives it swap or does not."
    if not size_mb or state.other_mb + OFFSET_MB >= size_mb:
        return [], ""
    todo = []
    if state.file_mb != size_mb:
        if state.free_mb + state.file_mb < size_mb + ROOM_MB:
            why = f"{size_mb} MB would not leave {ROOM_MB} MB of the {state.free_mb} MB that are free"
            raise HostError(f"swap file {path}", why, "Free some space, or wish for less swap (host_swap_mb)", 3)
        todo.append("make")
    if todo or not state.active:
        todo.append("use")
    if not state.in_fstab:
        todo.append("keep at boot")
    return todo, ""


def carry_out(run: Run, path: str, size_mb: int, todo: t.Sequence[str], state: State, fstab: str = FSTAB) -> None:
    """Make it, use it, and have it used after each start; raises HostError."""
    if "make" in todo:
        if state.active:
            _must(run, "swapoff", path)
        beside = f"{path}.new"
        _must(run, "rm", "-f", beside)
        _must(run, "install", "-m", "0600", "/dev/null", beside)
        _must(run, "fallocate", "-l", f"{size_mb}MiB", beside)
        _must(run, "mkswap", beside)
        os.replace(beside, path)
    if "use" in todo:
        _must(run, "swapon", path)
    if "keep at boot" in todo:
        seen = host_files.look(fstab)
        before = seen.content if seen.kind == FILE else b""
        if before and not before.endswith(b"\n"):
            before += b"\n"
        line = f"{path} none swap sw 0 0\n".encode()
        owner, group = seen.owner or "root", seen.group or "root"
        host_files.put(fstab, Seen(FILE, before + line, seen.mode or 0o644, owner, group))


def _must(run: Run, *argv: str) -> None:
    ran = run(argv)
    if ran.code:
        raise HostError("swap file", f"{' '.join(argv)}: {ran.told}", "Repair that, or set host_swap_mb to 0")


def _there(folder: str) -> str:
    while folder and not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return folder or "/"


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
