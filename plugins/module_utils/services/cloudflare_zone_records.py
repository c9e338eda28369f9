# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Carries out the plan of a zone's own records at Cloudflare, and keeps what was there before."""

from __future__ import annotations

import json
import os
import re
import typing as t
from collections import Counter
from datetime import datetime, timezone
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.bulk import Change
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.cloudflare import STALE, Cloudflare, Record
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import zone_records
from ansible_collections.smartercl.smarteros.plugins.module_utils.services.zone_records import Plan, Refusal, Step

BATCH = 200  # changes per transaction: what Cloudflare's smallest plan allows
ROUNDS = 3  # how often we look again when the zone turned out to be not as listed
KEPT = 30  # exports of a zone that stay

Look = t.Callable[[t.Sequence[Record]], Plan]


def apply(client: Cloudflare, todo: Plan, look: Look) -> None:
    """Carry out the plan, one transaction after the other.

    When the zone proves to be not as listed, or an answer is missing, it is listed again, and ``look`` says what still
    differs. Raises Unfinished.
    """
    left = list(todo.steps)
    for attempt in range(ROUNDS):
        waiting = list(chunks(left))
        try:
            while waiting:
                _send(client, waiting[0])
                del waiting[0]
        except ApiError as exc:
            left = [step for chunk in waiting for step in chunk]
            if attempt + 1 == ROUNDS or not (exc.kind == errors.UNANSWERED or exc.code in STALE):
                raise Unfinished(exc, left) from exc
            left = _looked_again(client, look, left)
        else:
            return


class Unfinished(Exception):
    """A plan that came to an end half-way: why, and the steps that were not carried out."""

    def __init__(self, cause: ApiError, left: t.Sequence[Step]) -> None:
        super().__init__(cause.message)
        self.cause = cause
        self.left = list(left)


def chunks(steps: t.Sequence[Step]) -> t.Iterator[list[Step]]:
    """The steps by transactions. They are in the order of names, and those of one name stay together: a type may change."""
    chunk: list[Step] = []
    for group in (part for whole in _by_name(steps) for part in _parts(whole)):
        if chunk and len(chunk) + len(group) > BATCH:
            yield chunk
            chunk = []
        chunk += group
    if chunk:
        yield chunk


def ordered(todo: Plan) -> Plan:
    """The plan with its steps in the order in which they are carried out and told."""
    todo.steps = [step for group in _by_name(todo.steps) for step in group]
    return todo


def changes(steps: t.Sequence[Step]) -> list[Change]:
    """The steps as they are reported; what two of them are about is told apart."""
    labels = [_label(step) for step in steps]
    several = Counter(labels)
    found, seen = [], Counter[str]()
    for label, step in zip(labels, steps):
        record = step.after or step.before
        what = label if several[label] == 1 or record is None else f"{label} ({zone_records.short(record.content)})"
        seen[what] += 1
        what = what if seen[what] == 1 else f"{what} #{seen[what]}"
        action = "update" if step.before and step.after else "create" if step.after else "delete"
        before = zone_records.shown(step.before) if step.before else None
        after = zone_records.shown(step.after) if step.after else None
        found.append(Change(action, what, before, after))
    return found


def done_of(steps: t.Sequence[Step], left: t.Sequence[Step]) -> list[Change]:
    """The changes of those steps that are not left undone."""
    waiting = {_about(step) for step in left}
    return [change for change, step in zip(changes(steps), steps) if _about(step) not in waiting]


def refused(refusal: Refusal) -> dict[str, str]:
    """A refusal as the command line reports it."""
    there, wanted = refusal.there, refusal.wanted
    why = f"there is {_told(there)}, wanted is {_told(wanted)}; {refusal.why}"
    return errors.row(f"DNS {there.key}", why, "Cloudflare", refusal.following)


def export(folder: Path, zone: str, run: str, rows: t.Sequence[t.Mapping[str, t.Any]]) -> Path:
    """Write what the zone holds into a file of its own, and let the oldest ones go. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    order = sorted(rows, key=lambda row: [str(row.get(key)) for key in ("name", "type", "content", "id")])
    taken = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    document = {"zone": zone, "run": run, "taken_at": taken, "records": order}
    stem, number = f"{zone}-{re.sub(r'[^0-9A-Za-z_-]', '_', run)}", 1
    while True:
        path = folder / (f"{stem}.json" if number == 1 else f"{stem}-{number}.json")
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            break
        except FileExistsError:  # what an earlier task of the same run kept is worth more
            number += 1
    with open(handle, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1, sort_keys=True, ensure_ascii=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    kept = sorted(folder.glob(f"{zone}-*.json"), key=lambda each: (each.stat().st_mtime_ns, each.name))
    for old in kept[:-KEPT]:
        old.unlink(missing_ok=True)
    return path


def _by_name(steps: t.Sequence[Step]) -> list[list[Step]]:
    groups: dict[str, list[Step]] = {}
    for step in steps:
        groups.setdefault(step.name, []).append(step)
    return [groups[name] for name in sorted(groups)]


def _parts(group: list[Step]) -> t.Iterator[list[Step]]:
    """A name with more steps than a transaction takes; what goes makes room first."""
    steps = sorted(group, key=lambda step: step.after is not None) if len(group) > BATCH else group
    for start in range(0, len(steps), BATCH):
        yield steps[start : start + BATCH]


def _send(client: Cloudflare, chunk: t.Sequence[Step]) -> None:
    client.batch(
        [step.before for step in chunk if step.before and not step.after],
        [step.after for step in chunk if step.before and step.after],
        [step.after for step in chunk if step.after and not step.before],
    )


def _looked_again(client: Cloudflare, look: Look, left: list[Step]) -> list[Step]:
    try:
        again = ordered(look(client.records()))
    except ApiError as exc:
        raise Unfinished(exc, left) from exc
    if again.refusals:
        row = refused(again.refusals[0])
        raise Unfinished(ApiError(f"{row['what']}: {row['why']}", errors.CONFLICT), left)
    return again.steps


def _about(step: Step) -> tuple[str, str]:
    record = step.after or step.before
    return (record.key, record.content) if record else ("", "")


def _label(step: Step) -> str:
    record = step.after or step.before
    return f"DNS {record.key}" if record else "DNS"


def _told(record: Record) -> str:
    number = f"{record.priority} " if record.priority is not None else ""
    return f"{record.type} {number}{zone_records.short(record.content)}{' (proxied)' if record.proxied else ''}"
