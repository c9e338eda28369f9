# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""A tenant's rows in Supabase, for its archive and back. Files in storage and people's accounts (``auth``) are not in it."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.supabase import Row, Supabase, connect
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.supabase_http import MISSING_TABLE
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Policy

TABLES: t.Mapping[str, tuple[str, tuple[str, ...]]] = {  # table -> (column of the tenant, key)
    "tenants": ("id", ("id",)),
    "tenant_settings": ("tenant_id", ("tenant_id", "key")),
    "tenant_services": ("tenant_id", ("tenant_id", "service")),
    "tenant_members": ("tenant_id", ("tenant_id", "user_id")),
    "audit_events": ("tenant_id", ("id",)),
}
EVENTS = "audit_events"
_OF_AN_EVENT = ("tenant_id", "at", "actor", "action", "subject", "details")
_BATCH = 500


def collect(connection: t.Mapping[str, str], tenant: t.Mapping[str, t.Any], policy: Policy) -> dict[str, bytes]:
    """The tenant's rows of every table as JSON lists, one file per table, sorted by key. Raises ApiError."""
    client = connect(connection, policy)
    found = {}
    for table in TABLES:
        rows = _rows(client, table, tenant["id"])
        text = json.dumps(rows, indent=2, sort_keys=True, ensure_ascii=False)
        found[f"{table}.json"] = f"{text}\n".encode()
    return found


def bring_back(
    connection: t.Mapping[str, str], tenant: t.Mapping[str, t.Any], files: t.Mapping[str, bytes], policy: Policy
) -> list[str]:
    """Insert the rows that are not there, and tell what was inserted; what is there stays as it is. Raises ApiError.

    A member whose account is gone is told of and left out.
    """
    client = connect(connection, policy)
    done: list[str] = []
    for table, (column, key) in TABLES.items():
        wanted = [row for row in _read(files, table) if row.get(column) == tenant["id"]]
        there = _rows(client, table, tenant["id"]) if wanted else []
        identity = _OF_AN_EVENT if table == EVENTS else key
        known = {_identity(row, identity) for row in there}
        missing = [row for row in wanted if _identity(row, identity) not in known]
        done += _insert(client, table, key, missing, tenant["id"])
    return done


def _insert(client: Supabase, table: str, key: t.Sequence[str], rows: list[Row], tenant: str) -> list[str]:
    if table == "tenant_members":
        return [_member(client, row) for row in rows]
    if table == EVENTS:  # their ids are the database's own
        rows = [{name: row.get(name) for name in _OF_AN_EVENT} for row in rows]
    for start in range(0, len(rows), _BATCH):
        part = rows[start : start + _BATCH]
        if table == EVENTS:
            client.insert(table, part)
        else:
            client.upsert(table, part, key, ignore=True)
    return [f"{len(rows)} rows of {table} for {tenant}"] if rows else []


def _member(client: Supabase, row: Row) -> str:
    try:
        client.upsert("tenant_members", [row], TABLES["tenant_members"][1], ignore=True)
    except ApiError as exc:
        if exc.kind != errors.CONFLICT:
            raise
        return f"member {row.get('user_id')} not brought back: there is no such account any more"
    return f"member {row.get('user_id')} as {row.get('role')}"


def _rows(client: Supabase, table: str, tenant: str) -> list[Row]:
    column, key = TABLES[table]
    try:
        rows = client.rows(table, key, where={column: f"eq.{tenant}"})
    except ApiError as exc:
        if exc.code in MISSING_TABLE:  # made by a later migration than this project has
            return []
        raise
    return sorted(rows, key=lambda row: tuple(str(row.get(name)) for name in key))


def _read(files: t.Mapping[str, bytes], table: str) -> list[Row]:
    raw = files.get(f"{table}.json")
    if raw is None:
        return []
    try:
        rows = json.loads(raw)
    except ValueError:
        rows = None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ApiError(f"{table}.json of the archive is no list of rows", where=f"supabase/{table}.json")
    return rows


def _identity(row: Row, names: t.Sequence[str]) -> str:
    return json.dumps([row.get(name) for name in names], sort_keys=True)
