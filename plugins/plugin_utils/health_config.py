# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""From specs to the file by which a machine watches itself and its tenants, and the units that run it: pure functions."""

from __future__ import annotations

import json
import typing as t
from collections.abc import Iterable, Mapping

PROGRAM_MODULE = "plugins.module_utils.health.program"
PROGRAM = "/usr/local/lib/smarteros/health.pyz"
UNIT = "smos-health"
LIVE = ("active", "failed")
"""Phases of tenants that are watched: those that shall answer."""
_SERVICE = """\
# Made by the role health of smartercl.smarteros: changes by hand are replaced.
[Unit]
Description=Look of SmarterOS at what runs here
After=docker.service network-online.target
Wants=network-online.target

[Service]
Type=oneshot
ExecStart={program}
Environment=HOME=/root LC_ALL=C.UTF-8
UMask=0077
Nice=5
MemoryMax=300M
TimeoutStartSec={longest}
"""
_TIMER = """\
# Made by the role health of smartercl.smarteros: changes by hand are replaced.
[Unit]
Description=Look of SmarterOS at what runs here

[Timer]
OnBootSec=1min
OnUnitActiveSec={every}s
AccuracySec=5s

[Install]
WantedBy=timers.target
"""

Json = dict[str, t.Any]


def document(
    environment: str,
    timezone: str,
    questions: Mapping[str, Mapping[str, str]],
    tenants: Iterable[Mapping[str, t.Any]],
    monitoring: Mapping[str, t.Any],
    rpo_h: float,
) -> Json:
    """The configuration. ``questions`` are host and path by service, ``tenants`` are merged ones, ``rpo_h`` is hours."""
    checks, alerts, expiry = monitoring["checks"], monitoring["alerts"], monitoring["expiry"]
    return {
        "environment": environment,
        "timezone": timezone,
        "rules": {
            **{name: checks[name] for name in ("every_s", "timeout_s", "open_after", "close_after")},
            **{name: alerts[name] for name in ("cpu_percent", "memory_percent", "disk_percent")},
            "certificate_days": expiry["certificate_days"],
            "drill_age_d": expiry["drill_age_d"],
            "backup_age_h": rpo_h,
        },
        "services": {name: {"host": each["host"], "path": each["path"]} for name, each in questions.items()},
        "tenants": {
            str(each["id"]): {"host": each["domain"], "path": "/", "title": each["name"]}
            for each in tenants
            if each.get("phase") in LIVE
        },
        "targets": dict(monitoring["sla"]),
    }


def text(made: Json) -> str:
    """The configuration as it is written."""
    return json.dumps(made, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def units(every_s: int) -> dict[str, str]:
    """The text of each unit by its name."""
    return {
        f"{UNIT}.service": _SERVICE.format(program=PROGRAM, longest=f"{max(every_s, 60)}s"),
        f"{UNIT}.timer": _TIMER.format(every=every_s),
    }
