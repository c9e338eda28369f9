#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""A database server brought back to a moment."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_point
short_description: Bring the database server back to a moment
version_added: 0.1.0
description:
  - Brings all databases of the PostgreSQL server back to a moment, out of its archive (C(wal) of C(specs/infra/backup.yml)). A
    base backup and what was written after it are put beside the server's data and recovered there by a container that nobody
    reaches. Only what that has opened and read takes the place of the data.
  - All services with databases on that server are backed up, stopped, and started again. Files, queues and accounts elsewhere
    stay as they are.
  - Where anything fails, what ran before runs again. A run that was cut off goes on with the same moment, or puts everything back
    and starts over.
  - Nothing is waited for. Another run that holds the machine's lock is named, and nothing is touched.
options:
  moment:
    description: The moment, with its offset from UTC, for example V(2026-11-22 14:03:00-03). To the second.
    type: str
    required: true
attributes:
  check_mode:
    support: full
    description: Tells from which base backup the moment would be brought back, and refuses one that is in no window.
extends_documentation_fragment:
  - smartercl.smarteros.restore
author:
  - SmarterCL (@SmarterCL)
seealso:
  - module: smartercl.smarteros.backup_restore
"""

EXAMPLES = r"""
- name: Bring the databases back to one minute before the mistake
  smartercl.smarteros.backup_point:
    moment: "2026-11-22 14:03:00-03"
"""

RETURN = r"""
restore:
  description: Name of the restore (C(backup)), C(services), C(checks), C(safety), C(warnings), C(seconds) and C(resumed), as of
    M(smartercl.smarteros.backup_restore).
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
  description: V(2) for a moment that cannot be brought back, V(3) for a machine that cannot be used, V(4) where another run is in
    the way (nothing was touched then), V(1) when it failed.
  returned: failure
  type: int
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.smartercl.smarteros.plugins.module_utils import backup_module, lifeline
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import (
    job,
    wal_plan,
    wal_restore,
    wal_store,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.config import Config
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row

OPTIONS: dict[str, dict[str, t.Any]] = {
    "moment": {"type": "str", "required": True},
    "safety": {"type": "bool", "default": True},
    "run": {"type": "str", "default": ""},
}
RESTORE = "restore"
Json = dict[str, t.Any]


def restored(known: Config, engine: Engine, params: t.Mapping[str, t.Any], notices: list[str]) -> Json:
    """Bring it back under the lock. Raises PointError and what `backup_module.FAILURES` names."""
    moment = wal_plan.moment_of(params["moment"])
    lifeline.heed()
    run = backup_module.run_id(params["run"], RESTORE)
    with job.alone(run, RESTORE, say=notices.append):
        done = wal_restore.restore(known, engine, moment, safety=params["safety"], run=run)
    return done.to_json()


def foretold(known: Config, params: t.Mapping[str, t.Any]) -> list[Json]:
    """What would be brought back. Raises PointError where no window has that moment."""
    choice, _held, _repository = wal_restore.chosen(wal_store.places(known), wal_plan.moment_of(params["moment"]))
    after = f"as at {wal_plan.stamp(choice.moment)}, from the base of {wal_plan.stamp(choice.base.at)}"
    names = wal_restore.services_of(known)
    return [backup_module.change(f"databases of {name}", "as they are", after, name) for name in names]


def main() -> None:
    """Run by Ansible."""
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    notices: list[str] = []
    what = f"restore to {module.params['moment']}"
    try:
        known = backup_module.configured()
        if module.check_mode:
            changes = foretold(known, module.params)
            module.exit_json(changed=bool(changes), changes=changes)
        done = restored(known, Engine(), module.params, notices)
    except wal_plan.PointError as exc:
        error = row(what, exc.why, "", exc.following)
        module.fail_json(msg=f"{what}: {exc.why}", errors=[error], exit_code=exc.exit_code, notices=notices)
    except backup_module.FAILURES as exc:
        module.fail_json(**backup_module.failure(what, exc), notices=notices)
    for text in done["warnings"]:
        module.warn(text)
    module.exit_json(changed=True, restore=done, notices=notices)


if __name__ == "__main__":
    main()
