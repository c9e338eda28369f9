# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""From tenants to the domains under which Vercel serves them."""

from __future__ import annotations

import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils.lifecycle import state_of
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.as_text import for_tenants


def domains(tenants: t.Iterable[t.Mapping[str, t.Any]], state: str = "") -> list[dict[str, t.Any]]:
    """One item of the module of the same name per tenant: its domain, its custom domain, and what we added before.

    ``tenants`` are merged tenants; ``state`` is what the play asks for instead of what their specs say. A deleted
    tenant's domains redirect as a suspended one's: a domain that is removed has to be verified anew.
    """
    items = []
    for tenant in tenants:
        wanted = state_of(tenant, "vercel", state)
        if wanted:
            seen = ((tenant.get("status") or {}).get("services") or {}).get("vercel") or {}
            own, custom = tenant["domain"], tenant.get("custom_domain")
            dns = tenant["services"].get("cloudflare") or {}
            items.append(
                {
                    "tenant": tenant["id"],
                    "domains": [own, custom] if custom else [own],
                    "known": (seen.get("ref") or {}).get("domains") or {},
                    "late": [own] if dns.get("enabled") else [],
                    "state": wanted,
                }
            )
    return items


class FilterModule:
    """Names the filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """By the name that templates use."""
        return {"vercel_domains": for_tenants(domains)}
