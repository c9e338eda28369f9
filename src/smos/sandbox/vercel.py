"""Vercel's REST API as far as SmarterOS uses it: the token, one team, its projects, their variables, domains and
deployments.

Every path has the version of its endpoint, as the real one has. Traps included: a bad token is answered 403 with
``invalidToken``; a call without the team looks into an empty personal account; a bulk of variables is answered 201
even where some failed; a domain that is new and outside ``smarterbot.cl`` has to be verified by TXT.

Tokens besides the usual one: ``sandbox-vercel-limited`` sees the projects, but not their domains and variables;
``sandbox-vercel-project`` is a token for the project ``smarteros-app`` alone, refused about the user and the team.

The owners' DNS, which is no part of Vercel, is kept here too (see ``vercel_domains.py``): ``POST /_dns`` with
``{"name", "type", "value"}`` is what the owner of a custom domain does at his own provider. A domain whose name
begins with ``verified.`` has everything in place as soon as it is added.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from typing import Any

from smos.sandbox import vercel_deployments as deployments
from smos.sandbox import vercel_domains as domains
from smos.sandbox import vercel_env as env
from smos.sandbox import vercel_projects as projects
from smos.sandbox.provider import Call, Operation, Provider, Reply, Throttle
from smos.sandbox.vercel_wire import PERSONAL, PROJECT_TOKEN, SEEDED, TEAM, TEAM_SLUG, Refused, stamp

LIMITED = "sandbox-vercel-limited"
ONE_PROJECT = "sandbox-vercel-project"
EXPIRES_MS = 1_830_297_600_000  # 2028-01-01

SCHEMA = projects.SCHEMA + env.SCHEMA + domains.SCHEMA + deployments.SCHEMA


def _error(status: int, code: str, message: str, **more: Any) -> Reply:
    return Reply(status, {"error": {"code": code, "message": message, **more}}, {"x-vercel-id": _trace()})


def _trace() -> str:
    return f"sandbox1::{secrets.token_hex(6)}"


def fault_reply(status: int, message: str) -> Reply:
    """Faults, the rate limit and unknown paths in Vercel's envelope."""
    if status == 429:
        reset = int(time.time()) + 60
        limit = {"remaining": 0, "reset": reset, "resetMs": reset * 1000, "total": 500}
        return _error(429, "rate_limited", "Too many requests. Try again in 1 minute.", limit=limit)
    known = {
        400: ("bad_request", "Invalid JSON"),
        404: ("not_found", "The requested API endpoint was not found."),
        405: ("method_unknown", "The requested method is not known for this endpoint."),
    }
    code, text = known.get(status, ("internal_server_error", message))
    return _error(status, code, text)


def authenticate(call: Call, tokens: frozenset[str]) -> Reply | None:
    """Bearer tokens; then the team that the call names, and what the token may see. Pages are seen by everybody."""
    if call.path.startswith("/_web/"):
        return None
    scheme, _, token = call.headers.get("authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        return _error(403, "forbidden", "The request is missing an authentication token", missingToken=True)
    if token not in {*tokens, LIMITED, ONE_PROJECT}:
        return _error(403, "forbidden", "Not authorized", invalidToken=True)
    team = call.query.get("teamId") or call.query.get("slug")
    if team not in (None, TEAM, TEAM_SLUG):
        text = (
            f'Not authorized: Trying to access resource under scope "{team}". You must re-authenticate to this scope.'
        )
        return _error(403, "forbidden", text)
    beyond = token == LIMITED and any(part in call.path for part in ("/domains", "/env"))
    if beyond or (token == ONE_PROJECT and not _its_project(call)):
        return _error(403, "forbidden", "You don't have permission to access this resource.")
    return None


def _its_project(call: Call) -> bool:
    named = call.params.get("project") or call.query.get("projectIdOrName")
    return named in (SEEDED, PROJECT_TOKEN)


def get_user(_: Call) -> Reply:
    user: dict[str, Any] = {
        "id": PERSONAL,
        "email": "ops@example.com",
        "name": "SmarterOS sandbox",
        "username": "smarteros-sandbox",
        "avatar": None,
        "defaultTeamId": TEAM,
        "createdAt": stamp("2026-01-05"),
        "softBlock": None,
        "billing": None,
        "resourceConfig": {},
        "stagingPrefix": "smarteros-sandbox",
        "hasTrialAvailable": False,
    }
    return Reply(200, {"user": user})


def get_token(call: Call) -> Reply:
    if call.params["token"] not in ("current", "sandbox-token-id"):
        raise Refused(404, "not_found", "Token not found")
    created = stamp("2026-01-05")
    scope = {"type": "team", "teamId": TEAM, "origin": "manual", "createdAt": created, "expiresAt": EXPIRES_MS}
    token = {
        "id": "sandbox-token-id",
        "name": "SmarterOS",
        "type": "oauth2-token",
        "origin": "manual",
        "scopes": [scope],
        "createdAt": created,
        "activeAt": created,
        "expiresAt": EXPIRES_MS,
    }
    return Reply(200, {"token": token})


def get_team(call: Call) -> Reply:
    if call.params["team"] not in (TEAM, TEAM_SLUG):
        raise Refused(403, "forbidden", "Not authorized to access the team.")
    created = stamp("2026-01-05")
    team = {
        "id": TEAM,
        "slug": TEAM_SLUG,
        "name": "SmarterOS sandbox",
        "creatorId": PERSONAL,
        "createdAt": created,
        "updatedAt": created,
        "description": None,
        "stagingPrefix": TEAM_SLUG,
        "avatar": None,
        "membership": {"role": "OWNER", "confirmed": True, "createdAt": created, "created": created},
    }
    return Reply(200, team)


def seed(db: sqlite3.Connection) -> None:
    """The house's project with its own domain, and another one that holds ``taken.example.com``."""
    projects.seed(db)
    domains.seed(db)


def _guarded(handler: Any) -> Any:
    """A handler whose refusals are raised anywhere below it; every answer has an id."""

    def run(call: Call) -> Reply:
        try:
            reply: Reply = handler(call)
        except Refused as refusal:
            return _error(refusal.status, refusal.code, str(refusal), **refusal.more)
        return Reply(reply.status, reply.body, {**reply.headers, "x-vercel-id": _trace()})

    return run


def _rate_headers(left: int, reset: int) -> dict[str, str]:
    return {
        "x-ratelimit-limit": "500",
        "x-ratelimit-remaining": str(left),
        "x-ratelimit-reset": str(int(time.time()) + reset),
    }


PROVIDER = Provider(
    name="vercel",
    base="/vercel",
    schema=SCHEMA,
    operations=tuple(
        Operation(method, path, name, _guarded(handler), method != "GET")
        for method, path, name, handler in (
            ("GET", "/v2/user", "user.get", get_user),
            ("GET", "/v5/user/tokens/{token}", "user.tokens.get", get_token),
            ("GET", "/v2/teams/{team}", "teams.get", get_team),
            ("GET", "/v10/projects", "projects.list", projects.listed),
            ("POST", "/v11/projects", "projects.create", projects.create),
            ("GET", "/v9/projects/{project}", "projects.get", projects.get),
            ("PATCH", "/v9/projects/{project}", "projects.update", projects.update),
            ("DELETE", "/v9/projects/{project}", "projects.delete", projects.delete),
            ("POST", "/v9/projects/{project}/link", "projects.link", projects.link),
            ("DELETE", "/v9/projects/{project}/link", "projects.unlink", projects.unlink),
            ("POST", "/v1/projects/{project}/pause", "projects.pause", projects.pause),
            ("POST", "/v1/projects/{project}/unpause", "projects.unpause", projects.unpause),
            ("GET", "/v10/projects/{project}/env", "env.list", env.listed),
            ("POST", "/v10/projects/{project}/env", "env.create", env.create),
            ("DELETE", "/v1/projects/{project}/env", "env.delete_many", env.delete_many),
            ("GET", "/v1/projects/{project}/env/{id}", "env.get", env.get),
            ("PATCH", "/v9/projects/{project}/env/{id}", "env.update", env.update),
            ("DELETE", "/v9/projects/{project}/env/{id}", "env.delete", env.delete),
            ("GET", "/v9/projects/{project}/domains", "domains.list", domains.listed),
            ("POST", "/v10/projects/{project}/domains", "domains.add", domains.add),
            ("GET", "/v9/projects/{project}/domains/{domain}", "domains.get", domains.get),
            ("PATCH", "/v9/projects/{project}/domains/{domain}", "domains.update", domains.update),
            ("DELETE", "/v9/projects/{project}/domains/{domain}", "domains.remove", domains.remove),
            ("POST", "/v9/projects/{project}/domains/{domain}/verify", "domains.verify", domains.verify),
            ("GET", "/v6/domains/{domain}/config", "domains.config", domains.config),
            ("GET", "/v6/deployments", "deployments.list", deployments.listed),
            ("GET", "/v7/deployments", "deployments.list", deployments.listed),
            ("POST", "/v13/deployments", "deployments.create", deployments.create),
            ("GET", "/v13/deployments/{deployment}", "deployments.get", deployments.get),
            ("GET", "/v3/deployments/{deployment}/events", "deployments.events", deployments.events),
            ("POST", "/v10/projects/{project}/promote/{deployment}", "projects.promote", deployments.promote),
            ("POST", "/v1/projects/{project}/rollback/{deployment}", "projects.rollback", deployments.rollback),
            ("GET", "/v1/projects/{project}/promote/aliases", "projects.promote_aliases", deployments.promote_aliases),
            ("GET", "/v4/aliases/{alias}", "aliases.get", deployments.alias),
            ("GET", "/_web/{host}", "web.get", deployments.web),
            ("GET", "/_web/{host}/{path:path}", "web.get", deployments.web),
            ("POST", "/_dns", "dns.set", domains.set_dns),
            ("DELETE", "/_dns/{name}", "dns.clear", domains.clear_dns),
        )
    ),
    authenticate=authenticate,
    seed=seed,
    fault_reply=fault_reply,
    throttle=Throttle(500, 60, _rate_headers),
)
