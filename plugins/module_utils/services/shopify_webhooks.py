# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Webhook subscriptions of tenants' stores: what is wished against what Shopify still has."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from ansible_collections.smartercl.smarteros.plugins.module_utils.bulk import Change, Result
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.shopify import Shopify, Store, Webhook
from ansible_collections.smartercl.smarteros.plugins.module_utils.services.shopify import (
    PRESENT,
    Goal,
    Json,
    Look,
    Seen,
    Step,
    carry_out,
    goals_of,
    owned,
    told,
)

TEMPLATE = "shopify-orders"  # the workflow that takes the deliveries
TOPICS = ("ORDERS_CREATE", "ORDERS_UPDATED", "ORDERS_PAID", "ORDERS_CANCELLED")
DROPPED = (
    "Shopify or somebody had removed the webhooks for {0} since the last run (Shopify does so after 8 failed "
    "deliveries in a row): look whether n8n answers"
)


@dataclass(frozen=True)
class Address:
    """Where a tenant's deliveries go. ``prefix`` is the tenant's part of n8n: every subscription below it is ours."""

    prefix: str
    uri: str


@dataclass(frozen=True)
class Todo:
    """What one store needs. ``update`` gives (as it is, as it shall be); ``dropped`` are topics that were there once."""

    delete: t.Sequence[Webhook] = ()
    update: t.Sequence[tuple[Webhook, Webhook]] = ()
    create: t.Sequence[Webhook] = ()
    keep: t.Sequence[Webhook] = ()
    dropped: t.Sequence[str] = ()


def run(
    client: Shopify,
    items: t.Sequence[Json],
    n8n_url: str,
    template: str,
    topics: t.Sequence[str],
    check_mode: bool,
    concurrency: int,
) -> list[Result]:
    """A result per item of the module."""
    recorded = {item["tenant"]: item.get("recorded") or {} for item in items}
    look = _looker(n8n_url, template, topics, recorded)
    return carry_out(client, goals_of(items), "webhooks", look, check_mode, concurrency)


def address_of(n8n_url: str, tenant: str, template: str = TEMPLATE) -> Address:
    """The tenant's address in n8n, as the workflow template says it."""
    prefix = f"{n8n_url.rstrip('/')}/webhook/{tenant}/"
    return Address(prefix, prefix + template)


def plan(goal: Goal, address: Address, topics: t.Iterable[str], webhooks: t.Iterable[Webhook], recorded: Json) -> Todo:
    """What the store needs. Pure. ``recorded``: the ids that an earlier run wrote down, by topic.

    There is one subscription per topic. Those whose address is not in the tenant's part of n8n are never touched.
    """
    ours: dict[str, list[Webhook]] = {}
    for each in webhooks:
        if each.uri.startswith(address.prefix):
            ours.setdefault(each.topic, []).append(each)
    if goal.state != PRESENT:
        return Todo(delete=[each for topic in sorted(ours) for each in ours[topic]])
    delete: list[Webhook] = []
    update: list[tuple[Webhook, Webhook]] = []
    create: list[Webhook] = []
    keep: list[Webhook] = []
    for topic in sorted(set(topics)):
        wish = Webhook(topic, address.uri)
        in_line: list[Webhook | None] = [*sorted(ours.pop(topic, []), key=_nearness(wish))]
        best, *spare = in_line or [None]
        delete += [each for each in spare if each is not None]
        if best is None:
            create.append(wish)
        elif best.content == wish.content:
            keep.append(best)
        else:
            update.append((best, replace(wish, id=best.id)))
    delete += [each for topic in sorted(ours) for each in ours[topic]]
    return Todo(delete, update, create, keep, [each.topic for each in create if recorded.get(each.topic)])


def _nearness(wish: Webhook) -> t.Callable[[Webhook], tuple[bool, bool, str]]:
    return lambda each: (each.content != wish.content, each.uri != wish.uri, each.id)


def _looker(n8n_url: str, template: str, topics: t.Sequence[str], recorded: t.Mapping[str, Json]) -> Look:
    def look(store: Store, goal: Goal) -> Seen:
        facts, webhooks = store.webhooks()
        address = address_of(n8n_url, goal.tenant, template)
        todo = plan(goal, address, topics, webhooks, recorded[goal.tenant])
        bare = not (todo.keep or todo.update or todo.delete or owned(goal, facts))
        note = told(facts) if goal.state == PRESENT else ""
        if todo.dropped:
            note += f"; {DROPPED.format(', '.join(todo.dropped))}"
        ids = {each.topic: each.id for each in [*todo.keep, *(now for _was, now in todo.update)]}
        return Seen(facts, _steps(goal, todo), goal.state == PRESENT and bare, ids, note)

    return look


def _steps(goal: Goal, todo: Todo) -> list[Step]:
    """Deletions come first: Shopify takes one subscription per topic and address."""
    rows = [Step(_change("delete", goal, each, None), _remover(each)) for each in todo.delete]
    rows += [Step(_change("update", goal, was, now), _updater(now)) for was, now in todo.update]
    for each in todo.create:
        change = _change("create", goal, None, each)
        if each.topic in todo.dropped:
            change = replace(change, before={"removed": "since the last run"})
        rows.append(Step(change, _maker(each)))
    return rows


def _remover(webhook: Webhook) -> t.Callable[[Store, Result], None]:
    return lambda store, _row: store.unsubscribe(webhook.id)


def _updater(webhook: Webhook) -> t.Callable[[Store, Result], None]:
    return lambda store, _row: store.resubscribe(webhook.id, webhook)


def _maker(webhook: Webhook) -> t.Callable[[Store, Result], None]:
    def close(store: Store, row: Result) -> None:
        row.ref[webhook.topic] = store.subscribe(webhook)

    return close


def _change(action: str, goal: Goal, was: Webhook | None, now: Webhook | None) -> Change:
    topic = (was or now or Webhook("", "")).topic
    before, after = (None if each is None else _shown(each) for each in (was, now))
    return Change(action, f"webhook {topic} of {goal.store}", before, after)


def _shown(webhook: Webhook) -> dict[str, t.Any]:
    shown: dict[str, t.Any] = {"uri": webhook.uri, "format": webhook.format}
    if webhook.filter:
        shown["filter"] = webhook.filter
    if webhook.fields:
        shown["fields"] = list(webhook.fields)
    return shown
