# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""From tenants to the DNS records that lead to them."""

from __future__ import annotations

import typing as t


def dns_records(
    tenants: t.Iterable[t.Mapping[str, t.Any]], zone: str, app_host: str, proxied: bool = True, state: str = "present"
) -> list[dict[str, t.Any]]:
    """One CNAME ``<slug>.<zone>`` per tenant, as items of the module of the same name.

    ``tenants`` are merged tenants. One without the service gets no record; for ``absent`` everyone is listed,
    because the service may have been on before. A custom domain lies outside the zone and is not served here.
    """
    return [
        {
            "tenant": tenant["id"],
            "type": "CNAME",
            "name": f"{tenant['slug']}.{zone}",
            "content": app_host,
            "proxied": bool(proxied),
            "state": state,
        }
        for tenant in tenants
        if state == "absent" or tenant["services"]["cloudflare"]["enabled"]
    ]


class FilterModule:
    """Names the filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """By the name that templates use."""
        return {"cloudflare_dns_records": dns_records}
