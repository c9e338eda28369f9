#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Whole stacks come to rest, so that their data can be replaced; or run again, where that did not come about."""

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_rest
short_description: Let the containers of stacks rest
version_added: 0.1.0
description:
  - Scales all containers of the stacks to none and waits until they have ended. They bear a mark, by which neither the end of a
    job nor a deploy that failed starts them on data that are not theirs any more. A deploy of the stack starts them again.
  - With O(state=awake) those that bear the mark run again as they were, for data that were not replaced after all. Nothing is
    waited for.
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
  state:
    description:
      - What the stacks shall do.
      - With V(awake) nothing is started while a restore is half done; a warning names the command that goes on with it.
    type: str
    choices: [resting, awake]
    default: resting
extends_documentation_fragment:
  - smartercl.smarteros.bulk.attributes
author:
  - SmarterCL (@SmarterCL)
"""

EXAMPLES = r"""
- name: Let n8n rest
  smartercl.smarteros.stack_rest:
    services: [n8n]

- name: Let it run again, since its data could not be replaced
  smartercl.smarteros.stack_rest:
    services: [n8n]
    state: awake
"""

RETURN = r"""
rested:
  description: Swarm services that ran and rest now (in check mode would).
  returned: success
  type: list
  elements: str
woken:
  description: Swarm services that rested and shall run now (in check mode would).
  returned: success
  type: list
  elements: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.smartercl.smarteros.plugins.module_utils import stack_state
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import journal
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine, EngineError
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row
from ansible_collections.smartercl.smarteros.plugins.module_utils.stack_job import JobError, Runner, compose_of
from ansible_collections.smartercl.smarteros.plugins.module_utils.target_lock import keep_alive

RESTING = "resting"
AWAKE = "awake"
OPTIONS: dict[str, dict[str, t.Any]] = {
    "services": {"type": "list", "elements": "str", "required": True},
    "besides": {"type": "list", "elements": "str", "default": []},
    "state": {"type": "str", "choices": ["resting", "awake"], "default": "resting"},
}

Stacks = t.Mapping[str, t.Sequence[stack_state.Running]]


def concerned(stacks: Stacks, params: t.Mapping[str, t.Any]) -> dict[str, list[stack_state.Running]]:
    """What rests or is to rest, by stack. Jobs are neither."""
    return {
        name: [one for one in stacks.get(name, ()) if (one.wanted or one.rests) and one.name not in params["besides"]]
        for name in params["services"]
    }


def rest(stacks: Stacks, params: t.Mapping[str, t.Any], runner: Runner | None) -> list[str]:
    """Let it rest, and give what ran; without a runner nothing is done."""
    found = concerned(stacks, params)
    if runner is not None:
        for stack, ones in found.items():
            runner.pause(stack, [one.container_name for one in ones], for_data=True)
    return [one.name for ones in found.values() for one in ones if one.wanted]


def wake(stacks: Stacks, params: t.Mapping[str, t.Any], runner: Runner | None) -> list[str]:
    """Let it run again, and give what rested; without a runner nothing is done."""
    found = {
        stack: [one for one in ones if one.rests and stack_state.REST_LABEL in one.labels]
        for stack, ones in concerned(stacks, params).items()
    }
    if runner is not None:
        for stack, ones in found.items():
            if ones:
                runner.resume(stack, compose_of(stack), [one.container_name for one in ones], for_data=True)
    return [one.name for ones in found.values() for one in ones]


def work(module: AnsibleModule, engine: Engine) -> None:
    """Look, let rest and wait, or let run."""
    params = module.params
    runner = None if module.check_mode else Runner(engine)
    rested: list[str] = []
    woken: list[str] = []
    try:
        stacks = stack_state.look(engine)
        half = journal.unfinished() if params["state"] == AWAKE else ""
        if params["state"] == RESTING:
            rested = rest(stacks, params, runner)
        elif half:
            module.warn(f"the services rest on: {half}")
        else:
            woken = wake(stacks, params, runner)
    except (JobError, EngineError) as exc:
        what = "letting the services rest" if params["state"] == RESTING else "letting the services run again"
        following = "Nothing of its data was touched; run the same command again"
        module.fail_json(msg=str(exc), exit_code=1, errors=[row(what, str(exc), "", following)])
    else:
        module.exit_json(changed=bool(rested or woken), rested=rested, woken=woken)


def main() -> None:
    """Run by Ansible."""
    keep_alive()
    work(AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True), Engine())


if __name__ == "__main__":
    main()
