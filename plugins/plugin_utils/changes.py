# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What a request does to the spec of a registered tenant: update it, or move it along its life. Pure."""

from __future__ import annotations

import copy
import typing as t
from datetime import UTC, datetime, timedelta

from ansible_collections.smartercl.smarteros.plugins.module_utils.lifecycle import ACTIVE, DELETED, PURGED, SUSPENDED

JOBS = ("update", "suspend", "resume", "delete", "restore", "purge")
Spec = dict[str, t.Any]

_LEADS_TO = {"suspend": SUSPENDED, "resume": ACTIVE, "delete": DELETED, "restore": ACTIVE, "purge": PURGED}
_FROM: t.Mapping[str, frozenset[str]] = {
    "update": frozenset({ACTIVE, SUSPENDED}),
    "suspend": frozenset({ACTIVE, SUSPENDED}),
    "resume": frozenset({ACTIVE, SUSPENDED}),
    "delete": frozenset({ACTIVE, SUSPENDED, DELETED}),
    "restore": frozenset({DELETED, ACTIVE}),
    "purge": frozenset({ACTIVE, SUSPENDED, DELETED, PURGED}),
}
"""From where in its life a tenant may take each step; what is reached already is no mistake."""
_WAY_OUT = {DELETED: "Bring it back with `smos tenant restore` first", PURGED: "It is gone for good"}


def must_be_confirmed(job: str, policy: t.Mapping[str, t.Any]) -> bool:
    """Whether a step needs the tenant's slug once more: a purge always, a deletion where the environment's policy asks."""
    return job == "purge" or (job == "delete" and bool(policy.get("confirm", True)))


class NotPossible(Exception):
    """The step cannot be taken from where the tenant is; ``why`` and ``following`` say so."""

    def __init__(self, why: str, following: str) -> None:
        super().__init__(why)
        self.why = why
        self.following = following


def changed(
    spec: t.Mapping[str, t.Any], job: str, wish: t.Mapping[str, t.Any], env: str, now: str, restorable_days: int
) -> Spec:
    """The spec after a step of :data:`JOBS`; equal to the old one when there is nothing to change.

    ``wish`` holds the fields of an update (see :func:`updated`) or the ``reason`` of a suspension; ``now`` is ISO 8601
    in UTC. Raises NotPossible.
    """
    lifecycle = (spec.get("lifecycle") or {}).get(env) or {}
    state = lifecycle.get("state", ACTIVE)
    if state not in _FROM[job]:
        raise NotPossible(f"it is {state} since {lifecycle['since']}", _WAY_OUT.get(state, ""))
    if job == "update":
        return updated(spec, wish)
    if job == "restore" and state == DELETED:
        _refuse_late(lifecycle["since"], now, restorable_days)
    if state == _LEADS_TO[job]:
        return copy.deepcopy(dict(spec))
    return _moved(spec, env, _LEADS_TO[job], now, str(wish.get("reason") or ""))


def updated(spec: t.Mapping[str, t.Any], wish: t.Mapping[str, t.Any]) -> Spec:
    """The spec with other values: ``name, plan, template, email, owner_name, phone, custom_domain, shopify_store``
    (an empty text takes an optional one away), and lists of services ``with`` and ``without``."""
    result = copy.deepcopy(dict(spec))
    for key in ("name", "plan"):
        if wish.get(key):
            result[key] = wish[key]
    for key in ("template", "custom_domain"):
        if key in wish:
            _put(result, key, wish[key])
    _put_inside(result, "owner", {"email": "email", "owner_name": "name", "phone": "phone"}, wish)
    _put_inside(result, "shopify", {"shopify_store": "store"}, wish)
    services = dict(result.get("services") or {})
    for key, enabled in (("with", True), ("without", False)):
        services.update({name: {"enabled": enabled} for name in wish.get(key) or ()})
    _put(result, "services", services)
    return result


def is_due(spec: t.Mapping[str, t.Any], env: str, now: str, purge_days: int) -> bool:
    """Whether the data of a deleted tenant have been kept as long as they must be."""
    lifecycle = (spec.get("lifecycle") or {}).get(env) or {}
    if lifecycle.get("state") == PURGED:
        return True
    return lifecycle.get("state") == DELETED and _age(lifecycle["since"], now) >= timedelta(days=purge_days)


def overlaid(live: t.Any, wanted: t.Mapping[str, t.Any]) -> None:
    """Make a mapping that keeps comments and order equal to ``wanted``, touching only what differs."""
    for key in [key for key in live if key not in wanted]:
        del live[key]
    for key, value in wanted.items():
        if isinstance(value, dict) and isinstance(live.get(key), dict):
            overlaid(live[key], value)
        elif key not in live or live[key] != value:
            live[key] = value


def _refuse_late(since: str, now: str, days: int) -> None:
    if _age(since, now) > timedelta(days=days):
        raise NotPossible(
            f"it was deleted at {since}, and a tenant can be brought back for {days} days",
            "Import it from the archive of its export with `smos tenant import`",
        )


def _moved(spec: t.Mapping[str, t.Any], env: str, state: str, now: str, reason: str) -> Spec:
    result = copy.deepcopy(dict(spec))
    lifecycle = dict(result.get("lifecycle") or {})
    lifecycle.pop(env, None)
    if state != ACTIVE:
        lifecycle[env] = {"state": state, "since": now, **({"reason": reason} if reason else {})}
    _put(result, "lifecycle", lifecycle)
    return result


def _put(mapping: Spec, key: str, value: t.Any) -> None:
    if value:
        mapping[key] = value
    else:
        mapping.pop(key, None)


def _put_inside(spec: Spec, part: str, names: t.Mapping[str, str], wish: t.Mapping[str, t.Any]) -> None:
    inner = dict(spec.get(part) or {})
    for field, key in names.items():
        if field in wish:
            _put(inner, key, wish[field])
    _put(spec, part, inner)


def _age(since: str, now: str) -> timedelta:
    return _moment(now) - _moment(since)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
