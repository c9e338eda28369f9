# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The second timer of a machine, which tells people when the collector is silent. Pure functions."""

from __future__ import annotations

PROGRAM_MODULE = "plugins.module_utils.health.watch"
PROGRAM = "/usr/local/lib/smarteros/health-watch.pyz"
UNIT = "smos-health-watch"
LEAST_S, MOST_S = 60, 600
_SERVICE = """\
# Made by the role health of smartercl.smarteros: changes by hand are replaced.
[Unit]
Description=Look of SmarterOS at whether its collector is alive
After=network-online.target
Wants=network-online.target

[Service]
Type=oneshot
ExecStart={program}
# 1: the collector is silent, which was told
SuccessExitStatus=1
Environment=HOME=/root LC_ALL=C.UTF-8
UMask=0077
MemoryMax=100M
TimeoutStartSec=60s
"""
_TIMER = """\
# Made by the role health of smartercl.smarteros: changes by hand are replaced.
[Unit]
Description=Look of SmarterOS at whether its collector is alive

[Timer]
OnBootSec=3min
OnUnitActiveSec={every}s
AccuracySec=5s

[Install]
WantedBy=timers.target
"""


def units(silent_min: int) -> dict[str, str]:
    """The text of each unit by its name: a silent collector is found within a quarter more than it may be silent."""
    every = min(max(silent_min * 60 // 4, LEAST_S), MOST_S)
    return {f"{UNIT}.service": _SERVICE.format(program=PROGRAM), f"{UNIT}.timer": _TIMER.format(every=every)}
