"""The projects of the sandbox's Vercel team: create, change, link to Git, pause, delete."""

from __future__ import annotations

import base64
import json
import re
import secrets
import sqlite3
from typing import Any

from smos.sandbox import vercel_deployments as deployments
from smos.sandbox import vercel_env as env
from smos.sandbox.provider import Call, Reply
from smos.sandbox.vercel_wire import (
    ELSEWHERE,
    ELSEWHERE_ID,
    PROJECT_TOKEN,
    SEEDED,
    TEAM,
    Refused,
    body_of,
    invalid,
    limit_of,
    moment,
    project_of,
    stamp,
    text,
)

NAME = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?")
TEXTS = ("buildCommand", "devCommand", "installCommand", "outputDirectory", "rootDirectory")
FRAMEWORKS = frozenset(
    {"nextjs", "vite", "astro", "nuxtjs", "sveltekit-1", "remix", "gatsby", "vue", "create-react-app"}
)
NODES = frozenset({"22.x", "20.x", "18.x", "16.x", "14.x", "12.x", "10.x"})
HOSTS = ("github", "github-limited", "gitlab", "bitbucket")
CREATED = frozenset({"name", "framework", "gitRepository", "publicSource", "environmentVariables", *TEXTS})
UPDATED = frozenset({"name", "framework", "nodeVersion", "publicSource", "autoAssignCustomDomains", *TEXTS})

SCHEMA = """
CREATE TABLE IF NOT EXISTS vercel_projects (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL UNIQUE, settings TEXT NOT NULL, link TEXT,
    paused INTEGER NOT NULL, live TEXT, request TEXT, created INTEGER NOT NULL UNIQUE, updated INTEGER NOT NULL);
"""


def seed(db: sqlite3.Connection) -> None:
    """The house's project, and one that has nothing to do with it."""
    for place, (project, name) in enumerate(((PROJECT_TOKEN, SEEDED), (ELSEWHERE_ID, ELSEWHERE))):
        created = stamp("2026-01-05") + place
        db.execute(
            "INSERT OR IGNORE INTO vercel_projects (id, name, settings, paused, created, updated) VALUES (?,?,?,0,?,?)",
            (project, name, json.dumps({"framework": "nextjs"}), created, created),
        )


def listed(call: Call) -> Reply:
    """A page of projects, the newest first; the next page is named by a text token."""
    query = call.query
    before = 2**62
    if query.get("from"):
        try:
            before = int(base64.b32decode(query["from"]).decode())
        except (ValueError, UnicodeError):
            raise invalid("`from` is not a continuation token.") from None
    limit = limit_of(query)
    rows = call.db.execute(
        "SELECT * FROM vercel_projects WHERE created < ? AND instr(name, ?) > 0 ORDER BY created DESC LIMIT ?",
        (before, query.get("search", ""), limit + 1),
    ).fetchall()
    rows = rows if query.get("teamId") or query.get("slug") else []
    shown = rows[:limit]
    token = base64.b32encode(str(shown[-1]["created"]).encode()).decode() if len(rows) > limit else None
    return Reply(200, {"projects": [_shown(row) for row in shown], "pagination": {"count": len(shown), "next": token}})


def get(call: Call) -> Reply:
    return Reply(200, _shown(deployments.advance(call, project_of(call))))


def create(call: Call) -> Reply:
    """Create a project: 409 when the name is taken."""
    body = body_of(call, CREATED)
    name = _name(call, body)
    settings = _settings(body, {})
    made, now = f"prj_{secrets.token_hex(12)}", moment(call, "vercel_projects")
    git = body.get("gitRepository")
    link = json.dumps(_link(git, now)) if git is not None else None
    call.db.execute(
        "INSERT INTO vercel_projects (id, name, settings, link, paused, created, updated) VALUES (?,?,?,?,0,?,?)",
        (made, name, json.dumps(settings), link, now, now),
    )
    row = project_of(call, made)
    for item in body.get("environmentVariables") or []:
        try:
            env.add(call, row, item)
        except env.Failed as failed:
            raise Refused(400, failed.error["code"], failed.error["message"]) from None
    return Reply(200, _shown(row))


def update(call: Call) -> Reply:
    row, body = project_of(call), body_of(call, UPDATED)
    name = _name(call, body, row["id"]) if "name" in body else row["name"]
    settings = _settings(body, json.loads(row["settings"]))
    call.db.execute(
        "UPDATE vercel_projects SET name = ?, settings = ?, updated = ? WHERE id = ?",
        (name, json.dumps(settings), int(call.now * 1000), row["id"]),
    )
    return Reply(200, _shown(project_of(call, row["id"])))


def delete(call: Call) -> Reply:
    row = project_of(call)
    for table in ("vercel_domains", "vercel_env", "vercel_deployments"):
        call.db.execute(f"DELETE FROM {table} WHERE project_id = ?", (row["id"],))
    call.db.execute("DELETE FROM vercel_projects WHERE id = ?", (row["id"],))
    return Reply(204)


def link(call: Call) -> Reply:
    """Link a project to a repository (not in the published description; used by the official clients)."""
    row, body = project_of(call), body_of(call, ("type", "repo", "gitCredentialId"))
    made = _link(body, int(call.now * 1000))
    call.db.execute("UPDATE vercel_projects SET link = ? WHERE id = ?", (json.dumps(made), row["id"]))
    return Reply(200, _shown(project_of(call, row["id"])))


def unlink(call: Call) -> Reply:
    row = project_of(call)
    call.db.execute("UPDATE vercel_projects SET link = NULL WHERE id = ?", (row["id"],))
    return Reply(200, _shown(project_of(call, row["id"])))


def pause(call: Call) -> Reply:
    return _paused(call, True)


def unpause(call: Call) -> Reply:
    return _paused(call, False)


def _paused(call: Call, paused: bool) -> Reply:
    row = project_of(call)
    if call.params["project"] != row["id"]:  # these two take the id only
        raise Refused(404, "not_found", "Project not found.")
    call.db.execute("UPDATE vercel_projects SET paused = ? WHERE id = ?", (int(paused), row["id"]))
    return Reply(200)


def _name(call: Call, body: dict[str, Any], but_not: str = "") -> str:
    name = text(body, "name", 100)
    if name is None:
        raise invalid("missing required property `name`.")
    if not NAME.fullmatch(name) or "---" in name:
        why = "Project names can be up to 100 characters long and must be lowercase. They can include letters, digits,"
        raise Refused(400, "bad_request", f"{why} and the following characters: '.', '_', '-'.")
    if call.db.execute("SELECT 1 FROM vercel_projects WHERE name = ? AND id != ?", (name, but_not)).fetchone():
        raise Refused(409, "conflict", f'The project "{name}" already exists on your team.')
    return name


def _settings(body: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    settings = dict(before)
    for key in TEXTS:
        if key in body:
            settings[key] = text(body, key, 256, null=True)
    if "framework" in body:
        settings["framework"] = text(body, "framework", null=True)
        if settings["framework"] not in (None, *FRAMEWORKS):
            raise invalid("`framework` should be equal to one of the allowed values.")
    if "autoAssignCustomDomains" in body:
        if not isinstance(body["autoAssignCustomDomains"], bool):
            raise invalid("`autoAssignCustomDomains` should be boolean.")
        settings["autoAssignCustomDomains"] = body["autoAssignCustomDomains"]
    if "nodeVersion" in body:
        settings["nodeVersion"] = text(body, "nodeVersion")
        if settings["nodeVersion"] not in NODES:
            raise invalid("`nodeVersion` should be equal to one of the allowed values.")
    return settings


def _link(body: Any, now: int) -> dict[str, Any]:
    repo = text(body, "repo") if isinstance(body, dict) else None
    kind = text(body, "type") if isinstance(body, dict) else None
    if kind not in HOSTS or not repo or repo.count("/") != 1 or not all(repo.split("/")):
        raise invalid("a repository needs `type` and `repo` (owner/name).")
    owner, name = repo.split("/")
    common = {"type": kind, "createdAt": now, "updatedAt": now, "deployHooks": [], "productionBranch": "main"}
    common |= {"gitCredentialId": "cred_sandbox", "sourceless": True}
    if kind == "gitlab":
        return common | {
            "projectId": "1",
            "projectName": name,
            "projectNameWithNamespace": f"{owner} / {name}",
            "projectNamespace": owner,
            "projectUrl": f"https://gitlab.example.com/{repo}",
        }
    if kind == "bitbucket":
        return common | {"name": name, "slug": name, "owner": owner, "uuid": "{1}", "workspaceUuid": "{2}"}
    return common | {"org": owner, "repo": name, "repoId": 1}


def _shown(row: sqlite3.Row) -> dict[str, Any]:
    settings = json.loads(row["settings"])
    shown: dict[str, Any] = {
        "id": row["id"],
        "name": row["name"],
        "accountId": TEAM,
        "framework": settings.get("framework"),
        "directoryListing": False,
        "nodeVersion": settings.get("nodeVersion", "22.x"),
        "resourceConfig": {"functionDefaultRegions": ["iad1"]},
        "defaultResourceConfig": {"functionDefaultRegions": ["iad1"]},
        "latestDeployments": [],
        "targets": {},
        "live": False,
        "autoAssignCustomDomains": settings.get("autoAssignCustomDomains", True),
        "lastAliasRequest": json.loads(row["request"]) if row["request"] else None,
        "createdAt": row["created"],
        "updatedAt": row["updated"],
        **{key: settings.get(key) for key in TEXTS},
    }
    if row["link"]:
        shown["link"] = json.loads(row["link"])
    if row["paused"]:
        shown["paused"] = True
    return shown
