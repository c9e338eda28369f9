# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Metafields of tenants on their shops: whose store it is, in the store itself."""

from __future__ import annotations

import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.bulk import Change, Result
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.shopify import (
    NAMESPACE,
    Facts,
    Metafield,
    Shopify,
    Store,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.services.shopify import (
    PRESENT,
    Goal,
    Json,
    Look,
    Seen,
    Step,
    carry_out,
    goals_of,
    judge,
    owned,
)

TYPE = "single_line_text_field"
OWNER_KEY = "rut"
ROUNDS = 3  # how often we look again when somebody else wrote meanwhile


def run(client: Shopify, items: t.Sequence[Json], check_mode: bool, concurrency: int) -> list[t.Any]:
    """A result per item of the module."""
    wished = {item["tenant"]: wish_of(item) for item in items}
    return carry_out(client, goals_of(items), "metafields", _looker(wished), check_mode, concurrency)


def wish_of(item: Json) -> dict[str, str]:
    """The metafields of an item, by key: the tenant's RUT, and what else is given and not empty."""
    more = {str(key): str(value) for key, value in (item.get("metafields") or {}).items() if value not in (None, "")}
    return {**more, OWNER_KEY: item["tenant"]}


def plan(goal: Goal, wish: t.Mapping[str, str], facts: Facts) -> list[Change]:
    """What differs. Pure. Keys of our namespace that nobody wishes stay: they were not made here."""
    if goal.state == PRESENT:
        found = ((key, facts.metafields.get(key)) for key in sorted(wish))
        return [_change(goal, key, was, wish[key]) for key, was in found if was is None or not _same(was, wish[key])]
    if goal.state == "absent" and _ours(goal, facts):
        return [_change(goal, key, facts.metafields[key], None) for key in sorted(wish) if key in facts.metafields]
    return []


def _looker(wished: t.Mapping[str, t.Mapping[str, str]]) -> Look:
    def look(store: Store, goal: Goal) -> Seen:
        facts, wish = store.facts(), wished[goal.tenant]
        changes = plan(goal, wish, facts)
        # One call closes all of them: it comes with the last one, so that none is told before it has happened
        steps = [Step(change, _nothing) for change in changes]
        if steps:
            steps = [Step(changes[0], _closer(goal, wish, facts)), *steps[1:]]
        return Seen(facts, steps, fresh=goal.state == PRESENT and not _ours(goal, facts))

    return look


def _closer(goal: Goal, wish: t.Mapping[str, str], facts: Facts) -> t.Callable[[Store, Result], None]:
    def close(store: Store, _row: Result) -> None:
        if goal.state != PRESENT:
            store.delete_metafields(facts.id, [key for key in sorted(wish) if key in facts.metafields])
            return
        _set(store, goal, wish, facts)

    return close


def _set(store: Store, goal: Goal, wish: t.Mapping[str, str], facts: Facts) -> None:
    """Set what differs, but only over what was read: two runs can not both take a free store."""
    for attempt in range(ROUNDS):
        keys = [change_key for change_key in sorted(wish) if not _is_set(facts, change_key, wish[change_key])]
        if not keys:
            return
        rows = [_row(facts, key, wish[key]) for key in keys]
        try:
            store.set_metafields(rows)
            return
        except ApiError as exc:
            if exc.kind != errors.CONFLICT or attempt + 1 == ROUNDS:
                raise
        facts = store.facts()  # an answer may have been lost, or somebody was faster
        judge(goal, facts)


def _row(facts: Facts, key: str, value: str) -> dict[str, t.Any]:
    was = facts.metafields.get(key)
    # None says: only while there is none
    digest = was.digest if was is not None and was.digest else None
    return {"ownerId": facts.id, "key": key, "type": TYPE, "value": value, "compareDigest": digest}


def _ours(goal: Goal, facts: Facts) -> bool:
    """Whether the metafields are the tenant's; without the RUT (removed by hand) its slug tells."""
    slug = facts.metafields.get("slug")
    return owned(goal, facts) or (
        OWNER_KEY not in facts.metafields and slug is not None and bool(goal.slug) and slug.value == goal.slug
    )


def _is_set(facts: Facts, key: str, value: str) -> bool:
    was = facts.metafields.get(key)
    return was is not None and _same(was, value)


def _same(was: Metafield, value: str) -> bool:
    return (was.value, was.type) == (value, TYPE)


def _change(goal: Goal, key: str, was: Metafield | None, value: str | None) -> Change:
    action = "create" if was is None else "delete" if value is None else "update"
    before = None if was is None else {"value": was.value, "type": was.type}
    after = None if value is None else {"value": value, "type": TYPE}
    return Change(action, f"metafield {NAMESPACE}.{key} of {goal.store}", before, after)


def _nothing(_store: Store, _row: Result) -> None:
    """Closed by the call of an earlier step."""
