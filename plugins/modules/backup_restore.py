#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""A backup brought back, or tried out."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_restore
short_description: Bring a backup back
version_added: 0.1.0
description:
  - Databases, volumes and folders of a backup are brought back beside what is there, looked at, and only then switched to.
    What is there is backed up before. Where anything fails, what ran before runs again.
  - Where the SSH connection ends before the run does, everything is put back as well.
  - A run that was cut off goes on with the same arguments, or puts everything back and starts over; until then another one is
    refused.
  - With O(drill) the backup is restored into containers and folders of its own, looked at, and taken away. What runs is not
    touched.
  - Nothing is waited for. Another run that holds the machine's lock is named, and nothing is touched.
options:
  backup:
    description: Id of the backup, or V(latest).
    type: str
    required: true
  services:
    description: Ids of services. All that the backup holds when empty; a drill always takes all.
    type: list
    elements: str
    default: []
  drill:
    description: Whether it is only tried out.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Tells what would be brought back, and refuses what a run would refuse. Writes nothing.
extends_documentation_fragment:
  - smartercl.smarteros.restore
  - smartercl.smarteros.restore.source
author:
  - SmarterCL (@SmarterCL)
seealso:
  - module: smartercl.smarteros.backups_info
"""

EXAMPLES = r"""
- name: Bring the data of n8n back
  smartercl.smarteros.backup_restore:
    backup: 20261122-050000
    services: [n8n]

- name: Try the newest backup out
  smartercl.smarteros.backup_restore:
    backup: latest
    drill: true
"""

RETURN = r"""
restore:
  description: Id (C(backup)), C(services), C(drill), and C(checks), each with what, ok, expected and found. Of a restore also
    C(safety) (id of the backup of what was there before), C(warnings), C(seconds) and C(resumed).
  returned: when something was restored
  type: dict
changes:
  description: What would be brought back.
  returned: in check mode
  type: list
  elements: dict
errors:
  description: What failed, each with what, where, why and next.
  returned: failure
  type: list
  elements: dict
exit_code:
  description: V(2) for a backup or service that there is not, V(3) for a machine that cannot be used, V(4) where another run is in
    the way (nothing was touched then), V(1) when it failed.
  returned: failure
  type: int
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.smartercl.smarteros.plugins.module_utils import backup_module, lifeline
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import job, restore, restore_plan
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.config import Config
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.journal import Journal
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restore_plan import Asked
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row

OPTIONS: dict[str, dict[str, t.Any]] = {
    "backup": {"type": "str", "required": True},
    "services": {"type": "list", "elements": "str", "default": []},
    "source": {"type": "str", "default": ""},
    "drill": {"type": "bool", "default": False},
    "safety": {"type": "bool", "default": True},
    "run": {"type": "str", "default": ""},
}
RESTORE = "restore"
Json = dict[str, t.Any]


def restored(known: Config, engine: Engine, params: t.Mapping[str, t.Any], notices: list[str]) -> Json:
    """Bring it back under the lock. Raises what `backup_module.FAILURES` names."""
    lifeline.heed()
    run = backup_module.run_id(params["run"], RESTORE)
    with job.alone(run, RESTORE, say=notices.append):
        done = restore.restore(
            known,
            engine,
            params["backup"],
            params["services"],
            source=params["source"],
            safety=params["safety"],
            run=run,
        )
    return done.to_json()


def drilled(known: Config, engine: Engine, params: t.Mapping[str, t.Any], notices: list[str]) -> Json:
    """Try it out under the lock; the outcome is written down like that of the weekly one."""
    from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import drill

    lifeline.heed()

    def work() -> tuple[job.Outcome, Json]:
        report: Json = drill.drill(known, engine, params["backup"]).report
        bad = [str(each["what"]) for each in report["checks"] if not each["ok"]]
        return job.Outcome(not bad, "; ".join(bad) or "every check passed", str(report["backup"])), report

    report: Json = job.perform(
        known, job.DRILL, backup_module.run_id(params["run"], job.DRILL), work, say=notices.append
    )
    return {**report, "drill": True}


def foretold(known: Config, engine: Engine, params: t.Mapping[str, t.Any]) -> list[Json]:
    """What would be brought back. Raises Refused where a run would refuse."""
    from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restore_world import Machine

    asked = Asked(params["backup"], tuple(params["services"]))
    if not params["drill"]:
        restore_plan.following(Journal().read(), asked)
    machine = Machine(known, engine, lambda _text: None)
    plan, _source = machine.plan(asked, params["source"])
    machine.room(plan)
    if params["drill"]:
        return []
    return [
        backup_module.change(f"{part.kind} {part.name}", "as it is", f"as in backup {plan.manifest.id}", name)
        for name, parts in plan.parts.items()
        for part in parts
    ]


def failed_checks(done: Json) -> list[Json]:
    """A row for each check that a drill did not pass."""
    following = "Look at the drill's report; a newer backup may be sound. See docs/backup.md"
    return [
        row(str(each["what"]), f"expected {each['expected']}, found {each['found']}", str(done["backup"]), following)
        for each in done["checks"]
        if not each["ok"]
    ]


def main() -> None:
    """Run by Ansible."""
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    params = module.params
    notices: list[str] = []
    what = f"{'drill' if params['drill'] else 'restore'} of backup {params['backup']}"
    try:
        known = backup_module.configured()
        if module.check_mode:
            changes = foretold(known, Engine(), params)
            module.exit_json(changed=bool(changes), changes=changes)
        done = (drilled if params["drill"] else restored)(known, Engine(), params, notices)
    except restore.RestoreError as exc:
        checks = [one.to_json() for one in exc.checks]
        told = {"backup": params["backup"], "services": params["services"], "drill": False, "checks": checks}
        module.fail_json(**backup_module.failure(what, exc), restore=told, notices=notices)
    except backup_module.FAILURES as exc:
        module.fail_json(**backup_module.failure(what, exc), notices=notices)
    for text in done.get("warnings", ()):
        module.warn(text)
    wrong = failed_checks(done) if params["drill"] else []
    if wrong:
        module.fail_json(changed=False, restore=done, notices=notices, **backup_module.failures(wrong))
    module.exit_json(changed=not params["drill"], restore=done, notices=notices)


if __name__ == "__main__":
    main()
