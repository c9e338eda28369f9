#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Whole stacks come to rest, so that their data can be replaced."""

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_rest
short_description: Let the containers of stacks rest
version_added: 0.1.0
description:
  - Scales all containers of the stacks to none and waits until they have ended. A deploy starts them again.
options:
  services:
    description: Ids of the services.
    type: list
    elements: str
    required: true
  besides:
    description: Swarm services that go on, such as database servers, by name.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - smartercl.smarteros.bulk.attributes
author:
  - SmarterCL (@SmarterCL)
"""

EXAMPLES = r"""
- name: Let n8n rest
  smartercl.smarteros.stack_rest:
    services: [n8n]
"""

RETURN = r"""
rested:
  description: Swarm services that ran and rest now (in check mode would).
  returned: success
  type: list
  elements: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.smartercl.smarteros.plugins.module_utils import stack_state
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine, EngineError
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row
from ansible_collections.smartercl.smarteros.plugins.module_utils.stack_job import JobError, Runner
from ansible_collections.smartercl.smarteros.plugins.module_utils.target_lock import keep_alive

OPTIONS: dict[str, dict[str, t.Any]] = {
    "services": {"type": "list", "elements": "str", "required": True},
    "besides": {"type": "list", "elements": "str", "default": []},
}


def awake(
    stacks: t.Mapping[str, t.Sequence[stack_state.Running]], params: t.Mapping[str, t.Any]
) -> dict[str, list[str]]:
    """Containers to let rest, by stack."""
    return {
        name: [one.container_name for one in stacks.get(name, ()) if one.wanted and one.name not in params["besides"]]
        for name in params["services"]
    }


def work(module: AnsibleModule, engine: Engine) -> None:
    """Look, let rest, wait."""
    try:
        found = awake(stack_state.look(engine), module.params)
        rested = [f"{stack}_{name}" for stack, names in found.items() for name in names]
        if not module.check_mode:
            runner = Runner(engine)
            for stack, names in found.items():
                runner.pause(stack, names)
    except (JobError, EngineError) as exc:
        following = "Nothing of its data was touched; run the same command again"
        module.fail_json(msg=str(exc), exit_code=1, errors=[row("letting the services rest", str(exc), "", following)])
    else:
        module.exit_json(changed=bool(rested), rested=rested)


def main() -> None:
    """Run by Ansible."""
    keep_alive()
    work(AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True), Engine())


if __name__ == "__main__":
    main()
