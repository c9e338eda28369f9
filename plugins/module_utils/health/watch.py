# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The program that a second timer of a machine runs: it tells people when the collector has left no mark for too long.

It has a file and a timer of its own, and uses nothing of the collector's but its configuration and that mark. Exit codes: 0 the
collector is alive, 1 it is not, 2 wrong usage, 3 nobody could be told, 4 another one is on its way.
"""

from __future__ import annotations

import argparse
import fcntl
import sys
import time
import typing as t
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.module_utils.health import alerts_run, config, heartbeat, kept
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.alerts_state import Memory
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.heartbeat import Moment
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.incident import CRITICAL, Incident

ALIVE, SILENT, INVALID, UNUSABLE, BUSY = range(5)
SUBJECT = "collector"
FILE, TOLD, LOCK = "watch.json", "watch-told.json", "watch.lock"
SILENT_S = 1200.0
DAY_S = 86400.0
_TITLE, _WHAT = "vigilancia", "no mira desde hace {age}: mientras tanto no se avisa de nada más"


@dataclass(frozen=True)
class Kept:
    """Between two runs: the newest incident of the collector, and since when there is no mark at all."""

    incident: Incident | None = None
    missing: Moment | None = None


def main(argv: Sequence[str] | None = None) -> int:
    """Look once; gives the exit code."""
    parser = argparse.ArgumentParser(description="Tell people when the collector of this machine is silent.")
    parser.add_argument("--config", default=str(config.PATH))
    parser.add_argument("--state", default=str(kept.FOLDER))
    parser.add_argument("--spare", default=str(kept.SPARE))
    words = parser.parse_args(argv)
    folders = (Path(words.state), Path(words.spare))
    try:
        known = config.read(Path(words.config))
        with _lock(folders) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return look(known, folders, time.time(), heartbeat.present())
    except BlockingIOError:
        return _say(BUSY, "another one is on its way")
    except (config.ConfigError, OSError) as exc:
        return _say(UNUSABLE, str(exc))


def look(known: config.Config, folders: Sequence[Path], now: float, moment: Moment) -> int:
    """Judge the mark and tell people; gives the exit code. Raises OSError where nothing can be kept."""
    memory = Memory(FILE, folders)
    before = _of(memory.read()[0])
    limit = float(known.alerts.get("silent_after_s") or SILENT_S)
    after = judge(before, heartbeat.last(folders), moment, now, limit)
    if after != before:
        memory.write(
            {"incident": after.incident and after.incident.as_row(), "missing": after.missing and asdict(after.missing)}
        )
    found = [after.incident] if after.incident else []
    for line in alerts_run.tell(found, known, now, folders, TOLD):
        sys.stderr.write(f"{line}\n")
    return SILENT if after.incident and after.incident.closed_at is None else ALIVE


def judge(before: Kept, mark: Moment | None, moment: Moment, now: float, limit: float) -> Kept:
    """What is known after this look. A machine that has just started has as long as any for its first mark. Pure."""
    missing = None if mark else before.missing or moment
    silent_s = (mark or missing or moment).age(moment)
    incident = before.incident
    is_open = incident is not None and incident.closed_at is None
    if silent_s >= limit and not is_open:
        what = _WHAT.format(age=f"{round(silent_s / 60)} min")
        number = max(int(now * 1000), incident.id + 1 if incident else 0)
        incident = Incident(
            number, SUBJECT, SUBJECT, CRITICAL, what, now - silent_s, None, _TITLE, tenant="", service=""
        )
    elif silent_s < limit and incident is not None:
        if is_open:
            incident = replace(incident, closed_at=max(now - silent_s, incident.opened_at))
        elif incident.closed_at is not None and now - incident.closed_at > DAY_S:
            incident = None
    return Kept(incident, missing)


def _of(found: t.Any) -> Kept:
    """As it is kept; nothing where it is not sound."""
    try:
        incident = Incident(**found["incident"]) if found["incident"] else None
        return Kept(incident, heartbeat.of(found["missing"]))
    except (KeyError, TypeError):
        return Kept()


def _lock(folders: Sequence[Path]) -> t.TextIO:
    """A file to lock, also where the disk is full. Raises OSError."""
    failure: OSError | None = None
    for folder in folders:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return open(folder / LOCK, "w", encoding="utf-8")
        except OSError as exc:
            failure = failure or exc
    raise failure or OSError("no folder is named")


def _say(code: int, text: str) -> int:
    sys.stderr.write(f"{text}\n")
    return code
