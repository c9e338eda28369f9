# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The SQL by which one tenant's rows are exchanged, as text."""

# ruff: noqa: S608 - every name and literal is quoted by `name` and `text`, or is a condition of tenant_plan, which does so

from __future__ import annotations

import shlex
import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.postgresql_sql import name, text
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.tenant_plan import Part, Reference, Table

VIEWS = "smos_tenant"  # schema of a scratch database
LOCK_S = 60
# Written and read the same, whatever a database or a role says
SPOKEN = {"DateStyle": "ISO, MDY", "IntervalStyle": "postgres", "TimeZone": "UTC", "extra_float_digits": "1"}

TABLES = """SELECT json_build_object('name', c.relname, 'kind', c.relkind, 'owner', pg_get_userbyid(c.relowner),
  'columns', (SELECT json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
      'needed', a.attnotnull, 'generated', a.attgenerated <> '',
      'sequence', coalesce(pg_get_serial_sequence(format('%I.%I', n.nspname, c.relname), a.attname),
        (SELECT format('%I.%I', m.nspname, s.relname) FROM pg_attrdef d
         JOIN pg_depend p ON p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid AND p.refclassid = 'pg_class'::regclass
         JOIN pg_class s ON s.oid = p.refobjid AND s.relkind = 'S' JOIN pg_namespace m ON m.oid = s.relnamespace
         WHERE d.adrelid = c.oid AND d.adnum = a.attnum LIMIT 1))) ORDER BY a.attnum)
    FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
  'keys', (SELECT json_agg(a.attname ORDER BY a.attnum) FROM pg_constraint k JOIN pg_attribute a
    ON a.attrelid = c.oid AND a.attnum = ANY (k.conkey) WHERE k.conrelid = c.oid AND k.contype = 'p'),
  'references', (SELECT json_agg(json_build_object('name', k.conname, 'parent', r.relname, 'rule', k.confdeltype,
      'columns', (SELECT json_agg(a.attname ORDER BY u.ord) FROM unnest(k.conkey) WITH ORDINALITY u (num, ord)
        JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num),
      'keys', (SELECT json_agg(a.attname ORDER BY u.ord) FROM unnest(k.confkey) WITH ORDINALITY u (num, ord)
        JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.num)) ORDER BY k.conname)
    FROM pg_constraint k JOIN pg_class r ON r.oid = k.confrelid
    WHERE k.conrelid = c.oid AND k.contype = 'f' AND k.convalidated AND r.relnamespace = c.relnamespace))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY c.relname;
"""
"""What a database says of its tables, one JSON text each."""


def speak(*, local: bool = False) -> str:
    """Settings that the meaning of a text depends on."""
    kept = "SET LOCAL" if local else "SET"
    return "".join(f"{kept} {key} TO {text(value)};\n" for key, value in {**SPOKEN, "search_path": "public"}.items())


def views(parts: t.Sequence[Part]) -> str:
    """Makes the tenant's rows of a scratch database known by short names; their order is that of ``parts``."""
    lines = [f"DROP SCHEMA IF EXISTS {VIEWS} CASCADE;", f"CREATE SCHEMA {VIEWS};"]
    for at, part in enumerate(parts):
        lines.append(f"CREATE VIEW {view(at)} AS SELECT {_columns(part.table)} FROM {_of(part)};")
    return speak() + "\n".join(lines) + "\n"


def view(at: int) -> str:
    """The name of a view."""
    return f"{VIEWS}.t{at}"


def measure_views(count: int) -> str:
    """Of each view: its number, rows, and a sum of what is in them."""
    return speak() + "".join(f"SELECT {_measured(at, f'(SELECT * FROM {view(at)})')};\n" for at in range(count))


def begin(parts: t.Sequence[Part], others: t.Sequence[str]) -> str:
    """Begins the exchange: nobody else writes these tables until it ends, and no trigger adds to what is written.

    ``others``: tables that the rows refer to, or that refer to them.
    """
    lines = ["ROLLBACK;", "BEGIN;", speak(local=True), f"SET LOCAL lock_timeout TO '{LOCK_S}s';"]
    lines.append("SET LOCAL session_replication_role TO replica;")
    lines.append(f"LOCK TABLE {', '.join(name(part.table.name) for part in parts)} IN SHARE ROW EXCLUSIVE MODE;")
    if others:
        lines.append(f"LOCK TABLE {', '.join(map(name, others))} IN SHARE MODE;")
    for at, part in enumerate(parts):
        empty = f"SELECT {_columns(part.table)} FROM {name(part.table.name)} LIMIT 0"
        made = empty if part.add else f"SELECT ctid AS at FROM {_of(part)}"
        lines.append(f"CREATE TEMP TABLE {_kept(at)} ON COMMIT DROP AS {made};")
    return "\n".join(lines) + "\n"


def totals(parts: t.Sequence[Part]) -> str:
    """Of each table before the exchange: its number, rows of everybody, rows of the tenant that will go."""
    return "".join(
        f"SELECT json_build_array({at}, (SELECT count(*) FROM {name(part.table.name)}),"
        f" {'0' if part.add else f'(SELECT count(*) FROM {_kept(at)})'});\n"
        for at, part in enumerate(parts)
    )


def exchange(parts: t.Sequence[Part], scratch: str, superuser: str) -> str:
    """Takes the tenant's rows away and puts those of the scratch database in their place, through the server's own program."""
    lines = [
        f"DELETE FROM {name(part.table.name)} WHERE ctid IN (SELECT at FROM {_kept(at)});"
        for at, part in enumerate(parts)
        if not part.add
    ]
    for at, part in enumerate(parts):
        into = _kept(at) if part.add else name(part.table.name)
        lines.append(f"\\copy {into} ({_columns(part.table)}) FROM PROGRAM {text(_program(at, scratch, superuser))}")
        if part.add:
            lines.append(
                f"INSERT INTO {name(part.table.name)} ({_columns(part.table)}) OVERRIDING SYSTEM VALUE"
                f" SELECT * FROM {_kept(at)} ON CONFLICT DO NOTHING;"
            )
    return "\n".join(lines) + "\n"


def counted(parts: t.Sequence[Part]) -> str:
    """Of each table after the exchange: its number, rows of everybody."""
    return "".join(
        f"SELECT json_build_array({at}, count(*)) FROM {name(part.table.name)};\n" for at, part in enumerate(parts)
    )


def measured(parts: t.Sequence[Part]) -> str:
    """Of each table after the exchange: its number, rows of the tenant, and a sum of what is in them.

    Of rows that were only added: those that are still missing.
    """
    lines = []
    for at, part in enumerate(parts):
        if part.add:
            there = f"SELECT 1 FROM {name(part.table.name)} o WHERE {_same(part.table.keys, 'o', 'k')}"
            lines.append(f"SELECT json_build_array({at}, count(*), 0) FROM {_kept(at)} k WHERE NOT EXISTS ({there});")
        else:
            lines.append(f"SELECT {_measured(at, f'(SELECT {_columns(part.table)} FROM {_of(part)})')};")
    return "\n".join(lines) + "\n"


def dangling(reference: Reference) -> str:
    """Counts the rows that refer to one that is not there."""
    there = " AND ".join(f"p.{name(key)} = c.{name(column)}" for column, key in zip(reference.columns, reference.keys))
    told = " AND ".join(f"c.{name(column)} IS NOT NULL" for column in reference.columns)
    return (
        f"SELECT count(*) FROM {name(reference.table)} c WHERE {told}"
        f" AND NOT EXISTS (SELECT 1 FROM {name(reference.parent)} p WHERE {there});\n"
    )


def needed(part: Part, column: str, parent: str, key: str) -> str:
    """Counts the tenant's rows that refer to one that is not there, where the database knows of no reference."""
    there = f"SELECT 1 FROM {name(parent)} p WHERE p.{name(key)} = c.{name(column)}"
    mine = f"(SELECT * FROM {_of(part)}) c"
    return f"SELECT count(*) FROM {mine} WHERE c.{name(column)} IS NOT NULL AND NOT EXISTS ({there});\n"


def raise_sequence(sequence: str, table: str, column: str) -> str:
    """Moves a sequence up to the highest number that is taken, never down. ``sequence`` is quoted already."""
    return (
        f"SELECT setval({text(sequence)}::regclass, m.highest) FROM (SELECT max({name(column)})::bigint AS highest"
        f" FROM {name(table)}) m, {sequence} s WHERE m.highest > s.last_value OR (m.highest = s.last_value AND NOT s.is_called);\n"
    )


def own_sequence(sequence: str, part: Part, column: str) -> str:
    """Makes a sequence of the tenant's own where it is not there, and moves it up to the tenant's highest number."""
    quoted = f"public.{name(sequence)}"
    return (
        f"CREATE SEQUENCE IF NOT EXISTS {quoted};\nALTER SEQUENCE {quoted} OWNER TO {name(part.table.owner)};\n"
        f"SELECT setval({text(quoted)}::regclass, m.highest) FROM (SELECT max({name(column)})::bigint AS highest FROM {_of(part)}) m,"
        f" {quoted} s WHERE m.highest > s.last_value OR (m.highest = s.last_value AND NOT s.is_called);\n"
    )


def _program(at: int, scratch: str, superuser: str) -> str:
    """Writes a view of the scratch database, as a command for the shell beside the server."""
    options = " ".join(
        f"-c {key}={value.replace(' ', '')}" for key, value in {**SPOKEN, "statement_timeout": "0"}.items()
    )
    words = ["psql", "-X", "-q", "-w", "-v", "ON_ERROR_STOP=1", "-U", superuser, "-d", scratch]
    words += ["-c", f"COPY (SELECT * FROM {view(at)}) TO STDOUT"]
    given = f"PGCLIENTENCODING=UTF8 PGOPTIONS={shlex.quote(options)}"
    return f"{given} {' '.join(map(shlex.quote, words))} </dev/null"


def _measured(at: int, rows: str) -> str:
    total = "coalesce(sum(hashtextextended(x::text, 0)::numeric), 0)::text"
    return f"json_build_array({at}, count(*), {total}) FROM {rows} x"


def _same(keys: t.Sequence[str], one: str, other: str) -> str:
    return " AND ".join(f"{one}.{name(key)} = {other}.{name(key)}" for key in keys) or "false"


def _kept(at: int) -> str:
    return f"pg_temp.smos_{at}"


def _of(part: Part) -> str:
    return f"{name(part.table.name)} WHERE {part.where}"


def _columns(table: Table) -> str:
    return ", ".join(map(name, table.names))
