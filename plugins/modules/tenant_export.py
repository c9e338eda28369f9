#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.

"""Documentation of an action plugin; the work is done in the controller's process."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tenant_export
short_description: Write the archive of tenants
description:
  - One tar.gz per tenant with its spec, status, rows, workflows, bot, contacts, orders and conversations, and a manifest with checksums.
  - Unless O(every) is set, only for tenants that the specs say are deleted or purged and that no whole archive of that time exists of.
  - A tenant whose export fails is left out of the rest of the run, so that nothing is taken from it.
version_added: 0.1.0
author:
  - SmarterCL (@SmarterCL)
options:
  tenants:
    description: Inventory host names of the tenants.
    type: list
    elements: str
    required: true
  folder:
    description: Where the archives go. Made when it is missing; readable by its owner only.
    type: path
    required: true
  every:
    description: Export all of the tenants.
    type: bool
    default: false
extends_documentation_fragment:
  - smartercl.smarteros.registry_action
"""

EXAMPLES = r"""
- name: Export the tenants of the play
  smartercl.smarteros.tenant_export:
    tenants: "{{ ansible_play_hosts_all }}"
    folder: /srv/exports
    every: true
"""

RETURN = r"""
exports:
  description: C(file), C(sha256), C(bytes) and C(at) by tenant.
  returned: success
  type: dict
errors:
  description: What failed, in rows of C(what), C(where), C(why), C(next).
  returned: success
  type: list
  elements: dict
"""
