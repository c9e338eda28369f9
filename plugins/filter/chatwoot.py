# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""From tenants to their accounts in Chatwoot."""

from __future__ import annotations

import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils.lifecycle import state_of
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.as_text import for_tenants

# Chatwoot names languages without a country, but for these
_REGIONAL = frozenset({"pt_BR", "zh_CN", "zh_TW"})
_NUMBER = ("phone_number", "phone_number_id", "business_account_id")


def accounts(tenants: t.Iterable[t.Mapping[str, t.Any]], state: str = "") -> list[dict[str, t.Any]]:
    """One account per tenant, as items of the module ``chatwoot_accounts``.

    ``tenants`` are merged tenants; ``state`` is what the play asks for, or empty to go by what each tenant shall be.
    """
    states = ((tenant, state_of(tenant, "chatwoot", state)) for tenant in tenants)
    return [_account(tenant, wanted) for tenant, wanted in states if wanted]


def _account(tenant: t.Mapping[str, t.Any], state: str) -> dict[str, t.Any]:
    language, owner = tenant["locale"]["language"], tenant["owner"]
    known = ((tenant["status"].get("services") or {}).get("chatwoot") or {}).get("ref") or {}
    number = tenant.get("whatsapp") or {}
    wants_number = bool(number) and bool((tenant.get("features") or {}).get("whatsapp_inbox"))
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
        "known_user": known.get("user_id") or 0,
        "users": (tenant.get("limits") or {}).get("users"),
        "agents": known.get("agents"),
        "whatsapp": {key: number[key] for key in _NUMBER} if wants_number else None,
        "state": state,
    }


class FilterModule:
    """Names the filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """By the name that templates use."""
        return {"chatwoot_accounts": for_tenants(accounts)}
