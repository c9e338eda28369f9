"""Faults on demand: the same rule gives the same faults at the same requests, every time."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from fnmatch import fnmatchcase
from typing import Any, Literal

KINDS = ("latency", "reset", "timeout_before", "timeout_after_commit", "status")
MAX_SECONDS = 3600.0


class BadRule(ValueError):
    """A fault rule that makes no sense; the message names the field and what it may be."""


@dataclass(frozen=True)
class Rule:
    """When a fault happens, and which.

    ``provider`` and ``operation`` are names or shell patterns (``*`` for all). Of the requests they match, the first
    ``after`` pass, then every ``every``-th is hit, ``times`` times in all. ``kind``:

    - ``latency``: the answer comes ``seconds`` later
    - ``status``: answered with HTTP ``status`` in the provider's own envelope (the kinds ``429``, ``500`` … are short
      for it), with ``Retry-After: retry_after`` when that is given (429: 1 second unless told)
    - ``reset``: the connection is reset before anything was done
    - ``timeout_before``: nothing is done and no answer comes; the connection closes after ``seconds``
    - ``timeout_after_commit``: the call is carried out, but no answer comes; closes after ``seconds``
    """

    provider: str = "*"
    operation: str = "*"
    kind: str = "status"
    status: int = 500
    times: int | Literal["always"] = 1
    after: int = 0
    every: int = 1
    retry_after: int | None = None
    seconds: float = 120.0


@dataclass
class Counted:
    """A rule in force: how many requests it has seen and hit."""

    id: int
    rule: Rule
    seen: int = 0
    fired: int = 0

    def shown(self) -> dict[str, Any]:
        return {"id": self.id, "seen": self.seen, "fired": self.fired, **asdict(self.rule)}

    def hits(self) -> bool:
        """Count one more matching request, and tell whether the fault happens to it."""
        self.seen += 1
        turn = self.seen - self.rule.after
        due = turn > 0 and turn % self.rule.every == 0
        if not due or (self.rule.times != "always" and self.fired >= self.rule.times):
            return False
        self.fired += 1
        return True


@dataclass(frozen=True)
class Hit:
    """What happens to one request: a delay in seconds, and at most one rule that decides its end."""

    delay: float = 0.0
    rule: Rule | None = None


NO_HIT = Hit()


class FaultBook:
    """The rules in force, in SQLite, counted per rule; they and their counts survive a restart."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        rows = db.execute("SELECT id, rule, seen, fired FROM sandbox_faults ORDER BY id").fetchall()
        self._rules = [
            Counted(row["id"], parse_rule(json.loads(row["rule"])), row["seen"], row["fired"]) for row in rows
        ]

    def __bool__(self) -> bool:
        return bool(self._rules)

    def add(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """Put a rule in force; raises :class:`BadRule`."""
        rule = parse_rule(raw)
        cursor = self._db.execute("INSERT INTO sandbox_faults (rule) VALUES (?)", (json.dumps(asdict(rule)),))
        counted = Counted(int(cursor.lastrowid or 0), rule)
        self._rules.append(counted)
        return counted.shown()

    def clear(self) -> int:
        """Take all rules out of force; returns how many there were."""
        count = len(self._rules)
        self._db.execute("DELETE FROM sandbox_faults")
        self._rules.clear()
        return count

    def shown(self) -> list[dict[str, Any]]:
        return [counted.shown() for counted in self._rules]

    def take(self, provider: str, operation: str) -> Hit:
        """What happens to this request. Delays add up; the first rule that decides the end hides it from later ones."""
        delay, counts, decided = 0.0, [], None
        for counted in self._rules:
            rule = counted.rule
            if not (fnmatchcase(provider, rule.provider) and fnmatchcase(operation, rule.operation)):
                continue
            hit = counted.hits()
            counts.append((counted.seen, counted.fired, counted.id))
            if hit and rule.kind == "latency":
                delay += rule.seconds
            elif hit:
                decided = rule
                break
        if not counts:
            return NO_HIT
        self._db.executemany("UPDATE sandbox_faults SET seen = ?, fired = ? WHERE id = ?", counts)
        return Hit(delay, decided)


def parse_rule(raw: Mapping[str, Any]) -> Rule:
    """A rule from plain data; ``kind`` may be a status code (``429`` or ``"429"``). Raises :class:`BadRule`."""
    known = {item.name for item in fields(Rule)}
    unknown = sorted(set(raw) - known)
    if unknown:
        raise BadRule(f"unknown field {unknown[0]!r}; known are {', '.join(sorted(known))}")
    data = {key: value for key, value in raw.items() if value is not None}
    kind = str(data.get("kind", "status"))
    if kind.isdecimal():
        data["status"], kind = int(kind), "status"
    if kind not in KINDS:
        raise BadRule(f"kind: {kind!r} is none of {', '.join(KINDS)} or a status code from 400 to 599")
    data["kind"] = kind
    for name in ("provider", "operation"):
        if not isinstance(data.get(name, "*"), str) or not data.get(name, "*"):
            raise BadRule(f"{name}: must be a name or a pattern such as '*'")
    _check_numbers(data)
    if kind == "status" and data.get("status") == 429:
        data.setdefault("retry_after", 1)
    if kind == "latency":
        data.setdefault("seconds", 1.0)
    return Rule(**data)


def _check_numbers(data: dict[str, Any]) -> None:
    if data.get("times") != "always":
        _whole(data, "times", 1, 10**9)
    _whole(data, "after", 0, 10**9)
    _whole(data, "every", 1, 10**9)
    _whole(data, "retry_after", 0, 86_400)
    _whole(data, "status", 400, 599)
    seconds = data.get("seconds", 1.0)
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds <= MAX_SECONDS:
        raise BadRule(f"seconds: must be a number from 0 to {MAX_SECONDS:g}")


def _whole(data: dict[str, Any], name: str, low: int, high: int) -> None:
    value = data.get(name, low)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        hint = " or 'always'" if name == "times" else ""
        raise BadRule(f"{name}: must be a whole number from {low} to {high}{hint}")
