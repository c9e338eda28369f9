#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.

"""Documentation of an action plugin; the work is done in the controller's process."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tenant_open
short_description: Open a run on tenants
description:
  - Gives the run an id unless it has one, locks the tenants for it, and says which services of the catalogue have a tenant entry.
  - A tenant that another living run holds is left out with a warning; when all are held, the task fails with exit code 4.
  - So is one whose spec another run has changed since the request was judged, for this run would undo that change.
  - A lock whose holder is dead or whose lease has run out is taken over with a warning. In check mode nothing is locked.
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
    description: What the run is for, as others see it who find the lock.
    type: str
    required: true
  wait:
    description: How long to wait for locks, in seconds.
    type: float
    default: 0.0
  lease:
    description:
      - How long a lock holds without being renewed, in seconds. Every recorded service renews it.
      - For many tenants at once it is at least half a second for each.
    type: float
    default: 900.0
extends_documentation_fragment:
  - smartercl.smarteros.registry_action
"""

EXAMPLES = r"""
- name: Open the run
  smartercl.smarteros.tenant_open:
    tenants: "{{ ansible_play_hosts_all }}"
    reason: create tenant
"""

RETURN = r"""
ansible_facts:
  description: The facts C(smos_run), C(smos_services), C(smos_waves) (groups that work together), C(smos_failed) and C(smos_locked).
  returned: success
  type: dict
"""
