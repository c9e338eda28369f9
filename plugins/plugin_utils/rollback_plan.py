# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What a rollback does: which services go back, which of them need the data of a backup, of which one, and what that costs.

Pure functions over the machine's ledger, the backups that there are and the hazards of upgrades. Data are judged by the version
that last wrote them, which may be newer than what runs: a version that was tried and taken back may have migrated them.
"""

from __future__ import annotations

import calendar
import difflib
import time
import typing as t
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.smartercl.smarteros.plugins.module_utils import ledger
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.releases import Crossing, number

PREVIOUS = "previous"
HOUR_S = 3600.0
EMPTY: Mapping[str, t.Any] = {"config": "", "images": {}, "secrets": [], "configs": [], "components": {}, "data": {}}

Row = dict[str, str]
Json = dict[str, t.Any]
Records = Mapping[str, Mapping[str, t.Any]]
Crossed = Callable[[Mapping[str, str], Mapping[str, str]], Sequence[Crossing]]
"""From the versions of data and those that are wanted: what lies between them."""
VersionsOf = Callable[[str], Mapping[str, Mapping[str, str]]]
"""Versions by component by service of a release; empty where nobody knows it any more."""


class UnknownTarget(Exception):
    """There is no such release to go back to; the message names those that there are, and the nearest."""


# --- what the ledger says of the services


def records(services: Records, release: str, versions: VersionsOf) -> dict[str, Json]:
    """The ledger's records, whole: older entries do not say of which versions a service is, its release does."""
    found = {}
    for name, each in services.items():
        mine = {**EMPTY, "release": release, **each}
        if not mine["components"]:
            known = versions(str(mine["release"])).get(name, {})
            mine["components"] = {component: {"version": version, "image": ""} for component, version in known.items()}
        mine["data"] = dict(mine["data"]) or versions_of(mine)
        found[name] = mine
    return found


def versions_of(record: Mapping[str, t.Any]) -> dict[str, str]:
    """The version of each component of a record."""
    return {component: str(each["version"]) for component, each in record["components"].items()}


def written(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """The versions of data once these components have run on them: data do not become older by themselves."""
    return {**before, **{name: max(before.get(name, each), each, key=number) for name, each in now.items()}}


def settled(
    before: Records, wanted: Records, visited: t.Container[str], restored: t.Container[str] = ()
) -> dict[str, Json]:
    """The ledger's records if all goes well. ``wanted`` are those of the services that the run is about, without data."""
    after = {name: dict(each) for name, each in before.items()}
    for name, each in wanted.items():
        old = before.get(name, EMPTY)["data"]
        if name in restored:
            data = versions_of(each)
        elif name in visited or not old:
            data = written(old, versions_of(each))
        else:
            data = dict(old)
        after[name] = {**each, "data": data}
    return after


# --- where to


def target(entries: Sequence[ledger.Entry], version: str) -> ledger.Entry:
    """The entry by which this release (or ``previous``) was deployed here. Raises UnknownTarget."""
    wanted = version.removeprefix("v")
    found = ledger.previous(entries) if wanted == PREVIOUS else ledger.deployed(entries, wanted)
    if found is not None:
        return found
    known = list(dict.fromkeys(entry["release"] for entry in reversed(entries) if ledger.is_done(entry)))
    if not known:
        raise UnknownTarget("nothing was deployed on this machine yet")
    if wanted == PREVIOUS:
        raise UnknownTarget(f"no other release that is not bad was deployed on this machine; known: {', '.join(known)}")
    alike = difflib.get_close_matches(wanted, known, n=1)
    near = alike[0] if alike else known[0]
    raise UnknownTarget(
        f"release {wanted} was never deployed on this machine; known: {', '.join(known)}; did you mean {near}?"
    )


def forbidden(
    entries: Sequence[ledger.Entry], release: str, named: bool, acknowledged: t.Container[str], restoring: str = ""
) -> list[Row]:
    """Why a deploy must not go to this release: it was rolled back from, or a rollback or restore is not finished."""
    if named and release in acknowledged:
        return []
    command = f"smos deploy backend --release {release} --acknowledge {release}"
    mark, half = ledger.bad(entries).get(release), ledger.unfinished(entries)
    found = []
    if mark is not None:
        why = f"it was rolled back from at {mark.get('at')} by {mark.get('who') or 'somebody'} (run {mark.get('run')})"
        following = f"Describe a new release in specs/smos-version.yml; if this one is good after all: {command}"
        found.append(row(f"release {release}", why, "the machine's ledger", following))
    if half is not None:
        data = " --with-data" if half.get("restore") else ""
        why = f"the rollback to {half['release']} of {half['at']} (run {half['run']}) did not come to its end"
        following = f"`smos rollback {half['release']}{data}` goes on with it; to leave it as it is: {command}"
        found.append(row("the machine", why, "the machine's ledger", following))
    elif restoring:
        found.append(row("the machine", restoring, "data", f"Run that first; to leave them as they are: {command}"))
    return found


# --- which data


def began(backup: str) -> float:
    """When a backup began, in seconds since 1970; its id is UTC."""
    try:
        return float(calendar.timegm(time.strptime(backup, "%Y%m%d-%H%M%S")))
    except ValueError:
        return -1.0


def fitting(
    entries: Sequence[ledger.Entry],
    backups: Sequence[Mapping[str, t.Any]],
    service: str,
    wanted: Mapping[str, str],
    crossed: Crossed,
    versions: VersionsOf,
) -> list[str]:
    """Backups that hold data of a service as these versions leave them, newest first.

    What an entry says of the data holds from its time to that of the next: between them no run was at work, and a backup that a run makes
    is made before it changes anything.
    """
    spans = []
    for place, entry in enumerate(entries):
        own = records(entry.get("services") or {}, entry["release"], versions).get(service)
        apart = own is None or not own["data"] or crossed(own["data"], wanted) or crossed(wanted, own["data"])
        if not apart:
            ends = _at(entries[place + 1]) if place + 1 < len(entries) else float("inf")
            spans.append((_at(entry), ends))
    ids = [str(each["id"]) for each in backups if _holds(each, service)]
    good = [each for each in ids if any(start <= began(each) < end for start, end in spans)]
    return sorted(good, reverse=True)


def _at(entry: ledger.Entry) -> float:
    try:
        return float(calendar.timegm(time.strptime(str(entry.get("at", "")), "%Y-%m-%dT%H:%M:%SZ")))
    except ValueError:
        return float("inf")


def _holds(backup: Mapping[str, t.Any], service: str) -> bool:
    """Whether a backup has the whole of a service. One that is partial need not tell which services failed."""
    services = backup.get("services") or ()
    if service not in services:
        return False
    own = services[service] if isinstance(services, Mapping) else None
    if isinstance(own, Mapping):
        return not own.get("error") and str(own.get("state", "complete")) == "complete"
    return str(backup.get("state", "complete")) == "complete"


@dataclass(frozen=True)
class Data:
    """Data that come, or may come, out of a backup. ``needed``: the older version does not read those that are there."""

    service: str
    crossings: tuple[Crossing, ...]
    needed: bool
    backup: str = ""


def data_of(
    before: Mapping[str, Json],
    wanted: Records,
    visited: t.Container[str],
    find: Callable[[str, Mapping[str, str]], Sequence[str]],
    crossed: Crossed,
) -> list[Data]:
    """The services whose data lie on the other side of a one-way migration, each with the newest backup that fits.

    On the way up data are not needed, but what was written there before may be had back. One backup for all goes before
    the newest of each: then they are of the same moment.
    """
    found: list[tuple[Data, Sequence[str]]] = []
    for name, each in wanted.items():
        there, versions = before.get(name, EMPTY)["data"], versions_of(each)
        down, up = tuple(crossed(there, versions)), tuple(crossed(versions, there))
        if down or (up and name in visited):
            found.append((Data(name, down or up, bool(down) and name in visited), find(name, versions)))
    common = set.intersection(*(set(ids) for _data, ids in found)) if found else set()
    shared = max(common, default="")
    return [Data(data.service, data.crossings, data.needed, shared or next(iter(ids), "")) for data, ids in found]


def groups(data: Sequence[Data]) -> list[Json]:
    """What is restored: the services of each backup, the oldest backup first."""
    backups = sorted({each.backup for each in data if each.backup})
    return [{"backup": one, "services": [each.service for each in data if each.backup == one]} for one in backups]


# --- the whole


@dataclass(frozen=True)
class Plan:
    """What a rollback does. ``visited`` are in the order in which they go back, ``restore`` groups of services by backup."""

    release: str
    previous: str
    visited: tuple[str, ...]
    data: tuple[Data, ...]
    restore: tuple[Json, ...]
    refused: tuple[Row, ...]


def plan(
    release: str,
    previous: str,
    order: Sequence[str],
    data: Sequence[Data],
    with_data: bool,
    now: float,
    restoring: str = "",
) -> Plan:
    """``order`` are the services that are not as wanted, in the order of a deploy: back they go the other way round.
    ``restoring``: which restore is half done, in words.

    A service whose data are restored goes with them even where its containers are as wanted: they rest meanwhile.
    """
    taken = [each for each in data if each.backup] if with_data else []
    names = [*order, *(each.service for each in taken if each.service not in order)]
    refused = [error for each in data if each.needed for error in _refusal(each, release, with_data, now)]
    if restoring and not taken and not refused:  # else that restore is gone on with, or refused by itself
        refused.append(row("the machine", restoring, "data", "Run that first, or this with --with-data"))
    return Plan(release, previous, tuple(reversed(names)), tuple(data), tuple(groups(taken)), tuple(refused))


def _refusal(data: Data, release: str, with_data: bool, now: float) -> t.Iterator[Row]:
    for each in data.crossings:
        way = f"{each.there} → {each.wanted}"
        if each.by_hand:
            why = f"no command can take its data back from {each.there}"
            yield row(data.service, why, f"{each.component} {way}", each.steps)
            return
    first = data.crossings[0]
    why = f"its data were written by {first.component} {first.there}, and {first.wanted} does not read them"
    where = f"{first.component} {first.there} → {first.wanted}"
    if not data.backup:
        why += ", and there is no backup of them from before"
        yield row(data.service, why, where, "Repair the newer release instead, and deploy that; see docs/rollback.md")
    elif not with_data:
        following = f"smos rollback {release} --with-data: {in_words(data, now)}"
        yield row(data.service, why, where, following)


def in_words(data: Data, now: float) -> str:
    """What a restore means for a person."""
    at = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(began(data.backup)))
    return f"{data.service} gets the data of backup {data.backup} ({at}); what was written since ({lost(data, now)}) is lost to it"


def lost(data: Data, now: float) -> str:
    """How much time of work a restore loses."""
    hours = max(0.0, now - began(data.backup)) / HOUR_S
    return f"{hours * 60:.0f} min" if hours < 1 else f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} days"


def rows(made: Plan, changes: Sequence[Mapping[str, t.Any]], now: float) -> list[Json]:
    """The changes of the contract, in the order in which they come: first the data, then the services."""
    place = {name: number for number, name in enumerate(made.visited)}
    taken = {name: group["backup"] for group in made.restore for name in group["services"]}
    data = [
        {
            "service": each.service,
            "tenant": None,
            "action": "update",
            "what": f"data (loses {lost(each, now)})",
            "before": "as they are",
            "after": f"backup {taken[each.service]}",
        }
        for each in made.data
        if each.service in taken
    ]
    return [*data, *sorted((dict(each) for each in changes), key=lambda each: place.get(each["service"], len(place)))]


def told(made: Plan, now: float) -> Json:
    """The plan as a result: what the command line shows before it asks."""
    taken = {name for group in made.restore for name in group["services"]}
    return {
        "release": made.release,
        "previous": made.previous,
        "services": list(made.visited),
        "data": [
            {
                "service": each.service,
                "needed": each.needed,
                "restored": each.service in taken,
                "backup": each.backup,
                "lost": lost(each, now) if each.backup else "",
                "versions": [f"{one.component} {one.there} → {one.wanted}" for one in each.crossings],
            }
            for each in made.data
        ],
        "restore": list(made.restore),
    }
