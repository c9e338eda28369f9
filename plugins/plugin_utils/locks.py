# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""One writer per tenant: lease locks as files beside the registry.

A lock is ``<registry>/.locks/<environment>.<rut>.lock``, JSON that says who holds it, why, and until when. It appears
whole, by a link that fails where one exists. What is more than taking a free lock (taking over, renewing, releasing)
happens under a short flock on ``.locks/guard.flock``, so that two who find the same dead lock cannot both have it:
whoever is second reads the first one's lock. A run that dies leaves its lock; the next one sees that the process is gone
(same machine) or that the lease has run out (any machine), and takes over with a notice.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import getpass
import json
import os
import re
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

LEASE_S = 900.0
"""Seconds that a lock lasts unless it is renewed."""
_PAUSE_S = 0.1
_GUARD_PATIENCE_S = 30.0
_PROC = Path("/proc")
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")
_SUFFIX = ".lock"


class LockError(Exception):
    """The locks cannot be worked with at all (folder not writable, disk full); the message names the file and the reason."""


@dataclass(frozen=True)
class Holder:
    """Who holds a lock. Times are seconds since 1970 (UTC); ``boot``, ``pids`` and ``started`` are empty where unknown."""

    holder: str
    host: str
    boot: str
    pids: str
    pid: int
    started: str
    run: str
    reason: str
    taken_at: float
    expires_at: float

    @property
    def age_s(self) -> float:
        """Seconds since the lock was taken."""
        return max(0.0, time.time() - self.taken_at)

    @property
    def left_s(self) -> float:
        """Seconds until the lease runs out; negative when it has."""
        return self.expires_at - time.time()

    def is_dead(self) -> bool:
        """Whether the holding process is known to be gone. Where that cannot be known, it counts as alive."""
        here = _machine()
        if not here.boot or (self.host, self.boot, self.pids) != (here.host, here.boot, here.pids):
            return False
        return _is_gone(self.pid, self.started)

    def is_over(self) -> bool:
        """Whether another run may take the lock."""
        return self.left_s <= 0 or self.is_dead()

    def as_json(self) -> bytes:
        """The lock file's content."""
        return (json.dumps(asdict(self), ensure_ascii=False) + "\n").encode()

    @classmethod
    def from_json(cls, data: bytes) -> Holder:
        """The holder that a lock file names. Unreadable content (a power cut) gives one whose lease is over."""
        try:
            found = json.loads(data)
            return cls(**{name: kind(found[name]) for name, kind in _FIELDS.items()})
        except (ValueError, TypeError, KeyError):
            return cls("unknown", "", "", "", 0, "", "unknown", "the lock file is unreadable", 0.0, 0.0)


_FIELDS: dict[str, Callable[[Any], Any]] = {
    name: float if name.endswith("_at") else int if name == "pid" else str for name in Holder.__dataclass_fields__
}


@dataclass(frozen=True)
class Acquired:
    """Keys that the run now holds, keys that another run holds, and those of the taken that a dead run had left behind."""

    taken: tuple[str, ...] = ()
    refused: dict[str, Holder] = field(default_factory=dict)
    taken_over: dict[str, Holder] = field(default_factory=dict)


class Locks:
    """The locks of one environment. Keys are RUTs; ``folder`` is the registry folder. Methods raise LockError."""

    def __init__(self, folder: Path, environment: str) -> None:
        self.folder = Path(folder) / ".locks"
        self.environment = _checked(environment)

    def acquire(
        self,
        keys: Iterable[str],
        run: str,
        reason: str,
        pid: int = 0,
        *,
        lease_s: float = LEASE_S,
        wait_s: float = 0.0,
        whole: bool = False,
    ) -> Acquired:
        """Take the locks of these keys for a run whose process is ``pid`` (0: this one).

        What the run holds already is taken again and its lease starts anew. Waits at most ``wait_s`` seconds for those
        that others hold. ``whole``: all or none; when one is refused in the end, those newly taken are given back.
        """
        mine = _holder(run, reason, pid or os.getpid(), lease_s)
        until = time.monotonic() + wait_s
        wanted = list(dict.fromkeys(keys))
        taken: dict[str, bool] = {}
        over: dict[str, Holder] = {}
        while True:
            refused = self._try([key for key in wanted if key not in taken], mine, taken, over)
            if not refused or time.monotonic() >= until:
                break
            time.sleep(min(_PAUSE_S, max(0.0, until - time.monotonic())))
            now = time.time()
            mine = replace(mine, taken_at=now, expires_at=now + lease_s)
        if refused and whole:
            self.release(run, [key for key, is_new in taken.items() if is_new])
            return Acquired((), refused, {})
        return Acquired(tuple(key for key in wanted if key in taken), refused, over)

    def is_due(self, run: str, key: str, lease_s: float = LEASE_S) -> bool:
        """Whether a third of the lease has gone since the run took or renewed this lock: renewing earlier is wasted."""
        holder = self._read(key)
        return holder is None or holder.run != run or holder.left_s < lease_s * 2 / 3

    def renew(self, run: str, lease_s: float = LEASE_S) -> tuple[str, ...]:
        """Start the leases of a run anew; gives the keys that it still holds. One that is missing was taken over."""
        kept = []
        with self._guarded():
            for key, holder in self._held():
                if holder.run == run:
                    self._write(key, replace(holder, expires_at=time.time() + lease_s), over=True)
                    kept.append(key)
        return tuple(kept)

    def release(self, run: str, keys: Iterable[str] | None = None) -> tuple[str, ...]:
        """Give back the run's locks (of these keys; None: all that it holds). Never touches another run's."""
        wanted = None if keys is None else set(keys)
        if not self.folder.is_dir():
            return ()
        freed = []
        with self._guarded():
            for key, holder in self._held(wanted):
                if holder.run == run:
                    self._path(key).unlink(missing_ok=True)
                    freed.append(key)
        return tuple(freed)

    def held(self, keys: Iterable[str] | None = None) -> dict[str, Holder]:
        """Who holds what (of these keys; None: all), the locks of dead runs included. Takes nothing, waits for nothing."""
        return dict(self._held(None if keys is None else set(keys)))

    def _try(self, keys: list[str], mine: Holder, taken: dict[str, bool], over: dict[str, Holder]) -> dict[str, Holder]:
        refused: dict[str, Holder] = {}
        with self._guarded():
            for key in keys:
                before = self._read(key)
                if before is not None and before.run != mine.run and not before.is_over():
                    refused[key] = before
                    continue
                if not self._write(key, mine, over=before is not None):
                    refused[key] = self._read(key) or mine  # taken without the guard: a file system without flock
                    continue
                taken[key] = before is None or before.run != mine.run
                if before is not None and before.run != mine.run:
                    over[key] = before
        return refused

    def _held(self, wanted: set[str] | None = None) -> Iterator[tuple[str, Holder]]:
        if wanted is None:
            start = f"{self.environment}."
            try:
                found = sorted(os.listdir(self.folder))
            except FileNotFoundError:
                found = []
            names = [
                name[len(start) : -len(_SUFFIX)] for name in found if name.startswith(start) and name.endswith(_SUFFIX)
            ]
        else:
            names = sorted(wanted)
        for key in names:
            holder = self._read(key)
            if holder is not None:
                yield key, holder

    def _path(self, key: str) -> Path:
        return self.folder / f"{self.environment}.{_checked(key)}{_SUFFIX}"

    def _read(self, key: str) -> Holder | None:
        try:
            return Holder.from_json(self._path(key).read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _failed(self._path(key), error) from error

    def _write(self, key: str, holder: Holder, *, over: bool) -> bool:
        """Put the lock in place whole. ``over``: in place of the one that is there. False: somebody was faster."""
        path = self._path(key)
        temp = self.folder / ".lock.tmp"  # one is enough: we hold the guard
        try:
            temp.unlink(missing_ok=True)  # of one that died; it may be a second name of a lock
            temp.write_bytes(holder.as_json())
            try:
                if over:
                    os.replace(temp, path)
                else:
                    _link(temp, path)
            finally:
                temp.unlink(missing_ok=True)
        except FileExistsError:
            return False
        except OSError as error:
            raise _failed(path, error) from error
        return True

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        """Be the only one that changes locks here. The system frees the guard when a process dies."""
        path = self.folder / "guard.flock"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise _failed(path, error) from error
        try:
            _flock(fd, path)
            yield
        finally:
            os.close(fd)


def _flock(fd: int, path: Path) -> None:
    until = time.monotonic() + _GUARD_PATIENCE_S
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= until:
                raise LockError(
                    f"{path}: another process has kept the locks busy for {_GUARD_PATIENCE_S:.0f} s"
                ) from None
        except OSError as error:
            raise _failed(path, error) from error
        time.sleep(0.002)


def _link(temp: Path, path: Path) -> None:
    """Name the lock file where there is none; a file system without links gets an exclusive create instead."""
    try:
        os.link(temp, path)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
            raise
        with path.open("xb") as file:
            file.write(temp.read_bytes())


def holder(run: str, reason: str, pid: int) -> dict[str, Any]:
    """Who a run of this process is, for a lock that lies elsewhere."""
    return asdict(_holder(run, reason, pid, LEASE_S))


def _holder(run: str, reason: str, pid: int, lease_s: float) -> Holder:
    now, here = time.time(), _machine()
    return Holder(
        holder=f"{_user()}@{here.host}",
        host=here.host,
        boot=here.boot,
        pids=here.pids,
        pid=pid,
        started=started(pid),
        run=run,
        reason=reason,
        taken_at=now,
        expires_at=now + lease_s,
    )


@dataclass(frozen=True)
class _Machine:
    host: str
    boot: str
    pids: str


@lru_cache(maxsize=1)
def _machine() -> _Machine:
    """Where a pid means something: this host since it was started, and this container's numbering of processes."""
    boot = pids = ""
    with contextlib.suppress(OSError):  # no /proc (macOS): then only the lease counts
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        pids = os.readlink(_PROC / "self/ns/pid")
    return _Machine(socket.gethostname(), boot, pids)


def started(pid: int) -> str:
    """When a process was started, in clock ticks since boot, as text; empty when there is no such process (or no /proc).

    Two processes that had the same number one after the other differ in it.
    """
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return ""
    # the name in brackets may hold anything; state is the first field behind it, starttime the twentieth (proc(5))
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in ("Z", "X") else fields[19]


def _is_gone(pid: int, was_started: str) -> bool:
    """Whether the process with this number and start is no more."""
    is_started = started(pid)
    if is_started or (_PROC / str(pid)).exists():  # a zombie has a folder but runs no more
        return is_started != was_started
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False  # it exists and is hidden from us (/proc mounted with hidepid)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container user without a name
        return str(os.getuid())


def _checked(word: str) -> str:
    if not _KEY.match(word):
        raise LockError(f"{word!r} cannot be part of a lock's name")
    return word


def _failed(path: Path, error: OSError) -> LockError:
    return LockError(f"{path}: {os.strerror(error.errno) if error.errno else error}")
