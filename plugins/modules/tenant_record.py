#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.

"""Documentation of an action plugin; the work is done in the controller's process."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tenant_record
short_description: Write down what a service answered for tenants
description:
  - Writes state, ids, address and message of each tenant's part in a service into the tenant's status, when they are new.
  - Failed tenants join the fact C(smos_failed), so that the rest of the run leaves them out.
  - Renews the locks of the run.
version_added: 0.1.0
author:
  - SmarterCL (@SmarterCL)
options:
  service:
    description: The service, as the catalogue names it.
    type: str
    required: true
  registered:
    description: Names of the variables that the results of the service's bulk modules were registered in.
    type: list
    elements: str
    default: []
  failure:
    description: The result of a task that failed for the service as a whole; recorded for all O(tenants) that need the service.
    type: dict
  tenants:
    description: Inventory host names, needed with O(failure).
    type: list
    elements: str
    default: []
  keep_on:
    description: Tenants that fail here stay in the run. Closing leaves no service open because another one failed.
    type: bool
    default: false
extends_documentation_fragment:
  - smartercl.smarteros.registry_action
"""

EXAMPLES = r"""
- name: Record what became of the accounts
  smartercl.smarteros.tenant_record:
    service: chatwoot
    registered: [accounts]
"""

RETURN = r"""
changes:
  description: What was, or would be, changed, each with its service and tenant.
  returned: success
  type: list
  elements: dict
errors:
  description: What failed, in rows of C(what), C(where), C(why), C(next).
  returned: success
  type: list
  elements: dict
answers:
  description: State, ids, address and message by tenant, where something changed or failed.
  returned: success
  type: dict
"""
