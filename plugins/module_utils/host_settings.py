# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Groups of settings of a machine: files that belong together, what makes them count, and the services behind them.

Planning is pure: what is wished, what is there and what was applied last give the steps. A group counts as applied only
when its stamp says so, and the stamp is written last: a run that died between writing and reloading is mended by the next.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import typing as t
from dataclasses import asdict, dataclass, field

from ansible_collections.smartercl.smarteros.plugins.module_utils import host_files, host_units
from ansible_collections.smartercl.smarteros.plugins.module_utils.host_files import FILE, Seen, Wish
from ansible_collections.smartercl.smarteros.plugins.module_utils.host_machine import ABSENT, HostError, Run
from ansible_collections.smartercl.smarteros.plugins.module_utils.host_units import State, Unit

STAMPS = "/var/lib/smarteros/applied"
UNITS = "/etc/systemd/system/"
LONGEST = 80  # characters of a command that are shown
Argv = tuple[str, ...]


@dataclass(frozen=True)
class Group:
    """Settings that are put in place and applied together.

    ``undo`` are commands that make restored files count (without it: those of ``apply``). ``look`` is a command whose
    output tells that what was applied still holds. ``sshd`` is what sshd must come to. ``guarded`` groups could lock
    somebody out. ``host_only``: in a container the files are placed, and nothing more.
    """

    name: str
    wishes: tuple[Wish, ...] = ()
    apply: tuple[Argv, ...] = ()
    undo: tuple[Argv, ...] = ()
    units: tuple[Unit, ...] = ()
    look: Argv = ()
    sshd: t.Mapping[str, str] = field(default_factory=dict)
    guarded: bool = False
    host_only: bool = False

    @property
    def digest(self) -> str:
        """One number for what is wished, and for how it is applied."""
        return host_files.digest(self.wishes, self.apply, [asdict(unit) for unit in self.units])

    @property
    def stamped(self) -> bool:
        """Whether there is something to be remembered of it."""
        return bool(self.apply or self.look)


@dataclass(frozen=True)
class Stamp:
    """What was applied last, and what ``look`` said then."""

    digest: str = ""
    looked: str = ""


@dataclass(frozen=True)
class Todo:
    """What brings a group to its wish."""

    group: Group
    files: tuple[tuple[Wish, Seen], ...] = ()
    units: tuple[tuple[Unit, State, tuple[str, ...]], ...] = ()
    again: str = ""
    """Why it is to be applied although its files are as wished; empty where it is not."""

    @property
    def changed(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.files or self.units or self.again)

    @property
    def reload(self) -> bool:
        """Whether systemd has to read its units again."""
        touched = [wish.path for wish, _seen in self.files] or [wish.path for wish in self.group.wishes if self.again]
        return any(path.startswith(UNITS) for path in touched)

    def rows(self) -> list[dict[str, t.Any]]:
        """The changes that it comes to."""
        rows = [
            row(wish.path, host_files.shown(seen), host_files.shown(host_files.wished(wish)))
            for wish, seen in self.files
        ]
        rows += [
            row(f"unit {unit.name}", state.as_dict(), host_units.after(unit, state).as_dict())
            for unit, state, _steps in self.units
        ]
        if not rows and self.again:
            rows = [row(f"settings {self.group.name}", {"applied": self.again}, {"applied": "yes"})]
        return rows

    def diff(self) -> list[dict[str, str]]:
        """The texts that differ, as Ansible shows them."""
        return [
            {
                "before_header": wish.path,
                "after_header": wish.path,
                "before": _told(seen),
                "after": _told(host_files.wished(wish)),
            }
            for wish, seen in self.files
        ]


def row(what: str, before: t.Any, after: t.Any) -> dict[str, t.Any]:
    """One change in the command line's words."""
    action = "create" if before is None else "delete" if after is None else "update"
    return {"service": "host", "tenant": None, "action": action, "what": what, "before": before, "after": after}


def for_this_machine(group: Group, container: str) -> tuple[Group, str]:
    """The group as it can be here, and what the operator is to know of that."""
    if not container or not group.host_only:
        return group, ""
    units = tuple(Unit(unit.name, None, None, masked=True) for unit in group.units)
    count = group.apply or group.units
    told = (
        f"Settings {group.name} are written and not applied: the machine is a container ({container})." if count else ""
    )
    return Group(group.name, group.wishes, (), (), units, (), {}, group.guarded, True), told


def plan(group: Group, seen: t.Mapping[str, Seen], states: t.Mapping[str, State], stamp: Stamp, looked: str) -> Todo:
    """Compare; a pure function. Raises HostError when something is in the way."""
    files = []
    for wish in group.wishes:
        if not host_files.same(wish, seen[wish.path]):
            host_files.mind(wish, seen[wish.path])
            files.append((wish, seen[wish.path]))
    units = [(unit, states.get(unit.name, host_units.UNKNOWN)) for unit in group.units]
    todo = [(unit, state, tuple(host_units.steps(unit, state))) for unit, state in units]
    again = ""
    if group.stamped and stamp.digest != group.digest:
        again = "with other settings" if stamp.digest else "never"
    elif group.look and looked != stamp.looked:
        again = "and changed since, by hand or by another program"
    return Todo(group, tuple(files), tuple(each for each in todo if each[2]), again)


def read_stamp(name: str, folder: str = STAMPS) -> Stamp:
    """What was applied last."""
    try:
        told = json.loads(host_files.look(os.path.join(folder, name)).text or "{}")
        return Stamp(str(told.get("digest", "")), str(told.get("look", "")))
    except (ValueError, AttributeError):
        return Stamp()


def write_stamp(run: Run, group: Group, folder: str = STAMPS) -> None:
    """Say that a group is applied."""
    if not group.stamped:
        return
    os.makedirs(folder, mode=0o750, exist_ok=True)
    there = host_files.look(folder)
    told = json.dumps({"digest": group.digest, "look": looked_at(run, group)}) + "\n"
    host_files.put(os.path.join(folder, group.name), Seen(FILE, told.encode(), 0o640, there.owner, there.group))


def forget_stamp(group: Group, folder: str = STAMPS) -> None:
    """From here on the group does not count as applied."""
    host_files.put(os.path.join(folder, group.name), host_files.NOTHING)


def looked_at(run: Run, group: Group) -> str:
    """What ``look`` says now, as one number; another one for each way of failing."""
    if not group.look:
        return ""
    ran = run(group.look)
    return hashlib.sha256(f"{ran.code} {ran.stdout}".encode()).hexdigest()


def judge(run: Run, todo: Todo, check_mode: bool) -> list[str]:
    """Have each file that is to be written judged by the program that will read it; gives notices, raises HostError."""
    notices = []
    for wish, _seen in todo.files:
        if wish.kind == host_files.LINK and wish.content.startswith("/usr/") and not os.path.exists(wish.content):
            raise HostError(wish.path, f"there is no {wish.content}", "Correct the value; nothing was changed", 2)
        if wish.kind != FILE or not wish.validate:
            continue
        with host_files.candidate(wish) as path:
            ran = run([word.replace("%s", path) for word in shlex.split(wish.validate)])
            why = ran.told.replace(path, wish.path)
        if ran.code == ABSENT and check_mode:
            notices.append(f"{wish.path} could not be judged: {ran.told}.")
        elif ran.code:
            raise HostError(wish.path, why, "Correct the value that it names; nothing was changed", 2)
    return notices


def put(todo: Todo) -> None:
    """Put the files in place: folders first."""
    for wish, _seen in sorted(todo.files, key=lambda each: each[0].kind != host_files.FOLDER):
        host_files.put(wish.path, host_files.wished(wish))


def make_it_count(run: Run, todo: Todo) -> None:
    """Run what applies the files, and bring the services to their wish; raises HostError."""
    if todo.reload:
        _command(run, ("systemctl", "daemon-reload"), todo.group.name)
    if todo.files or todo.again:
        for argv in todo.group.apply:
            _command(run, argv, todo.group.name)
    for unit, _state, steps in todo.units:
        host_units.carry_out(run, unit, steps)


def carry_out(run: Run, todo: Todo, stamps: str = STAMPS) -> None:
    """Bring a group to its wish; where that fails, the old files are put back. Raises HostError."""
    forget_stamp(todo.group, stamps)
    try:
        put(todo)
        make_it_count(run, todo)
    except HostError as exc:
        raise HostError(f"settings {todo.group.name}", f"{exc}. {_restored(run, todo)}", exc.next) from exc
    write_stamp(run, todo.group, stamps)


def _restored(run: Run, todo: Todo) -> str:
    """Put the old files back; says what came of it."""
    if not todo.files:
        return "Its files had not been changed"
    try:
        for wish, seen in reversed(todo.files):
            if not (seen.kind == host_files.ABSENT and wish.kind == host_files.FOLDER):
                host_files.put(wish.path, seen)
        if todo.reload:
            _command(run, ("systemctl", "daemon-reload"), todo.group.name)
        for argv in todo.group.undo or todo.group.apply:
            _command(run, argv, todo.group.name)
    except HostError as exc:
        return f"The old files were put back as far as that was possible ({exc})"
    return "The old files were put back and count again"


def _command(run: Run, argv: Argv, name: str) -> None:
    ran = run(argv)
    if ran.code:
        what = shlex.join(argv)
        what = what if len(what) <= LONGEST else f"{argv[0]} …"
        raise HostError(what, ran.told.rstrip("."), f"Correct the settings of {name}, or what the command names")


def _told(seen: Seen) -> str:
    if seen.kind == host_files.ABSENT:
        return ""
    if seen.kind == host_files.LINK:
        return f"link to {seen.text}\n"
    rights = f"# {seen.kind} {seen.mode:04o} {seen.owner}:{seen.group}\n"
    return rights + seen.text
