# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Archiving as a job: what a timer starts, its outcome written down, and whoever wants to know told when it fails.

Bringing segments away waits for nobody but the archive itself: a backup or a deploy may take longer than what is promised.
Only a copy of the whole server takes the lock of the machine.
"""

from __future__ import annotations

import time
import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import job, volumes, wal, wal_plan, wal_store
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.config import Config
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.postgresql import PostgresError
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restic import ResticError, SourceFailed
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.wal_plan import Held
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine, EngineError
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row

FAILURES = (wal.WalError, PostgresError, ResticError, SourceFailed, EngineError, volumes.VolumeError, OSError)
NEXT = "`journalctl -u 'smos-wal*'` on the machine tells more; the next run tries again"
OFF = "nothing is archived: wal in specs/infra/backup.yml is off"
EARLY = 0.5  # of a day: the timer's own delay makes no copy skip a day

Json = dict[str, t.Any]
Say = t.Callable[[str], None]


def push(config: Config, engine: Engine, run: str, say: Say) -> Json:
    """Archive what was written, and take a copy of the server where there is none from which that leads on."""
    if not config.wal.enabled:
        return {"notes": [OFF], "errors": []}
    began = time.time()
    job.gently()
    try:
        own = wal.archive(config, engine)
        pushed = wal.push(own, say=say)
    except wal_store.Shut as exc:
        return {"notes": [str(exc)], "errors": []}
    except FAILURES as exc:
        why = " ".join(str(exc).split())
        job.settle(config, job.WAL, job.Outcome(False, why), began, say=say)
        return {"errors": [row("archive of PostgreSQL", why, config.wal.server, NEXT)]}
    until = wal_plan.stamp(pushed.until) if pushed.until else ""
    why = "; ".join(pushed.problems)
    job.settle(config, job.WAL, job.Outcome(not why, why or f"all up to {until} is archived", until), began, say=say)
    errors = [row("archive of PostgreSQL", each, config.wal.server, NEXT) for each in pushed.problems]
    told: Json = {"segments": pushed.segments, "until": until, "notes": [], "errors": errors}
    if pushed.due:
        say(f"a base backup is due: {pushed.due}")
        try:
            _based(config, own, run, say, 0.0)
        except job.Busy as exc:
            told["notes"].append(f"a base backup is due, and waits: {exc}")
        except (*FAILURES, wal_store.Shut) as exc:
            told["errors"].append(row("base backup of PostgreSQL", " ".join(str(exc).split()), "", NEXT))
    return told


def base(config: Config, engine: Engine, run: str, say: Say, *, patience_s: float = 0.0) -> Json:
    """Copy the whole server, where the newest copy is as old as it may be. Raises Busy."""
    if not config.wal.enabled:
        return {"notes": [OFF], "errors": []}
    try:
        own = wal.archive(config, engine)
        known = wal_store.held(own.where.local)
        newest = max((each.at for each in known.bases), default=0.0)
        if time.time() - newest < (config.wal.base_days - EARLY) * wal_plan.DAY_S:
            return {"notes": [f"the copy of {wal_plan.stamp(newest)} is new enough"], "errors": []}
        made = _based(config, own, run, say, patience_s)
    except (*FAILURES, wal_store.Shut) as exc:
        return {"errors": [row("base backup of PostgreSQL", " ".join(str(exc).split()), config.wal.server, NEXT)]}
    return {**_spans(made), "errors": []}


def spans(config: Config) -> Json:
    """The moments that can be brought back, of the first place that answers."""
    where = wal_store.places(config)
    errors = []
    for name, each in {"local": where.local, **where.remotes}.items():
        try:
            found = wal_store.held(each)
        except ResticError as exc:
            errors.append(row(f"archive at {name}", exc.message, name, exc.following))
            continue
        if found.bases:
            return {**_spans(found), "errors": []}
    return {"spans": [], "errors": errors}


def _spans(found: Held) -> Json:
    told = [{"since": wal_plan.stamp(since), "until": wal_plan.stamp(until)} for since, until in wal_plan.spans(found)]
    return {"spans": told}


def _based(config: Config, own: wal.Archive, run: str, say: Say, patience_s: float) -> Held:
    def work() -> tuple[job.Outcome, Held]:
        made = wal.base(own, say=say)
        newest = max(each.at for each in made.bases)
        return job.Outcome(True, "a copy of the whole server", wal_plan.stamp(newest)), made

    made: Held = job.perform(config, job.BASE, run, work, patience_s=patience_s, say=say)
    return made
