# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What was sent to whom, written down before and after: a message has no key at Meta that would make sending it twice harmless.

One file of JSON lines per environment, only ever added to. A line ``sending`` without a later one means that the
process died in between: the message may have been sent.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
import typing as t
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError

SENDING, ACCEPTED, REFUSED, DEFERRED, SKIPPED = "sending", "accepted", "refused", "deferred", "skipped"
"""In flight or unknown; taken by the provider; refused for good; not sent, to be tried again; not wanted."""

Key = tuple[str, str, str]
"""Tenant, kind of message, and the occasion (when it was created, suspended …)."""


@dataclass(frozen=True)
class Entry:
    """One message to one person. ``to`` is a digest of the recipient, never the recipient; ``at`` is UTC (ISO 8601)."""

    tenant: str
    kind: str
    occasion: str
    state: str
    channel: str = ""
    id: str = ""
    at: str = ""
    to: str = ""
    reason: str = ""

    @property
    def key(self) -> Key:
        """What makes two entries speak of the same message."""
        return self.tenant, self.kind, self.occasion


class Outbox:
    """The file of one environment. Safe to use from many threads and processes; needs a local file system."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None
        self._lock = threading.Lock()
        self._disk = threading.Lock()
        self._written = self._safe = 0

    def read(self) -> dict[Key, Entry]:
        """The last word on every message. Raises ApiError where the file cannot be read."""
        try:
            lines = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return {}
        except OSError as exc:
            raise self._error(f"cannot be read ({exc.strerror})") from None
        found: dict[Key, Entry] = {}
        for line in lines:
            for entry in _parsed(line):
                found[entry.key] = entry
        return found

    def write(self, *entries: Entry) -> None:
        """Add entries and wait until they are on the disk. Raises ApiError."""
        text = b"".join(json.dumps(asdict(entry), ensure_ascii=False).encode() + b"\n" for entry in entries)
        try:
            with self._lock:
                handle = self._opened()
                fcntl.flock(handle, fcntl.LOCK_EX)
                try:
                    # A torn line of a process that died is ended first, so that this one is not lost with it
                    torn = b"" if _ends_well(handle) else b"\n"
                    _write_all(handle, torn + text)
                finally:
                    fcntl.flock(handle, fcntl.LOCK_UN)
                self._written += 1
                mine = self._written
            with self._disk:  # one that waited meanwhile is often safe already
                if self._safe < mine:
                    upto = self._written
                    os.fsync(handle)
                    self._safe = upto
        except OSError as exc:
            raise self._error(f"cannot be written ({exc.strerror}); nothing is sent without it") from None

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._file is not None:
                os.close(self._file)
                self._file = None

    def _opened(self) -> int:
        if self._file is None:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            new = not self.path.exists()
            self._file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if new:
                _keep_name(self.path.parent)
        return self._file

    def _error(self, why: str) -> ApiError:
        return ApiError(f"the outbox {why}", errors.INVALID, where=str(self.path))


def ended(entry: Entry, state: str, **fields: str) -> Entry:
    """The entry after the attempt."""
    return replace(entry, state=state, **fields)


def _parsed(line: bytes) -> t.Iterator[Entry]:
    """The entry of a line; none for a torn one, or one that something else wrote."""
    if not line.strip():
        return
    try:
        row = json.loads(line)
        names = set(Entry.__dataclass_fields__)
        yield Entry(**{str(key): str(value) for key, value in row.items() if key in names})
    except (ValueError, TypeError, AttributeError):
        return


def _ends_well(handle: int) -> bool:
    size = os.fstat(handle).st_size
    return size == 0 or os.pread(handle, 1, size - 1) == b"\n"


def _write_all(handle: int, data: bytes) -> None:
    while data:
        data = data[os.write(handle, data) :]


def _keep_name(folder: Path) -> None:
    """Make a new file's name as durable as its content."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
