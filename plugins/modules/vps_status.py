#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""How the machine and everything on it are."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vps_status
short_description: See how the machine and its services are
version_added: 0.1.0
description:
  - Asks the Engine for every stack, and every service for its health through the reverse proxy, all at the same time; adds memory,
    disk, load, certificates, release and lock. Changes nothing.
  - In a play the controller fills in O(questions) from the catalogue and adds the tenants.
options:
  questions:
    description: Public name and path of each service's health, by service id. Filled in by the controller.
    type: dict
  timeout:
    description: How long to wait for an answer, in seconds.
    type: float
    default: 2.0
extends_documentation_fragment:
  - smartercl.smarteros.bulk.attributes
author:
  - SmarterCL (@SmarterCL)
"""

EXAMPLES = r"""
- name: See how everything is
  smartercl.smarteros.vps_status:
  register: found
"""

RETURN = r"""
status:
  description: What was found, with services, host, certificates, release, deployed_at, lock, backups and (from the controller)
    tenants. C(backups) is empty where the machine takes none; else it has C(last) (id of
    the newest backup; where services were backed up one by one, the oldest of their newest), C(age_h), C(verified), C(location),
    C(drill_age_d), C(errors) and (from the controller) C(rpo_h).
  returned: success
  type: dict
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.smartercl.smarteros.plugins.module_utils import vps_status
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine, EngineError
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row
from ansible_collections.smartercl.smarteros.plugins.module_utils.probe import Question

OPTIONS: dict[str, dict[str, t.Any]] = {
    "questions": {"type": "dict"},
    "timeout": {"type": "float", "default": 2.0},
}


def main() -> None:
    """Run by Ansible."""
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    questions = {
        name: Question(each["host"], each["path"]) for name, each in (module.params["questions"] or {}).items()
    }
    try:
        module.exit_json(changed=False, status=vps_status.status(Engine(), questions, module.params["timeout"]))
    except EngineError as exc:
        following = "Look at `systemctl status docker` on the machine"
        error = row("the Docker Engine", exc.message, "", following)
        module.fail_json(msg=f"the Docker Engine: {exc.message}", exit_code=3, errors=[error])


if __name__ == "__main__":
    main()
