# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""How far a restore has come, on disk before each step, so that one that was cut off can be gone on with or taken back."""

from __future__ import annotations

import json
import os
import typing as t
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

PATH = Path("/var/lib/smarteros/backup/restore.json")
FORMAT = 1
POINT = "point-"  # begins the name of a restore to a moment, which goes on in UTC as YYYYmmdd-HHMMSS

# The stages, in their order. Up to FILLING everything that was there is in its place, from SWITCHING on it may be aside,
# from TIDYING on it is no longer wanted. UNDOING comes after any of those before TIDYING.
BEGUN, STOPPING, FILLING, SWITCHING, STARTING, TIDYING = (
    "begun",
    "stopping",
    "filling",
    "switching",
    "starting",
    "tidying",
)
UNDOING = "undoing"
STAGES = (BEGUN, STOPPING, FILLING, SWITCHING, STARTING, TIDYING, UNDOING)

Json = dict[str, t.Any]


class JournalError(Exception):
    """The journal is there and cannot be read; the text is for the operator."""


@dataclass(frozen=True)
class State:
    """A restore. ``asked`` and ``wanted`` are the words of the command: "latest" means another backup an hour later."""

    asked: str
    backup: str
    services: t.Sequence[str]
    began: str  # ISO 8601, UTC
    stage: str = BEGUN
    wanted: t.Sequence[str] = ()  # services that were named; none: all of the backup
    source: str = ""
    run: str = ""
    safety: str = ""  # id of the backup that was taken before
    replicas: t.Mapping[str, int] = field(default_factory=dict)  # of the writers, before they were stopped
    places: t.Sequence[Json] = ()  # what is brought back, as restore_places describes it
    checks: t.Sequence[Json] = ()
    switched: bool = False  # whether what was there may be aside
    why: str = ""  # what went wrong
    format: int = FORMAT

    @property
    def command(self) -> str:
        """The command that goes on with it."""
        if self.backup.startswith(POINT):
            moment = datetime.strptime(self.backup[len(POINT) :], "%Y%m%d-%H%M%S")
            return f"""ansible-playbook playbooks/restore_point.yml -e "restore_time='{moment}+00'\""""
        return " ".join(["smos restore", self.backup, *(f"--service {name}" for name in self.wanted)])


class Journal:
    """The journal in this file."""

    def __init__(self, path: Path = PATH) -> None:
        self._path = path

    def read(self) -> State | None:
        """The restore that has not ended; None where all have. Raises JournalError."""
        try:
            return _of(json.loads(self._path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError) as exc:
            raise JournalError(f"{self._path}, which tells how far a restore has come, cannot be read: {exc}") from exc

    def write(self, state: State) -> None:
        """Put this in its place; it is on the disk afterwards. Raises OSError."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".new")
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(asdict(state), file, indent=1, sort_keys=True, ensure_ascii=False)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)
        self._settle()

    def clear(self) -> None:
        """The restore has ended. Raises OSError."""
        try:
            self._path.unlink()
        except FileNotFoundError:
            return
        self._settle()

    def _settle(self) -> None:
        """A new name is only safe once its folder is on the disk."""
        fd = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _of(data: Json) -> State:
    if data["format"] > FORMAT or data["stage"] not in STAGES:
        raise ValueError("a newer SmarterOS wrote it")
    return State(**data)


def unfinished(journal: Journal | None = None) -> str:
    """Why no other command may change services now; empty where no restore is half done."""
    try:
        there = (journal or Journal()).read()
    except JournalError as exc:
        return str(exc)
    if there is None:
        return ""
    return (
        f"the restore of {there.backup} ({', '.join(there.services)}), begun at {there.began}, was cut off while {there.stage}: "
        f"`{there.command}` goes on with it"
    )
