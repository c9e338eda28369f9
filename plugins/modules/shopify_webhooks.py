#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The webhook subscriptions of many tenants' Shopify stores."""

from __future__ import annotations

DOCUMENTATION = r"""
module: shopify_webhooks
short_description: Webhook subscriptions of many tenants' Shopify stores
version_added: 0.1.0
description:
  - Makes each store deliver the events of O(topics) to its tenant's workflow in n8n, one subscription per topic.
  - Ours are the subscriptions whose address is in the tenant's part of n8n, below C(<n8n_url>/webhook/<RUT>/). Others are
    never changed or deleted. Equal ones that exist already are taken over.
  - Shopify deletes a subscription after 8 failed deliveries in a row. What was recorded and is gone is made again, and
    RV(results[].message) says so.
  - A store whose metafield C(smarteros.rut) names another tenant is a conflict; that tenant fails and its store stays untouched.
  - Stores are worked on at the same time. Each has a token and a bucket of points of its own, and is asked no faster than
    it allows.
options:
  webhooks:
    description: The tenants' stores.
    type: list
    elements: dict
    required: true
    suboptions:
      tenant:
        description: RUT of the tenant, for example V(76086428-5).
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
      state:
        description: With V(suspended) and V(absent), the tenant's subscriptions are deleted.
        type: str
        choices: [present, suspended, absent, disabled]
        default: present
      reason:
        description: Why the tenant is V(disabled).
        type: str
        default: ""
      recorded:
        description: What an earlier run returned as RV(results[].ref), to notice what has been removed since.
        type: dict
        default: {}
  n8n_url:
    description: Where n8n answers publicly; Shopify delivers to HTTPS only.
    type: str
    required: true
  template:
    description: Workflow template that takes the deliveries, the last part of the address.
    type: str
    default: shopify-orders
  topics:
    description: Events, as Shopify's C(WebhookSubscriptionTopic) names them.
    type: list
    elements: str
    default: [ORDERS_CREATE, ORDERS_UPDATED, ORDERS_PAID, ORDERS_CANCELLED]
extends_documentation_fragment:
  - smartercl.smarteros.shopify
  - smartercl.smarteros.bulk
  - smartercl.smarteros.bulk.attributes
author:
  - SmarterCL (@SmarterCL)
"""

EXAMPLES = r"""
- name: Deliver the orders of two stores to n8n
  smartercl.smarteros.shopify_webhooks:
    client_id: "{{ lookup('ansible.builtin.env', 'SHOPIFY_CLIENT_ID') }}"
    client_secret: "{{ lookup('ansible.builtin.env', 'SHOPIFY_CLIENT_SECRET') }}"
    n8n_url: https://n8n.example.com
    webhooks:
      - {tenant: 76086428-5, store: acme.myshopify.com}
      - {tenant: 96790240-3, store: umbrella.myshopify.com}

- name: Stop the deliveries of a store that has a token of its own
  smartercl.smarteros.shopify_webhooks:
    tokens: {acme.myshopify.com: "{{ acme_token }}"}
    n8n_url: https://n8n.example.com
    webhooks:
      - {tenant: 76086428-5, store: acme.myshopify.com, state: absent}
"""

RETURN = r"""
results:
  description: What became of every tenant, in the order of O(webhooks).
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
      description: The store and its facts, and the id of each subscription by its topic.
      type: dict
      returned: if not empty
      sample: {"store": "acme.myshopify.com", "name": "Acme", "ORDERS_CREATE": "gid://shopify/WebhookSubscription/1"}
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
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import shopify_webhooks as service
from ansible_collections.smartercl.smarteros.plugins.module_utils.shopify_options import CONNECTION, ITEM

WEBHOOK: dict[str, dict[str, t.Any]] = {
    **ITEM,
    "recorded": {"type": "dict", "default": {}},
}
OPTIONS: dict[str, dict[str, t.Any]] = {
    **CONNECTION,
    "webhooks": {"type": "list", "elements": "dict", "required": True, "options": WEBHOOK},
    "n8n_url": {"type": "str", "required": True},
    "template": {"type": "str", "default": service.TEMPLATE},
    "topics": {"type": "list", "elements": "str", "default": list(service.TOPICS)},
}


def work(module: Caller) -> None:
    """Read, plan, apply unless in check mode, report."""
    params = module.params
    one_per_tenant(module, "webhooks")
    with usable(module, "Shopify"):
        client = api.connect({name: params[name] for name in CONNECTION}, policy_of(module))
    rows = service.run(
        client,
        params["webhooks"],
        n8n_url=params["n8n_url"],
        template=params["template"],
        topics=params["topics"],
        check_mode=module.check_mode,
        concurrency=params["concurrency"],
    )
    finish(module, rows, client.sent)


def main() -> None:
    """Called as a module; on the controller the action plugin of the same name calls `work` itself."""
    work(module_for(OPTIONS))


if __name__ == "__main__":
    main()
