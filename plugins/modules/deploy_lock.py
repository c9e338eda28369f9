#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The lock of an environment's operations, on the machine itself."""

from __future__ import annotations

DOCUMENTATION = r"""
module: deploy_lock
short_description: Take or give back the lock for operations on a machine
version_added: 0.1.0
description:
  - One deploy, backup, restore or upgrade at a time. The lock lies on the machine, so that control nodes which know nothing of
    each other keep out of each other's way. It is a lease that the run renews; an expired one is taken over with a notice.
  - In check mode nothing is locked.
options:
  state:
    description: Whether to take the lock or to give it back.
    type: str
    choices: [taken, released]
    default: taken
  run:
    description: Id of the run.
    type: str
    required: true
  holder:
    description: Who takes it, with holder, host, pid and reason, as others see it who find the lock.
    type: dict
  take_over:
    description: Id of a run that holds the lock and is known to be dead.
    type: str
    default: ""
  lease:
    description: How long the lock holds without being renewed, in seconds. Modules that take long renew it.
    type: float
    default: 900.0
extends_documentation_fragment:
  - smartercl.smarteros.bulk.attributes
author:
  - SmarterCL (@SmarterCL)
"""

EXAMPLES = r"""
- name: Take the lock
  smartercl.smarteros.deploy_lock:
    run: 20260101-020000-ab12
    holder: {holder: ana@control, reason: deploy}
"""

RETURN = r"""
taken_over:
  description: The former holder, where its lease had run out or its process was gone.
  returned: success
  type: dict
notices:
  description: What a person should know though nothing failed. C(smos) shows it.
  returned: when the lock was taken
  type: list
  elements: str
errors:
  description: What failed, each with what, where, why and next.
  returned: failure
  type: list
  elements: dict
exit_code:
  description: V(4), another run holds the lock.
  returned: failure
  type: int
"""

import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row
from ansible_collections.smartercl.smarteros.plugins.module_utils.target_lock import Held, TargetLock

OPTIONS: dict[str, dict[str, t.Any]] = {
    "state": {"type": "str", "choices": ["taken", "released"], "default": "taken"},
    "run": {"type": "str", "required": True},
    "holder": {"type": "dict"},
    "take_over": {"type": "str", "default": ""},
    "lease": {"type": "float", "default": 900.0},
}
REFUSED = 4


def work(module: AnsibleModule, lock: TargetLock) -> None:
    """Take it or give it back, and say so."""
    params = module.params
    if module.check_mode:
        module.exit_json(changed=False, taken_over={})
    if params["state"] == "released":
        lock.release(params["run"])
        module.exit_json(changed=False, taken_over={})
    now = time.time()
    holder = {**(params["holder"] or {}), "run": params["run"], "taken_at": now, "expires_at": now + params["lease"]}
    try:
        former = lock.take(holder, params["take_over"])
    except Held as exc:
        _refuse(module, exc.holder, now)
    else:
        notices = []
        if former:
            notices = [f"the lock of run {former.get('run')} ({former.get('holder')}), which is dead, was taken over"]
            module.warn(notices[0])
        module.exit_json(changed=False, taken_over=former or {}, notices=notices)


def _refuse(module: AnsibleModule, holder: dict[str, t.Any], now: float) -> None:
    age, left = now - float(holder.get("taken_at", now)), float(holder.get("expires_at", now)) - now
    why = (
        f"run {holder.get('run')} of {holder.get('holder', 'somebody')} ({holder.get('reason', 'no reason given')}) has held the "
        f"lock for {age:.0f} s; without a sign of life it ends in {left:.0f} s"
    )
    following = "Wait for it, or see what it does with `smos history`; then run the same command again"
    module.fail_json(msg=f"locked: {why}", exit_code=REFUSED, errors=[row("the machine", why, "lock", following)])


def main() -> None:
    """Run by Ansible."""
    work(AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True), TargetLock())


if __name__ == "__main__":
    main()
