# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""A way back that needs nobody: what was there before is put back by the machine itself unless somebody says in time
that a new login works.

The timer is enabled, so that it also runs after a restart of the machine; without a way back laid ready it does nothing.
"""

from __future__ import annotations

import os
import shlex
import shutil
import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils import host_files
from ansible_collections.smartercl.smarteros.plugins.module_utils.host_files import FILE, Seen
from ansible_collections.smartercl.smarteros.plugins.module_utils.host_machine import HostError, Run

FOLDER = "/var/lib/smarteros/undo"
UNITS = "/etc/systemd/system"
NAME = "smarteros-undo"
# Whoever moves the folder away first decides: this, or the confirmation
_START = f"test -d {FOLDER}.running || mv {FOLDER} {FOLDER}.running; exec /bin/sh {FOLDER}.running/run"
SERVICE = f"""\
[Unit]
Description=Put back what was there before a change that locked everybody out
ConditionPathExists=|{FOLDER}/run
ConditionPathExists=|{FOLDER}.running/run

[Service]
Type=oneshot
ExecStart=/bin/sh -c "{_START}"
"""
TIMER = """\
[Unit]
Description=Wait for a new login before a change of the access is kept

[Timer]
OnActiveSec={seconds}
AccuracySec=1s

[Install]
WantedBy=timers.target
"""
Saved = t.Mapping[str, Seen]
"""What was at each path."""


def exempt(address: str, yes: bool) -> list[str]:
    """What tells fail2ban whose failing logins are our own trial; else it would shut out the operator after the rescue."""
    return ["fail2ban-client", "set", "sshd", "addignoreip" if yes else "delignoreip", address]


def script(saved: Saved, forget: t.Sequence[str], commands: t.Sequence[t.Sequence[str]], folder: str = FOLDER) -> str:
    """The shell script that puts everything back, run in ``folder``.running.

    It goes on where a step fails, since the others may be what lets somebody in again.
    """
    lines = ["#!/bin/sh", "# Puts back what was there before the last change of the access to this machine.", "set -u"]
    for number, (path, seen) in enumerate(saved.items()):
        place = shlex.quote(path)
        if seen.kind == host_files.ABSENT:
            lines.append(f"rm -f {place}")
        elif seen.kind != host_files.FOLDER:
            beside = shlex.quote(f"{path}.smos-undo")
            lines.append(f"cp -pP {folder}.running/{number} {beside} && mv -f {beside} {place}")
    lines += [f"rm -f {shlex.quote(path)}" for path in forget]
    lines += [shlex.join(argv) for argv in commands]
    lines += [
        "logger -t smarteros 'the last change of the access was undone: no new login succeeded in time'",
        f"rm -rf {folder}.running",
    ]
    return "\n".join(lines) + "\n"


def pending(folder: str = FOLDER) -> bool:
    """Whether a change waits for its confirmation: the run that made it has died, or is still under way."""
    return any(os.path.exists(os.path.join(each, "run")) for each in (folder, f"{folder}.running"))


def arm(run: Run, saved: Saved, text: str, seconds: int, folder: str = FOLDER, units: str = UNITS) -> None:
    """Lay the way back ready and start the clock; raises HostError, and then nothing may be changed."""
    fresh = f"{folder}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    os.makedirs(fresh, mode=0o700)
    for number, seen in enumerate(saved.values()):
        if seen.kind in (FILE, host_files.LINK):
            host_files.put(os.path.join(fresh, str(number)), seen)
    host_files.put(os.path.join(fresh, "run"), Seen(FILE, text.encode(), 0o700, *_us(fresh)))
    _have_units(run, seconds, units)
    os.replace(fresh, folder)
    ran = run(["systemctl", "restart", f"{NAME}.timer"])
    if ran.code:
        disarm(folder)
        raise HostError("way back", f"the timer does not start: {ran.told}", "Nothing was changed; look at systemd", 3)


def disarm(folder: str = FOLDER) -> bool:
    """The change stays; from here on the timer finds nothing to do. Gives whether it was not too late for that."""
    done = f"{folder}.done"
    shutil.rmtree(done, ignore_errors=True)
    try:
        os.replace(folder, done)
    except FileNotFoundError:
        return False
    shutil.rmtree(done, ignore_errors=True)
    return True


def undo(run: Run, folder: str = FOLDER) -> None:
    """Put everything back now, unless that has been done; raises HostError."""
    if not pending(folder):
        return
    if not os.path.isdir(f"{folder}.running"):
        os.replace(folder, f"{folder}.running")
    ran = run(["/bin/sh", f"{folder}.running/run"])
    if pending(folder):
        raise HostError("way back", ran.told, f"Run sh {folder}.running/run on the machine")


def _have_units(run: Run, seconds: int, units: str) -> None:
    texts = {f"{NAME}.service": SERVICE, f"{NAME}.timer": TIMER.format(seconds=seconds)}
    wanting = [name for name, text in texts.items() if host_files.look(f"{units}/{name}").content != text.encode()]
    for name in wanting:
        host_files.put(f"{units}/{name}", Seen(FILE, texts[name].encode(), 0o644, *_us(units)))
    for argv in (["systemctl", "daemon-reload"], ["systemctl", "enable", "--quiet", f"{NAME}.timer"]):
        ran = run(argv) if wanting else None
        if ran is not None and ran.code:
            raise HostError("way back", ran.told, "Nothing was changed; look at systemd on the machine", 3)


def _us(folder: str) -> tuple[str, str]:
    there = host_files.look(folder)
    return there.owner, there.group
