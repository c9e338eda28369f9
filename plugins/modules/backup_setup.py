#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""All that a machine needs to back itself up, put in place in one go."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_setup
short_description: Have a machine back itself up
version_added: 0.1.0
description:
  - Writes the configuration of the backups, the password and credentials of the repositories, the program and the timers that
    run it, and has the timers run. From then on the machine needs no control node for its backups.
  - Everything is made on the controller, from the specs (C(services/registry.yml), C(infra/backup.yml)) and the vault, and is
    compared before it is written. Files of remotes and notices that are declared no longer are removed.
  - Who is told of failures is in the variables C(smos_admin_email), C(smos_admin_phone) and C(smos_notice_webhook), with those by
    which mail and WhatsApp are sent.
  - The package of restic is not installed, but it is told in RV(missing) when that is to be done.
  - Secrets are in files that only root reads. None of them is in the result or in a difference that is shown.
options:
  password:
    description: The password of all repositories. It must be kept elsewhere as well, for without it no backup can be read.
    type: str
  services:
    description: Ids of the services that the machine carries; those of the whole catalogue when not given.
    type: list
    elements: str
  release:
    description: The release that the machine has; the current one when empty.
    type: str
    default: ""
  config:
    description: The configuration. Filled in by the controller.
    type: str
  secrets:
    description: Content by path of the files with secrets. Filled in by the controller.
    type: dict
  program:
    description: The program, compressed and as Base64. Filled in by the controller.
    type: str
  units:
    description: Text by name of the units for systemd. Filled in by the controller.
    type: dict
extends_documentation_fragment:
  - smartercl.smarteros.bulk.attributes
author:
  - SmarterCL (@SmarterCL)
seealso:
  - module: smartercl.smarteros.backup_take
"""

EXAMPLES = r"""
- name: Have the machine back itself up
  smartercl.smarteros.backup_setup:
    password: "{{ lookup('smartercl.smarteros.secret', 'backup_password') }}"
    services: [postgresql, redis, traefik, n8n]
"""

RETURN = r"""
changes:
  description: What was done (in check mode would be), each with service, tenant, action, what, before and after.
  returned: always
  type: list
  elements: dict
missing:
  description: Packages that are needed and not installed.
  returned: success
  type: list
  elements: str
errors:
  description: What failed, each with what, where, why and next.
  returned: failure
  type: list
  elements: dict
exit_code:
  description: V(3) for a machine that cannot be used, V(1) when something was attempted.
  returned: failure
  type: int
"""

import base64
import typing as t
import zlib
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.smartercl.smarteros.plugins.module_utils import host_files, host_machine, host_units
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import config
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row
from ansible_collections.smartercl.smarteros.plugins.module_utils.host_files import ABSENT, FILE, FOLDER, NOTHING, Seen
from ansible_collections.smartercl.smarteros.plugins.module_utils.host_machine import HostError
from ansible_collections.smartercl.smarteros.plugins.module_utils.host_units import Unit

OPTIONS: dict[str, dict[str, t.Any]] = {
    "password": {"type": "str", "no_log": True},
    "services": {"type": "list", "elements": "str"},
    "release": {"type": "str", "default": ""},
    "config": {"type": "str"},
    "secrets": {"type": "dict", "no_log": True},
    "program": {"type": "str"},
    "units": {"type": "dict"},
}
PACKAGES = ("restic",)
OWNER = GROUP = "root"
PROGRAM = "/usr/local/lib/smarteros/backup.pyz"
UNITS = "/etc/systemd/system"
OURS = ("*.env", "notice-*")  # files of the folder that we name after remotes and channels
MASKED = "(a secret)\n"
UNSHOWN = "(a program)\n"
Step = tuple[str, Seen, Seen]
"""A path, what is there and what shall be."""


def wished(params: t.Mapping[str, t.Any], folder: Path) -> dict[str, Seen]:
    """What shall be at each path, folders first."""
    found = {
        str(folder): Seen(FOLDER, b"", 0o700, OWNER, GROUP),
        str(Path(PROGRAM).parent): Seen(FOLDER, b"", 0o755, OWNER, GROUP),
        PROGRAM: Seen(FILE, zlib.decompress(base64.b64decode(params["program"])), 0o755, OWNER, GROUP),
        str(folder / config.PATH.name): _file(params["config"], 0o600),
    }
    found |= {path: _file(content, 0o600) for path, content in params["secrets"].items()}
    found |= {str(path): NOTHING for pattern in OURS for path in folder.glob(pattern) if str(path) not in found}
    return found | {f"{UNITS}/{name}": _file(content, 0o644) for name, content in params["units"].items()}


def _file(content: str, mode: int) -> Seen:
    return Seen(FILE, content.encode(), mode, OWNER, GROUP)


def planned(wishes: t.Mapping[str, Seen]) -> list[Step]:
    """What differs. Raises HostError where a folder is in the way of a file."""
    steps = []
    for path, wish in wishes.items():
        seen = host_files.look(path)
        if seen.kind == FOLDER and wish.kind == FILE:
            raise HostError(path, "a folder is in the way", "Move it away, then run the same command again", 3)
        if seen != wish:
            steps.append((path, seen, wish))
    return steps


def change(what: str, before: t.Any, after: t.Any) -> dict[str, t.Any]:
    """A row of what was done."""
    action = "create" if before is None else "delete" if after is None else "update"
    return {"service": "host", "tenant": None, "action": action, "what": what, "before": before, "after": after}


def shown(path: str, seen: Seen, secrets: t.Container[str]) -> str:
    """A file in a difference: its text where that may be seen, else only that it is there and whose it is."""
    if seen.kind == ABSENT:
        return ""
    rights = f"# {seen.kind} {seen.mode:04o} {seen.owner}:{seen.group}\n"
    if path == PROGRAM:
        return rights + UNSHOWN
    return rights + (MASKED if _is_secret(path, secrets) else seen.text)


def _is_secret(path: str, secrets: t.Container[str]) -> bool:
    """Also what is to be removed: it held credentials."""
    return path in secrets or any(Path(path).match(pattern) for pattern in OURS)


def told(path: str, seen: Seen, secrets: t.Container[str]) -> dict[str, t.Any] | None:
    """A file in a row of changes. A secret's hash is left out: a weak one could be guessed from it."""
    found = host_files.shown(seen)
    if found and (_is_secret(path, secrets)):
        found.pop("sha256", None)
    return found


def work(module: AnsibleModule) -> dict[str, t.Any]:
    """Compare, and unless in check mode bring about; gives the result. Raises HostError."""
    params, run = module.params, host_machine.run
    steps = planned(wished(params, config.FOLDER))
    timers = [Unit(name) for name in params["units"] if name.endswith(".timer")]
    states = host_units.look(run, [unit.name for unit in timers])
    todo = [(unit, host_units.steps(unit, states[unit.name])) for unit in timers]
    new = any(path.startswith(UNITS) for path, _seen, _wish in steps)
    stale = not new and _is_stale(run, list(params["units"]))
    changes = [
        change(path, told(path, seen, params["secrets"]), told(path, wish, params["secrets"]))
        for path, seen, wish in steps
    ]
    changes += [
        change(unit.name, states[unit.name].as_dict(), host_units.after(unit, states[unit.name]).as_dict())
        for unit, verbs in todo
        if verbs
    ]
    changes += [change("units of the backups", {"read": False}, {"read": True})] if stale else []
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
        "diff": [_difference(path, seen, wish, params["secrets"]) for path, seen, wish in steps],
        "missing": host_machine.missing(run, PACKAGES),
    }


def _difference(path: str, seen: Seen, wish: Seen, secrets: t.Container[str]) -> dict[str, str]:
    before, after = shown(path, seen, secrets), shown(path, wish, secrets)
    return {"before_header": path, "after_header": path, "before": before, "after": after}


def _is_stale(run: host_machine.Run, names: t.Sequence[str]) -> bool:
    """Whether systemd has not read a unit again since it was written: a run died in between."""
    return "NeedDaemonReload=yes" in run(["systemctl", "show", "--property=NeedDaemonReload", *names]).stdout


def _reload(run: host_machine.Run) -> None:
    ran = run(["systemctl", "daemon-reload"])
    if ran.code:
        raise HostError("systemd", ran.told, "Repair what it names, then run the same command again")


def main() -> None:
    """Run by Ansible."""
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    if not all(module.params[name] for name in ("config", "secrets", "program", "units")):
        following = "Use the role backup, which lets the controller fill it in"
        error = row("backup_setup", "nothing was filled in by the controller", "", following)
        module.fail_json(msg=f"{error['what']}: {error['why']}", errors=[error], exit_code=3)
    try:
        module.exit_json(**work(module))
    except HostError as exc:
        module.fail_json(msg=str(exc), errors=[exc.as_row()], exit_code=exc.exit_code)


if __name__ == "__main__":
    main()
