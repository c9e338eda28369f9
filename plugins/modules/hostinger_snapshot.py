#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The snapshot of a virtual machine at Hostinger."""

from __future__ import annotations

DOCUMENTATION = r"""
module: hostinger_snapshot
short_description: The snapshot of a virtual machine at Hostinger
version_added: 0.1.0
description:
  - Sees to it that a fresh snapshot of the machine exists, as a way back before a change, and waits until it is really made.
  - A machine has one snapshot. A new one replaces the old one, which is lost; the module does so only with
    O(replace=true), and says so.
  - Snapshots expire. They are no backup.
options:
  machine:
    description:
      - The virtual machine, by id, host name or address.
      - Something else that is under way on it is waited for first.
    type: str
    required: true
  state:
    description: Whether there shall be a snapshot.
    type: str
    choices: [present, absent]
    default: present
  max_age:
    description: A snapshot that is no older than this many minutes will do; nothing is made then.
    type: int
    default: 60
  replace:
    description: Whether an older snapshot may be replaced. Without it the module refuses, and nothing is touched.
    type: bool
    default: false
extends_documentation_fragment:
  - smartercl.smarteros.hostinger
  - smartercl.smarteros.single
  - smartercl.smarteros.single.wait
  - smartercl.smarteros.bulk.attributes
author:
  - SmarterCL (@SmarterCL)
"""

EXAMPLES = r"""
- name: Have a way back before the upgrade, in place of an older one
  smartercl.smarteros.hostinger_snapshot:
    machine: 203.0.113.10
    replace: true
    wait_timeout: 3600
"""

RETURN = r"""
snapshot:
  description: The snapshot at the end with C(id), C(created_at) and C(expires_at); empty without one.
  returned: success
  type: dict
replaced:
  description: When the snapshot that was (in check mode would be) replaced had been made; empty when none was.
  returned: success
  type: str
changes:
  description: Each difference that was closed (in check mode would be), with action, what, before and after.
  returned: always
  type: list
  elements: dict
message:
  description: What was found or done, in a sentence.
  returned: always
  type: str
requests:
  description: Number of HTTP requests that were sent.
  returned: always
  type: int
errors:
  description: What failed, each with what, where, why and next.
  returned: failure
  type: list
  elements: dict
exit_code:
  description: V(3) when nothing was attempted, V(1) when something was.
  returned: failure
  type: int
"""

import dataclasses
import datetime
import typing as t

from ansible.module_utils.basic import env_fallback

from ansible_collections.smartercl.smarteros.plugins.module_utils import single
from ansible_collections.smartercl.smarteros.plugins.module_utils.bulk import Caller, policy_of, usable
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import hostinger as api
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import hostinger as service
from ansible_collections.smartercl.smarteros.plugins.module_utils.single import Outcome, finish, module_for

OPTIONS: dict[str, dict[str, t.Any]] = {
    "url": {"type": "str", "default": api.URL},
    "token": {
        "type": "str",
        "required": True,
        "no_log": True,
        "fallback": (env_fallback, ["HOSTINGER_API_TOKEN"]),
    },
    "machine": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "max_age": {"type": "int", "default": 60},
    "replace": {"type": "bool", "default": False},
    **single.WAIT_OPTIONS,
}


def work(module: Caller) -> None:
    """Read, plan, apply unless in check mode, report."""
    params = module.params
    client, patience = api.connect(params, policy_of(module)), single.patience_of(module)
    with usable(module, "Hostinger"):
        machine = client.machine(params["machine"])
        if machine.locked and not module.check_mode:  # perhaps it is just making a snapshot for a run that died
            machine = client.unlocked(machine, patience)
        there = client.snapshot(machine)
        now = datetime.datetime.now(datetime.timezone.utc)
        todo = service.plan_snapshot(machine, there, params["state"], params["max_age"], params["replace"], now)
    outcome = Outcome(todo.changes, warnings=todo.warnings, message=_message(todo))
    try:
        if todo.changes and not module.check_mode:
            there = service.apply_snapshot(client, todo, patience, outcome)
    except ApiError as exc:
        single.failed(module, f"snapshot of machine {machine.hostname}", exc, outcome, client.http.sent)
    outcome.facts["snapshot"] = dataclasses.asdict(there) if there else {}
    outcome.facts["replaced"] = todo.before.created_at if todo.create and todo.before else ""
    finish(module, outcome, client.http.sent)


def _message(todo: service.SnapshotTodo) -> str:
    if todo.create and todo.before:
        return f"the new snapshot replaces that of {todo.before.created_at}"
    if todo.create:
        return "the first snapshot of the machine; the next one will replace it"
    if todo.delete:
        return "the snapshot is deleted"
    return f"the snapshot of {todo.before.created_at} will do" if todo.before else "there is no snapshot"


def main() -> None:
    """Called by Ansible."""
    work(module_for(OPTIONS))


if __name__ == "__main__":
    main()
