# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""From tenants to their companies and users in Odoo."""

from __future__ import annotations

import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils.lifecycle import PRESENT, state_of
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.as_text import for_tenants

Tenants = t.Iterable[t.Mapping[str, t.Any]]


def companies(tenants: Tenants, state: str = "") -> list[dict[str, t.Any]]:
    """One company per tenant, as items of the module ``odoo_companies``.

    ``tenants`` are merged tenants. Where each is in its life decides its state, unless ``state`` is given; one that
    neither has the service nor had it is left out.
    """
    return [
        {
            "tenant": tenant["id"],
            "name": tenant["name"],
            "vat": tenant["id"],
            "vat_valid": bool(tenant["rut_valid"]),
            "country": tenant["locale"]["country"],
            "currency": tenant["locale"]["currency"],
            "email": tenant["owner"]["email"],
            "state": wanted,
        }
        for tenant, wanted in _wanted(tenants, state)
    ]


def users(tenants: Tenants, state: str = "", part: str = "") -> list[dict[str, t.Any]]:
    """One administrator per tenant, its owner, as items of the module ``odoo_users``.

    ``part``: only those who are ``leaving`` (suspended, absent), which goes before their companies, or ``staying``,
    which comes after them; all when it is empty.
    """
    return [
        {
            "tenant": tenant["id"],
            "login": tenant["owner"]["email"],
            "name": tenant["owner"]["name"],
            "email": tenant["owner"]["email"],
            "lang": _language(tenant["locale"]),
            "tz": tenant["locale"]["timezone"],
            "limit": (tenant.get("limits") or {}).get("users"),
            "known_user": _known_user(tenant),
            "state": wanted,
        }
        for tenant, wanted in _wanted(tenants, state)
        if part in ("", "staying" if wanted == PRESENT else "leaving")
    ]


def _wanted(tenants: Tenants, state: str) -> list[tuple[t.Mapping[str, t.Any], str]]:
    found = [(tenant, state_of(tenant, "odoo", state)) for tenant in tenants]
    return [(tenant, wanted) for tenant, wanted in found if wanted]


def _known_user(tenant: t.Mapping[str, t.Any]) -> int:
    """The id of the user that was last recorded for the tenant; 0 when there is none."""
    seen = (tenant["status"].get("services") or {}).get("odoo") or {}
    return int((seen.get("ref") or {}).get("user_id") or 0)


def _language(locale: t.Mapping[str, str]) -> str:
    """Odoo's code: language and country (``es_CL``)."""
    language = locale["language"]
    return language if "_" in language else f"{language}_{locale['country']}"


class FilterModule:
    """Names the filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """By the name that templates use."""
        return {"odoo_companies": for_tenants(companies), "odoo_users": for_tenants(users)}
