# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""From the figures of all shops to the digest of a day: sums, what is wrong, who sold most. Pure.

Sums hold exactly what the tenants' figures say: what is not known is counted as unknown, never as nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from ansible_collections.smartercl.smarteros.plugins.module_utils.services.activity import (
    CHATWOOT,
    N8N,
    NOT_CONFIGURED,
    NOTHING_TO_ASK,
    ODOO,
    SHOPIFY,
    STORAGE,
    UNKNOWN,
    amount_text,
)

Json = Mapping[str, Any]
SALES = (SHOPIFY, ODOO)
SERVICES = (SHOPIFY, ODOO, CHATWOOT, N8N, STORAGE)
TOP = 5
SYSTEM = ("health", "backup", "drift", "expiring", "cost", "runs")
"""What is told of the system; each a mapping, with ``unknown`` (why) where nobody asked or nothing answered."""
_BROKEN = "failed"  # phase of a tenant
_UNASKED = {"drift": "smos daily --drift asks for it", "cost": "only `smos daily` works it out"}


def composed(activity: Json, system: Json, environment: str) -> dict[str, Any]:
    """The digest. ``activity`` is what the action ``tenant_activity`` found, ``system`` what is known of the rest."""
    tenants = sorted(activity["tenants"], key=lambda each: str(each["slug"]))
    parts = {name: system.get(name) or {UNKNOWN: _UNASKED.get(name, "it was not looked at")} for name in SYSTEM}
    phases: dict[str, int] = {}
    for each in tenants:
        phases[each["phase"]] = phases.get(each["phase"], 0) + 1
    day = {key: value for key, value in activity.items() if key != "tenants"}
    return {
        **day,
        "environment": environment,
        "totals": {name: totals(name, tenants) for name in SERVICES},
        "problems": [*_of_system(parts), *_of_tenants(tenants)],
        "top": top(tenants),
        "phases": dict(sorted(phases.items())),
        "system": parts,
        "tenants": tenants,
    }


def totals(service: str, tenants: Sequence[Json]) -> dict[str, Any]:
    """The sum over the tenants that have the service, how many are known and how many are not."""
    told = [each["services"][service] for each in tenants if service in each["services"]]
    known = [figures for figures in told if UNKNOWN not in figures]
    counts = {"tenants": len(told), UNKNOWN: len(told) - len(known)}
    if service in SALES:
        return {"orders": sum(figures["orders"] for figures in known), "totals": _sums(known), **counts}
    if service == CHATWOOT:
        sums = {key: sum(figures[key] for figures in known) for key in ("opened", "resolved")}
        return {**sums, "first_response_s": _response(known), **counts}
    key = "failed" if service == N8N else "gb"
    return {key: sum(figures[key] for figures in known), **counts}


def _sums(known: Sequence[Json]) -> dict[str, str]:
    sums: dict[str, Decimal] = {}
    for figures in known:
        for currency, amount in figures["totals"].items():
            sums[currency] = sums.get(currency, Decimal(0)) + Decimal(amount)
    return {currency: amount_text(sums[currency]) for currency in sorted(sums)}


def _response(known: Sequence[Json]) -> int | None:
    """The mean first response, by how many conversations were opened: Chatwoot tells no number of answers."""
    weighed = [
        (figures["first_response_s"], max(1, figures["opened"]))
        for figures in known
        if figures["first_response_s"] is not None
    ]
    weight = sum(each for _seconds, each in weighed)
    return round(sum(seconds * each for seconds, each in weighed) / weight) if weight else None


def sold_by(tenant: Json) -> Json:
    """What counts as a tenant's sales: its store's where they are known, else Odoo's, which may hold the same again."""
    for name in SALES:
        figures: Json = tenant["services"].get(name) or {}
        if figures and UNKNOWN not in figures and (figures["orders"] or name == ODOO):
            return figures
    return {"orders": 0, "totals": {}}


def top(tenants: Sequence[Json]) -> list[dict[str, Any]]:
    """Who sold most, by amount within the currency that most shops sell in; at most five."""
    sold = [(each, currency, amount) for each in tenants for currency, amount in sold_by(each)["totals"].items()]
    usage: dict[str, int] = {}
    for _tenant, currency, _amount in sold:
        usage[currency] = usage.get(currency, 0) + 1
    main = min(usage, key=lambda name: (-usage[name], name), default="")
    best = sorted(
        (row for row in sold if row[1] == main and Decimal(row[2]) > 0),
        key=lambda row: (-Decimal(row[2]), row[0]["slug"]),
    )
    return [
        {"tenant": each["slug"], "name": each["name"], "currency": currency, "amount": amount}
        for each, currency, amount in best[:TOP]
    ]


def _of_system(parts: Json) -> Iterator[dict[str, Any]]:
    for name, each in parts["health"].get("services", {}).items():
        if each in ("down", "degraded"):
            yield _problem(None, "health", name, each)
    if parts["backup"].get("late") or parts["backup"].get("errors"):
        yield _problem(None, "backup", "", "; ".join(parts["backup"].get("errors") or ["the newest is too old"]))
    for each in parts["expiring"].get("soon", ()):
        yield _problem(None, "expiring", each["what"], each["when"])
    for name, why in parts["expiring"].get("refused", {}).items():
        yield _problem(None, "token", name, why)
    for each in parts["runs"].get("failed", ()):
        yield _problem(None, "run", each["command"], each["run"])


def _of_tenants(tenants: Sequence[Json]) -> Iterator[dict[str, Any]]:
    for each in tenants:
        if each["phase"] == _BROKEN:
            yield _problem(each, "phase", "", "it is not as it shall be")
        failed = each["services"].get(N8N, {}).get("failed", 0)
        if failed:
            yield _problem(each, "workflows", str(failed), "executions failed")
    for service in SERVICES:
        having = [each for each in tenants if service in each["services"]]
        lacking = [
            each for each in having if each["services"][service].get(UNKNOWN, NOT_CONFIGURED) not in NOTHING_TO_ASK
        ]
        whys = {each["services"][service][UNKNOWN] for each in lacking}
        if len(lacking) == len(having) and len(whys) == 1 and len(having) > 1:
            yield _problem(None, "silent", service, whys.pop())
            continue
        for each in lacking:
            yield _problem(each, "unknown", service, each["services"][service][UNKNOWN])


def _problem(tenant: Json | None, kind: str, what: str, why: str) -> dict[str, Any]:
    whose = {"tenant": None, "name": ""} if tenant is None else {"tenant": tenant["slug"], "name": tenant["name"]}
    return {**whose, "kind": kind, "what": what, "why": why}
