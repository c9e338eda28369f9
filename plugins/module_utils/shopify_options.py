# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Options that the Shopify modules share; the doc fragment ``shopify`` describes them."""

from __future__ import annotations

import typing as t

from ansible.module_utils.basic import env_fallback

from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.shopify import URL

CONNECTION: dict[str, dict[str, t.Any]] = {
    "url": {"type": "str", "default": URL},
    "client_id": {"type": "str", "default": "", "fallback": (env_fallback, ["SHOPIFY_CLIENT_ID"])},
    "client_secret": {
        "type": "str",
        "default": "",
        "no_log": True,
        "fallback": (env_fallback, ["SHOPIFY_CLIENT_SECRET"]),
    },
    "tokens": {"type": "dict", "default": {}, "no_log": True},
}
# What the items of all Shopify modules have in common
ITEM: dict[str, dict[str, t.Any]] = {
    "tenant": {"type": "str", "required": True},
    "store": {"type": "str", "default": ""},
    "former": {"type": "str", "default": ""},
    "slug": {"type": "str", "default": ""},
    "state": {"type": "str", "choices": ["present", "suspended", "absent", "disabled"], "default": "present"},
    "reason": {"type": "str", "default": ""},
}
