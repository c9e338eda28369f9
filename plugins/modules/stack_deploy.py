#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""One service's stack on the Swarm of this machine."""

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_deploy
short_description: Deploy a service's stack and know that it runs
version_added: 0.1.0
description:
  - Writes the stack file, makes the Swarm secrets and configs that are not there yet, pulls missing images, deploys the
    stack, and waits until the wanted images run with the wanted configuration, are healthy, and answer through the reverse proxy.
  - When a new version does not become healthy or does not answer in time, the whole stack that ran before is put back, whichever
    of its containers failed; the task then fails, says so, and shows the last lines that the failing container wrote. That
    Swarm has stopped updating is never taken for success.
  - In a play the controller fills in everything but O(service) and O(routed) from what C(deploy_open) has found out.
options:
  service:
    description: Id of the service in the catalogue, and the stack's name.
    type: str
    required: true
  compose:
    description: The whole stack as JSON text. Filled in by the controller.
    type: str
  config:
    description: Hash of the stack and of what belongs to it. Filled in by the controller.
    type: str
  secrets:
    description: Contents of Swarm secrets by name. Filled in by the controller.
    type: dict
  configs:
    description: Contents of Swarm configs by name. Filled in by the controller.
    type: dict
  answers:
    description: Public name and path that must answer through the reverse proxy. Filled in by the controller.
    type: dict
    suboptions:
      host:
        description: The public name.
        type: str
        required: true
      path:
        description: The path that tells of the service's health.
        type: str
        required: true
  bootstrap:
    description:
      - Whether its first visitor would become its administrator. Such a service is never started with a route; it must run
        without one first. Filled in by the controller.
    type: bool
    default: false
  routed:
    description: Whether the reverse proxy may lead to it. Without a route a service can be made safe before anybody reaches it.
    type: bool
    default: true
  prepare:
    description: Only write the file, pull images and make secrets and configs, so that a job can run before the switch.
    type: bool
    default: false
  back:
    description: Whether the stack that ran before is put back on failure. Not where its data were replaced by older ones.
    type: bool
    default: true
  timeout:
    description: How long it may take to become healthy, in seconds.
    type: float
    default: 300.0
extends_documentation_fragment:
  - smartercl.smarteros.bulk.attributes
author:
  - SmarterCL (@SmarterCL)
"""

EXAMPLES = r"""
- name: Deploy Redis
  smartercl.smarteros.stack_deploy:
    service: redis

- name: Start n8n where nobody can reach it yet
  smartercl.smarteros.stack_deploy:
    service: n8n
    routed: false
"""

RETURN = r"""
changes:
  description: What was changed (in check mode would be), with service, tenant, action, what, before and after.
  returned: always
  type: list
  elements: dict
state:
  description: The stack at the end, with config, routed, images, state and containers.
  returned: success
  type: dict
rolled_back:
  description: Whether the stack that ran before runs again, all of it.
  returned: always
  type: bool
lines:
  description: The last lines that the failing containers wrote, without secrets.
  returned: failure
  type: list
  elements: str
errors:
  description: What failed, each with what, where, why and next.
  returned: failure
  type: list
  elements: dict
exit_code:
  description: What the command line ends with.
  returned: failure
  type: int
"""

import json
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.smartercl.smarteros.plugins.module_utils import probe, stack_state
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine, EngineError
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row
from ansible_collections.smartercl.smarteros.plugins.module_utils.stack_deploy import (
    Deployer,
    DeployError,
    Wish,
    is_so,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.target_lock import keep_alive

OPTIONS: dict[str, dict[str, t.Any]] = {
    "service": {"type": "str", "required": True},
    "compose": {"type": "str"},
    "config": {"type": "str"},
    "secrets": {"type": "dict", "no_log": True},
    "configs": {"type": "dict", "no_log": False},
    "answers": {
        "type": "dict",
        "options": {"host": {"type": "str", "required": True}, "path": {"type": "str", "required": True}},
    },
    "bootstrap": {"type": "bool", "default": False},
    "routed": {"type": "bool", "default": True},
    "prepare": {"type": "bool", "default": False},
    "back": {"type": "bool", "default": True},
    "timeout": {"type": "float", "default": 300.0},
}
HIDDEN = "***"


def work(module: AnsibleModule) -> None:
    """Look, compare, deploy unless in check mode, report."""
    params = module.params
    wish = Wish(
        params["service"],
        json.loads(params["compose"] or "{}"),
        params["config"] or "",
        params["secrets"] or {},
        params["configs"] or {},
        params["routed"],
    )
    deployer = Deployer(Engine())
    if module.check_mode:  # there may be no Engine yet; deploy_preflight has told what differs
        module.exit_json(changed=True, changes=[], rolled_back=False, state={})
    try:
        before = deployer.look(wish.service)
        if params["prepare"]:
            module.exit_json(
                changed=deployer.prepare(wish), changes=[], rolled_back=False, state=stack_state.told(before)
            )
        if is_so(wish, before):
            module.exit_json(changed=False, changes=[], rolled_back=False, state=stack_state.told(before))
        if params["bootstrap"] and wish.routed and not before:
            _fail(module, wish, DeployError("it has no administrator yet, so it is not started with a route"))
        deployer.deploy(wish, params["timeout"], lambda: _answers(wish, params), back=params["back"])
        after = deployer.look(wish.service)
    except DeployError as exc:
        _fail(module, wish, exc)
    except EngineError as exc:
        _fail(module, wish, DeployError(exc.message))
    changes = _changes(wish, before, after)
    module.exit_json(changed=True, changes=changes, rolled_back=False, state=stack_state.told(after))


def _answers(wish: Wish, params: t.Mapping[str, t.Any]) -> None:
    """Through the reverse proxy, as a user would."""
    if not (params["answers"] and wish.routed):
        return
    question = probe.Question(params["answers"]["host"], params["answers"]["path"])
    found = probe.wait(question, params["timeout"])
    if not found.answers:
        why = f"its containers are healthy, but https://{question.host}{question.path} gives {found.why} through the reverse proxy"
        raise DeployError(why)


def _changes(
    wish: Wish, before: t.Sequence[stack_state.Running], after: t.Sequence[stack_state.Running]
) -> list[dict[str, t.Any]]:
    """One row for each image that changed, or one for the configuration."""
    was, now = ({one.container_name: one.image for one in stack} for stack in (before, after))
    rows = [
        (name, was.get(name), now.get(name))
        for name in sorted(was.keys() | now.keys())
        if was.get(name) != now.get(name)
    ]
    if not rows:
        labels = {one.labels.get(stack_state.CONFIG_LABEL, "") for one in before}
        rows = [("configuration", ", ".join(sorted(labels)), wish.label)]
    action = "create" if not before else "update"
    return [
        {"service": wish.service, "tenant": None, "action": action, "what": what, "before": old, "after": new}
        for what, old, new in rows
    ]


def _fail(module: AnsibleModule, wish: Wish, exc: DeployError) -> None:
    def clean(text: str) -> str:
        for value in wish.secrets.values():
            text = text.replace(value.strip(), HIDDEN) if len(value.strip()) > 3 else text
        return text

    lines = [clean(line) for line in exc.lines]
    why = clean(exc.why) + (f". It wrote: {' | '.join(lines[-5:])}" if lines else "")
    following = f"See `smos logs {wish.service} 100`; repair the cause, then run the same command again"
    error = row(wish.service, why, "deploy", following)
    msg = f"{wish.service}: {why}. {following}"
    module.fail_json(msg=msg, errors=[error], exit_code=1, rolled_back=exc.rolled_back, lines=lines, changes=[])


def main() -> None:
    """Run by Ansible."""
    keep_alive()
    work(AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True))


if __name__ == "__main__":
    main()
