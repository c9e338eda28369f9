#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""One tenant's data brought back from a backup."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_tenant
short_description: Bring one tenant's data back from a backup
version_added: 0.1.0
description:
  - Exchanges the tenant's rows in the databases of Chatwoot, n8n, Botpress and SmarterOS for those of a backup, and adds the files that
    they refer to and that are missing. Rows of other tenants are not touched, and that is looked at before anything is final.
  - The backup is filled into databases beside those that are there. Each exchange is one transaction; all of them are ended only
    when rows, references and everybody else's rows are as they must be. Whatever fails leaves the rows as they were, and so does a
    run that is killed before; the next one removes what it left beside.
  - What is there is backed up before.
  - Nothing is stopped. Whoever writes the same tables waits for the transaction; n8n and Botpress begin anew afterwards.
  - Odoo and Metabase are passed over, since tenants share rows and numbers there; naming one of them is refused.
  - Nothing is waited for. Another run that holds the machine's or the tenant's lock is named, and nothing is touched.
options:
  backup:
    description: Id of the backup, or V(latest).
    type: str
    required: true
  tenant:
    description: RUT in any usual spelling, or slug.
    type: str
    required: true
  services:
    description: Ids of services. All of which the tenant's rows can be told from the others' when empty.
    type: list
    elements: str
    default: []
  slug:
    description: The tenant's slug. Filled in by the controller.
    type: str
    default: ""
  refs:
    description: Ids of the tenant by service. Filled in by the controller, from the registry.
    type: dict
    default: {}
attributes:
  check_mode:
    support: full
    description: Tells what would be brought back, and refuses what a run would refuse before it looks at the data. Writes nothing.
extends_documentation_fragment:
  - smartercl.smarteros.restore
  - smartercl.smarteros.restore.source
author:
  - SmarterCL (@SmarterCL)
seealso:
  - module: smartercl.smarteros.backup_restore
  - module: smartercl.smarteros.backups_info
"""

EXAMPLES = r"""
- name: Bring back what a shop has lost
  smartercl.smarteros.backup_tenant:
    backup: 20261122-050000
    tenant: acme

- name: Only its conversations
  smartercl.smarteros.backup_tenant:
    backup: latest
    tenant: 76.543.210-3
    services: [chatwoot]
"""

RETURN = r"""
restore:
  description: Id (C(backup)), C(services), C(drill) (false), C(tenant) (RUT), C(checks), each with what, ok, expected and found,
    C(safety) (id of the backup of what was there before), C(notes) (what stays as it is, and why), C(warnings) and C(seconds).
  returned: when something was restored
  type: dict
changes:
  description: What would be brought back.
  returned: in check mode
  type: list
  elements: dict
notes:
  description: What would stay as it is, and why.
  returned: in check mode
  type: list
  elements: str
errors:
  description: What failed, each with what, where, why and next.
  returned: failure
  type: list
  elements: dict
exit_code:
  description: V(2) for a tenant, backup or service that there is not or that cannot be, V(3) for a machine that cannot be used,
    V(4) where another run is in the way (nothing was touched then), V(1) when it failed; the rows are as they were.
  returned: failure
  type: int
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.smartercl.smarteros.plugins.module_utils import backup_module, lifeline, target_lock
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import job, tenant
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.config import Config
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restore import RestoreError
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.tenant_plan import Tenant
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row
from ansible_collections.smartercl.smarteros.plugins.module_utils.target_leases import TargetLeases

OPTIONS: dict[str, dict[str, t.Any]] = {
    "backup": {"type": "str", "required": True},
    "tenant": {"type": "str", "required": True},
    "services": {"type": "list", "elements": "str", "default": []},
    "source": {"type": "str", "default": ""},
    "safety": {"type": "bool", "default": True},
    "run": {"type": "str", "default": ""},
    "slug": {"type": "str", "default": ""},
    "refs": {"type": "dict", "default": {}},
}
RESTORE = "restore"
Json = dict[str, t.Any]


def wish_of(params: t.Mapping[str, t.Any]) -> tenant.Wish:
    """What the task asks for."""
    whose = Tenant(params["tenant"], params["slug"] or params["tenant"], params["refs"])
    return tenant.Wish(
        tenant=whose,
        backup=params["backup"],
        wanted=tuple(params["services"]),
        source=params["source"],
        safety=params["safety"],
        run=backup_module.run_id(params["run"], RESTORE),
    )


def restored(known: Config, engine: Engine, wish: tenant.Wish, notices: list[str]) -> tenant.Restored:
    """Bring it back under the lock. Raises what `backup_module.FAILURES` names."""
    lifeline.heed()
    with job.alone(wish.run, RESTORE, say=notices.append):
        target_lock.keep_alive(TargetLeases(known.environment))  # where the controller took one on the tenant
        return tenant.TenantRestoration(known, engine, lambda _text: None).restore(wish)


def foretold(known: Config, engine: Engine, wish: tenant.Wish) -> tuple[list[Json], list[str]]:
    """What would be brought back, and what is said of the rest. Raises what `backup_module.FAILURES` names."""
    plan, _source, choice = tenant.TenantRestoration(known, engine, lambda _text: None).foresee(wish)
    rows = [
        backup_module.change(
            f"rows of {wish.tenant.slug} in database {part.name}",
            "as they are",
            f"as in backup {plan.manifest.id}",
            name,
        )
        for name, parts in plan.parts.items()
        for part in parts
    ]
    return [{**each, "tenant": wish.tenant.id} for each in rows], list(choice.notes)


def failed_checks(done: tenant.Restored) -> list[Json]:
    """A row for each service that is not well, although the rows are back."""
    following = "The rows are brought back. See its log: smos logs SERVICE"
    return [
        row(one.what, f"expected {one.expected}, found {one.found}", "", following) for one in done.checks if not one.ok
    ]


def main() -> None:
    """Run by Ansible."""
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    wish = wish_of(module.params)
    what = f"restore of {wish.tenant.slug} from backup {wish.backup}"
    notices: list[str] = []
    try:
        known = backup_module.configured()
        if module.check_mode:
            changes, notes = foretold(known, Engine(), wish)
            module.exit_json(changed=bool(changes), changes=changes, notes=notes)
        done = restored(known, Engine(), wish, notices)
    except RestoreError as exc:
        checks = [one.to_json() for one in exc.checks]
        told = {"backup": wish.backup, "services": [], "drill": False, "tenant": wish.tenant.id, "checks": checks}
        module.fail_json(**backup_module.failure(what, exc), restore=told, notices=notices)
    except backup_module.FAILURES as exc:
        module.fail_json(**backup_module.failure(what, exc), notices=notices)
    for text in done.warnings:
        module.warn(text)
    wrong = failed_checks(done)
    result = {"changed": True, "restore": done.to_json(), "notices": notices}
    if wrong:
        module.fail_json(**result, **backup_module.failures(wrong))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
