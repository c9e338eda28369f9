# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The releases that were deployed on this machine: what runs, what ran before, and what both of them need."""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

PATH = Path("/var/lib/smarteros/releases.json")
KEPT = 20  # entries

Entry = dict[str, t.Any]


def read(path: Path = PATH) -> list[Entry]:
    """The entries, oldest first; none where nothing was ever deployed."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return []
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def add(entry: Entry, path: Path = PATH) -> bool:
    """Write an entry unless the newest says the same; an entry of the same release and run takes its place."""
    entries = read(path)
    if entries and _same(entries[-1], entry):
        return False
    if entries and entries[-1].get("run") == entry.get("run"):
        entries.pop()
    entries.append(entry)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(json.dumps(entries[-KEPT:], indent=1, sort_keys=True, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    return True


def needed(entries: t.Sequence[Entry], releases: int = 2) -> dict[str, set[str]]:
    """Images, secrets and configs that the entries of the last so many releases name, by kind."""
    versions: list[str] = []
    kept: dict[str, set[str]] = {"images": set(), "secrets": set(), "configs": set()}
    for entry in reversed(entries):
        if entry["release"] not in versions:
            versions.append(entry["release"])
        if len(versions) > releases:
            break
        for stack in (entry.get("services") or {}).values():
            kept["images"].update((stack.get("images") or {}).values())
            kept["secrets"].update(stack.get("secrets") or ())
            kept["configs"].update(stack.get("configs") or ())
    return kept


def _same(one: Entry, other: Entry) -> bool:
    return (one.get("release"), one.get("services")) == (other.get("release"), other.get("services"))
