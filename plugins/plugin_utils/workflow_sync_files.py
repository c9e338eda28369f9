# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The folder of the workflows' files: reading all of it, and writing one file whole. Beside them, what was in step."""

from __future__ import annotations

import difflib
import os
import typing as t
from collections.abc import Mapping, Sequence
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import workflow_sync_form as form
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import workflow_sync_plan as plan
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import FAILED, INVALID, Stop
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.workflow_sync_plan import Pair

TEMPLATES, LIVE, STATE = "workflows", "live", ".sync.json"
LONGEST = 100  # characters of a commit's first line
NAMED = 3  # files that a message names; of more it gives the number


class Folder:
    """`workflows/live` of the specs."""

    def __init__(self, specs: Path) -> None:
        self.path = specs / TEMPLATES / LIVE
        self.state_path = self.path / STATE
        self._specs = specs

    def file(self, stem: str) -> Path:
        """The path of a file."""
        return self.path / f"{stem}.json"

    def shown(self, path: Path) -> str:
        """A path as messages have it: from the folder of the specs on."""
        return str(Path(self._specs.name) / path.relative_to(self._specs))

    def read(self) -> dict[str, form.Document]:
        """All files by name. Raises Stop with every one that is no workflow."""
        found, bad = {}, []
        for path in sorted(self.path.glob("*.json")):
            if path == self.state_path:
                continue
            try:
                found[path.stem] = form.read(path)
            except (OSError, form.BadFile) as exc:
                why = exc.strerror or "it cannot be read" if isinstance(exc, OSError) else str(exc)
                bad.append(row("workflow", why, self.shown(path), "Correct it, then run the same command again"))
        if bad:
            raise Stop(INVALID, bad)
        return found

    def read_states(self) -> dict[str, plan.Known]:
        """What was in step, by environment. Raises Stop."""
        try:
            return plan.read_state(self.state_path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as exc:
            why = f"what was in step cannot be read: {exc.strerror if isinstance(exc, OSError) else exc}"
            following = "Bring it back from git; without it, files that differ from n8n count as conflicts"
            raise Stop(INVALID, [row("workflows", why, self.shown(self.state_path), following)]) from None

    def write(self, path: Path, text: str) -> None:
        """Put a file in place whole. Raises Stop."""
        part = path.with_name(f".{path.name}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(text, encoding="utf-8")
            os.replace(part, path)
        except OSError as exc:
            why = f"it cannot be written: {exc.strerror}"
            following = "Make it writable, then run the same command again"
            raise Stop(FAILED, [row("workflow", why, self.shown(path), following)]) from None


def difference(before: str, after: str, name: str) -> str:
    """The lines that change, as a patch shows them."""
    lines = difflib.unified_diff(
        before.splitlines(True), after.splitlines(True), f"before: {name}", f"after: {name}", n=2
    )
    return "".join(lines)


def message(pairs: Sequence[Pair], pushed: bool, env: str) -> str:
    """What a commit says, from what was done. Pure; ``type(scope): text``."""
    if not pairs:
        return f"chore(workflows): what is in step with n8n of {env}"
    whole = _said(pairs, pushed, env, _named)
    return whole if len(whole) <= LONGEST else _said(pairs, pushed, env, _counted)


def _said(pairs: Sequence[Pair], pushed: bool, env: str, words: t.Callable[[Sequence[Pair]], str]) -> str:
    if pushed:
        return f"chore(workflows): push {words(pairs)} to n8n of {env}"
    new = [pair for pair in pairs if pair.file is None]
    other = [pair for pair in pairs if pair.file is not None]
    parts = [f"{verb} {words(rows)}" for verb, rows in (("add", new), ("update", other)) if rows]
    return f"{'feat' if new else 'chore'}(workflows): {' and '.join(parts)} from n8n of {env}"


def _named(pairs: Sequence[Pair]) -> str:
    return ", ".join(pair.stem for pair in pairs) if len(pairs) <= NAMED else _counted(pairs)


def _counted(pairs: Sequence[Pair]) -> str:
    return f"{len(pairs)} workflow{'s' * (len(pairs) > 1)}"


def changes(pairs: Sequence[Pair], folder: Folder, push: bool) -> list[dict[str, t.Any]]:
    """What is (or would be) done to files, or with ``push`` to n8n, as the contract has changes."""
    rows = []
    for pair in pairs:
        here, there = pair.file, pair.remote.document if pair.remote else None
        before, after = (there, here) if push else (here, there)
        first, second = form.differing(before, after) if before and after else (None, _told(after))
        rows.append(
            {
                "service": "n8n",
                "tenant": None,
                "action": "update" if before else "create",
                "what": f"workflow {pair.name}" if push else f"file {folder.shown(folder.file(pair.stem))}",
                "before": first,
                "after": second,
            }
        )
    return rows


def _told(document: Mapping[str, t.Any] | None) -> dict[str, t.Any]:
    told = document or {}
    nodes = [node["name"] for node in told.get("nodes", ())]
    return {"name": told.get("name"), "active": told.get("active"), "tags": told.get("tags"), "nodes": nodes}


def diffs(pairs: Sequence[Pair], folder: Folder, push: bool) -> str:
    """The files' changes as a patch; with ``push`` n8n's, in the same form. Secrets are masked in both."""
    parts = []
    for pair in pairs:
        here = form.text_of(pair.file) if pair.file else ""
        there = form.text_of(pair.remote.document) if pair.remote else ""
        name = f"workflow {pair.name}" if push else folder.shown(folder.file(pair.stem))
        parts.append(difference(there, here, name) if push else difference(here, there, name))
    return "".join(parts)
