#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The metafields of many tenants on their Shopify stores."""

from __future__ import annotations

DOCUMENTATION = r"""
module: shopify_metafields
short_description: Metafields of many tenants on their Shopify stores
version_added: 0.1.0
description:
  - Writes into each store whose it is, in the metafields C(smarteros.rut), C(smarteros.slug) and so on of the shop.
  - A store whose C(smarteros.rut) names another tenant is a conflict; that tenant fails and the store stays untouched.
    A free store is taken in one step, so that two runs cannot both take it.
  - Other metafields are never changed or deleted, also those of the namespace C(smarteros) that are not listed.
  - Stores are worked on at the same time. Each has a token and a bucket of points of its own, and is asked no faster than
    it allows.
options:
  stores:
    description: The tenants' stores.
    type: list
    elements: dict
    required: true
    suboptions:
      tenant:
        description: RUT of the tenant, for example V(76086428-5); becomes the metafield C(rut).
        type: str
        required: true
      store:
        description: Host name of the store at Shopify. A tenant without one is told as V(disabled), or as V(absent).
        type: str
        default: ""
      former:
        description: The store that was the tenant's until now, if it was another one. What is ours there is deleted.
        type: str
        default: ""
      slug:
        description: Slug of the tenant, under which O(tokens) may have the store's token.
        type: str
        default: ""
      metafields:
        description: Further metafields, as texts of one line by key. Empty ones are left out.
        type: dict
        default: {}
      state:
        description:
          - With V(absent), the metafields are deleted, provided that the store is the tenant's.
          - With V(suspended), they stay as they are.
        type: str
        choices: [present, suspended, absent, disabled]
        default: present
      reason:
        description: Why the tenant is V(disabled).
        type: str
        default: ""
extends_documentation_fragment:
  - smartercl.smarteros.shopify
  - smartercl.smarteros.bulk
  - smartercl.smarteros.bulk.attributes
author:
  - SmarterCL (@SmarterCL)
"""

EXAMPLES = r"""
- name: Write into the stores whose they are
  smartercl.smarteros.shopify_metafields:
    client_id: "{{ lookup('ansible.builtin.env', 'SHOPIFY_CLIENT_ID') }}"
    client_secret: "{{ lookup('ansible.builtin.env', 'SHOPIFY_CLIENT_SECRET') }}"
    stores:
      - tenant: 76086428-5
        store: acme.myshopify.com
        slug: acme
        metafields: {slug: acme, plan: starter}
"""

RETURN = r"""
results:
  description: What became of every tenant, in the order of O(stores).
  returned: success
  type: list
  elements: dict
  contains:
    tenant:
      description: RUT of the tenant.
      type: str
      returned: always
    state:
      description: V(ready), V(suspended), V(absent), V(disabled) or V(failed).
      type: str
      returned: always
    changed:
      description: Whether something of this tenant was changed.
      type: bool
      returned: always
    created:
      description: Whether the tenant had nothing of ours in the store before.
      type: bool
      returned: if true
    ref:
      description: The store and its facts.
      type: dict
      returned: if not empty
      sample: {"store": "acme.myshopify.com", "name": "Acme", "plan": "Basic", "currency": "CLP"}
    url:
      description: The store's main address.
      type: str
      returned: if not empty
    message:
      description: The store's name, plan and currency, and what a person should know; or why the tenant failed or is left out.
      type: str
      returned: if not empty
    changes:
      description: Each difference that was closed (in check mode would be), with action, what, before and after.
      type: list
      elements: dict
      returned: if not empty
    error:
      description: What failed, where, why, and what to do next.
      type: dict
      returned: if not empty
requests:
  description: Number of HTTP requests that were sent.
  returned: success
  type: int
errors:
  description: Why nothing could be attempted, each with what, where, why and next.
  returned: failure
  type: list
  elements: dict
"""

import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils.bulk import (
    Caller,
    finish,
    module_for,
    one_per_tenant,
    policy_of,
    usable,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import shopify as api
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import shopify_metafields as service
from ansible_collections.smartercl.smarteros.plugins.module_utils.shopify_options import CONNECTION, ITEM

STORE: dict[str, dict[str, t.Any]] = {
    **ITEM,
    "metafields": {"type": "dict", "default": {}},
}
OPTIONS: dict[str, dict[str, t.Any]] = {
    **CONNECTION,
    "stores": {"type": "list", "elements": "dict", "required": True, "options": STORE},
}


def work(module: Caller) -> None:
    """Read, plan, apply unless in check mode, report."""
    params = module.params
    one_per_tenant(module, "stores")
    with usable(module, "Shopify"):
        client = api.connect({name: params[name] for name in CONNECTION}, policy_of(module))
    rows = service.run(
        client,
        params["stores"],
        check_mode=module.check_mode,
        concurrency=params["concurrency"],
    )
    finish(module, rows, client.sent)


def main() -> None:
    """Called as a module; on the controller the action plugin of the same name calls `work` itself."""
    work(module_for(OPTIONS))


if __name__ == "__main__":
    main()
