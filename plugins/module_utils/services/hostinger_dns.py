# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Records of a zone at Hostinger: what is wished against what is there, and how the difference is closed.

Hostinger's records have no room for a mark, so nothing tells ours from others' but the wish itself: a value that is
neither wished present nor wished absent belongs to somebody else and stays, unless its whole set is wished ``solo``.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.bulk import Change
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.hostinger_dns import (
    RecordSet,
    Zone,
    hosted,
    normal_name,
    normal_value,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.single import Outcome

ONE_VALUE = frozenset({"CNAME", "ALIAS"})  # types of which a name has one value only
ROUNDS = 3  # how often a set may turn out to be not as listed


@dataclass(frozen=True)
class Wish:
    """What is wished of one record set; ``solo``: its values are all that may be there."""

    name: str
    type: str
    values: tuple[str, ...]
    ttl: int | None = None
    present: bool = True
    solo: bool = False

    @property
    def key(self) -> str:
        """The natural key: type and name."""
        return f"{self.type} {self.name}"


@dataclass
class Todo:
    """What is to be written, by the way in which it can be written without loss."""

    append: list[RecordSet] = field(default_factory=list)
    overwrite: list[RecordSet] = field(default_factory=list)
    delete: list[RecordSet] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)


def wishes_of(items: t.Sequence[t.Mapping[str, t.Any]], domain: str) -> list[Wish]:
    """The wishes of a module's items. Raises ApiError where one name and type is wished twice."""
    found: dict[str, Wish] = {}
    for item in items:
        values = tuple(dict.fromkeys(normal_value(item["type"], value) for value in item["values"]))
        wish = Wish(
            normal_name(item["name"], domain),
            item["type"],
            values,
            item["ttl"],
            item["state"] == "present",
            item["solo"],
        )
        if wish.key in found:
            raise ApiError(f"{wish.key} is there twice: give all its values in one item")
        if wish.present and wish.type in ONE_VALUE and len(values) > 1:
            raise ApiError(f"{wish.key}: a name has only one {wish.type}")
        found[wish.key] = wish
    return list(found.values())


def mind_name_servers(domain: str, servers: t.Sequence[str], force: bool) -> str:
    """A warning, or an empty text; raises ApiError ``conflict`` where records in this zone would have no effect."""
    if hosted(servers):
        return ""
    whose = f"the account does not hold {domain}, so its name servers are unknown"
    if servers:
        whose = f"the name servers of {domain} are {', '.join(servers)}"
    if not force:
        raise ApiError(f"{whose}: records here would have no effect. Allow it with `force: true`", errors.CONFLICT)
    return f"{whose}: the records have no effect before Hostinger's name servers answer for the domain"


def plan(wishes: t.Sequence[Wish], actual: t.Mapping[str, RecordSet]) -> Todo:
    """Compare; pure. Raises ApiError ``conflict`` where a wish could only be fulfilled with the loss of a record."""
    todo = Todo()
    for wish in wishes:
        have = actual.get(wish.key)
        if wish.present:
            _present(todo, wish, have)
        elif have is not None:
            _absent(todo, wish, have)
    return todo


def apply(zone: Zone, wishes: t.Sequence[Wish], todo: Todo, outcome: Outcome) -> None:
    """Write it, look whether it is there, and write again what is still missing."""
    for _round in range(ROUNDS):
        try:
            _write(zone, todo)
        except ApiError as exc:
            if exc.kind != errors.UNANSWERED:
                raise
        left = plan(wishes, zone.sets())
        if not left.changes:
            outcome.done = len(outcome.changes)
            return
        todo = left
    what = ", ".join(change.what for change in todo.changes)
    raise ApiError(f"the zone is still not as wished: {what}", errors.UNANSWERED, where=zone.http.base_url)


def validate(zone: Zone, todo: Todo) -> None:
    """Let Hostinger judge all that would be written. Raises ApiError with what is wrong."""
    if todo.append:
        zone.validate(todo.append, overwrite=False)
    if todo.overwrite:
        zone.validate(todo.overwrite, overwrite=True)


def _write(zone: Zone, todo: Todo) -> None:
    if todo.delete:  # first: a CNAME takes no other record beside it
        zone.delete(todo.delete)
    if todo.overwrite:
        zone.overwrite(todo.overwrite)
    if todo.append:
        zone.append(todo.append)


def _present(todo: Todo, wish: Wish, have: RecordSet | None) -> None:
    if have is None:
        todo.append.append(RecordSet(wish.name, wish.type, wish.ttl, wish.values))
        todo.changes.append(Change("create", wish.key, None, _shown(wish.values, wish.ttl)))
        return
    foreign = tuple(value for value in have.values if value not in wish.values)
    if wish.type in ONE_VALUE and foreign and not wish.solo:
        raise ApiError(f"{wish.key} leads to {foreign[0]}; replace it with `solo: true`", errors.CONFLICT)
    switched_off = tuple(value for value in have.disabled if value in wish.values)
    kept = () if wish.solo else foreign
    ttl = wish.ttl if wish.ttl is not None else have.ttl
    after = RecordSet(wish.name, wish.type, ttl, (*kept, *wish.values))
    missing = tuple(value for value in wish.values if value not in have.values)
    twice = len(set(have.values)) != len(have.values)
    if not missing and ttl == have.ttl and not (wish.solo and (foreign or have.disabled)) and not twice:
        return
    lost = () if wish.solo else tuple(value for value in have.disabled if value not in switched_off)
    before = _shown((*have.values, *(f"{value} (switched off)" for value in have.disabled)), have.ttl)
    shown = _shown((*after.values, *(f"{value} (switched off)" for value in lost)), ttl)
    todo.changes.append(Change("update", wish.key, before, shown))
    if wish.solo or switched_off or twice or not missing:
        _mind_loss(wish, lost)
        todo.overwrite.append(after)
    else:  # so that nothing that came in between is lost
        todo.append.append(replace(after, values=missing))


def _absent(todo: Todo, wish: Wish, have: RecordSet) -> None:
    gone = tuple(value for value in (*have.values, *have.disabled) if wish.solo or value in wish.values)
    if not gone:
        return
    kept = tuple(value for value in have.values if value not in gone)
    lost = tuple(value for value in have.disabled if value not in gone)
    change = "update" if kept or lost else "delete"
    todo.changes.append(
        Change(change, wish.key, _shown(have.values, have.ttl), _shown(kept, have.ttl) if kept or lost else None)
    )
    _mind_loss(wish, lost)
    if kept:
        todo.overwrite.append(RecordSet(wish.name, wish.type, have.ttl, kept))
    else:
        todo.delete.append(have)


def _mind_loss(wish: Wish, lost: t.Sequence[str]) -> None:
    if lost:
        why = f"{wish.key} has a record that is switched off ({lost[0]}); it would be lost. Delete it or switch it on"
        raise ApiError(f"{why} by hand", errors.CONFLICT)


def _shown(values: t.Sequence[str], ttl: int | None) -> dict[str, t.Any]:
    return {"values": sorted(values), "ttl": ttl}
