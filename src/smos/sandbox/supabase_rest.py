"""The data API (PostgREST) of the sandbox's Supabase: filters, order, ranges, upserts, and its errors."""

from __future__ import annotations

import csv
import re
import sqlite3
from collections.abc import Mapping
from typing import Any

from smos.sandbox.provider import Call, Reply
from smos.sandbox.supabase_keys import role_of
from smos.sandbox.supabase_tables import TABLES, Table, Violation, delete, insert, shown, stored, update

MAX_ROWS = 1000
WORDS = frozenset({"select", "order", "limit", "offset", "on_conflict", "columns"})
COMPARISONS = {"eq": "=", "neq": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "like": "GLOB"}
STATUS = {"23505": 409, "23503": 409, "42501": 403}
RANGE = re.compile(r"(\d+)-(\d*)")


class Refused(Exception):
    """What PostgREST refuses: HTTP status and its four fields."""

    def __init__(
        self, status: int, code: str, message: str, details: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message)
        self.reply = Reply(status, {"code": code, "details": details, "hint": hint, "message": message})


def rows(call: Call) -> Reply:
    """GET, POST, PATCH and DELETE of one table."""
    try:
        table = _table(call)
        return {"GET": _select, "POST": _insert, "PATCH": _update, "DELETE": _delete}[call.method](call, table)
    except Refused as refused:
        return refused.reply
    except Violation as exc:
        return Refused(STATUS.get(exc.code, 400), exc.code, exc.message, exc.details).reply


def root(call: Call) -> Reply:
    """The API's own description; the secret key only."""
    if role_of(call) == "anon":
        message = "Access to schema is forbidden"
        return Reply(401, {"message": message, "hint": "Accessing the schema via the Data API needs a secret key."})
    made = [
        row["name"].partition(".")[2] for row in call.db.execute("SELECT name FROM supabase_relations ORDER BY name")
    ]
    paths: dict[str, Any] = {f"/{name}": {} for name in made if name in TABLES}
    return Reply(200, {"swagger": "2.0", "info": {"title": "standard public schema"}, "paths": paths})


def unknown_function(call: Call) -> Reply:
    """RPC: the sandbox runs no functions."""
    name = call.params["name"]
    message = f"Could not find the function public.{name} without parameters in the schema cache"
    return Refused(404, "PGRST202", message).reply


def _table(call: Call) -> Table:
    name = call.params["table"]
    made = call.db.execute("SELECT heard_at FROM supabase_relations WHERE name = ?", (f"public.{name}",)).fetchone()
    if name not in TABLES or made is None or made["heard_at"] > call.now:
        raise Refused(404, "PGRST205", f"Could not find the table 'public.{name}' in the schema cache")
    if role_of(call) == "anon":
        raise Refused(401, "42501", f"permission denied for table {name}")
    return TABLES[name]


def _select(call: Call, table: Table) -> Reply:
    columns = _columns(call, table)
    where, values = _filters(call, table)
    total = call.db.execute(f"SELECT count(*) FROM {table.stored} WHERE {where}", values).fetchone()[0]
    start, limit = _window(call)
    counted = "count=exact" in _prefer(call)
    if counted and start > total:
        raise Refused(416, "PGRST103", "Requested range not satisfiable", f"An offset of {start} was requested")
    found = call.db.execute(
        f"SELECT * FROM {table.stored} WHERE {where} ORDER BY {_order(call, table)} LIMIT ? OFFSET ?",
        (*values, limit, start),
    ).fetchall()
    body = [{name: row[name] for name in columns} for row in (shown(table, each) for each in found)]
    span = f"{start}-{start + len(body) - 1}" if body else "*"
    status = 206 if counted and len(body) < total else 200
    return Reply(status, body, {"content-range": f"{span}/{total if counted else '*'}"})


def _insert(call: Call, table: Table) -> Reply:
    given = call.body if isinstance(call.body, list) else [call.body]
    if not all(isinstance(row, dict) for row in given):
        raise Refused(400, "PGRST102", "Empty or invalid json")
    if len({frozenset(row) for row in given}) > 1:
        raise Refused(400, "PGRST102", "All object keys must match")
    for row in given:
        _known(table, row)
    prefer = _prefer(call)
    upsert = next((each for each in prefer if each.startswith("resolution=")), "")
    conflict = tuple(call.query["on_conflict"].split(",")) if call.query.get("on_conflict") else table.key
    if upsert and conflict != table.key and conflict not in table.unique:
        message = "there is no unique or exclusion constraint matching the ON CONFLICT specification"
        raise Refused(400, "42P10", message)
    for row in given:
        old = _existing(call.db, table, row, conflict) if upsert else None
        if old is None:
            insert(call.db, table, row, call.now)
        elif upsert == "resolution=merge-duplicates":
            update(call.db, table, old, row, call.now)
    return Reply(201, [dict(row) for row in given] if "return=representation" in prefer else None)


def _update(call: Call, table: Table) -> Reply:
    if not isinstance(call.body, dict):
        raise Refused(400, "PGRST102", "Empty or invalid json")
    _known(table, call.body)
    where, values = _filters(call, table)
    for row in call.db.execute(f"SELECT * FROM {table.stored} WHERE {where}", values).fetchall():
        update(call.db, table, row, call.body, call.now)
    found = call.db.execute(f"SELECT * FROM {table.stored} WHERE {where}", values).fetchall()
    return _written(call, table, found)


def _delete(call: Call, table: Table) -> Reply:
    where, values = _filters(call, table)
    found = call.db.execute(f"SELECT * FROM {table.stored} WHERE {where}", values).fetchall()
    for row in found:
        delete(call.db, table, row, call.now)
    return _written(call, table, found)


def _written(call: Call, table: Table, found: list[sqlite3.Row]) -> Reply:
    if "return=representation" in _prefer(call):
        return Reply(200, [shown(table, row) for row in found])
    return Reply(204)


def _existing(db: sqlite3.Connection, table: Table, row: Mapping[str, Any], key: tuple[str, ...]) -> sqlite3.Row | None:
    if not all(name in row for name in key):
        return None
    where = " AND ".join(f'"{name}" = ?' for name in key)
    values = [stored(table.columns[name], row[name]) for name in key]
    found: sqlite3.Row | None = db.execute(f"SELECT * FROM {table.stored} WHERE {where}", values).fetchone()
    return found


def _prefer(call: Call) -> list[str]:
    return [part.strip() for part in call.headers.get("prefer", "").split(",")]


def _known(table: Table, row: Mapping[str, Any]) -> None:
    for name in row:
        if name not in table.columns:
            raise Refused(400, "PGRST204", f"Could not find the '{name}' column of '{table.name}' in the schema cache")


def _column(table: Table, name: str) -> str:
    if name not in table.columns:
        raise Refused(400, "42703", f"column {table.name}.{name} does not exist")
    return name


def _columns(call: Call, table: Table) -> list[str]:
    wanted = call.query.get("select") or "*"
    return list(table.columns) if wanted == "*" else [_column(table, name.strip()) for name in wanted.split(",")]


def _order(call: Call, table: Table) -> str:
    terms = []
    for term in (call.query.get("order") or ",".join(table.key)).split(","):
        name, _, direction = term.partition(".")
        terms.append(f'"{_column(table, name)}" {"DESC" if direction.startswith("desc") else "ASC"}')
    return ", ".join(terms)


def _window(call: Call) -> tuple[int, int]:
    """(offset, limit), never above what a project gives at once."""
    try:
        start, limit = int(call.query.get("offset") or 0), int(call.query.get("limit") or MAX_ROWS)
    except ValueError:
        raise Refused(400, "22P02", "invalid input syntax for type bigint") from None
    asked = RANGE.fullmatch(call.headers.get("range", ""))
    if asked:
        start = int(asked.group(1))
        limit = int(asked.group(2)) - start + 1 if asked.group(2) else limit
    return start, max(0, min(limit, MAX_ROWS))


def _filters(call: Call, table: Table) -> tuple[str, list[Any]]:
    clauses, values = ["1"], []
    for name, text in call.query.items():
        if name in WORDS:
            continue
        column = f'"{_column(table, name)}"'
        negated = text.startswith("not.")
        operator, dot, value = (text[4:] if negated else text).partition(".")
        if operator == "is" and value == "null":
            clause: str = f"{column} IS NULL"
        elif operator == "in" and value.startswith("(") and value.endswith(")"):
            listed = _listed(value[1:-1])
            clause = f"{column} IN ({', '.join('?' for _ in listed)})"
            values += listed
        elif operator in COMPARISONS and dot:
            clause = f"{column} {COMPARISONS[operator]} ?"
            values.append(value.replace("%", "*") if operator == "like" else value)
        else:
            raise Refused(400, "PGRST100", f'"failed to parse filter ({text})" (line 1, column 1)')
        clauses.append(f"NOT ({clause})" if negated else clause)
    return " AND ".join(clauses), values


def _listed(text: str) -> list[str]:
    """The values of an ``in.(…)``, which may be quoted."""
    return next(csv.reader([text], escapechar="\\", doublequote=False), []) if text else []
