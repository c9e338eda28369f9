#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.

"""Documentation of an action plugin; the work is done in the controller's process."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tenant_change
short_description: Judge a change of registered tenants, or a step of their lives
description:
  - Holds what is asked for against the schema, the rules and the registry, and gives each tenant's new document and merged form.
  - Writes nothing; M(smartercl.smarteros.tenant_register) does.
  - To purge, and to delete where the environment asks for confirmation, every slug has to be given once more in O(confirm).
version_added: 0.1.0
author:
  - SmarterCL (@SmarterCL)
options:
  job:
    description: What shall become of the tenants.
    type: str
    required: true
    choices: [update, suspend, resume, delete, restore, purge]
  id:
    description: RUTs in any usual spelling, or slugs.
    type: list
    elements: str
    default: []
  due:
    description: Instead of O(id), all deleted tenants whose data have been kept as long as the registry says.
    type: bool
    default: false
  confirm:
    description: The slugs of the tenants, to show that they are meant.
    type: list
    elements: str
    default: []
  reason:
    description: Why a tenant is suspended, deleted or purged; kept in its file.
    type: str
  name:
    description: Another name.
    type: str
  plan:
    description: Another plan.
    type: str
  template:
    description: Another template; empty for the default one.
    type: str
  email:
    description: The owner's e-mail address; empty for the default one.
    type: str
  owner_name:
    description: The owner's name; empty for the tenant's.
    type: str
  phone:
    description: The owner's WhatsApp number; empty takes it away.
    type: str
  custom_domain:
    description: A domain of the tenant's own; empty takes it away.
    type: str
  shopify_store:
    description: The tenant's store, for example V(acme.myshopify.com); empty takes it away.
    type: str
  with:
    description: Services to switch on.
    type: list
    elements: str
  without:
    description: Services to switch off. Their data stay.
    type: list
    elements: str
  variables:
    description:
      - Start of the names of variables that give the options above (not O(job) and O(due)), V(tenant_) for C(tenant_id) and so on.
      - Their values are taken as they were written, never evaluated as templates.
    type: str
extends_documentation_fragment:
  - smartercl.smarteros.registry_action
"""

EXAMPLES = r"""
- name: Judge a larger plan
  smartercl.smarteros.tenant_change:
    job: update
    id: acme
    plan: professional
  register: request
"""

RETURN = r"""
tenants:
  description: Inventory name (C(host)), new C(document), merged C(tenant) and the fingerprint of the C(judged) spec of each.
  returned: success
  type: list
  elements: dict
"""
