"""Why a machine does not let us in, by what ssh and sudo say; and the command that mends it."""

from __future__ import annotations

import shlex

from smos.lang import Said, later
from smos.remote import Machine


def mended(machine: Machine, said: str) -> tuple[Said, str] | None:
    """What is to be done, in words and as a command; None where the address is wrong."""
    if "Could not resolve" in said:
        return None
    for words, mend in (
        (("IDENTIFICATION HAS CHANGED",), _another_machine),
        (("Host key verification failed",), _unknown_machine),
        (("Permission denied",), _no_key),
        (("sudo:",), _no_sudo),
    ):
        if any(each in said for each in words):
            return mend(machine)
    return later("Check address, port and firewall; this shows how far it comes"), _ssh(machine, "-v", "true")


def _another_machine(machine: Machine) -> tuple[Said, str]:
    name = machine.host if machine.port == 22 else f"[{machine.host}]:{machine.port}"
    told = later("Only where the machine was installed anew: forget its former key, then log in once")
    return told, shlex.join(["ssh-keygen", "-R", name])


def _unknown_machine(machine: Machine) -> tuple[Said, str]:
    return later("Log in once, and compare the fingerprint with that of your provider"), _ssh(machine)


def _no_key(machine: Machine) -> tuple[Said, str]:
    key = ["-i", machine.key] if machine.key else []
    line = ["ssh-copy-id", *machine.options, "-p", str(machine.port), *key, f"{machine.user}@{machine.host}"]
    return later("Bring your key there"), shlex.join(line)


def _no_sudo(machine: Machine) -> tuple[Said, str]:
    rule = shlex.quote(f"{machine.user} ALL=(ALL) NOPASSWD: ALL")
    there = f"echo {rule} | sudo tee /etc/sudoers.d/smarteros"
    return later("Let the user be root without a password"), _ssh(machine, "-t", there)


def _ssh(machine: Machine, *more: str) -> str:
    """A command line that a person can try; ``more`` are a flag and a command."""
    flag, command = (more[:1], more[1:]) if more else ((), ())
    key = ["-i", machine.key] if machine.key else []
    where = ["-p", str(machine.port), *key, f"{machine.user}@{machine.host}"]
    return shlex.join(["ssh", *flag, *machine.options, *where, *command])
