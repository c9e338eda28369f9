#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.

"""Documentation of an action plugin; the work is done in the controller's process."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tenant_carry_out
short_description: Make the calls that roles ordered, all services at the same time
description:
  - Where a play sets C(smos_orders), bulk modules only take down what they shall do, and M(smartercl.smarteros.tenant_record) hands
    it in. This action makes the calls, one service beside the other; those of one service in the order of its tasks.
  - Each service's answers are written into the tenants' status as soon as they are there.
  - Failed tenants join the fact C(smos_failed), so that the rest of the run leaves them out.
version_added: 0.1.0
author:
  - SmarterCL (@SmarterCL)
options:
  tenants:
    description: Inventory host names of the tenants.
    type: list
    elements: str
    required: true
  keep_on:
    description: Tenants that fail here stay in the run. Closing leaves no service open because another one failed.
    type: bool
    default: false
extends_documentation_fragment:
  - smartercl.smarteros.registry_action
"""

EXAMPLES = r"""
- name: Carry out what the roles of this wave ordered
  smartercl.smarteros.tenant_carry_out:
    tenants: "{{ ansible_play_hosts_all }}"
"""

RETURN = r"""
changes:
  description: What was, or would be, changed, each with its service and tenant; in check mode also with C(cause) and C(owner).
  returned: success
  type: list
  elements: dict
errors:
  description: What failed, in rows of C(what), C(where), C(why), C(next).
  returned: success
  type: list
  elements: dict
answers:
  description: State, ids, address and message by service and tenant, where something changed or failed.
  returned: success
  type: dict
steps:
  description: Number of changes and errors and the time in seconds, for each service in the order in which they ended.
  returned: success
  type: list
  elements: dict
"""
