"""n8n's public API v1 as far as SmarterOS uses it, with health checks and the webhooks of active workflows.

Behaves like 1.64 unless the setting ``n8n_version`` is ``"2"``. Followed from the published package, traps included:
on 1.x a tag name of the wrong length is answered 409 «Tag already exists», the tag filter ignores names that no tag
has, and a webhook node without a ``webhookId`` is reachable below its workflow's id only. Stricter than 1.64 in one
place: there a second workflow on the same webhook path silently takes it over; here it is refused, as 2.x does.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import secrets
import sqlite3
import string
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from smos.sandbox import n8n_bodies as bodies
from smos.sandbox.provider import Call, Operation, Provider, Reply

ALPHABET = string.ascii_letters + string.digits
LIMITED = "sandbox-n8n-limited"  # a key without the scopes of tags
MAX_LIMIT = 250
WEBHOOK_TYPE = "n8n-nodes-base.webhook"
# Nodes that start a workflow only by hand do not make it possible to activate it.
BY_HAND = frozenset(
    {"n8n-nodes-base.start", "n8n-nodes-base.manualTrigger", "@n8n/n8n-nodes-langchain.manualChatTrigger"}
)
STARTERS = frozenset({WEBHOOK_TYPE, "n8n-nodes-base.cron", "n8n-nodes-base.interval", "n8n-nodes-base.emailReadImap"})
# What executions can be looked for by, in 1.64 and in 2.x
EXECUTION_STATES = {
    "1": ("error", "success", "waiting"),
    "2": ("canceled", "crashed", "error", "new", "running", "success", "unknown", "waiting"),
}
CREDENTIAL_TYPE = re.compile(r"^[A-Za-z][A-Za-z0-9]*$")

SCHEMA = """
CREATE TABLE IF NOT EXISTS n8n_tags (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL UNIQUE, created TEXT NOT NULL,
    updated TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS n8n_workflows (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, active INTEGER NOT NULL,
    content TEXT NOT NULL, version_id TEXT NOT NULL, created TEXT NOT NULL, updated TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS n8n_workflow_tags (
    workflow_id TEXT NOT NULL REFERENCES n8n_workflows (id) ON DELETE CASCADE,
    tag_id TEXT NOT NULL REFERENCES n8n_tags (id) ON DELETE CASCADE, PRIMARY KEY (workflow_id, tag_id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS n8n_workflow_tags_tag ON n8n_workflow_tags (tag_id);
CREATE TABLE IF NOT EXISTS n8n_webhooks (
    method TEXT NOT NULL, path TEXT NOT NULL, node TEXT NOT NULL,
    workflow_id TEXT NOT NULL REFERENCES n8n_workflows (id) ON DELETE CASCADE, PRIMARY KEY (method, path));
CREATE INDEX IF NOT EXISTS n8n_webhooks_workflow ON n8n_webhooks (workflow_id);
CREATE TABLE IF NOT EXISTS n8n_executions (
    id INTEGER PRIMARY KEY AUTOINCREMENT, workflow_id TEXT NOT NULL, status TEXT NOT NULL, mode TEXT NOT NULL,
    started TEXT NOT NULL, stopped TEXT);
CREATE TABLE IF NOT EXISTS n8n_credentials (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, type TEXT NOT NULL, created TEXT NOT NULL,
    updated TEXT NOT NULL);
"""


class Refused(Exception):
    """A call that n8n refuses."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def fault_reply(status: int, message: str) -> Reply:
    """Faults and unknown paths in n8n's envelope."""
    texts = {429: "Too many requests", 500: "Internal server error", 404: "not found"}
    return Reply(status, {"message": texts.get(status, message)})


def authenticate(call: Call, tokens: frozenset[str]) -> Reply | None:
    """The key header, except for health checks and webhooks."""
    if not call.path.startswith("/api/"):
        return None
    key = call.headers.get("x-n8n-api-key")
    if key is None:
        return Reply(401, {"message": "'X-N8N-API-KEY' header required"})
    if key == LIMITED:
        return Reply(403, {"message": "Forbidden"}) if "/tags" in call.path else None
    return None if key in tokens else Reply(401, {"message": "unauthorized"})


# --- tags ------------------------------------------------------------------------------------------------------------


def create_tag(call: Call) -> Reply:
    name = _tag_name(call)
    now = _stamp(call.now)
    try:
        call.db.execute(
            "INSERT INTO n8n_tags (id, name, created, updated) VALUES (?,?,?,?)", (_new_id(), name, now, now)
        )
    except sqlite3.IntegrityError:
        raise Refused(409, "Tag already exists") from None
    return Reply(201, _tag_shown(call.db.execute("SELECT * FROM n8n_tags WHERE name = ?", (name,)).fetchone()))


def list_tags(call: Call) -> Reply:
    rows, cursor = _slice(call, "n8n_tags", "1", ())
    return Reply(200, {"data": [_tag_shown(row) for row in rows], "nextCursor": cursor})


def get_tag(call: Call) -> Reply:
    return Reply(200, _tag_shown(_row(call, "n8n_tags")))


def update_tag(call: Call) -> Reply:
    name = _tag_name(call)
    row = _row(call, "n8n_tags")
    try:
        call.db.execute("UPDATE n8n_tags SET name = ?, updated = ? WHERE id = ?", (name, _stamp(call.now), row["id"]))
    except sqlite3.IntegrityError:
        raise Refused(409, "Tag already exists") from None
    return Reply(200, _tag_shown(_row(call, "n8n_tags")))


def delete_tag(call: Call) -> Reply:
    row = _row(call, "n8n_tags")
    call.db.execute("DELETE FROM n8n_tags WHERE id = ?", (row["id"],))
    return Reply(200, _tag_shown(row))


def _tag_name(call: Call) -> str:
    data = bodies.mapping(call.body, "request/body")
    bodies.required(data, ("name",), "request/body")
    bodies.read_only(data, frozenset({"id", "createdAt", "updatedAt"}), "request/body")
    bodies.keys(data, {"name": (str,)}, "request/body")
    name = str(data["name"]).strip()
    if not 1 <= len(name) <= 24:
        if _version(call) == "2":
            raise Refused(400, "Tag name must be 1 to 24 characters long.")
        raise Refused(409, "Tag already exists")
    return name


def _tag_shown(row: sqlite3.Row) -> dict[str, Any]:
    return {"id": row["id"], "name": row["name"], "createdAt": row["created"], "updatedAt": row["updated"]}


# --- workflows -------------------------------------------------------------------------------------------------------


def create_workflow(call: Call) -> Reply:
    data = _workflow_body(call)
    workflow_id, now = _new_id(), _stamp(call.now)
    call.db.execute(
        "INSERT INTO n8n_workflows (id, name, active, content, version_id, created, updated) VALUES (?,?,0,?,?,?,?)",
        (workflow_id, data["name"], json.dumps(data), str(uuid.uuid4()), now, now),
    )
    return Reply(200, _workflow_shown(call, _workflow(call, workflow_id)))


def list_workflows(call: Call) -> Reply:
    query, where = call.query, ["1"]
    values: list[Any] = []
    if "active" in query:
        where.append("active = ?")
        values.append(int(_flag(query["active"], "active")))
    if query.get("name"):
        where.append("instr(lower(name), ?) > 0")
        values.append(query["name"].strip().lower())
    if query.get("tags"):
        condition, more = _tag_filter(call, [name.strip() for name in query["tags"].split(",")])
        where.append(condition)
        values += more
    rows, cursor = _slice(call, "n8n_workflows", " AND ".join(where), tuple(values))
    tags = _tags_of(call, [row["id"] for row in rows])
    data = [{**_workflow_shown(call, row), "tags": tags.get(row["id"], [])} for row in rows]
    return Reply(200, {"data": data, "nextCursor": cursor})


def get_workflow(call: Call) -> Reply:
    row = _workflow(call)
    return Reply(200, {**_workflow_shown(call, row), "tags": _tags_of(call, [row["id"]]).get(row["id"], [])})


def update_workflow(call: Call) -> Reply:
    """The whole content is replaced; an active workflow is registered anew."""
    data, row = _workflow_body(call), _workflow(call)
    call.db.execute(
        "UPDATE n8n_workflows SET name = ?, content = ?, version_id = ?, updated = ? WHERE id = ?",
        (data["name"], json.dumps(data), str(uuid.uuid4()), _stamp(call.now), row["id"]),
    )
    row = _workflow(call)
    if row["active"]:
        _unregister(call, row["id"])
        _register(call, row)
    return Reply(200, _workflow_shown(call, row))


def delete_workflow(call: Call) -> Reply:
    row = _workflow(call)
    call.db.execute("DELETE FROM n8n_workflows WHERE id = ?", (row["id"],))
    return Reply(200, _workflow_shown(call, row))


def activate(call: Call) -> Reply:
    row = _workflow(call)
    if not row["active"]:
        _register(call, row)
        _set_active(call, row["id"], True)
    return get_workflow(call)


def deactivate(call: Call) -> Reply:
    row = _workflow(call)
    if row["active"]:
        _unregister(call, row["id"])
        _set_active(call, row["id"], False)
    return get_workflow(call)


def get_workflow_tags(call: Call) -> Reply:
    row = _workflow(call)
    return Reply(200, _tags_of(call, [row["id"]]).get(row["id"], []))


def put_workflow_tags(call: Call) -> Reply:
    """Replaces the whole set of tags of a workflow."""
    if not isinstance(call.body, list):
        raise bodies.BadBody("request/body must be array")
    for place, item in enumerate(call.body):
        where = f"request/body/{place}"
        bodies.required(bodies.mapping(item, where), ("id",), where)
        bodies.keys(item, {"id": (str,)}, where)
    row = _workflow(call)
    call.db.execute("DELETE FROM n8n_workflow_tags WHERE workflow_id = ?", (row["id"],))
    try:
        call.db.executemany(
            "INSERT INTO n8n_workflow_tags (workflow_id, tag_id) VALUES (?,?)",
            [(row["id"], item["id"]) for item in call.body],
        )
    except sqlite3.IntegrityError:
        raise Refused(404, "Some tags not found") from None
    return get_workflow_tags(call)


def _workflow_body(call: Call) -> dict[str, Any]:
    data = bodies.workflow(call.body, _version(call))
    if not 1 <= len(data["name"]) <= 128:
        raise Refused(400, "Workflow name must be 1 to 128 characters long.")
    for node in data["nodes"]:
        node.setdefault("id", str(uuid.uuid4()))
        if _version(call) == "2" and node.get("type") == WEBHOOK_TYPE:
            node.setdefault("webhookId", str(uuid.uuid4()))
    return data


def _workflow(call: Call, workflow_id: str | None = None) -> sqlite3.Row:
    return _row(call, "n8n_workflows", workflow_id)


def _workflow_shown(call: Call, row: sqlite3.Row) -> dict[str, Any]:
    """A workflow as n8n answers it: more than its specification says, so a client must not send it back as it is."""
    content = json.loads(row["content"])
    return {
        "createdAt": row["created"],
        "updatedAt": row["updated"],
        "id": row["id"],
        "name": row["name"],
        "active": bool(row["active"]),
        "nodes": content["nodes"],
        "connections": content["connections"],
        "settings": content["settings"],
        "staticData": content.get("staticData"),
        "meta": None,
        "pinData": None,
        "versionId": row["version_id"],
        "triggerCount": int(bool(row["active"])),
        **(_newer_fields(row) if _version(call) == "2" else {}),
    }


def _newer_fields(row: sqlite3.Row) -> dict[str, Any]:
    """What 2.x answers besides."""
    return {
        "description": None,
        "activeVersionId": row["version_id"] if row["active"] else None,
        "activeVersion": None,
        "isArchived": False,
        "versionCounter": 1,
        "sourceWorkflowId": None,
        "nodeGroups": [],
        "shared": [],
        "parentFolder": None,
    }


def _set_active(call: Call, workflow_id: str, active: bool) -> None:
    call.db.execute(
        "UPDATE n8n_workflows SET active = ?, updated = ? WHERE id = ?", (int(active), _stamp(call.now), workflow_id)
    )


def _tag_filter(call: Call, names: list[str]) -> tuple[str, list[Any]]:
    """Workflows that bear all of the *existing* tags among ``names``; none when no such tag exists."""
    marks = ",".join("?" * len(names))
    rows = call.db.execute(f"SELECT id FROM n8n_tags WHERE name IN ({marks})", names).fetchall()
    if not rows:
        return "0", []
    one = "id IN (SELECT workflow_id FROM n8n_workflow_tags WHERE tag_id = ?)"
    return " AND ".join([one] * len(rows)), [row["id"] for row in rows]


def _tags_of(call: Call, workflow_ids: list[str]) -> dict[str, list[dict[str, Any]]]:
    marks = ",".join("?" * len(workflow_ids))
    rows = call.db.execute(
        "SELECT workflow_id, n8n_tags.* FROM n8n_workflow_tags JOIN n8n_tags ON n8n_tags.id = tag_id"
        f" WHERE workflow_id IN ({marks}) ORDER BY n8n_tags.seq",
        workflow_ids,
    )
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["workflow_id"], []).append(_tag_shown(row))
    return found


# --- activation and webhooks -----------------------------------------------------------------------------------------


def _register(call: Call, row: sqlite3.Row) -> None:
    """Claim the webhook paths of a workflow; refuse one that nothing can start or whose path is taken."""
    nodes = [node for node in json.loads(row["content"])["nodes"] if not node.get("disabled")]
    if not any(_starts(node) for node in nodes):
        raise Refused(
            400,
            f'Workflow "{row["name"]}" (ID: {row["id"]}) has no node to start the workflow - at least one trigger,'
            " poller or webhook node is required",
        )
    for node in nodes:
        if node.get("type") != WEBHOOK_TYPE:
            continue
        parameters = node.get("parameters", {})
        path = _webhook_path(row["id"], node)
        try:
            for method in _methods(parameters):
                call.db.execute(
                    "INSERT INTO n8n_webhooks (method, path, node, workflow_id) VALUES (?,?,?,?)",
                    (method, path, str(node.get("name", "")), row["id"]),
                )
        except sqlite3.IntegrityError:
            raise _path_taken(call, node, path) from None


def _path_taken(call: Call, node: Mapping[str, Any], path: str) -> Refused:
    if _version(call) == "2":
        return Refused(409, f'There is a conflict with one of the webhooks: the path "{path}" is already in use.')
    name = node.get("name", "")
    text = f'The URL path that the "{name}" node uses is already taken. Please change it to something else.'
    return Refused(400, text)


def _unregister(call: Call, workflow_id: str) -> None:
    call.db.execute("DELETE FROM n8n_webhooks WHERE workflow_id = ?", (workflow_id,))


def _starts(node: Mapping[str, Any]) -> bool:
    kind = str(node.get("type", ""))
    return kind not in BY_HAND and (kind in STARTERS or kind.endswith("Trigger"))


def _methods(parameters: Mapping[str, Any]) -> list[str]:
    chosen = parameters.get("httpMethod", "GET")
    return [str(method).upper() for method in chosen] if isinstance(chosen, list) else [str(chosen).upper()]


def _webhook_path(workflow_id: str, node: Mapping[str, Any]) -> str:
    path = str(node.get("parameters", {}).get("path", "")).strip("/")
    if "webhookId" not in node:
        return f"{workflow_id}/{quote(str(node.get('name', '')).lower(), safe='')}/{path}".rstrip("/")
    return path or str(node["webhookId"])


def webhook(call: Call) -> Reply:
    """A production webhook: answers when an active workflow has claimed it."""
    path = call.params["path"].strip("/")
    rows = call.db.execute("SELECT method FROM n8n_webhooks WHERE path = ?", (path,)).fetchall()
    methods = [row["method"] for row in rows]
    if call.method in methods:
        return Reply(200, {"message": "Workflow was started"})
    if methods:
        message = f"This webhook is not registered for {call.method} requests. Did you mean to make a "
        return Reply(404, {"code": 404, "message": f"{message}{' or '.join(methods)} request?"})
    hint = "The workflow must be active for a production URL to run successfully."
    return Reply(
        404,
        {"code": 404, "message": f'The requested webhook "{call.method} {path}" is not registered.', "hint": hint},
    )


# --- executions, credentials, health ---------------------------------------------------------------------------------


def list_executions(call: Call) -> Reply:
    """The newest first; a failed one has crashed or ended with an error, and both are found as `error`."""
    last, limit = _after(call)
    status, workflow = call.query.get("status", ""), call.query.get("workflowId", "")
    known = EXECUTION_STATES[_version(call)]
    if status and status not in known:
        raise bodies.BadBody(f"request/query/status must be equal to one of the allowed values: {', '.join(known)}")
    states = ["error", "crashed"] if status == "error" else [status]
    marks = ",".join("?" * len(states))
    rows = call.db.execute(
        f"SELECT * FROM n8n_executions WHERE id < ? AND (? = '' OR status IN ({marks}))"
        " AND (? = '' OR workflow_id = ?) ORDER BY id DESC LIMIT ?",
        (last, status, *states, workflow, workflow, limit + 1),
    ).fetchall()
    following = None
    if len(rows) > limit:
        rows = rows[:limit]
        cursor = {"lastId": str(rows[-1]["id"]), "limit": limit}
        following = base64.b64encode(json.dumps(cursor, separators=(",", ":")).encode()).decode()
    return Reply(200, {"data": [_execution_shown(call, row) for row in rows], "nextCursor": following})


def _after(call: Call) -> tuple[int, int]:
    """(id that the page ends before, limit), from the cursor where there is one."""
    limit = _number(call.query.get("limit", "100"))
    if not call.query.get("cursor"):
        return 2**62, limit
    try:
        data = json.loads(base64.b64decode(call.query["cursor"], validate=True))
        return int(data["lastId"]), min(int(data["limit"]), MAX_LIMIT)
    except (ValueError, KeyError, TypeError, binascii.Error):
        raise Refused(400, "An invalid cursor was provided") from None


def _execution_shown(call: Call, row: sqlite3.Row) -> dict[str, Any]:
    shown = {
        "id": row["id"] if _version(call) == "1" else str(row["id"]),
        "finished": row["status"] == "success",
        "mode": row["mode"],
        "retryOf": None,
        "retrySuccessId": None,
        "startedAt": row["started"],
        "stoppedAt": row["stopped"],
        "workflowId": row["workflow_id"],
        "waitTill": None,
    }
    return shown if _version(call) == "1" else {**shown, "status": row["status"]}


def create_credential(call: Call) -> Reply:
    """Keeps name and type only: no call ever gives the data back, so it is not stored at all."""
    data = bodies.mapping(call.body, "request/body")
    bodies.required(data, ("name", "type", "data"), "request/body")
    bodies.read_only(data, frozenset({"id", "createdAt", "updatedAt"}), "request/body")
    for key, kind in (("name", str), ("type", str), ("data", dict)):
        bodies.keys({key: data[key]}, {key: (kind,)}, "request/body")
    if not CREDENTIAL_TYPE.match(data["type"]):
        raise Refused(400, "req.body.type is not a known type")
    credential_id, now = _new_id(), _stamp(call.now)
    call.db.execute(
        "INSERT INTO n8n_credentials (id, name, type, created, updated) VALUES (?,?,?,?,?)",
        (credential_id, data["name"], data["type"], now, now),
    )
    return Reply(200, _credential_shown(call, _row(call, "n8n_credentials", credential_id)))


def delete_credential(call: Call) -> Reply:
    row = _row(call, "n8n_credentials")
    call.db.execute("DELETE FROM n8n_credentials WHERE id = ?", (row["id"],))
    return Reply(200, _credential_shown(call, row))


def _credential_shown(call: Call, row: sqlite3.Row) -> dict[str, Any]:
    shown = {"name": row["name"], "type": row["type"], "id": row["id"]}
    shown |= {"createdAt": row["created"], "updatedAt": row["updated"]}
    if _version(call) == "2":
        flags = dict.fromkeys(("isManaged", "isGlobal", "isResolvable", "resolvableAllowFallback"), False)
        return {**shown, **flags, "resolverId": None, "usageScope": "project"}
    return shown


def health(_: Call) -> Reply:
    return Reply(200, {"status": "ok"})


# --- small parts -----------------------------------------------------------------------------------------------------


def _version(call: Call) -> str:
    row = call.db.execute("SELECT value FROM sandbox_settings WHERE key = 'n8n_version'").fetchone()
    return "1" if row is None else str(json.loads(row["value"]))


def _row(call: Call, table: str, row_id: str | None = None) -> sqlite3.Row:
    row: sqlite3.Row | None = call.db.execute(
        f"SELECT * FROM {table} WHERE id = ?", (row_id or call.params["id"],)
    ).fetchone()
    if row is None:
        raise Refused(404, "Not Found")
    return row


def _slice(call: Call, table: str, where: str, values: tuple[Any, ...]) -> tuple[list[sqlite3.Row], str | None]:
    """One page of a table in order of creation, and the cursor of the next page (``None`` at the end)."""
    offset, limit = _window(call)
    rows = call.db.execute(
        f"SELECT * FROM {table} WHERE {where} ORDER BY seq LIMIT ? OFFSET ?", (*values, limit + 1, offset)
    ).fetchall()
    if len(rows) <= limit:
        return rows, None
    following = json.dumps({"limit": limit, "offset": offset + limit}, separators=(",", ":"))
    return rows[:limit], base64.b64encode(following.encode()).decode()


def _window(call: Call) -> tuple[int, int]:
    """(offset, limit) from the cursor, or from the limit when there is none."""
    limit = _number(call.query.get("limit", "100"))
    if not call.query.get("cursor"):
        return 0, limit
    try:
        data = json.loads(base64.b64decode(call.query["cursor"], validate=True))
        offset, limit = int(data["offset"]), int(data["limit"])
    except (ValueError, KeyError, TypeError, binascii.Error):
        raise Refused(400, "An invalid cursor was provided") from None
    if not (0 <= offset <= 10**9 and 0 <= limit <= MAX_LIMIT):
        raise Refused(400, "An invalid cursor was provided")
    return offset, limit


def _number(text: str) -> int:
    try:
        limit = int(text)
    except ValueError:
        raise bodies.BadBody("request/query/limit must be number") from None
    if limit > MAX_LIMIT:
        raise bodies.BadBody(f"request/query/limit must be <= {MAX_LIMIT}")
    return max(limit, 0)


def _flag(text: str, name: str) -> bool:
    if text not in ("true", "false"):
        raise bodies.BadBody(f"request/query/{name} must be boolean")
    return text == "true"


def _new_id() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(16))


def _stamp(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _guarded(handler: Any) -> Any:
    """A handler whose refusals are raised anywhere below it."""

    def run(call: Call) -> Reply:
        try:
            reply: Reply = handler(call)
        except Refused as refusal:
            return Reply(refusal.status, {"message": str(refusal)})
        except bodies.BadBody as fault:
            return Reply(400, {"message": str(fault)})
        return reply

    return run


def seed(db: sqlite3.Connection) -> None:
    """One tag and one workflow that a person made by hand."""
    created = "2026-01-05T12:00:00.000Z"
    content: dict[str, Any] = {"nodes": [], "connections": {}, "settings": {}}
    db.execute("INSERT OR IGNORE INTO n8n_tags VALUES (1, 'ownerTag00000001', 'house', ?, ?)", (created, created))
    db.execute(
        "INSERT OR IGNORE INTO n8n_workflows VALUES (1, 'ownerWorkflow001', 'Made by hand', 0, ?, ?, ?, ?)",
        (json.dumps(content), "00000000-0000-4000-8000-000000000001", created, created),
    )
    db.execute("INSERT OR IGNORE INTO n8n_workflow_tags VALUES ('ownerWorkflow001', 'ownerTag00000001')")


API = "/api/v1"

PROVIDER = Provider(
    name="n8n",
    base="/n8n",
    schema=SCHEMA,
    operations=tuple(
        Operation(method, path, name, _guarded(handler), method != "GET")
        for method, path, name, handler in (
            ("GET", "/healthz", "health", health),
            ("GET", "/healthz/readiness", "health.readiness", health),
            ("POST", API + "/tags", "tags.create", create_tag),
            ("GET", API + "/tags", "tags.list", list_tags),
            ("GET", API + "/tags/{id}", "tags.get", get_tag),
            ("PUT", API + "/tags/{id}", "tags.update", update_tag),
            ("DELETE", API + "/tags/{id}", "tags.delete", delete_tag),
            ("POST", API + "/workflows", "workflows.create", create_workflow),
            ("GET", API + "/workflows", "workflows.list", list_workflows),
            ("GET", API + "/workflows/{id}", "workflows.get", get_workflow),
            ("PUT", API + "/workflows/{id}", "workflows.update", update_workflow),
            ("DELETE", API + "/workflows/{id}", "workflows.delete", delete_workflow),
            ("POST", API + "/workflows/{id}/activate", "workflows.activate", activate),
            ("POST", API + "/workflows/{id}/deactivate", "workflows.deactivate", deactivate),
            ("GET", API + "/workflows/{id}/tags", "workflows.tags.get", get_workflow_tags),
            ("PUT", API + "/workflows/{id}/tags", "workflows.tags.put", put_workflow_tags),
            ("GET", API + "/executions", "executions.list", list_executions),
            ("POST", API + "/credentials", "credentials.create", create_credential),
            ("DELETE", API + "/credentials/{id}", "credentials.delete", delete_credential),
            ("GET", "/webhook/{path:path}", "webhook", webhook),
            ("POST", "/webhook/{path:path}", "webhook", webhook),
        )
    ),
    authenticate=authenticate,
    seed=seed,
    fault_reply=fault_reply,
)
