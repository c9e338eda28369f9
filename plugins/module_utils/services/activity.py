# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What the tenants' shops did in a span of time: every service at once, each tenant's figures or why they are not known.

Reads only. A provider that fails, or one shop of it, leaves the figures of all others as they are.
"""

from __future__ import annotations

import typing as t
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors, tokens
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import (
    chatwoot,
    chatwoot_reports,
    n8n,
    odoo,
    odoo_orders,
    shopify,
    shopify_orders,
    supabase,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.reconcile import run_all
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Policy

SHOPIFY, ODOO, CHATWOOT, N8N, STORAGE = "shopify", "odoo", "chatwoot", "n8n", "storage"
UNKNOWN = "unknown"
PROVIDER: t.Mapping[str, str] = {STORAGE: "supabase"}
"""The service whose connection a reader needs, where it has another name."""
NOT_CONFIGURED = "it is not configured here"
NO_STORE, NO_COMPANY, NO_ACCOUNT = (
    "no store is named for it",
    "it has no company in Odoo",
    "it has no account in Chatwoot",
)
NO_SQL = "Supabase tells it by SQL only (supabase_access_token or supabase_database_url)"
NOTHING_TO_ASK = frozenset({NOT_CONFIGURED, NO_STORE, NO_COMPANY, NO_ACCOUNT, NO_SQL})
"""Reasons for unknown figures that are no failure of anybody."""
_WHOLE_S = 20.0  # of one request with its repeats: a digest is not worth waiting longer for one shop
_PATIENCE_S = 60.0  # with a provider that asks for slowness
_STORES = 2  # times as many requests to stores as to a provider that all tenants share
_GIVE_UP = 20  # tenants in a row that a provider does not answer: it is down, and asking for the others takes hours

Tenant = t.Mapping[str, t.Any]
Figures = dict[str, t.Any]
Connections = t.Mapping[str, t.Mapping[str, t.Any]]


@dataclass(frozen=True)
class Span:
    """From ``start`` until before ``end``, both with a time zone. ``concurrency`` is how many requests of one provider
    are under way at once, ``timeout`` the seconds that an answer may take."""

    start: datetime
    end: datetime
    concurrency: int = 8
    timeout: float = 10.0

    @property
    def policy(self) -> Policy:
        """How long anything may take."""
        return Policy(
            connect=min(5.0, self.timeout), read=self.timeout, total=_WHOLE_S, attempts=3, patience=_PATIENCE_S
        )


def read(connections: Connections, tenants: t.Sequence[Tenant], span: Span) -> dict[str, dict[str, Figures]]:
    """By tenant id and service: the figures, or ``{"unknown": why}``. Services that a tenant has not are left out."""
    having = {name: [each for each in tenants if _has(each, PROVIDER.get(name, name))] for name in READERS}
    jobs = {
        name: partial(_all, reader, connections.get(PROVIDER.get(name, name), {}), having[name], span)
        for name, reader in READERS.items()
        if having[name]
    }
    found = run_all(jobs, len(jobs))
    told: dict[str, dict[str, Figures]] = {str(each["id"]): {} for each in tenants}
    for name, answer in found.items():
        for each in having[name]:
            rut = str(each["id"])
            figures = unknown(answer) if isinstance(answer, ApiError) else answer.get(rut)
            told[rut][name] = figures if figures is not None else unknown(ApiError("the provider says nothing of it"))
    return told


def unknown(exc: ApiError) -> Figures:
    """In place of figures: why there are none."""
    return {UNKNOWN: exc.message}


def _has(tenant: Tenant, service: str) -> bool:
    return bool((tenant["services"].get(service) or {}).get("enabled"))


Reader = t.Callable[[t.Mapping[str, t.Any], t.Sequence[Tenant], Span], dict[str, Figures]]


def _all(
    reader: Reader, connection: t.Mapping[str, t.Any], tenants: t.Sequence[Tenant], span: Span
) -> dict[str, Figures]:
    if tokens.unconfigured(connection):
        raise ApiError(NOT_CONFIGURED, errors.MISSING)
    return reader(connection, tenants, span)


def _each(jobs: t.Mapping[str, t.Callable[[], Figures]], concurrency: int) -> dict[str, Figures]:
    """The figures of each tenant, or why there are none; a provider that is down is not asked for ever."""
    mute = [0]  # in a row; a turn that is lost between threads does no harm

    def one(job: t.Callable[[], Figures]) -> Figures:
        if mute[0] >= _GIVE_UP:
            raise ApiError(f"it was not asked: {_GIVE_UP} tenants before it got no answer", errors.UNREACHABLE)
        try:
            found = job()
        except ApiError as exc:
            down = exc.kind in (errors.UNREACHABLE, errors.UNANSWERED, errors.SERVER)
            mute[0] = mute[0] + 1 if down else 0
            raise
        mute[0] = 0
        return found

    found = run_all({rut: partial(one, job) for rut, job in jobs.items()}, concurrency)
    return {rut: unknown(figures) if isinstance(figures, ApiError) else figures for rut, figures in found.items()}


def _shopify(connection: t.Mapping[str, t.Any], tenants: t.Sequence[Tenant], span: Span) -> dict[str, Figures]:
    client = shopify.connect(connection, span.policy)
    stores = {str(each["id"]): client.access.store_of(each) for each in tenants}
    jobs: dict[str, t.Callable[[], Figures]] = {}
    for each in tenants:
        store = stores[str(each["id"])]
        if store:
            jobs[str(each["id"])] = partial(_sold, client, store, str(each["slug"]), span)
    found = _each(jobs, _STORES * span.concurrency)  # stores know nothing of each other's limits
    return {rut: found.get(rut) or unknown(ApiError(NO_STORE)) for rut in stores}


def _sold(client: shopify.Shopify, store: str, slug: str, span: Span) -> Figures:
    count, sums = client.with_store(store, slug, lambda opened: shopify_orders.sold(opened, span.start, span.end))
    return sales(count, sums)


def _odoo(connection: t.Mapping[str, t.Any], tenants: t.Sequence[Tenant], span: Span) -> dict[str, Figures]:
    client = odoo.connect(t.cast("t.Mapping[str, str]", connection), span.policy)
    ruts = [str(each["id"]) for each in tenants]
    homes = {company.id: company.tenant for company in client.companies(False, ruts)}
    sold = odoo_orders.sold(client, sorted(homes), span.start, span.end)
    found = {rut: sales(*sold.get(number, (0, {}))) for number, rut in homes.items()}
    return {rut: found.get(rut) or unknown(ApiError(NO_COMPANY)) for rut in ruts}


def sales(count: int, sums: t.Mapping[str, Decimal]) -> Figures:
    """Orders and what they come to; amounts are texts, so that nothing is lost."""
    return {"orders": count, "totals": {name: amount_text(sums[name]) for name in sorted(sums)}}


def amount_text(amount: Decimal) -> str:
    """An amount without superfluous zeros: 1234 or 12.5."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _chatwoot(connection: t.Mapping[str, t.Any], tenants: t.Sequence[Tenant], span: Span) -> dict[str, Figures]:
    client = chatwoot.connect(t.cast("t.Mapping[str, str]", connection), span.policy)
    numbers = {str(each["id"]): account_of(each) for each in tenants}
    known = [number for number in numbers.values() if number]
    if known:
        chatwoot_reports.enter(client, known)
    jobs: dict[str, t.Callable[[], Figures]] = {
        rut: partial(_talks, client, number, span) for rut, number in numbers.items() if number
    }
    found = _each(jobs, span.concurrency)
    return {rut: found.get(rut) or unknown(ApiError(NO_ACCOUNT)) for rut in numbers}


def account_of(tenant: Tenant) -> int:
    """The number of a tenant's account, as the last run noted it; 0 where there is none."""
    seen = (tenant["status"].get("services") or {}).get("chatwoot") or {}
    number = str((seen.get("ref") or {}).get("account_id") or "0")
    return int(number) if number.isdigit() else 0


def _talks(client: chatwoot.ChatwootClient, number: int, span: Span) -> Figures:
    seen = chatwoot_reports.talks(client, number, span.start, span.end)
    took = None if seen.first_response_s is None else round(seen.first_response_s)
    return {"opened": seen.opened, "resolved": seen.resolved, "first_response_s": took}


def _n8n(connection: t.Mapping[str, t.Any], tenants: t.Sequence[Tenant], span: Span) -> dict[str, Figures]:
    client = n8n.connect(t.cast("t.Mapping[str, str]", connection), span.policy)
    failed = Counter(client.failures(span.start, span.end))
    # Whose a workflow is, its tags tell; a day without failures needs no list of workflows
    tags = {each.id: each.tags for each in client.workflows()} if failed else {}
    counts: Counter[str] = Counter()
    for workflow, count in failed.items():
        for tag in tags.get(workflow, ()):
            counts[tag] += count
    return {str(each["id"]): {"failed": counts[n8n.our_tags(str(each["id"]))[1]]} for each in tenants}


def _storage(connection: t.Mapping[str, t.Any], tenants: t.Sequence[Tenant], span: Span) -> dict[str, Figures]:
    client = supabase.connect(connection, span.policy)
    used = client.usage(list(tenants))
    return {
        rut: {"gb": used[rut]["storage_gb"]} if rut in used else unknown(ApiError(NO_SQL))
        for rut in (str(each["id"]) for each in tenants)
    }


READERS: t.Mapping[str, Reader] = {
    SHOPIFY: _shopify,
    ODOO: _odoo,
    CHATWOOT: _chatwoot,
    N8N: _n8n,
    STORAGE: _storage,
}
