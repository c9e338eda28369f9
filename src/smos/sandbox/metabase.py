# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Metabase 0.63 (open source) as far as SmarterOS uses it: groups, users, connections, and who may call what.

Collections and what is in them are in ``metabase_content``, both permission graphs in ``metabase_graphs``. Followed from
the released source, traps included: names of collections and connections need not be unique, a new connection can be
queried by everybody at first, and a collection is deleted only from the trash.
"""

from __future__ import annotations

import functools
import hashlib
import json
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any

from smos.sandbox import metabase_content as content
from smos.sandbox import metabase_graphs as graphs
from smos.sandbox.metabase_store import (
    ADMINISTRATORS,
    ALL_USERS,
    SCHEMA,
    Refused,
    body_of,
    new_id,
    row_of,
    seed,
    user_of,
)
from smos.sandbox.provider import Call, Operation, Provider, Reply

LIMITED = "sandbox-metabase-limited"
SESSION = "sandbox-metabase-session"  # of a person who works in the browser
MASKED = "**MetabasePass**"
VERSION = {"tag": "v0.63.5", "date": "2026-08-12", "branch": "release-x.63.x", "hash": "0000000"}
OPEN_PATHS = frozenset({"/api/health", "/api/session/properties"})
ANYBODYS = frozenset({"/api/user/current", "/api/session/properties"})  # of those who are logged in


def fault_reply(status: int, message: str) -> Reply:
    """Faults and unknown paths as Metabase tells them: plain text."""
    return Reply(status, {404: "API endpoint does not exist.", 429: "Too many attempts!"}.get(status, message))


def authenticate(call: Call, accepted: frozenset[str]) -> Reply | None:
    """An API key of the administrators, a session of a person, or a key that belongs to another group."""
    if call.path in OPEN_PATHS:
        return None
    key, session = call.headers.get("x-api-key", ""), call.headers.get("x-metabase-session", "")
    if key in accepted or session == SESSION:
        return None
    if key != LIMITED:
        return Reply(401, "Unauthenticated")
    return None if call.path in ANYBODYS else Reply(403, "You don't have permissions to do that.")


# --- the instance and its people -----------------------------------------------------------------------------------


def health(_call: Call) -> Reply:
    return Reply(200, {"status": "ok"})


def properties(_call: Call) -> Reply:
    return Reply(200, {"version": VERSION, "setup-token": None, "has-user-setup": True, "site-locale": "es"})


def current_user(call: Call) -> Reply:
    return Reply(200, _user_shown(call, row_of(call, "users", user_of(call))))


def list_users(call: Call) -> Reply:
    where = {"deactivated": "active = 0", "all": "1"}.get(call.query.get("status", ""), "active = 1")
    rows = call.db.execute(f"SELECT * FROM metabase_users WHERE {where} AND kind = 'person' ORDER BY id").fetchall()
    limit, offset = int(call.query.get("limit") or 0), int(call.query.get("offset") or 0)
    chosen = rows[offset : offset + limit] if limit else rows[offset:]
    data = [_user_shown(call, row) for row in chosen]
    return Reply(200, {"data": data, "total": len(rows), "limit": limit or None, "offset": offset or None})


def create_user(call: Call) -> Reply:
    body = body_of(
        call, {"email": str, "first_name": str, "last_name": str, "user_group_memberships": list}, ("email",)
    )
    email = str(body["email"]).lower()
    if call.db.execute("SELECT 1 FROM metabase_users WHERE email = ?", (email,)).fetchone():
        raise Refused(400, {"errors": {"email": "Email address already in use."}})
    groups = {each.get("id") for each in body.get("user_group_memberships") or [{"id": ALL_USERS}]}
    if ALL_USERS not in groups:
        raise Refused(400, "You cannot add or remove users to/from the 'All Users' group.")
    number = new_id(
        call,
        "users",
        email=email,
        name=" ".join(filter(None, (body.get("first_name"), body.get("last_name")))),
        superuser=int(ADMINISTRATORS in groups),
        kind="person",
    )
    for group in groups - {ALL_USERS}:
        _add_member(call, number, row_of(call, "groups", group)["id"])
    return Reply(200, _user_shown(call, row_of(call, "users", number)))


def deactivate_user(call: Call) -> Reply:
    number = row_of(call, "users", call.params["id"])["id"]
    call.db.execute("UPDATE metabase_users SET active = 0 WHERE id = ?", (number,))
    return Reply(200, {"success": True})


def reactivate_user(call: Call) -> Reply:
    row = row_of(call, "users", call.params["id"])
    if row["active"]:
        raise Refused(400, "Not able to reactivate an active user")
    call.db.execute("UPDATE metabase_users SET active = 1 WHERE id = ?", (row["id"],))
    return Reply(200, _user_shown(call, row_of(call, "users", row["id"])))


def _user_shown(call: Call, row: sqlite3.Row) -> dict[str, Any]:
    groups = call.db.execute("SELECT group_id FROM metabase_members WHERE user_id = ? ORDER BY 1", (row["id"],))
    return {
        "id": row["id"],
        "email": row["email"],
        "common_name": row["name"] or row["email"],
        "is_superuser": bool(row["superuser"]),
        "is_active": bool(row["active"]),
        "group_ids": [ALL_USERS, *(each[0] for each in groups)],
        "login_attributes": None,
        "locale": None,
        "date_joined": row["created_at"],
    }


# --- groups ----------------------------------------------------------------------------------------------------------


def list_groups(call: Call) -> Reply:
    rows = call.db.execute("SELECT * FROM metabase_groups ORDER BY lower(name)").fetchall()
    counts = dict(call.db.execute("SELECT group_id, COUNT(*) FROM metabase_members GROUP BY 1").fetchall())
    return Reply(200, [{**_group_shown(row), "member_count": counts.get(row["id"], 0)} for row in rows])


def create_group(call: Call) -> Reply:
    body = body_of(call, {"name": str, "is_tenant_group": bool}, ("name",))
    if body.get("is_tenant_group"):
        raise Refused(402, "Tenants is a paid feature not currently available to your instance.")
    _name_free(call, body["name"])
    number = new_id(call, "groups", name=body["name"], magic=None)
    return Reply(200, _group_shown(row_of(call, "groups", number)))


def change_group(call: Call) -> Reply:
    row = row_of(call, "groups", call.params["id"])
    body = body_of(call, {"name": str}, ("name",))
    _not_magic(row)
    if body["name"] != row["name"]:
        _name_free(call, body["name"], row["id"])
    call.db.execute("UPDATE metabase_groups SET name = ? WHERE id = ?", (body["name"], row["id"]))
    return Reply(200, _group_shown(row_of(call, "groups", row["id"])))


def delete_group(call: Call) -> Reply:
    row = row_of(call, "groups", call.params["id"])
    _not_magic(row)
    call.db.execute("DELETE FROM metabase_groups WHERE id = ?", (row["id"],))
    return Reply(204)


def memberships(call: Call) -> Reply:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in call.db.execute("SELECT * FROM metabase_members ORDER BY id"):
        entry = {
            "membership_id": row["id"],
            "group_id": row["group_id"],
            "user_id": row["user_id"],
            "is_group_manager": False,
        }
        found.setdefault(str(row["user_id"]), []).append(entry)
    return Reply(200, found)


def add_membership(call: Call) -> Reply:
    body = body_of(call, {"group_id": int, "user_id": int, "is_group_manager": bool}, ("group_id", "user_id"))
    if body.get("is_group_manager"):
        raise Refused(402, "Group manager is a paid feature not currently available to your instance.")
    group, user = row_of(call, "groups", body["group_id"]), row_of(call, "users", body["user_id"])
    _add_member(call, user["id"], group["id"])
    rows = call.db.execute("SELECT * FROM metabase_members WHERE group_id = ?", (group["id"],)).fetchall()
    return Reply(200, [{"membership_id": row["id"], "user_id": row["user_id"]} for row in rows])


def _add_member(call: Call, user: int, group: int) -> None:
    call.db.execute("INSERT OR IGNORE INTO metabase_members (user_id, group_id) VALUES (?, ?)", (user, group))


def _group_shown(row: sqlite3.Row) -> dict[str, Any]:
    return {"id": row["id"], "name": row["name"], "magic_group_type": row["magic"], "is_tenant_group": False}


def _name_free(call: Call, name: str, own: int = 0) -> None:
    sql = "SELECT 1 FROM metabase_groups WHERE lower(name) = lower(?) AND id <> ?"
    if call.db.execute(sql, (name, own)).fetchone():
        raise Refused(400, "A group with that name already exists.")


def _not_magic(row: sqlite3.Row) -> None:
    if row["magic"]:
        raise Refused(400, f"You cannot edit or delete the '{row['name']}' permissions group!")


# --- connections -----------------------------------------------------------------------------------------------------

_DATABASE = {
    "name": str,
    "engine": str,
    "details": dict,
    "is_full_sync": bool,
    "is_on_demand": bool,
    "schedules": dict,
    "auto_run_queries": bool,
    "cache_ttl": int,
    "provider_name": str,
}
_ENGINES = frozenset({"postgres", "mysql", "h2"})


def list_databases(call: Call) -> Reply:
    rows = [
        _database_shown(row) for row in call.db.execute("SELECT * FROM metabase_databases ORDER BY lower(name), id")
    ]
    return Reply(200, {"data": rows, "total": len(rows)})


def get_database(call: Call) -> Reply:
    return Reply(200, _database_shown(row_of(call, "databases", call.params["id"])))


def create_database(call: Call) -> Reply:
    body = body_of(call, {**_DATABASE, "connection_source": str}, ("name", "engine", "details"))
    details = _tried(body["engine"], body["details"])
    number = new_id(call, "databases", name=body["name"], engine=body["engine"], details=json.dumps(details))
    graphs.for_new_database(call, number)
    return Reply(200, _database_shown(row_of(call, "databases", number)))


def change_database(call: Call) -> Reply:
    row = row_of(call, "databases", call.params["id"])
    more = {"caveats": str, "points_of_interest": str, "settings": dict, "refingerprint": bool}
    body = body_of(call, {**_DATABASE, **more}, ())
    values = {name: body[name] for name in ("name", "caveats") if body.get(name) is not None}
    if body.get("details") is not None:
        stored = json.loads(row["details"])
        wanted = dict(body["details"])
        kept = stored.get("password") if wanted.get("password", MASKED) == MASKED else None
        values["details"] = json.dumps(_tried(body.get("engine") or row["engine"], wanted, kept))
    if values:
        sets = ", ".join(f"{name} = ?" for name in values)
        call.db.execute(f"UPDATE metabase_databases SET {sets} WHERE id = ?", (*values.values(), row["id"]))
    return get_database(call)


def delete_database(call: Call) -> Reply:
    number = row_of(call, "databases", call.params["id"])["id"]
    call.db.execute("DELETE FROM metabase_databases WHERE id = ?", (number,))
    return Reply(204)


def _tried(engine: str, details: Mapping[str, Any], kept: str | None = None) -> dict[str, Any]:
    """The connection as it is stored, if it can be opened; a host with «unreachable» in its name cannot.

    Of the password only a sum is kept.
    """
    if engine not in _ENGINES:
        raise Refused(400, {"errors": {"engine": "value must be a valid database engine."}})
    missing = [name for name in ("host", "dbname", "user") if not details.get(name)] if engine == "postgres" else []
    if missing:
        raise Refused(400, {"errors": dict.fromkeys(missing, "missing value")})
    if "unreachable" in str(details.get("host")):
        raise Refused(
            400,
            {
                "message": "Hmm, we couldn't connect to the database. Make sure your Host and Port settings are correct",
                "errors": {"host": "check your host settings", "port": "check your port settings"},
            },
        )
    password = kept or hashlib.sha256(str(details.get("password") or "").encode()).hexdigest()
    return {**details, "password": password}


def _database_shown(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "name": row["name"],
        "engine": row["engine"],
        "details": {**json.loads(row["details"]), "password": MASKED},
        "caveats": row["caveats"],
        "points_of_interest": None,
        "is_full_sync": True,
        "is_on_demand": False,
        "is_sample": bool(row["sample"]),
        "native_permissions": "write",
        "created_at": row["created_at"],
        "updated_at": row["created_at"],
    }


# --- the provider ----------------------------------------------------------------------------------------------------


def _guarded(handler: Callable[[Call], Reply]) -> Callable[[Call], Reply]:
    @functools.wraps(handler)
    def run(call: Call) -> Reply:
        try:
            return handler(call)
        except Refused as refusal:
            return Reply(refusal.status, refusal.body)

    return run


_OPERATIONS: tuple[tuple[str, str, str, Callable[[Call], Reply]], ...] = (
    ("GET", "/api/health", "health", health),
    ("GET", "/api/session/properties", "session.properties", properties),
    ("GET", "/api/user/current", "users.current", current_user),
    ("GET", "/api/user", "users.list", list_users),
    ("POST", "/api/user", "users.create", create_user),
    ("DELETE", "/api/user/{id:int}", "users.deactivate", deactivate_user),
    ("PUT", "/api/user/{id:int}/reactivate", "users.reactivate", reactivate_user),
    ("GET", "/api/permissions/group", "groups.list", list_groups),
    ("POST", "/api/permissions/group", "groups.create", create_group),
    ("PUT", "/api/permissions/group/{id:int}", "groups.update", change_group),
    ("DELETE", "/api/permissions/group/{id:int}", "groups.delete", delete_group),
    ("GET", "/api/permissions/membership", "memberships.list", memberships),
    ("POST", "/api/permissions/membership", "memberships.create", add_membership),
    ("GET", "/api/permissions/graph", "queries.graph", graphs.data_graph),
    ("PUT", "/api/permissions/graph", "queries.write", graphs.write_data_graph),
    ("GET", "/api/permissions/graph/group/{id:int}", "queries.group", graphs.data_graph_of_group),
    ("GET", "/api/collection/graph", "access.graph", graphs.access_graph),
    ("PUT", "/api/collection/graph", "access.write", graphs.write_access_graph),
    ("GET", "/api/database", "databases.list", list_databases),
    ("POST", "/api/database", "databases.create", create_database),
    ("GET", "/api/database/{id:int}", "databases.get", get_database),
    ("PUT", "/api/database/{id:int}", "databases.update", change_database),
    ("DELETE", "/api/database/{id:int}", "databases.delete", delete_database),
    *content.OPERATIONS,
)

PROVIDER = Provider(
    name="metabase",
    base="/metabase",
    schema=SCHEMA,
    operations=tuple(
        Operation(method, path, name, _guarded(handler), method != "GET") for method, path, name, handler in _OPERATIONS
    ),
    authenticate=authenticate,
    seed=seed,
    fault_reply=fault_reply,
)
