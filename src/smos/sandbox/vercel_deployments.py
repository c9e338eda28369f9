"""The deployments of the sandbox's Vercel: builds, logs, what a domain shows, promote and rollback.

A build moves on whenever somebody looks at it, not by the clock: QUEUED when it is made, BUILDING at the first look,
its end at the second. The ref says what becomes of it: one that ends with ``-broken`` fails, ``-slow`` takes eight looks,
``-stuck`` never ends, ``-sick`` is built and answers 503 afterwards, and a ref that ends with ``-nowhere`` is in no
repository. A promotion moves on in the same way, at each look at its project.

``GET /_web/{host}/{path}`` is what a browser would see at ``https://host/path``; it is no part of the API.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from typing import Any

from smos.sandbox.provider import Call, Reply
from smos.sandbox.vercel_wire import (
    PERSONAL,
    TEAM,
    TEAM_SLUG,
    Refused,
    body_of,
    invalid,
    limit_of,
    moment,
    number,
    project_of,
    text,
)

SCHEMA = """
CREATE TABLE IF NOT EXISTS vercel_deployments (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, project_id TEXT NOT NULL, name TEXT NOT NULL,
    url TEXT NOT NULL UNIQUE, target TEXT, git TEXT NOT NULL, meta TEXT NOT NULL, looks INTEGER NOT NULL,
    promoted INTEGER NOT NULL, created INTEGER NOT NULL UNIQUE);
CREATE INDEX IF NOT EXISTS vercel_deployments_project ON vercel_deployments (project_id);
"""

QUEUED, BUILDING, READY, ERROR = "QUEUED", "BUILDING", "READY", "ERROR"
USUAL_LOOKS, SLOW_LOOKS, NEVER = 2, 8, 10**9
SOURCES = ("github", "github-limited", "gitlab", "bitbucket")
FIELDS = frozenset(
    {"name", "project", "target", "meta", "gitSource", "projectSettings", "deploymentId", "files", "withLatestCommit"}
)
FAILED = {
    "errorCode": "BUILD_FAILED",
    "errorMessage": 'Command "npm run build" exited with 1',
    "errorStep": "buildStep",
}


def create(call: Call) -> Reply:
    """Begin a build of a git ref."""
    body = body_of(call, FIELDS)
    name = text(body, "name", 100)
    if name is None:
        raise invalid("missing required property `name`.")
    project = project_of(call, text(body, "project") or name)
    git = _source(body.get("gitSource"))
    target = text(body, "target", null=True)
    if target not in (None, "production", "staging"):
        raise invalid("`target` should be equal to one of the allowed values.")
    meta = body.get("meta") or {}
    if not isinstance(meta, dict) or not all(isinstance(each, str) for each in meta.values()):
        raise invalid("`meta` should be an object of strings.")
    now, made = moment(call, "vercel_deployments"), f"dpl_{secrets.token_hex(14)}"
    url = f"{project['name']}-{secrets.token_hex(5)}-{TEAM_SLUG}.vercel.app"
    call.db.execute(
        "INSERT INTO vercel_deployments (id, project_id, name, url, target, git, meta, looks, promoted, created)"
        " VALUES (?,?,?,?,?,?,?,0,0,?)",
        (made, project["id"], project["name"], url, target, json.dumps(git), json.dumps(meta), now),
    )
    return Reply(200, _shown(_deployment(call, made), project))


def get(call: Call) -> Reply:
    """One deployment by its id or host name; the build moves on by one step."""
    row = _deployment(call, call.params["deployment"])
    project = project_of(call, row["project_id"])
    call.db.execute("UPDATE vercel_deployments SET looks = looks + 1 WHERE id = ?", (row["id"],))
    before, row = row, _deployment(call, row["id"])
    if state_of(before) != READY == state_of(row) and row["target"] == "production" and _auto_assigns(project):
        show(call, project["id"], row["id"])
        row, project = _deployment(call, row["id"]), project_of(call, project["id"])
    return Reply(200, _shown(row, project))


def listed(call: Call) -> Reply:
    """A page of a project's deployments, the newest first; ``until`` is a moment that is not included."""
    query = call.query
    if not query.get("projectId"):
        raise invalid("the sandbox lists the deployments of one project: `projectId`.")
    project = project_of(call, query["projectId"])
    clauses, values = ["project_id = ?"], [project["id"]]
    if query.get("target"):
        clauses.append("target = ?")
        values.append(query["target"])
    until = number(query, "until")
    if until is not None:
        clauses.append("created < ?")
        values.append(until)
    rows = call.db.execute(
        f"SELECT * FROM vercel_deployments WHERE {' AND '.join(clauses)} ORDER BY created DESC", values
    ).fetchall()
    states = set(filter(None, query.get("state", "").split(",")))
    rows = [row for row in rows if not states or state_of(row) in states]
    shown = rows[: limit_of(query)]
    pages = {
        "count": len(shown),
        "next": shown[-1]["created"] if len(rows) > len(shown) else None,
        "prev": shown[0]["created"] if shown else None,
    }
    return Reply(200, {"deployments": [_row(each) for each in shown], "pagination": pages})


def events(call: Call) -> Reply:
    """The build's log as a list; ``direction=backward`` gives the newest line first."""
    row = _deployment(call, call.params["deployment"])
    lines = _log(call, row)
    found = [
        {
            "type": kind,
            "created": row["created"] + place,
            "payload": {
                "deploymentId": row["id"],
                "id": f"{row['created']}{place:06d}",
                "date": row["created"] + place,
                "serial": f"{row['created']}{place:06d}",
                "text": words,
            },
        }
        for place, (kind, words) in enumerate(lines)
    ]
    if call.query.get("direction") == "backward":
        found.reverse()
    limit = number(call.query, "limit")
    return Reply(200, found if limit in (None, -1) else found[:limit])


def promote(call: Call) -> Reply:
    """Point production to a deployment that is built: accepted, and done some looks at the project later."""
    return _request(call, "promote")


def rollback(call: Call) -> Reply:
    """Point production back to a deployment that was there before."""
    return _request(call, "rollback")


def promote_aliases(call: Call) -> Reply:
    """The domains of the last promotion that failed: none, here."""
    project_of(call)
    return Reply(200, {"aliases": [], "pagination": {"count": 0, "next": None, "prev": None}})


def alias(call: Call) -> Reply:
    """Which deployment a host name shows. The description calls the answer a list; clients take an object, too."""
    name = call.params["alias"].lower()
    project = _project_of_host(call, name)
    live = project["live"] if project is not None else None
    if project is None or live is None or not (call.query.get("teamId") or call.query.get("slug")):
        raise Refused(404, "not_found", f"Alias not found: {name}")
    row = _deployment(call, live)
    shown = {
        "uid": f"als_{project['id'][4:]}",
        "alias": name,
        "created": "2026-01-05T00:00:00.000Z",
        "createdAt": row["created"],
        "deployment": {"id": row["id"], "url": row["url"]},
        "deploymentId": row["id"],
        "projectId": project["id"],
        "redirect": None,
    }
    return Reply(200, [shown])


def web(call: Call) -> Reply:
    """No part of Vercel's API: what a browser gets."""
    host = call.params["host"].lower()
    row = call.db.execute("SELECT * FROM vercel_deployments WHERE url = ?", (host,)).fetchone()
    if row is None:
        project = _project_of_host(call, host)
        row = _deployment(call, project["live"]) if project is not None and project["live"] else None
    if row is None or state_of(row) != READY:
        return Reply(404, "The deployment could not be found on Vercel.\n\nDEPLOYMENT_NOT_FOUND")
    if _ref(row).endswith("-sick"):
        return Reply(503, "This Serverless Function has crashed.\n\nFUNCTION_INVOCATION_FAILED")
    return Reply(200, f"{row['name']} {_ref(row)}")


def advance(call: Call, project: sqlite3.Row) -> sqlite3.Row:
    """Move the project's promotion or rollback on by one step; gives the project as it is then."""
    request = json.loads(project["request"]) if project["request"] else None
    if request is None or request["jobStatus"] not in ("pending", "in-progress"):
        return project
    following = "in-progress" if request["jobStatus"] == "pending" else "succeeded"
    if following == "succeeded":
        show(call, project["id"], request["toDeploymentId"])
    request["jobStatus"] = following
    call.db.execute("UPDATE vercel_projects SET request = ? WHERE id = ?", (json.dumps(request), project["id"]))
    return project_of(call, project["id"])


def show(call: Call, project_id: str, deployment_id: str) -> None:
    """Have the project's domains show a deployment."""
    call.db.execute("UPDATE vercel_projects SET live = ? WHERE id = ?", (deployment_id, project_id))
    call.db.execute("UPDATE vercel_deployments SET promoted = 1 WHERE id = ?", (deployment_id,))


def state_of(row: sqlite3.Row) -> str:
    """How far the build is."""
    ref = _ref(row)
    needed = NEVER if ref.endswith("-stuck") else SLOW_LOOKS if ref.endswith("-slow") else USUAL_LOOKS
    if row["looks"] >= needed:
        return ERROR if ref.endswith("-broken") else READY
    return BUILDING if row["looks"] else QUEUED


def _request(call: Call, kind: str) -> Reply:
    project = project_of(call)
    row = _deployment(call, call.params["deployment"])
    request = json.loads(project["request"]) if project["request"] else None
    if request is not None and request["jobStatus"] in ("pending", "in-progress"):
        raise Refused(409, "conflict", f"A {request['type']} is already in progress.")
    if row["project_id"] != project["id"]:
        raise Refused(404, "not_found", "Deployment not found.")
    if state_of(row) != READY or row["target"] != "production":
        raise Refused(400, "bad_request", "Only production deployments that are ready can be promoted.")
    if kind == "rollback" and not row["promoted"]:
        raise Refused(422, "unprocessable_entity", "The deployment was never in production.")
    wanted = {
        "fromDeploymentId": project["live"] or "",
        "toDeploymentId": row["id"],
        "jobStatus": "pending",
        "requestedAt": int(call.now * 1000),
        "type": kind,
    }
    call.db.execute("UPDATE vercel_projects SET request = ? WHERE id = ?", (json.dumps(wanted), project["id"]))
    return Reply(201 if kind == "rollback" else 202)


def _auto_assigns(project: sqlite3.Row) -> bool:
    """After a rollback no new deployment takes the domains until somebody promotes one."""
    request = json.loads(project["request"]) if project["request"] else {}
    wished = json.loads(project["settings"]).get("autoAssignCustomDomains", True)
    return bool(wished) and request.get("type") != "rollback"


def _source(git: Any) -> dict[str, Any]:
    if not isinstance(git, dict):
        raise invalid("the sandbox builds git refs only: `gitSource` is missing.")
    kind, ref = text(git, "type"), text(git, "ref")
    named = {"gitlab": ("projectId",), "bitbucket": ("owner", "slug")}.get(kind or "", ("org", "repo"))
    if kind not in SOURCES or not ref or not (all(git.get(each) for each in named) or git.get("repoId")):
        raise invalid("`gitSource` should match one of the forms of its type.")
    if ref.endswith("-nowhere"):
        words = "The provided GitHub repository does not contain the requested branch or commit reference."
        raise Refused(400, "incorrect_git_source_info", f"{words} Please ensure the repository is not empty.")
    return git


def _deployment(call: Call, named: str) -> sqlite3.Row:
    row: sqlite3.Row | None = call.db.execute(
        "SELECT * FROM vercel_deployments WHERE id = ? OR url = ?", (named, named)
    ).fetchone()
    if row is None:
        raise Refused(404, "not_found", "The deployment could not be found on Vercel.")
    return row


def _project_of_host(call: Call, name: str) -> sqlite3.Row | None:
    row: sqlite3.Row | None = call.db.execute(
        "SELECT p.* FROM vercel_projects p JOIN vercel_domains d ON d.project_id = p.id"
        " WHERE d.name = ? AND d.redirect IS NULL AND d.verified = 1",
        (name,),
    ).fetchone()
    if row is None and name.endswith(".vercel.app"):
        row = call.db.execute("SELECT * FROM vercel_projects WHERE name = ?", (name.partition(".")[0],)).fetchone()
    return row


def _ref(row: sqlite3.Row) -> str:
    return str(json.loads(row["git"])["ref"])


def _log(call: Call, row: sqlite3.Row) -> list[tuple[str, str]]:
    """What a build says. A failing one prints a secret, as careless builds do, where the sandbox has kept it."""
    git = json.loads(row["git"])
    lines = [
        ("stdout", f"Cloning {git['type']} {git.get('org', '')}/{git.get('repo', '')} (Branch: {git['ref']})"),
        ("stdout", "Cloning completed: 412.000ms"),
        ("command", "npm install"),
        ("stdout", "added 312 packages in 9s"),
        ("command", "npm run build"),
    ]
    if state_of(row) != ERROR:
        return [*lines, ("stdout", "Build Completed in /vercel/output [21s]")] if state_of(row) == READY else lines
    hidden = call.db.execute(
        "SELECT key, value FROM vercel_env WHERE project_id = ? AND type = 'encrypted' ORDER BY seq",
        (row["project_id"],),
    ).fetchone()
    careless = [("stdout", f"using {hidden['key']}={hidden['value']}")] if hidden is not None else []
    return [
        *lines,
        *careless,
        ("stderr", "./app/page.tsx:12:7"),
        ("stderr", "Type error: Property 'total' does not exist on type 'Order'."),
        ("stderr", 'Error: Command "npm run build" exited with 1'),
    ]


def _common(row: sqlite3.Row) -> dict[str, Any]:
    state = state_of(row)
    shown = {
        "name": row["name"],
        "url": row["url"],
        "projectId": row["project_id"],
        "type": "LAMBDAS",
        "readyState": state,
        "meta": json.loads(row["meta"]),
        "target": row["target"],
        "createdAt": row["created"],
        "inspectorUrl": f"https://vercel.com/{TEAM_SLUG}/{row['name']}/{row['id'][4:]}",
        "creator": {"uid": PERSONAL, "username": "smarteros-sandbox"},
        "source": "api-trigger-git-deploy",
    }
    if state == READY and row["target"] == "production":
        shown["readySubstate"] = "PROMOTED" if row["promoted"] else "STAGED"
    return {**shown, **(FAILED if state == ERROR else {})}


def _row(row: sqlite3.Row) -> dict[str, Any]:
    """As lists have it; some fields have other names there."""
    common = {key: value for key, value in _common(row).items() if key != "errorStep"}
    candidate = state_of(row) == READY and bool(row["promoted"])
    more = {"uid": row["id"], "created": row["created"], "state": state_of(row), "isRollbackCandidate": candidate}
    return {**common, **more}


def _shown(row: sqlite3.Row, project: sqlite3.Row) -> dict[str, Any]:
    live = project["live"] == row["id"]
    settings = json.loads(project["settings"])
    shown: dict[str, Any] = {
        **_common(row),
        "id": row["id"],
        "status": state_of(row),
        "aliasAssigned": live,
        "alias": [f"{row['name']}.vercel.app"] if live else [],
        "gitSource": json.loads(row["git"]),
        "project": {"id": project["id"], "name": project["name"], "framework": settings.get("framework")},
        "projectSettings": {},
        "team": {"id": TEAM, "name": "SmarterOS sandbox", "slug": TEAM_SLUG},
        "ownerId": TEAM,
        "build": {"env": []},
        "env": [],
        "regions": ["iad1"],
        "routes": None,
        "plan": "pro",
        "createdIn": "sfo1",
        "version": 2,
        "public": False,
        "bootedAt": row["created"],
        "buildingAt": row["created"],
        "buildSkipped": False,
        "isInConcurrentBuildsQueue": False,
        "isInSystemBuildsQueue": False,
    }
    if state_of(row) == READY:
        shown["ready"] = row["created"] + 21_000
    return shown
