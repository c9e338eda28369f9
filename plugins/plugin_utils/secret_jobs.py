# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What is done with the secrets of an environment: making, judging, rotating. On values in memory; nothing is read or written."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import secret_kinds, vault
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import INVALID, REFUSED, UNUSABLE, Stop
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.mistakes import SpecError
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.specs import Reader

OK, MISSING, UNMADE, WEAK, SHARED, PENDING, OLD, UNUSED, UNKNOWN = (
    "ok",
    "missing",
    "unmade",
    "weak",
    "shared",
    "pending",
    "old",
    "unused",
    "unknown",
)
BAD = frozenset({MISSING, WEAK, SHARED, PENDING})
"""States that a deploy should not meet."""
MADE, GIVEN = "made", "given"
BEFORE = "before"
"""Where the meta data of a secret keep when its former value was made."""

Entry = Mapping[str, t.Any]
Row = dict[str, t.Any]


class Catalogue(t.NamedTuple):
    """``specs/secrets.yml``."""

    secrets: Mapping[str, Entry]
    remind_after_days: int


def catalogue(root: Path) -> Catalogue:
    """The catalogue of a spec folder. Raises SpecError."""
    reader = Reader(root)
    reader.take(["secrets"])
    if reader.mistakes:
        raise SpecError(reader.mistakes)
    document = reader.documents["secrets"]
    return Catalogue(document["secrets"], document["remind_after_days"])


def fill(content: vault.Content, known: Catalogue) -> list[str]:
    """Make what is missing; gives the names. What is there is never touched."""
    made = []
    for name, entry in known.secrets.items():
        if entry["kind"] in secret_kinds.GENERATED and not content.values.get(name):
            content.put(name, secret_kinds.generate(entry["kind"], entry["length"]))
            made.append(name)
    return made


def judge(content: vault.Content, known: Catalogue, services: Iterable[str] | None = None) -> list[Row]:
    """A row for each secret: name, service, kind, rotation, state, age in days (None: not known), message.

    ``services`` are those of this installation, where they are known: secrets of others are unused.
    """
    wanted = None if services is None else set(services)
    twins = _twins(content)
    rows = [_judged(name, entry, content, known, twins, wanted) for name, entry in known.secrets.items()]
    for name in sorted(content.values.keys() - known.secrets.keys()):
        message = "specs/secrets.yml does not know it; take it out with ansible-vault edit"
        rows.append(_row(name, {}, UNKNOWN, _age(content, name), message))
    return rows


def _judged(
    name: str,
    entry: Entry,
    content: vault.Content,
    known: Catalogue,
    twins: Mapping[str, list[str]],
    wanted: set[str] | None,
) -> Row:
    value, age = content.values.get(name, ""), _age(content, name)
    used = wanted is None or entry["service"] == secret_kinds.MACHINE or bool(wanted & set(users(entry)))
    if not value:
        return _row(name, entry, *_absent(entry, used))
    weakness = secret_kinds.weakness(entry["kind"], value)
    if name in content.previous:
        return _row(name, entry, PENDING, age, f"its rotation has not ended; run `smos secrets rotate {name}` again")
    if weakness:
        return _row(name, entry, WEAK, age, weakness)
    if name in twins:
        return _row(name, entry, SHARED, age, f"it has the value of {', '.join(twins[name])} too")
    if not used:
        return _row(name, entry, UNUSED, age, "no service of this installation uses it")
    if age is not None and age >= known.remind_after_days:
        return _row(name, entry, OLD, age, f"{age} days old")
    return _row(name, entry, OK, age, "")


def _absent(entry: Entry, used: bool) -> tuple[str, None, str]:
    if entry["kind"] == MADE:
        return UNMADE, None, f"{entry['service']} makes it when it is deployed"
    if not used:
        return UNUSED, None, "no service of this installation uses it"
    if entry["kind"] == GIVEN:
        return MISSING, None, "a person has to give it: smos secrets set"
    return MISSING, None, "smos secrets init makes it"


def _row(name: str, entry: Entry, state: str, age: int | None, message: str) -> Row:
    told = {key: str(entry.get(key, "")) for key in ("service", "kind", "rotation")}
    return {"name": name, **told, "state": state, "age_days": age, "message": message}


def _twins(content: vault.Content) -> dict[str, list[str]]:
    """For names that share a value: the others that have it."""
    names: dict[str, list[str]] = {}
    for name, value in sorted(content.values.items()):
        names.setdefault(value, []).append(name)
    return {one: [each for each in many if each != one] for many in names.values() if len(many) > 1 for one in many}


def _age(content: vault.Content, name: str) -> int | None:
    made_at = content.meta.get(name, {}).get(vault.MADE_AT, "")
    try:
        made = datetime.strptime(made_at, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
    return max(0, (datetime.now(UTC) - made).days)


def users(entry: Entry) -> list[str]:
    """The services that get a secret, the one that it belongs to first."""
    return list(dict.fromkeys([entry["service"], *entry.get("used_by", ())]))


def errors(bad: t.Sequence[Row], where: str) -> list[dict[str, str]]:
    """What is to be done about rows of ``judge``: one row for all that a single command makes, one for each of the others."""
    ours = [each["name"] for each in bad if each["state"] == MISSING and each["kind"] != GIVEN]
    count = f"{len(ours)} secrets are" if len(ours) > 1 else "a secret is"
    found = [row("secrets", f"{count} missing: {', '.join(ours)}", where, "smos secrets init")] if ours else []
    return found + [
        row(each["name"], f"{each['state']}: {each['message']}", where, _following(each))
        for each in bad
        if each["name"] not in ours
    ]


def _following(found: Row) -> str:
    if found["state"] == MISSING:
        return f"smos secrets set {found['name']}"
    if found["rotation"] not in secret_kinds.BY_HAND:
        return f"smos secrets rotate {found['name']}"
    return f"Change it in {found['service']} as specs/secrets.yml says, then smos secrets set {found['name']}"


# --- rotating ----------------------------------------------------------------------------------------------------------


def begin(content: vault.Content, known: Catalogue, name: str) -> bool:
    """Give a secret a new value and keep the old one beside it; False where that was done and never ended. Raises Stop."""
    entry = rotatable(known, name)
    others = [each for each in content.previous if each != name]
    if others:
        why = f"the rotation of {others[0]} has not ended"
        following = f"End that one: smos secrets rotate {others[0]}, or take it back with --back"
        raise Stop(REFUSED, [row(name, why, "", following)])
    if name in content.previous:
        return False
    if not content.values.get(name):
        raise Stop(
            UNUSABLE, [row(name, "it is not in the vault, so there is nothing to rotate", "", "smos secrets init")]
        )
    content.previous[name] = content.values[name]
    made_at = content.meta.get(name, {}).get(vault.MADE_AT)
    content.put(name, secret_kinds.generate(entry["kind"], entry["length"]))
    if made_at:
        content.meta[name][BEFORE] = made_at
    return True


def take_back(content: vault.Content, name: str) -> bool:
    """Put the old value of a rotation back; False where there is none."""
    old = content.previous.pop(name, None)
    if old is None:
        return False
    content.values[name] = old
    before = content.meta.pop(name, {}).get(BEFORE)
    if before:
        content.meta[name] = {vault.MADE_AT: before}
    return True


def settle(content: vault.Content, name: str) -> bool:
    """Forget the old value; False where there is none."""
    content.meta.get(name, {}).pop(BEFORE, None)
    return content.previous.pop(name, None) is not None


def rotatable(known: Catalogue, name: str) -> Entry:
    """The entry of a secret that a run may rotate. Raises Stop with what a person does instead."""
    entry = named(known, name)
    if entry["rotation"] in secret_kinds.BY_HAND:
        data = "data would be lost" if entry["rotation"] == "never" else "no run can do it"
        raise Stop(
            REFUSED, [row(name, f"it is not rotated: {data} ({entry['why']})", "specs/secrets.yml", entry["how"])]
        )
    return entry


def keep(content: vault.Content, known: Catalogue, name: str, value: str) -> bool:
    """Keep a value that a person gives; says whether it is another one. Raises Stop where it is weak or unfit."""
    entry = named(known, name)
    weakness = secret_kinds.weakness(entry["kind"], value)
    if weakness:
        raise Stop(INVALID, [row(name, weakness, "", f"Give another one, or none: {MADE_BY_US}")])
    return content.put(name, value)


MADE_BY_US = "`smos secrets init` makes what is missing"


def named(known: Catalogue, name: str) -> Entry:
    """An entry of the catalogue. Raises Stop."""
    if name not in known.secrets:
        following = f"One of: {', '.join(known.secrets)}"
        raise Stop(INVALID, [row(name or "secret", "there is no secret of that name", "specs/secrets.yml", following)])
    return known.secrets[name]
