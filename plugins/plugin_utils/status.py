# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The status block of a tenant in one environment: how it follows from what the services answered. Pure."""

from __future__ import annotations

import typing as t
from datetime import UTC, datetime

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
    }
    for row in rows:
        result["ref"].update(row.get("ref", {}))
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
        after.update({key: answer[key] for key in ("url", "message") if answer[key]})
        # The run that made it first: what was there before a run is not that run's to undo
        created_by = before.get("created_by") or (run if answer["created"] else "")
        if created_by:
            after["created_by"] = created_by
        if {key: value for key, value in before.items() if key != "at"} == after:
            return dict(block)
        services[service] = {**after, "at": now()}
    return {**_head(block, run), "services": services}


def with_phase(block: Row, phase: str, run: str, reason: str = "") -> Block:
    """The block in another phase; the same block when phase and reason are that already."""
    if block.get("phase") == phase and (block.get("reason") or "") == reason:
        return dict(block)
    result = {**_head(block, run), "phase": phase}
    result.pop("reason", None)
    if reason:
        result["reason"] = reason
    if block.get("services") is not None:
        result["services"] = block["services"]
    return result


def settled(block: Row, wanted: t.Sequence[str]) -> tuple[str, str]:
    """(phase, reason) of a tenant whose services have all answered; ``wanted`` are its enabled services."""
    services = block.get("services") or {}
    troubles = []
    for service in wanted:
        seen = services.get(service) or {}
        if seen.get("state") != "ready":
            troubles.append(f"{service}: {seen.get('message') or 'not done'}")
    return ("failed", "; ".join(troubles)) if troubles else ("active", "")


def _head(block: Row, run: str) -> Block:
    """The block's keys before `services`, in the order in which people read them."""
    head = {"phase": block.get("phase", "pending"), "run": run, "updated_at": now()}
    rest = {key: value for key, value in block.items() if key not in (*head, "services")}
    return {**head, **rest}
