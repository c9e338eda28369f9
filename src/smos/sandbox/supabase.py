"""Supabase as far as SmarterOS uses it: one project with its management, data and storage APIs under one address.

Below the base lie ``/v1`` (management), ``/rest/v1`` (data) and ``/storage/v1``. Each plane has its own keys
(``supabase_keys.py``) and its own form of errors. What of SQL is understood, and what is not, stands in ``supabase_sql.py``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from smos.sandbox import supabase_rest, supabase_sql, supabase_storage, supabase_tables
from smos.sandbox.provider import Call, Operation, Provider, Reply
from smos.sandbox.supabase_keys import REF, authenticate

ORGANIZATION = "smarteros-sandbox"
# The management API tells its limit with every answer; the reset is in seconds.
LIMIT = {"x-ratelimit-limit": "120", "x-ratelimit-remaining": "119", "x-ratelimit-reset": "60"}
PROJECT = {
    "id": REF,
    "ref": REF,
    "organization_id": ORGANIZATION,
    "organization_slug": ORGANIZATION,
    "name": "SmarterOS sandbox",
    "region": "sa-east-1",
    "status": "ACTIVE_HEALTHY",
    "database": {
        "host": f"db.{REF}.example.com",
        "version": "17.6.1.111",
        "postgres_engine": "17",
        "release_channel": "ga",
    },
    "created_at": "2026-01-05T12:00:00Z",
}
SCHEMA = (
    """
CREATE TABLE IF NOT EXISTS supabase_migrations (
    version TEXT PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS supabase_relations (name TEXT PRIMARY KEY, heard_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS supabase_roles (
    name TEXT PRIMARY KEY, login INTEGER NOT NULL, connections INTEGER NOT NULL DEFAULT -1,
    settings TEXT NOT NULL DEFAULT '', comment TEXT NOT NULL DEFAULT '', member INTEGER NOT NULL DEFAULT 0,
    tenant TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS supabase_readers (role_name TEXT PRIMARY KEY, tenant_id TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS supabase_buckets (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, public INTEGER NOT NULL, file_size_limit INTEGER,
    allowed_mime_types TEXT NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS supabase_objects (
    bucket TEXT NOT NULL, name TEXT NOT NULL, id TEXT NOT NULL, size INTEGER NOT NULL, mime_type TEXT NOT NULL,
    created_at TEXT NOT NULL, PRIMARY KEY (bucket, name));
"""
    + supabase_tables.SCHEMA
)
Handler = Callable[[Call], Reply]


def fault_reply(status: int, message: str) -> Reply:
    """Faults and unknown paths: all three APIs have a ``message``."""
    known = {404: "Not Found", 405: "Method Not Allowed", 429: "Rate limit exceeded"}
    return Reply(status, {"message": known.get(status, message)})


def list_projects(_: Call) -> Reply:
    return Reply(200, [PROJECT])


def get_project(call: Call) -> Reply:
    if call.params["ref"] != REF:
        return Reply(404, {"message": "Project not found"})
    return Reply(200, PROJECT)


def list_organizations(_: Call) -> Reply:
    return Reply(200, [{"id": ORGANIZATION, "slug": ORGANIZATION, "name": "SmarterOS sandbox"}])


def list_partner_migrations(_: Call) -> Reply:
    """The migrations endpoints are for partner applications."""
    return Reply(403, {"message": "This endpoint is only available to selected partner OAuth apps"})


def list_storage_buckets(call: Call) -> Reply:
    rows = call.db.execute("SELECT id, name, created_at, updated_at, public FROM supabase_buckets ORDER BY id")
    return Reply(200, [{**dict(row), "owner": "", "public": bool(row["public"])} for row in rows])


def _managed(handler: Handler) -> Handler:
    """With the headers of the management API's answers."""

    def handle(call: Call) -> Reply:
        reply = handler(call)
        return Reply(reply.status, reply.body, {**reply.headers, **LIMIT})

    return handle


def _data(call: Call) -> Reply:
    return supabase_rest.rows(call)


def _seed(_: sqlite3.Connection) -> None:
    """A new project is empty."""


def _management() -> tuple[Operation, ...]:
    project = "/v1/projects/{ref}"
    return (
        Operation("GET", "/v1/projects", "projects.list", _managed(list_projects), False),
        Operation("GET", project, "projects.get", _managed(get_project), False),
        Operation("GET", "/v1/organizations", "organizations.list", _managed(list_organizations), False),
        Operation("POST", f"{project}/database/query", "sql.change", _managed(supabase_sql.query), True),
        Operation(
            "POST", f"{project}/database/query/read-only", "sql.read", _managed(supabase_sql.query_read_only), False
        ),
        Operation("GET", f"{project}/database/migrations", "migrations.list", _managed(list_partner_migrations), False),
        Operation("GET", f"{project}/storage/buckets", "buckets.seen", _managed(list_storage_buckets), False),
    )


def _rest() -> tuple[Operation, ...]:
    table = "/rest/v1/{table}"
    return (
        Operation("GET", "/rest/v1/", "rest.root", supabase_rest.root, False),
        Operation("POST", "/rest/v1/rpc/{name}", "rest.rpc", supabase_rest.unknown_function, False),
        Operation("GET", table, "rows.list", _data, False),
        Operation("POST", table, "rows.upsert", _data, True),
        Operation("PATCH", table, "rows.update", _data, True),
        Operation("DELETE", table, "rows.delete", _data, True),
    )


def _storage() -> tuple[Operation, ...]:
    one, store = "/storage/v1/bucket/{bucket}", supabase_storage
    wrapped = store.guarded
    return (
        Operation("GET", "/storage/v1/bucket", "buckets.list", wrapped(store.list_buckets), False),
        Operation("POST", "/storage/v1/bucket", "buckets.create", wrapped(store.create_bucket), True),
        Operation("GET", one, "buckets.get", wrapped(store.get_bucket), False),
        Operation("PUT", one, "buckets.update", wrapped(store.update_bucket), True),
        Operation("DELETE", one, "buckets.delete", wrapped(store.delete_bucket), True),
        Operation("POST", f"{one}/empty", "buckets.empty", wrapped(store.empty_bucket), True),
        Operation("POST", "/storage/v1/object/list/{bucket}", "objects.list", wrapped(store.list_objects), False),
        Operation("POST", "/storage/v1/object/{bucket}/{path:path}", "objects.upload", wrapped(store.upload), True),
        Operation("DELETE", "/storage/v1/object/{bucket}", "objects.delete", wrapped(store.remove_objects), True),
    )


PROVIDER = Provider(
    name="supabase",
    base="/supabase",
    schema=SCHEMA,
    operations=(*_management(), *_rest(), *_storage()),
    authenticate=authenticate,
    seed=_seed,
    fault_reply=fault_reply,
)
