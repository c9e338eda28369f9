# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Files that are there whole or not at all, and the short lock around changing one.

A writer holds the lock of its file, writes ``.<name>.tmp`` beside it, and moves that into place. As only the holder
writes that temp file, what a killed writer left behind is known by its name and by a lock that nobody holds.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import stat
import time
import typing as t
from pathlib import Path

LOCKS = ".locks"
LARGEST = 1024 * 1024
"""Bytes; a tenant file is some 2 kB, and a larger one than this is not one."""
_PATIENCE_S = 30.0
_MODE = 0o644


def read(path: Path) -> tuple[bytes, os.stat_result]:
    """The bytes of a regular file and what the system says about exactly these. Raises OSError; EFBIG when too large."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a named pipe must not hold us up
    try:
        about = os.fstat(fd)
        if not stat.S_ISREG(about.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        if about.st_size > LARGEST:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
        # as much as it has, and one more to see whether it grew: a large buffer costs more than the reading
        data = os.read(fd, about.st_size + 1)
        while len(data) > about.st_size and (chunk := os.read(fd, LARGEST)):
            data += chunk
        return data, about
    finally:
        os.close(fd)


@contextlib.contextmanager
def locked(folder: Path, name: str, patience_s: float = _PATIENCE_S) -> t.Iterator[None]:
    """Hold the lock of one file name of the folder, against other threads, processes and (flock on NFS) machines.

    The lock lies in one of 256 files under ``.locks/``, chosen by the name; the system frees it when a process dies.
    Never take a second one while holding one. Raises OSError, ETIMEDOUT after ``patience_s`` seconds.
    """
    place = folder / LOCKS
    path = place / f"write-{hashlib.sha256(name.encode()).hexdigest()[:2]}.flock"
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except FileNotFoundError:
        place.mkdir(exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        _wait_for(fd, path, patience_s)
        yield
    finally:
        os.close(fd)


def _wait_for(fd: int, path: Path, patience_s: float) -> None:
    until = time.monotonic() + patience_s
    pause = 0.0005
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= until:
                raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT), str(path)) from None
        time.sleep(pause)
        pause = min(pause * 2, 0.005)


def put(folder: Path, name: str, data: bytes, *, new: bool = False, sync: bool = True) -> None:
    """Make the file hold these bytes, durably; the caller holds its lock. Rights (and, for root, the owner) stay.

    ``new``: refuse with FileExistsError where the name is taken. ``sync=False``: the caller syncs the folder itself.
    Raises OSError; then the old file is as it was and no temp file is left.
    """
    target, temp = folder / name, folder / f".{name}.tmp"
    with contextlib.suppress(FileNotFoundError):
        temp.unlink()  # of a writer that died
    try:
        _fill(temp, data, None if new else _about(target))
        if new:
            _link(temp, target)
        else:
            os.replace(temp, target)
    except BaseException:
        with contextlib.suppress(OSError):
            temp.unlink()
        raise
    if sync:
        sync_folder(folder)


def _about(path: Path) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None


def _fill(temp: Path, data: bytes, like: os.stat_result | None) -> None:
    fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        os.fchmod(fd, stat.S_IMODE(like.st_mode) if like else _MODE)
        if like and os.geteuid() == 0:
            os.fchown(fd, like.st_uid, like.st_gid)
        os.fsync(fd)
    finally:
        os.close(fd)


def _link(temp: Path, target: Path) -> None:
    """Give the temp file its name unless that is taken: a link fails where a move would overwrite."""
    try:
        os.link(temp, target)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
            raise
        if os.path.lexists(target):  # a file system without links: the lock alone must do
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
        os.replace(temp, target)
    else:
        temp.unlink()


def sync_folder(folder: Path) -> None:
    """Make names in a folder durable; where a file system cannot, it is as durable as it gets."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EBADF, errno.ENOTSUP):
            raise
    finally:
        os.close(fd)


def sweep(folder: Path) -> list[str]:
    """Remove the temp files of writers that died; those of living writers, who hold their lock, stay. Names removed."""
    removed = []
    for left in [entry.name for entry in os.scandir(folder) if _is_temp(entry.name)]:
        try:
            with locked(folder, left[1 : -len(".tmp")], patience_s=0):
                (folder / left).unlink()
                removed.append(left)
        except (FileNotFoundError, TimeoutError):
            continue
    return removed


def _is_temp(name: str) -> bool:
    return name.startswith(".") and name.endswith(".yml.tmp")
