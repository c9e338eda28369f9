# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""From tenants to their companies and users in Odoo."""

from __future__ import annotations

import typing as t

Tenants = t.Iterable[t.Mapping[str, t.Any]]


def companies(tenants: Tenants, state: str = "present") -> list[dict[str, t.Any]]:
    """One company per tenant, as items of the module ``odoo_companies``.

    ``tenants`` are merged tenants. One without the service is left out; for ``absent`` everyone is listed,
    because the service may have been on before.
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
            "state": state,
        }
        for tenant in _with_service(tenants, state)
    ]


def users(tenants: Tenants, state: str = "present") -> list[dict[str, t.Any]]:
    """One administrator per tenant, its owner, as items of the module ``odoo_users``."""
    return [
        {
            "tenant": tenant["id"],
            "login": tenant["owner"]["email"],
            "name": tenant["owner"]["name"],
            "email": tenant["owner"]["email"],
            "lang": _language(tenant["locale"]),
            "tz": tenant["locale"]["timezone"],
            "state": state,
        }
        for tenant in _with_service(tenants, state)
    ]


def _with_service(tenants: Tenants, state: str) -> list[t.Mapping[str, t.Any]]:
    return [tenant for tenant in tenants if state == "absent" or tenant["services"]["odoo"]["enabled"]]


def _language(locale: t.Mapping[str, str]) -> str:
    """Odoo's code: language and country (``es_CL``)."""
    language = locale["language"]
    return language if "_" in language else f"{language}_{locale['country']}"


class FilterModule:
    """Names the filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """By the name that templates use."""
        return {"odoo_companies": companies, "odoo_users": users}
