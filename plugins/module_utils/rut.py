# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The Chilean tax id (RUT): read any usual spelling, write one canonical form.

A RUT is a number and a check digit (0-9 or K) that follows from the number modulo 11. The number alone names the
person or company; the digit only catches typing mistakes. Whether a wrong digit is refused is a question of policy
and is answered elsewhere: :func:`parse` reads such a RUT and tells so in ``Rut.valid``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

HIGHEST = 99_999_999
_LONGEST_TEXT = 32
_LONGEST_PRETTY = 24
# Word processors and phones replace the hyphen by their own idea of a dash.
_DASHES = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d"), "-")
_ALLOWED = re.compile(r"[0-9.K-]*\Z")
_COUNTRY = re.compile(r"CL[ -]?(?=[0-9])")
_GROUPED = re.compile(r"([0-9]{1,3}(?:\.[0-9]{3})+)-([0-9K])\Z")
_PLAIN = re.compile(r"([0-9]{1,10})-([0-9K])\Z")
# Without a dash only six digits and more are read: "123" is a slug or a typing mistake, hardly ever RUT 12-3.
_BARE = re.compile(r"([0-9]{6,10})([0-9K])\Z")


class RutError(ValueError):
    """The text is no RUT; the message says why, in one sentence."""


@dataclass(frozen=True)
class Rut:
    """A RUT as written: its number (1 to 99,999,999) and the check digit that was given, right or wrong."""

    number: int
    digit: str

    @property
    def valid(self) -> bool:
        """Whether the check digit is the one that the number asks for."""
        return self.digit == check_digit(self.number)

    @property
    def canonical(self) -> str:
        """The one spelling that is stored and compared: ``12345678-5``."""
        return f"{self.number}-{self.digit}"

    @property
    def pretty(self) -> str:
        """The spelling for people: ``12.345.678-5``."""
        return f"{self.number:,}".replace(",", ".") + f"-{self.digit}"

    def __str__(self) -> str:
        return self.canonical


def check_digit(number: int) -> str:
    """Give the check digit of a RUT number: weights 2 to 7 from the right, modulo 11; ten is written K.

    Source: the algorithm that the Chilean tax office (SII) uses for its own form fields.
    """
    total, weight = 0, 2
    while number:
        number, last = divmod(number, 10)
        total += last * weight
        weight = 2 if weight == 7 else weight + 1
    return "0123456789K0"[11 - total % 11]


def parse(text: object) -> Rut:
    """Read a RUT in any usual spelling: ``12.345.678-5``, ``12345678-5``, ``123456785``, ``CL12345678-5``, lower ``k``.

    :raises RutError: when the text is something else, or the number is outside 1 to 99,999,999
    """
    if not isinstance(text, str):
        raise RutError(f"A RUT is a text such as 12345678-5, not {type(text).__name__}.")
    if len(text) > _LONGEST_TEXT:
        raise RutError(f"A RUT has at most {_LONGEST_TEXT} characters; this text has {len(text)}.")
    compact = _COUNTRY.sub("", text.translate(_DASHES).strip().upper(), count=1)
    compact = "-".join(part.strip(" ") for part in compact.split("-"))
    found = _GROUPED.match(compact) or _PLAIN.match(compact) or _BARE.match(compact)
    if found is None:
        raise RutError(_reason(text, compact))
    number = int(found.group(1).replace(".", ""))
    if not 1 <= number <= HIGHEST:
        raise RutError(f"{_shown(text)}: the number of a RUT lies between 1 and {HIGHEST:,}.")
    return Rut(number, found.group(2))


def _reason(text: str, compact: str) -> str:
    """Say what is wrong with a text that matches no spelling."""
    shown = _shown(text)
    if not compact:
        return "The RUT is empty."
    if not _ALLOWED.match(compact):
        return f"{shown} is no RUT: only digits, dots, one dash and a final K are allowed."
    if "." in compact and "-" in compact and not _GROUPED.match(compact):
        return f"{shown} is no RUT: dots stand between groups of three digits, as in 12.345.678-5."
    return f"{shown} is no RUT: it needs a number and a check digit, as in 12345678-5."


def _shown(text: str) -> str:
    """Quote a text for a message: short, printable, on one line."""
    short = text if len(text) <= _LONGEST_PRETTY else text[:_LONGEST_PRETTY] + "…"
    return '"' + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in short) + '"'
