# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""From tenants to their reports in Metabase."""

from __future__ import annotations

import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils.lifecycle import state_of
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.as_text import for_tenants


def objects(tenants: t.Iterable[t.Mapping[str, t.Any]], state: str = "") -> list[dict[str, t.Any]]:
    """One entry per tenant, as items of the module ``metabase_objects``.

    ``tenants`` are merged tenants. Where each is in its life decides its state, unless ``state`` is given; one that
    neither has the service nor had it is left out.
    """
    wanted = [(tenant, state_of(tenant, "metabase", state)) for tenant in tenants]
    return [
        {"tenant": tenant["id"], "name": tenant["name"], "slug": tenant["slug"], "state": each}
        for tenant, each in wanted
        if each
    ]


class FilterModule:
    """Names the filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """By the name that templates use."""
        return {"metabase_objects": for_tenants(objects)}
