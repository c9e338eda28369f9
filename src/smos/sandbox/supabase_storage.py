"""The storage API of the sandbox's Supabase: buckets, and as much of objects as is needed to have some."""

from __future__ import annotations

import re
import sqlite3
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from smos.sandbox.provider import Call, Reply
from smos.sandbox.supabase_keys import role_of

UNITS = {"": 1, "B": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3}
SIZE = re.compile(r"(\d+)\s*(B|KB|MB|GB)?", re.IGNORECASE)
Handler = Callable[[Call], Reply]


class Refused(Exception):
    """What storage refuses: the true status stands in the body, the HTTP status is 400 all the same."""

    def __init__(self, status: int, error: str, code: str, message: str) -> None:
        super().__init__(message)
        body = {"statusCode": str(status), "error": error, "code": code, "message": message}
        self.reply = Reply(400, body)


def guarded(handler: Handler) -> Handler:
    """A handler whose refusals become replies."""

    def handle(call: Call) -> Reply:
        try:
            return handler(call)
        except Refused as refused:
            return refused.reply

    return handle


def list_buckets(call: Call) -> Reply:
    if role_of(call) != "service_role":
        return Reply(200, [])
    order = call.query.get("sortColumn", "id")
    if order not in ("id", "name", "created_at", "updated_at"):
        raise Refused(
            400, "Error", "InvalidRequest", "querystring/sortColumn must be equal to one of the allowed values"
        )
    direction = "DESC" if call.query.get("sortOrder") == "desc" else "ASC"
    rows = call.db.execute(
        f"SELECT * FROM supabase_buckets WHERE instr(id, ?) > 0 ORDER BY {order} {direction} LIMIT ? OFFSET ?",
        (call.query.get("search", ""), int(call.query.get("limit", 10000)), int(call.query.get("offset", 0))),
    )
    return Reply(200, [_shown(row) for row in rows])


def get_bucket(call: Call) -> Reply:
    return Reply(200, _shown(_bucket(call)))


def create_bucket(call: Call) -> Reply:
    _writer(call)
    body = call.body if isinstance(call.body, dict) else {}
    name = body.get("name")
    if not isinstance(name, str) or not name:
        raise Refused(400, "Error", "InvalidRequest", "body must have required property 'name'")
    key = str(body.get("id") or name)
    if call.db.execute("SELECT 1 FROM supabase_buckets WHERE id = ?", (key,)).fetchone():
        raise Refused(409, "Duplicate", "ResourceAlreadyExists", "The resource already exists")
    now = _now(call)
    call.db.execute(
        "INSERT INTO supabase_buckets VALUES (?, ?, ?, ?, ?, ?, ?)",
        (key, name, int(bool(body.get("public"))), _size(body), _types(body), now, now),
    )
    return Reply(200, {"name": name})


def update_bucket(call: Call) -> Reply:
    _writer(call)
    row = _bucket(call)
    body = call.body if isinstance(call.body, dict) else {}
    if not {"public", "file_size_limit", "allowed_mime_types"} & set(body):
        raise Refused(400, "Error", "InvalidRequest", "body must match a schema in anyOf")
    call.db.execute(
        "UPDATE supabase_buckets SET public = ?, file_size_limit = ?, allowed_mime_types = ?, updated_at = ? WHERE id = ?",
        (
            int(bool(body.get("public", row["public"]))),
            _size(body) if "file_size_limit" in body else row["file_size_limit"],
            _types(body) if "allowed_mime_types" in body else row["allowed_mime_types"],
            _now(call),
            row["id"],
        ),
    )
    return Reply(200, {"message": "Successfully updated"})


def empty_bucket(call: Call) -> Reply:
    _writer(call)
    call.db.execute("DELETE FROM supabase_objects WHERE bucket = ?", (_bucket(call)["id"],))
    return Reply(200, {"message": "Successfully emptied"})


def delete_bucket(call: Call) -> Reply:
    _writer(call)
    key = _bucket(call)["id"]
    if call.db.execute("SELECT 1 FROM supabase_objects WHERE bucket = ?", (key,)).fetchone():
        message = "The bucket you tried to delete is not empty"
        raise Refused(409, "InvalidRequest", "BucketNotEmpty", message)
    call.db.execute("DELETE FROM supabase_buckets WHERE id = ?", (key,))
    return Reply(200, {"message": "Successfully deleted"})


def upload(call: Call) -> Reply:
    _writer(call)
    bucket, name = _bucket(call), call.params["path"]
    if bucket["file_size_limit"] and len(call.raw) > bucket["file_size_limit"]:
        raise Refused(413, "Payload too large", "EntityTooLarge", "The object exceeded the maximum allowed size")
    known = call.db.execute(
        "SELECT 1 FROM supabase_objects WHERE bucket = ? AND name = ?", (bucket["id"], name)
    ).fetchone()
    if known and call.headers.get("x-upsert") != "true":
        raise Refused(409, "Duplicate", "KeyAlreadyExists", "The resource already exists")
    key = str(uuid.uuid4())
    values = (bucket["id"], name, key, len(call.raw), call.headers.get("content-type", ""), _now(call))
    call.db.execute("REPLACE INTO supabase_objects VALUES (?, ?, ?, ?, ?, ?)", values)
    return Reply(200, {"Id": key, "Key": f"{bucket['id']}/{name}"})


def list_objects(call: Call) -> Reply:
    """One level below a prefix: files with their ids, folders without."""
    bucket = _bucket(call)
    body = call.body if isinstance(call.body, dict) else {}
    if not isinstance(body.get("prefix"), str):
        raise Refused(400, "Error", "InvalidRequest", "body must have required property 'prefix'")
    prefix, limit, offset = body["prefix"], int(body.get("limit") or 100), int(body.get("offset") or 0)
    entries: dict[str, dict[str, Any]] = {}
    for row in call.db.execute("SELECT * FROM supabase_objects WHERE bucket = ? ORDER BY name", (bucket["id"],)):
        if not row["name"].startswith(prefix) or role_of(call) != "service_role":
            continue
        head, slash, _ = row["name"][len(prefix) :].partition("/")
        empty = {"name": head, "id": None, "updated_at": None, "created_at": None, "metadata": None}
        entries[head] = empty if slash else _object(row, head)
    return Reply(200, list(entries.values())[offset : offset + limit])


def remove_objects(call: Call) -> Reply:
    _writer(call)
    bucket = _bucket(call)
    names = call.body.get("prefixes") if isinstance(call.body, dict) else None
    if not isinstance(names, list):
        raise Refused(400, "Error", "InvalidRequest", "body must have required property 'prefixes'")
    gone = []
    for name in names:
        row = call.db.execute(
            "SELECT * FROM supabase_objects WHERE bucket = ? AND name = ?", (bucket["id"], name)
        ).fetchone()
        if row is not None:
            gone.append({"bucket_id": bucket["id"], **_object(row, row["name"])})
            call.db.execute("DELETE FROM supabase_objects WHERE bucket = ? AND name = ?", (bucket["id"], name))
    return Reply(200, gone)


def _writer(call: Call) -> None:
    if role_of(call) != "service_role":
        raise Refused(403, "Unauthorized", "AccessDenied", "new row violates row-level security policy")


def _bucket(call: Call) -> sqlite3.Row:
    row: sqlite3.Row | None = call.db.execute(
        "SELECT * FROM supabase_buckets WHERE id = ?", (call.params["bucket"],)
    ).fetchone()
    if row is None or role_of(call) != "service_role":
        raise Refused(404, "Bucket not found", "NoSuchBucket", "Bucket not found")
    return row


def _shown(row: sqlite3.Row) -> dict[str, Any]:
    types = row["allowed_mime_types"]
    return {
        "id": row["id"],
        "name": row["name"],
        "owner": "",
        "public": bool(row["public"]),
        "type": "STANDARD",
        "file_size_limit": row["file_size_limit"],
        "allowed_mime_types": types.split("\n") if types else None,
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
    }


def _object(row: sqlite3.Row, name: str) -> dict[str, Any]:
    metadata = {"size": row["size"], "mimetype": row["mime_type"]}
    when = {"created_at": row["created_at"], "updated_at": row["created_at"]}
    return {"name": name, "id": row["id"], **when, "metadata": metadata}


def _size(body: dict[str, Any]) -> int | None:
    given = body.get("file_size_limit")
    if given is None:
        return None
    found = SIZE.fullmatch(str(given))
    if not found:
        raise Refused(400, "Error", "InvalidRequest", "Invalid file size format, hint: use 20GB / 20MB / 30KB / 3B")
    return int(found.group(1)) * UNITS[(found.group(2) or "").upper()]


def _types(body: dict[str, Any]) -> str:
    given = body.get("allowed_mime_types") or []
    for each in given:
        if not re.fullmatch(r"[\w*.+-]+/[\w*.+-]+", str(each)):
            raise Refused(415, "invalid_mime_type", "InvalidMimeType", f"mime type {each} is not supported")
    return "\n".join(str(each) for each in given)


def _now(call: Call) -> str:
    return datetime.fromtimestamp(call.now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
