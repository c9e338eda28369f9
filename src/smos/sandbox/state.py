"""The sandbox's memory: one SQLite file that survives a restart and a kill of the process."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from smos.sandbox.provider import Provider

OWN_SCHEMA = """
CREATE TABLE IF NOT EXISTS sandbox_settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sandbox_faults (
    id INTEGER PRIMARY KEY AUTOINCREMENT, rule TEXT NOT NULL, seen INTEGER NOT NULL DEFAULT 0,
    fired INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS sandbox_requests (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, provider TEXT NOT NULL, operation TEXT NOT NULL, method TEXT NOT NULL,
    path TEXT NOT NULL, query TEXT NOT NULL, body TEXT, status INTEGER NOT NULL, ms REAL NOT NULL,
    write INTEGER NOT NULL, fault TEXT NOT NULL);
"""


class State:
    """One open state file with the providers' tables in it.

    A provider that is new here, or whose tables have changed since, starts from its seed; the others keep what they
    have. Durable against the end of the process, not against a power cut: commits do not wait for the disk.
    """

    def __init__(self, path: Path | str, providers: Iterable[Provider]) -> None:
        self.providers = tuple(providers)
        self.db = sqlite3.connect(str(path), isolation_level=None, cached_statements=512)
        self.db.row_factory = sqlite3.Row
        for pragma in ("journal_mode=WAL", "synchronous=OFF", "foreign_keys=ON", "temp_store=MEMORY"):
            self.db.execute(f"PRAGMA {pragma}")
        self.db.executescript(OWN_SCHEMA)
        for provider in self.providers:
            if self.setting(f"{provider.name}.schema") != _fingerprint(provider):
                self._install(provider)

    def setting(self, key: str, default: Any = None) -> Any:
        """The value of a setting, ``default`` when it was never set."""
        row = self.db.execute("SELECT value FROM sandbox_settings WHERE key = ?", (key,)).fetchone()
        return default if row is None else json.loads(row["value"])

    def set(self, key: str, value: Any) -> None:
        """Keep a setting; ``value`` is anything JSON can hold."""
        self.db.execute("REPLACE INTO sandbox_settings (key, value) VALUES (?, ?)", (key, json.dumps(value)))

    def reset(self, name: str | None = None) -> None:
        """Forget what the providers (or the one named ``name``) hold, and start again from the seed."""
        for provider in self.providers:
            if name in (None, provider.name):
                self._install(provider)

    def close(self) -> None:
        self.db.close()

    def _install(self, provider: Provider) -> None:
        tables = self.db.execute(
            "SELECT type, name FROM sqlite_master WHERE type IN ('table', 'view') AND substr(name, 1, ?) = ?",
            (len(provider.name) + 1, f"{provider.name}_"),
        ).fetchall()
        self.db.execute("PRAGMA foreign_keys=OFF")
        for table in tables:
            self.db.execute(f'DROP {table["type"]} IF EXISTS "{table["name"]}"')
        self.db.execute("PRAGMA foreign_keys=ON")
        self.db.executescript(provider.schema)
        self.db.execute("BEGIN")
        provider.seed(self.db)
        self.set(f"{provider.name}.schema", _fingerprint(provider))
        self.db.execute("COMMIT")


def _fingerprint(provider: Provider) -> str:
    return hashlib.sha256(provider.schema.encode()).hexdigest()[:16]
