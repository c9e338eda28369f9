# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Kinds of secrets: how each is made, and how one that is there is judged."""

from __future__ import annotations

import base64
import math
import secrets
import string
import typing as t
from dataclasses import dataclass

_LETTERS = string.ascii_letters
_ALPHANUMERIC = _LETTERS + string.digits
# None of them means anything to a shell, in an address, in YAML or in a configuration file
_SYMBOLS = "-_.+@"
_EVERY_SYMBOL = frozenset(string.punctuation)
ALPHABETS: t.Mapping[str, str] = {
    "password": _ALPHANUMERIC,
    "symbols": _ALPHANUMERIC + _SYMBOLS,
    "alphanumeric": _ALPHANUMERIC,
    "hex": string.digits + "abcdef",
    "base64": _ALPHANUMERIC + "+/",
}
GENERATED = frozenset(ALPHABETS)
"""Kinds that we make; the others are made by a service or given by a person."""
BY_HAND = ("documented", "never")
"""Rotations that no run does."""
MACHINE = "host"
"""Whose secret it is that no service of the catalogue has but the machine itself."""
STRONG = 128
"""Bits that a generated secret has at least."""
ENOUGH = 80
"""Bits from which on one that a person or a former installation chose is not called weak."""
LONGEST = {"password": 64, "symbols": 128}
"""What services take: n8n cuts a password off at 64 characters, Chatwoot at 128."""
_SHORTEST_TOKEN = 16
_FEW = 8  # different characters


@dataclass(frozen=True)
class Need:
    """A kind of character that a secret must hold."""

    name: str
    characters: frozenset[str]


_UPPER = Need("an upper-case letter", frozenset(string.ascii_uppercase))
_LOWER = Need("a lower-case letter", frozenset(string.ascii_lowercase))
_DIGIT = Need("a digit", frozenset(string.digits))
_SYMBOL = Need("a symbol", _EVERY_SYMBOL)
_NEEDS: t.Mapping[str, tuple[Need, ...]] = {
    "password": (_UPPER, _LOWER, _DIGIT),
    "symbols": (_UPPER, _LOWER, _DIGIT, _SYMBOL),
}


def generate(kind: str, length: int) -> str:
    """A new secret of a kind, ``length`` characters long."""
    if kind == "hex":
        return secrets.token_hex(-(-length // 2))[:length]
    if kind == "base64":
        return base64.b64encode(secrets.token_bytes(length // 4 * 3)).decode()
    while True:  # the needs are met in some tries; picking and shuffling would not give all values the same chance
        value = "".join(secrets.choice(ALPHABETS[kind]) for _each in range(length))
        if value[0] in _ALPHANUMERIC and not lacks(kind, value):
            return value


def unfit(kind: str, length: int | None) -> str:
    """What is wrong with a length in the catalogue; empty where nothing is."""
    if kind not in GENERATED:
        return f"{kind} ones have none." if length is not None else ""
    if length is None:
        return "There is none."
    if kind == "base64" and length % 4:
        return f"{length} is no multiple of 4."
    if bits(kind, length) < STRONG:
        return f"{length} characters have {bits(kind, length):.0f} bits."
    if length > LONGEST.get(kind, length):
        return f"{length} characters are more than the {LONGEST[kind]} that services take."
    return ""


def bits(kind: str, length: int) -> float:
    """How much chance a generated secret holds."""
    return length * math.log2(len(ALPHABETS[kind]))


def lacks(kind: str, value: str) -> list[str]:
    """The kinds of characters that are missing in it."""
    return [need.name for need in _NEEDS.get(kind, ()) if not need.characters & set(value)]


def weakness(kind: str, value: str) -> str:
    """Why a secret is weak, or does not fit the service that takes it; empty where it is neither. Never quotes it."""
    if kind not in GENERATED:
        return "" if len(value) >= _SHORTEST_TOKEN else f"it has less than {_SHORTEST_TOKEN} characters"
    wrong = _misfit(kind, value)
    if wrong:
        return wrong
    if len(set(value)) < min(_FEW, len(value)) or _guessable(value) < ENOUGH:
        return "it is too easy to guess"
    return ""


def _misfit(kind: str, value: str) -> str:
    if len(value) > LONGEST.get(kind, len(value)):
        return f"it has more than the {LONGEST[kind]} characters that the service takes"
    missing = lacks(kind, value)
    if missing:
        return f"it has no {' and no '.join(need.partition(' ')[2] for need in missing)}"
    if kind == "alphanumeric" and not set(value) <= set(ALPHABETS[kind]):
        return "it has characters other than letters and digits"
    return ""  # hex and base64 are how we make them; a service takes the key of a former installation as it is


def _guessable(value: str) -> float:
    """Bits that a guesser who knows the kinds of characters would need; what is repeated counts once."""
    sizes = [26 * any(map(str.islower, value)), 26 * any(map(str.isupper, value)), 10 * any(map(str.isdigit, value))]
    sizes.append(len(_EVERY_SYMBOL) * bool(_EVERY_SYMBOL & set(value)))
    return _unrepeated(value) * math.log2(max(sum(sizes), 2))


def _unrepeated(value: str) -> int:
    """How many characters there are before the text begins to repeat itself."""
    for period in range(1, len(value) // 2 + 1):
        if (value[:period] * (len(value) // period + 1))[: len(value)] == value:
            return period
    return len(value)
