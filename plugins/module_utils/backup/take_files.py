# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What a backup holds beside the services' data: files that are read by hand when they are needed, and that no restore puts
anywhere. Of accounts elsewhere, as the control node read them, and of the machine itself: stack files, settings, releases.

All files of one kind are one tar archive, which is made in memory and is one snapshot. A snapshot costs half a second, whatever
is in it, so one for each file would cost more than the files; and a folder to save from would have to be in clear somewhere,
where a run that is killed leaves it.
"""

from __future__ import annotations

import hashlib
import io
import stat
import tarfile
import time
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.module_utils import ledger, stack_deploy
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import config, manifest
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.manifest import ACCOUNTS, MACHINE, ServicePart
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.refused import AGAIN, UNUSABLE, Refused
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restic import ResticError
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.take_service import Around
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row

# What is named here goes along, not what is left over: the other files below /etc/smarteros/backup hold nothing but secrets
OF_MACHINE: t.Sequence[str] = (
    f"{stack_deploy.STACKS}/*/*.yml",
    f"{config.FOLDER.parent}/*",
    str(config.PATH),
    str(ledger.PATH),
)
FROM_THE_CONTROL_NODE = "Run it on the control node, which has the tokens: smos backup all"

Json = dict[str, t.Any]


@dataclass(frozen=True)
class File:
    """One file of an archive."""

    data: bytes = field(repr=False)
    mode: int = 0o600
    uid: int = 0
    gid: int = 0
    changed: int = (
        0  # seconds since the epoch; always the same where nobody knows, so that the same content is the same archive
    )


@dataclass(frozen=True)
class Files:
    """The files of one kind by name. ``errors``: rows that say why they are not all."""

    name: str  # ACCOUNTS or MACHINE
    files: t.Mapping[str, File]
    errors: t.Sequence[Json] = ()
    notes: t.Sequence[str] = ()

    @property
    def size(self) -> int:
        """Bytes of all of them."""
        return sum(len(each.data) for each in self.files.values())


def accounts(files: t.Mapping[str, bytes], errors: t.Sequence[Json] = (), notes: t.Sequence[str] = ()) -> Files:
    """What the control node read. A name that somebody elsewhere gave leads to no other folder when it is unpacked."""
    return Files(
        ACCOUNTS, {name.replace("/", "_"): File(data) for name, data in files.items()}, list(errors), list(notes)
    )


def of_machine(patterns: t.Sequence[str] = OF_MACHINE) -> Files:
    """The files of this machine that these patterns name (absolute, as the shell writes them)."""
    found: dict[str, File] = {}
    errors: list[Json] = []
    for path in sorted({each for pattern in patterns for each in Path("/").glob(pattern.lstrip("/"))}):
        try:
            about = path.lstat()
            if stat.S_ISREG(about.st_mode):
                mode = stat.S_IMODE(about.st_mode)
                found[str(path).lstrip("/")] = File(
                    path.read_bytes(), mode, about.st_uid, about.st_gid, int(about.st_mtime)
                )
        except FileNotFoundError:  # a deploy of another stack may replace its file just now
            continue
        except OSError as exc:
            errors.append(row(f"file {path}", exc.strerror or type(exc).__name__, str(path), AGAIN))
    return Files(MACHINE, found, errors)


def choose(wanted: t.Container[str], everything: bool, given: Files | None, patterns: t.Sequence[str]) -> list[Files]:
    """What goes along: with ``everything`` all that there is, else what is named. Raises Refused."""
    chosen = []
    if everything or ACCOUNTS in wanted:
        if given is not None and (given.files or given.errors):
            chosen.append(given)
        elif ACCOUNTS in wanted:
            raise Refused("nobody has read the accounts elsewhere for this backup", UNUSABLE, FROM_THE_CONTROL_NODE)
    if everything or MACHINE in wanted:
        found = of_machine(patterns)
        if found.files or found.errors:
            chosen.append(found)
        elif MACHINE in wanted:
            why = "this machine has neither stack files nor settings of ours"
            raise Refused(why, UNUSABLE, "Deploy first: smos deploy backend")
    return chosen


def take(around: Around, files: Files) -> tuple[ServicePart, list[Json]]:
    """Save them, or as many as there are; with rows of what is wrong."""
    errors = list(files.errors)
    parts = []
    if files.files:
        began = time.monotonic()
        around.say(f"{files.name}: {len(files.files)} files")
        name, data = f"{files.name}.tar", archive(files.files)
        tags = manifest.tags(around.id, files.name, f"{manifest.FILE}:{name}")
        try:
            saved = around.repository.backup_bytes(data, name, around.config.host, tags)
        except (ResticError, OSError) as exc:
            why = " ".join(str(exc).split()) or type(exc).__name__
            errors.append(row(f"backup of {files.name}", why, files.name, AGAIN))
        else:
            around.added += saved.added
            parts.append(
                manifest.Part(
                    manifest.FILE,
                    name,
                    saved.snapshot,
                    len(data),
                    len(files.files),
                    seconds=round(time.monotonic() - began, 3),
                    sha256=hashlib.sha256(data).hexdigest(),
                )
            )
    return ServicePart(tuple(parts), "; ".join(f"{each['what']}: {each['why']}" for each in errors)), errors


def archive(files: t.Mapping[str, File]) -> bytes:
    """As a tar archive; the same files give the same bytes."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, each in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(each.data), each.mode, each.changed
            entry.uid, entry.gid = each.uid, each.gid
            tar.addfile(entry, io.BytesIO(each.data))
    return made.getvalue()
