# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""One look at a machine, one plan for all of its settings, and the plan carried out.

What could lock somebody out comes last, in one go, with a way back that the machine takes by itself.
"""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass, field

from ansible_collections.smartercl.smarteros.plugins.module_utils import (
    host_files,
    host_kernel,
    host_machine,
    host_settings,
    host_sshd,
    host_swap,
    host_undo,
    host_units,
    host_users,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.host_machine import HostError, Run
from ansible_collections.smartercl.smarteros.plugins.module_utils.host_settings import Group, Todo, row
from ansible_collections.smartercl.smarteros.plugins.module_utils.host_users import Account, Person

KEYS = "keys"  # the group of all keys of people


@dataclass(frozen=True)
class Wished:
    """All that is wished of a machine."""

    systems: t.Mapping[str, t.Sequence[str]]
    packages: t.Sequence[str] = ()
    people: t.Sequence[Person] = ()
    groups: t.Sequence[Group] = ()
    kernel: t.Mapping[str, str] = field(default_factory=dict)
    swap_path: str = ""
    swap_mb: int = 0
    user: str = ""
    """Who must be able to come in again; empty where nobody came in through SSH."""
    undo_after_s: int = 90
    caller: str = ""
    """The address that the run came from."""


@dataclass
class Planned:
    """What is to be done on this machine."""

    people: list[tuple[Person, Account, list[list[str]]]]
    groups: list[Todo]
    kernel: host_kernel.Plan
    swap: list[str]
    swap_state: host_swap.State | None
    notices: list[str]

    @property
    def guarded(self) -> list[Todo]:
        """What could lock somebody out."""
        return [todo for todo in self.groups if todo.group.guarded and todo.changed]


@dataclass
class Session:
    """One call on one machine. ``done`` are rows of changes that have been carried out, ``diff`` their texts."""

    run: Run
    wished: Wished
    container: str
    done: list[dict[str, t.Any]] = field(default_factory=list)
    diff: list[dict[str, str]] = field(default_factory=list)

    def prepare_packages(self, check_mode: bool) -> list[str]:
        """The packages that are missing. In a container, services for machines are closed before they are installed."""
        missing = host_machine.missing(self.run, self.wished.packages)
        if missing and self.container and not check_mode:
            for group in self.wished.groups:
                for unit in group.units if group.host_only else ():
                    self.run(["systemctl", "mask", "--now", unit.name])
        return missing

    def plan(self, check_mode: bool) -> Planned:
        """Look at everything, compare, and have every file judged; nothing is changed. Raises HostError."""
        notices: list[str] = []
        people = [(each, host_users.look(each.name)) for each in self.wished.people]
        for person, _account in people:
            host_users.mind_the_keys(person)
        groups = [self._keys(people), *self.wished.groups]
        here = [host_settings.for_this_machine(group, self.container) for group in groups]
        notices += [told for _group, told in here if told]
        todos = self._planned([group for group, _told in here])
        for todo in todos:
            notices += host_settings.judge(self.run, todo, check_mode)
        self._mind_sshd(todos)
        kernel = self._kernel()
        swap, state = self._swap(notices)
        commands = [(person, account, host_users.commands(person, account)) for person, account in people]
        return Planned(commands, todos, kernel, swap, state, notices + host_kernel.notices(kernel))

    def foretell(self, planned: Planned) -> None:
        """Fill ``done`` and ``diff`` with what would be done."""
        for person, account, commands in planned.people:
            self._note_person(person, account, commands)
        if planned.swap:
            self._note_swap(planned)
        for todo in planned.groups:
            self._note(todo)
        self._note_kernel(planned.kernel)

    def carry_out(self, planned: Planned) -> bool:
        """Do it; gives whether a change waits for somebody to come in anew. Raises HostError."""
        for person, account, commands in planned.people:
            host_users.carry_out(self.run, commands)
            self._note_person(person, account, commands)
        if planned.swap and planned.swap_state is not None:
            path, size = self.wished.swap_path, self.wished.swap_mb
            host_swap.carry_out(self.run, path, size, planned.swap, planned.swap_state)
            self._note_swap(planned)
        for todo in planned.groups:
            if todo.changed and not todo.group.guarded:
                host_settings.carry_out(self.run, todo)
                self._note(todo)
        host_kernel.carry_out(planned.kernel)
        self._note_kernel(planned.kernel)
        return self._guarded(planned.guarded)

    def confirm(self) -> None:
        """Somebody has come in anew: the change stays. Raises HostError when the machine has not waited for that."""
        if not host_undo.disarm():
            why = f"the machine put the old settings back by itself after {self.wished.undo_after_s} s: nobody came in in time"
            raise HostError("new login", why, "Correct the settings of SSH, the keys or the firewall, then run again")
        if self.wished.caller:
            self.run(host_undo.exempt(self.wished.caller, False))
        for group in self.wished.groups:
            if group.guarded:
                host_settings.write_stamp(self.run, host_settings.for_this_machine(group, self.container)[0])

    def _guarded(self, todos: list[Todo]) -> bool:
        if not todos:
            return False
        if not self.wished.user:  # nobody came in through SSH: there is nobody to lock out
            for todo in todos:
                host_settings.carry_out(self.run, todo)
                self._note(todo)
            return False
        saved = {wish.path: seen for todo in todos for wish, seen in todo.files}
        stamps = [os.path.join(host_settings.STAMPS, todo.group.name) for todo in todos]
        commands: list[tuple[str, ...]] = [("systemctl", "daemon-reload")]
        commands += [argv for todo in todos for argv in todo.group.undo or todo.group.apply]
        if self.wished.caller:
            commands.append(tuple(host_undo.exempt(self.wished.caller, False)))
        host_undo.arm(self.run, saved, host_undo.script(saved, stamps, commands), self.wished.undo_after_s)
        if self.wished.caller:
            self.run(host_undo.exempt(self.wished.caller, True))
        try:
            for todo in todos:
                host_settings.forget_stamp(todo.group)
                host_settings.put(todo)
                host_settings.make_it_count(self.run, todo)
        except HostError as exc:
            host_undo.undo(self.run)
            names = ", ".join(todo.group.name for todo in todos)
            raise HostError(
                f"settings {names}", f"{exc}. The old files were put back and count again", exc.next
            ) from exc
        for todo in todos:
            self._note(todo)
        return True

    def _keys(self, people: t.Sequence[tuple[Person, Account]]) -> Group:
        wishes = []
        for person, account in people:
            wishes += host_users.wishes(person, account, host_files.look(host_users.file_of(account)))
        return Group(KEYS, tuple(wishes), guarded=True)

    def _planned(self, groups: t.Sequence[Group]) -> list[Todo]:
        seen = {wish.path: host_files.look(wish.path) for group in groups for wish in group.wishes}
        states = host_units.look(self.run, [unit.name for group in groups for unit in group.units])
        return [
            host_settings.plan(
                group, seen, states, host_settings.read_stamp(group.name), host_settings.looked_at(self.run, group)
            )
            for group in groups
        ]

    def _mind_sshd(self, todos: t.Sequence[Todo]) -> None:
        """Ask sshd itself, also when nothing is to be done: another file may have taken the first say since."""
        wishes = [wish for todo in todos for wish in todo.group.wishes]
        for todo in todos:
            if todo.group.sshd:
                found = host_sshd.effective(self.run, wishes, self.wished.user or "root")
                if found is not None:
                    host_sshd.mind_the_expected(todo.group.sshd, found)
                    if self.wished.user:
                        host_sshd.mind_the_way_in(self.wished.user, found, wishes)

    def _kernel(self) -> host_kernel.Plan:
        todo = host_kernel.plan(self.wished.kernel, host_kernel.look(self.wished.kernel), self.container)
        return host_kernel.refused(todo, self.container)

    def _swap(self, notices: list[str]) -> tuple[list[str], host_swap.State | None]:
        if not self.wished.swap_path or not self.wished.swap_mb:
            return [], None
        state = host_swap.look(self.wished.swap_path)
        todo, notice = host_swap.plan(self.wished.swap_path, self.wished.swap_mb, state, self.container)
        notices += [notice] if notice else []
        return todo, state

    def _note(self, todo: Todo) -> None:
        self.done += todo.rows()
        self.diff += todo.diff()

    def _note_person(self, person: Person, account: Account, commands: t.Sequence[t.Sequence[str]]) -> None:
        if commands:
            before = {"groups": sorted(account.groups), "shell": account.shell} if account.exists else None
            groups = sorted(account.groups.union(person.groups))
            self.done.append(row(f"account {person.name}", before, {"groups": groups, "shell": person.shell}))

    def _note_swap(self, planned: Planned) -> None:
        state, size = planned.swap_state, self.wished.swap_mb
        before = {"mb": state.file_mb, "in use": state.active} if state and state.file_mb else None
        self.done.append(row(f"swap file {self.wished.swap_path}", before, {"mb": size, "in use": True}))

    def _note_kernel(self, todo: host_kernel.Plan) -> None:
        self.done += [row(f"kernel {key}", before, after) for key, (before, after) in sorted(todo.set.items())]
