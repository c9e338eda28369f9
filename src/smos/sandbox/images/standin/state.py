"""What a stand-in remembers: where its product does, in a table of its database or in a file of its data volume."""

from __future__ import annotations

import fcntl
import hashlib
import json
import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

from .postgres import Database

Memory = dict[str, Any]
_LOCK = "7261736511"  # any constant: two processes of a product must not write at once
_ROUNDS = 1000


class State(Protocol):
    """One document."""

    def read(self) -> Memory:
        """What is remembered now; a copy."""

    def change(self) -> AbstractContextManager[Memory]:
        """For a `with` block: the document to be changed, kept when the block ends well. Others wait meanwhile."""


class InFile:
    """In a file; whoever may write the folder may remember."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Memory:
        """What is remembered now."""
        try:
            found: Memory = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return found

    @contextmanager
    def change(self) -> Iterator[Memory]:
        """Change it under a lock."""
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            memory = self.read()
            yield memory
            part = self._path.with_suffix(".part")
            part.write_text(json.dumps(memory), encoding="utf-8")
            part.replace(self._path)


class InTable:
    """In the product's database. Raises DatabaseError."""

    def __init__(self, database: Database, product: str) -> None:
        self._database = database
        self._product = product
        self._made = False

    def read(self) -> Memory:
        """What is remembered now."""
        with self._database.connect() as connection:
            there = connection.ask("SELECT to_regclass('standin_state') IS NOT NULL")
            if there[0][0] != "t":
                return {}
            rows = connection.ask("SELECT state FROM standin_state WHERE product = $1", self._product)
        found: Memory = json.loads(rows[0][0] or "{}") if rows else {}
        return found

    @contextmanager
    def change(self) -> Iterator[Memory]:
        """Change it in one transaction, one after the other."""
        with self._database.connect() as connection:
            connection.ask("BEGIN")
            connection.ask(f"SELECT pg_advisory_xact_lock({_LOCK})")
            if not self._made:
                connection.ask(
                    "CREATE TABLE IF NOT EXISTS standin_state (product text PRIMARY KEY, state text NOT NULL)"
                )
            rows = connection.ask("SELECT state FROM standin_state WHERE product = $1", self._product)
            memory: Memory = json.loads(rows[0][0] or "{}") if rows else {}
            yield memory
            connection.ask(
                "INSERT INTO standin_state VALUES ($1, $2) ON CONFLICT (product) DO UPDATE SET state = EXCLUDED.state",
                self._product,
                json.dumps(memory),
            )
            connection.ask("COMMIT")
            self._made = True


def hashed(secret: str) -> str:
    """How a password or key is remembered."""
    salt = secrets.token_hex(8)
    return f"{salt}:{hashlib.pbkdf2_hmac('sha256', secret.encode(), salt.encode(), _ROUNDS).hex()}"


def fits(secret: str, kept: str) -> bool:
    """Whether it is the one that was remembered."""
    salt, _colon, digest = kept.partition(":")
    made = hashlib.pbkdf2_hmac("sha256", secret.encode(), salt.encode(), _ROUNDS).hex()
    return secrets.compare_digest(made, digest)
