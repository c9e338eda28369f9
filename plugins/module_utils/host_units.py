# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Units of systemd: one question for all of them, and what brings each to its wish."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.smartercl.smarteros.plugins.module_utils.host_machine import HostError, Run

PROPERTIES = ("LoadState", "ActiveState", "UnitFileState")


@dataclass(frozen=True)
class Unit:
    """What shall be of a unit; None leaves that as it is."""

    name: str
    enabled: bool | None = True
    started: bool | None = True
    masked: bool = False


@dataclass(frozen=True)
class State:
    """What a unit is."""

    loaded: str
    active: str
    file: str

    def as_dict(self) -> dict[str, str]:
        """The state in a row of changes."""
        return {"unit": self.loaded, "enabled": self.file or "no", "state": self.active}


UNKNOWN = State("not-found", "inactive", "")


def look(run: Run, names: t.Sequence[str]) -> dict[str, State]:
    """The state of each unit."""
    asked = sorted(set(names))
    if not asked:
        return {}
    ran = run(["systemctl", "show", f"--property={','.join(PROPERTIES)}", *asked])
    if ran.code:
        raise HostError("systemd", ran.told, "The machine must have been started with systemd", 3)
    return parsed(asked, ran.stdout)


def parsed(names: t.Sequence[str], told: str) -> dict[str, State]:
    """Read ``systemctl show``: a paragraph for each unit in the order that they were asked in (an alias has another Id)."""
    states = []
    for paragraph in told.strip().split("\n\n"):
        values = dict(line.split("=", 1) for line in paragraph.splitlines() if "=" in line)
        states.append(State(*(values.get(name, "") for name in PROPERTIES)))
    return dict(zip(names, states))


def steps(wish: Unit, state: State) -> list[str]:
    """What ``systemctl`` has to be told, in order."""
    if wish.masked:
        return [] if state.loaded == "masked" else ["mask"]
    todo = ["unmask"] if state.loaded == "masked" else []
    on = state.file in ("enabled", "enabled-runtime", "alias", "static", "indirect", "generated") and not todo
    if wish.enabled is not None and wish.enabled != on and not (not wish.enabled and state.file in ("static", "")):
        todo.append("enable" if wish.enabled else "disable")
    running = state.active in ("active", "activating", "reloading")
    if wish.started is not None and wish.started != running:
        todo.append("start" if wish.started else "stop")
    return todo


def carry_out(run: Run, wish: Unit, todo: t.Sequence[str]) -> None:
    """Bring a unit to its wish; raises HostError with what it says of itself."""
    for verb in todo:
        ran = run(["systemctl", verb, *(["--now"] if verb == "mask" else []), wish.name])
        if ran.code:
            log = run(["journalctl", "--no-pager", "-q", "-n", "5", "-o", "cat", "-u", wish.name]).stdout.strip()
            why = ran.told + (f" / {log.splitlines()[-1]}" if log else "")
            raise HostError(
                f"systemctl {verb} {wish.name}", why, f"journalctl -u {wish.name} on the machine tells more"
            )


def after(wish: Unit, state: State) -> State:
    """What a unit will be."""
    if wish.masked:
        return State("masked", "inactive", "masked")
    enabled = {True: "enabled", False: "disabled", None: state.file}[wish.enabled]
    active = {True: "active", False: "inactive", None: state.active}[wish.started]
    return State("loaded", active, state.file if state.file in ("static", "alias") else enabled)
