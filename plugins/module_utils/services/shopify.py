# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What webhooks and metafields of stores have in common: goals, whose a store is, and a job per store."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors, reconcile
from ansible_collections.smartercl.smarteros.plugins.module_utils.bulk import (
    ABSENT,
    FAILED,
    REACHED,
    Change,
    Result,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.shopify import Facts, Shopify, Store, taken
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.shopify_access import checked_store
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError

PRESENT = "present"

Json = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class Goal:
    """What shall become of a tenant's store; ``state`` is present, suspended, absent or disabled.

    ``message`` says why it is disabled, ``rival`` names a tenant of the same call that asks for the same store,
    ``former`` is a store that was the tenant's until now: what is ours there goes away.
    """

    tenant: str
    state: str
    store: str
    slug: str = ""
    message: str = ""
    rival: str = ""
    former: str = ""


@dataclass(frozen=True)
class Step:
    """One difference of a store, and the call that closes it."""

    change: Change
    close: t.Callable[[Store, Result], None]


@dataclass(frozen=True)
class Seen:
    """A store as a job found it, and what is to be done. ``fresh``: the tenant had nothing of ours there.

    ``ref`` are ids that are known without writing; ``note`` is told to people.
    """

    facts: Facts
    steps: t.Sequence[Step]
    fresh: bool = False
    ref: t.Mapping[str, str] = field(default_factory=dict)
    note: str = ""


Look = t.Callable[[Store, Goal], Seen]


def goals_of(items: t.Iterable[Json]) -> list[Goal]:
    """The module's items as goals; those that ask for one store know of each other."""
    wanted: dict[str, list[str]] = {}
    rows = [(item, str(item.get("store") or "")) for item in items]
    for item, store in rows:
        if store and item["state"] == PRESENT:
            wanted.setdefault(store, []).append(item["tenant"])
    return [
        Goal(
            item["tenant"],
            item["state"],
            store,
            str(item.get("slug") or ""),
            str(item.get("reason") or ""),
            next((other for other in wanted.get(store, ()) if other != item["tenant"]), ""),
            str(item.get("former") or ""),
        )
        for item, store in rows
    ]


def carry_out(
    client: Shopify, goals: t.Sequence[Goal], what: str, look: Look, check_mode: bool, concurrency: int
) -> list[Result]:
    """A result per goal, store beside store; in check mode they foretell, and nothing is written."""
    work = {goal.tenant: _job(client, goal, what, look, check_mode) for goal in goals}
    rows: list[Result] = []
    for goal, answer in zip(goals, reconcile.run_all(work, concurrency).values()):
        if isinstance(answer, ApiError):  # the store could not be opened at all
            row = Result(goal.tenant)
            row.fail(what, answer)
            answer = row
        rows.append(answer)
    return rows


def owned(goal: Goal, facts: Facts) -> bool:
    """Whether the store says itself that it is the tenant's."""
    mark = facts.metafields.get("rut")
    return mark is not None and mark.value == goal.tenant


def judge(goal: Goal, facts: Facts) -> None:
    """Raise ApiError ``conflict`` when a store that a tenant shall have is another one's."""
    if goal.state != PRESENT or owned(goal, facts):
        return
    why = taken(facts, goal.tenant, goal.store)
    if not why and goal.rival:
        why = f"the store {goal.store} is asked for by tenant {goal.rival} as well"
    if why:
        raise ApiError(why, errors.CONFLICT)


def _job(client: Shopify, goal: Goal, what: str, look: Look, check_mode: bool) -> t.Callable[[], Result]:
    def close(store: Store, seen: Seen, row: Result) -> None:
        for step in seen.steps:
            if not check_mode:
                step.close(store, row)
            row.changes.append(step.change)
            row.created = row.created or (seen.fresh and step.change.action == "create")

    def at(store: Store) -> Result:
        row = Result(goal.tenant, REACHED[goal.state])
        try:
            seen = look(store, goal)
            judge(goal, seen.facts)
            _describe(row, goal, seen)
            close(store, seen, row)
        except ApiError as exc:
            row.fail(f"{what} of {goal.store}", exc)
        return row

    def leave(store: Store) -> Result:
        row = Result(goal.tenant, ABSENT)
        close(store, look(store, replace(goal, state="absent", store=goal.former)), row)
        return row

    def job() -> Result:
        left = _left(client, goal, what, leave)
        if left.state == FAILED:
            return left
        if not goal.store or goal.state == "disabled":
            row = Result(goal.tenant, REACHED[goal.state], message=goal.message)
        else:
            row = client.with_store(checked_store(goal.store), goal.slug, at)
        row.changes = [*left.changes, *row.changes]
        row.message = "; ".join(part for part in (row.message, left.message) if part)
        return row

    return job


def _left(client: Shopify, goal: Goal, what: str, leave: t.Callable[[Store], Result]) -> Result:
    """What became of the store that the tenant leaves; one that lets us in no more is told, and no failure."""
    row = Result(goal.tenant, ABSENT)
    if not goal.former or goal.former == goal.store:
        return row
    try:
        return client.with_store(goal.former, goal.slug, leave)
    except ApiError as exc:
        if exc.kind in (errors.REFUSED, errors.MISSING, errors.INVALID):
            row.message = f"what is ours in the former store {goal.former} may still be there: {exc.message}"
        else:
            row.fail(f"{what} of {goal.former}", exc)
    return row


def _describe(row: Result, goal: Goal, seen: Seen) -> None:
    """The store's facts, where the tenant has something there, and what a person should know."""
    row.message = seen.note
    if goal.state == "absent":
        return
    facts = seen.facts
    row.ref = {
        "store": goal.store,
        "shop": facts.id,
        "name": facts.name,
        "domain": facts.domain,
        "plan": facts.plan,
        "currency": facts.currency,
        **seen.ref,
    }
    if goal.state == PRESENT:
        row.url = f"https://{facts.domain}"


def told(facts: Facts) -> str:
    """The store's facts in words."""
    return f"{facts.name}, plan {facts.plan}, {facts.currency}"
