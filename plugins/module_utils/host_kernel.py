# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Settings of the running kernel, below /proc/sys.

A container shares the kernel with others: only what its network has of its own is set there, and the rest is told.
"""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass, field

ROOT = "/proc/sys"
OWN_IN_A_CONTAINER = "net."  # every container has these for itself


@dataclass
class Plan:
    """What will be set (before, after), and what is left out, with why."""

    set: dict[str, tuple[str, str]] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)


def path_of(key: str, root: str = ROOT) -> str:
    """The file of a setting."""
    return os.path.join(root, key.replace(".", "/"))


def look(keys: t.Iterable[str], root: str = ROOT) -> dict[str, str]:
    """The values now; what this kernel does not have, or does not show, is left out."""
    found = {}
    for key in keys:
        try:
            with open(path_of(key, root), encoding="ascii", errors="replace") as file:
                found[key] = _flat(file.read())
        except OSError:
            continue
    return found


def plan(wish: t.Mapping[str, str], now: t.Mapping[str, str], container: str) -> Plan:
    """Compare; a pure function."""
    todo = Plan()
    for key, value in wish.items():
        if now.get(key) == _flat(value):
            continue
        if key not in now:
            todo.left[key] = "this kernel does not have it"
        elif container and not key.startswith(OWN_IN_A_CONTAINER):
            todo.left[key] = f"the machine is a container ({container}), whose kernel others use too"
        else:
            todo.set[key] = (now[key], _flat(value))
    return todo


def carry_out(todo: Plan, root: str = ROOT) -> None:
    """Set what can be set; what the kernel refuses goes over to what is left out."""
    for key, (_before, after) in list(todo.set.items()):
        try:
            with open(path_of(key, root), "w", encoding="ascii") as file:
                file.write(after)
        except OSError as exc:
            del todo.set[key]
            todo.left[key] = f"the kernel refused it: {exc.strerror}"


def notices(todo: Plan) -> list[str]:
    """What was left out, a sentence for each reason."""
    reasons: dict[str, list[str]] = {}
    for key, why in todo.left.items():
        reasons.setdefault(why, []).append(key)
    return [f"Not set in the running kernel: {', '.join(sorted(keys))}: {why}." for why, keys in reasons.items()]


def refused(todo: Plan, container: str, root: str = ROOT) -> Plan:
    """What check mode foretells: a setting in a container whose file cannot be written is left out there, too."""
    if not container or _writable(root):
        return todo
    told = f"the machine is a container ({container}) in which it is read-only"
    return Plan({}, {**todo.left, **dict.fromkeys(todo.set, told)})


def _writable(root: str) -> bool:
    return os.access(root, os.W_OK) and not os.statvfs(root).f_flag & os.ST_RDONLY


def _flat(value: str) -> str:
    return " ".join(str(value).split())
