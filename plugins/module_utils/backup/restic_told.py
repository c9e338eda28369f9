# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What restic says, as data: snapshots, summaries, and its errors in words that tell what to do.

Its messages are those of 0.14 to 0.18; only from 0.17 on do exit codes tell some of them apart.
"""

from __future__ import annotations

import json
import re
import typing as t
import urllib.parse
from dataclasses import dataclass, field

# What is wrong, for those who act on it
ABSENT = "absent"  # there is no repository
PASSWORD = "password"  # noqa: S105 - the name of a kind of error
REFUSED = "refused"  # the storage does not accept the credentials
UNREACHABLE = "unreachable"
LOCKED = "locked"
DAMAGED = "damaged"
FULL = "full"
MISSING = "missing"  # no such snapshot or file
EMPTY = "empty"  # there was nothing to save
OTHER = "other"

NEXT: t.Mapping[str, str] = {
    ABSENT: "Check the repository's address; a new one is made by the next backup",
    PASSWORD: "Put the password of the time when the repository was made (backup_password) into the vault, then deploy",
    REFUSED: "Check the remote's credentials and what they allow, then run the same command again",
    UNREACHABLE: "Check the remote's address and the network; the next run catches up by itself",
    LOCKED: "Wait for the other run to end. Where there is none any more, run the same command again in half an hour",
    DAMAGED: "Restore from another location (smos backups lists them); do not prune, and look at the disk's health",
    FULL: "Make room or give the machine a larger disk, then run the same command again",
    MISSING: "List what there is by: smos backups",
    EMPTY: "Look whether it is meant to hold nothing, then run the same command again",
    OTHER: "Repair what it names, then run the same command again",
}

_CODES = {10: ABSENT, 11: LOCKED, 12: PASSWORD}
# The first that fits; what is special comes before what is said along with it
_SIGNS: t.Sequence[tuple[str, t.Sequence[str]]] = (
    (PASSWORD, ("wrong password or no key found", "Resolving password failed", "an empty password is not")),
    (FULL, ("no space left on device", "disk quota exceeded", "XMinioStorageFull")),
    (LOCKED, ("repository is already locked",)),
    (REFUSED, ("signature we calculated", "SignatureDoesNotMatch", "Access ?Denied", "InvalidAccessKeyId")),
    (REFUSED, ("Access Key Id you provided", "40[13] (Unauthorized|Forbidden)", "permission denied")),
    (REFUSED, ("unable to authenticate", "Host key verification failed")),
    (
        UNREACHABLE,
        ("dial tcp", "connection (refused|reset)", "no route to host", "no such host", "i/o timeout", "x509:"),
    ),
    (UNREACHABLE, ("network is unreachable", "TLS handshake", "Could not resolve hostname", "connection timed out")),
    (UNREACHABLE, ("context deadline exceeded", "unable to start the sftp")),
    (EMPTY, ("snapshot is empty",)),
    (MISSING, (r"<snapshot/\w+>.*(no such file|not exist|NoSuch)",)),
    (
        DAMAGED,
        ("ciphertext verification failed", "repository contains errors", "invalid data returned", "hash mismatch"),
    ),
    (DAMAGED, ("does not match ID", "not found in (the )?index", "tree .* not found")),
    (DAMAGED, (r"load\w*\(.*no such file", "error loading index")),
    (ABSENT, ("there is no repository", "unable to open config file", "repository does not exist")),
    (MISSING, ("no matching ID", "not found in snapshot", "multiple IDs with prefix", "no snapshot found")),
)
_IN_WORDS = {
    ABSENT: "there is no repository",
    LOCKED: "another run holds it",
    FULL: "no space is left",
}
_SECRET = re.compile(r"//[^/@\s]*@")

Json = dict[str, t.Any]


class ResticError(Exception):
    """Something could not be done with a repository. ``code`` is restic's exit code (0: it did not come to that)."""

    def __init__(self, message: str, code: int = 0, kind: str = OTHER) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.kind = kind

    @property
    def following(self) -> str:
        """What to do next."""
        return NEXT[self.kind]


class SourceFailed(Exception):
    """What a stream was to be read from failed, and nothing was saved."""

    def __init__(self, code: int, stderr: str) -> None:
        said = " ".join(stderr.split())[-600:]
        super().__init__(f"the source ended with {code}{f': {said}' if said else ''}")
        self.code = code
        self.stderr = stderr


@dataclass(frozen=True)
class Snapshot:
    """As it is listed. ``original``: the id that it was copied from, its own where it was not."""

    id: str
    original: str
    time: str
    tags: t.Mapping[str, str]
    paths: t.Sequence[str]
    host: str


@dataclass(frozen=True)
class Saved:
    """A snapshot that was made. ``added``: bytes that were new to the repository."""

    snapshot: str
    bytes: int
    files: int
    added: int


class Incomplete(ResticError):
    """Some files could not be read. What could be is kept in ``saved``."""

    def __init__(self, message: str, saved: Saved, unread: t.Sequence[str]) -> None:
        super().__init__(message, 3)
        self.saved = saved
        self.unread = unread


@dataclass(frozen=True)
class Node:
    """A file, folder or other thing in a snapshot."""

    path: str
    type: str
    size: int


@dataclass(frozen=True)
class Summary:
    """What a backup said at its end, and which files it could not read."""

    told: Json = field(default_factory=dict)
    unread: t.Sequence[str] = ()

    @property
    def snapshot(self) -> str:
        """The id of the snapshot; older versions tell only how it begins."""
        return str(self.told.get("snapshot_id") or "")

    def saved(self, snapshot: str) -> Saved:
        """As others get it."""
        told = {"data_added_packed": self.told.get("data_added", 0), **self.told}  # compressed, where that is known
        files, added = int(told["total_files_processed"]), int(told["data_added_packed"])
        return Saved(snapshot, int(told["total_bytes_processed"]), files, added)


def summary(stdout: bytes, stderr: str) -> Summary:
    """What the messages of a backup come to."""
    messages = [
        found
        for line in (*stdout.decode(errors="replace").splitlines(), *stderr.splitlines())
        if (found := _json(line))
    ]
    told = next((one for one in messages if one.get("message_type") == "summary"), {})
    unread = [str(one.get("item") or "") for one in messages if one.get("message_type") == "error"]
    return Summary(told, [item for item in dict.fromkeys(unread) if item])


def snapshots(stdout: bytes) -> list[Snapshot]:
    """What is listed, oldest first."""
    found = [_snapshot(one) for one in json.loads(stdout or b"null") or ()]
    return sorted(found, key=lambda one: one.time)


def node(line: bytes) -> Node | None:
    """An entry of a listing; None for the line that tells the snapshot itself."""
    found = _json(line.decode(errors="replace"))
    if not found or "path" not in found:
        return None
    return Node(str(found["path"]), str(found.get("type", "")), int(found.get("size") or 0))


def first_json(stdout: bytes) -> Json:
    """The object that a command writes; empty where there is none."""
    return next(filter(None, (_json(line) for line in stdout.decode(errors="replace").splitlines())), {})


def whole_json(stdout: bytes) -> Json:
    """The object that a command writes over several lines; empty where it is none."""
    return _json(stdout.decode(errors="replace").strip())


def tag_words(tags: t.Iterable[str]) -> str:
    """Tags as one word for restic, which parts them at commas and takes blanks away."""
    return ",".join(urllib.parse.quote(tag, safe="/:=@!$&'()*+;?#[]~") for tag in tags)


def error(where: str, code: int, stderr: str, stdout: bytes = b"") -> ResticError:
    """What restic's end means. ``where`` is the repository's address."""
    said = _said(stderr) or _said(stdout.decode(errors="replace")[-4000:])
    kind = _CODES.get(code) or _kind(said)
    if kind == ABSENT and not _gone(said):
        kind = OTHER
    words = _IN_WORDS.get(kind, "")
    told = f"{words} ({said[-400:]})" if words else said[-600:] or f"restic ended with {code}"
    if kind == PASSWORD and "no key found" in said:
        told = "the password does not open it"
    return ResticError(f"repository {hidden(where)}: {hidden(told)}", code, kind)


def hidden(text: str) -> str:
    """Without names and passwords in addresses."""
    return _SECRET.sub("//", text)


def _kind(said: str) -> str:
    for kind, signs in _SIGNS:
        if any(re.search(sign, said, re.IGNORECASE) for sign in signs):
            return kind
    return OTHER


def _gone(said: str) -> bool:
    """A configuration that cannot be read is not yet one that does not exist."""
    return bool(
        re.search(
            r"no such file|does(?: not|n't) exist|not ?found|NoSuch|404|there is no repository", said, re.IGNORECASE
        )
    )


def _said(text: str) -> str:
    """Its messages in one line, without what is said at the side."""
    text, asked, _address = text.partition("Is there a repository at")  # what follows is the address once more
    kept = []
    for line in text.splitlines():
        found = _json(line)
        told = _of_json(found) if found else line
        if told and not re.match(r"\s*$|\[\d+:\d\d\]", told):
            kept.append(told.strip().removeprefix("Fatal: "))
    return "; ".join(dict.fromkeys(kept)) or ("there is no repository" if asked else "")


def _of_json(found: Json) -> str:
    if found.get("message_type") in ("status", "summary"):
        return ""
    inner = found.get("error")
    told = inner.get("message", "") if isinstance(inner, dict) else inner
    return str(found.get("message") or told or (f"{found['item']} could not be read" if found.get("item") else ""))


def _json(line: str) -> Json:
    if not line.lstrip().startswith("{"):
        return {}
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _snapshot(found: Json) -> Snapshot:
    tags = dict(urllib.parse.unquote(tag).partition("=")[::2] for tag in found.get("tags") or ())
    return Snapshot(
        str(found["id"]),
        str(found.get("original") or found["id"]),
        str(found.get("time", "")),
        tags,
        tuple(found.get("paths") or ()),
        str(found.get("hostname", "")),
    )
