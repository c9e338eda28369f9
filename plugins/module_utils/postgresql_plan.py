# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Roles, databases and extensions of one PostgreSQL server: what is there, what is wanted, and the statements between.

Everything goes through psql: one script asks, one script does. Nothing is ever dropped, and nobody's role or database but
those that are named is looked at.
"""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass, field

from ansible_collections.smartercl.smarteros.plugins.module_utils import postgresql_scram as scram

NO_LIMIT = -1
# Of an application's role, by the column of pg_roles and the words that switch it off: none of these is ever needed
FORBIDDEN = {
    "rolsuper": "NOSUPERUSER",
    "rolcreatedb": "NOCREATEDB",
    "rolcreaterole": "NOCREATEROLE",
    "rolreplication": "NOREPLICATION",
    "rolbypassrls": "NOBYPASSRLS",
}
DONE = "-- done"  # psql says this after each change, so that a failure tells what was done before it

Json = dict[str, t.Any]


class Impossible(Exception):
    """What is wanted cannot be had on this server; nothing was changed."""


@dataclass(frozen=True)
class Role:
    """A service's login, and the databases that are its own."""

    name: str
    password: str = field(repr=False)
    databases: tuple[str, ...] = ()
    connections: int = NO_LIMIT
    reads: t.Mapping[str, str] = field(default_factory=dict)
    """Schema by database: what of others' it may read, and nothing more."""


@dataclass(frozen=True)
class Wish:
    """All that shall be. ``superuser`` is the server's own; its password is only cared for where one is given."""

    roles: tuple[Role, ...]
    extensions: t.Mapping[str, t.Sequence[str]]
    optional: frozenset[str] = frozenset()
    superuser: str = "postgres"
    superuser_password: str = field(default="", repr=False)

    @property
    def databases(self) -> dict[str, str]:
        """Owner by database."""
        return {database: role.name for role in self.roles for database in role.databases}

    def extensions_of(self, database: str) -> t.Sequence[str]:
        """What this database needs."""
        return self.extensions.get(database, ())


@dataclass(frozen=True)
class Step:
    """One difference and the lines of psql that close it. No secret is in before or after."""

    action: str
    what: str
    before: Json | None
    after: Json
    lines: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True)
class Seen:
    """What the server has. ``extensions`` only of databases that were asked about and exist."""

    roles: t.Mapping[str, Json] = field(default_factory=dict, repr=False)
    databases: t.Mapping[str, Json] = field(default_factory=dict)
    available: frozenset[str] | None = None
    extensions: t.Mapping[str, frozenset[str]] = field(default_factory=dict)
    reading: t.Mapping[tuple[str, str], Json] = field(default_factory=dict)
    """What a role may of a database that it shall read, by both names."""


def mistakes(wish: Wish) -> list[str]:
    """What is wrong with the wish itself."""
    found = []
    names = [role.name for role in wish.roles]
    owned = [database for role in wish.roles for database in role.databases]
    found += [f"role {name} is there twice" for name in sorted({each for each in names if names.count(each) > 1})]
    found += [f"database {name} has two owners" for name in sorted({each for each in owned if owned.count(each) > 1})]
    if wish.superuser in names:
        found.append(f"{wish.superuser} is the server's superuser, so it cannot be a service's role")
    given = [(role.name, role.password) for role in wish.roles]
    if wish.superuser_password:
        given.append((wish.superuser, wish.superuser_password))
    found += [
        f"the password of {name} is empty or has other than printable ASCII characters"
        for name, password in given
        if not scram.usable(password)
    ]
    return found


def question(wish: Wish) -> str:
    """A script for psql; it writes one JSON text per line."""
    roles = _list([*(role.name for role in wish.roles), wish.superuser])
    flags = ", ".join(f"'{column}', {column}" for column in FORBIDDEN)
    lines = [
        f"""SELECT json_build_object(
  'roles', (SELECT coalesce(json_object_agg(rolname, json_build_object('login', rolcanlogin, 'connections', rolconnlimit,
    'expires', rolvaliduntil IS NOT NULL AND rolvaliduntil <> 'infinity', 'kept', rolpassword, {flags})), '{{}}')
    FROM pg_authid WHERE rolname IN ({roles})),
  'databases', (SELECT coalesce(json_object_agg(datname, json_build_object('owner', pg_get_userbyid(datdba),
    'public', has_database_privilege('public', oid, 'CONNECT') OR has_database_privilege('public', oid, 'TEMPORARY'),
    'sorted_by', datcollversion, 'sorts_by', pg_database_collation_actual_version(oid))), '{{}}')
    FROM pg_database WHERE datname IN ({_list(wish.databases)})),
  'available', (SELECT coalesce(json_agg(name), '[]') FROM pg_available_extensions));"""  # noqa: S608 - names are quoted literals
    ]
    for database in wish.databases:
        if wish.extensions_of(database):
            lines += [
                f"SELECT EXISTS (SELECT FROM pg_database WHERE datname = {_text(database)}) AS there \\gset",  # noqa: S608 - a quoted literal
                "\\if :there",
                f"\\connect {_name(database)}",
                "SELECT json_build_object('database', current_database(), 'extensions', json_agg(extname)) FROM pg_extension;",
                "\\endif",
            ]
    lines += [_may_read(role.name, *each) for role in wish.roles for each in role.reads.items()]
    return "\n".join(lines) + "\n"


def seen(answer: str) -> Seen:
    """What psql wrote to the question. The first text is one JSON over several lines in no case: -A keeps it on one."""
    texts = [json.loads(line) for line in answer.splitlines() if line.startswith("{")]
    if not texts:
        raise Impossible("the server gave no answer that is understood")
    return Seen(
        texts[0]["roles"],
        texts[0]["databases"],
        frozenset(texts[0]["available"]),
        {text["database"]: frozenset(text["extensions"] or ()) for text in texts[1:] if "extensions" in text},
        {(text["reader"], text["database"]): text for text in texts[1:] if "reader" in text},
    )


def _may_read(role: str, database: str, schema: str) -> str:
    """Asks what a role may in a database that is there; a role that is not there yet may nothing."""
    return f"""SELECT EXISTS (SELECT FROM pg_database WHERE datname = {_text(database)}) AS there \\gset
\\if :there
\\connect {_name(database)}
SELECT json_build_object('reader', {_text(role)}, 'database', current_database(),
  'connect', coalesce(has_database_privilege(r.role, current_database(), 'CONNECT'), false),
  'schema', s.schema IS NOT NULL, 'usage', coalesce(has_schema_privilege(r.role, s.schema, 'USAGE'), false),
  'closed', (SELECT count(*) FROM pg_class c WHERE c.relnamespace = s.schema AND c.relkind IN ('r', 'p', 'v', 'm')
    AND NOT coalesce(has_table_privilege(r.role, c.oid, 'SELECT'), false)))
FROM (SELECT (SELECT oid FROM pg_roles WHERE rolname = {_text(role)}) AS role) r,
     (SELECT (SELECT oid FROM pg_namespace WHERE nspname = {_text(schema)}) AS schema) s;
\\endif"""  # noqa: S608 - names are quoted literals


def plan(wish: Wish, there: Seen) -> list[Step]:
    """What has to be done, in order. Raises Impossible where the server lacks an extension that is needed."""
    _have_extensions(wish, there)
    steps: list[Step] = []
    if wish.superuser_password and wish.superuser in there.roles:
        kept = there.roles[wish.superuser]["kept"]
        if not scram.matches(wish.superuser_password, kept):
            steps.append(_password(wish.superuser, wish.superuser_password))
    for role in wish.roles:
        steps += _role_steps(role, there.roles.get(role.name))
    for database, owner in wish.databases.items():
        steps += _database_steps(database, owner, there.databases.get(database))
        steps += _extension_steps(wish, database, there)
    for role in wish.roles:
        for database, schema in role.reads.items():
            steps += _reading_steps(role.name, database, schema, there.reading.get((role.name, database)))
    return steps


def left_out(wish: Wish, there: Seen) -> list[str]:
    """Optional extensions that this server does not have."""
    wanted = {name for database in wish.databases for name in wish.extensions_of(database)}
    return sorted(wanted - there.available) if there.available is not None else []


def outdated(there: Seen) -> list[str]:
    """Databases whose text indexes were built with another version of the system's sorting rules: they can be wrong."""
    return sorted(
        name for name, each in there.databases.items() if each["sorted_by"] and each["sorted_by"] != each["sorts_by"]
    )


def script(steps: t.Iterable[Step]) -> str:
    """The lines for psql."""
    return "".join(f"{line}\n" for step in steps for line in (*step.lines, f"\\echo {_text(DONE)}"))


def _have_extensions(wish: Wish, there: Seen) -> None:
    lacking = {
        database: sorted(set(wish.extensions_of(database)) - set(there.available or ()) - wish.optional)
        for database in wish.databases
        if there.available is not None
    }
    told = [f"{database} needs {', '.join(names)}" for database, names in lacking.items() if names]
    if told:
        raise Impossible(f"this server does not have an extension: {'; '.join(told)}. Use an image that brings it")


def _role_steps(role: Role, there: Json | None) -> list[Step]:
    after: Json = {"login": True, "connections": role.connections}
    words = ["LOGIN", *FORBIDDEN.values(), f"CONNECTION LIMIT {role.connections}"]
    if there is None:
        secret = _text(scram.verifier(role.password))
        line = f"CREATE ROLE {_name(role.name)} WITH {' '.join(words)} PASSWORD {secret};"
        return [Step("create", f"role {role.name}", None, after, (line,))]
    steps = []
    before: Json = {"login": there["login"], "connections": there["connections"]}
    may = {column: True for column in FORBIDDEN if there[column]}
    expires = {"expires": True} if there["expires"] else {}
    if before != after or may or expires:
        until = ["VALID UNTIL 'infinity'"] if expires else []
        line = f"ALTER ROLE {_name(role.name)} WITH {' '.join([*words, *until])};"
        less = dict.fromkeys([*may, *expires], False)
        steps.append(
            Step("update", f"role {role.name}", {**before, **may, **expires}, {**after, **less}, (line,)),
        )
    if not scram.matches(role.password, there["kept"]):
        steps.append(_password(role.name, role.password))
    return steps


def _password(name: str, password: str) -> Step:
    line = f"ALTER ROLE {_name(name)} WITH PASSWORD {_text(scram.verifier(password))};"
    said: tuple[Json, Json] = ({"is": "another"}, {"is": "the one in the vault"})
    return Step("update", f"password of role {name}", *said, (line,))


def _database_steps(database: str, owner: str, there: Json | None) -> list[Step]:
    after: Json = {"owner": owner, "public": False}
    close = f"REVOKE ALL ON DATABASE {_name(database)} FROM PUBLIC;"
    if there is None:
        make = f"CREATE DATABASE {_name(database)} WITH OWNER {_name(owner)} TEMPLATE template0 ENCODING 'UTF8';"
        return [Step("create", f"database {database}", None, after, (make, close))]
    before: Json = {"owner": there["owner"], "public": there["public"]}
    if before == after:
        return []
    lines = [f"ALTER DATABASE {_name(database)} OWNER TO {_name(owner)};"] if there["owner"] != owner else []
    return [Step("update", f"database {database}", before, after, (*lines, close))]


def _reading_steps(role: str, database: str, schema: str, may: Json | None) -> list[Step]:
    """Nothing for a database that is not there. A schema that is not there yet is granted by who makes it, or next time."""
    if may is None or (may["connect"] and (not may["schema"] or (may["usage"] and not may["closed"]))):
        return []
    to, inside = _name(role), _name(schema)
    lines = [f"\\connect {_name(database)}", f"GRANT CONNECT ON DATABASE {_name(database)} TO {to};"]
    if may["schema"]:
        lines += [
            f"GRANT USAGE ON SCHEMA {inside} TO {to};",
            f"GRANT SELECT ON ALL TABLES IN SCHEMA {inside} TO {to};",
            f"ALTER DEFAULT PRIVILEGES IN SCHEMA {inside} GRANT SELECT ON TABLES TO {to};",
        ]
    before: Json = {"connect": may["connect"], "tables that are closed": may["closed"]}
    after: Json = {"connect": True, "tables that are closed": 0}
    return [Step("update", f"what role {role} may read of {database}.{schema}", before, after, tuple(lines))]


def _extension_steps(wish: Wish, database: str, there: Seen) -> list[Step]:
    have = there.extensions.get(database, frozenset())
    can = wish.extensions_of(database) if there.available is None else there.available
    return [
        Step(
            "create",
            f"extension {name} in {database}",
            None,
            {"database": database},
            (f"\\connect {_name(database)}", f"CREATE EXTENSION IF NOT EXISTS {_name(name)};"),
        )
        for name in wish.extensions_of(database)
        if name not in have and name in can
    ]


def _name(name: str) -> str:
    """An identifier, quoted."""
    return '"' + name.replace('"', '""') + '"'


def _text(text: str) -> str:
    """A literal; the server reads backslashes as they are (standard_conforming_strings)."""
    return "'" + text.replace("'", "''") + "'"


def _list(names: t.Iterable[str]) -> str:
    return ", ".join(_text(name) for name in names) or "NULL"
