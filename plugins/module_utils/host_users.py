# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""People's accounts on the machine, and the keys that they come in by."""

from __future__ import annotations

import grp
import os
import pwd
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.smartercl.smarteros.plugins.module_utils.host_files import FILE, FOLDER, Seen, Wish
from ansible_collections.smartercl.smarteros.plugins.module_utils.host_machine import HostError, Run

KEY = re.compile(
    r"(?:^|[\s,])((?:ssh-(?:ed25519|rsa)|ecdsa-sha2-nistp(?:256|384|521)"
    r"|sk-(?:ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com) [A-Za-z0-9+/]{40,}={0,3})(?:\s|$)"
)


@dataclass(frozen=True)
class Person:
    """Who shall have an account. ``removed`` are keys that no longer let anybody in."""

    name: str
    groups: tuple[str, ...] = ()
    shell: str = "/bin/bash"
    keys: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Account:
    """What there is of it."""

    exists: bool
    home: str
    group: str
    groups: frozenset[str] = frozenset()
    shell: str = ""


def look(name: str) -> Account:
    """The account of this name."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return Account(False, f"/home/{name}", name)
    groups = frozenset(each.gr_name for each in grp.getgrall() if name in each.gr_mem)
    return Account(True, entry.pw_dir, grp.getgrgid(entry.pw_gid).gr_name, groups, entry.pw_shell)


def commands(wish: Person, account: Account) -> list[list[str]]:
    """What makes the account so; groups that somebody else added it to stay."""
    if not account.exists:
        groups = ["--groups", ",".join(wish.groups)] if wish.groups else []
        return [["useradd", "--create-home", "--user-group", "--shell", wish.shell, *groups, wish.name]]
    todo = []
    if wish.name != "root" and account.shell != wish.shell:
        todo.append(["usermod", "--shell", wish.shell, wish.name])
    lacking = [group for group in wish.groups if group not in account.groups]
    if lacking:
        todo.append(["usermod", "--append", "--groups", ",".join(lacking), wish.name])
    return todo


def carry_out(run: Run, todo: t.Iterable[t.Sequence[str]]) -> None:
    """Make it so; raises HostError."""
    for argv in todo:
        ran = run(argv)
        if ran.code:
            raise HostError(f"account {argv[-1]}", ran.told, "Repair that, then run the same command again")


def keys_in(text: str) -> list[str]:
    """The keys of a file of authorized keys, without options and comments."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    return [found.group(1) for line in lines if (found := KEY.search(line))]


def mind_the_keys(wish: Person) -> None:
    """Refuse what is no public key: half a key in the file locks somebody out without a word. Raises HostError."""
    for key in (*wish.keys, *wish.removed):
        if not keys_in(key):
            why = f"this is not one public key: {key[:40]}…" if len(key) > 40 else f"this is not a public key: {key}"
            raise HostError(f"keys of {wish.name}", why, "Give the whole line of a file such as id_ed25519.pub", 2)


def merged(text: str, wish: Person) -> str:
    """The file with the wished keys added and the removed ones gone; every other line stays as it is."""
    gone = {key for line in wish.removed for key in keys_in(line)}
    kept = [line for line in text.splitlines() if not gone.intersection(keys_in(line))]
    there = gone.union(*(keys_in(line) for line in kept)) if kept else gone
    lines = list(kept)
    for line in wish.keys:
        if not there.issuperset(keys_in(line)):
            lines.append(line.strip())
            there = there.union(keys_in(line))
    return text if lines == text.splitlines() else "".join(f"{line}\n" for line in lines)


def file_of(account: Account) -> str:
    """Where sshd looks for the keys of an account unless it is told otherwise."""
    return os.path.join(account.home, ".ssh", "authorized_keys")


def wishes(wish: Person, account: Account, seen: Seen) -> list[Wish]:
    """The folder and the file of the keys; nothing where no key is wished or removed."""
    if not wish.keys and not wish.removed:
        return []
    path = file_of(account)
    own = {"owner": wish.name, "group": account.group}
    return [
        Wish(os.path.dirname(path), FOLDER, mode=0o700, **own),
        Wish(path, FILE, merged(seen.text, wish), mode=0o600, **own),
    ]
