# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What a backup says of itself: the last snapshot that it writes, and the one by which it is found."""

from __future__ import annotations

import json
import re
import time
import typing as t
from dataclasses import asdict, dataclass, field

FORMAT = 1
ID = re.compile(r"\A\d{8}-\d{6}\Z")  # YYYYMMDD-HHMMSS, UTC
DATABASE, GLOBALS, VOLUME, REDIS, FOLDER, FILE = "database", "globals", "volume", "redis", "folder", "file"
COMPLETE, PARTIAL = "complete", "partial"
ACCOUNTS, MACHINE = "accounts", "machine"  # what is filed like a service and is none: see take_files
BY_HAND = (ACCOUNTS, MACHINE)  # their files are read by hand; a restore passes them over

Json = dict[str, t.Any]


@dataclass(frozen=True)
class Part:
    """One snapshot of the repository."""

    kind: str  # DATABASE, GLOBALS, VOLUME, REDIS, FOLDER or FILE
    name: str  # of the database, volume, folder (path) or file
    snapshot: str  # id in the repository; differs in a copy (restic's `original`)
    bytes: int = 0
    files: int = 0
    seconds: float = 0.0
    sha256: str = ""  # of a stream
    counts: t.Mapping[str, int] = field(default_factory=dict)  # rows by table, of the dump's own moment
    root: t.Mapping[str, int] = field(default_factory=dict)  # uid, gid and mode of a volume's own folder
    shape: t.Mapping[str, t.Any] = field(default_factory=dict)  # how a database was made (postgresql.Server.shape)

    @property
    def key(self) -> str:
        """Its name within the backup, as the tag ``part=`` says it."""
        return f"{self.kind}:{self.name}"


@dataclass(frozen=True)
class ServicePart:
    """What was backed up of a service. ``error`` says why it is not whole; empty where it is."""

    parts: t.Sequence[Part] = ()
    error: str = ""
    image: str = ""  # that ran
    config: str = ""  # hash of its stack
    attachments: t.Mapping[str, int] = field(default_factory=dict)  # rows, missing


@dataclass(frozen=True)
class Manifest:
    """One backup. ``keys`` are fingerprints of the secrets that its data need."""

    id: str
    environment: str
    release: str
    machine: str
    services: t.Mapping[str, ServicePart]
    reason: str = "asked"  # asked, timer, deploy, restore, rollback
    run: str = ""
    seconds: float = 0.0
    versions: t.Mapping[str, str] = field(default_factory=dict)  # restic, postgresql, format …
    keys: t.Mapping[str, str] = field(default_factory=dict)
    format: int = FORMAT

    @property
    def state(self) -> str:
        """COMPLETE, or PARTIAL where a service failed."""
        return PARTIAL if any(each.error for each in self.services.values()) else COMPLETE

    @property
    def parts(self) -> list[Part]:
        """All snapshots of it."""
        return [part for service in self.services.values() for part in service.parts]

    @property
    def size(self) -> int:
        """Bytes that it holds, before deduplication and compression."""
        return sum(part.bytes for part in self.parts)

    @property
    def files(self) -> int:
        """How many files it holds; a stream is one."""
        return sum(part.files or 1 for part in self.parts)

    def to_json(self) -> bytes:
        """As it is stored."""
        return (json.dumps(asdict(self), indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def of(data: t.Mapping[str, t.Any]) -> Manifest:
    """The manifest in a JSON document. Raises KeyError, TypeError and ValueError where it is none that can be read."""
    if data["format"] > FORMAT:
        raise ValueError(f"it was written by a newer SmarterOS (format {data['format']}, this one reads {FORMAT})")
    services = {
        name: ServicePart(**{**each, "parts": tuple(Part(**part) for part in each["parts"])})
        for name, each in data["services"].items()
    }
    return Manifest(**{**data, "services": services})


def new_id(now: float, taken: t.Container[str] = ()) -> str:
    """The id of a backup that begins now; seconds that are taken already are passed over."""
    while (found := time.strftime("%Y%m%d-%H%M%S", time.gmtime(now))) in taken:
        now += 1
    return found


def tags(backup: str, service: str, part: str) -> list[str]:
    """The tags of a snapshot, by which it is found again."""
    return ["smos", f"id={backup}", f"service={service}", f"part={part}"]
