# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""From specs to what Cloudflare calls them: the records that lead to tenants, the settings of the zone."""

from __future__ import annotations

import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils.lifecycle import ABSENT, OUT, SUSPENDED, state_of
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.as_text import for_tenants

_SWITCHES = {
    "always_use_https": "always_use_https",
    "http3": "http3",
    "zero_rtt": "0rtt",
    "websockets": "websockets",
}
_SERVED = frozenset({"ready", "suspended"})  # states in which Vercel answers for a tenant, also with its redirect


def dns_records(
    tenants: t.Iterable[t.Mapping[str, t.Any]],
    zone: str,
    app_host: str,
    proxied: bool = True,
    state: str = "",
    suspension_target: str = "",
) -> list[dict[str, t.Any]]:
    """One CNAME ``<slug>.<zone>`` per tenant, as items of the module of the same name.

    ``tenants`` are merged tenants; ``state`` is what the play asks for instead of what their specs say. While a tenant is
    suspended, its record stays where Vercel shows the way to the suspension page, and leads to ``suspension_target`` (a
    host name, ``suspended.<zone>`` unless told) where it has no Vercel. A deleted tenant has no record, nor has one
    whose service was switched off: no data is lost by it. A custom domain lies outside the zone and is not served here.
    """
    items = []
    for tenant in tenants:
        wanted = _state(tenant, state)
        if wanted == OUT:
            continue
        elsewhere = wanted == SUSPENDED and not _served(tenant)
        items.append(
            {
                "tenant": tenant["id"],
                "type": "CNAME",
                "name": f"{tenant['slug']}.{zone}",
                "content": (suspension_target or f"suspended.{zone}") if elsewhere else app_host,
                "proxied": bool(proxied),
                "state": wanted,
            }
        )
    return items


def zone_settings(spec: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The settings of ``infra/dns.yml`` under Cloudflare's names, for the module ``cloudflare_zone``.

    Brotli is not among them: Cloudflare has it always on, and its setting is gone.
    """
    settings: dict[str, t.Any] = {"ssl": spec["ssl"]}
    for ours, theirs in _SWITCHES.items():
        settings[theirs] = "on" if spec[ours] else "off"
    settings["min_tls_version"] = str(spec["min_tls_version"])
    settings["browser_cache_ttl"] = int(spec["browser_cache_ttl_s"])
    settings["edge_cache_ttl"] = int(spec["edge_cache_ttl_s"])
    return settings


def _state(tenant: t.Mapping[str, t.Any], override: str) -> str:
    wanted = state_of(tenant, "cloudflare", override, deleted=ABSENT)
    off = not tenant["services"]["cloudflare"]["enabled"]
    return ABSENT if wanted == SUSPENDED and off else wanted


def _served(tenant: t.Mapping[str, t.Any]) -> bool:
    """Whether Vercel shows a suspended tenant's visitors the way: it is on, and really made."""
    seen = ((tenant.get("status") or {}).get("services") or {}).get("vercel") or {}
    return bool((tenant["services"].get("vercel") or {}).get("enabled")) and seen.get("state") in _SERVED


class FilterModule:
    """Names the filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """By the name that templates use."""
        return {"cloudflare_dns_records": for_tenants(dns_records), "cloudflare_zone_settings": zone_settings}
