#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.

"""Documentation of an action plugin; the work is done in the controller's process."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tenant_register
short_description: Write tenants into the registry
description:
  - Creates the file of each requested tenant that has none yet, and sets the phase of what is not active to V(pending).
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
attributes:
  diff_mode:
    support: full
    description: Shows the documents that are added.
"""

EXAMPLES = r"""
- name: Write the tenants into the registry
  smartercl.smarteros.tenant_register:
    tenants: "{{ ansible_play_hosts_all }}"
"""

RETURN = r"""
changes:
  description: The tenants that were, or would be, registered.
  returned: success
  type: list
  elements: dict
"""
