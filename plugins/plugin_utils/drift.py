# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Why reality differs from the specs: because these were changed, or because somebody changed it by hand. Pure."""

from __future__ import annotations

import hashlib
import json
import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils.owner import mark

WISHED = "specs"  # the tenant's spec, its plan or its template says something new
BY_HAND = "drift"  # the specs are those of the last run, and what it made is different now
FIRST = "new"  # the service has not been made for the tenant yet

_NO_WISH = frozenset({"status", "phase", "environments", "created_at"})


def fingerprint(merged: t.Mapping[str, t.Any]) -> str:
    """Sixteen characters for all that a merged tenant wants; what runs have seen is no part of it."""
    return digest({key: value for key, value in merged.items() if key not in _NO_WISH})


def digest(data: t.Mapping[str, t.Any]) -> str:
    """Sixteen characters for plain data, whatever the order of its keys."""
    text = json.dumps(data, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def cause(merged: t.Mapping[str, t.Any], service: str) -> str:
    """Why a service of a tenant differs: :data:`FIRST`, :data:`WISHED` or :data:`BY_HAND`."""
    block = merged["status"]
    seen = (block.get("services") or {}).get(service)
    if seen is None or not block.get("applied"):
        return FIRST
    same = block["applied"] == fingerprint(merged)
    return BY_HAND if same and seen.get("state") in ("ready", "suspended") else WISHED


def owner(merged: t.Mapping[str, t.Any], service: str) -> str:
    """Whose it is: the run that made it, or nobody's yet."""
    seen = (merged["status"].get("services") or {}).get(service) or {}
    made_by = seen.get("created_by")
    return mark(merged["id"]) + (f", made by run {made_by}" if made_by else "")
