# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What base backups and archived segments of a PostgreSQL server come to: from when until when it can be brought back, out of
which of them, and which nobody needs any more. Nothing here looks at the machine.
"""

from __future__ import annotations

import re
import time
import typing as t
from dataclasses import dataclass
from datetime import datetime, timezone

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import journal

SEGMENT_BYTES = 16 << 20  # as initdb of the image makes them
PER_LOG = 0x100000000 // SEGMENT_BYTES
DAY_S = 86400
SEGMENT = re.compile(r"[0-9A-F]{24}\Z")
HISTORY = re.compile(r"([0-9A-F]{8})\.history\Z")
BESIDE = re.compile(r"[0-9A-F]{8}\.history\Z|[0-9A-F]{24}\.([0-9A-F]{8}\.backup|partial)\Z")


class PointError(Exception):
    """The moment cannot be brought back; ``exit_code`` as the commands have it, ``following`` what to do next."""

    def __init__(self, why: str, following: str, exit_code: int = 2) -> None:
        super().__init__(why)
        self.why = why
        self.following = following
        self.exit_code = exit_code


@dataclass(frozen=True)
class Base:
    """A copy of the whole server. ``first``: the segment from which on it needs the archive; ``at``: when it was whole (epoch)."""

    snapshot: str
    system: str  # the server's own number, which no other has
    timeline: int
    first: int
    at: float
    bytes: int = 0
    told: str = ""  # the snapshot that tells of it


@dataclass(frozen=True)
class Piece:
    """Segments that follow each other, in one snapshot. ``until``: all that was committed before is in them (0: not known)."""

    snapshot: str
    system: str
    timeline: int
    first: int
    last: int
    until: float = 0.0


@dataclass(frozen=True)
class Held:
    """What there is."""

    bases: t.Sequence[Base] = ()
    pieces: t.Sequence[Piece] = ()


@dataclass(frozen=True)
class Window:
    """Any moment from ``since`` to ``until`` can be brought back out of this base and these pieces (in their order)."""

    base: Base
    pieces: t.Sequence[Piece]
    since: float
    until: float

    @property
    def next_segment(self) -> int:
        """The first segment that is not there."""
        return max((each.last + 1 for each in self.pieces), default=self.base.first)


@dataclass(frozen=True)
class Choice:
    """What a moment is brought back from."""

    moment: float
    base: Base
    pieces: t.Sequence[Piece]

    @property
    def name(self) -> str:
        """By which journal and folders know this restore."""
        return f"{journal.POINT}{time.strftime('%Y%m%d-%H%M%S', time.gmtime(self.moment))}"

    @property
    def needed(self) -> int:
        """Bytes that it takes on the disk."""
        return self.base.bytes + sum(each.last - each.first + 1 for each in self.pieces) * SEGMENT_BYTES


def number(segment: str) -> int:
    """The place of a segment among all of its timeline, by its name."""
    return int(segment[8:16], 16) * PER_LOG + int(segment[16:24], 16)


def timeline(name: str) -> int:
    """The timeline of a segment or history, by its name."""
    return int(name[:8], 16)


def runs(names: t.Iterable[str]) -> list[list[str]]:
    """Segments in groups that follow each other without a gap, on one timeline; what is no segment is left out."""
    made: list[list[str]] = []
    for name in sorted(each for each in names if SEGMENT.match(each)):
        last = made[-1][-1] if made else ""
        if last and timeline(last) == timeline(name) and number(name) == number(last) + 1:
            made[-1].append(name)
        else:
            made.append([name])
    return made


def window(base: Base, held: Held) -> Window:
    """How far the archive leads on from a base. It ends at the first gap."""
    mine = [each for each in held.pieces if (each.system, each.timeline) == (base.system, base.timeline)]
    following, used, until = base.first, [], base.at
    for each in sorted(mine, key=lambda one: (one.first, one.last)):
        if each.first > following:
            break
        if each.last >= following:
            used.append(each)
            following = each.last + 1
            until = max(until, each.until)
    return Window(base, tuple(used), base.at, until)


def windows(held: Held) -> list[Window]:
    """Of each base, oldest first."""
    return [window(each, held) for each in sorted(held.bases, key=lambda one: one.at)]


def spans(held: Held) -> list[tuple[float, float]]:
    """The moments that can be brought back, as spans that do not touch, oldest first."""
    made: list[tuple[float, float]] = []
    for each in windows(held):
        if not each.pieces:
            continue  # the end of a recovery is only known by what comes after it
        if made and each.since <= made[-1][1]:
            made[-1] = (made[-1][0], max(made[-1][1], each.until))
        else:
            made.append((each.since, each.until))
    return made


def choose(held: Held, moment: float) -> Choice:
    """From what a moment is brought back: the newest base before it, and no more of the archive than that takes.

    Raises PointError where it is in no window, with the windows there are.
    """
    fitting = [each for each in windows(held) if each.pieces and each.since <= moment <= each.until]
    if not fitting:
        there = "; ".join(f"{stamp(since)} to {stamp(until)}" for since, until in spans(held))
        why = f"{stamp(moment)} cannot be brought back: " + (
            f"what is there goes from {there}" if there else "there is no base backup with segments after it yet"
        )
        raise PointError(why, "Name a moment within, or restore a backup: smos backups lists them")
    best = max(fitting, key=lambda one: one.since)
    pieces = []
    for each in best.pieces:
        pieces.append(each)
        if each.until >= moment:
            break
    return Choice(moment, best.base, tuple(pieces))


def due(held: Held, system: str, line: int, now: float, every_s: float) -> str:
    """Why a new base backup is to be taken; empty where none is."""
    mine = [each for each in held.bases if (each.system, each.timeline) == (system, line)]
    if not mine:
        return "there is none of this server as it is now"
    newest = max(mine, key=lambda one: one.at)
    there = window(newest, held).next_segment
    beyond = [each for each in held.pieces if (each.system, each.timeline) == (system, line) and each.first > there]
    if beyond:
        return "segments are missing after the newest one"
    return "the newest one is old" if now - newest.at >= every_s else ""


def to_forget(held: Held, keep_days: int, now: float) -> list[str]:
    """Snapshots that no moment of the last so many days needs. The newest base stays, however old, with what follows it."""
    ordered = sorted(held.bases, key=lambda one: one.at, reverse=True)
    if not ordered:
        return []
    kept = [each for each in ordered if each.at >= now - keep_days * DAY_S]
    kept += ordered[len(kept) : len(kept) + 1]  # the one from which the oldest of these moments is brought back
    gone = [name for each in ordered if each not in kept for name in (each.told, each.snapshot) if name]
    needed = [(each.system, each.timeline, each.first) for each in kept]
    return gone + [
        piece.snapshot
        for piece in held.pieces
        if not any((piece.system, piece.timeline) == (s, line) and piece.last >= first for s, line, first in needed)
    ]


def moment_of(text: str) -> float:
    """A moment as a person writes it, with its offset from UTC: ``2026-11-22 14:03:00-03``. Raises PointError."""
    whole = re.sub(r"([+-]\d\d)(\d\d)?\Z", lambda found: f"{found[1]}:{found[2] or '00'}", text.strip())
    whole = re.sub(r"(\d)\s*Z\Z", r"\1+00:00", whole)
    try:
        found = datetime.fromisoformat(whole)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None or "T" not in whole.replace(" ", "T"):
        why = f"{text!r} is no moment with its offset from UTC"
        raise PointError(why, "Write it as 2026-11-22 14:03:00-03, or as 2026-11-22T17:03:00Z")
    return float(int(found.timestamp()))


def stamp(moment: float) -> str:
    """A moment for people and machines: ISO 8601, UTC."""
    return datetime.fromtimestamp(int(moment), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
