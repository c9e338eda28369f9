# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""From tenants to the workflows that they shall have."""

from __future__ import annotations

import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils.lifecycle import state_of
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.as_text import for_tenants


def workflows(
    tenants: t.Iterable[t.Mapping[str, t.Any]],
    templates: t.Sequence[str],
    odoo_url: str = "",
    chatwoot_url: str = "",
    state: str = "",
) -> list[dict[str, t.Any]]:
    """One entry per tenant, as items of the module of the same name.

    ``tenants`` are merged tenants. ``state`` overrides what follows from where a tenant is in its life. Workflows
    are kept, switched off, while a deleted tenant's data are kept.
    """
    states = ((tenant, state_of(tenant, "n8n", state)) for tenant in tenants)
    return [
        {
            "tenant": tenant["id"],
            "slug": tenant["slug"],
            "name": tenant["name"],
            "templates": list(templates),
            "values": _values(tenant, odoo_url, chatwoot_url),
            "limit": (tenant.get("limits") or {}).get("workflows"),
            "state": wanted,
        }
        for tenant, wanted in states
        if wanted
    ]


def _values(tenant: t.Mapping[str, t.Any], odoo_url: str, chatwoot_url: str) -> dict[str, str]:
    locale = tenant.get("locale") or {}
    values = {name: locale.get(name, "") for name in ("timezone", "currency", "language", "country")}
    return {"domain": tenant["domain"], **values, "odoo_url": odoo_url, "chatwoot_url": chatwoot_url}


class FilterModule:
    """Names the filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """By the name that templates use."""
        return {"n8n_workflows": for_tenants(workflows)}
