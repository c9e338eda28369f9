# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The timers by which a machine backs itself up, checks that and tries it out, and what each starts. Pure functions."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible_collections.smartercl.smarteros.plugins.plugin_utils.backup_config import calendar

PROGRAM = "/usr/local/lib/smarteros/backup.pyz"
PATIENCE_S = 1800  # for a deploy that has the machine just then
LONGEST = "12h"
DELAY = "15min"  # at most: not all machines of a provider begin in the same second
_SERVICE = """\
# Made by the role backup of smartercl.smarteros: changes by hand are replaced.
[Unit]
Description={title}
After=docker.service network-online.target
Wants=network-online.target

[Service]
Type=oneshot
ExecStart={program} {words} --reason timer --wait {patience}
Environment=HOME=/root LC_ALL=C.UTF-8
UMask=0077
Nice=10
IOSchedulingClass=best-effort
IOSchedulingPriority=7
TimeoutStartSec={longest}
# The program itself ends what it has begun, and gives the lock back
KillMode=mixed
"""
_TIMER = """\
# Made by the role backup of smartercl.smarteros: changes by hand are replaced.
[Unit]
Description={title}

[Timer]
OnCalendar={calendar}
RandomizedDelaySec={delay}
# What was missed while the machine was off is made up for
Persistent=true

[Install]
WantedBy=timers.target
"""


# Without a calendar: as soon as the one before has ended, when that took longer
_ALWAYS = """\
# Made by the role backup of smartercl.smarteros: changes by hand are replaced.
[Unit]
Description={title}

[Timer]
OnBootSec=1min
OnUnitActiveSec={every}s
AccuracySec=1s

[Install]
WantedBy=timers.target
"""


class Job(t.NamedTuple):
    """A job that a timer starts."""

    unit: str
    job: str  # as the specs call it
    words: str  # of the program
    title: str


JOBS = (
    Job("smos-backup", "backup", "run", "Backup of SmarterOS"),
    Job("smos-backup-check", "check", "check", "Check of the backups of SmarterOS"),
    Job("smos-backup-drill", "drill", "drill", "Trial restore of the newest backup of SmarterOS"),
)
WAL = Job("smos-wal", "wal", "wal", "Archiving of what PostgreSQL writes")
WAL_BASE = Job("smos-wal-base", "wal_base", "wal-base", "Copy of the whole PostgreSQL server, for its archive")
TIMERS = tuple(f"{each.unit}.timer" for each in JOBS)


def units(spec: Mapping[str, t.Any]) -> dict[str, str]:
    """The text of each unit by its name."""
    made = {}
    for each in JOBS:
        words = {"title": each.title, "program": PROGRAM, "words": each.words, "patience": PATIENCE_S}
        made[f"{each.unit}.service"] = _SERVICE.format(**words, longest=LONGEST)
        made[f"{each.unit}.timer"] = _TIMER.format(title=each.title, calendar=calendar(spec, each.job), delay=DELAY)
    return {**made, **_wal(spec)}


def _wal(spec: Mapping[str, t.Any]) -> dict[str, str]:
    """Of the archive; none where it is off."""
    wal = spec.get("wal") or {}
    if not wal.get("enabled"):
        return {}
    made = {}
    for each in (WAL, WAL_BASE):
        words = {"title": each.title, "program": PROGRAM, "words": each.words, "patience": PATIENCE_S}
        made[f"{each.unit}.service"] = _SERVICE.format(**words, longest=LONGEST)
    made["smos-wal.timer"] = _ALWAYS.format(title=WAL.title, every=wal["every_s"])
    when = calendar(spec, WAL_BASE.job)
    made["smos-wal-base.timer"] = _TIMER.format(title=WAL_BASE.title, calendar=when, delay=DELAY)
    return made
