"""Environment variables of the sandbox's Vercel projects, with the answers that surprise: 201 with failures inside."""

from __future__ import annotations

import base64
import json
import re
import secrets
import sqlite3
from collections.abc import Mapping
from typing import Any

from smos.sandbox.provider import Call, Reply
from smos.sandbox.vercel_wire import Refused, body_of, invalid, moment, project_of

KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
TYPES = ("plain", "encrypted", "sensitive", "system")
TARGETS = ("production", "preview", "development")
RESERVED = frozenset(
    {"AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "NOW_REGION", "TZ", "LAMBDA_TASK_ROOT"}
)
FIELDS = frozenset({"key", "value", "type", "target", "gitBranch", "comment", "customEnvironmentIds"})
MOST_VALUE = 65_536

SCHEMA = """
CREATE TABLE IF NOT EXISTS vercel_env (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, project_id TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
    type TEXT NOT NULL, target TEXT NOT NULL, branch TEXT, comment TEXT, created INTEGER NOT NULL,
    updated INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS vercel_env_key ON vercel_env (project_id, key);
"""


class Failed(Exception):
    """A variable that is refused: told within an answer 201 when it came in a list."""

    def __init__(self, code: str, message: str, item: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.error = {"code": code, "message": message}
        if isinstance(item.get("key"), str):
            self.error["envVarKey"] = item["key"]


def listed(call: Call) -> Reply:
    project = project_of(call)
    rows = call.db.execute("SELECT * FROM vercel_env WHERE project_id = ? ORDER BY seq", (project["id"],)).fetchall()
    branch = call.query.get("gitBranch")
    shown = [_shown(row, call.query.get("decrypt") == "true") for row in rows if branch in (None, row["branch"])]
    return Reply(200, {"envs": shown})


def get(call: Call) -> Reply:
    return Reply(200, _shown(_variable(call), decrypt=True))


def create(call: Call) -> Reply:
    """One variable or a list; what fails of a list stands in ``failed`` beside an answer 201."""
    project = project_of(call)
    upsert = call.query.get("upsert") == "true"
    if not isinstance(call.body, list):
        try:
            return Reply(201, {"created": add(call, project, body_of(call), upsert), "failed": []})
        except Failed as failed:
            raise Refused(400, failed.error["code"], failed.error["message"]) from None
    created, failures = [], []
    for item in call.body:
        if not isinstance(item, dict):
            raise invalid("every variable should be an object.")
        try:
            created.append(add(call, project, item, upsert))
        except Failed as failed:
            failures.append({"error": failed.error})
    return Reply(201, {"created": created, "failed": failures})


def update(call: Call) -> Reply:
    row, body = _variable(call), body_of(call, FIELDS)
    merged = {**_fields(row), **body}
    if row["type"] == "sensitive" and merged["type"] != "sensitive":
        raise Refused(400, "bad_request", "You cannot change the type of a Sensitive Environment Variable.")
    try:
        _check(merged)
        _clash(call, row["project_id"], merged, row["id"])
    except Failed as failed:
        raise Refused(400, failed.error["code"], failed.error["message"]) from None
    _write(call, row["id"], merged)
    return Reply(200, _shown(_variable(call)))


def delete(call: Call) -> Reply:
    row = _variable(call)
    call.db.execute("DELETE FROM vercel_env WHERE id = ?", (row["id"],))
    return Reply(200, _shown(row))


def delete_many(call: Call) -> Reply:
    project, body = project_of(call), body_of(call, ("ids",))
    ids = body.get("ids")
    if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
        raise invalid("`ids` should be a list of strings.")
    gone = [each for each in ids if _find(call, project["id"], each) is not None]
    call.db.executemany("DELETE FROM vercel_env WHERE id = ?", [(each,) for each in gone])
    return Reply(200, {"deleted": len(gone), "ids": gone})


def add(call: Call, project: sqlite3.Row, item: Mapping[str, Any], upsert: bool = False) -> dict[str, Any]:
    """Make one variable, or with ``upsert`` overwrite it. Raises Failed."""
    _check(item)
    same = [row for row in _of_key(call, project["id"], item) if set(_targets(row["target"])) == set(item["target"])]
    if upsert and same:
        _clash(call, project["id"], item, same[0]["id"])
        _write(call, same[0]["id"], item)
        return _shown(_found(call, project["id"], same[0]["id"]))
    _clash(call, project["id"], item, "")
    made, now = secrets.token_hex(8), moment(call, "vercel_env")
    call.db.execute(
        "INSERT INTO vercel_env (id, project_id, key, value, type, target, branch, comment, created, updated)"
        " VALUES (?,?,?,?,?,?,?,?,?,?)",
        (made, project["id"], *_columns(item), now, now),
    )
    return _shown(_found(call, project["id"], made))


def _check(item: Mapping[str, Any]) -> None:
    key, value, kind, target = (item.get(name) for name in ("key", "value", "type", "target"))
    if not isinstance(key, str) or not KEY.fullmatch(key):
        raise Failed(
            "INVALID_KEY", "The name contains invalid characters. Only letters, digits, and underscores.", item
        )
    if key in RESERVED:
        raise Failed("RESERVED_ENV_VARIABLE", f"The name {key} is reserved.", item)
    if not isinstance(value, str) or len(value) > MOST_VALUE:
        raise Failed("INVALID_VALUE", f"The value of {key} should be a text of at most 64 KB.", item)
    if kind not in TYPES:
        raise Failed("BAD_REQUEST", f"`type` should be one of {', '.join(TYPES)}.", item)
    if not isinstance(target, list) or not target or not all(each in TARGETS for each in target):
        raise Failed("MISSING_TARGET", f"`target` should name some of {', '.join(TARGETS)}.", item)
    if kind == "sensitive" and "development" in target:
        raise Failed("INVALID_TARGET", "Sensitive variables cannot be created for development.", item)
    if item.get("gitBranch") and target != ["preview"]:
        raise Failed("INVALID_TARGET", "A git branch is only possible with the target preview.", item)
    if len(item.get("comment") or "") > 500:
        raise Failed("BAD_REQUEST", "`comment` should NOT be longer than 500 characters.", item)


def _clash(call: Call, project: str, item: Mapping[str, Any], but_not: str) -> None:
    for row in _of_key(call, project, item):
        common = set(_targets(row["target"])) & set(item["target"])
        if row["id"] != but_not and common:
            text = (
                f"A variable with the name `{item['key']}` already exists for the target {', '.join(sorted(common))}."
            )
            raise Failed("ENV_CONFLICT", text, item)


def _of_key(call: Call, project: str, item: Mapping[str, Any]) -> list[sqlite3.Row]:
    return call.db.execute(
        "SELECT * FROM vercel_env WHERE project_id = ? AND key = ? AND coalesce(branch, '') = ?",
        (project, item["key"], item.get("gitBranch") or ""),
    ).fetchall()


def _write(call: Call, variable: str, item: Mapping[str, Any]) -> None:
    call.db.execute(
        "UPDATE vercel_env SET key = ?, value = ?, type = ?, target = ?, branch = ?, comment = ?, updated = ? WHERE id = ?",
        (*_columns(item), int(call.now * 1000), variable),
    )


def _columns(item: Mapping[str, Any]) -> tuple[Any, ...]:
    target = json.dumps(sorted(item["target"], key=TARGETS.index))
    # What is never told again need not be known
    value = item["value"] if item["type"] != "sensitive" else ""
    return item["key"], value, item["type"], target, item.get("gitBranch"), item.get("comment")


def _variable(call: Call) -> sqlite3.Row:
    return _found(call, project_of(call)["id"], call.params["id"])


def _found(call: Call, project: str, variable: str) -> sqlite3.Row:
    row = _find(call, project, variable)
    if row is None:
        raise Refused(404, "not_found", "The environment variable was not found.")
    return row


def _find(call: Call, project: str, variable: str) -> sqlite3.Row | None:
    row: sqlite3.Row | None = call.db.execute(
        "SELECT * FROM vercel_env WHERE id = ? AND project_id = ?", (variable, project)
    ).fetchone()
    return row


def _fields(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "key": row["key"],
        "value": row["value"],
        "type": row["type"],
        "target": _targets(row["target"]),
        "gitBranch": row["branch"],
        "comment": row["comment"],
    }


def _shown(row: sqlite3.Row, decrypt: bool = False) -> dict[str, Any]:
    """A variable; sensitive ones are never told again, encrypted ones only on demand."""
    fields = _fields(row)
    shown = {key: value for key, value in fields.items() if value is not None}
    readable = row["type"] in ("plain", "system") or (decrypt and row["type"] == "encrypted")
    if not readable:
        hidden = base64.b64encode(secrets.token_bytes(24)).decode()
        shown["value"] = "" if row["type"] == "sensitive" else hidden
    shown |= {"id": row["id"], "createdAt": row["created"], "updatedAt": row["updated"]}
    return shown | {"configurationId": None, "createdBy": None, "updatedBy": None, "decrypted": readable}


def _targets(stored: str) -> list[str]:
    targets: list[str] = json.loads(stored)
    return targets
