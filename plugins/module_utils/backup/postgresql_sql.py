# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The SQL that backups and restores need, as text: how a database was made and how another one is made like it."""

from __future__ import annotations

import re
import typing as t

CREATE_ROLE = re.compile(r"^CREATE ROLE (?P<name>\"(?:[^\"]|\"\")+\"|[^\s;\"]+);$")
# Their value is a list, which is not one text in quotes (pg_dump's own list)
LISTS = (
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
)
# By how PostgreSQL files it (pg_database.datlocprovider), its word and the option that names its locale
PROVIDERS = {"i": ("icu", "ICU_LOCALE"), "b": ("builtin", "BUILTIN_LOCALE"), "c": ("libc", ""), None: ("", "")}

Json = dict[str, t.Any]


def name(text: str) -> str:
    """An identifier, quoted."""
    return '"' + text.replace('"', '""') + '"'


def text(value: str) -> str:
    """A literal, read the same whatever standard_conforming_strings says."""
    quoted = "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
    return f"E{quoted}" if "\\" in value else quoted


def shape_of(database: str) -> str:
    """Asks how a database was made: one JSON text, or no row. Columns that differ by version are taken from the whole row."""
    return f"""SELECT json_build_object(
  'owner', pg_get_userbyid(d.datdba), 'encoding', pg_encoding_to_char(d.encoding), 'collate', d.datcollate,
  'ctype', d.datctype, 'provider', to_jsonb(d) ->> 'datlocprovider',
  'locale', coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale'), 'rules', to_jsonb(d) ->> 'daticurules',
  'connections', d.datconnlimit, 'comment', shobj_description(d.oid, 'pg_database'),
  'grants', (SELECT coalesce(json_agg(json_build_array(
      CASE WHEN a.grantee = 0 THEN '' ELSE pg_get_userbyid(a.grantee) END, a.privilege_type, a.is_grantable)), '[]')
    FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a),
  'settings', (SELECT coalesce(json_agg(json_build_array(
      CASE WHEN s.setrole = 0 THEN '' ELSE pg_get_userbyid(s.setrole) END, s.setconfig)), '[]')
    FROM pg_db_role_setting s WHERE s.setdatabase = d.oid))
FROM pg_database d WHERE d.datname = {text(database)};
"""  # noqa: S608 - a quoted literal


def create(database: str, shape: Json) -> str:
    """Makes an empty database of this shape. Its rights and settings are `dress`'s."""
    words = [f"CREATE DATABASE {name(database)} WITH TEMPLATE template0 ENCODING {text(shape['encoding'])}"]
    words += [f"LC_COLLATE {text(shape['collate'])} LC_CTYPE {text(shape['ctype'])}"]
    provider, option = PROVIDERS[shape.get("provider")]
    if provider:
        words.append(f"LOCALE_PROVIDER {provider}")
    if option and shape.get("locale"):
        words.append(f"{option} {text(shape['locale'])}")
    if shape.get("rules"):
        words.append(f"ICU_RULES {text(shape['rules'])}")
    words.append(f"OWNER {name(shape['owner'])}")
    return " ".join(words) + ";\n"


def dress(database: str, shape: Json, roles: t.Container[str]) -> str:
    """Rights, settings, limit and comment; of roles that are not (any more) there nothing is said."""
    there = name(database)
    lines = [f"REVOKE ALL ON DATABASE {there} FROM PUBLIC, {name(shape['owner'])};"]
    for grantee, privilege, grantable in shape.get("grants") or ():
        if grantee in roles or not grantee:
            to = name(grantee) if grantee else "PUBLIC"
            lines.append(
                f"GRANT {privilege} ON DATABASE {there} TO {to}{' WITH GRANT OPTION' if grantable and grantee else ''};"
            )
    for role, settings in shape.get("settings") or ():
        if role in roles or not role:
            whose = f"ALTER ROLE {name(role)} IN DATABASE {there}" if role else f"ALTER DATABASE {there}"
            lines += [f"{whose} SET {_setting(each)};" for each in settings]
    if shape.get("connections", -1) >= 0:
        lines.append(f"ALTER DATABASE {there} CONNECTION LIMIT {int(shape['connections'])};")
    if shape.get("comment"):
        lines.append(f"COMMENT ON DATABASE {there} IS {text(shape['comment'])};")
    return "\n".join(lines) + "\n"


def shut(databases: t.Sequence[str], *, is_open: bool = False) -> str:
    """Says of those that exist whether anybody may connect; the server skips the others."""
    names = ", ".join(text(each) for each in databases)
    allowed = "true" if is_open else "false"
    return (
        f"SELECT format('ALTER DATABASE %I WITH ALLOW_CONNECTIONS {allowed}', datname) FROM pg_database"  # noqa: S608 - quoted by `text` or format()
        f" WHERE datname IN ({names})\n\\gexec\n"
    )


def end_sessions(databases: t.Sequence[str]) -> str:
    """Ends everybody's sessions there but our own."""
    names = ", ".join(text(each) for each in databases)
    return (
        f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname IN ({names})"  # noqa: S608 - quoted by `text` or format()
        " AND pid <> pg_backend_pid();\n"
    )


def rename(pairs: t.Sequence[tuple[str, str]]) -> str:
    """Gives several databases their new names, all of them or none."""
    lines = [f"ALTER DATABASE {name(old)} RENAME TO {name(new)};" for old, new in pairs]
    return "\n".join(["BEGIN;", *lines, "COMMIT;"]) + "\n"


def counts(tables: t.Sequence[str]) -> str:
    """Counts the rows of those tables that exist: one JSON text each."""
    wanted = ", ".join(text(table) for table in tables)
    return (
        "SELECT format('SELECT json_build_array(%L, count(*)) FROM %s', name, to_regclass(name))"  # noqa: S608 - quoted by `text` or format()
        f" FROM unnest(ARRAY[{wanted}]) AS name WHERE to_regclass(name) IS NOT NULL\n\\gexec\n"
    )


def roles_of(dumped: str, there: t.Container[str]) -> tuple[list[str], str]:
    """The roles in a dump of globals that are not there, and the script that makes them. What is there is left alone."""
    lines = dumped.splitlines()
    missing = [
        found["name"] for line in lines if (found := CREATE_ROLE.match(line)) and _plain(found["name"]) not in there
    ]
    script = [f"CREATE ROLE {each};" for each in missing]
    for each in missing:
        script += [line for line in lines if line.startswith((f"ALTER ROLE {each} WITH ", f"ALTER ROLE {each} SET "))]
    member = [f" TO {each}" for each in missing]
    script += [
        line
        for line in lines
        if line.startswith("GRANT ") and any(f"{each};" in line or f"{each} " in line for each in member)
    ]
    return [_plain(each) for each in missing], "\n".join(script) + "\n"


def _plain(identifier: str) -> str:
    return identifier[1:-1].replace('""', '"') if identifier.startswith('"') else identifier


def _setting(setting: str) -> str:
    key, _equals, value = setting.partition("=")
    what = ".".join(name(part) for part in key.split("."))
    if key.lower() not in LISTS:
        return f"{what} TO {text(value)}"
    return f"{what} TO {', '.join(text(each) for each in _listed(value)) or text('')}"


def _listed(value: str) -> list[str]:
    """The parts of a list of identifiers, some of them in double quotes."""
    found = re.findall(r'\s*("(?:[^"]|"")*"|[^,"]+)\s*(?:,|\Z)', value)
    return [_plain(each.strip()) for each in found]
