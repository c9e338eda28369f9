# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Files and n8n against what was in step the last time: who is ahead, and what both have changed. Pure."""

from __future__ import annotations

import json
import typing as t
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.n8n import OUR_TAG
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.workflow_sync_form import (
    Document,
    Shown,
    stem_for,
    sum_of,
)

FORMAT = 1
SAME = "same"
N8N_AHEAD, FILE_AHEAD = "n8n ahead", "file ahead"
CONFLICT = "conflict"
FILE_GONE, N8N_GONE = "file gone", "gone from n8n"
N8N, FILE = "n8n", "file"
SIDES = (N8N, FILE)


class Step(t.NamedTuple):
    """What was in step: the workflow's id in that n8n, and its sum."""

    id: str
    sum: str


Known = dict[str, Step]
"""By the name of the file without its ending."""


@dataclass(frozen=True)
class Pair:
    """A file and a workflow that belong together; one of the two may be missing."""

    stem: str
    state: str
    file: Document | None = field(default=None, repr=False)
    remote: Shown | None = field(default=None, repr=False)
    base: Step | None = None
    why: str = ""

    @property
    def name(self) -> str:
        """What a person calls it."""
        found = self.file or (self.remote.document if self.remote else {})
        return str(found.get("name", self.stem))

    @property
    def is_ours(self) -> bool:
        """Whether we may overwrite the workflow in n8n: it bears our mark there, or the file says that it is ours."""
        tags = [*(self.remote.document["tags"] if self.remote else ()), *(self.file["tags"] if self.file else ())]
        return self.remote is None or OUR_TAG in tags


def read_state(text: str) -> dict[str, Known]:
    """What was in step, by environment. Raises ValueError where the text is not ours."""
    found = json.loads(text) if text.strip() else {"format": FORMAT, "environments": {}}
    if not isinstance(found, dict) or found.get("format") != FORMAT or not isinstance(found.get("environments"), dict):
        raise ValueError(f"it is not of format {FORMAT}")
    try:
        return {
            env: {stem: Step(str(row["id"]), str(row["sum"])) for stem, row in rows.items()}
            for env, rows in found["environments"].items()
        }
    except (AttributeError, KeyError, TypeError):
        raise ValueError("an entry is not id and sum") from None


def state_text(states: Mapping[str, Known]) -> str:
    """The content of the state file; the same for the same state."""
    rows = {
        env: {stem: {"id": one.id, "sum": one.sum} for stem, one in sorted(known.items())}
        for env, known in sorted(states.items())
        if known
    }
    return json.dumps({"format": FORMAT, "environments": rows}, indent=2) + "\n"


def compare(
    files: Mapping[str, Document], remotes: Sequence[Shown], base: Known, sides: Mapping[str, str] | None = None
) -> list[Pair]:
    """Every file and workflow with its state, by name. ``sides``: for which side a person has decided, by file."""
    partners, left, doubtful = _partners(files, remotes, base)
    taken = {*files, *base}
    pairs = []
    for stem in sorted(taken):
        pair = Pair(stem, SAME, files.get(stem), partners.get(stem), base.get(stem))
        if pair.file is None and pair.remote is None:
            continue  # gone on both sides
        if stem in doubtful and pair.remote is None:
            why = f"n8n has more than one workflow {pair.name!r}"
            pairs.append(Pair(stem, CONFLICT, pair.file, None, pair.base, why))
            continue
        pairs.append(_judged(pair, (sides or {}).get(stem)))
    for shown in sorted(left, key=lambda each: (str(each.document["name"]), each.workflow.id)):
        doubted = str(shown.document["name"]) in {files[stem]["name"] for stem in doubtful}
        if doubted or not shown.document["nodes"]:
            continue  # one without nodes was only begun
        stem = stem_for(str(shown.document["name"]), taken)
        taken.add(stem)
        pairs.append(Pair(stem, N8N_AHEAD, None, shown))
    return pairs


def _partners(
    files: Mapping[str, Document], remotes: Sequence[Shown], base: Known
) -> tuple[dict[str, Shown], list[Shown], set[str]]:
    """Workflows by the file that they belong to; those without one; files that more than one could belong to."""
    by_id = {each.workflow.id: each for each in remotes}
    found = {stem: by_id[step.id] for stem, step in base.items() if step.id in by_id}
    mine = {each.workflow.id for each in found.values()}
    left = {each.workflow.id: each for each in remotes if each.workflow.id not in mine}
    doubtful: set[str] = set()
    for stem in sorted(set(files) - set(found)):
        named = [each for each in left.values() if each.document["name"] == files[stem]["name"]]
        if len(named) == 1:
            found[stem] = left.pop(named[0].workflow.id)
        elif named:
            doubtful.add(stem)
    return found, list(left.values()), doubtful


def _judged(pair: Pair, side: str | None) -> Pair:
    """The pair with its state. Where both sides have changed, a person's decision counts."""
    here = sum_of(pair.file) if pair.file else None
    there = pair.remote.sum if pair.remote else None
    base = pair.base.sum if pair.base else None
    state, why = _state(here, there, base)
    if side and state not in (SAME, N8N_GONE, FILE_AHEAD if there is None else ""):
        state, why = (N8N_AHEAD, "") if side == N8N else (FILE_AHEAD if here else FILE_GONE, "")
    return Pair(pair.stem, state, pair.file, pair.remote, pair.base, why)


def _state(here: str | None, there: str | None, base: str | None) -> tuple[str, str]:
    if here == there:
        return SAME, ""
    if there is None:
        return (FILE_AHEAD if base is None else N8N_GONE), ""
    if here is None:
        if there == base:
            return FILE_GONE, ""
        return CONFLICT, "its file was removed, and the workflow has changed in n8n since"
    if here == base:
        return N8N_AHEAD, ""
    if there == base:
        return FILE_AHEAD, ""
    if base is None:
        return CONFLICT, "file and workflow differ, and were never in step"
    return CONFLICT, "file and workflow have both changed since they were in step"


def known_after(pairs: Iterable[Pair], done: Mapping[str, Step], sides: Mapping[str, str]) -> Known:
    """What is in step after a run: ``done`` by it, or already so. Where a person decided for the file, n8n's state is the base."""
    known: Known = {}
    for pair in pairs:
        if pair.stem in done:
            known[pair.stem] = done[pair.stem]
        elif pair.remote is not None and (pair.state == SAME or sides.get(pair.stem) == FILE):
            known[pair.stem] = Step(pair.remote.workflow.id, pair.remote.sum)
        elif pair.base is not None:
            known[pair.stem] = pair.base
    return known
