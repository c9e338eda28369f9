# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What `smos deploy all` has done so far: a journal per environment, by which the next run goes on where one stopped.

`<state>/deploys/<env>.json` holds the newest deploys, oldest first; the machine's own ledger says what runs on it. Only one
process at a time has the journal open.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KEPT = 20
RUNNING, FAILED, DONE, STOPPED = "running", "failed", "done", "stopped"
_STATUS = re.compile(rb"^status:.*\n(?:(?:[ \t#].*)?\n)*", re.MULTILINE)
_LEFT_OUT = (".git", ".locks", "__pycache__")

Entry = dict[str, Any]


class Busy(Exception):
    """Another process deploys here; ``entry`` is what its journal says (empty where it has written nothing yet)."""

    def __init__(self, entry: Mapping[str, Any]) -> None:
        super().__init__("another deploy is at work")
        self.entry = entry


def fingerprint(specs: Path) -> str:
    """A hash of the wish: all files of the specs, without what runs write into them (the status of tenants)."""
    found = hashlib.sha256()
    for path in sorted(specs.rglob("*")):
        inside = path.relative_to(specs)
        if path.is_file() and not {*inside.parts} & {*_LEFT_OUT} and not path.name.startswith("."):
            content = without_status(path.read_bytes()) if "tenants" in inside.parts else path.read_bytes()
            found.update(f"{inside}\0{len(content)}\0".encode() + content)
    return found.hexdigest()


def without_status(text: bytes) -> bytes:
    """A tenant's file without its key `status`."""
    return _STATUS.sub(b"", text if text.endswith(b"\n") else text + b"\n")


@dataclass
class Journal:
    """The open journal. Each writing is whole on disk before it returns."""

    path: Path
    entries: list[Entry]

    def begin(self, run: str, wish: Mapping[str, Any], now: str) -> dict[str, Entry]:
        """Write that a deploy begins; gives the stages that an unfinished deploy of the same wish has done, by name.

        ``wish``: environment, release, specs, what is left out: all that must be the same.
        """
        last = self.entries[-1] if self.entries else {}
        goes_on = last.get("wish") == dict(wish) and last.get("state") != DONE
        stages = (
            {name: each for name, each in last.get("stages", {}).items() if each["state"] == DONE} if goes_on else {}
        )
        self.entries.append(
            {"run": run, "pid": os.getpid(), "at": now, "state": RUNNING, "wish": dict(wish), "stages": stages}
        )
        self._write()
        return dict(stages)

    def stage(self, name: str, **what: Any) -> None:
        """Write what became of a stage."""
        self.entries[-1]["stages"][name] = what
        self._write()

    def end(self, state: str) -> None:
        """Write how the deploy ended."""
        self.entries[-1]["state"] = state
        self._write()

    def _write(self) -> None:
        part = self.path.with_suffix(".part")
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(self.entries[-KEPT:], file, ensure_ascii=False, indent=1)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.path)


@contextmanager
def opened(state: Path, env: str) -> Iterator[Journal]:
    """The environment's journal, for this process alone. Raises Busy. What dies lets go of it."""
    folder = state / "deploys"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{env}.json"
    with path.with_suffix(".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(next(reversed(_read(path)), {})) from None
        yield Journal(path, _read(path))


def _read(path: Path) -> list[Entry]:
    """The entries; none where the file is not there or was cut off."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
