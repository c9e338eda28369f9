#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Leases on tenants, on the machine itself."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tenant_lease
short_description: Take, renew or give back leases on tenants, on a machine
version_added: 0.1.0
description:
  - One writer per tenant, also among workers that have a copy of the specs each and so do not see each other's locks.
  - All tenants of a run are taken by one call. The leases of an environment lie in one file on the machine.
  - A lease that is over is taken over, and RV(taken_over) says whose it was. Times are the machine's.
  - In check mode nothing is touched.
options:
  state:
    description: Whether to take leases, to renew all that the run holds, or to give them back.
    type: str
    choices: [taken, renewed, released]
    default: taken
  environment:
    description: The environment whose tenants are meant.
    type: str
    required: true
  run:
    description: Id of the run.
    type: str
    required: true
  tenants:
    description:
      - Ids of the tenants. With V(renewed), those that the run should hold; with V(released), all that it holds where it is empty.
    type: list
    elements: str
    default: []
  holder:
    description: Who takes them, with holder, host, pid and reason, as others see it who find a lease.
    type: dict
    default: {}
  take_over:
    description: Ids of runs that hold leases and are known to be dead.
    type: list
    elements: str
    default: []
  wait:
    description: How long to wait for those that others hold, in seconds.
    type: float
    default: 0.0
  lease:
    description: How long the leases hold without being renewed, in seconds.
    type: float
    default: 900.0
  folder:
    description: Where the leases lie.
    type: path
    default: /var/lib/smarteros/locks
extends_documentation_fragment:
  - smartercl.smarteros.bulk.attributes
author:
  - SmarterCL (@SmarterCL)
"""

EXAMPLES = r"""
- name: Take two tenants
  smartercl.smarteros.tenant_lease:
    environment: production
    run: 20260101-020000-ab12
    tenants: [12345678-5, 76543210-3]
    holder: {holder: ana@control, reason: update tenant}
  register: leases

- name: Go no further where another run has one of them
  ansible.builtin.assert:
    that: leases.refused | length == 0

- name: Give back all that the run holds
  smartercl.smarteros.tenant_lease:
    environment: production
    run: 20260101-020000-ab12
    state: released
"""

RETURN = r"""
refused:
  description: Leases of other runs, each with C(tenant), C(run), C(holder), C(reason), C(age_s) and C(left_s).
  returned: when O(state=taken)
  type: list
  elements: dict
taken_over:
  description: Leases that were over, or of dead runs, in the same form.
  returned: when O(state=taken)
  type: list
  elements: dict
lost:
  description: Those of O(tenants) that the run does not hold any more.
  returned: when O(state=renewed)
  type: list
  elements: str
errors:
  description: What failed, each with what, where, why and next.
  returned: failure
  type: list
  elements: dict
exit_code:
  description: V(2), an argument is wrong; V(3), the leases cannot be read or written there.
  returned: failure
  type: int
"""

import os
import typing as t
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row
from ansible_collections.smartercl.smarteros.plugins.module_utils.target_leases import TargetLeases, told

OPTIONS: dict[str, dict[str, t.Any]] = {
    "state": {"type": "str", "choices": ["taken", "renewed", "released"], "default": "taken"},
    "environment": {"type": "str", "required": True},
    "run": {"type": "str", "required": True},
    "tenants": {"type": "list", "elements": "str", "default": []},
    "holder": {"type": "dict", "default": {}},
    "take_over": {"type": "list", "elements": "str", "default": []},
    "wait": {"type": "float", "default": 0.0},
    "lease": {"type": "float", "default": 900.0},
    "folder": {"type": "path", "default": "/var/lib/smarteros/locks"},
}
INVALID = 2
UNUSABLE = 3


def work(params: dict[str, t.Any], leases: TargetLeases) -> dict[str, t.Any]:
    """What is asked for. Raises OSError."""
    run, tenants = params["run"], params["tenants"]
    if params["state"] == "released":
        leases.release(run, tenants or None)
        return {}
    if params["state"] == "renewed":
        kept = set(leases.renew(run, params["lease"]))
        return {"lost": [key for key in tenants if key not in kept]}
    mine = {**params["holder"], "run": run}
    got = leases.wait(tenants, mine, params["take_over"], params["lease"], params["wait"])
    return {
        "refused": [told(key, there) for key, there in got.refused.items()],
        "taken_over": [told(key, there) for key, there in got.taken_over.items()],
    }


def main() -> None:
    """Run by Ansible."""
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    try:
        leases = TargetLeases(module.params["environment"], Path(module.params["folder"]))
    except ValueError as exc:
        _fail(module, "environment", str(exc), "Name it as its inventory is named", INVALID)
    if module.check_mode:
        module.exit_json(changed=False, refused=[], taken_over=[], lost=[])
    try:
        module.exit_json(changed=False, **work(module.params, leases))
    except OSError as exc:
        why = os.strerror(exc.errno) if exc.errno else str(exc)
        following = "See that its folder can be written and its disk is not full; then run the same command again"
        _fail(module, "leases on tenants", f"{exc.filename or module.params['folder']}: {why}", following, UNUSABLE)


def _fail(module: AnsibleModule, what: str, why: str, following: str, code: int) -> t.NoReturn:
    module.fail_json(msg=f"{what}: {why}", exit_code=code, errors=[row(what, why, "the machine", following)])
    raise AssertionError  # fail_json ends the process


if __name__ == "__main__":
    main()
