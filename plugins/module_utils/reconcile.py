# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Desired against actual: a pure plan, and an executor that carries out many pieces of work at once."""

from __future__ import annotations

import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError

Item = t.TypeVar("Item")
Result = t.TypeVar("Result")


@dataclass(frozen=True)
class Plan(t.Generic[Item]):
    """What brings the actual state to the desired one; every mapping goes by natural key.

    ``update`` gives (before, after). ``conflict`` holds what stands in the way and is not ours to change.
    """

    create: t.Mapping[str, Item] = field(default_factory=dict)
    update: t.Mapping[str, tuple[Item, Item]] = field(default_factory=dict)
    delete: t.Mapping[str, Item] = field(default_factory=dict)
    keep: t.Mapping[str, Item] = field(default_factory=dict)
    conflict: t.Mapping[str, Item] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        """Whether carrying it out changes anything."""
        return bool(self.create or self.update or self.delete)


def plan(
    desired: t.Mapping[str, Item],
    actual: t.Mapping[str, Item],
    same: t.Callable[[Item, Item], bool] | None = None,
    ours: t.Callable[[Item], bool] | None = None,
    purge: bool = False,
) -> Plan[Item]:
    """Compare by natural key, never by id or position.

    ``same(actual, desired)`` decides equality (default ``==``); ``ours(item)`` says whether we may change or
    delete an existing item (default: yes); ``purge`` deletes what is ours and not desired.
    """
    result: Plan[Item] = Plan({}, {}, {}, {}, {})
    for key, wish in desired.items():
        if key not in actual:
            _put(result.create, key, wish)
        elif ours is not None and not ours(actual[key]):
            _put(result.conflict, key, actual[key])
        elif same(actual[key], wish) if same is not None else actual[key] == wish:
            _put(result.keep, key, actual[key])
        else:
            _put(result.update, key, (actual[key], wish))
    if purge:
        for key, item in actual.items():
            if key not in desired and (ours is None or ours(item)):
                _put(result.delete, key, item)
    return result


def run_all(work: t.Mapping[str, t.Callable[[], Result]], concurrency: int) -> dict[str, Result | ApiError]:
    """Carry out the work of every key, at most ``concurrency`` at once; an ApiError fails its own key only."""
    if not work:
        return {}

    def one(job: t.Callable[[], Result]) -> Result | ApiError:
        try:
            return job()
        except ApiError as exc:
            return exc

    if concurrency <= 1 or len(work) == 1:
        return {key: one(job) for key, job in work.items()}
    with ThreadPoolExecutor(max_workers=min(concurrency, len(work))) as pool:
        return dict(zip(work, pool.map(one, work.values())))


def _put(mapping: t.Mapping[str, t.Any], key: str, value: t.Any) -> None:
    t.cast("dict[str, t.Any]", mapping)[key] = value
