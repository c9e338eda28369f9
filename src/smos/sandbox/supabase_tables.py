"""The tables that the migrations make, as far as the data API of the sandbox has to know them.

The columns are those of the newest files in `specs/database`, whatever older file made a table. A table is there once a
migration that makes it was run (see ``supabase_sql.py``), and the data API hears of it a moment later, as the real one
does with its schema cache. Policies are not emulated: ``service_role`` passes them, and ``anon`` gets nothing.
"""

from __future__ import annotations

import json
import re
import sqlite3
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

NOW = object()
"""As a default: the moment of the insert."""


@dataclass(frozen=True)
class Column:
    """``kind``: text, jsonb, timestamptz, uuid or bigint. A column without ``default`` and not ``null`` must be given."""

    kind: str = "text"
    null: bool = False
    default: Any = None


@dataclass(frozen=True)
class Table:
    """A table of the schema `public`. ``checks``: constraint's name → whether a row keeps to it."""

    name: str
    columns: Mapping[str, Column]
    key: tuple[str, ...]
    unique: tuple[tuple[str, ...], ...] = ()
    references: Mapping[str, tuple[str, str]] | None = None
    checks: Mapping[str, Callable[[Mapping[str, Any]], bool]] | None = None

    @property
    def stored(self) -> str:
        """The table of the sandbox that holds its rows."""
        return f"supabase_{self.name}"


TEXT, STAMP = Column(), Column("timestamptz", default=NOW)
OWN = {"tenant_id": ("tenants", "id")}


def _matches(pattern: str, column: str) -> Callable[[Mapping[str, Any]], bool]:
    compiled = re.compile(pattern)
    return lambda row: bool(compiled.fullmatch(str(row[column])))


def _among(column: str, *values: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda row: row[column] in values


TABLES: Mapping[str, Table] = {
    table.name: table
    for table in (
        Table(
            "tenants",
            {
                **dict.fromkeys(("id", "slug", "name", "domain"), TEXT),
                "custom_domain": Column(null=True),
                "plan": TEXT,
                "template": Column(default="default"),
                **dict.fromkeys(("industry", "owner_name", "owner_email", "owner_phone"), Column(default="")),
                "status": Column(default="active"),
                "deleted_at": Column("timestamptz", null=True),
                "created_at": STAMP,
                "updated_at": STAMP,
            },
            ("id",),
            (("slug",), ("domain",), ("custom_domain",)),
            checks={
                "tenants_id_is_a_rut": _matches(r"[0-9]{1,8}-[0-9K]", "id"),
                "tenants_slug_is_a_label": _matches(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", "slug"),
                "tenants_name_is_not_empty": lambda row: row["name"] != "",
                "tenants_status_is_known": _among("status", "active", "suspended", "deleted"),
                "tenants_deleted_have_a_time": lambda row: (
                    (row["status"] == "deleted") == (row["deleted_at"] is not None)
                ),
            },
        ),
        Table(
            "tenant_settings",
            {"tenant_id": TEXT, "key": TEXT, "value": Column("jsonb"), "updated_at": STAMP},
            ("tenant_id", "key"),
            references=OWN,
            checks={"tenant_settings_key_is_a_name": _matches(r"[a-z][a-z0-9_.]{0,63}", "key")},
        ),
        Table(
            "tenant_services",
            {"tenant_id": TEXT, "service": TEXT, "state": TEXT, "updated_at": STAMP},
            ("tenant_id", "service"),
            references=OWN,
            checks={"tenant_services_state_is_known": _among("state", "enabled", "disabled")},
        ),
        Table(
            "tenant_members",
            {
                "tenant_id": TEXT,
                "user_id": Column("uuid"),
                "role": Column(default="agent"),
                "created_at": STAMP,
                "updated_at": STAMP,
            },
            ("tenant_id", "user_id"),
            references=OWN,
            checks={"tenant_members_role_is_known": _among("role", "owner", "admin", "agent", "viewer")},
        ),
        Table(
            "audit_events",
            {
                "id": Column("bigint", default=NOW),
                "tenant_id": Column(null=True),
                "anonymous_id": Column("uuid", null=True),
                "at": STAMP,
                "actor": Column(default=""),
                "action": TEXT,
                "subject": Column(default=""),
                "details": Column("jsonb", default={}),
            },
            ("id",),
            checks={
                "audit_events_concern_somebody": lambda row: (row["tenant_id"] is None) != (row["anonymous_id"] is None)
            },
        ),
    )
}


def _ddl(table: Table) -> str:
    """The table of the sandbox that holds the rows; jsonb is kept as text."""
    columns = [f'"{name}" {"INTEGER" if column.kind == "bigint" else "TEXT"}' for name, column in table.columns.items()]
    key = ", ".join(f'"{name}"' for name in table.key)
    made = [f"CREATE TABLE IF NOT EXISTS {table.stored} ({', '.join(columns)}, PRIMARY KEY ({key}));"]
    for unique in table.unique:
        name = "_".join((table.stored, *unique))
        made.append(f"CREATE UNIQUE INDEX IF NOT EXISTS {name} ON {table.stored} ({', '.join(unique)});")
    return "\n".join(made) + "\n"


SCHEMA = "".join(map(_ddl, TABLES.values()))


class Violation(Exception):
    """A row that PostgreSQL refuses: its code, message and details."""

    def __init__(self, code: str, message: str, details: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.details = code, message, details


def shown(table: Table, row: sqlite3.Row) -> dict[str, Any]:
    """A stored row as the data API gives it."""
    found = dict(row)
    for name, column in table.columns.items():
        if column.kind == "jsonb" and found.get(name) is not None:
            found[name] = json.loads(found[name])
    return found


def stored(column: Column, value: Any) -> Any:
    """A value as it is kept. Raises `Violation` for one that the type does not take."""
    if value is None:
        return None
    if column.kind == "jsonb":
        return json.dumps(value)
    if column.kind == "timestamptz":
        return _moment(value)
    if column.kind == "uuid":
        try:
            return str(uuid.UUID(str(value)))
        except ValueError:
            raise Violation("22P02", f'invalid input syntax for type uuid: "{value}"') from None
    if column.kind == "bigint":
        return int(value)
    return value if isinstance(value, str) else json.dumps(value)


def _moment(value: Any) -> str:
    try:
        when = datetime.fromisoformat(str(value))
    except ValueError:
        message = f'invalid input syntax for type timestamp with time zone: "{value}"'
        raise Violation("22007", message) from None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC).isoformat()


def insert(db: sqlite3.Connection, table: Table, given: Mapping[str, Any], now: float) -> dict[str, Any]:
    """Insert one row with its defaults; gives it as the data API shows it."""
    row = {}
    for name, column in table.columns.items():
        if name in given:
            row[name] = stored(column, given[name])
        elif column.default is NOW:
            row[name] = (
                _next(db, table, name) if column.kind == "bigint" else datetime.fromtimestamp(now, UTC).isoformat()
            )
        else:
            row[name] = stored(column, column.default)
    _judge(db, table, row)
    names = ", ".join(f'"{name}"' for name in row)
    marks = ", ".join("?" for _ in row)
    try:
        db.execute(f"INSERT INTO {table.stored} ({names}) VALUES ({marks})", list(row.values()))
    except sqlite3.IntegrityError:
        raise _duplicate(table) from None
    after_insert(db, table, row, now)
    return row


def update(db: sqlite3.Connection, table: Table, old: sqlite3.Row, given: Mapping[str, Any], now: float) -> None:
    """Overwrite columns of one row."""
    changes = {name: stored(table.columns[name], value) for name, value in given.items()}
    if "updated_at" in table.columns:
        changes["updated_at"] = datetime.fromtimestamp(now, UTC).isoformat()
    row = {**dict(old), **changes}
    _judge(db, table, row)
    sets = ", ".join(f'"{name}" = ?' for name in changes)
    where = " AND ".join(f'"{name}" = ?' for name in table.key)
    try:
        keys = [old[name] for name in table.key]
        db.execute(f"UPDATE {table.stored} SET {sets} WHERE {where}", [*changes.values(), *keys])
    except sqlite3.IntegrityError:
        raise _duplicate(table) from None
    after_update(db, table, dict(old), row, now)


def delete(db: sqlite3.Connection, table: Table, old: sqlite3.Row, now: float) -> None:
    """Delete one row, and what hangs on it."""
    where = " AND ".join(f'"{name}" = ?' for name in table.key)
    db.execute(f"DELETE FROM {table.stored} WHERE {where}", [old[name] for name in table.key])
    if table.name != "tenants":
        return
    for name in ("tenant_settings", "tenant_services", "tenant_members", "readers"):
        db.execute(f"DELETE FROM supabase_{name} WHERE tenant_id = ?", (old["id"],))
    if not _is_made(db, "audit_events"):
        return
    nobody = str(uuid.uuid4())
    db.execute(
        "UPDATE supabase_audit_events SET tenant_id = NULL, anonymous_id = ?, actor = '', subject = '', details = '{}'"
        " WHERE tenant_id = ?",
        (nobody, old["id"]),
    )
    _event(db, {"anonymous_id": nobody, "action": "tenant.purged"}, now)


def after_insert(db: sqlite3.Connection, table: Table, row: Mapping[str, Any], now: float) -> None:
    """The trigger that writes events of tenants."""
    if table.name == "tenants" and _is_made(db, "audit_events"):
        _event(db, {"tenant_id": row["id"], "action": "tenant.created", "details": {"plan": row["plan"]}}, now)


def after_update(
    db: sqlite3.Connection, table: Table, was: Mapping[str, Any], row: Mapping[str, Any], now: float
) -> None:
    """The same for updates: an event where anything but the time of the update differs."""
    changed = {name: [was[name], row[name]] for name in row if name != "updated_at" and was[name] != row[name]}
    if table.name == "tenants" and changed and _is_made(db, "audit_events"):
        action = f"tenant.{row['status']}" if "status" in changed else "tenant.changed"
        _event(db, {"tenant_id": row["id"], "action": action, "details": changed}, now)


def _event(db: sqlite3.Connection, given: Mapping[str, Any], now: float) -> None:
    insert(db, TABLES["audit_events"], {"actor": "service_role", **given} if "tenant_id" in given else given, now)


def _is_made(db: sqlite3.Connection, name: str) -> bool:
    return db.execute("SELECT 1 FROM supabase_relations WHERE name = ?", (f"public.{name}",)).fetchone() is not None


def _next(db: sqlite3.Connection, table: Table, column: str) -> int:
    found = db.execute(f'SELECT coalesce(max("{column}"), 0) + 1 FROM {table.stored}').fetchone()[0]
    return int(found)


def _judge(db: sqlite3.Connection, table: Table, row: Mapping[str, Any]) -> None:
    for name, column in table.columns.items():
        if row[name] is None and not column.null:
            message = f'null value in column "{name}" of relation "{table.name}" violates not-null constraint'
            raise Violation("23502", message)
    for name, keeps in (table.checks or {}).items():
        if not keeps(row):
            raise Violation("23514", f'new row for relation "{table.name}" violates check constraint "{name}"')
    for column_name, (other, target) in (table.references or {}).items():
        known = db.execute(f"SELECT 1 FROM supabase_{other} WHERE {target} = ?", (row[column_name],)).fetchone()
        if known is None:
            constraint = f"{table.name}_{column_name}_fkey"
            message = f'insert or update on table "{table.name}" violates foreign key constraint "{constraint}"'
            details = f'Key ({column_name})=({row[column_name]}) is not present in table "{other}".'
            raise Violation("23503", message, details)


def _duplicate(table: Table) -> Violation:
    return Violation("23505", f'duplicate key value violates unique constraint of "{table.name}"')
