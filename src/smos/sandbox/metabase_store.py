# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What the sandbox's Metabase keeps, how it starts, and how it reads the body of a call."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping
from typing import Any

from smos.sandbox.provider import Call

ALL_USERS, ADMINISTRATORS = 1, 2
PERSON, KEY, LIMITED_KEY = 1, 2, 3  # users; a key is a hidden user of one group

SCHEMA = """
CREATE TABLE IF NOT EXISTS metabase_users (
    id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT NOT NULL UNIQUE, name TEXT NOT NULL DEFAULT '',
    superuser INTEGER NOT NULL DEFAULT 0, active INTEGER NOT NULL DEFAULT 1, kind TEXT NOT NULL,
    created_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS metabase_groups (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, magic TEXT, created_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS metabase_members (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id INTEGER NOT NULL REFERENCES metabase_users (id) ON DELETE CASCADE,
    group_id INTEGER NOT NULL REFERENCES metabase_groups (id) ON DELETE CASCADE, UNIQUE (user_id, group_id));
CREATE TABLE IF NOT EXISTS metabase_databases (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, engine TEXT NOT NULL, details TEXT NOT NULL,
    caveats TEXT, sample INTEGER NOT NULL DEFAULT 0, created_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS metabase_collections (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, description TEXT,
    parent_id INTEGER REFERENCES metabase_collections (id) ON DELETE CASCADE, archived INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS metabase_cards (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, description TEXT,
    collection_id INTEGER REFERENCES metabase_collections (id) ON DELETE CASCADE,
    database_id INTEGER NOT NULL REFERENCES metabase_databases (id) ON DELETE CASCADE, display TEXT NOT NULL,
    query TEXT NOT NULL, settings TEXT NOT NULL, archived INTEGER NOT NULL DEFAULT 0, editor INTEGER NOT NULL,
    created_at TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS metabase_cards_collection ON metabase_cards (collection_id);
CREATE INDEX IF NOT EXISTS metabase_cards_database ON metabase_cards (database_id);
CREATE TABLE IF NOT EXISTS metabase_dashboards (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, description TEXT,
    collection_id INTEGER REFERENCES metabase_collections (id) ON DELETE CASCADE,
    archived INTEGER NOT NULL DEFAULT 0, editor INTEGER NOT NULL, created_at TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS metabase_dashboards_collection ON metabase_dashboards (collection_id);
CREATE TABLE IF NOT EXISTS metabase_dashcards (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    dashboard_id INTEGER NOT NULL REFERENCES metabase_dashboards (id) ON DELETE CASCADE,
    card_id INTEGER REFERENCES metabase_cards (id) ON DELETE CASCADE, place TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS metabase_dashcards_dashboard ON metabase_dashcards (dashboard_id);
CREATE INDEX IF NOT EXISTS metabase_dashcards_card ON metabase_dashcards (card_id);
CREATE TABLE IF NOT EXISTS metabase_access (
    group_id INTEGER NOT NULL REFERENCES metabase_groups (id) ON DELETE CASCADE, place INTEGER NOT NULL,
    level TEXT NOT NULL, PRIMARY KEY (group_id, place)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS metabase_access_place ON metabase_access (place);
CREATE TABLE IF NOT EXISTS metabase_queries (
    group_id INTEGER NOT NULL REFERENCES metabase_groups (id) ON DELETE CASCADE,
    database_id INTEGER NOT NULL REFERENCES metabase_databases (id) ON DELETE CASCADE, level TEXT NOT NULL,
    PRIMARY KEY (group_id, database_id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS metabase_revisions (graph TEXT PRIMARY KEY, revision INTEGER NOT NULL) WITHOUT ROWID;
"""

ROOT = 0  # the place of the top collection in metabase_access
TABLES = frozenset({"users", "groups", "databases", "collections", "cards", "dashboards"})
_KINDS: Mapping[type, str] = {
    str: "value must be a non-blank string.",
    int: "value must be an integer greater than zero.",
    bool: "value must be a valid boolean ('true' or 'false').",
    dict: "value must be a map.",
    list: "value must be an array.",
}


class Refused(Exception):
    """A call that Metabase refuses; ``body`` is a text or a mapping."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(status)
        self.status, self.body = status, body


def seed(db: sqlite3.Connection) -> None:
    """A fresh instance: the two groups that always are, an administrator, two keys, and the sample connection."""
    now = "2026-01-05T12:00:00Z"
    people = (
        (PERSON, "operator@example.com", "Operator", 1, "person"),
        (KEY, "api-key-user-1@api-key.invalid", "SmarterOS", 1, "api-key"),
        (LIMITED_KEY, "api-key-user-2@api-key.invalid", "Reports", 0, "api-key"),
    )
    db.executemany(
        "INSERT OR IGNORE INTO metabase_users (id, email, name, superuser, kind, created_at) VALUES (?,?,?,?,?,?)",
        [(*person, now) for person in people],
    )
    groups = ((ALL_USERS, "All Users", "all-internal-users"), (ADMINISTRATORS, "Administrators", "admin"))
    db.executemany(
        "INSERT OR IGNORE INTO metabase_groups (id, name, magic, created_at) VALUES (?,?,?,?)",
        [(*group, now) for group in groups],
    )
    db.execute("INSERT OR IGNORE INTO metabase_members (id, user_id, group_id) VALUES (1, ?, ?)", (PERSON, 2))
    db.execute("INSERT OR IGNORE INTO metabase_members (id, user_id, group_id) VALUES (2, ?, ?)", (KEY, 2))
    # Everybody may do everything at first, as after an installation
    db.execute("INSERT OR IGNORE INTO metabase_access VALUES (?, ?, 'write')", (ALL_USERS, ROOT))
    db.executemany("INSERT OR IGNORE INTO metabase_revisions VALUES (?, 0)", [("access",), ("queries",)])


def new_id(call: Call, table: str, **values: Any) -> int:
    """Insert a row and give its id."""
    values["created_at"] = moment(call.now)
    marks = ", ".join("?" * len(values))
    sql = f"INSERT INTO metabase_{table} ({', '.join(values)}) VALUES ({marks})"
    return call.db.execute(sql, tuple(values.values())).lastrowid or 0


def row_of(call: Call, table: str, number: Any) -> sqlite3.Row:
    """The row of this id; raises Refused 404."""
    row = call.db.execute(f"SELECT * FROM metabase_{table} WHERE id = ?", (number,)).fetchone()
    if row is None:
        raise Refused(404, "Not found.")
    found: sqlite3.Row = row
    return found


def user_of(call: Call) -> int:
    """Who calls: the key's hidden user, or the person of a session."""
    key = call.headers.get("x-api-key", "")
    if not key:
        return PERSON
    return LIMITED_KEY if key.endswith("-limited") else KEY


def body_of(call: Call, known: Mapping[str, type], required: tuple[str, ...]) -> dict[str, Any]:
    """The body, if its fields are of the right kind and none is unknown; raises Refused 400 with the fields."""
    if not isinstance(call.body, dict):
        raise Refused(400, {"errors": {"body": "value must be a map."}})
    wrong: dict[str, str] = {}
    for name, value in call.body.items():
        if name not in known:
            wrong[name] = "disallowed key"
        elif value is not None and not _is(value, known[name]):
            wrong[name] = _KINDS[known[name]]
    for name in required:
        if call.body.get(name) is None:
            wrong[name] = _KINDS[known[name]]
    if wrong:
        raise Refused(400, {"errors": wrong, "specific-errors": {name: [text] for name, text in wrong.items()}})
    return dict(call.body)


def _is(value: Any, kind: type) -> bool:
    if kind is str:
        return isinstance(value, str) and bool(value.strip())
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool) and value > 0
    return isinstance(value, kind)


def flag(call: Call, name: str) -> bool:
    """A query parameter that is true or false."""
    return call.query.get(name, "false") == "true"


def moment(now: float) -> str:
    """A time as Metabase writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))


def loaded(text: str) -> Any:
    """What was stored as JSON."""
    return json.loads(text)
