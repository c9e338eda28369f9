# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""A cache that may vanish at any time: texts by scope and name in one SQLite file.

It is never the only place of anything, so every trouble with the file ends the same way: go on without it, and if its
content is damaged, throw it away. Each text is kept with its checksum, as SQLite does not notice a flipped bit.
"""

from __future__ import annotations

import contextlib
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

_VERSION = 1
_PATIENCE_S = 10.0
_TABLES = """
DROP TABLE IF EXISTS head;
DROP TABLE IF EXISTS body;
CREATE TABLE head (scope TEXT, name TEXT, stamp TEXT, text TEXT, crc INTEGER, PRIMARY KEY (scope, name)) WITHOUT ROWID;
CREATE TABLE body (scope TEXT, name TEXT, stamp TEXT, text TEXT, crc INTEGER, PRIMARY KEY (scope, name));
PRAGMA user_version = 1;
"""


_PASSING = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_NOMEM,
    }
)
"""What goes by without the content being at fault. UnicodeDecodeError and the like, from text in the file, are damage."""


class Item(NamedTuple):
    """What is kept of one thing: its name, the stamp that it is valid for, a short text and a long one."""

    name: str
    stamp: str
    head: str
    body: str


class CacheFile:
    """The cache at ``path``; ``None`` or a place where nothing can be written is a cache that is always empty."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._db = _connected(path) if path else None

    def close(self) -> None:
        """Free the file."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def heads(self, scope: str) -> dict[str, tuple[str, str]]:
        """The stamp and the short text of everything in a scope, by name."""
        return self._texts("SELECT name, stamp, text, crc FROM head WHERE scope = ?", (scope,))

    def bodies(self, scope: str, names: Iterable[str] | None = None) -> dict[str, tuple[str, str]]:
        """The stamp and the long text of these names (None: of all in the scope)."""
        if names is None:
            return self._texts("SELECT name, stamp, text, crc FROM body WHERE scope = ?", (scope,))
        found: dict[str, tuple[str, str]] = {}
        for name in names:
            one = "SELECT name, stamp, text, crc FROM body WHERE scope = ? AND name = ?"
            found.update(self._texts(one, (scope, name)))
        return found

    def store(self, scope: str, items: Iterable[Item], gone: Iterable[str] = ()) -> None:
        """Keep these items and forget those names, all in one step or not at all."""
        if self._db is None:
            return
        items = list(items)
        away = [(scope, name) for name in gone]
        with self._trouble(), self._db:
            self._db.executemany("DELETE FROM head WHERE scope = ? AND name = ?", away)
            self._db.executemany("DELETE FROM body WHERE scope = ? AND name = ?", away)
            self._db.executemany(
                "INSERT OR REPLACE INTO head VALUES (?, ?, ?, ?, ?)",
                ((scope, item.name, item.stamp, item.head, _crc(*item[:3])) for item in items),
            )
            self._db.executemany(
                "INSERT OR REPLACE INTO body VALUES (?, ?, ?, ?, ?)",
                ((scope, item.name, item.stamp, item.body, _crc(item.name, item.stamp, item.body)) for item in items),
            )

    def _texts(self, query: str, values: tuple[Any, ...]) -> dict[str, tuple[str, str]]:
        if self._db is not None:
            with self._trouble():
                rows = self._db.execute(query, values).fetchall()
                return {name: (stamp, text) for name, stamp, text, crc in rows if _crc(name, stamp, text) == crc}
        return {}

    @contextlib.contextmanager
    def _trouble(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, ValueError) as error:
            if _is_damage(error) and self._path is not None:
                self.close()
                _throw_away(self._path)
                self._db = _connected(self._path)


def _is_damage(error: Exception) -> bool:
    """Whether the content is at fault, and not the moment or the place."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF not in _PASSING


def _connected(path: Path) -> sqlite3.Connection | None:
    for _attempt in range(2):
        try:
            return _opened(path)
        except OSError:
            return None
        except (sqlite3.Error, ValueError) as error:
            if not _is_damage(error):
                return None
            _throw_away(path)
    return None


def _opened(path: Path) -> sqlite3.Connection:
    if not path.parent.is_dir():
        path.parent.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.mkdir(mode=0o700, exist_ok=True)
    db = sqlite3.connect(path, timeout=_PATIENCE_S)
    try:
        db.execute("PRAGMA synchronous = OFF")  # a power cut may damage it, and then it is thrown away
        db.execute("PRAGMA cache_size = -65536")  # so that readers wait only for the moment of the commit
        if db.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
            _prepare(db)
    except BaseException:
        db.close()
        raise
    return db


def _prepare(db: sqlite3.Connection) -> None:
    """Make the tables; whoever comes second finds them made."""
    with db:
        db.execute("BEGIN EXCLUSIVE")
        if db.execute("PRAGMA user_version").fetchone()[0] == _VERSION:
            return
        for statement in _TABLES.split(";"):
            db.execute(statement)


def _throw_away(path: Path) -> None:
    for name in (path, path.with_name(f"{path.name}-journal")):
        with contextlib.suppress(OSError):
            name.unlink()


def _crc(name: Any, stamp: Any, text: Any) -> int:
    return zlib.crc32(f"{name}\n{stamp}\n{text}".encode("utf-8", "surrogatepass"))
