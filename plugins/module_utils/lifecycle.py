# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What shall become of a tenant's part in a service, from where the tenant is in its life. Pure."""

from __future__ import annotations

import typing as t

ACTIVE, SUSPENDED, DELETED, PURGED = "active", "suspended", "deleted", "purged"  # a tenant's wish
PRESENT, ABSENT, OUT = "present", "absent", ""  # with ``suspended``: a module item's state; ``OUT`` is left out

_MADE = frozenset({"ready", "pending", "failed"})  # states of a service that may have something to switch off


def state_of(tenant: t.Mapping[str, t.Any], service: str, override: str = "", deleted: str = SUSPENDED) -> str:
    """The state (present | suspended | absent) that a service shall bring a merged tenant to, or ``""`` to leave it out.

    ``override`` is the state that the play asks for (undoing a run says ``absent``). ``deleted`` is what a service
    does with a deleted tenant while its data are kept: ``suspended``, or ``absent`` where nothing is lost by it.
    A service that was switched off for the tenant after it had been made is suspended: its data stay.
    """
    if override:
        wanted = tenant["services"][service]["enabled"] or override == ABSENT
        return override if wanted else OUT
    if tenant.get("wish", ACTIVE) == PURGED:
        return ABSENT
    if not tenant["services"][service]["enabled"]:
        seen = (tenant["status"].get("services") or {}).get(service) or {}
        return SUSPENDED if seen.get("state") in _MADE else OUT
    return {SUSPENDED: SUSPENDED, DELETED: deleted}.get(tenant.get("wish", ACTIVE), PRESENT)


def concerns(tenant: t.Mapping[str, t.Any], service: str) -> bool:
    """Whether a run has to reach the service for this merged tenant at all."""
    if tenant.get("wish", ACTIVE) == PURGED:
        return service in (tenant["status"].get("services") or {})
    return state_of(tenant, service) != OUT


def concerned(tenants: t.Iterable[t.Mapping[str, t.Any]], service: str) -> set[str]:
    """The ids of the merged tenants that a failure of the service would concern."""
    return {tenant["id"] for tenant in tenants if concerns(tenant, service)}


def is_made(tenant: t.Mapping[str, t.Any], service: str) -> bool:
    """Whether there is, or may be, something of the tenant in the service."""
    seen = (tenant["status"].get("services") or {}).get(service) or {}
    return seen.get("state", "absent") not in ("absent", "disabled") or bool(seen.get("created_by"))
