# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What is around every job on backups: one at a time on the machine, gently, its outcome written down, and a failure told.

Timers and people come this way alike. The lock is the one that deploys take, so no backup sees half a migration.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import subprocess
import time
import typing as t
from dataclasses import asdict, dataclass
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.module_utils import target_lock
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.config import Config
from ansible_collections.smartercl.smarteros.plugins.module_utils.target_lock import Held, Holder, TargetLock

FOLDER = Path("/var/lib/smarteros/backup")
LAST = FOLDER / "last.json"
BACKUP, COPY, CHECK, DRILL = "backup", "copy", "check", "drill"
WAL, BASE = "wal", "wal base"  # of a server whose every moment is archived
PATIENCE_S = 1800.0  # of a timer that finds the machine busy
POLL_S = 5.0
NICE = 10

Json = dict[str, t.Any]
Say = t.Callable[[str], None]


class Busy(Exception):
    """Another run holds the machine; ``holder`` says which."""

    def __init__(self, holder: Holder) -> None:
        who = f"{holder.get('run', 'unknown')} ({holder.get('reason') or 'no reason given'})"
        super().__init__(f"the machine is locked by run {who} of {holder.get('holder') or 'nobody known'}")
        self.holder = holder


@dataclass(frozen=True)
class Outcome:
    """What a job came to. Of a backup ``added``: bytes that the repository grew by, ``held``: services that are whole in it."""

    ok: bool
    message: str
    id: str = ""
    added: int = 0
    held: t.Sequence[str] = ()


def perform(
    config: Config,
    job: str,
    run: str,
    work: t.Callable[[], tuple[Outcome, t.Any]],
    *,
    patience_s: float = 0.0,
    say: Say = lambda _text: None,
    lock: TargetLock | None = None,
    last: Path = LAST,
) -> t.Any:
    """Do a job under the lock; gives what ``work`` gives beside its outcome. Raises Busy, and whatever ``work`` raises."""
    began = time.time()
    try:
        with alone(run, job, patience_s=patience_s, say=say, lock=lock):
            gently()
            outcome, found = work()
    except (Exception, SystemExit) as exc:
        # A person who is told "busy" needs no notice; a timer that gave up does
        if not isinstance(exc, Busy) or patience_s > 0:
            settle(config, job, Outcome(False, " ".join(str(exc).split()) or type(exc).__name__), began, last, say)
        raise
    settle(config, job, outcome, began, last, say)
    return found


def settle(
    config: Config, job: str, outcome: Outcome, began: float, last: Path = LAST, say: Say = lambda _text: None
) -> None:
    """Write the outcome down and tell those who want to know."""
    with in_turn(last):
        with contextlib.suppress(OSError):  # a full disk hides no failure: the notice goes out all the same
            write_last(job, outcome, began, last)
        tell(config, job, outcome, say)


@contextlib.contextmanager
def in_turn(last: Path = LAST) -> t.Iterator[None]:
    """One outcome is written down after the other: the archive of a server has no lock of the machine. A full disk hinders none."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            last.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(last.with_suffix(".turn"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            stack.callback(os.close, fd)
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield


def tell(config: Config, job: str, outcome: Outcome, say: Say = lambda _text: None) -> None:
    """Tell of a failure, or that all is well again. That a notice cannot be sent fails nothing, and is said."""
    try:
        from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import notice

        for text in notice.tell(config, job, outcome.ok, outcome.message) or ():
            say(text)
    except Exception as exc:  # noqa: BLE001 - whatever it is: the job's own outcome is what counts
        say(f"nobody could be told how {job} ended: {type(exc).__name__}")  # its text may hold a secret


@contextlib.contextmanager
def alone(
    run: str, reason: str, *, patience_s: float = 0.0, say: Say = lambda _text: None, lock: TargetLock | None = None
) -> t.Iterator[None]:
    """Hold the machine. A lock that this very run holds already (a play's) is used and left as it was. Raises Busy."""
    the_lock = lock or TargetLock()
    there = the_lock.holder()
    ours = there is not None and there.get("run") == run
    displaced = None if ours and the_lock.renew(run) else _taken(the_lock, run, reason, patience_s, say)
    if displaced is not None:
        say(f"took over the lock of run {displaced.get('run')}, which has ended without giving it back")
    os.environ[target_lock.RUN] = run
    target_lock.keep_alive(the_lock)
    try:
        yield
    finally:
        if not ours:
            the_lock.release(run)


def gently() -> None:
    """Leave processor and disk to those who serve customers; what is started from here on inherits it."""
    with contextlib.suppress(OSError):
        if os.nice(0) < NICE:
            os.nice(NICE - os.nice(0))
    with contextlib.suppress(OSError):
        # No AnsibleModule here: this also runs from a timer
        subprocess.run(  # pylint: disable=ansible-bad-function
            ["ionice", "-c2", "-n7", "-p", str(os.getpid())], check=False, capture_output=True
        )


def read_last(last: Path = LAST) -> dict[str, Json]:
    """The last outcome of each job: ok, at, id, message, seconds, and of a backup what it added and what is held."""
    try:
        found = json.loads(last.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {job: each for job, each in found.items() if isinstance(each, dict)} if isinstance(found, dict) else {}


def write_last(job: str, outcome: Outcome, began: float, last: Path = LAST) -> None:
    """Keep an outcome. ``good`` is the last one of this job that was well, ``held`` the id of the last one that holds a
    service whole, for each of them. Raises OSError.

    What it added counts on for some runs: after a backup of one small service comes one of all of them.
    """
    entries = read_last(last)
    now = time.time()
    entry = {**asdict(outcome), "at": _stamp(now), "seconds": round(now - began, 1)}
    former = entries.get(job, {}).get("good")
    lasting = int((former or {}).get("added", 0)) * 3 // 4
    entry["good"] = former
    if outcome.ok:
        entry["good"] = {"at": entry["at"], "id": outcome.id, "added": max(outcome.added, lasting)}
    entry["held"] = {**(entries.get(job, {}).get("held") or {}), **dict.fromkeys(outcome.held, outcome.id)}
    last.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = last.with_suffix(".new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(json.dumps({**entries, job: entry}, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(last)


def new_run(reason: str) -> str:
    """The id of a run that no control node began."""
    return f"{reason}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{os.getpid()}"


def _taken(lock: TargetLock, run: str, reason: str, patience_s: float, say: Say) -> Holder | None:
    until = time.monotonic() + patience_s
    told = False
    while True:
        try:
            return lock.take(_holder(run, reason), _dead(lock.holder()))
        except Held as exc:
            if time.monotonic() >= until:
                raise Busy(exc.holder) from None
            if not told:
                say(f"waiting for run {exc.holder.get('run')} ({exc.holder.get('reason', '')}) to end")
                told = True
            time.sleep(min(POLL_S, max(0.1, until - time.monotonic())))


def _holder(run: str, reason: str) -> Holder:
    now = time.time()
    return {
        "run": run,
        "holder": f"root@{socket.gethostname()}",
        "reason": reason,
        "taken_at": now,
        "expires_at": now + target_lock.LEASE_S,
        "pid": os.getpid(),
        "started": _started(os.getpid()),
    }


def _dead(holder: Holder | None) -> str:
    """The run that holds the lock, where its process was on this machine and is gone: nobody has to wait for its lease."""
    if holder is None or not holder.get("pid") or not holder.get("started"):
        return ""
    return str(holder["run"]) if _started(int(holder["pid"])) != holder["started"] else ""


def _started(pid: int) -> str:
    """The boot and the tick that a process began in, which no later process of the same number shares; empty when gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else f"{boot} {fields[19]}"


def _stamp(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
