"""What was asked of the sandbox: the newest requests with their secrets masked, cheap enough to be always on."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from smos.sandbox.masking import Masker

KEEP = 200_000
TRIM_EVERY = 5_000
BATCH = 1_000
MAX_BODY = 256 * 1024
COLUMNS = "id, at, provider, operation, method, path, query, body, status, ms, write, fault"


@dataclass(frozen=True)
class Entry:
    """One request: ``at`` in seconds since 1970, ``raw`` the body as it came, ``status`` 0 when no answer was sent,
    ``ms`` the time of the work itself, ``fault`` the kind of fault that befell it or ``""``. Headers are not kept."""

    at: float
    provider: str
    operation: str
    method: str
    path: str
    query: dict[str, str]
    raw: bytes
    status: int
    ms: float
    write: bool
    fault: str


class RequestLog:
    """Collects entries in memory and writes them in batches; keeps the last :data:`KEEP`.

    Entries are masked when they are written, and only written masked. The last fraction of a second may be missing
    after a kill of the process.
    """

    def __init__(self, db: sqlite3.Connection, masker: Masker, keep: int = KEEP) -> None:
        self._db, self._masker, self._keep = db, masker, keep
        self._waiting: list[Entry] = []
        self._last = int(db.execute("SELECT coalesce(max(id), 0) FROM sandbox_requests").fetchone()[0])
        self._trimmed_at = self._last

    def add(self, entry: Entry) -> None:
        self._waiting.append(entry)
        if len(self._waiting) >= BATCH:
            self.flush()

    def flush(self) -> None:
        """Write what waits; must not be called inside a transaction."""
        if not self._waiting:
            return
        rows = [self._row(self._last + place, entry) for place, entry in enumerate(self._waiting, start=1)]
        self._waiting.clear()
        self._last += len(rows)
        self._db.execute("BEGIN")
        self._db.executemany(f"INSERT INTO sandbox_requests ({COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)", rows)
        if self._last - self._trimmed_at >= min(TRIM_EVERY, self._keep):
            self._db.execute("DELETE FROM sandbox_requests WHERE id <= ?", (self._last - self._keep,))
            self._trimmed_at = self._last
        self._db.execute("COMMIT")

    def clear(self) -> None:
        """Forget all requests; the numbering goes on."""
        self.flush()
        self._db.execute("DELETE FROM sandbox_requests")

    def find(
        self, *, provider: str = "", operation: str = "", since: int = 0, writes: bool = False, limit: int = 100
    ) -> dict[str, Any]:
        """The newest ``limit`` matching requests, oldest first.

        ``since`` is the id of the last request already known; ``operation`` may be a pattern with ``*``.
        Returns ``{"requests": [...], "matching": int, "last": int}`` with the number of all matching requests and the
        id of the newest request of all.
        """
        self.flush()
        tests: list[tuple[str, Any]] = [("id > ?", since)]
        tests += [("provider = ?", provider)] if provider else []
        tests += [("operation GLOB ?", operation)] if operation else []
        tests += [("write = ?", 1)] if writes else []
        condition = " AND ".join(test for test, _ in tests)
        arguments = [value for _, value in tests]
        matching = self._db.execute(f"SELECT count(*) FROM sandbox_requests WHERE {condition}", arguments).fetchone()[0]
        rows = self._db.execute(
            f"SELECT {COLUMNS} FROM sandbox_requests WHERE {condition} ORDER BY id DESC LIMIT ?", (*arguments, limit)
        ).fetchall()
        return {"requests": [_shown(row) for row in reversed(rows)], "matching": matching, "last": self._last}

    def _row(self, number: int, entry: Entry) -> tuple[Any, ...]:
        masker = self._masker
        if len(entry.raw) <= MAX_BODY:
            body = masker.body(entry.provider, entry.operation, entry.raw)
        else:
            body = json.dumps(f"({len(entry.raw)} bytes, not kept)")
        return (
            number,
            entry.at,
            entry.provider,
            masker.text(entry.operation),
            entry.method,
            masker.text(entry.path),
            masker.query(entry.query),
            body,
            entry.status,
            round(entry.ms, 3),
            int(entry.write),
            entry.fault,
        )


def _shown(row: sqlite3.Row) -> dict[str, Any]:
    shown = dict(row)
    shown["query"] = json.loads(row["query"])
    shown["body"] = None if row["body"] is None else json.loads(row["body"])
    shown["write"] = bool(row["write"])
    return shown
