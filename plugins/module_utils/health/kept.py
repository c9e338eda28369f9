# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What the collector keeps on the machine's disk: its book, and the rows that the database has not taken yet.

A pass appends what ended before it replaces the book, and the database takes a row twice as well as once: whenever the
collector dies, the next pass goes on. What cannot be read any more is put aside, and the time of it is unknown.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import typing as t
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.module_utils.health.book import Book, Line
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.rows import Rows

FOLDER = Path("/var/lib/smarteros/health")
SPARE = Path("/run/smarteros-health")  # in memory, for little that must be kept also where the disk is full
MOST_UNSENT = 50_000_000  # bytes: some ten days of 1,000 tenants
_BOOK, _UNSENT, _LOCK = "book.json", "unsent.jsonl", "lock"


class Busy(Exception):
    """Another pass is on its way."""


class Kept:
    """The files of one folder. Methods raise OSError, for example where the disk is full; nothing is half-written then."""

    def __init__(self, folder: Path = FOLDER, spare: Path | None = None) -> None:
        self._folder = folder
        self.folders = (folder, spare) if spare else (folder,)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """One pass at a time. Raises Busy."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(self._folder / _LOCK, "w", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Busy(f"another pass holds {file.name}") from None
            yield

    def book(self) -> Book:
        """The book as the last pass left it; an empty one where there is none that can be read."""
        path = self._folder / _BOOK
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            lines = {key: Line.of_json(each) for key, each in found["lines"].items()}
            return Book(lines, int(found["last_id"]))
        except FileNotFoundError:
            return Book()
        except (ValueError, KeyError, TypeError, AttributeError):
            path.replace(path.with_suffix(".broken"))
            return Book()

    def keep(self, book: Book, ended: Rows) -> None:
        """Keep what ended, and then the book."""
        if any(ended.values()):
            self._append(json.dumps(ended))
        lines = {key: line.as_json() for key, line in book.lines.items()}
        self.write(_BOOK, {"last_id": book.last_id, "lines": lines})

    def unsent(self) -> list[Rows]:
        """The rows that the database has not taken, the oldest first; a line that was cut off by a crash is left out."""
        try:
            text = (self._folder / _UNSENT).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return []
        found = []
        for line in text.splitlines():
            with contextlib.suppress(ValueError):
                found.append(t.cast("Rows", json.loads(line)))
        return found

    def sent(self) -> None:
        """The database has taken all of them."""
        with contextlib.suppress(FileNotFoundError):
            (self._folder / _UNSENT).unlink()

    def read(self, name: str) -> t.Any:
        """A small file; None where it is not there or holds nothing sound."""
        try:
            return json.loads((self._folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def write(self, name: str, content: t.Any) -> None:
        """Replace a small file in one step."""
        new = self._folder / f"{name}.new"
        try:
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
                file.write(json.dumps(content))
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            with contextlib.suppress(OSError):
                new.unlink()
            raise
        new.replace(self._folder / name)

    def _append(self, line: str) -> None:
        path = self._folder / _UNSENT
        size = path.stat().st_size if path.exists() else 0
        if size + len(line) > MOST_UNSENT:
            self._forget_half(path)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8") as file:
            # A line that a crash or a full disk cut off ends here, and spoils no other
            file.write(f"\n{line}\n" if size else f"{line}\n")
            file.flush()
            os.fsync(file.fileno())

    def _forget_half(self, path: Path) -> None:
        """The older half, so that a database that is away for weeks does not fill the disk."""
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        new = path.with_suffix(".new")
        new.write_text("".join(f"{each}\n" for each in lines[len(lines) // 2 :]), encoding="utf-8")
        new.replace(path)
