# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What a run leaves of the services, for the ledger: when it begins, when it is done, and when it fails half-way. Pure.

``data`` of a service is the version by component that its data were last written with. It is what a way back is judged by: a
new version that was tried and taken back may have migrated the data all the same.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

Records = dict[str, dict[str, t.Any]]
EMPTY: t.Mapping[str, t.Any] = {
    "config": "",
    "images": {},
    "secrets": [],
    "configs": [],
    "components": {},
    "release": "",
}


@dataclass(frozen=True)
class Wish:
    """What a run is to leave. Data of services may come out of a backup: they are ``restored``, or are ``to_restore`` yet."""

    before: t.Mapping[str, t.Mapping[str, t.Any]]
    after: t.Mapping[str, t.Mapping[str, t.Any]]
    visited: t.Sequence[str]
    """Services that are deployed, in their order."""
    restored: t.Sequence[str] = ()
    to_restore: t.Sequence[str] = ()


def begun(wish: Wish) -> Records:
    """While the run is under way, and for ever where it is cut off: nothing is known but that the data may be new."""
    return {**_plain(wish.before), **{name: _tried(name, wish) for name in [*wish.visited, *wish.restored]}}


def failed(wish: Wish, live: t.Mapping[str, t.Mapping[str, t.Any]]) -> Records:
    """After a failure: services before the one that failed are new, that one was tried, those after it are as they were."""
    records = _plain(wish.before)
    for name in wish.visited:
        now = live.get(name)
        if now is not None and now["config"] == wish.after[name]["config"] and now["state"] == "up":
            records[name] = dict(wish.after[name])
            continue
        records[name] = _tried(name, wish)
        if now is not None:
            records[name].update(config=now["config"], images=dict(now["images"]))
        break
    for name in wish.restored:  # whether it was come to or not
        records[name] = {**EMPTY, **records.get(name, {}), "data": wish.after[name].get("data", {})}
    return records


def _tried(name: str, wish: Wish) -> dict[str, t.Any]:
    before = {**EMPTY, **wish.before.get(name, {})}
    if name in wish.to_restore:  # what is older never starts on them before that
        return before
    return {**before, "data": wish.after[name].get("data", {})}


def _plain(records: t.Mapping[str, t.Mapping[str, t.Any]]) -> Records:
    return {name: dict(each) for name, each in records.items()}
