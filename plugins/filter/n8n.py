# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""From tenants to the workflows that they shall have."""

from __future__ import annotations

import typing as t


def workflows(
    tenants: t.Iterable[t.Mapping[str, t.Any]],
    templates: t.Sequence[str],
    odoo_url: str = "",
    chatwoot_url: str = "",
    state: str = "present",
) -> list[dict[str, t.Any]]:
    """One entry per tenant, as items of the module of the same name.

    ``tenants`` are merged tenants. One without the service is left out; for ``absent`` everyone is listed,
    because the service may have been on before.
    """
    return [
        {
            "tenant": tenant["id"],
            "slug": tenant["slug"],
            "name": tenant["name"],
            "templates": list(templates),
            "values": _values(tenant, odoo_url, chatwoot_url),
            "state": state,
        }
        for tenant in tenants
        if state == "absent" or tenant["services"]["n8n"]["enabled"]
    ]


def _values(tenant: t.Mapping[str, t.Any], odoo_url: str, chatwoot_url: str) -> dict[str, str]:
    locale = tenant.get("locale") or {}
    values = {name: locale.get(name, "") for name in ("timezone", "currency", "language", "country")}
    return {"domain": tenant["domain"], **values, "odoo_url": odoo_url, "chatwoot_url": chatwoot_url}


class FilterModule:
    """Names the filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """By the name that templates use."""
        return {"n8n_workflows": workflows}
