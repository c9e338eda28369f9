"""How every stand-in starts: it records what it was given, and refuses as its product does."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence

from . import record
from .postgres import Database, DatabaseError
from .redis import RedisError
from .settings import Refused

Main = Callable[[Sequence[str]], int]


def run(product: str, main: Main) -> None:
    """Run a program to its end and leave with its code."""
    argv = sys.argv[1:]
    record.started(product, argv, os.environ)
    try:
        code = main(argv)
    except (Refused, DatabaseError, RedisError) as exc:
        record.note("refused", product=product, why=str(exc))
        sys.stderr.write(f"stand-in for {product}: {exc}\n")
        code = 1
    sys.exit(code)


def reachable(database: Database, patience_s: float = 0.0) -> None:
    """Log in to the database, waiting for it that long. Raises DatabaseError."""
    until = time.monotonic() + patience_s
    while True:
        try:
            database.connect().close()
            return
        except DatabaseError as exc:
            if time.monotonic() >= until or exc.code:
                raise
            time.sleep(0.2)


def not_known(product: str, argv: Sequence[str]) -> int:
    """A command that the product may have and its stand-in does not."""
    sys.stderr.write(f"stand-in for {product}: it does not do `{' '.join(argv)}`\n")
    return 2
