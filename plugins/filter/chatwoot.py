# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""From tenants to their accounts in Chatwoot."""

from __future__ import annotations

import typing as t

# Chatwoot names languages without a country, but for these
_REGIONAL = frozenset({"pt_BR", "zh_CN", "zh_TW"})


def accounts(tenants: t.Iterable[t.Mapping[str, t.Any]], state: str = "present") -> list[dict[str, t.Any]]:
    """One account per tenant, as items of the module ``chatwoot_accounts``.

    ``tenants`` are merged tenants. One without the service is left out; for ``absent`` everyone is listed,
    because the service may have been on before.
    """
    return [
        _account(tenant, state) for tenant in tenants if state == "absent" or tenant["services"]["chatwoot"]["enabled"]
    ]


def _account(tenant: t.Mapping[str, t.Any], state: str) -> dict[str, t.Any]:
    language, owner = tenant["locale"]["language"], tenant["owner"]
    known = ((tenant["status"].get("services") or {}).get("chatwoot") or {}).get("ref") or {}
    return {
        "tenant": tenant["id"],
        "name": tenant["name"],
        "slug": tenant["slug"],
        "domain": tenant["domain"],
        "locale": language if language in _REGIONAL else language.partition("_")[0],
        "support_email": owner["email"],
        "admin": {"name": owner["name"], "email": owner["email"]},
        "website_url": f"https://{tenant.get('custom_domain') or tenant['domain']}",
        "account_id": known.get("account_id"),
        "creating_after": known.get("creating_after"),
        "state": state,
    }


class FilterModule:
    """Names the filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """By the name that templates use."""
        return {"chatwoot_accounts": accounts}
