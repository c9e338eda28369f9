# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""One deploy, backup or restore of an environment at a time: a lease on the machine itself, since schedulers on several
control nodes know nothing of each other.

The lock is a file, written whole under a flock. It says who holds it, why, and until when. An
expired lease is taken over; so is that of a run whose process the caller knows to be gone.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
import time
import typing as t
from pathlib import Path

FOLDER = Path("/var/lib/smarteros/locks")
LEASE_S = 900.0
RUN = "SMOS_RUN"  # in a module's environment: the run that it belongs to
PERIOD_S = 60.0

Holder = dict[str, t.Any]


class Held(Exception):
    """Another run holds the lock; ``holder`` says which."""

    def __init__(self, holder: Holder) -> None:
        super().__init__(str(holder.get("run")))
        self.holder = holder


class TargetLock:
    """The lock of this name."""

    def __init__(self, name: str = "operation", folder: Path = FOLDER) -> None:
        self._path = folder / f"{name}.lock"

    def holder(self) -> Holder | None:
        """Who holds it, expired or not; None where nobody does."""
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError:  # a power cut
            found = None
        return found if isinstance(found, dict) else {"run": "unknown", "expires_at": 0.0}

    def take(self, holder: Holder, take_over: str = "") -> Holder | None:
        """Take it, or begin the lease anew where the run holds it; gives the holder that was displaced. Raises Held.

        ``take_over`` is the run that the caller knows to be dead.
        """
        with guarded(self._path):
            there = self.holder()
            mine = there is not None and there.get("run") == holder["run"]
            if there is not None and not mine and there.get("run") != take_over and not _expired(there):
                raise Held(there)
            put(self._path, holder)
            return None if mine else there

    def renew(self, run: str, lease_s: float = LEASE_S) -> bool:
        """Begin the lease of a run anew; False where the run does not hold the lock (any more)."""
        with guarded(self._path):
            there = self.holder()
            if there is None or there.get("run") != run:
                return False
            put(self._path, {**there, "expires_at": time.time() + lease_s})
            return True

    def release(self, run: str) -> bool:
        """Give it back; another run's stays. Gives whether there was something to give back."""
        with guarded(self._path):
            there = self.holder()
            if there is None or there.get("run") != run:
                return False
            self._path.unlink()
            return True


@contextlib.contextmanager
def guarded(path: Path) -> t.Iterator[None]:
    """Be the only one that changes this file. The system frees the guard when a process dies."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(path.with_suffix(".guard"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def put(path: Path, document: dict[str, t.Any]) -> None:
    """Have the file hold this, whole or not at all. The guard must be held."""
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(document, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(path)


class Renewable(t.Protocol):
    """What a run holds on the machine."""

    def renew(self, run: str) -> object:
        """Begin the lease of a run anew; something false where there is none of it (any more)."""


def keep_alive(lock: Renewable | None = None, period_s: float = PERIOD_S) -> None:
    """Renew the lease of the run that this module belongs to now, and again and again for as long as the module lives.

    Pulling an image or a migration takes longer than a lease. Outside a run nothing is done.
    """
    run = os.environ.get(RUN, "")
    if run:
        arguments = (lock or TargetLock(), run, period_s)
        threading.Thread(target=_renew_again, args=arguments, name="lease", daemon=True).start()


def _renew_again(lock: Renewable, run: str, period_s: float) -> None:
    while lock.renew(run):
        time.sleep(period_s)


def _expired(holder: Holder) -> bool:
    return float(holder.get("expires_at") or 0.0) <= time.time()
