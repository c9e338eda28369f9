# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Files, links and folders: what is wished, what is there, what differs, and how it is put in place.

A file is written beside its place and moved there, so that nobody ever reads half of it.
"""

from __future__ import annotations

import contextlib
import grp
import hashlib
import json
import os
import pwd
import secrets
import shutil
import stat
import tempfile
import typing as t
from dataclasses import asdict, dataclass

from ansible_collections.smartercl.smarteros.plugins.module_utils.host_machine import HostError

FILE, LINK, FOLDER, ABSENT, OTHER = "file", "link", "folder", "absent", "other"
OURS = ".smos-"  # a file that is being written begins so


@dataclass(frozen=True)
class Wish:
    """What shall be at a path. ``content`` is the text of a file, or the target of a link."""

    path: str
    kind: str
    content: str = ""
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"
    validate: str = ""


@dataclass(frozen=True)
class Seen:
    """What is at a path."""

    kind: str
    content: bytes = b""
    mode: int = 0
    owner: str = ""
    group: str = ""

    @property
    def text(self) -> str:
        """The content as it is shown."""
        return self.content.decode("utf-8", "replace")


NOTHING = Seen(ABSENT)


def look(path: str) -> Seen:
    """What is there now; a link is looked at, not followed."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return NOTHING
    mode, owner, group = stat.S_IMODE(found.st_mode), _user(found.st_uid), _group(found.st_gid)
    if stat.S_ISLNK(found.st_mode):
        return Seen(LINK, os.fsencode(os.readlink(path)), 0o777, owner, group)
    if stat.S_ISREG(found.st_mode):
        with open(path, "rb") as file:
            return Seen(FILE, file.read(), mode, owner, group)
    return Seen(FOLDER if stat.S_ISDIR(found.st_mode) else OTHER, b"", mode, owner, group)


def same(wish: Wish, seen: Seen) -> bool:
    """Whether what is there is what is wished."""
    if wish.kind == ABSENT or seen.kind == ABSENT:
        return wish.kind == seen.kind
    if wish.kind == LINK:
        return seen.kind == LINK and _target(wish.path, seen.text) == _target(wish.path, wish.content)
    rights = (seen.mode, seen.owner, seen.group) == (wish.mode, wish.owner, wish.group)
    return rights and seen.kind == wish.kind and (wish.kind == FOLDER or seen.content == wish.content.encode())


def digest(wishes: t.Iterable[Wish], *more: t.Any) -> str:
    """One number for wishes and what belongs to them: equal wishes have equal numbers."""
    told = json.dumps([[asdict(wish) for wish in wishes], *more], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()


def shown(seen: Seen) -> dict[str, t.Any] | None:
    """What is there, in a row of changes."""
    if seen.kind == ABSENT:
        return None
    told: dict[str, t.Any] = {"kind": seen.kind}
    if seen.kind == FILE:
        told["sha256"] = hashlib.sha256(seen.content).hexdigest()[:12]
    if seen.kind == LINK:
        return {**told, "target": seen.text}
    return {**told, "mode": f"{seen.mode:04o}", "owner": seen.owner, "group": seen.group}


def wished(wish: Wish) -> Seen:
    """What will be there."""
    if wish.kind == ABSENT:
        return NOTHING
    mode = 0o777 if wish.kind == LINK else wish.mode
    return Seen(wish.kind, wish.content.encode() if wish.kind != FOLDER else b"", mode, wish.owner, wish.group)


def mind(wish: Wish, seen: Seen) -> None:
    """Refuse to replace what holds more than one file; raises HostError."""
    if wish.kind != FOLDER and seen.kind == FOLDER:
        raise HostError(wish.path, "a folder is in the way", "Move it away, then run the same command again", 3)


def put(path: str, what: Seen) -> None:
    """Bring this to the path, whatever is there (but never a folder's content); raises HostError."""
    try:
        _put(path, what)
    except (OSError, KeyError) as exc:
        why = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc).strip("'\"")
        raise HostError(path, why, "Repair that, then run the same command again") from exc


def _put(path: str, what: Seen) -> None:
    if what.kind == ABSENT:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        return
    if what.kind == FOLDER:
        if not os.path.isdir(path):
            os.makedirs(path, mode=0o755)
        _rights(path, what)
        return
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    if what.kind == LINK:
        beside = os.path.join(os.path.dirname(path), f"{OURS}{secrets.token_hex(8)}")
        os.symlink(what.text, beside)
        os.replace(beside, path)
        return
    handle, beside = tempfile.mkstemp(prefix=OURS, dir=os.path.dirname(path))
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(what.content)
            file.flush()
            os.fsync(file.fileno())
        _rights(beside, what)
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)
        raise


@contextlib.contextmanager
def candidate(wish: Wish) -> t.Iterator[str]:
    """A file with the wished content, under its own name and where nothing reads it, to be judged."""
    folder = tempfile.mkdtemp(prefix="smos-candidate-")
    try:
        path = os.path.join(folder, os.path.basename(wish.path))
        put(path, Seen(FILE, wish.content.encode(), wish.mode, wish.owner, wish.group))
        yield path
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _rights(path: str, what: Seen) -> None:
    if (what.owner, what.group) != (_user(os.stat(path).st_uid), _group(os.stat(path).st_gid)):
        os.chown(path, pwd.getpwnam(what.owner).pw_uid, grp.getgrnam(what.group).gr_gid)
    os.chmod(path, what.mode)


def _target(path: str, target: str) -> str:
    return os.path.normpath(os.path.join(os.path.dirname(path), target))


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
