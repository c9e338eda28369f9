#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Which backups of a machine there are."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backups_info
short_description: See which backups of a machine there are
version_added: 0.1.0
description:
  - Lists what the repository on the machine and every remote hold. A backup is at a place only when its manifest and every part
    that it tells of are listed there. Changes nothing.
  - A place that does not answer fails nothing; it is told in RV(errors), and what the other places hold is listed.
options:
  needed:
    description: Fail where the machine cannot be asked or was not set up for backups. Else that is told in RV(errors), and there are
      no backups.
    type: bool
    default: true
extends_documentation_fragment:
  - smartercl.smarteros.bulk.attributes
author:
  - SmarterCL (@SmarterCL)
seealso:
  - module: smartercl.smarteros.backup_take
"""

EXAMPLES = r"""
- name: See which backups there are
  smartercl.smarteros.backups_info:
  register: found
"""

RETURN = r"""
backups:
  description: The backups, newest first, each with C(id), C(release), C(services), C(bytes), C(verified), C(location), C(state)
    (complete or partial), C(failed) (what could not be backed up), C(reason) and C(doubt) (why it cannot simply be the latest, since a
    machine that took the place of another one has none of its data yet; empty where it can). One that is whole nowhere has no
    location.
  returned: success
  type: list
  elements: dict
errors:
  description: Places that do not answer and backups that are not whole, each with what, where, why and next.
  returned: always
  type: list
  elements: dict
exit_code:
  description: V(3), the machine cannot be used or was not set up for backups.
  returned: failure
  type: int
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.smartercl.smarteros.plugins.module_utils import backup_module
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import catalogue, restic, restore_plan
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.catalogue import Found

OPTIONS: dict[str, dict[str, t.Any]] = {"needed": {"type": "bool", "default": True}}


def shown(found: Found, doubt: str = "") -> dict[str, t.Any]:
    """A backup as commands list it."""
    return {
        "id": found.id,
        "release": found.manifest.release,
        "services": sorted(found.manifest.services),
        "bytes": found.manifest.size,
        "verified": found.verified,
        "location": list(found.locations),
        "state": found.manifest.state,
        "failed": sorted(name for name, each in found.manifest.services.items() if each.error),
        "reason": found.manifest.reason,
        "doubt": doubt,
    }


def main() -> None:
    """Run by Ansible."""
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    errors: list[dict[str, t.Any]] = []
    backups: list[dict[str, t.Any]] = []
    try:
        known = backup_module.configured()
        found = catalogue.every(restic.local(known), restic.remotes(known), errors)
        manifests = [each.manifest for each in found if each.locations]
        backups = [shown(each, restore_plan.doubt(each.manifest, manifests, known.floor_percent)) for each in found]
    except backup_module.FAILURES as exc:
        failure = backup_module.failure("backups", exc)
        if module.params["needed"]:
            module.fail_json(**failure)
        errors += failure["errors"]
    for each in errors:
        module.warn(f"{each['what']}: {each['why']}")
    module.exit_json(changed=False, backups=backups, errors=errors)


if __name__ == "__main__":
    main()
