# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""From tenants to what their Shopify stores shall have."""

from __future__ import annotations

import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.shopify_access import store_of
from ansible_collections.smartercl.smarteros.plugins.module_utils.lifecycle import OUT, PRESENT, SUSPENDED, state_of
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.as_text import for_tenants

SERVICE = "shopify"
NO_STORE = "the tenant has no store: name it as shopify.store in the tenant's file"

Tenant = t.Mapping[str, t.Any]


def webhooks(tenants: t.Iterable[Tenant], default_store: str = "", state: str = "") -> list[dict[str, t.Any]]:
    """One entry per tenant, as items of the module of the same name.

    ``tenants`` are merged tenants; ``state`` overrides what follows from where a tenant is in its life.
    """
    return [
        {**item, "recorded": _recorded(tenant, item["store"])} for tenant, item in _items(tenants, default_store, state)
    ]


def metafields(tenants: t.Iterable[Tenant], default_store: str = "", state: str = "") -> list[dict[str, t.Any]]:
    """One entry per tenant, as items of the module of the same name."""
    return [
        {**item, "metafields": {"slug": tenant["slug"], "plan": tenant["plan"]}}
        for tenant, item in _items(tenants, default_store, state)
    ]


def _items(tenants: t.Iterable[Tenant], default_store: str, state: str) -> t.Iterator[tuple[Tenant, dict[str, t.Any]]]:
    for tenant in tenants:
        wanted = state_of(tenant, SERVICE, state)
        if wanted == OUT:
            continue
        store = store_of(tenant, default_store)
        item = {"tenant": tenant["id"], "slug": tenant["slug"], "store": store, "former": _former(tenant, store)}
        if not item["store"] and wanted in (PRESENT, SUSPENDED):
            yield tenant, {**item, "state": "disabled", "reason": NO_STORE}
        else:
            yield tenant, {**item, "state": wanted}


def _recorded(tenant: Tenant, store: str) -> dict[str, t.Any]:
    """What was written down when this store was last made so; what was suspended since is no news."""
    state, ref = _seen(tenant)
    return dict(ref) if state in ("ready", "failed") and ref.get("store") == store else {}


def _former(tenant: Tenant, store: str) -> str:
    """The store that the tenant had when it was last looked at, where that is another one; empty otherwise."""
    state, ref = _seen(tenant)
    was = str(ref.get("store") or "") if state in ("ready", "failed", "suspended") else ""
    return was if was != store else ""


def _seen(tenant: Tenant) -> tuple[str, t.Mapping[str, t.Any]]:
    seen = (tenant["status"].get("services") or {}).get(SERVICE) or {}
    return str(seen.get("state") or ""), seen.get("ref") or {}


class FilterModule:
    """Names the filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """By the name that templates use."""
        return {"shopify_webhooks": for_tenants(webhooks), "shopify_metafields": for_tenants(metafields)}
