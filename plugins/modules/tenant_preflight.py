#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.

"""Documentation of an action plugin; the work is done in the controller's process."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tenant_preflight
short_description: Look at providers before anything is written
description:
  - Checks at once, read-only, that every provider that the tenants need can be used with its token, and that what new tenants need is free.
  - One unusable provider fails the task with exit code 3 and lists them all; something taken fails its own tenant only.
version_added: 0.1.0
author:
  - SmarterCL (@SmarterCL)
options:
  tenants:
    description: Inventory host names of the tenants.
    type: list
    elements: str
    required: true
  timeout:
    description: How long to wait for each answer, in seconds.
    type: float
    default: 10.0
extends_documentation_fragment:
  - smartercl.smarteros.registry_action
"""

EXAMPLES = r"""
- name: Look at the providers
  smartercl.smarteros.tenant_preflight:
    tenants: "{{ ansible_play_hosts_all }}"
"""

RETURN = r"""
providers:
  description: State, account and message of each provider's token, by service.
  returned: success
  type: dict
errors:
  description: What is taken, in rows of C(what), C(where), C(why), C(next).
  returned: always
  type: list
  elements: dict
"""
