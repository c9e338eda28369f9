# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""From tenants to their rows and their read-only roles in Supabase."""

from __future__ import annotations

import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils import lifecycle
from ansible_collections.smartercl.smarteros.plugins.module_utils.services.supabase_readers import role_of
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.as_text import for_tenants

SERVICE = "supabase"
_SETTINGS = ("locale", "branding", "features", "limits")
Tenants = t.Iterable[t.Mapping[str, t.Any]]


def rows(tenants: Tenants, state: str = "") -> list[dict[str, t.Any]]:
    """What ``supabase_rows`` takes of merged tenants. A deleted tenant keeps its rows, with the time of its deletion."""
    items = []
    for tenant in tenants:
        wanted = lifecycle.state_of(tenant, SERVICE, state, deleted=lifecycle.SUSPENDED)
        if not wanted:
            continue
        item: dict[str, t.Any] = {"tenant": tenant["id"], "state": wanted}
        if wanted == lifecycle.PRESENT:
            item.update(row=_row(tenant), settings=_settings(tenant), services=_services(tenant))
        elif wanted == lifecycle.SUSPENDED and not state and tenant.get("wish") == lifecycle.DELETED:
            item.update(state="deleted", deleted_at=tenant.get("wish_since") or "1970-01-01T00:00:00Z")
        items.append(item)
    return items


def readers(tenants: Tenants, state: str = "", connections: int = 5) -> list[dict[str, t.Any]]:
    """What ``supabase_readers`` takes of merged tenants."""
    items = []
    for tenant in tenants:
        wanted = lifecycle.state_of(tenant, SERVICE, state, deleted=lifecycle.SUSPENDED)
        if wanted:
            role = role_of(tenant["slug"])
            items.append({"tenant": tenant["id"], "role": role, "state": wanted, "connections": int(connections)})
    return items


def _row(tenant: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    owner = tenant["owner"]
    return {
        "slug": tenant["slug"],
        "name": tenant["name"],
        "domain": tenant["domain"],
        "custom_domain": tenant.get("custom_domain"),
        "plan": tenant["plan"],
        "template": tenant.get("template") or "default",
        "industry": tenant.get("industry") or "",
        "owner_name": owner["name"],
        "owner_email": owner["email"],
        "owner_phone": owner.get("phone") or "",
    }


def _settings(tenant: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {key: dict(tenant.get(key) or {}) for key in _SETTINGS}


def _services(tenant: t.Mapping[str, t.Any]) -> dict[str, str]:
    """What the specs say. What became of a service is not written here: it is not known yet when rows are."""
    return {name: "enabled" if each["enabled"] else "disabled" for name, each in tenant["services"].items()}


class FilterModule:
    """Names the filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """By the name that templates use."""
        return {"supabase_rows": for_tenants(rows), "supabase_readers": for_tenants(readers)}
