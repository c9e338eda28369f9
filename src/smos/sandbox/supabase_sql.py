"""SQL of the sandbox's Supabase: no database, but an understanding of the statements that SmarterOS itself sends.

Emulated: the reads of migrations, readers and storage, and the two kinds of ``DO`` statements (one migration, some readers).
Of a migration it takes down the record and the names in ``create table`` and ``create role``; the rest of its text is not
run, and a mistake in it goes unnoticed here. Policies, functions, views and locks are for the tests on a real PostgreSQL.
Anything else is refused, in so many words.
"""

from __future__ import annotations

import re
from typing import Any

from smos.sandbox.provider import Call, Reply
from smos.sandbox.supabase_keys import REF, lacks

CACHE_SECONDS = 0.2  # until the data API hears of a new table
MIGRATION = re.compile(
    r"insert into smarteros\.migrations \(version, name, checksum\) values \('(\d+)', '(\w+)', '([0-9a-f]+)'\);"
)
BODY = re.compile(r"execute (\$sql_[0-9a-f]+\$)\n(.*)\n\1;", re.DOTALL)
TABLE = re.compile(r"^\s*create table (?:if not exists )?(public|smarteros)\.(\w+)", re.IGNORECASE | re.MULTILINE)
ROLE = re.compile(r"^\s*create role (\w+) nologin", re.IGNORECASE | re.MULTILINE)
REGCLASS = re.compile(r"select pg_catalog\.to_regclass\('([\w.]+)'\) is null as missing")
CREATED = re.compile(r'create role "(\w+)" login inherit connection limit (\d+) password \'[^\']+\';')
ALTERED = re.compile(r'alter role "(\w+)" (?:(nologin)|login connection limit (\d+)(?: password \'[^\']+\')?);')
SETTING = re.compile(r'alter role "(\w+)" (?:reset all|set (\w+) = \'([^\']*)\');')
COMMENT = re.compile(r'comment on role "(\w+)" is \'([^\']*)\';')
MEMBER = re.compile(r'grant tenant_reader_group to "(\w+)";')
DROPPED = re.compile(r'drop role if exists "(\w+)";')
MAPPED = re.compile(r"insert into smarteros\.tenant_readers \(role_name, tenant_id\) values \('(\w+)', '([\w-]+)'\)")
UNMAPPED = re.compile(r"delete from smarteros\.tenant_readers where role_name = '(\w+)';")
GUARDS = re.compile(r"(?:if not exists|elsif|raise exception|end if;|perform |begin|end|do \$|\$smos_)")


class SqlError(Exception):
    """What PostgreSQL refuses: its code and message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def query(call: Call) -> Reply:
    """POST database/query: reads and writes."""
    return _project(call) or lacks(call, "database_write") or _run(call, writes=True)


def query_read_only(call: Call) -> Reply:
    """POST database/query/read-only."""
    return _project(call) or lacks(call, "database_read") or _run(call, writes=False)


def _project(call: Call) -> Reply | None:
    return None if call.params["ref"] == REF else Reply(404, {"message": "Project not found"})


def _run(call: Call, writes: bool) -> Reply:
    text = call.body.get("query") if isinstance(call.body, dict) else None
    if not isinstance(text, str) or not text.strip():
        return Reply(400, {"message": "query: Invalid input: expected string, received undefined"})
    try:
        rows = _change(call, text, writes) if text.startswith("do $smos_") else _read(call, text.strip())
    except SqlError as exc:
        return Reply(400, {"message": f"Failed to run sql query: ERROR:  {exc.code}: {exc.message}\n"})
    return Reply(201, rows)


def _read(call: Call, text: str) -> list[dict[str, Any]]:
    db = call.db
    one = re.fullmatch(r"select 1(?: as (\w+))?", text, re.IGNORECASE)
    if one:
        return [{one.group(1) or "?column?": 1}]
    asked = REGCLASS.fullmatch(text)
    if asked:
        return [{"missing": not _is_made(call, asked.group(1))}]
    if text.startswith("select version, name, checksum from smarteros.migrations"):
        _needs(call, "smarteros.migrations")
        return [
            dict(row) for row in db.execute("SELECT version, name, checksum FROM supabase_migrations ORDER BY version")
        ]
    if "from pg_catalog.pg_roles r where r.rolname like" in text:
        _needs(call, "smarteros.tenant_readers")
        return [_role(row) for row in db.execute("SELECT * FROM supabase_roles WHERE login >= 0 ORDER BY name")]
    if "from storage.objects o where o.bucket_id like 'tenant-%'" in text:
        rows = db.execute(
            "SELECT substr(name, 1, instr(name, '/') - 1) AS tenant, CAST(sum(size) AS TEXT) AS bytes"
            " FROM supabase_objects WHERE bucket LIKE 'tenant-%' AND instr(name, '/') > 0 GROUP BY 1"
        )
        return [dict(row) for row in rows]
    raise SqlError("0A000", "the sandbox has no database; it understands only the statements that SmarterOS sends")


def _role(row: Any) -> dict[str, Any]:
    settings = "\n".join(sorted(row["settings"].splitlines()))
    shown = {"role": row["name"], "login": bool(row["login"]), "connections": row["connections"], "settings": settings}
    return {**shown, "comment": row["comment"], "sound": bool(row["member"]), "tenant": row["tenant"] or ""}


def _change(call: Call, text: str, writes: bool) -> list[dict[str, Any]]:
    if not writes:
        raise SqlError("25006", "cannot execute this statement in a read-only transaction")
    record = MIGRATION.search(text)
    if record:
        _migrate(call, text, *record.groups())
    elif text.startswith("do $smos_readers$"):
        _needs(call, "smarteros.tenant_readers")
        for line in text.splitlines():
            _reader(call, line.strip())
    else:
        raise SqlError("0A000", "the sandbox has no database; it understands only the statements that SmarterOS sends")
    return []


def _migrate(call: Call, text: str, version: str, name: str, checksum: str) -> None:
    body = BODY.search(text)
    known = call.db.execute("SELECT checksum FROM supabase_migrations WHERE version = ?", (version,)).fetchone()
    if known is not None:
        if known["checksum"] != checksum:
            raise SqlError("P0001", f"another run applied {version}_{name}.sql with another checksum")
        return
    script = body.group(2) if body else ""
    for schema, table in [("smarteros", "migrations"), *TABLE.findall(script)]:
        row = (f"{schema}.{table}", call.now + CACHE_SECONDS)
        call.db.execute("INSERT OR IGNORE INTO supabase_relations VALUES (?, ?)", row)
    for role in ROLE.findall(script):
        call.db.execute("INSERT OR IGNORE INTO supabase_roles (name, login) VALUES (?, -1)", (role,))
    call.db.execute("INSERT INTO supabase_migrations VALUES (?, ?, ?, ?)", (version, name, checksum, call.now))


def _reader(call: Call, line: str) -> None:
    """One line of a statement about readers."""
    db = call.db
    made, altered, setting = CREATED.fullmatch(line), ALTERED.fullmatch(line), SETTING.fullmatch(line)
    if made:
        db.execute(
            "INSERT OR IGNORE INTO supabase_roles (name, login, connections) VALUES (?, 1, ?)", (made[1], int(made[2]))
        )
    elif altered:
        login, limit = (0, None) if altered[2] else (1, int(altered[3]))
        sql = "UPDATE supabase_roles SET login = ?, connections = coalesce(?, connections) WHERE name = ?"
        _existing(db.execute(sql, (login, limit, altered[1])).rowcount, altered[1])
    elif setting:
        row = db.execute("SELECT settings FROM supabase_roles WHERE name = ?", (setting[1],)).fetchone()
        _existing(0 if row is None else 1, setting[1])
        kept = dict(each.split("=", 1) for each in row["settings"].splitlines()) if setting[2] else {}
        kept.update({setting[2]: setting[3]} if setting[2] else {})
        text = "\n".join(f"{key}={value}" for key, value in kept.items())
        db.execute("UPDATE supabase_roles SET settings = ? WHERE name = ?", (text, setting[1]))
    else:
        _rest_of_reader(call, line)


def _rest_of_reader(call: Call, line: str) -> None:
    db = call.db
    comment, member, dropped = COMMENT.fullmatch(line), MEMBER.fullmatch(line), DROPPED.fullmatch(line)
    mapped, unmapped = MAPPED.match(line), UNMAPPED.fullmatch(line)
    if comment:
        db.execute("UPDATE supabase_roles SET comment = ? WHERE name = ?", (comment[2], comment[1]))
    elif member:
        db.execute("UPDATE supabase_roles SET member = 1 WHERE name = ?", (member[1],))
    elif dropped:
        db.execute("DELETE FROM supabase_roles WHERE name = ?", (dropped[1],))
    elif mapped:
        if db.execute("SELECT 1 FROM supabase_tenants WHERE id = ?", (mapped[2],)).fetchone() is None:
            constraint = "tenant_readers_tenant_id_fkey"
            raise SqlError("23503", f'insert on table "tenant_readers" violates foreign key constraint "{constraint}"')
        db.execute("REPLACE INTO supabase_readers VALUES (?, ?)", (mapped[1], mapped[2]))
        db.execute("UPDATE supabase_roles SET tenant = ? WHERE name = ?", (mapped[2], mapped[1]))
    elif unmapped:
        db.execute("DELETE FROM supabase_readers WHERE role_name = ?", (unmapped[1],))
        db.execute("UPDATE supabase_roles SET tenant = '' WHERE name = ?", (unmapped[1],))
    elif line and not GUARDS.match(line):
        raise SqlError("0A000", "the sandbox has no database; it does not know this statement about a reader")


def _existing(count: int, role: str) -> None:
    if not count:
        raise SqlError("42704", f'role "{role}" does not exist')


def _is_made(call: Call, name: str) -> bool:
    return call.db.execute("SELECT 1 FROM supabase_relations WHERE name = ?", (name,)).fetchone() is not None


def _needs(call: Call, name: str) -> None:
    if not _is_made(call, name):
        raise SqlError("42P01", f'relation "{name}" does not exist')
