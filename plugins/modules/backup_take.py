#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""A backup of what a machine's services keep."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_take
short_description: Take a backup of what a machine's services keep
version_added: 0.1.0
description:
  - Databases, volumes and folders of the services, as M(smartercl.smarteros.backup_setup) wrote them down, into the encrypted
    repository on the machine, checked there, and copied to every remote. The same that the machine does by itself every night.
  - A service that fails does not stop the others; the backup says of itself that it is partial, and the task fails.
  - A remote that does not answer fails nothing. It is told as a warning, and the next backup catches up.
  - With all services, the backup also holds the machine's own stack files, settings and releases (C(machine)) and what
    O(files) gives (C(accounts)), each as one archive that no restore puts anywhere.
  - It waits for nobody. Another run that holds the machine's lock is named, and nothing is touched.
options:
  services:
    description: Ids of services, V(accounts) or V(machine). All that there is on the machine when empty.
    type: list
    elements: str
    default: []
  files:
    description:
      - What accounts elsewhere hold, as M(smartercl.smarteros.backup_exports) read it, each file by its name as base64. Kept as
        C(accounts), with all services or where that is named.
    type: dict
    default: {}
  files_errors:
    description: Why those files are not all. C(accounts) fails then, and only it.
    type: list
    elements: dict
    default: []
    suboptions:
      what:
        description: What failed.
        type: str
        required: true
      where:
        description: Where it failed.
        type: str
        default: ""
      why:
        description: Why it failed.
        type: str
        required: true
      next:
        description: What to do about it.
        type: str
        default: ""
  files_notes:
    description: What is worth knowing of those files.
    type: list
    elements: str
    default: []
  accept_shrunk:
    description: Whether a dump that is much smaller than the one before is taken for what it is.
    type: bool
    default: false
  reason:
    description: What it is taken for; kept with the backup.
    type: str
    choices: [asked, deploy, restore, rollback]
    default: asked
  run:
    description: Id of the run that it belongs to. One of its own when empty, unless the play has one.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    description: Tells what would be backed up, and refuses where a run would be refused for want of room. Writes nothing.
  diff_mode:
    support: none
    description: There is nothing to compare a backup with.
  idempotent:
    support: none
    description: Every run takes a backup; what has not changed since the last one takes no room.
author:
  - SmarterCL (@SmarterCL)
seealso:
  - module: smartercl.smarteros.backups_info
  - module: smartercl.smarteros.backup_restore
"""

EXAMPLES = r"""
- name: Back everything up
  smartercl.smarteros.backup_take:

- name: Back everything up, with what accounts elsewhere hold
  smartercl.smarteros.backup_take:
    files: "{{ smos_exports.files }}"
    files_errors: "{{ ansible_facts['smos_accounts']['errors'] }}"

- name: Back up what a deploy is about to touch
  smartercl.smarteros.backup_take:
    services: [n8n]
    reason: deploy
"""

RETURN = r"""
backup:
  description: Id (C(backup)), C(state) (complete or partial), C(services) by id, C(bytes), C(files), bytes C(added), C(verified),
    C(locations), C(removed) ids, C(warnings) and C(notes).
  returned: when one was taken, whole or in part
  type: dict
changes:
  description: What would be backed up.
  returned: in check mode
  type: list
  elements: dict
errors:
  description: What failed, each with what, where, why and next.
  returned: failure
  type: list
  elements: dict
exit_code:
  description: V(2) for an unknown service, V(3) for a machine that cannot be used, V(4) where another run or a full disk is in the
    way (nothing was touched then), V(1) when a part failed.
  returned: failure
  type: int
"""

import base64
import binascii
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.smartercl.smarteros.plugins.module_utils import backup_module, lifeline
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import job, machine, take, take_files
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.config import Config, ServiceData
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.postgresql import Server
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.refused import INVALID, Refused
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.take_files import Files
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine

ROW: dict[str, dict[str, t.Any]] = {
    "what": {"type": "str", "required": True},
    "where": {"type": "str", "default": ""},
    "why": {"type": "str", "required": True},
    "next": {"type": "str", "default": ""},
}
OPTIONS: dict[str, dict[str, t.Any]] = {
    "services": {"type": "list", "elements": "str", "default": []},
    "files": {"type": "dict", "default": {}, "no_log": True},
    "files_errors": {"type": "list", "elements": "dict", "default": [], "options": ROW},
    "files_notes": {"type": "list", "elements": "str", "default": []},
    "accept_shrunk": {"type": "bool", "default": False},
    "reason": {"type": "str", "choices": ["asked", "deploy", "restore", "rollback"], "default": "asked"},
    "run": {"type": "str", "default": ""},
}
LOCAL = "local"


def accounts(params: t.Mapping[str, t.Any]) -> Files:
    """What was read of accounts elsewhere. Raises Refused."""
    try:
        files = {str(name): base64.b64decode(text, validate=True) for name, text in params["files"].items()}
    except (binascii.Error, TypeError, ValueError) as exc:
        raise Refused("a file of the option files is no base64", INVALID, "Give what backup_exports gives") from exc
    return take_files.accounts(files, params["files_errors"], params["files_notes"])


def taken(known: Config, engine: Engine, params: t.Mapping[str, t.Any], notes: list[str]) -> take.Taken:
    """Take it under the lock. Raises what `backup_module.FAILURES` names."""
    given = accounts(params)
    run = backup_module.run_id(params["run"], params["reason"])
    lifeline.heed()

    def work() -> tuple[job.Outcome, take.Taken]:
        done = take.take(
            known,
            engine,
            params["services"],
            reason=params["reason"],
            run=run,
            accept_shrunk=params["accept_shrunk"],
            accounts=given,
        )
        return done.outcome, done

    found: take.Taken = job.perform(known, job.BACKUP, run, work, say=notes.append)
    return found


def told(done: take.Taken) -> dict[str, t.Any]:
    """The result, with where the backup is."""
    late = {each.remote for each in done.copies if each.error}
    copied = [each.remote for each in done.copies if each.remote not in late]
    return {**done.to_json(), "locations": [LOCAL, *copied]}


def foretold(known: Config, engine: Engine, params: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    """What would be backed up, and how large it is about. Raises Refused where a run would be refused."""
    chosen = take.choose(known, machine.look(engine), params["services"], [])
    beside = take.choose_files(params["services"], accounts(params))
    sizes = {each.name: take.size(engine, lambda name: Server(engine, name), each) for each in chosen}
    sizes |= {each.name: each.size for each in beside}
    take.need_room(known, lambda: sum(sizes.values()))
    parts = {each.name: _parts(each) for each in chosen} | {each.name: sorted(each.files) for each in beside}
    return [
        backup_module.change(f"backup of {name}", None, {"bytes": sizes[name], "parts": parts[name]}, name)
        for name in parts
    ]


def _parts(data: ServiceData) -> list[str]:
    return [*data.databases, *data.volumes, *data.folders, *([data.redis] if data.redis else [])]


def main() -> None:
    """Run by Ansible."""
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    notes: list[str] = []
    try:
        known = backup_module.configured()
        engine = Engine()
        if module.check_mode:
            changes = foretold(known, engine, module.params)
            module.exit_json(changed=bool(changes), changes=changes)
        done = taken(known, engine, module.params, notes)
    except backup_module.FAILURES as exc:
        module.fail_json(**backup_module.failure("backup", exc), notices=notes)
    for text in done.warnings:
        module.warn(text)
    result = {"changed": True, "backup": told(done), "notices": notes}
    if not done.ok:
        module.fail_json(**result, **backup_module.failures(done.errors))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
