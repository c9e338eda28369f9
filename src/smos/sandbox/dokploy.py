"""Dokploy 0.30's API as far as SmarterOS uses it: projects, environments, composes and their deployments.

Answers follow the recorded ones of 0.30.2. A deployment waits in a queue at first, then runs, and ends after some
looks. It fails where the source is no raw file, where the file is no YAML, and where its text has the image host
``fails.example``; with ``cancelled.example`` somebody cancels it.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import yaml

from smos.sandbox.dokploy_replies import Refused, failure, invalid, required, same_shape
from smos.sandbox.provider import Call, Operation, Provider, Reply

LOOKS = 3  # how often one looks until a deployment has ended; before the first, it stands in the queue
KEPT = 10  # deployments of a compose
ORGANISATION = "fec3ghVkqrSC7utVXDh8z"
USER = "cQDb2sORWjfJYzv0oujebSKYZHFTyuQX"
KINDS = ("applications", "mariadb", "mongo", "mysql", "postgres", "redis", "libsql")
SOURCES = ("git", "github", "gitlab", "bitbucket", "gitea", "raw")
LIMITED = "sandbox-dokploy-limited"

SCHEMA = """
CREATE TABLE IF NOT EXISTS dokploy_projects (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT, env TEXT NOT NULL, created_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS dokploy_environments (
    id TEXT PRIMARY KEY, project TEXT NOT NULL, name TEXT NOT NULL, description TEXT, is_default INTEGER NOT NULL,
    created_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS dokploy_composes (
    id TEXT PRIMARY KEY, environment TEXT NOT NULL, name TEXT NOT NULL, app_name TEXT NOT NULL, description TEXT,
    env TEXT, file TEXT NOT NULL, source TEXT NOT NULL, kind TEXT NOT NULL, path TEXT NOT NULL, status TEXT NOT NULL,
    created_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS dokploy_deployments (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, compose TEXT NOT NULL, title TEXT NOT NULL,
    description TEXT NOT NULL, status TEXT NOT NULL, looks INTEGER NOT NULL, log TEXT NOT NULL, created_at TEXT NOT NULL,
    finished_at TEXT);
"""


def authenticate(call: Call, tokens: frozenset[str]) -> Reply | None:
    """The key in ``x-api-key``; health needs none. The limited key's user may create neither projects nor services."""
    if call.path in ("/api/health", "/api/trpc/settings.health"):
        return None
    key = call.headers.get("x-api-key", "")
    return None if key in tokens or key == LIMITED else Reply(401, {"message": "Unauthorized"})


def fault_reply(status: int, message: str) -> Reply:
    """Faults and unknown procedures in Dokploy's envelope; a wrong method is an unknown procedure."""
    if status == 400:
        return Reply(400, "Invalid JSON")
    known = {404: (404, "Not found"), 405: (404, "Not found"), 429: (429, "Too many requests")}
    code, text = known.get(status, (status, message))
    return failure(code, text)


# --- reading -------------------------------------------------------------------------------------------------------------


def health(_: Call) -> Reply:
    return Reply(200, {"ok": True})


def panel_health(_: Call) -> Reply:
    return Reply(200, {"result": {"data": {"json": {"status": "ok"}}}})


def version(_: Call) -> Reply:
    return _text("v0.30.2")


def user(call: Call) -> Reply:
    limited = call.headers.get("x-api-key") == LIMITED
    key = call.headers.get("x-api-key", "")
    row = {
        "id": "FS5p59JJkwo6KkDUIDbLc",
        "organizationId": ORGANISATION,
        "userId": USER,
        "role": "member" if limited else "owner",
        "canCreateProjects": False,
        "canCreateServices": False,
        "canAccessToAPI": True,
        "user": {
            "id": USER,
            "email": "admin@example.com",
            "apiKeys": [{"id": "key1", "name": "automation", "start": key[:6], "expiresAt": None, "enabled": True}],
        },
    }
    return Reply(200, row)


def all_projects(call: Call) -> Reply:
    rows = call.db.execute("SELECT * FROM dokploy_projects ORDER BY created_at DESC, rowid DESC").fetchall()
    return Reply(200, [_project_shown(call.db, row) for row in rows])


def environments(call: Call) -> Reply:
    rows = call.db.execute(
        "SELECT * FROM dokploy_environments WHERE project = ? ORDER BY rowid", (required(call, "projectId"),)
    ).fetchall()
    return Reply(200, [_environment_shown(call.db, row) for row in rows])


def one_compose(call: Call) -> Reply:
    row = _compose(call, required(call, "composeId"))
    _look(call, row["id"])
    return Reply(200, _compose_shown(call.db, _compose(call, row["id"]), whole=True))


def deployments(call: Call) -> Reply:
    compose = required(call, "composeId")
    _look(call, compose)
    rows = call.db.execute(
        "SELECT * FROM dokploy_deployments WHERE compose = ? AND status != 'queued' ORDER BY seq DESC LIMIT ?",
        (compose, KEPT),
    ).fetchall()
    return Reply(200, [_deployment_shown(row) for row in rows])


def queue(call: Call) -> Reply:
    rows = call.db.execute(
        "SELECT * FROM dokploy_deployments WHERE status IN ('queued', 'running') ORDER BY seq DESC"
    ).fetchall()
    return Reply(200, [_job_shown(row) for row in rows])


def read_logs(call: Call) -> Reply:
    query = "SELECT * FROM dokploy_deployments WHERE id = ? AND status != 'queued'"
    row = call.db.execute(query, (required(call, "deploymentId"),)).fetchone()
    if row is None:
        raise Refused(failure(404, "Deployment not found", "deployment.readLogs"))
    tail = call.query.get("tail", "100")
    lines = row["log"].splitlines()[-int(tail if tail.isdecimal() else 100) :]
    return _text("\n".join(lines))


# --- writing -------------------------------------------------------------------------------------------------------------


def create_project(call: Call) -> Reply:
    body = same_shape(call, "project.create", {"name": str}, {"description": str, "env": str})
    if _limited(call):
        text = "Error creating the project: You don't have permission to create a project"
        raise Refused(failure(400, text, "project.create"))
    project, environment, now = _id(), _id(), _stamp(call.now)
    values = (project, body["name"], body.get("description"), body.get("env") or "", now)
    call.db.execute("INSERT INTO dokploy_projects VALUES (?, ?, ?, ?, ?)", values)
    call.db.execute(
        "INSERT INTO dokploy_environments VALUES (?, ?, 'production', 'Production environment', 1, ?)",
        (environment, project, now),
    )
    made = call.db.execute("SELECT * FROM dokploy_environments WHERE id = ?", (environment,)).fetchone()
    shown = _project_row(call.db.execute("SELECT * FROM dokploy_projects WHERE id = ?", (project,)).fetchone())
    return Reply(200, {"project": shown, "environment": _environment_row(made)})


def create_environment(call: Call) -> Reply:
    body = same_shape(call, "environment.create", {"name": str, "projectId": str}, {"description": str})
    if body["name"] == "production":
        text = "You cannot create a environment with the name 'production'"
        raise Refused(failure(400, text, "environment.create"))
    if call.db.execute("SELECT 1 FROM dokploy_projects WHERE id = ?", (body["projectId"],)).fetchone() is None:
        text = 'Error creating the environment: Failed query: insert into "environment" ("environmentId") values ($1)'
        raise Refused(failure(400, f"{text}\nparams: {body['projectId']}", "environment.create"))
    number = _id()
    values = (number, body["projectId"], body["name"], body.get("description"), _stamp(call.now))
    call.db.execute("INSERT INTO dokploy_environments VALUES (?, ?, ?, ?, 0, ?)", values)
    row = call.db.execute("SELECT * FROM dokploy_environments WHERE id = ?", (number,)).fetchone()
    return Reply(200, _environment_row(row))


def create_compose(call: Call) -> Reply:
    optional = {"description": str, "composeType": str, "appName": str, "composeFile": str}
    body = same_shape(call, "compose.create", {"name": str, "environmentId": str}, optional)
    kind = body.get("composeType") or "docker-compose"
    if kind not in ("docker-compose", "stack"):
        raise Refused(invalid("compose.create", {"composeType": "Invalid option"}))
    if _limited(call):
        raise Refused(failure(401, "Permission denied", "compose.create"))
    query = "SELECT 1 FROM dokploy_environments WHERE id = ?"
    if call.db.execute(query, (body["environmentId"],)).fetchone() is None:
        raise Refused(failure(404, "Environment not found", "compose.create"))
    number = _id()
    app = f"{body.get('appName') or 'compose'}-{secrets.token_hex(3)}"
    call.db.execute(
        "INSERT INTO dokploy_composes VALUES (?, ?, ?, ?, ?, NULL, ?, 'github', ?, './docker-compose.yml', 'idle', ?)",
        (
            number,
            body["environmentId"],
            body["name"],
            app,
            body.get("description"),
            body.get("composeFile") or "",
            kind,
            _stamp(call.now),
        ),
    )
    return Reply(200, _compose_shown(call.db, _compose(call, number), whole=False))


UPDATABLE = {
    "name": "name",
    "description": "description",
    "env": "env",
    "composeFile": "file",
    "sourceType": "source",
    "composeType": "kind",
    "composePath": "path",
}  # appName is ignored by an update


def update_compose(call: Call) -> Reply:
    body = same_shape(call, "compose.update", {"composeId": str}, dict.fromkeys(UPDATABLE, str))
    if body.get("sourceType", "raw") not in SOURCES:
        raise Refused(invalid("compose.update", {"sourceType": "Invalid option"}))
    row = call.db.execute("SELECT * FROM dokploy_composes WHERE id = ?", (body["composeId"],)).fetchone()
    if row is None:
        return Reply(200)  # as the real one answers
    for field, column in UPDATABLE.items():
        if field in body:
            call.db.execute(f"UPDATE dokploy_composes SET {column} = ? WHERE id = ?", (body[field], row["id"]))
    return Reply(200, _compose_shown(call.db, _compose(call, row["id"]), whole=False))


def deploy(call: Call) -> Reply:
    body = same_shape(call, "compose.deploy", {"composeId": str}, {"title": str, "description": str})
    row = _compose(call, body["composeId"], "compose.deploy")
    title = body.get("title") or "Manual deployment"
    values = (_id(), row["id"], title, body.get("description") or "", _stamp(call.now))
    call.db.execute(
        "INSERT INTO dokploy_deployments (id, compose, title, description, status, looks, log, created_at)"
        " VALUES (?, ?, ?, ?, 'queued', 0, '', ?)",
        values,
    )
    return Reply(200, {"success": True, "message": "Deployment queued", "composeId": row["id"]})


def delete_compose(call: Call) -> Reply:
    body = same_shape(call, "compose.delete", {"composeId": str}, {"deleteVolumes": bool})
    row = _compose(call, body["composeId"], "compose.delete")
    shown = _compose_shown(call.db, row, whole=True)
    call.db.execute("DELETE FROM dokploy_deployments WHERE compose = ?", (row["id"],))
    call.db.execute("DELETE FROM dokploy_composes WHERE id = ?", (row["id"],))
    return Reply(200, shown)


# --- deployments ---------------------------------------------------------------------------------------------------------


def _look(call: Call, compose: str) -> None:
    """Each look brings the oldest deployment that has not ended nearer to its end."""
    row = call.db.execute(
        "SELECT * FROM dokploy_deployments WHERE compose = ? AND status IN ('queued', 'running') ORDER BY seq LIMIT 1",
        (compose,),
    ).fetchone()
    if row is None:
        return
    looks, status, log, finished = row["looks"] + 1, "running", "Initializing deployment", None
    if looks >= LOOKS:
        status, log = _ended(call.db.execute("SELECT * FROM dokploy_composes WHERE id = ?", (compose,)).fetchone())
        finished = _stamp(call.now)
        call.db.execute("UPDATE dokploy_composes SET status = ? WHERE id = ?", (status, compose))
    call.db.execute(
        "UPDATE dokploy_deployments SET status = ?, looks = ?, log = ?, finished_at = ? WHERE seq = ?",
        (status, looks, log, finished, row["seq"]),
    )


def _ended(compose: sqlite3.Row) -> tuple[str, str]:
    """How a deployment of this compose ends, and its log."""
    if compose["source"] != "raw":
        return "error", "Initializing deployment\nError: \u274c Github Provider not found\n\nError occurred \u274c"
    frame = "\u2554" + "\u2550" * 78 + "\u2557\n\u2551 App Name: " + compose["app_name"].ljust(67) + "\u2551\n"
    begin = f"Initializing deployment\nFile 'docker-compose.yml' created: \u2705\n{frame}"
    end = "Error: \u274c Docker command failed\n\nError occurred \u274c, check the logs for details.\n"
    try:
        data = yaml.safe_load(compose["file"])
    except yaml.YAMLError as error:
        return (
            "error",
            f"{begin}yaml: line {getattr(error, 'problem_mark', None) and 1}: did not find expected node\n{end}",
        )
    if not isinstance(data, Mapping) or not data.get("services"):
        return "error", f"{begin}empty compose file\n{end}"
    if "fails.example" in compose["file"]:
        reason = "Error response from daemon: manifest for fails.example not found: manifest unknown"
        shown = f"environment was {compose['env']}" if compose["env"] else "no environment"  # logs do such things
        return "error", f"{begin} Image fails.example Pulling\n{reason}\n{shown}\n{end}"
    if "cancelled.example" in compose["file"]:
        return "cancelled", f"{begin}Deployment cancelled by user\n"
    return "done", f"{begin} Container {compose['app_name']}-web-1 Started\nDocker Compose Deployed: \u2705\n"


# --- what is shown -------------------------------------------------------------------------------------------------------


def _project_row(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "projectId": row["id"],
        "name": row["name"],
        "description": row["description"],
        "createdAt": row["created_at"],
        "organizationId": ORGANISATION,
        "env": row["env"],
    }


def _project_shown(db: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Any]:
    rows = db.execute("SELECT * FROM dokploy_environments WHERE project = ? ORDER BY rowid", (row["id"],)).fetchall()
    shown = [_environment_shown(db, each) for each in rows]
    return {**_project_row(row), "environments": shown, "projectTags": []}


def _environment_row(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "environmentId": row["id"],
        "name": row["name"],
        "description": row["description"],
        "createdAt": row["created_at"],
        "env": "",
        "projectId": row["project"],
        "isDefault": bool(row["is_default"]),
    }


def _environment_shown(db: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Any]:
    rows = db.execute("SELECT * FROM dokploy_composes WHERE environment = ? ORDER BY rowid", (row["id"],)).fetchall()
    composes = [{"composeId": each["id"], "name": each["name"], "composeStatus": each["status"]} for each in rows]
    named = {"name": row["name"], "environmentId": row["id"], "isDefault": bool(row["is_default"])}
    return {**named, **{kind: [] for kind in KINDS}, "compose": composes}


def _compose_shown(db: sqlite3.Connection, row: sqlite3.Row, whole: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "composeId": row["id"],
        "name": row["name"],
        "appName": row["app_name"],
        "description": row["description"],
        "env": row["env"],
        "composeFile": row["file"],
        "refreshToken": "sandbox",
        "sourceType": row["source"],
        "composeType": row["kind"],
        "autoDeploy": True,
        "command": "",
        "createEnvFile": True,
        "composePath": row["path"],
        "suffix": "",
        "randomize": False,
        "isolatedDeployment": False,
        "composeStatus": row["status"],
        "environmentId": row["environment"],
        "createdAt": row["created_at"],
        "serverId": None,
    }
    if not whole:
        return shown
    query = "SELECT * FROM dokploy_deployments WHERE compose = ? AND status != 'queued' ORDER BY seq DESC"
    ran = [_deployment_shown(each) for each in db.execute(query, (row["id"],)).fetchall()]
    environment = db.execute("SELECT * FROM dokploy_environments WHERE id = ?", (row["environment"],)).fetchone()
    project = db.execute("SELECT * FROM dokploy_projects WHERE id = ?", (environment["project"],)).fetchone()
    parent = {**_environment_row(environment), "project": _project_row(project)}
    return {**shown, "environment": parent, "deployments": ran, "mounts": [], "domains": []}


def _deployment_shown(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "deploymentId": row["id"],
        "title": row["title"],
        "description": row["description"],
        "status": row["status"],
        "logPath": f"/etc/dokploy/logs/{row['id']}.log",
        "pid": None,
        "applicationId": None,
        "composeId": row["compose"],
        "serverId": None,
        "isPreviewDeployment": False,
        "createdAt": row["created_at"],
        "startedAt": row["created_at"],
        "finishedAt": row["finished_at"],
        "errorMessage": None,
    }


def _job_shown(row: sqlite3.Row) -> dict[str, Any]:
    data = {"composeId": row["compose"], "titleLog": row["title"], "type": "deploy", "applicationType": "compose"}
    state = "waiting" if row["status"] == "queued" else "active"
    return {"id": f"job-{row['seq']}", "name": "deployments", "data": data, "timestamp": 0, "state": state}


def _compose(call: Call, number: str, procedure: str = "compose.one") -> sqlite3.Row:
    row: sqlite3.Row | None = call.db.execute("SELECT * FROM dokploy_composes WHERE id = ?", (number,)).fetchone()
    if row is None:
        raise Refused(failure(404, "Compose not found", procedure))
    return row


def _text(text: str) -> Reply:
    """A bare JSON text."""
    return Reply(200, json.dumps(text), {"content-type": "application/json"})


def _limited(call: Call) -> bool:
    return call.headers.get("x-api-key") == LIMITED


def _id() -> str:
    return secrets.token_urlsafe(16)[:21]


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seed(_: sqlite3.Connection) -> None:
    """A fresh installation holds no project."""


def _operation(method: str, procedure: str, handler: Callable[[Call], Reply]) -> Operation:
    def handle(call: Call) -> Reply:
        try:
            return handler(call)
        except Refused as refused:
            return refused.reply

    return Operation(method, f"/api/{procedure}", procedure, handle, method != "GET")


PROVIDER = Provider(
    name="dokploy",
    base="/dokploy",
    schema=SCHEMA,
    operations=(
        _operation("GET", "health", health),
        _operation("GET", "trpc/settings.health", panel_health),
        _operation("GET", "settings.getDokployVersion", version),
        _operation("GET", "user.get", user),
        _operation("GET", "project.all", all_projects),
        _operation("POST", "project.create", create_project),
        _operation("GET", "environment.byProjectId", environments),
        _operation("POST", "environment.create", create_environment),
        _operation("GET", "compose.one", one_compose),
        _operation("POST", "compose.create", create_compose),
        _operation("POST", "compose.update", update_compose),
        _operation("POST", "compose.deploy", deploy),
        _operation("POST", "compose.delete", delete_compose),
        _operation("GET", "deployment.allByCompose", deployments),
        _operation("GET", "deployment.queueList", queue),
        _operation("GET", "deployment.readLogs", read_logs),
    ),
    authenticate=authenticate,
    seed=seed,
    fault_reply=fault_reply,
)
