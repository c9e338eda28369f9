# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
# ruff: noqa: S608 - the names are in this file, numbers are numbers, and texts go in between quotes that no text can hold
"""The tables and views of schema ``health``, and what is written into them. Text alone: who sends it is `store`.

Of each subject there is one row an hour and one a day, and none for each look: 1,000 tenants looked at every five minutes are
100 million looks a year. The hours are partitioned by month, so that a month that is too old goes in one step.
"""

from __future__ import annotations

import json
import secrets
import typing as t
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone

from ansible_collections.smartercl.smarteros.plugins.module_utils.health.rows import Rows

VERSION = 1
KEPT_MONTHS = 13
READER = "smarteros_reader"

TABLES = """
CREATE SCHEMA IF NOT EXISTS health;
CREATE TABLE IF NOT EXISTS health.meta (version integer NOT NULL);
CREATE TABLE IF NOT EXISTS health.subjects (
  subject text PRIMARY KEY, kind text NOT NULL, tenant text NOT NULL, service text NOT NULL, title text NOT NULL, target numeric,
  state text NOT NULL, since timestamptz NOT NULL, last timestamptz NOT NULL, latency_ms integer, message text NOT NULL);
CREATE TABLE IF NOT EXISTS health.hours (
  at timestamptz NOT NULL, subject text NOT NULL, passes integer NOT NULL, avg_ms integer, max_ms integer,
  up_s integer NOT NULL, degraded_s integer NOT NULL, down_s integer NOT NULL, unknown_s integer NOT NULL,
  PRIMARY KEY (at, subject)) PARTITION BY RANGE (at);
CREATE TABLE IF NOT EXISTS health.days (
  day date NOT NULL, subject text NOT NULL,
  up_s integer NOT NULL, degraded_s integer NOT NULL, down_s integer NOT NULL, unknown_s integer NOT NULL,
  PRIMARY KEY (day, subject));
CREATE TABLE IF NOT EXISTS health.incidents (
  id bigint PRIMARY KEY, subject text NOT NULL, kind text NOT NULL, tenant text NOT NULL, service text NOT NULL, title text NOT NULL,
  severity text NOT NULL, what text NOT NULL, opened_at timestamptz NOT NULL, closed_at timestamptz);
CREATE INDEX IF NOT EXISTS incidents_opened_at ON health.incidents (opened_at);
CREATE TABLE IF NOT EXISTS health.metrics (
  at timestamptz NOT NULL, name text NOT NULL, value double precision NOT NULL, PRIMARY KEY (at, name));
CREATE TABLE IF NOT EXISTS health.figures (
  day date NOT NULL, tenant text NOT NULL, tenant_name text NOT NULL, service text NOT NULL, measure text NOT NULL,
  value numeric NOT NULL, currency text NOT NULL DEFAULT '', PRIMARY KEY (day, tenant, service, measure, currency));
"""
VIEWS = """
CREATE OR REPLACE VIEW health.v_status AS
  SELECT subject, kind, tenant, service, title, state, since, latency_ms, message, last FROM health.subjects;
CREATE OR REPLACE VIEW health.v_incidents AS
  SELECT id, subject, kind, tenant, service, title, severity, what, opened_at, closed_at,
         round((extract(epoch FROM coalesce(closed_at, now()) - opened_at) / 60)::numeric, 1) AS minutes
  FROM health.incidents;
CREATE OR REPLACE VIEW health.v_availability AS
  SELECT d.day, d.subject, s.kind, s.tenant, s.service, s.title, d.up_s + d.degraded_s AS up_s, d.down_s, d.unknown_s,
         round(100.0 * (d.up_s + d.degraded_s) / nullif(d.up_s + d.degraded_s + d.down_s, 0), 3) AS percent, s.target
  FROM health.days d JOIN health.subjects s USING (subject);
CREATE OR REPLACE VIEW health.v_latency AS
  SELECT h.at AS hour, h.subject, s.kind, s.service, h.avg_ms, h.max_ms, h.passes
  FROM health.hours h JOIN health.subjects s USING (subject);
CREATE OR REPLACE VIEW health.v_metrics AS SELECT at, name, value FROM health.metrics;
"""
_SUBJECT = "subject text, kind text, tenant text, service text, title text"
_SECONDS = "up_s integer, degraded_s integer, down_s integer, unknown_s integer"
_COLUMNS: Mapping[str, tuple[str, str]] = {  # the columns with their types, and those by which a row is known again
    "subjects": (
        f"{_SUBJECT}, target numeric, state text, since bigint, last bigint, latency_ms integer, message text",
        "subject",
    ),
    "hours": (f"at bigint, subject text, passes integer, avg_ms integer, max_ms integer, {_SECONDS}", "at, subject"),
    "days": (f"day date, subject text, {_SECONDS}", "day, subject"),
    "incidents": (
        f"id bigint, {_SUBJECT}, severity text, what text, opened_at double precision, closed_at double precision",
        "id",
    ),
    "metrics": ("at bigint, name text, value double precision", "at, name"),
}
_MOMENTS = ("at", "since", "last", "opened_at", "closed_at")


def made(reader: str = READER) -> str:
    """Makes everything, or what is missing of it, in one step."""
    grant = f"""
DO $$ BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = '{reader}') THEN
    GRANT USAGE ON SCHEMA health TO {reader};
    GRANT SELECT ON ALL TABLES IN SCHEMA health TO {reader};
    ALTER DEFAULT PRIVILEGES IN SCHEMA health GRANT SELECT ON TABLES TO {reader};
  END IF;
END $$;
"""
    version = f"DELETE FROM health.meta; INSERT INTO health.meta VALUES ({VERSION});\n"
    return f"BEGIN;\n{TABLES}{VIEWS}{grant}{version}COMMIT;\n"


def written(rows: Rows) -> str:
    """Writes these rows in one step; a row that is there is replaced."""
    months = sorted({_month(row["at"]) for row in rows["hours"]})
    parts = "".join(_partition(*each) for each in months)
    return f"BEGIN;\n{parts}{''.join(_upsert(table, rows[table]) for table in _COLUMNS if rows[table])}COMMIT;\n"


def cleaned(now: int) -> str:
    """Takes away what is older than is kept, and partitions as a whole."""
    year, month = _month(now)
    oldest = year * 12 + month - 1 - KEPT_MONTHS
    first = f"{oldest // 12:04d}-{oldest % 12 + 1:02d}-01"
    return f"""
DO $$ DECLARE part text; BEGIN
  FOR part IN SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'health.hours'::regclass AND c.relname < 'hours_{first[:7].replace("-", "_")}'
  LOOP EXECUTE format('DROP TABLE health.%I', part); END LOOP;
END $$;
DELETE FROM health.days WHERE day < '{first}';
DELETE FROM health.metrics WHERE at < '{first}';
DELETE FROM health.incidents WHERE closed_at < '{first}';
DELETE FROM health.figures WHERE day < '{first}';
"""


def _month(at: int) -> tuple[int, int]:
    found = datetime.fromtimestamp(at, timezone.utc)
    return found.year, found.month


def _partition(year: int, month: int) -> str:
    following = f"{year + month // 12:04d}-{month % 12 + 1:02d}-01"
    name, begin = f"health.hours_{year:04d}_{month:02d}", f"{year:04d}-{month:02d}-01"
    bounds = f"FROM ('{begin} 00:00:00+00') TO ('{following} 00:00:00+00')"
    return f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF health.hours FOR VALUES {bounds};\n"


def _upsert(table: str, rows: Iterable[Mapping[str, t.Any]]) -> str:
    columns, key = _COLUMNS[table]
    names = [each.split()[0] for each in columns.split(", ")]
    taken = ", ".join(f"to_timestamp({name})" if name in _MOMENTS else name for name in names)
    kept = ", ".join(f"{name} = excluded.{name}" for name in names if name not in key.split(", "))
    given = f"SELECT {taken} FROM json_to_recordset({quoted(json.dumps(list(rows)))}) AS r({columns})"
    return f"INSERT INTO health.{table} ({', '.join(names)}) {given} ON CONFLICT ({key}) DO UPDATE SET {kept};\n"


def quoted(text: str) -> str:
    """A text of SQL whose quote cannot be in the text: nothing that a tenant is called can end it."""
    while True:
        quote = f"$q{secrets.token_hex(8)}$"
        if quote not in text:
            return f"{quote}{text}{quote}"


def history(days: int, zone: str) -> str:
    """Asks for one JSON text: ``subjects`` with their sums over the last days, ``incidents``, the newest first."""
    named = quoted(zone)
    since = f"((now() AT TIME ZONE {named})::date - {int(days)})"
    return f"""
SELECT json_build_object(
  'days', {int(days)},
  'subjects', coalesce((SELECT json_agg(r ORDER BY r.kind, r.subject) FROM (
    SELECT s.subject, s.kind, s.tenant, s.service, s.title, s.state, s.target::float8 AS target, sum(a.up_s) AS up_s,
           sum(a.down_s) AS down_s, sum(a.unknown_s) AS unknown_s,
           round(100.0 * sum(a.up_s) / nullif(sum(a.up_s) + sum(a.down_s), 0), 3)::float8 AS percent
    FROM health.v_availability a JOIN health.subjects s USING (subject)
    WHERE a.day > {since} GROUP BY s.subject) r), '[]'),
  'incidents', coalesce((SELECT json_agg(r ORDER BY r.opened_at DESC) FROM (
    SELECT id, subject, kind, tenant, service, title, severity, what, minutes::float8 AS minutes,
           to_char(opened_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS opened_at,
           to_char(closed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS closed_at
    FROM health.v_incidents WHERE coalesce(closed_at, now()) >= ({since} + 1)::timestamp AT TIME ZONE {named}
    ORDER BY opened_at DESC LIMIT 200) r), '[]'));
"""
