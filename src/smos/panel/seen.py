# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Which messages came before. Kept on disk, so that a message counts once over restarts too."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

OLDEST_S = 600  # a message that was under way for longer is not acted on: who wrote it no longer waits for it
AHEAD_S = 120  # clocks differ
KEPT_S = 3600  # an id is kept for longer than a message with it could be taken
PATIENCE_S = 30.0  # for another process that writes
_MADE = "CREATE TABLE IF NOT EXISTS seen (id TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID"


class StoreBroken(Exception):
    """It cannot be said whether a message came before: nothing may be done. The message says why."""


@dataclass(frozen=True)
class Seen:
    """The ids of messages in one file. ``clock`` gives seconds since 1970."""

    file: Path
    clock: Callable[[], float]

    def timely(self, at: int) -> bool:
        """Whether a message of that moment may still be acted on."""
        return -AHEAD_S <= self.clock() - at <= OLDEST_S

    def first(self, message: str) -> bool:
        """Note a message down; False where it was before. Raises StoreBroken."""
        now = int(self.clock())
        try:
            with closing(self._opened()) as db, db:
                db.execute("DELETE FROM seen WHERE at < ?", (now - KEPT_S,))
                return db.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (message, now)).rowcount == 1
        except (sqlite3.Error, OSError) as exc:
            raise StoreBroken(f"{self.file}: {exc}") from None

    def _opened(self) -> sqlite3.Connection:
        self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(self.file, os.O_CREAT | os.O_WRONLY, 0o600))
        db = sqlite3.connect(self.file, timeout=PATIENCE_S)
        db.execute(_MADE)
        return db
