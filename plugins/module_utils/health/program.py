# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The program that the timer of a machine runs every few minutes: one pass over everything that is watched.

Exit codes: 0 done, 1 the pass is kept and the database has not taken it, 2 wrong usage, 3 the machine cannot be used,
4 another pass is on its way.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import typing as t
from collections.abc import Sequence
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.postgresql import PostgresError, Server
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine, EngineError
from ansible_collections.smartercl.smarteros.plugins.module_utils.health import (
    alerts_run,
    config,
    heartbeat,
    kept,
    look,
    rows,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.incident import Incident, Observation
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.kept import Kept
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.store import Store

DONE, FAILED, INVALID, UNUSABLE, BUSY = range(5)
DAY_S = 86400
CPU, CLEANED, LATELY = "cpu.json", "cleaned.json", "lately.json"


def main(argv: Sequence[str] | None = None) -> int:
    """Make one pass; gives the exit code."""
    words = _parser().parse_args(argv)
    try:
        known = config.read(Path(words.config))
        files = Kept(Path(words.state), Path(words.spare))
        engine = Engine()
        with files.alone():
            return one_pass(known, files, engine, Store(Server(engine, known.server), known.database), int(time.time()))
    except kept.Busy as exc:
        return _say(BUSY, str(exc))
    except (config.ConfigError, EngineError, OSError) as exc:
        return _say(UNUSABLE, str(exc))


def one_pass(known: config.Config, files: Kept, engine: Engine, store: Store, now: int) -> int:
    """Look, keep, tell, send. What the database does not take is sent with a later pass. Raises EngineError and OSError."""
    metrics, clock = look.measured(files.read(CPU), os.getloadavg()[0])
    seen = [*look.look(known, engine, now), *look.of_machine(metrics, known.rules)]
    parts = add(known, files, seen, metrics, now)
    files.write(CPU, clock)
    # Before the database is asked: that it does not answer is among what people are told
    tell(known, lately(files, now), now, files.folders)
    try:
        store.ready()
        store.write(parts)
        files.sent()
        if (files.read(CLEANED) or 0) + DAY_S <= now:
            store.clean(now)
            files.write(CLEANED, now)
    except (PostgresError, EngineError) as exc:
        return _say(FAILED, f"the database has not taken this pass, which is kept for the next one: {exc}")
    return DONE


def add(
    known: config.Config, files: Kept, seen: Sequence[Observation], metrics: t.Mapping[str, float], now: int
) -> list[rows.Rows]:
    """Add a pass to what is kept; gives all that the database is to be told, the oldest first. Raises OSError."""
    book = files.book()
    found = book.take(seen, now, known.rules, known.zone)
    closed = [each for each in lately(files, now) if each.closed_at is not None]
    news = {each.id: each for each in [*closed, *found.incidents, *book.open_incidents()]}
    files.write(LATELY, [each.as_row() for each in news.values()])
    ended = rows.of_ended(found)
    current = rows.of_book(book, metrics, now)
    # The figures of a pass do not grow: they are kept until the database has them
    files.keep(book, {**ended, "metrics": current["metrics"]})
    return [*files.unsent(), current]


def lately(files: Kept, now: float) -> list[Incident]:
    """The incidents that are open, and those that closed in the last 24 hours, as the last pass left them."""
    try:
        found = [Incident(**each) for each in files.read(LATELY) or ()]
        return [each for each in found if each.closed_at is None or now - each.closed_at < DAY_S]
    except TypeError:
        return []


def tell(known: config.Config, incidents: Sequence[Incident], now: float, folders: Sequence[Path]) -> None:
    """Tell people, and whoever waits for a mark that this pass was made. Raises OSError where nothing can be kept."""
    said = alerts_run.tell(incidents, known, now, folders)
    heartbeat.beat(folders, heartbeat.present())
    for line in [*said, *alerts_run.ping(known)]:
        sys.stderr.write(f"{line}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Look once at everything that is watched on this machine, and write it down."
    )
    parser.add_argument("--config", default=str(config.PATH))
    parser.add_argument("--state", default=str(kept.FOLDER))
    parser.add_argument("--spare", default=str(kept.SPARE))
    return parser


def _say(code: int, text: str) -> int:
    sys.stderr.write(f"{text}\n")
    return code
