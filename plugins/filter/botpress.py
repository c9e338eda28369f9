# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""From tenants to the bots that they shall have."""

from __future__ import annotations

import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils.lifecycle import state_of
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.as_text import for_tenants


def bots(
    tenants: t.Iterable[t.Mapping[str, t.Any]],
    templates: t.Sequence[str] = ("ecommerce", "services"),
    default: str = "ecommerce",
    state: str = "",
) -> list[dict[str, t.Any]]:
    """One entry per tenant, as items of the module of the same name.

    ``tenants`` are merged tenants. ``state`` overrides what follows from where a tenant is in its life. A bot is
    suspended while a deleted tenant's data are kept.
    """
    states = ((tenant, state_of(tenant, "botpress", state)) for tenant in tenants)
    return [_item(tenant, wanted, templates, default) for tenant, wanted in states if wanted]


def _item(tenant: t.Mapping[str, t.Any], state: str, templates: t.Sequence[str], default: str) -> dict[str, t.Any]:
    locale = tenant.get("locale") or {}
    values = {name: locale.get(name, "") for name in ("timezone", "currency", "language", "country")}
    return {
        "tenant": tenant["id"],
        "slug": tenant["slug"],
        "name": tenant["name"],
        "template": _template(tenant, templates, default),
        "values": {"domain": tenant.get("custom_domain") or tenant["domain"], **values},
        "limit": (tenant.get("limits") or {}).get("bots"),
        "state": state,
    }


def _template(tenant: t.Mapping[str, t.Any], templates: t.Sequence[str], default: str) -> str:
    wished = (tenant.get("template"), tenant.get("industry"))
    return next((str(name) for name in wished if name in templates), default)


class FilterModule:
    """Names the filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """By the name that templates use."""
        return {"botpress_bots": for_tenants(bots)}
