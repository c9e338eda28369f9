# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The machine that a play works on: commands, its system, whether it is a container, its packages."""

from __future__ import annotations

import os
import shutil
import subprocess
import typing as t
from dataclasses import dataclass

TIMEOUT_S = 120.0
_CLIENT = b"SSH_CLIENT="
ABSENT = 127  # the exit code that a shell gives for a command that is not there


class HostError(Exception):
    """What could not be done, in words for the operator. ``exit_code`` is the command line's."""

    def __init__(self, what: str, why: str, following: str = "", exit_code: int = 1) -> None:
        super().__init__(f"{what}: {why}")
        self.what, self.why, self.next, self.exit_code = what, why, following, exit_code

    def as_row(self, where: str = "") -> dict[str, str]:
        """The error as the command line reports it."""
        return {"what": self.what, "where": where, "why": self.why, "next": self.next}


@dataclass(frozen=True)
class Ran:
    """What a command came to."""

    code: int
    stdout: str = ""
    stderr: str = ""

    @property
    def told(self) -> str:
        """The last words of a command that failed."""
        lines = [line for line in (self.stderr or self.stdout).splitlines() if line.strip()]
        return " / ".join(lines[-4:]) or f"exit code {self.code}"


Run = t.Callable[[t.Sequence[str]], Ran]
"""Runs a command to its end; a command that does not exist gives the exit code 127."""


def run(argv: t.Sequence[str]) -> Ran:
    """Run a command without a shell, in the language that messages are looked at in."""
    path = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"
    env = {**os.environ, "LC_ALL": "C.UTF-8", "PATH": path}
    program = shutil.which(argv[0], path=path)
    if program is None:
        return Ran(ABSENT, "", f"{argv[0]} is not installed")
    try:
        # No AnsibleModule here
        done = subprocess.run(  # pylint: disable=ansible-bad-function
            [program, *argv[1:]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            env=env,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Ran(124, "", f"{argv[0]} did not end within {TIMEOUT_S:g} s")
    return Ran(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True)
class System:
    """A distribution in one release, as /etc/os-release has it."""

    id: str
    version: str
    name: str


def parsed_system(text: str) -> System:
    """Read os-release; what is not told is empty."""
    values = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals:
            values[name.strip()] = value.strip().strip("\"'")
    return System(values.get("ID", ""), values.get("VERSION_ID", ""), values.get("PRETTY_NAME", "an unknown system"))


def mind_the_system(found: System, supported: t.Mapping[str, t.Sequence[str]]) -> None:
    """Refuse a system that nobody has tried; raises HostError."""
    if found.version in supported.get(found.id, ()):
        return
    known = ", ".join(f"{name} {version}" for name, versions in supported.items() for version in versions)
    why = f"the machine runs {found.name}; supported are {known}"
    raise HostError("operating system", why, "Install one of these on the machine, then run the same command again", 3)


def container(run_: Run) -> str:
    """The kind of container that this machine is; empty for a machine of its own."""
    ran = run_(["systemd-detect-virt", "--container"])
    found = ran.stdout.strip()
    return found if ran.code == 0 and found != "none" else ""


def caller(pid: int | None = None, proc: str = "/proc") -> str:
    """The address that this session was opened from; empty where that is not to be found. Becoming root hides it from us."""
    current = os.getpid() if pid is None else pid
    for _generation in range(12):
        try:
            with open(f"{proc}/{current}/environ", "rb") as file:
                told = [word[len(_CLIENT) :] for word in file.read().split(b"\0") if word.startswith(_CLIENT)]
            with open(f"{proc}/{current}/stat", encoding="ascii", errors="replace") as stat:
                current = int(stat.read().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            return ""
        if told and told[0].split():
            return told[0].split()[0].decode("ascii", "replace")
        if current <= 1:
            return ""
    return ""


def missing(run_: Run, packages: t.Sequence[str]) -> list[str]:
    """Those of the packages that are not installed, in their order."""
    if not packages:
        return []
    ran = run_(["dpkg-query", "-W", "-f", "${Package}\\t${db:Status-Status}\\n", *packages])
    return not_installed(packages, ran.stdout)


def not_installed(packages: t.Sequence[str], told: str) -> list[str]:
    """Those that dpkg does not call installed."""
    installed = {line.split("\t")[0] for line in told.splitlines() if line.endswith("\tinstalled")}
    return [name for name in packages if name not in installed]
