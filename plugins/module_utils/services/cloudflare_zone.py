# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Settings of a zone: what is wished against what the zone has, one setting at a time since no call gives all."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.smartercl.smarteros.plugins.module_utils import reconcile
from ansible_collections.smartercl.smarteros.plugins.module_utils.bulk import Change
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.cloudflare import Cloudflare, Setting
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.single import Outcome

NAME = "cloudflare"  # the service, as changes are told of it
# Cloudflare itself would change `ssl` while this is `auto`, so whoever wishes one decides it
SSL, SSL_MODE, BY_HAND = "ssl", "ssl_automatic_mode", "custom"
CONCURRENCY = 6


@dataclass
class Todo:
    """What a zone needs. ``locked`` are wishes that the zone's plan does not allow."""

    changes: list[Change] = field(default_factory=list)
    values: dict[str, t.Any] = field(default_factory=dict)  # by setting, in the order in which they are sent
    locked: list[str] = field(default_factory=list)


def read(client: Cloudflare, names: t.Iterable[str]) -> dict[str, Setting]:
    """These settings, asked for at the same time. Raises the first ApiError."""
    client.zone_id()  # once, before several ask for it
    answers = reconcile.run_all({name: _asking(client, name) for name in names}, CONCURRENCY)
    found: dict[str, Setting] = {}
    for name, answer in answers.items():
        if isinstance(answer, ApiError):
            raise answer
        found[name] = answer
    return found


def wishes(settings: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The wished settings, with what they need before them."""
    return {**({SSL_MODE: BY_HAND} if SSL in settings else {}), **settings}


def plan(wished: t.Mapping[str, t.Any], actual: t.Mapping[str, Setting]) -> Todo:
    """What differs, and what of it the zone's plan does not let anybody change. Pure."""
    todo = Todo()
    for name, value in wished.items():
        there = actual[name]
        if _same(name, there.value, value):
            continue
        if not there.editable:
            todo.locked.append(f"{name} stays {there.value}: the zone's plan does not let it be {value}")
            continue
        todo.values[name] = value
        todo.changes.append(Change("update", f"zone setting {name}", there.value, value))
    return todo


def apply(client: Cloudflare, todo: Todo, outcome: Outcome) -> None:
    """Change them one after the other; ``outcome`` tells how far it came. Raises ApiError."""
    for name, value in todo.values.items():
        client.set_setting(name, value)
        outcome.done += 1


def _asking(client: Cloudflare, name: str) -> t.Callable[[], Setting]:
    return lambda: client.setting(name)


def _same(name: str, actual: t.Any, wished: t.Any) -> bool:
    # `zrt` is `on` together with 0-RTT, which is a setting of its own
    return bool(actual == wished) or (name == "tls_1_3" and {actual, wished} == {"on", "zrt"})
