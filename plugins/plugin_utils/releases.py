# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Releases: which images each is made of, what is known against it, and what stands between two of them."""

from __future__ import annotations

import difflib
import re
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.mistakes import SpecError
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.specs import Reader, Specs

RECENT_H = 24.0
"""Hours after which a backup does not count as one made before an upgrade."""
_BOUND = re.compile(r"(<=?|>=?)([0-9.]+)")
_NUMBERS = re.compile(r"[0-9]+")
_PARTS = 4  # numbers that are compared

Row = dict[str, str]


class UnknownRelease(Exception):
    """There is no release of that version, or it does not tell what it is made of; the message says which there are."""


@dataclass(frozen=True)
class Component:
    """One image of a release."""

    name: str
    version: str
    image: str
    digest: str | None = None
    service: str = ""

    @property
    def ref(self) -> str:
        """The image as an engine pulls it: pinned where the digest is known."""
        return f"{self.image}@{self.digest}" if self.digest else self.image


@dataclass(frozen=True)
class Advisory:
    """What is known against a component."""

    component: str
    id: str
    what: str


@dataclass(frozen=True)
class Release:
    """A release; ``current`` is the one that the specs describe."""

    version: str
    codename: str
    state: str
    insecure: bool
    known: tuple[Advisory, ...]
    components: Mapping[str, Component]
    current: bool = False
    date: str = ""
    summary: str = ""
    frontends: Mapping[str, str] = field(default_factory=dict)
    """By frontend: the ref of its repository."""

    @property
    def advisories(self) -> tuple[str, ...]:
        """What is known against it, as short texts."""
        return tuple(f"{each.component} {each.id}" for each in self.known)

    def images(self, override: Mapping[str, str]) -> dict[str, str]:
        """What to pull, by component; what an inventory names goes before the release."""
        return {**{name: each.ref for name, each in self.components.items()}, **override}

    def unpinned(self, override: Mapping[str, str]) -> list[str]:
        """The components whose image has no digest."""
        return unpinned(self.images(override))


def by_service(release: Release, override: Mapping[str, str]) -> dict[str, dict[str, dict[str, str]]]:
    """Version and image of each component, by the service that runs it; what an inventory names goes before the release."""
    images = release.images(override)
    found: dict[str, dict[str, dict[str, str]]] = {}
    for name, each in release.components.items():
        found.setdefault(each.service or name, {})[name] = {"version": each.version, "image": images[name]}
    return found


def unpinned(images: Mapping[str, str]) -> list[str]:
    """Of references by component, the components whose image has no digest."""
    return [name for name, ref in images.items() if "@sha256:" not in ref]


def load(specs: Specs | Path, version: str | None = None) -> Release:
    """A release by its version, or the current one. Raises UnknownRelease, and SpecError where the file is broken."""
    releases = every(specs)
    if not version:
        return releases[0]
    wanted = version.removeprefix("v")
    found = next((each for each in releases if each.version == wanted), None)
    usable = ", ".join(each.version for each in releases if each.components)
    if found is None:
        near = nearest(wanted, [each.version for each in releases if each.components])
        meant = f"; did you mean {near}?" if near else ""
        raise UnknownRelease(f"there is no release {wanted}; known: {usable}{meant}")
    if not found.components:
        raise UnknownRelease(f"release {wanted} does not tell its components; known with them: {usable}")
    return found


def nearest(version: str, versions: t.Sequence[str]) -> str:
    """Of these, the one that is most like a version: in its writing, or else the next lower one."""
    alike = difflib.get_close_matches(version, versions, n=1)
    lower = [each for each in versions if _NUMBERS.search(version) and number(each) <= number(version)]
    return alike[0] if alike else max(lower, key=number, default="")


def every(specs: Specs | Path) -> list[Release]:
    """All releases, the current one first, then newest first. Raises SpecError."""
    document = _document(specs)
    whole: dict[str, t.Any] = {key: document[key] for key in ("components", "frontends") if key in document}
    current = _release({**document["release"], **whole}, current=True)
    return [current, *(_release(each) for each in document["history"])]


def _document(specs: Specs | Path) -> dict[str, t.Any]:
    if isinstance(specs, Specs):
        return specs.versions
    reader = Reader(specs)
    reader.take(["versions"])
    if reader.mistakes:
        raise SpecError(reader.mistakes)
    document: dict[str, t.Any] = reader.documents["versions"]
    return document


def _release(entry: Mapping[str, t.Any], *, current: bool = False) -> Release:
    return Release(
        version=entry["version"],
        codename=entry["codename"],
        state=entry.get("state", "released"),
        insecure=bool(entry.get("insecure")),
        known=tuple(Advisory(**each) for each in entry.get("advisories", ())),
        components={
            name: Component(name, each["version"], each["image"], each.get("digest"), each.get("service", name))
            for name, each in entry.get("components", {}).items()
        },
        current=current,
        date=entry.get("date", ""),
        summary=entry.get("summary", ""),
        frontends=dict(entry.get("frontends") or {}),
    )


@dataclass(frozen=True)
class Crossing:
    """A component whose data were written by a newer version than the one that is wanted, which does not read them."""

    component: str
    there: str
    wanted: str
    steps: str
    by_hand: bool
    """No command can take the data back either."""


# --- on the way from one release to another ----------------------------------------------------------------------------


def hazards(
    before: Mapping[str, str],
    after: Mapping[str, str],
    backup_age_h: float | None,
    specs: Specs | Path,
    acknowledged: t.Container[str] = (),
) -> list[Row]:
    """Why a deploy must not go from the versions that run to the wanted ones: rows of what, where, why, next.

    Both are versions by component. What does not run yet is in no danger. ``backup_age_h`` is None where there is none.
    ``acknowledged`` are components of which somebody has said to know what the step means.
    """
    rules = _document(specs).get("upgrades", ())
    rows: list[Row] = []
    for component, there, wanted in _moves(before, after):
        matching = [rule for rule in rules if rule["component"] == component]
        if number(wanted) < number(there):
            rows += _down(component, there, wanted, matching)
        else:
            leading = [each for each in matching if _leads(each, there, wanted)]
            rows += _up(component, there, wanted, leading, backup_age_h)
            if component not in acknowledged:
                rows += _by_name(component, there, wanted, leading)
    return rows


def need_backup(before: Mapping[str, str], after: Mapping[str, str], specs: Specs | Path) -> list[str]:
    """The components whose way up is not to be gone without a backup."""
    rules = [rule for rule in _document(specs).get("upgrades", ()) if rule.get("needs_backup")]
    return [
        component
        for component, there, wanted in _moves(before, after)
        if any(rule["component"] == component and _leads(rule, there, wanted) for rule in rules)
    ]


def crossed(data: Mapping[str, str], wanted: Mapping[str, str], specs: Specs | Path) -> list[Crossing]:
    """What lies between data and older versions that shall work with them: migrations that cannot be undone."""
    rules = [
        rule for rule in _document(specs).get("upgrades", ()) if rule.get("one_way") or rule.get("refuse_downgrade")
    ]
    found = []
    for component, there, older in _moves(data, wanted):
        leading = [rule for rule in rules if rule["component"] == component and _leads(rule, older, there)]
        if leading:
            steps = " ".join(rule["steps"] for rule in leading if rule.get("steps"))
            by_hand = any(rule.get("by_hand") for rule in leading)
            found.append(Crossing(component, there, older, steps, by_hand))
    return found


def notices(before: Mapping[str, str], after: Mapping[str, str], specs: Specs | Path) -> list[str]:
    """What a person should know of the upgrades between the two, as sentences."""
    return [
        f"{component} {there} → {wanted}: {rule['steps']}"
        for component, there, wanted in _moves(before, after)
        for rule in _document(specs).get("upgrades", ())
        if rule["component"] == component and rule.get("steps") and _leads(rule, there, wanted)
    ]


def _moves(before: Mapping[str, str], after: Mapping[str, str]) -> t.Iterator[tuple[str, str, str]]:
    for component, wanted in after.items():
        there = before.get(component)
        if there is not None and number(there) != number(wanted):
            yield component, there, wanted


def _leads(rule: Mapping[str, t.Any], there: str, wanted: str) -> bool:
    """Whether a rule speaks of the way up from one version to another."""
    up = number(there) < number(wanted)
    return up and within(there, rule.get("from", "*")) and within(wanted, rule.get("to", "*"))


def _up(
    component: str, there: str, wanted: str, rules: list[Mapping[str, t.Any]], backup_age_h: float | None
) -> t.Iterator[Row]:
    way = f"{there} → {wanted}"
    for rule in rules:
        least = rule.get("minimum_previous")
        if least and number(there) < number(least):
            following = f"Deploy a release with {component} {least} first"
            yield row(component, f"it has to be {least} at least before it becomes {wanted}", way, following)
    if any(rule.get("needs_backup") for rule in rules) and (backup_age_h is None or backup_age_h > RECENT_H):
        age = "there is none" if backup_age_h is None else f"the newest is {backup_age_h:.0f} hours old"
        one_way = ", and its data cannot go back" if any(rule.get("one_way") for rule in rules) else ""
        yield row(component, f"this upgrade needs a recent backup{one_way}; {age}", way, f"smos backup {component}")


def _by_name(component: str, there: str, wanted: str, rules: list[Mapping[str, t.Any]]) -> t.Iterator[Row]:
    """Steps that somebody must know of: those that a person does, and those over a border that a rule names."""
    way, option = f"{there} → {wanted}", f"--acknowledge {component}"
    for rule in rules:
        steps = rule.get("steps", "")
        if rule.get("by_hand"):
            yield row(component, "no deploy can do this upgrade", way, f"{steps} When that is done: {option}".strip())
        elif "from" in rule or "to" in rule:
            why = f"this upgrade changes what others rely on. {steps}".strip()
            yield row(component, why, way, f"When you have seen to it: {option}")


def _down(component: str, there: str, wanted: str, rules: list[Mapping[str, t.Any]]) -> t.Iterator[Row]:
    """Going back over a migration: refused once, however many rules say so."""
    if any(rule.get("refuse_downgrade") and _leads(rule, there=wanted, wanted=there) for rule in rules):
        following = f"Go back with the data of a backup that was made with {component} {wanted}: smos rollback VERSION --with-data"
        yield row(
            component,
            "its data have been migrated, and the older version does not read them",
            f"{there} → {wanted}",
            following,
        )


def within(version: str, bounds: str) -> bool:
    """Whether a version lies in a range such as ``>=4.0, <5``."""
    tests: Mapping[str, t.Callable[[t.Any, t.Any], bool]] = {
        "<": lambda one, other: one < other,
        "<=": lambda one, other: one <= other,
        ">": lambda one, other: one > other,
        ">=": lambda one, other: one >= other,
    }
    return all(tests[sign](number(version), number(bound)) for sign, bound in _BOUND.findall(bounds))


def number(version: str) -> tuple[int, ...]:
    """A version to compare: its numbers in their order, whatever stands between them."""
    found = [int(each) for each in _NUMBERS.findall(version)][:_PARTS]
    return tuple(found + [0] * (_PARTS - len(found)))
