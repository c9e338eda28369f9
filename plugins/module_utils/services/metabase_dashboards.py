# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Dashboards as specs say them (one YAML file each), what a tenant has of them, and what is to be done. Pure but for reading files."""

from __future__ import annotations

import hashlib
import json
import os
import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.smartercl.smarteros.plugins.module_utils import bulk, errors, owner
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.metabase import Card, Dashboard, Place
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import metabase_sql

YAML_IMPORT_ERROR: ImportError | None = None
try:
    import yaml
except ImportError as exc:  # the module tells it with missing_required_lib
    YAML_IMPORT_ERROR = exc

GRID = 24  # cells of a row
DISPLAYS = frozenset({"scalar", "table", "bar", "row", "line", "area", "pie", "progress"})
TENANT, SYSTEM = "tenant", "system"
"""Whom a dashboard is for: every tenant has it, or the founder alone."""
_DASHBOARD_KEYS = frozenset({"name", "description", "for", "cards"})
_CARD_KEYS = frozenset({"name", "display", "sql", "place", "settings"})
_PLACE_KEYS = frozenset({"row", "col", "width", "height"})


class _Wrong(Exception):
    """A rule that a file breaks, in words."""


@dataclass(frozen=True)
class CardSpec:
    """A question in native SQL, how it is shown, and where it stands (in cells of the grid)."""

    name: str
    display: str
    sql: str
    settings: t.Mapping[str, t.Any]
    row: int
    col: int
    width: int
    height: int


@dataclass(frozen=True)
class DashboardSpec:
    """A dashboard. ``file`` is the name of its file, without the ending."""

    name: str
    description: str
    cards: tuple[CardSpec, ...]
    audience: str = TENANT
    file: str = ""

    @property
    def fingerprint(self) -> str:
        """Twelve characters that change with anything in the dashboard."""
        return _sum([self.name, self.description, [_as_list(card) for card in self.cards]])


@dataclass(frozen=True)
class Content:
    """What a tenant's collection holds: questions and dashboards, and the layouts that were looked at, by dashboard."""

    cards: t.Sequence[Card] = ()
    dashboards: t.Sequence[Dashboard] = ()
    places: t.Mapping[int, t.Sequence[Place]] = field(default_factory=dict)


@dataclass(frozen=True)
class Work:
    """What is to be done for one dashboard of a tenant: ``found`` is None for a new one.

    ``cards`` are the ids of the questions by name, 0 for those to be made; ``rewrite`` those whose content differs.
    """

    spec: DashboardSpec
    found: Dashboard | None
    cards: t.Mapping[str, int]
    rewrite: frozenset[str]
    change: bulk.Change


@dataclass(frozen=True)
class Plan:
    """What is to be done for a tenant's dashboards, and what of ours is no longer wanted."""

    works: tuple[Work, ...] = ()
    spare_cards: tuple[Card, ...] = ()
    spare_dashboards: tuple[Dashboard, ...] = ()
    changes: tuple[bulk.Change, ...] = ()
    in_the_way: str = ""


# --- reading the specs


def load(folder: str) -> tuple[DashboardSpec, ...]:
    """The dashboards of a folder, by file name. Raises ApiError that names the file for whatever is wrong with one."""
    if YAML_IMPORT_ERROR is not None:
        raise ApiError("dashboards are YAML files: the Python package PyYAML is needed", errors.INVALID, where=folder)
    try:
        files = sorted(name for name in os.listdir(folder) if name.endswith(".yml"))
    except OSError as exc:
        raise ApiError(f"cannot read the folder: {exc.strerror}", errors.INVALID, where=folder) from None
    specs = tuple(_load(folder, name) for name in files)
    names = [card.name for spec in specs for card in spec.cards] + [spec.name for spec in specs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ApiError(f"names must differ, those are there twice: {', '.join(twice)}", errors.INVALID, where=folder)
    return specs


def _load(folder: str, name: str) -> DashboardSpec:
    path = os.path.join(folder, name)
    try:
        with open(path, encoding="utf-8") as handle:
            return _dashboard(yaml.safe_load(handle), name.rpartition(".")[0])
    except (OSError, UnicodeError, _Wrong, yaml.YAMLError) as exc:
        why = " ".join(str(exc).split())
        raise ApiError(f"not a dashboard: {why}", errors.INVALID, where=path) from None


def _dashboard(content: t.Any, file: str) -> DashboardSpec:
    _keys(content, _DASHBOARD_KEYS, frozenset({"name", "cards"}), "the file")
    if not isinstance(content["cards"], list) or not content["cards"]:
        raise _Wrong("cards is a list with at least one card")
    cards = tuple(_card(card) for card in content["cards"])
    _no_overlap(cards)
    audience = content.get("for", TENANT)
    if audience not in (TENANT, SYSTEM):
        raise _Wrong(f"for is {TENANT} or {SYSTEM}")
    return DashboardSpec(_words(content, "name"), _words(content, "description", ""), cards, audience, file)


def _card(content: t.Any) -> CardSpec:
    _keys(content, _CARD_KEYS, _CARD_KEYS - {"settings"}, "a card")
    name, place, settings = _words(content, "name"), content["place"], content.get("settings") or {}
    _keys(place, _PLACE_KEYS, _PLACE_KEYS, f"the place of {name}")
    if not all(isinstance(value, int) and not isinstance(value, bool) and value >= 0 for value in place.values()):
        raise _Wrong(f"{name}: the place is given in whole cells")
    if not place["width"] or not place["height"] or place["col"] + place["width"] > GRID:
        raise _Wrong(f"{name}: a card has at least one cell and ends within the {GRID} cells of a row")
    if content["display"] not in DISPLAYS:
        raise _Wrong(f"{name}: display is one of {', '.join(sorted(DISPLAYS))}")
    if not isinstance(settings, dict):
        raise _Wrong(f"{name}: settings is a mapping")
    wrong = metabase_sql.mistake(_words(content, "sql"))
    if wrong:
        raise _Wrong(f"{name}: {wrong}")
    return CardSpec(
        name, content["display"], _words(content, "sql").strip() + "\n", settings, *(place[key] for key in _PLACE_ORDER)
    )


_PLACE_ORDER = ("row", "col", "width", "height")


def _keys(content: t.Any, known: frozenset[str], needed: frozenset[str], what: str) -> None:
    if not isinstance(content, dict):
        raise _Wrong(f"{what} is a mapping")
    unknown, missing = set(content) - known, needed - set(content)
    if unknown:
        raise _Wrong(f"{what} knows no {', '.join(sorted(map(str, unknown)))}")
    if missing:
        raise _Wrong(f"{what} lacks {', '.join(sorted(missing))}")


def _words(content: t.Mapping[str, t.Any], key: str, default: str | None = None) -> str:
    value = content.get(key, default)
    if not isinstance(value, str) or (default is None and not value.strip()):
        raise _Wrong(f"{key} is a text")
    return value.strip()


def _no_overlap(cards: t.Sequence[CardSpec]) -> None:
    taken: dict[tuple[int, int], str] = {}
    for card in cards:
        for row in range(card.row, card.row + card.height):
            for col in range(card.col, card.col + card.width):
                other = taken.setdefault((row, col), card.name)
                if other != card.name:
                    raise _Wrong(f"{card.name} and {other} lie on each other")


def of(specs: t.Sequence[DashboardSpec], audience: str) -> tuple[DashboardSpec, ...]:
    """Those that are for tenants, or those of the system."""
    return tuple(spec for spec in specs if spec.audience == audience)


# --- planning


def description_of(spec: DashboardSpec, tenant: str) -> str:
    """What a dashboard's description says: its own words, our mark, and the fingerprint that a complete one bears."""
    return f"{unfinished(spec, tenant)} {spec.fingerprint}"


def unfinished(spec: DashboardSpec, tenant: str) -> str:
    """The description of a dashboard that is being made."""
    return f"{spec.description}\n\n{owner.mark(tenant)}".strip()


def card_body(card: CardSpec, tenant: str, collection: int, database: int) -> dict[str, t.Any]:
    """A question as Metabase takes it."""
    return {
        "name": card.name,
        "description": owner.mark(tenant),
        "collection_id": collection,
        "display": card.display,
        "dataset_query": {"type": "native", "database": database, "native": {"query": card.sql}},
        "visualization_settings": dict(card.settings),
    }


def places_of(spec: DashboardSpec, cards: t.Mapping[str, int]) -> list[Place]:
    """The layout of a dashboard, for these ids of its questions."""
    return [Place(cards.get(card.name, 0), card.row, card.col, card.width, card.height) for card in spec.cards]


def plan(specs: t.Sequence[DashboardSpec], tenant: str, label: str, database: int, has: Content) -> Plan:
    """Compare what a tenant should have with what it has; ``database`` is 0 when its connection is still to be made.

    ``label`` is how changes name the tenant's collection.
    """
    ours = {each.name: each for each in has.dashboards if owner.holder_of(each.description) == tenant}
    cards = {each.name: each for each in has.cards if owner.holder_of(each.description) == tenant}
    names = {spec.name for spec in specs}
    foreign = sorted(each.name for each in has.dashboards if each.name in names - set(ours))
    if foreign:
        return Plan(in_the_way=f"the dashboard {foreign[0]!r} in the collection does not bear our mark")
    works = [
        work
        for spec in specs
        for work in [_work(spec, tenant, label, database, ours.get(spec.name), cards, has)]
        if work is not None
    ]
    spare_dashboards = tuple(each for each in ours.values() if each.name not in names)
    wanted = {card.name for spec in specs for card in spec.cards}
    spare_cards = tuple(each for each in cards.values() if each.name not in wanted)
    gone = [("dashboard", each.name) for each in spare_dashboards] + [("question", each.name) for each in spare_cards]
    removals = [
        bulk.Change("update", f"{kind} {name!r} of {label}", {"archived": False}, {"archived": True})
        for kind, name in gone
    ]
    return Plan(tuple(works), spare_cards, spare_dashboards, (*(work.change for work in works), *removals))


def _work(
    spec: DashboardSpec,
    tenant: str,
    label: str,
    database: int,
    found: Dashboard | None,
    cards: t.Mapping[str, Card],
    has: Content,
) -> Work | None:
    ids = {card.name: cards[card.name].id if card.name in cards else 0 for card in spec.cards}
    differs = {card.name for card in spec.cards if not _same(card, cards.get(card.name), database)}
    what = f"dashboard {spec.name!r} of {label}"
    if found is None:
        after = {"questions": [card.name for card in spec.cards], "content": spec.fingerprint}
        return Work(spec, None, ids, frozenset(differs), bulk.Change("create", what, None, after))
    before: dict[str, t.Any] = {}
    after = {}
    for card in spec.cards:
        if card.name in differs:
            before[card.name] = _shown(cards.get(card.name), database)
            after[card.name] = _sum(_content(card))
    wanted = description_of(spec, tenant)
    if found.description != wanted:
        before["content"], after["content"] = _told(found.description), spec.fingerprint
    layout = has.places.get(found.id)
    if layout is not None and sorted(layout, key=_order) != sorted(places_of(spec, ids), key=_order):
        before["layout"], after["layout"] = "changed by hand", "as in the specs"
    if not after:
        return None
    return Work(spec, found, ids, frozenset(differs), bulk.Change("update", what, before, after))


def _order(place: Place) -> tuple[int, int]:
    return place.row, place.col


def _same(wanted: CardSpec, found: Card | None, database: int) -> bool:
    return (
        found is not None
        and found.database == database
        and found.display == wanted.display
        and found.sql.strip() == wanted.sql.strip()
        and all(found.settings.get(key) == value for key, value in wanted.settings.items())
    )


def _content(card: CardSpec) -> list[t.Any]:
    return [card.display, card.sql.strip(), dict(card.settings)]


def _shown(found: Card | None, database: int) -> str | None:
    if found is None:
        return None
    moved = "" if found.database == database else " on another connection"
    return _sum([found.display, found.sql.strip(), dict(found.settings)]) + moved


def _told(description: str) -> str:
    """The fingerprint in a description, or that there is none."""
    found = re.search(r"(?<=\s)[0-9a-f]{12}\Z", description.rstrip())
    return found.group() if found else "unfinished"


def _as_list(card: CardSpec) -> list[t.Any]:
    return [card.name, *_content(card), card.row, card.col, card.width, card.height]


def _sum(content: t.Any) -> str:
    raw = json.dumps(content, sort_keys=True, ensure_ascii=False).encode()
    return hashlib.sha256(raw).hexdigest()[:12]
