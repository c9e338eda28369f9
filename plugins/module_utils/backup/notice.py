# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Tell the admin that a job of the backups fails, once, and that it works again, once.

What each channel was told is kept in a file, so that the machine needs nobody to remember it. A channel that cannot be
reached never fails the job: what it missed is sent by the next job that runs. The standard library is enough.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
import time
import typing as t
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import notice_text, notice_ways
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.config import Config
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.notice_text import News
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.notice_ways import Unsent

STATE_FOLDER = Path("/var/lib/smarteros/backup")
FILE = "notices.json"
REMIND_S = 24 * 3600.0  # a failure that lasts is told again
FORGET_S = 7 * 24 * 3600.0  # a recovery that could not be told for so long is nobody's news any more
WHOLE_S = 25.0  # for all that one channel is to be told; a mail alone takes several answers
_AHEAD_S = 3600.0  # a moment so far ahead was written by a clock that was wrong
_YEAR_3000 = 32503680000.0
LANGUAGE = "language"  # in the section, beside the channels

Json = dict[str, t.Any]


@dataclass
class Kept:
    """A job as it ended last. ``told``: the channels that know of its failure, with its kind and when they were told."""

    ok: bool
    kind: str
    message: str
    since: float  # when it began to fail
    changed: float  # when it failed or recovered last
    told: dict[str, Json] = field(default_factory=dict)


def tell(
    config: Config,
    job: str,
    ok: bool,
    message: str,
    *,
    state_folder: Path = STATE_FOLDER,
    now: float | None = None,
) -> list[str]:
    """Note how a job ended and tell the admin what he does not know yet; gives what was told and what could not be.

    ``job`` is backup, copy, check or drill. ``message`` says why it failed; it leaves the machine, shortened and
    without what looks like a secret. Never raises for a channel, nor for the file of what was told.
    """
    moment = time.time() if now is None else now
    said: list[str] = []
    with _guarded(state_folder):
        path = state_folder / FILE
        jobs = _read(path, said)
        _note(jobs, job, ok, notice_text.plain(message), moment)
        channels = [name for name in notice_ways.NAMES if config.notices.get(name)]
        if not channels and not ok:
            said.append(f"nobody was told that {job} failed: no webhook, email or whatsapp is configured for notices")
        _write(path, jobs, said)  # now: a machine that dies while it tells has not forgotten that there was something
        if _told_all(config, jobs, channels, moment, said):
            _write(path, jobs, said)
    return list(dict.fromkeys(said))


def _note(jobs: dict[str, Kept], job: str, ok: bool, message: str, now: float) -> None:
    """Bring what is kept of a job up to date."""
    before = jobs.get(job)
    if ok:
        if before is not None and before.ok is False:
            before.ok, before.changed = True, now
        return
    since = before.since if before is not None and not before.ok else now
    told = before.told if before is not None else {}
    jobs[job] = Kept(False, notice_text.kind_of(message), message, since, now, told)


def _told_all(config: Config, jobs: dict[str, Kept], channels: list[str], now: float, said: list[str]) -> bool:
    """Tell every channel what it does not know yet, all of them at once; gives whether there was anything."""
    due = {name: _due(config, name, jobs, now) for name in channels}
    due = {name: news for name, news in due.items() if news}
    sent = _sent(config, due)
    for name, news in due.items():
        done, why = sent[name]
        for each in news[:done]:
            _remember(jobs[each.job], name, each.what, now)
            said.append(f"{name}: told that {each.job} {_SAID[each.what]}")
        if why:
            missed = ", ".join(dict.fromkeys(each.job for each in news[done:]))
            said.append(f"{name}: could not be told of {missed}: {why}; tried again with the next job")
    gone = [job for job, kept in jobs.items() if _is_over(kept, channels, now)]
    for job in gone:
        del jobs[job]
    return bool(due or gone)


_SAID: t.Mapping[str, str] = {
    notice_text.FAILED: "failed",
    notice_text.REMINDED: "still fails",
    notice_text.RECOVERED: "works again",
}


def _due(config: Config, channel: str, jobs: t.Mapping[str, Kept], now: float) -> list[News]:
    """What one channel is to be told now."""
    found = []
    for job, kept in sorted(jobs.items()):
        what = _what(kept, kept.told.get(channel), now)
        if what:
            found.append(News(what, job, kept.message, kept.since, config.environment, config.zone))
    return found


def _what(kept: Kept, told: Json | None, now: float) -> str:
    """What is new in a job for a channel that was told this of its failure; empty for nothing."""
    if kept.ok:
        return notice_text.RECOVERED if told else ""
    if told is None or told["kind"] != kept.kind:
        return notice_text.FAILED
    age = now - told["at"]
    return "" if -_AHEAD_S <= age < REMIND_S else notice_text.REMINDED


def _remember(kept: Kept, channel: str, what: str, now: float) -> None:
    if what == notice_text.RECOVERED:
        kept.told.pop(channel, None)
    else:
        kept.told[channel] = {"kind": kept.kind, "at": now}


def _is_over(kept: Kept, channels: t.Collection[str], now: float) -> bool:
    """Whether a job that works has nobody left to be told so."""
    if not kept.ok:
        return False
    waiting = any(name in channels for name in kept.told)
    return not waiting or not -_AHEAD_S <= now - kept.changed < FORGET_S


# --- sending

Outcome = tuple[int, str]  # how many were handed over, and why the next one was not


def _sent(config: Config, due: t.Mapping[str, list[News]]) -> dict[str, Outcome]:
    """The outcome of each channel. One that hangs keeps nobody: it is given up on after `WHOLE_S`."""
    threads: dict[str, tuple[threading.Thread, list[Outcome]]] = {}
    for name, news in due.items():
        outcomes: list[Outcome] = [(0, "")]
        thread = threading.Thread(target=_hand_over, args=(config, name, news, outcomes), name=name, daemon=True)
        threads[name] = (thread, outcomes)
        thread.start()
    ends = time.monotonic() + WHOLE_S
    found: dict[str, Outcome] = {}
    for name, (thread, outcomes) in threads.items():
        thread.join(max(0.0, ends - time.monotonic()))
        done, why = outcomes[-1]
        late = not why and done < len(due[name])
        found[name] = (done, f"no answer within {WHOLE_S:g} s" if late else why)
    return found


def _hand_over(config: Config, name: str, news: t.Sequence[News], outcomes: list[Outcome]) -> None:
    """In a thread: send one after the other; the first that cannot be sent ends it."""
    done = 0
    try:
        language = str(config.notices.get(LANGUAGE) or notice_text.SPANISH)
        way = notice_ways.way_of(name, config.notices[name])
        for each in news:
            way.send(each, notice_text.words(each, language))
            done += 1
            outcomes.append((done, ""))
    except Unsent as exc:
        outcomes.append((done, str(exc)))
    except Exception as exc:  # noqa: BLE001 - no channel may fail a backup; the text of an unknown exception may hold a secret
        outcomes.append((done, f"an unforeseen {type(exc).__name__}"))


# --- the file


@contextlib.contextmanager
def _guarded(folder: Path) -> t.Iterator[None]:
    """One process at a time: the timers of two jobs may end at the same moment. Where it cannot be had, go on without."""
    fd = -1
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(folder / f".{FILE}.guard", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX)
    except OSError:
        pass  # `_write` says it
    try:
        yield
    finally:
        if fd >= 0:
            os.close(fd)


def _read(path: Path, said: list[str]) -> dict[str, Kept]:
    """What is kept by job; what cannot be understood is left out, and said."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        entries = data["jobs"].items()
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        said.append(f"{path.name} could not be read and is begun anew: what is failing is told again")
        return {}
    jobs: dict[str, Kept] = {}
    for job, entry in entries:
        try:
            jobs[job] = _kept(entry)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
            said.append(f"{path.name} says of {job} what nobody understands: it is begun anew")
    return jobs


def _kept(entry: Json) -> Kept:
    told = {str(name): {"kind": str(each["kind"]), "at": _moment(each["at"])} for name, each in entry["told"].items()}
    texts = {key: str(entry[key]) for key in ("kind", "message")}
    return Kept(bool(entry["ok"]), **texts, since=_moment(entry["since"]), changed=_moment(entry["changed"]), told=told)


def _moment(value: t.Any) -> float:
    found = float(value)
    if not 0 <= found < _YEAR_3000:  # nor is "not a number" one
        raise ValueError(value)
    return found


def _write(path: Path, jobs: t.Mapping[str, Kept], said: list[str]) -> None:
    """Put the file in place whole, readable by its owner only."""
    text = json.dumps({"jobs": {job: asdict(kept) for job, kept in jobs.items()}}, ensure_ascii=False, indent=1)
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.unlink(missing_ok=True)
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(fd, "w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as exc:
        said.append(f"{path} could not be written ({exc.strerror}): what was told now may be told again")
