# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""A program of ours that timers of a machine run: its configuration, its secrets, itself and its units, put in place in one go.

Everything is made on the controller and compared here before it is written. No secret is in a result or a difference.
"""

from __future__ import annotations

import base64
import typing as t
import zlib
from dataclasses import dataclass, field
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.smartercl.smarteros.plugins.module_utils import host_files, host_machine, host_units
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row
from ansible_collections.smartercl.smarteros.plugins.module_utils.host_files import ABSENT, FILE, FOLDER, NOTHING, Seen
from ansible_collections.smartercl.smarteros.plugins.module_utils.host_machine import HostError
from ansible_collections.smartercl.smarteros.plugins.module_utils.host_units import Unit

# What the controller fills in
OPTIONS: dict[str, dict[str, t.Any]] = {
    "config": {"type": "str"},
    "secrets": {"type": "dict", "no_log": True},
    "program": {"type": "str"},
    "units": {"type": "dict"},
}
UNITS = "/etc/systemd/system"
MASKED = "(a secret)\n"
UNSHOWN = "(a program)\n"
Step = tuple[str, Seen, Seen]
"""A path, what is there and what shall be."""


@dataclass(frozen=True)
class TimedProgram:
    """Where its things are. ``ours`` are patterns of secrets in its folder that are removed when they are declared no longer."""

    title: str
    config: Path
    program: str
    ours: t.Sequence[str] = ()
    packages: t.Sequence[str] = ()
    others: t.Mapping[str, str] = field(
        default_factory=dict
    )  # paths of further programs, by the option that each is in
    units: str = UNITS
    owner: str = "root"
    group: str = "root"

    def bring_about(self, module: AnsibleModule) -> dict[str, t.Any]:
        """Compare, and unless in check mode put in place; gives the result. Raises HostError."""
        params, run = module.params, host_machine.run
        steps = _planned(self._wished(params))
        timers = [Unit(name) for name in params["units"] if name.endswith(".timer")]
        states = host_units.look(run, [unit.name for unit in timers])
        todo = [(unit, host_units.steps(unit, states[unit.name])) for unit in timers]
        new = any(path.startswith(self.units) for path, _seen, _wish in steps)
        stale = not new and _is_stale(run, list(params["units"]))
        changes = [
            _change(path, self._told(path, seen, params), self._told(path, wish, params)) for path, seen, wish in steps
        ]
        changes += [
            _change(unit.name, states[unit.name].as_dict(), host_units.after(unit, states[unit.name]).as_dict())
            for unit, verbs in todo
            if verbs
        ]
        changes += [_change(f"units of {self.title}", {"read": False}, {"read": True})] if stale else []
        if not module.check_mode:
            for path, _seen, wish in steps:
                host_files.put(path, wish)
            if stale or new:
                _reload(run)
            for unit, verbs in todo:
                host_units.carry_out(run, unit, verbs)
        return {
            "changed": bool(changes),
            "changes": changes,
            "diff": [self._difference(path, seen, wish, params) for path, seen, wish in steps],
            "missing": host_machine.missing(run, self.packages) if self.packages else [],
        }

    def _wished(self, params: t.Mapping[str, t.Any]) -> dict[str, Seen]:
        """What shall be at each path, folders first."""
        folder = self.config.parent
        programs = {self.program: "program", **{path: option for option, path in self.others.items()}}
        found = {
            str(folder): Seen(FOLDER, b"", 0o700, self.owner, self.group),
            str(Path(self.program).parent): Seen(FOLDER, b"", 0o755, self.owner, self.group),
            **{path: self._executable(params[option]) for path, option in programs.items()},
            str(self.config): self._file(params["config"], 0o600),
        }
        found |= {path: self._file(content, 0o600) for path, content in params["secrets"].items()}
        found |= {str(path): NOTHING for each in self.ours for path in folder.glob(each) if str(path) not in found}
        return found | {f"{self.units}/{name}": self._file(content, 0o644) for name, content in params["units"].items()}

    def _file(self, content: str, mode: int) -> Seen:
        return Seen(FILE, content.encode(), mode, self.owner, self.group)

    def _executable(self, packed: str) -> Seen:
        return Seen(FILE, zlib.decompress(base64.b64decode(packed)), 0o755, self.owner, self.group)

    def _is_secret(self, path: str, params: t.Mapping[str, t.Any]) -> bool:
        """Also what is to be removed: it held credentials."""
        return path in params["secrets"] or any(Path(path).match(each) for each in self.ours)

    def _told(self, path: str, seen: Seen, params: t.Mapping[str, t.Any]) -> dict[str, t.Any] | None:
        """A file in a row of changes. A secret's hash is left out: a weak one could be guessed from it."""
        found = host_files.shown(seen)
        if found and self._is_secret(path, params):
            found.pop("sha256", None)
        return found

    def _difference(self, path: str, seen: Seen, wish: Seen, params: t.Mapping[str, t.Any]) -> dict[str, str]:
        before, after = self._shown(path, seen, params), self._shown(path, wish, params)
        return {"before_header": path, "after_header": path, "before": before, "after": after}

    def _shown(self, path: str, seen: Seen, params: t.Mapping[str, t.Any]) -> str:
        """A file in a difference: its text where that may be seen, else only that it is there and whose it is."""
        if seen.kind == ABSENT:
            return ""
        rights = f"# {seen.kind} {seen.mode:04o} {seen.owner}:{seen.group}\n"
        if path == self.program or path in self.others.values():
            return rights + UNSHOWN
        return rights + (MASKED if self._is_secret(path, params) else seen.text)


def run_module(options: t.Mapping[str, t.Any], name: str, place: TimedProgram) -> None:
    """What `main` of such a module does; ``name`` is that of its role."""
    module = AnsibleModule(argument_spec={**OPTIONS, **options}, supports_check_mode=True)
    if (
        not all(module.params[each] for each in ("config", "program", "units", *place.others))
        or module.params["secrets"] is None
    ):
        following = f"Use the role {name}, which lets the controller fill it in"
        error = row(f"{name}_setup", "nothing was filled in by the controller", "", following)
        module.fail_json(msg=f"{error['what']}: {error['why']}", errors=[error], exit_code=3)
    try:
        module.exit_json(**place.bring_about(module))
    except HostError as exc:
        module.fail_json(msg=str(exc), errors=[exc.as_row()], exit_code=exc.exit_code)


def _planned(wishes: t.Mapping[str, Seen]) -> list[Step]:
    """What differs. Raises HostError where a folder is in the way of a file."""
    steps = []
    for path, wish in wishes.items():
        seen = host_files.look(path)
        if seen.kind == FOLDER and wish.kind == FILE:
            raise HostError(path, "a folder is in the way", "Move it away, then run the same command again", 3)
        if seen != wish:
            steps.append((path, seen, wish))
    return steps


def _change(what: str, before: t.Any, after: t.Any) -> dict[str, t.Any]:
    """A row of what was done."""
    action = "create" if before is None else "delete" if after is None else "update"
    return {"service": "host", "tenant": None, "action": action, "what": what, "before": before, "after": after}


def _is_stale(run: host_machine.Run, names: t.Sequence[str]) -> bool:
    """Whether systemd has not read a unit again since it was written: a run died in between."""
    return "NeedDaemonReload=yes" in run(["systemctl", "show", "--property=NeedDaemonReload", *names]).stdout


def _reload(run: host_machine.Run) -> None:
    ran = run(["systemctl", "daemon-reload"])
    if ran.code:
        raise HostError("systemd", ran.told, "Repair what it names, then run the same command again")
