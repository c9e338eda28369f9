# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What can go wrong with a tenant file, in words for the operator."""

from __future__ import annotations

import errno
import os
from pathlib import Path


class BrokenFile(Exception):
    """A tenant file that cannot be read as data: ``reason`` in words, ``line`` counted from 1 (0: the file as a whole)."""

    def __init__(self, reason: str, line: int = 0) -> None:
        super().__init__(f"line {line}: {reason}" if line else reason)
        self.reason = reason
        self.line = line

    def __reduce__(self) -> tuple[type[BrokenFile], tuple[str, int]]:
        return (BrokenFile, (self.reason, self.line))


class StoreError(Exception):
    """The store refuses or fails; whatever was there before is untouched.

    ``what`` was wanted, ``where`` (the file), ``why`` it did not happen, ``next`` for the operator to do.
    """

    def __init__(self, what: str, where: Path | str, why: str, next: str) -> None:
        super().__init__(f"{what}: {why} ({where}). {next}")
        self.what = what
        self.where = str(where)
        self.why = why
        self.next = next

    def as_dict(self) -> dict[str, str]:
        """The error as the command line reports it."""
        return {"what": self.what, "where": self.where, "why": self.why, "next": self.next}


class TenantMissing(StoreError):
    """There is no file for this tenant."""


class TenantExists(StoreError):
    """There is a file for this tenant already."""


_NEXT = {
    errno.ENOSPC: "Free some space, then run the same command again",
    errno.EDQUOT: "Free some space of your quota, then run the same command again",
    errno.EACCES: "Give yourself the right to write there, then run the same command again",
    errno.EPERM: "Give yourself the right to write there, then run the same command again",
    errno.EROFS: "Use a registry on a writable file system, then run the same command again",
}


def from_os(what: str, where: Path | str, error: OSError) -> StoreError:
    """An error of the operating system as a :class:`StoreError`."""
    why = os.strerror(error.errno) if error.errno else str(error)
    return StoreError(
        what, where, why, _NEXT.get(error.errno or 0, "Look at the disk, then run the same command again")
    )


def broken(what: str, where: Path | str, error: BrokenFile) -> StoreError:
    """A write that is refused because the file, as it stands, cannot be read."""
    place = f"{where}:{error.line}" if error.line else where
    return StoreError(what, place, error.reason, "Correct the file by hand (smos validate tells more), then run again")
