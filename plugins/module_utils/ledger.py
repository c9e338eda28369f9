# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The releases that were deployed on this machine: what runs, what ran before, what failed, and what of it is still needed.

An entry says ``release``, ``run``, ``at``, ``who``, ``kind`` (deploy or rollback), ``result`` (done, failed or rolled back),
``previous`` (the release that ran before), ``backup`` (id of the one that was made first), ``bad`` (releases that were rolled
back from) and ``services``. A service has ``config``, ``images`` (by container), ``secrets``, ``configs``, ``release``,
``components`` (version and image of each) and ``data`` (the version by component that its data were last written with).
Entries of older versions lack most of these keys; what is missing reads as an entry of a deploy that was done.
"""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

PATH = Path("/var/lib/smarteros/releases.json")
KEPT = 20  # entries
DONE, FAILED, ROLLED_BACK = "done", "failed", "rolled back"
DEPLOY, ROLLBACK = "deploy", "rollback"

Entry = dict[str, t.Any]


def read(path: Path = PATH) -> list[Entry]:
    """The entries, oldest first; none where nothing was ever deployed."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return []
    return [each for each in found if isinstance(each, dict) and each.get("release")] if isinstance(found, list) else []


def add(entry: Entry, path: Path = PATH) -> bool:
    """Write an entry unless the newest says the same; the last entry of the same run gives way to it."""
    entries = read(path)
    if entries and _same(entries[-1], entry):
        return False
    marks = bad(entries)
    if entries and entries[-1].get("run") == entry.get("run"):
        entries.pop()
    entries = _trimmed([*entries, {**entry, "bad": marked(marks, entry)}])
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(json.dumps(entries, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    return True


# --- what the entries say


def is_done(entry: Entry) -> bool:
    """Whether what it speaks of came about."""
    return str(entry.get("result", DONE)) == DONE


def current(entries: t.Sequence[Entry]) -> Entry | None:
    """The last deploy or rollback that came about: what runs, but for what a failed run has left."""
    return next((entry for entry in reversed(entries) if is_done(entry)), None)


def bad(entries: t.Sequence[Entry]) -> dict[str, dict[str, str]]:
    """The releases that were rolled back from and not deployed since, each with who, at and run."""
    return dict(entries[-1].get("bad") or {}) if entries else {}


def marked(marks: t.Mapping[str, dict[str, str]], entry: Entry) -> dict[str, dict[str, str]]:
    """The bad releases once this entry is there. Going back to a bad release takes its mark away and gives none."""
    release, before = entry["release"], entry.get("previous") or ""
    if not is_done(entry):
        return dict(marks)
    after = {name: mark for name, mark in marks.items() if name != release}
    if entry.get("kind") == ROLLBACK and before not in ("", release) and release not in marks:
        after[before] = {key: str(entry.get(key, "")) for key in ("at", "who", "run")}
    return after


def previous(entries: t.Sequence[Entry]) -> Entry | None:
    """The newest other release that came about and is not bad: what a rollback goes to unless it is told."""
    now, marks = current(entries), bad(entries)
    for entry in reversed(entries):
        if is_done(entry) and now and entry["release"] != now["release"] and entry["release"] not in marks:
            return entry
    return None


def deployed(entries: t.Sequence[Entry], release: str) -> Entry | None:
    """The newest entry by which this release came about."""
    return next((entry for entry in reversed(entries) if is_done(entry) and entry["release"] == release), None)


def unfinished(entries: t.Sequence[Entry]) -> Entry | None:
    """A rollback that was begun and did not come to its end, where it was the last thing that happened."""
    last = entries[-1] if entries else None
    return last if last and last.get("kind") == ROLLBACK and not is_done(last) else None


def services(entries: t.Sequence[Entry]) -> dict[str, t.Any]:
    """What the newest entry, of whatever result, says of the services."""
    return dict(entries[-1].get("services") or {}) if entries else {}


# --- what is still needed


def kept(entries: t.Sequence[Entry], releases: int = 2) -> list[Entry]:
    """The entries of the last so many releases that came about. One that is bad does not count, but is kept with them:
    its rollback may be rolled back."""
    marks = bad(entries)
    versions: list[str] = []
    found: list[Entry] = []
    for entry in reversed(entries):
        if not is_done(entry):
            continue
        if entry["release"] not in marks and entry["release"] not in versions:
            versions.append(entry["release"])
        if len(versions) > releases:
            break
        found.insert(0, entry)
    return found


def needed(entries: t.Sequence[Entry], releases: int = 2) -> dict[str, set[str]]:
    """Images, secrets and configs that the kept releases name, by kind."""
    wanted: dict[str, set[str]] = {"images": set(), "secrets": set(), "configs": set()}
    unfinished_one = unfinished(entries)
    for entry in [*kept(entries, releases), *([unfinished_one] if unfinished_one else [])]:
        for stack in (entry.get("services") or {}).values():
            wanted["images"].update((stack.get("images") or {}).values())
            wanted["secrets"].update(stack.get("secrets") or ())
            wanted["configs"].update(stack.get("configs") or ())
    return wanted


def _trimmed(entries: list[Entry]) -> list[Entry]:
    """The last entries, and of what is kept the newest of each release, however many failures came after it."""
    newest = {entry["release"]: entry for entry in kept(entries)}
    older = [entry for entry in entries[:-KEPT] if any(entry is each for each in newest.values())]
    return [*older, *entries[-KEPT:]]


def _same(one: Entry, other: Entry) -> bool:
    """Whether both came about and say the same of the machine."""
    if not (is_done(one) and is_done(other)):
        return False
    return (one.get("release"), one.get("services")) == (other.get("release"), other.get("services"))
