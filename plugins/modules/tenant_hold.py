#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.

"""Documentation of an action plugin; the work on the machine is done by tenant_lease."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tenant_hold
short_description: Hold the tenants of a run on a machine, too
description:
  - Takes a lease on each tenant of a run, all by one call, on the machine that the task is delegated to. So workers that have a copy
    of the specs each, and see no locks of each other, do not work on the same tenant at once.
  - Called again, it renews the leases when a third of their time is over, and asks nothing before.
  - A tenant that another living run holds is left out with a warning; when all are held, the task fails with exit code 4.
  - A lease that is over, or whose process is known to be gone, is taken over with a warning. In check mode nothing is asked.
  - M(smartercl.smarteros.tenant_settle) gives the leases back.
version_added: 0.1.0
author:
  - SmarterCL (@SmarterCL)
options:
  tenants:
    description: Inventory host names of the tenants.
    type: list
    elements: str
    required: true
  reason:
    description: What the run is for, as others see it who find a lease.
    type: str
    default: apply
  wait:
    description: How long to wait for leases of others, in seconds.
    type: float
    default: 0.0
  lease:
    description:
      - How long a lease holds without being renewed, in seconds.
      - For many tenants at once it is at least half a second for each.
    type: float
    default: 900.0
  folder:
    description: Where the leases lie on the machine; where M(smartercl.smarteros.tenant_lease) has them unless it is set.
    type: path
    default: ""
extends_documentation_fragment:
  - smartercl.smarteros.registry_action
"""

EXAMPLES = r"""
- name: Hold the tenants on the machine
  smartercl.smarteros.tenant_hold:
    tenants: "{{ ansible_play_hosts_all }}"
    reason: create tenant
  delegate_to: vps1
  run_once: true
"""

RETURN = r"""
errors:
  description: Tenants that another run holds, each with what, where, why and next.
  returned: success
  type: list
  elements: dict
ansible_facts:
  description: The facts C(smos_lease), C(smos_failed) and C(smos_locked).
  returned: when something was taken or renewed
  type: dict
"""
