#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.

"""Documentation of an action plugin; the work is done in the controller's process."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tenant_settle
short_description: Close a run on tenants
description:
  - Decides each tenant's phase by what its services have answered (V(active), or V(failed) with the reason) and releases the run's locks.
  - Leases that M(smartercl.smarteros.tenant_hold) took are given back; for that, the task must be delegated to the same machine.
  - A tenant that this run registered and whose creation has been undone to the last service leaves the registry.
version_added: 0.1.0
author:
  - SmarterCL (@SmarterCL)
options:
  tenants:
    description: Inventory host names of the tenants.
    type: list
    elements: str
    required: true
  worked:
    description: Whether the run came as far as working on the tenants; if not, only the locks are released.
    type: bool
    default: true
  undone:
    description: Ids of the tenants whose creation was undone.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - smartercl.smarteros.registry_action
"""

EXAMPLES = r"""
- name: Settle the tenants
  smartercl.smarteros.tenant_settle:
    tenants: "{{ ansible_play_hosts_all }}"
"""

RETURN = r"""
settled:
  description: Host, tenant, phase and reason of each tenant.
  returned: success
  type: list
  elements: dict
not_ready:
  description: Host names of the tenants that are not active.
  returned: success
  type: list
  elements: str
"""
