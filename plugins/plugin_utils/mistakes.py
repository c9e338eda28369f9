# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""How a mistake in a spec is told: file, line, key, rule, and what to do next."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

ARGUMENT = "argument"
"""Stands where a file name would, when the value came from the command line."""

Place = tuple[Any, ...]
"""Where a value stands in a document: keys and list positions from the top."""

_LONGEST_VALUE = 48
_SHOWN_IN_SUMMARY = 20


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong with the specs, or with the arguments that would become one.

    ``line`` counts from 1 and is 0 when it is not known; ``key`` is a dotted path such as ``spec.owner.email``;
    ``rule`` is the rule in one sentence; ``message`` is what was found; ``next`` is what to do about it.
    """

    file: str
    line: int
    key: str
    rule: str
    message: str
    next: str = ""

    @property
    def where(self) -> str:
        """Place and key, in the form that editors and terminals make clickable: ``specs/index.yml:3: files.infra``."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.key}" if self.key else place

    def as_error(self) -> dict[str, str]:
        """Give the mistake as an entry of ``errors`` in the JSON document of a command."""
        return {"what": self.message, "where": self.where, "why": self.rule, "next": self.next}

    def __str__(self) -> str:
        return " ".join(part for part in (f"{self.where}:", self.message, self.rule, self.next) if part)


class SpecError(Exception):
    """The specs (or the arguments of a new tenant) cannot be used; ``mistakes`` says why, one entry per reason."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = list(mistakes)
        super().__init__(summary(self.mistakes))


def summary(mistakes: list[Mistake]) -> str:
    """Give the mistakes as text, one a line; beyond twenty, the number of the rest."""
    lines = [str(mistake) for mistake in mistakes[:_SHOWN_IN_SUMMARY]]
    if len(mistakes) > _SHOWN_IN_SUMMARY:
        lines.append(f"… and {len(mistakes) - _SHOWN_IN_SUMMARY} more")
    return "\n".join(lines)


def shown(value: Any) -> str:
    """Quote a value for a message: on one line, printable, at most 48 characters."""
    if isinstance(value, (dict, list)):
        return "a mapping" if isinstance(value, dict) else "a list"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]  # as the file has it, not as Python writes it
    text = value if isinstance(value, str) else repr(value)
    short = text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…"
    return f'"{printable(short)}"' if isinstance(value, str) else printable(short)


def printable(text: str) -> str:
    """Write characters that would disturb a terminal or a log as escapes."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
