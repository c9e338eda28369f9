#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""A one-shot job with what a service has: its image, secrets, volumes and networks."""

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_job
short_description: Run a one-shot job with a service's image, secrets, volumes and networks
version_added: 0.1.0
description:
  - Runs a command, such as a database migration, once and to its end, in a container that has all that a container of the
    service's stack file has. The stack itself is not deployed by this, so the job can run with the new image before the switch.
  - The job is a Swarm service of the mode C(replicated-job), which is removed afterwards. Swarm secrets can be had in no other way.
  - Containers of the stack that must not work meanwhile can rest. They rest until the stack is deployed, or until O(state=resumed).
  - A job that a former run had started and that still runs is waited for, not started twice.
options:
  service:
    description: Id of the service in the catalogue, and name of its stack.
    type: str
    required: true
  container:
    description: Container of the stack file that the job takes image, entry point, environment, secrets, volumes and networks from.
    type: str
  name:
    description: What the job is called.
    type: str
    default: job
  command:
    description: The command. It replaces the container's own; the entry point stays.
    type: list
    elements: str
  env:
    description: Further environment variables. Everybody on the machine can see them.
    type: dict
    default: {}
  pause:
    description: Containers of the stack that rest meanwhile.
    type: list
    elements: str
    default: []
  memory_mb:
    description: Memory limit of the job in MiB. Without it, the container's own.
    type: int
    default: 0
  state:
    description:
      - With V(done), the job is run.
      - With V(resumed), the containers in O(pause) that rest run again, in case the deploy after the job did not come about.
    type: str
    choices: [done, resumed]
    default: done
  timeout:
    description: Seconds that the job may take.
    type: float
    default: 1800.0
  socket:
    description: Socket of the Docker Engine.
    type: path
    default: /var/run/docker.sock
extends_documentation_fragment:
  - smartercl.smarteros.bulk.attributes
attributes:
  idempotent:
    support: partial
    description: A job is run whenever it is asked for. The jobs of our roles change nothing the second time.
author:
  - SmarterCL (@SmarterCL)
"""

EXAMPLES = r"""
- name: Bring Chatwoot's database to the new version
  smartercl.smarteros.stack_job:
    service: chatwoot
    container: chatwoot
    name: prepare
    command: [bundle, exec, rails, "db:chatwoot_prepare"]
    pause: [chatwoot-worker]
"""

RETURN = r"""
lines:
  description: The last lines that the job wrote.
  returned: always
  type: list
  elements: str
paused:
  description: Containers that ran and rest now.
  returned: success
  type: list
  elements: str
changes:
  description: What was done (in check mode would be), with service, tenant, action, what, before and after.
  returned: always
  type: list
  elements: dict
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

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.smartercl.smarteros.plugins.module_utils import lifeline
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import SOCKET, Engine, EngineError
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row
from ansible_collections.smartercl.smarteros.plugins.module_utils.stack_job import Job, JobError, Runner, compose_of
from ansible_collections.smartercl.smarteros.plugins.module_utils.target_lock import keep_alive

OPTIONS: dict[str, dict[str, t.Any]] = {
    "service": {"type": "str", "required": True},
    "container": {"type": "str"},
    "name": {"type": "str", "default": "job"},
    "command": {"type": "list", "elements": "str"},
    "env": {"type": "dict", "default": {}},
    "pause": {"type": "list", "elements": "str", "default": []},
    "memory_mb": {"type": "int", "default": 0},
    "state": {"type": "str", "choices": ["done", "resumed"], "default": "done"},
    "timeout": {"type": "float", "default": 1800.0},
    "socket": {"type": "path", "default": SOCKET},
}


def work(module: AnsibleModule) -> None:
    """Pause, run, report; in check mode only foretell."""
    params = module.params
    if module.check_mode:
        module.exit_json(changed=params["state"] == "done", changes=_changes(params), lines=[], paused=[])
    lifeline.hold()
    runner = Runner(Engine(params["socket"]))
    paused: list[str] = []
    try:
        compose = compose_of(params["service"])
        if params["state"] == "resumed":
            resumed = runner.resume(params["service"], compose, params["pause"])
            module.exit_json(changed=bool(resumed), changes=[], lines=[], paused=[])
        paused = runner.pause(params["service"], params["pause"])
        lines = runner.run(_job(params), compose, params["timeout"])
    except JobError as exc:
        _fail(module, exc)
    except EngineError as exc:
        _fail(module, JobError(exc.message))
    module.exit_json(changed=True, changes=_changes(params), lines=lines, paused=paused)


def _job(params: t.Mapping[str, t.Any]) -> Job:
    env = {str(name): str(value) for name, value in params["env"].items()}
    return Job(
        params["service"], params["container"], params["name"], tuple(params["command"]), env, params["memory_mb"]
    )


def _changes(params: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    if params["state"] != "done":
        return []
    said = {"service": params["service"], "tenant": None, "action": "update", "what": f"job {params['name']}"}
    return [{**said, "before": None, "after": {"command": " ".join(params["command"])}}]


def _fail(module: AnsibleModule, exc: JobError) -> None:
    service = module.params["service"]
    why = exc.why + (f". It wrote: {' | '.join(exc.lines[-5:])}" if exc.lines else "")
    following = "Repair the cause, then run the same command again; what ran before runs on, unless its data went back"
    error = row(f"{service}: job {module.params['name']}", why, "deploy", following)
    module.fail_json(msg=f"{service}: {why}. {following}", errors=[error], exit_code=1, lines=exc.lines, changes=[])


def main() -> None:
    """Run by Ansible."""
    keep_alive()
    needed = [("state", "done", ("container", "command"))]
    work(AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True, required_if=needed))


if __name__ == "__main__":
    main()
