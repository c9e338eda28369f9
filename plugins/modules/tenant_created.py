#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.

"""Documentation of an action plugin; the work is done in the controller's process."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tenant_created
short_description: Find what this run created for failed tenants
description:
  - Reads the registry and tells, last service first, for which of the failed tenants this very run created their part in the service.
version_added: 0.1.0
author:
  - SmarterCL (@SmarterCL)
options:
  tenants:
    description: Inventory host names of the tenants.
    type: list
    elements: str
    required: true
extends_documentation_fragment:
  - smartercl.smarteros.registry_action
"""

EXAMPLES = r"""
- name: Find what this run created
  smartercl.smarteros.tenant_created:
    tenants: "{{ ansible_play_hosts_all }}"
  register: created
"""

RETURN = r"""
services:
  description: Rows of C(service) and C(tenants), in the order of undoing.
  returned: success
  type: list
  elements: dict
undone:
  description: Ids of the failed tenants.
  returned: success
  type: list
  elements: str
"""
