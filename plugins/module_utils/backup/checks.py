# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What is looked at before data that were brought back are trusted: rows, files, what rows refer to, and the keys."""

from __future__ import annotations

import os
import stat
import typing as t
from dataclasses import asdict, dataclass

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.manifest import Part

SHOWN = 3  # names of missing files that a message gives

Json = dict[str, t.Any]


@dataclass(frozen=True)
class Check:
    """One finding: what the backup says, and what is there."""

    what: str
    ok: bool
    expected: t.Any
    found: t.Any

    def to_json(self) -> Json:
        """As commands report it."""
        return asdict(self)


@dataclass(frozen=True)
class Tree:
    """What a folder holds; ``root`` is of the folder itself."""

    files: int
    bytes: int
    root: t.Mapping[str, int]


def equal(what: str, expected: t.Any, found: t.Any) -> Check:
    """A finding that is good where both are the same."""
    return Check(what, bool(expected == found), expected, found)


def wrong(checks: t.Iterable[Check]) -> str:
    """What is not good, in a sentence; empty where all is."""
    return "; ".join(f"{one.what}: {one.found} instead of {one.expected}" for one in checks if not one.ok)


def rows(database: str, expected: t.Mapping[str, int], found: t.Mapping[str, int]) -> list[Check]:
    """Rows of each counted table; a table that is not there has none that could be told."""
    return [
        equal(f"rows of {database}.{table}", number, found.get(table)) for table, number in sorted(expected.items())
    ]


def tree(what: str, part: Part, found: Tree) -> list[Check]:
    """Files and bytes of a folder, and whose it is."""
    checks = [equal(f"files of {what}", part.files, found.files), equal(f"bytes of {what}", part.bytes, found.bytes)]
    if part.root:
        checks.append(equal(f"owner and mode of {what}", dict(part.root), {key: found.root[key] for key in part.root}))
    return checks


def measured(folder: str) -> Tree:
    """What is in a folder: regular files and their bytes, each name counted. Raises OSError."""
    files = size = 0
    waiting = [folder]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    files += 1
                    size += entry.stat(follow_symlinks=False).st_size
    own = os.stat(folder)
    return Tree(files, size, {"uid": own.st_uid, "gid": own.st_gid, "mode": stat.S_IMODE(own.st_mode)})


def references(
    service: str, told: t.Mapping[str, int], paths: t.Collection[str], has: t.Callable[[str], bool]
) -> list[Check]:
    """Whether each row has its file. What was missing when the backup was made cannot be there now."""
    missing = sorted(path for path in paths if not has(path))
    lacking = told.get("missing", 0)
    checks = [equal(f"rows of {service} that refer to a file", told["rows"], len(paths))] if "rows" in told else []
    found = f"{len(missing)} ({', '.join(missing[:SHOWN])})" if missing else 0
    return [
        *checks,
        Check(f"files of {service} that rows refer to and that are missing", len(missing) <= lacking, lacking, found),
    ]


def keys(needed: t.Iterable[str], told: t.Mapping[str, str], here: t.Mapping[str, str]) -> list[Check]:
    """Whether the secrets are those of the backup, by fingerprint. One that the backup does not tell cannot be judged."""
    return [equal(f"key {name}", told[name], here.get(name, "")) for name in sorted(set(needed)) if told.get(name)]
