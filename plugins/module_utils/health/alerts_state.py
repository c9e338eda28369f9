# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What each way was told, and the file that remembers it.

A way is told what it does not know. Whoever forgets what he told tells it again with every pass: therefore a state that
can be written nowhere ends the pass before anything is sent.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import typing as t
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

FORMAT = 1
FIRST_S, LONGEST_S = 300.0, 1800.0  # until a way that failed is tried again; doubled each time
HOUR_S = 3600.0


@dataclass(frozen=True)
class Told:
    """What a way knows of a subject that is not well. ``ids`` are the incidents that it was told of, or that were counted."""

    ids: tuple[int, ...]
    severity: str
    at: float  # when it was told last
    opened: float
    kind: str
    title: str
    times: int = 1  # incidents since then
    unsteady: bool = False
    last: float = 0.0  # when something was wrong last
    gone: float = 0.0  # since when no incident of it is known any more; 0: it is


@dataclass(frozen=True)
class Way:
    """What one way was told, by subject. ``done`` are incidents of which nothing is left to tell."""

    told: t.Mapping[str, Told] = field(default_factory=dict)
    done: tuple[int, ...] = ()
    sent: tuple[float, ...] = ()  # moments of the last hour
    tries: int = 0  # in a row that failed
    again_at: float = 0.0

    def failed(self, now: float) -> Way:
        """After a message that was not handed over, or of which nobody knows."""
        pause = min(FIRST_S * 2.0 ** min(self.tries, 10), LONGEST_S)
        return replace(self, tries=self.tries + 1, again_at=now + pause)

    def handed_over(self, now: float) -> Way:
        """After a message that went out."""
        return replace(self, tries=0, again_at=0.0, sent=(*self.sent, now))

    def as_of(self, now: float) -> Way:
        """Without moments that lie ahead: the clock was wrong then, or is now."""
        told = {
            subject: replace(each, at=min(each.at, now), opened=min(each.opened, now), last=min(each.last, now))
            if max(each.at, each.opened, each.last) > now
            else each
            for subject, each in self.told.items()
        }
        told = {name: replace(each, gone=now) if each.gone > now else each for name, each in told.items()}
        sent = tuple(each for each in self.sent if now - HOUR_S < each <= now)
        return replace(self, told=told, sent=sent, again_at=min(self.again_at, now + LONGEST_S))


@dataclass(frozen=True)
class State:
    """All ways by name, and since when an incident is known to be critical, by its id."""

    ways: t.Mapping[str, Way] = field(default_factory=dict)
    critical: t.Mapping[int, float] = field(default_factory=dict)


def as_json(state: State) -> dict[str, t.Any]:
    """As it is kept."""
    return {"format": FORMAT, **asdict(state)}


def of_json(found: t.Any) -> State:
    """The opposite. Raises KeyError, TypeError, ValueError and AttributeError for what is none."""
    ways = {}
    for name, each in found["ways"].items():
        told = {subject: _told(entry) for subject, entry in each["told"].items()}
        done = tuple(int(number) for number in each["done"])
        sent = tuple(_moment(moment) for moment in each["sent"])
        ways[str(name)] = Way(told, done, sent, int(each["tries"]), _moment(each["again_at"]))
    return State(ways, {int(number): _moment(moment) for number, moment in found["critical"].items()})


def _told(entry: t.Mapping[str, t.Any]) -> Told:
    made = Told(**{**entry, "ids": tuple(int(number) for number in entry["ids"])})
    for moment in (made.at, made.opened, made.last, made.gone):
        _moment(moment)
    texts = (made.severity, made.kind, made.title)
    if not all(isinstance(each, str) for each in texts) or not isinstance(made.times, int):
        raise TypeError("another shape")
    return made


def _moment(value: t.Any) -> float:
    found = float(value)
    if not math.isfinite(found) or found < 0:
        raise ValueError(value)
    return found


class Memory:
    """A small file in the first of these folders that takes it; the newest one of all is read.

    The second folder is for a disk that is full: that is when people most need to hear of it.
    """

    def __init__(self, name: str, folders: Sequence[Path]) -> None:
        self._paths = [folder / name for folder in folders]
        self._turn = 0

    def read(self) -> tuple[t.Any, bool]:
        """What was written last, None where there is nothing; and whether a file was there that nobody understands."""
        newest: tuple[int, t.Any] | None = None
        broken = False
        for path in self._paths:
            try:
                found = json.loads(path.read_text(encoding="utf-8"))
                turn = int(found["turn"])
            except (FileNotFoundError, NotADirectoryError):
                continue
            except (OSError, ValueError, TypeError, KeyError, RecursionError):
                broken = True
                continue
            if newest is None or turn > newest[0]:
                newest = (turn, found)
        self._turn = newest[0] if newest else 0
        return (newest[1] if newest else None), broken and newest is None

    def write(self, content: t.Mapping[str, t.Any]) -> None:
        """Put it in place whole, and remove older ones. Raises OSError where no folder takes it."""
        self._turn += 1
        text = json.dumps({**content, "turn": self._turn}, ensure_ascii=False)
        failure: OSError | None = None
        for position, path in enumerate(self._paths):
            try:
                _put(path, text)
            except OSError as exc:
                failure = failure or exc
                continue
            for other in self._paths[position + 1 :]:
                with contextlib.suppress(OSError):
                    other.unlink()
            return
        raise failure or OSError("no folder is named")


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            new.unlink()
        raise
