# Copyright (c) SmarterCL. All rights reserved. See LICENSE.

"""Reading and writing Odoo records in SQLite: what every model does alike. Business rules are in ``odoo_rules``."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from smos.sandbox import odoo_domain as domains
from smos.sandbox.odoo_errors import access_error, mandatory, missing_error, python_error, still_used, validation_error
from smos.sandbox.odoo_models import MODELS, Field, Model

ROOT_UID, ADMIN_UID = 1, 2
MY_COMPANIES = (
    "SELECT l.company_id FROM odoo_company_users l JOIN odoo_res_company c ON c.id = l.company_id"
    " WHERE l.user_id = ? AND c.active = 1"
)
Values = dict[str, Any]


@dataclass
class Env:
    """Who calls, in which context, over which database; Odoo's «environment». ``now`` is in epoch seconds."""

    db: sqlite3.Connection
    uid: int
    context: Mapping[str, Any]
    now: float
    _groups: set[int] | None = field(default=None, repr=False)

    @property
    def stamp(self) -> str:
        """The time of the call as Odoo writes it (UTC, seconds)."""
        return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(self.now))

    @property
    def groups(self) -> set[int]:
        """Ids of the groups the user is in, inherited ones included."""
        if self._groups is None:
            rows = self.db.execute("SELECT group_id FROM odoo_user_groups WHERE user_id = ?", (self.uid,))
            self._groups = {row[0] for row in rows}
        return self._groups

    def companies(self) -> domains.Sql:
        """The companies the call may see, as a subquery: ``allowed_company_ids``, else the user's active ones."""
        allowed = self.allowed()
        if allowed:
            return domains.Sql("SELECT value FROM json_each(?)", (json.dumps(allowed),))
        return domains.Sql(MY_COMPANIES, (self.uid,))

    def allowed(self) -> list[int]:
        """``allowed_company_ids`` of the context; one that is not the user's, or archived, is refused."""
        wanted = self.context.get("allowed_company_ids") or []
        if wanted:
            sql = f"{MY_COMPANIES} AND l.company_id IN (SELECT value FROM json_each(?))"
            found = {row[0] for row in self.db.execute(sql, (self.uid, json.dumps(list(wanted))))}
            if set(wanted) - found:
                raise access_error("Access to unauthorized or invalid companies.")
        return list(wanted)

    def company(self) -> int:
        """The company that new records get: the first allowed one, else the user's own."""
        if allowed := self.allowed():
            return allowed[0]
        row = self.db.execute("SELECT company_id FROM odoo_res_users WHERE id = ?", (self.uid,)).fetchone()
        return int(row[0])


def _select(env: Env, sql: str, values: tuple[Any, ...]) -> sqlite3.Cursor:
    """Run a search; the first one on a connection that ignores case brings the function for it along."""
    try:
        return env.db.execute(sql, values)
    except sqlite3.OperationalError as error:
        if "odoo_lower" not in str(error):
            raise
    env.db.create_function("odoo_lower", 1, _lower, deterministic=True)
    return env.db.execute(sql, values)


def _lower(value: object) -> str | None:
    return value.lower() if isinstance(value, str) else None


# -- search and read ---------------------------------------------------------------------------------------------


def condition(env: Env, model: Model, domain: Any, rule: domains.Sql) -> domains.Sql:
    """A domain together with the record rule and, where records can be archived, ``active_test``."""
    found = domains.where(model, domain)
    hides = model.archives and env.context.get("active_test", True)
    if hides and not domains.mentions(domain, "active"):
        found = domains.Sql(f'({found.text} AND "active" = 1)', found.values)
    return found if rule is domains.TRUE else domains.Sql(f"({found.text} AND {rule.text})", found.values + rule.values)


def search(env: Env, model: Model, where: domains.Sql, offset: int, limit: int | None, order: Any) -> list[int]:
    """Ids in order."""
    sql = f"SELECT id FROM {model.table} WHERE {where.text} ORDER BY {domains.order_by(model, order)} LIMIT ? OFFSET ?"
    return [row[0] for row in _select(env, sql, (*where.values, limit or -1, offset or 0))]


def count(env: Env, model: Model, where: domains.Sql) -> int:
    """How many records fit."""
    sql = f"SELECT COUNT(*) FROM {model.table} WHERE {where.text}"
    return int(_select(env, sql, where.values).fetchone()[0])


def grouped(
    env: Env, model: Model, where: domains.Sql, sums: Sequence[str], by: Sequence[str], offset: int, limit: int
) -> list[Values]:
    """How many records there are, and sums of fields (``amount:sum``), for each combination of many2one fields."""
    added = [name.partition(":")[0] for name in sums]
    for name in (*added, *by):
        if name not in model.fields:
            raise python_error("ValueError", f"Invalid field {name!r} on model {model.name!r}")
    for name in by:
        if model.fields[name].kind != "many2one":
            raise python_error("ValueError", f"the sandbox groups by many2one fields only, not by {name!r}")
    columns = ", ".join([*(f'"{name}"' for name in by), "COUNT(*)", *(f'SUM("{name}")' for name in added)])
    names = ", ".join(f'"{name}"' for name in by)
    sql = f"SELECT {columns} FROM {model.table} WHERE {where.text} GROUP BY {names} ORDER BY {names} LIMIT ? OFFSET ?"
    rows = _select(env, sql, (*where.values, limit or -1, offset or 0)).fetchall()
    called = {
        name: titles(env, MODELS[model.fields[name].relation], {row[at] for row in rows if row[at] is not None})
        for at, name in enumerate(by)
    }
    return [
        {
            **{name: [row[at], called[name][row[at]]] if row[at] else False for at, name in enumerate(by)},
            **{name: row[len(by) + 1 + at] or 0 for at, name in enumerate(added)},
            "__count": row[len(by)],
        }
        for row in rows
    ]


def existing(env: Env, model: Model, ids: Sequence[int], rule: domains.Sql = domains.TRUE) -> set[int]:
    """Those of the ids that are there and that the rule lets pass."""
    sql = f"SELECT id FROM {model.table} WHERE id IN (SELECT value FROM json_each(?)) AND {rule.text}"
    return {row[0] for row in env.db.execute(sql, (json.dumps(list(ids)), *rule.values))}


def read(env: Env, model: Model, ids: Sequence[int], fields: Iterable[str] | None, *, pairs: bool) -> list[Values]:
    """Records in the order of the ids; ids that are not there are left out. ``pairs``: many2one as [id, name]."""
    names = _readable(model, fields)
    stored = [name for name in names if name != "display_name" and model.fields[name].stored and name != "password"]
    columns = ", ".join(f'"{name}"' for name in dict.fromkeys(["id", model.name_field, *stored]))
    sql = f"SELECT {columns} FROM {model.table} WHERE id IN (SELECT value FROM json_each(?))"
    rows = {row["id"]: row for row in env.db.execute(sql, (json.dumps(list(ids)),))}
    found = [rows[i] for i in dict.fromkeys(ids) if i in rows]
    others = {
        name: _others(env, model.fields[name], found, name, pairs=pairs) for name in names if _relation(model, name)
    }
    return [
        {"id": row["id"], **{name: _value(model, row, name, others) for name in names if name != "id"}} for row in found
    ]


def _readable(model: Model, fields: Iterable[str] | None) -> list[str]:
    if not fields:
        return [*model.fields, "display_name"]
    names = list(fields)
    for name in names:
        if name not in model.fields and name != "display_name":
            raise python_error("ValueError", f"Invalid field {name!r} on model {model.name!r}")
    return names


def _relation(model: Model, name: str) -> bool:
    return name in model.fields and bool(model.fields[name].relation)


def _others(env: Env, spec: Field, rows: Sequence[sqlite3.Row], name: str, *, pairs: bool) -> dict[int, Any]:
    """The other ends of a relation: id → [id, name] for a many2one, own id → [ids] for a many2many."""
    if spec.link:
        return _linked_ids(env, spec, [row["id"] for row in rows])
    if spec.inverse:
        return _mirrored_ids(env, spec, [row["id"] for row in rows])
    ids = {row[name] for row in rows if row[name] is not None}
    if not pairs:
        return {i: i for i in ids}
    return {i: [i, title] for i, title in titles(env, MODELS[spec.relation], ids).items()}


def titles(env: Env, model: Model, ids: Iterable[int]) -> dict[int, str]:
    """The display names of records."""
    sql = f'SELECT id, "{model.name_field}" FROM {model.table} WHERE id IN (SELECT value FROM json_each(?))'
    return {row[0]: row[1] for row in env.db.execute(sql, (json.dumps(list(ids)),))}


def _linked_ids(env: Env, spec: Field, ids: Sequence[int]) -> dict[int, list[int]]:
    """Reading a many2many hides archived records, as Odoo does, unless ``active_test`` is off."""
    assert spec.link is not None  # noqa: S101  # for the type checker: only links come here
    table, own, other = spec.link
    target = MODELS[spec.relation]
    active = "AND t.active = 1" if target.archives and env.context.get("active_test", True) else ""
    sql = (
        f"SELECT l.{own}, l.{other} FROM {table} l JOIN {target.table} t ON t.id = l.{other}"
        f" WHERE l.{own} IN (SELECT value FROM json_each(?)) {active} ORDER BY l.{other}"
    )
    found: dict[int, list[int]] = {i: [] for i in ids}
    for mine, theirs in env.db.execute(sql, (json.dumps(list(ids)),)):
        found[mine].append(theirs)
    return found


def _mirrored_ids(env: Env, spec: Field, ids: Sequence[int]) -> dict[int, list[int]]:
    """The other ends of a one2many, by own id."""
    target = MODELS[spec.relation]
    sql = (
        f"SELECT {spec.inverse}, id FROM {target.table} WHERE {spec.inverse} IN (SELECT value FROM json_each(?))"
        f" ORDER BY {domains.order_by(target, None)}"
    )
    found: dict[int, list[int]] = {i: [] for i in ids}
    for mine, theirs in env.db.execute(sql, (json.dumps(list(ids)),)):
        found[mine].append(theirs)
    return found


def _value(model: Model, row: sqlite3.Row, name: str, others: Mapping[str, Mapping[int, Any]]) -> Any:
    if name == "display_name":
        return row[model.name_field] or ""
    spec = model.fields[name]
    if spec.kind == "password":
        return ""
    if not spec.stored:
        return others[name][row["id"]]
    value = row[name]
    if spec.kind == "boolean":
        return bool(value)
    if spec.kind == "many2one":
        return others[name].get(value, False)
    if value is None:
        return 0 if spec.kind in ("integer", "float") else False
    return value


# -- write -------------------------------------------------------------------------------------------------------


def insert(env: Env, model: Model, values: Values) -> int:
    """One new record: defaults, types, required fields, unique ones. Gives its id."""
    given = {name: spec.default for name, spec in model.fields.items() if spec.default is not None}
    given.update(values)
    columns, links = _convert(env, model, given)
    for name, spec in model.fields.items():
        if spec.required and columns.get(name) in (None, ""):
            raise mandatory(model.name, model.label, name, spec.label)
    columns.update(create_date=env.stamp, write_date=env.stamp, create_uid=env.uid, write_uid=env.uid)
    names = ", ".join(f'"{name}"' for name in columns)
    marks = ", ".join("?" * len(columns))
    sql = f"INSERT INTO {model.table} ({names}) VALUES ({marks})"
    new_id = _run(env, model, sql, tuple(columns.values())).lastrowid or 0
    for name, commands in links.items():
        _link(env, model.fields[name], new_id, commands)
    return new_id


def update(env: Env, model: Model, ids: Sequence[int], values: Values) -> None:
    """Change records that are there; raises MissingError where one is not."""
    gone = sorted(set(ids) - existing(env, model, ids))
    if gone:
        raise missing_error(model.name, tuple(gone), env.uid)
    columns, links = _convert(env, model, values)
    for name, value in columns.items():
        if model.fields[name].required and value in (None, ""):
            raise mandatory(model.name, model.label, name, model.fields[name].label)
    columns.update(write_date=env.stamp, write_uid=env.uid)
    sets = ", ".join(f'"{name}" = ?' for name in columns)
    sql = f"UPDATE {model.table} SET {sets} WHERE id IN (SELECT value FROM json_each(?))"
    _run(env, model, sql, (*columns.values(), json.dumps(list(ids))))
    for name, commands in links.items():
        for record_id in ids:
            _link(env, model.fields[name], record_id, commands)


def delete(env: Env, model: Model, ids: Sequence[int]) -> None:
    """Remove records and their many2many links; ids that are not there are no error."""
    wanted = json.dumps(list(ids))
    for spec in model.fields.values():
        if spec.link:
            sql = f"DELETE FROM {spec.link[0]} WHERE {spec.link[1]} IN (SELECT value FROM json_each(?))"
            env.db.execute(sql, (wanted,))
    env.db.execute(f"DELETE FROM {model.table} WHERE id IN (SELECT value FROM json_each(?))", (wanted,))


def _run(env: Env, model: Model, sql: str, values: tuple[Any, ...]) -> sqlite3.Cursor:
    try:
        return env.db.execute(sql, values)
    except sqlite3.IntegrityError as error:
        for name, message in model.unique.items():
            if f"{model.table}.{name}" in str(error):
                raise validation_error(f"The operation cannot be completed: {message}") from None
        raise


def _convert(env: Env, model: Model, values: Mapping[str, Any]) -> tuple[Values, dict[str, list[Any]]]:
    """What goes into columns, and the many2many commands."""
    columns: Values = {}
    links: dict[str, list[Any]] = {}
    for name, value in values.items():
        spec = model.fields.get(name)
        if spec is None:
            raise python_error("ValueError", f"Invalid field {name!r} on model {model.name!r}")
        if spec.inverse:
            raise wrong_value(model, name, value)  # the sandbox takes lines with a new order only
        if spec.link:
            links[name] = _commands(model, name, value)
        elif name not in ("id", "create_date", "create_uid"):
            columns[name] = _to_column(env, model, name, spec, value)
    return columns, links


def _to_column(env: Env, model: Model, name: str, spec: Field, value: Any) -> Any:
    if spec.kind == "boolean":
        return int(bool(value))
    if value is None or value is False:
        return None
    if spec.kind == "many2one":
        return _reference(env, model, name, spec, value)
    if isinstance(value, list | dict):
        raise wrong_value(model, name, value)
    if spec.kind in ("integer", "float"):
        try:
            return int(value) if spec.kind == "integer" else float(value)
        except ValueError:
            raise wrong_value(model, name, value) from None
    if spec.choices and value not in spec.choices:
        raise wrong_value(model, name, value)
    return str(value)


def wrong_value(model: Model, name: str, value: object) -> Exception:
    """Odoo's refusal of a value that the field cannot hold."""
    return python_error("ValueError", f"Wrong value for {model.name}.{name}: {value!r}")


def _reference(env: Env, model: Model, name: str, spec: Field, value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_value(model, name, value)
    if not value:
        return None
    if not existing(env, MODELS[spec.relation], [value]):
        constraint = f"{model.name.replace('.', '_')}_{name}_fkey"
        raise still_used(model.name, model.label, constraint)
    return value


def _commands(model: Model, name: str, value: Any) -> list[Any]:
    """x2many values as a list of commands: (6, 0, ids), (5,), (4, id), (3, id); a plain list of ids is a (6, …)."""
    if not value:
        return [(6, 0, [])] if value is False or value is None else []
    if not isinstance(value, list):
        raise wrong_value(model, name, value)
    if not isinstance(value[0], list | tuple):
        return [(6, 0, value)]
    if not all(isinstance(command, list | tuple) and command and command[0] in (3, 4, 5, 6) for command in value):
        raise wrong_value(model, name, value)
    return value


def _link(env: Env, spec: Field, record_id: int, commands: Iterable[Sequence[Any]]) -> None:
    assert spec.link is not None  # noqa: S101  # for the type checker: only links come here
    table, own, other = spec.link
    target = MODELS[spec.relation]
    for command in commands:
        if command[0] in (5, 6):
            env.db.execute(f"DELETE FROM {table} WHERE {own} = ?", (record_id,))
        if command[0] == 3:
            env.db.execute(f"DELETE FROM {table} WHERE {own} = ? AND {other} = ?", (record_id, command[1]))
        ids = command[2] if command[0] == 6 else [command[1]] if command[0] == 4 else []
        gone = sorted(set(ids) - existing(env, target, ids))
        if gone:
            raise missing_error(target.name, tuple(gone), env.uid)
        sql = f"INSERT OR IGNORE INTO {table} ({own}, {other}) VALUES (?, ?)"
        env.db.executemany(sql, [(record_id, i) for i in ids])
