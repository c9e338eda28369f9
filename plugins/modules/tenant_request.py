#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.

"""Documentation of an action plugin; the work is done in the controller's process."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tenant_request
short_description: Judge a request for a tenant by the specs
description:
  - Holds what is asked for against the schema, the rules and the registry, and gives the tenant's document and merged form.
  - Writes nothing. A request for a tenant that is registered already must say the same as the registry, and goes on with it.
version_added: 0.1.0
author:
  - SmarterCL (@SmarterCL)
options:
  rut:
    description: The tenant's RUT in any usual spelling. Needed, here or by O(variables).
    type: str
  name:
    description: The name, 3 to 64 characters. Needed, here or by O(variables).
    type: str
  domain:
    description:
      - The domain below the zone, for example V(acme.smarterbot.cl); its first label becomes the slug.
      - Needed, here or by O(variables).
    type: str
  plan:
    description: The plan; the template's by default.
    type: str
  email:
    description: The owner's e-mail address; C(admin@) the domain by default.
    type: str
  phone:
    description: The owner's WhatsApp number, for example V(+56912345678).
    type: str
  custom_domain:
    description: A domain of the tenant's own.
    type: str
  shopify_store:
    description: The tenant's store, for example V(acme.myshopify.com).
    type: str
  template:
    description: The template that gives the defaults.
    type: str
  without:
    description: Services that the tenant does without.
    type: list
    elements: str
    default: []
  variables:
    description:
      - Start of the names of variables that the options above are taken from, V(tenant_) for C(tenant_rut), C(tenant_name) and so on.
      - Their values are taken as they were written. A value with template syntax is refused. Written as
        C({{ tenant_name }}), it would be evaluated first.
    type: str
extends_documentation_fragment:
  - smartercl.smarteros.registry_action
"""

EXAMPLES = r"""
- name: Judge a request
  smartercl.smarteros.tenant_request:
    rut: 76.086.428-5
    name: Acme Corp
    domain: acme.smarterbot.cl
  register: request

- name: Judge a request that came with --extra-vars
  smartercl.smarteros.tenant_request:
    variables: tenant_
  register: request
"""

RETURN = r"""
is_new:
  description: Whether the tenant is not yet registered.
  returned: success
  type: bool
tenants:
  description: One entry with the inventory name (C(host)), the C(document) for the registry and the merged C(tenant).
  returned: success
  type: list
  elements: dict
"""
