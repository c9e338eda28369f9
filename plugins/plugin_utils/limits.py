# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""A plan's limits against what a tenant uses. Pure."""

from __future__ import annotations

import typing as t

Usage = t.Mapping[str, int]
Limits = t.Mapping[str, int | None]  # None is unlimited


def together(usages: t.Iterable[Usage]) -> dict[str, int]:
    """What a tenant uses, from what each service says: people who log in to two services are the same people."""
    most: dict[str, int] = {}
    for usage in usages:
        for limit, count in usage.items():
            most[limit] = max(most.get(limit, 0), int(count))
    return most


def narrowed(before: Limits, after: Limits) -> list[str]:
    """The limits that a change makes narrower."""
    return [name for name in after if _bound(after[name]) < _bound(before.get(name))]


def exceeded(usage: Usage, limits: Limits) -> dict[str, tuple[int, int]]:
    """By limit: (in use, allowed), where more is in use than allowed."""
    found = {}
    for name, count in usage.items():
        allowed = limits.get(name)
        if allowed is not None and count > allowed:
            found[name] = (count, allowed)
    return found


def _bound(limit: int | None) -> float:
    return float("inf") if limit is None else limit
