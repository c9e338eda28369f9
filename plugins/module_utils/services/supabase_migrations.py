# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Migrations: ordered SQL files against what a database recorded of them, and how the missing ones are applied.

History lies in ``smarteros.migrations`` (version, name, checksum). A file and its record are one statement, guarded by an
advisory lock, so a run that dies leaves a database before or after a file, and two runs at once apply it once.
"""

from __future__ import annotations

import hashlib
import re
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.supabase_sql import (
    Row,
    Sql,
    literal,
    locked,
    read_if_there,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError

TABLE = "smarteros.migrations"
HISTORY = f"select version, name, checksum from {TABLE} order by version"  # noqa: S608  # a constant
_FILE = re.compile(r"(\d{4})_([a-z0-9][a-z0-9_]*)\.sql")
_BOOTSTRAP = f"""create schema if not exists smarteros;
create table if not exists {TABLE} (
    version text primary key, name text not null, checksum text not null,
    applied_at timestamptz not null default now(), applied_by text not null default session_user);
alter table {TABLE} enable row level security;
revoke all on {TABLE} from public;"""


@dataclass(frozen=True)
class Migration:
    """One file. ``version`` is its number of four digits, ``checksum`` the SHA-256 of its text in hex."""

    version: str
    name: str
    checksum: str
    text: str = field(default="", repr=False, compare=False)

    @property
    def file(self) -> str:
        """The file's name."""
        return f"{self.version}_{self.name}.sql"


def read_folder(folder: str) -> list[Migration]:
    """The migrations of a folder, in order. Line ends do not count for the checksum.

    Raises ApiError for a folder that cannot be read, a name of another form, a gap or a number that occurs twice.
    """
    try:
        paths = sorted(path for path in Path(folder).iterdir() if path.suffix == ".sql")
        found = [_read(path) for path in paths]
    except OSError as exc:
        raise ApiError(f"the migrations cannot be read: {exc.strerror}", where=folder) from None
    if not found:
        raise ApiError("there are no migrations (files <number>_<what>.sql)", where=folder)
    for number, migration in enumerate(found, 1):
        if int(migration.version) != number:
            why = f"{migration.file} stands where number {number:04d} is expected: numbers are consecutive, each once"
            raise ApiError(why, errors.CONFLICT, where=folder)
    return found


def history(sql: Sql) -> list[Migration]:
    """What the database recorded, in order; empty where nothing was ever applied."""
    return [_recorded(row) for row in read_if_there(sql, TABLE, HISTORY) or []]


def pending(files: t.Sequence[Migration], recorded: t.Sequence[Migration], where: str = "") -> list[Migration]:
    """The files that are still to be applied, in order. Pure.

    Raises ApiError ``conflict`` where history and files contradict each other: a file that was changed, renamed or taken
    away after it was applied, or one that comes before an applied one.
    """
    by_version = {each.version: each for each in files}
    for done in recorded:
        file = by_version.get(done.version)
        if file is None:
            why = f"{done.file} was applied (checksum {done.checksum}) and is not among the files: are they an older release?"
            raise ApiError(why, errors.CONFLICT, where=where)
        if (file.name, file.checksum) != (done.name, done.checksum):
            was = f" as {done.file}" if file.name != done.name else ""
            why = f"{file.file} was changed after it was applied{was}: recorded checksum {done.checksum}, found {file.checksum}"
            raise ApiError(
                f"{why}; bring the file back and put the change into a new one", errors.CONFLICT, where=where
            )
    known = {each.version for each in recorded}
    todo = [each for each in files if each.version not in known]
    last = max(known, default="")
    for file in todo:
        if file.version < last:
            why = f"{file.file} was never applied, though {last} was: history has a gap"
            raise ApiError(why, errors.CONFLICT, where=where)
    return todo


def statement(migration: Migration) -> str:
    """The one statement that applies a migration and records it, unless another run did both meanwhile."""
    version, checksum = literal(migration.version), literal(migration.checksum)
    record = f"values ({version}, {literal(migration.name)}, {checksum})"
    tag = migration.checksum[:16]
    if f"$sql_{tag}$" in migration.text:
        raise ApiError(f"$sql_{tag}$ occurs in {migration.file} itself")
    parts = [
        _BOOTSTRAP,
        f"if exists (select from {TABLE} where version = {version} and checksum <> {checksum}) then",
        f"    raise exception 'another run applied % with another checksum', {literal(migration.file)};",
        "end if;",
        f"if exists (select from {TABLE} where version = {version}) then",
        "    return;",
        "end if;",
        f"execute $sql_{tag}$\n{migration.text}\n$sql_{tag}$;",
        f"insert into {TABLE} (version, name, checksum) {record};",
        "perform pg_catalog.pg_notify('pgrst', 'reload schema');",
    ]
    return locked("\n".join(parts), tag)


def apply(sql: Sql, todo: t.Sequence[Migration]) -> t.Iterator[Migration]:
    """Apply in order, and give each when it is done. Raises ApiError at the first that fails; those before stay."""
    for migration in todo:
        try:
            sql.change(statement(migration))
        except ApiError as exc:
            raise ApiError(f"{migration.file}: {exc.message}", exc.kind, exc.status, exc.code, exc.where) from None
        yield migration


def _read(path: Path) -> Migration:
    found = _FILE.fullmatch(path.name)
    if not found:
        raise ApiError(
            f"{path.name}: a migration is named <4 digits>_<what>.sql, in a-z, 0-9 and _", where=str(path.parent)
        )
    try:
        text = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise ApiError(f"{path.name} is not UTF-8 text", where=str(path.parent)) from None
    if not text.strip() or "\0" in text:
        raise ApiError(f"{path.name} is empty or no text", where=str(path.parent))
    return Migration(found.group(1), found.group(2), hashlib.sha256(text.encode()).hexdigest(), text)


def _recorded(row: Row) -> Migration:
    values = [row.get(key) for key in ("version", "name", "checksum")]
    if not all(isinstance(value, str) for value in values):
        raise ApiError(f"{TABLE} holds something that is no migration", where=TABLE)
    return Migration(*t.cast("list[str]", values))
