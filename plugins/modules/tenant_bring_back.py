#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.

"""Documentation of an action plugin; the work is done in the controller's process."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tenant_bring_back
short_description: Bring the data of an archive back into its tenant
description:
  - Gives each service the files that the archive holds for it. What is there already stays and is not made twice.
version_added: 0.1.0
author:
  - SmarterCL (@SmarterCL)
options:
  tenants:
    description: Inventory host names of the tenants.
    type: list
    elements: str
    required: true
  archive:
    description: The archive.
    type: path
    required: true
extends_documentation_fragment:
  - smartercl.smarteros.registry_action
"""

EXAMPLES = r"""
- name: Bring the data back
  smartercl.smarteros.tenant_bring_back:
    tenants: "{{ ansible_play_hosts_all }}"
    archive: /srv/exports/acme-20261122-152643-ab12.tar.gz
"""

RETURN = r"""
brought:
  description: What was made, in sentences.
  returned: success
  type: list
  elements: str
"""
