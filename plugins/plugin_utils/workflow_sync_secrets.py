# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What looks like a secret: in the parameters of a workflow, where it is masked, and in files, where it is told by line. Pure."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ansible_collections.smartercl.smarteros.plugins.module_utils.exports.n8n import MASK

SHORTEST = 8  # characters; shorter values of the environment would be found in ordinary words
_EDGE = r"(?<![A-Za-z0-9_])"
SHAPES: Mapping[str, re.Pattern[str]] = {
    name: re.compile(pattern)
    for name, pattern in {
        "a private key": r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----",
        "a JSON web token": _EDGE + r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{16,}",
        "a token of GitHub": _EDGE + r"(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,})",
        "a token of GitLab": _EDGE + r"glpat-[A-Za-z0-9_-]{20,}",
        "a token of Shopify": _EDGE + r"shp(?:at|ss|ca|pa|ua)_[A-Fa-f0-9]{24,}",
        "a token of Slack": _EDGE + r"xox[abeprs]-[A-Za-z0-9-]{10,}",
        "a token of WhatsApp or Meta": _EDGE + r"EAA[A-Za-z0-9]{40,}",
        "a key of AWS": _EDGE + r"(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Z0-9])",
        "a key of Google": _EDGE + r"AIza[A-Za-z0-9_-]{35}",
        "a key of Stripe or Clerk": _EDGE + r"[sr]k_(?:live|test)_[A-Za-z0-9]{16,}",
        "a key of OpenAI or Anthropic": _EDGE + r"sk-[A-Za-z0-9_-]{20,}",
        "a key of SendGrid": _EDGE + r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",
        "a key of Supabase": _EDGE + r"(?:sb_secret_[A-Za-z0-9_-]{16,}|sbp_[a-f0-9]{32,})",
        "a key of n8n": _EDGE + r"n8n_api_[a-f0-9]{32,}",
        "a token of npm": _EDGE + r"npm_[A-Za-z0-9]{30,}",
        "a token of a Telegram bot": r"(?<![A-Za-z0-9])\d{8,10}:[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])",
        "a password in an address": r"://[^/\s:@'\"<>{}$*]+:(?P<value>[^/\s@'\"<>{}$*]{4,})@",
    }.items()
}
# Only in workflows: in specs, such words stand in sentences
_IN_PARAMETERS: Sequence[re.Pattern[str]] = (
    re.compile(r"(?i)\b(?:bearer|basic)\s+(?P<value>[A-Za-z0-9._~+/=-]{12,})"),
    re.compile(
        r"(?i)(?:passw(?:or)?d|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|authorization)[\"']?\s*[:=]\s*"
        r"(?P<quote>[\"'])(?P<value>(?!=)[^\"'{}$\s]{6,})(?P=quote)"
    ),
)
_SECRET_KEY = re.compile(
    r"passw|secret|token|api[_-]?key|authori[sz]ation|private_?key|access_?key|cookie", re.IGNORECASE
)
# Keys that speak of a secret and do not hold one: nodeCredentialType, accessTokenUrl, tokenField …
_ABOUT_ONE = re.compile(r"(?:type|name|field|url|method|property|header|mode|expir\w*)$", re.IGNORECASE)
_NAMES = ("name", "key", "parameterName", "fieldName", "fieldId")
_VALUES = ("value", "parameterValue", "fieldValue", "stringValue")


class Hit(t.NamedTuple):
    """A line of a file that holds what looks like a secret; never the value."""

    line: int
    what: str


class Known:
    """Values that are secret in this environment, by name; what is short or a path is left out."""

    def __init__(self, values: Mapping[str, str]) -> None:
        named: dict[str, str] = {}
        for name, value in sorted(values.items()):
            for line in _telling(value):
                named.setdefault(line, name)
        self._named = named
        longest_first = sorted(named, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if named else None

    def masked(self, text: str) -> str:
        """The text without them."""
        return self._pattern.sub(MASK, text) if self._pattern else text

    def names_in(self, line: str) -> Iterator[str]:
        """The names of those that are in a line."""
        if self._pattern:
            for found in self._pattern.finditer(line):
                yield self._named[found[0]]


def _telling(value: str) -> Iterator[str]:
    """What of a value tells it: the longest line of a key with many lines, the value itself otherwise."""
    lines = [line.strip() for line in value.splitlines() if not line.startswith("-----")]
    line = max(lines, key=len, default="")
    if len(line) >= SHORTEST and not line.startswith(("/", "./", "http://", "https://")) and not line.isdigit():
        yield line


def secret_named(variables: Mapping[str, str]) -> dict[str, str]:
    """Those variables of an environment whose names say that their values are secret."""
    return {name: value for name, value in variables.items() if _says_secret(name)}


def scan(text: str, known: Known) -> list[Hit]:
    """The lines of a file that hold what looks like a secret, in their order."""
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        what = [name for name, pattern in SHAPES.items() if pattern.search(line)]
        what += [f"the value of {name}" for name in known.names_in(line)]
        found += [Hit(number, each) for each in dict.fromkeys(what)]
    return found


def masked(value: t.Any, known: Known) -> tuple[t.Any, list[str]]:
    """Parameters without what looks like a secret, and where that was: ``headerParameters.parameters.0.value``."""
    places: list[str] = []
    return _masked(value, known, "", places), places


def masked_text(text: str, known: Known) -> str:
    """A text without what looks like a secret inside it."""
    for pattern in (*SHAPES.values(), *_IN_PARAMETERS):
        text = pattern.sub(_only_the_value, text)
    return known.masked(text)


def _only_the_value(found: re.Match[str]) -> str:
    value = found.groupdict().get("value")
    return found[0].replace(value, MASK) if value else MASK


def _masked(value: t.Any, known: Known, place: str, places: list[str]) -> t.Any:
    if isinstance(value, list):
        return [_masked(item, known, f"{place}.{n}".lstrip("."), places) for n, item in enumerate(value)]
    if isinstance(value, dict):
        named = any(_says_secret(str(value.get(key, ""))) for key in _NAMES)
        return {
            key: _hidden(item, f"{place}.{key}".lstrip("."), places)
            if _plain(item) and ((named and key in _VALUES) or _says_secret(str(key)))
            else _masked(item, known, f"{place}.{key}".lstrip("."), places)
            for key, item in value.items()
        }
    if not isinstance(value, str):
        return value
    clean = masked_text(value, known)
    if clean != value:
        places.append(place)
    return clean


def _hidden(value: str, place: str, places: list[str]) -> str:
    if value != MASK:
        places.append(place)
    return MASK


def _says_secret(name: str) -> bool:
    return bool(_SECRET_KEY.search(name)) and not _ABOUT_ONE.search(name)


def _plain(value: t.Any) -> bool:
    """Whether it is a text that says something itself: an expression only says where n8n takes it from."""
    return isinstance(value, str) and bool(value) and not value.startswith("=")


def holds_mask(value: t.Any) -> bool:
    """Whether something in it was masked."""
    if isinstance(value, (list, dict)):
        return any(holds_mask(item) for item in (value.values() if isinstance(value, dict) else value))
    return isinstance(value, str) and MASK in value


def filled(value: t.Any, was: t.Any, known: Known) -> t.Any:
    """Masked parameters with the secrets that the same place has in n8n. Raises LookupError with the place for one it has not.

    A text is filled where what n8n has would be masked to that very text: so an edited one is never mixed up.
    """
    return _filled(value, was, masked(was, known)[0], "")


def _filled(value: t.Any, was: t.Any, shown: t.Any, place: str) -> t.Any:
    if not holds_mask(value):
        return value
    if isinstance(value, str):
        if value == shown and isinstance(was, str):
            return was
        raise LookupError(place)
    pairs: Iterable[tuple[t.Any, t.Any]] = value.items() if isinstance(value, dict) else enumerate(value)
    made = {key: _filled(item, _at(was, key), _at(shown, key), f"{place}.{key}".lstrip(".")) for key, item in pairs}
    return made if isinstance(value, dict) else list(made.values())


def _at(value: t.Any, key: t.Any) -> t.Any:
    if isinstance(value, dict):
        return value.get(key)
    if isinstance(value, list) and isinstance(key, int) and key < len(value):
        return value[key]
    return None
