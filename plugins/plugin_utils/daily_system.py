# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What the digest says of the system: the machine as `smos status` saw it, and tokens that end or are refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from ansible_collections.smartercl.smarteros.plugins.module_utils import verdicts
from ansible_collections.smartercl.smarteros.plugins.module_utils.services.activity import UNKNOWN
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import tokens
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.specs import Specs

SOON_DAYS = 14
_NO_MACHINE = "no machine was asked"

Json = Mapping[str, Any]


def of_machine(status: Json) -> dict[str, Any]:
    """Health, backups and certificates out of the result of `smos status`, or why they are not known."""
    if not status or UNKNOWN in status:
        why = str(status.get(UNKNOWN) or _NO_MACHINE)
        return {"health": {UNKNOWN: why}, "backup": {UNKNOWN: why}, "certificates": []}
    states = {name: str(each.get("state")) for name, each in (status.get("services") or {}).items()}
    certificates = [
        {"what": f"certificate {name}", "when": str(each.get("expires") or "")}
        for name, each in (status.get("certificates") or {}).items()
        if each.get("days") is not None and each["days"] < SOON_DAYS and not each.get("self_made")
    ]
    return {
        "health": {"services": states},
        "backup": _backup(status.get("backups") or {}),
        "certificates": certificates,
    }


def _backup(found: Json) -> dict[str, Any]:
    errors = [str(each.get("why") if isinstance(each, Mapping) else each) for each in found.get("errors") or ()]
    if not found.get("last"):
        return {"late": True, "errors": errors or ["there is no backup yet"]} if found else {UNKNOWN: _NO_MACHINE}
    target = found.get("rpo_h")
    return {
        "last": found["last"],
        "hours": found["age_h"],
        "verified": bool(found.get("verified")),
        "drill_days": found.get("drill_age_d"),
        "late": target is not None and found["age_h"] > target,
        "errors": errors,
    }


def of_tokens(
    specs: Specs, environment: str, variables: Json, template: Callable[[Any], Any], timeout: float
) -> dict[str, Any]:
    """Tokens that end within two weeks, and those that are refused; all providers are asked at the same time.

    Shopify is left out: a store's own token is tried by reading its orders.
    """
    known = [name for name in tokens.testable(specs) if name != "shopify"]
    rows = tokens.providers(specs, environment, known, variables, template)
    asked = [
        verdicts.Asked(row["provider"], row["connection"], row["names"])
        for row in rows
        if not verdicts.unsent(verdicts.Asked(row["provider"], row["connection"], row["names"]))
    ]
    found = verdicts.judge(asked, timeout)
    refused = (verdicts.INVALID, verdicts.INSUFFICIENT)
    return {
        "soon": [
            {"what": f"token {name}", "when": verdict.expires}
            for name, verdict in sorted(found.items())
            if verdict.expires and _is_soon(verdict.expires)
        ],
        "refused": {name: each.message for name, each in sorted(found.items()) if each.state in refused},
    }


def _is_soon(text: str) -> bool:
    try:
        end = datetime.fromisoformat(text)
    except ValueError:
        return False
    end = end if end.tzinfo else end.replace(tzinfo=UTC)
    return (end - datetime.now(UTC)).days < SOON_DAYS
