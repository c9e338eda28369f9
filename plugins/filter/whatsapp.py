# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""From tenants to what their owners should have been told."""

from __future__ import annotations

import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils.lifecycle import ABSENT, state_of
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.as_text import for_tenants


def messages(tenants: t.Iterable[t.Mapping[str, t.Any]], state: str = "") -> list[dict[str, t.Any]]:
    """One entry per tenant, as items of the module ``tenant_messages``.

    ``tenants`` are merged tenants; ``state`` what the play asks for. One that is left alone is left out; one whose
    service is off keeps its place, and nobody is written to.
    """
    states = ((tenant, state_of(tenant, "whatsapp", state)) for tenant in tenants)
    return [_message(tenant, wanted) for tenant, wanted in states if wanted]


def _message(tenant: t.Mapping[str, t.Any], state: str) -> dict[str, t.Any]:
    locale, owner = tenant.get("locale") or {}, tenant["owner"]
    seen = (tenant["status"].get("services") or {}).get("whatsapp") or {}
    written_to = tenant["services"]["whatsapp"]["enabled"] and state != ABSENT
    return {
        "tenant": tenant["id"],
        "name": tenant["name"],
        "slug": tenant["slug"],
        "domain": tenant["domain"],
        "url": f"https://{tenant.get('custom_domain') or tenant['domain']}",
        "owner": {key: owner.get(key) or "" for key in ("name", "email", "phone")},
        "wish": tenant.get("wish", "active") if written_to else "",
        "since": tenant.get("wish_since") or "",
        "created_at": tenant.get("created_at") or "",
        "language": locale.get("language") or "es",
        "timezone": locale.get("timezone") or "America/Santiago",
        "known": dict(seen.get("ref") or {}),
        "state": state,
    }


class FilterModule:
    """Names the filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """By the name that templates use."""
        return {"tenant_messages": for_tenants(messages)}
