# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What sshd would do with files that are not yet in place, and whether somebody could still come in then."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils import host_files, host_users
from ansible_collections.smartercl.smarteros.plugins.module_utils.host_machine import ABSENT, HostError, Run

CONFIG, DROP_INS = "/etc/ssh/sshd_config", "/etc/ssh/sshd_config.d"
_INCLUDE = re.compile(r"^(\s*include\s+)(?:/etc/ssh/)?sshd_config\.d/", re.IGNORECASE | re.MULTILINE)
_SAFETY = "A safety rule: nobody is to be locked out. "
Effective = dict[str, list[str]]


def effective(run: Run, wishes: t.Iterable[host_files.Wish], user: str, etc: str = CONFIG) -> Effective | None:
    """What sshd would do for this user with these files in place; None where there is no sshd. Raises HostError."""
    folder = tempfile.mkdtemp(prefix="smos-sshd-")
    try:
        main = _staged(folder, list(wishes), etc)
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)  # missing where sshd waits for its first caller
        ran = run(["sshd", "-T", "-f", main, "-C", f"user={user},host=client,addr=203.0.113.1"])
        if ran.code == ABSENT:
            return None
        if ran.code:
            why = ran.told.replace(folder, os.path.dirname(CONFIG))
            raise HostError("sshd", why, "Correct what it names; nothing has been put in place", 2)
        return parsed(ran.stdout)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _staged(folder: str, wishes: t.Sequence[host_files.Wish], etc: str) -> str:
    """A copy of the configuration with the wishes in it; gives the path of its main file."""
    drop_ins = os.path.join(folder, "sshd_config.d")
    main = os.path.join(folder, "sshd_config")
    os.mkdir(drop_ins)
    if os.path.isdir(f"{etc}.d"):
        for name in sorted(os.listdir(f"{etc}.d")):
            seen = host_files.look(os.path.join(f"{etc}.d", name))
            if seen.kind in (host_files.FILE, host_files.LINK):
                shutil.copyfile(os.path.join(f"{etc}.d", name), os.path.join(drop_ins, name))
    text = host_files.look(etc).text
    for wish in wishes:
        if wish.path == etc:
            text = wish.content
        elif os.path.dirname(wish.path) == f"{etc}.d":
            place = os.path.join(drop_ins, os.path.basename(wish.path))
            if wish.kind == host_files.ABSENT:
                if os.path.exists(place):
                    os.unlink(place)
                continue
            with open(place, "w", encoding="utf-8") as file:
                file.write(wish.content)
    with open(main, "w", encoding="utf-8") as file:
        file.write(_INCLUDE.sub(lambda found: f"{found.group(1)}{drop_ins}/", text))
    return main


def parsed(told: str) -> Effective:
    """Read ``sshd -T``: each word in small letters with its values; some words stand more than once."""
    found: Effective = {}
    for line in told.splitlines():
        word, _space, value = line.strip().partition(" ")
        if word:
            found.setdefault(word.lower(), []).append(value)
    return found


def differing(expected: t.Mapping[str, str], found: Effective) -> dict[str, tuple[str, str]]:
    """The words whose value is not the expected one: (expected, found)."""
    told = {word: " ".join(found.get(word.lower(), ["nothing"])) for word in expected}
    return {
        word: (str(value), told[word]) for word, value in expected.items() if _plain(told[word]) != _plain(str(value))
    }


def mind_the_expected(expected: t.Mapping[str, str], found: Effective) -> None:
    """Refuse when another file has the first say (with sshd, the first one counts). Raises HostError."""
    wrong = differing(expected, found)
    if wrong:
        why = ", ".join(f"{word} would be {is_}, not {value}" for word, (value, is_) in sorted(wrong.items()))
        following = f"Look for these words in {CONFIG} and in files of {DROP_INS} that come before ours"
        raise HostError("sshd", f"other files have the first say: {why}", following, 3)


def mind_the_way_in(user: str, found: Effective, wishes: t.Iterable[host_files.Wish]) -> None:
    """Refuse to go on when the user that we came in as could not come in again. Raises HostError."""
    if user == "root" and found.get("permitrootlogin") == ["no"]:
        raise HostError("sshd", "root could not log in any more, and this run came in as root", _SAFETY + _OTHER, 4)
    if (found.get("passwordauthentication") or ["yes"]) == ["yes"] or _other_keys(found):
        return
    account = host_users.look(user)
    ahead = {wish.path: wish.content for wish in wishes if wish.kind == host_files.FILE}
    paths = [_expanded(each, user, account.home) for each in " ".join(found.get("authorizedkeysfile", [])).split()]
    if not any(host_users.keys_in(ahead.get(path, host_files.look(path).text)) for path in paths):
        why = f"{user} has no key in {' or '.join(paths) or 'any file'}, and passwords would no longer do"
        raise HostError("sshd", why, _SAFETY + f"Put your public key there (ssh-copy-id {user}@…) and run again", 4)


_OTHER = "Set ansible_user to the admin user, or allow root to come in with a key"


def _other_keys(found: Effective) -> bool:
    """Whether keys also come from where we cannot look."""
    return any(found.get(word, ["none"])[0] != "none" for word in ("authorizedkeyscommand", "trustedusercakeys"))


def _expanded(path: str, user: str, home: str) -> str:
    path = path.replace("%h", home).replace("%u", user).replace("%%", "%")
    return path if os.path.isabs(path) else os.path.join(home, path)


def _plain(value: str) -> str:
    # The two spellings of one thing; older versions of sshd tell the first.
    return {"without-password": "prohibit-password"}.get(value.lower(), value.lower())
