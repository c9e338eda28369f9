# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The status block of a tenant in one environment: how it follows from what the services answered. Pure."""

from __future__ import annotations

import typing as t
from datetime import UTC, datetime

from ansible_collections.smartercl.smarteros.plugins.module_utils import lifecycle

_GOOD = {
    lifecycle.ACTIVE: frozenset({"ready", "disabled"}),
    lifecycle.SUSPENDED: frozenset({"ready", "disabled", "suspended", "absent"}),  # deleted, too
    lifecycle.PURGED: frozenset({"disabled", "absent"}),
}
"""States of a service with which a tenant is what it shall be."""

Block = dict[str, t.Any]
Row = t.Mapping[str, t.Any]


def now() -> str:
    """The time as the registry writes it: UTC, seconds, ISO 8601."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def combined(rows: t.Sequence[Row]) -> Block:
    """Several answers of one service for one tenant (company and users, say) as one: the first error wins.

    What is empty may be missing in a row.
    """
    result: Block = {
        "state": "ready",
        "ref": {},
        "url": "",
        "message": "",
        "created": False,
        "error": None,
        "changes": [],
        "usage": {},
    }
    for row in rows:
        result["ref"].update(row.get("ref", {}))
        result["usage"].update(row.get("usage", {}))
        result["changes"] += row.get("changes", [])
        result["created"] = result["created"] or row.get("created", False)
        for key in ("url", "message", "error"):
            result[key] = result[key] or row.get(key) or result[key]
        if result["state"] != "failed" and row["state"] != "ready":
            result["state"] = row["state"]
    return result


def with_service(block: Row, service: str, answer: Row, run: str) -> Block:
    """The block after a service has answered; the same block when nothing is new, so that nothing is written."""
    services = dict(block.get("services") or {})
    before = services.get(service) or {}
    if answer["state"] == "absent":
        if services.pop(service, None) is None:
            return dict(block)
    else:
        after = {"state": answer["state"], "ref": {**(before.get("ref") or {}), **answer["ref"]}}
        after.update({key: answer[key] for key in ("url", "message", "usage") if answer.get(key)})
        # The run that made it first: what was there before a run is not that run's to undo
        created_by = before.get("created_by") or (run if answer["created"] else "")
        if created_by:
            after["created_by"] = created_by
        if {key: value for key, value in before.items() if key != "at"} == after:
            return dict(block)
        services[service] = {**after, "at": now()}
    return {**_head(block, run), "services": services}


def with_phase(block: Row, phase: str, run: str, reason: str = "", applied: str = "") -> Block:
    """The block in another phase; the same block when phase, reason and what was applied are that already.

    ``applied`` is the fingerprint of the wish that has been carried out; empty leaves the one that is there.
    """
    applied = applied or block.get("applied") or ""
    same = block.get("phase") == phase and (block.get("reason") or "") == reason
    if same and (block.get("applied") or "") == applied:
        return dict(block)
    result = {**_head(block, run), "phase": phase}
    result.pop("reason", None)
    result.pop("services", None)
    if reason:
        result["reason"] = reason
    if applied:
        result["applied"] = applied
    if block.get("services") is not None:
        result["services"] = block["services"]
    return result


def with_export(block: Row, export: Row) -> Block:
    """The block that names the archive of the tenant's last export."""
    known = {key: value for key, value in block.items() if key != "services"}
    result = {"phase": "pending", **known, "export": dict(export)}  # a tenant that no run has seen yet has no phase
    if block.get("services") is not None:
        result["services"] = block["services"]
    return result


def settled(block: Row, wanted: t.Sequence[str], wish: str) -> tuple[str, str]:
    """(phase, reason) of a tenant whose services have all answered.

    ``wanted`` are the services that take part in the run and that the tenant has; ``wish`` is what the tenant shall be.
    """
    services = block.get("services") or {}
    good = _GOOD.get(wish, _GOOD[lifecycle.SUSPENDED])
    troubles = []
    for service in wanted:
        seen = services.get(service) or {"state": "" if wish == lifecycle.ACTIVE else "absent"}
        if seen.get("state") not in good:
            troubles.append(f"{service}: {seen.get('message') or 'not done'}")
    return ("failed", "; ".join(troubles)) if troubles else (wish, "")


def _head(block: Row, run: str) -> Block:
    """The block's keys before `services`, in the order in which people read them."""
    head = {"phase": block.get("phase", "pending"), "run": run, "updated_at": now()}
    rest = {key: value for key, value in block.items() if key not in (*head, "services")}
    return {**head, **rest}
