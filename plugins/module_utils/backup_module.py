# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What the modules of the backups have in common: how a job begins on the machine, and how it fails in words."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils import target_lock
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import (
    catalogue,
    config,
    job,
    journal,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.config import Config
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.refused import AGAIN, Refused
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restic import ResticError
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restore import RestoreError
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import EngineError
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row

FAILED, INVALID, UNUSABLE, REFUSED = 1, 2, 3, 4
NOT_SET_UP = "Set it up first: smos deploy backend"
FAILURES = (
    Refused,
    RestoreError,
    job.Busy,
    config.ConfigError,
    journal.JournalError,
    catalogue.UnknownBackup,
    ResticError,
    EngineError,
    OSError,
)
"""What a job raises; anything else is a mistake of ours."""

Json = dict[str, t.Any]


def configured() -> Config:
    """The configuration of this machine. Raises ConfigError."""
    return config.read()


def run_id(given: str, reason: str) -> str:
    """The run that a job belongs to: the one named, the play's, or one of its own."""
    return given or os.environ.get(target_lock.RUN, "") or job.new_run(reason)


def failure(what: str, exc: Exception) -> Json:
    """A failure as Ansible and the command line take it."""
    why = " ".join(str(exc).split())
    code, following = _meaning(exc)
    return {"msg": f"{what}: {why}", "errors": [row(what, why, _where(exc), following)], "exit_code": code}


def failures(errors: t.Sequence[Json]) -> Json:
    """Failures that a job told by itself."""
    return {
        "msg": "; ".join(f"{each['what']}: {each['why']}" for each in errors),
        "errors": list(errors),
        "exit_code": FAILED,
    }


def change(what: str, before: t.Any, after: t.Any, service: str) -> Json:
    """A row of what a run would do."""
    action = "create" if before is None else "update"
    return {"service": service, "tenant": None, "action": action, "what": what, "before": before, "after": after}


def _meaning(exc: Exception) -> tuple[int, str]:
    """The exit code of a failure, and what to do about it."""
    if isinstance(exc, (Refused, RestoreError)):
        return exc.exit_code, exc.following
    if isinstance(exc, job.Busy):
        return REFUSED, "Wait until that run has ended, or see it with `smos history`; then run the same command again"
    if isinstance(exc, config.ConfigError):
        return UNUSABLE, NOT_SET_UP
    if isinstance(exc, catalogue.UnknownBackup):
        return INVALID, "List what there is by: smos backups"
    if isinstance(exc, ResticError):
        return UNUSABLE, exc.following
    return UNUSABLE, AGAIN


def _where(exc: Exception) -> str:
    return str(config.PATH) if isinstance(exc, config.ConfigError) else ""
