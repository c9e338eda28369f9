# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Cuts secrets out of everything that is shown or kept."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

_SECRET_NAME = re.compile(
    r"(token|secret|passw|api_?key|access_?key|private_?key|credential|encryption_?key)", re.IGNORECASE
)
_IN_ADDRESS = re.compile(r"://[^/\s:@]*:([^/\s@]+)@")
_SHORTEST = 6  # shorter values would turn ordinary words into stars
STARS = "***"


class Redactor:
    """Knows this process's secrets: the values of variables and arguments whose names say that they are secret."""

    def __init__(self, environment: Mapping[str, str], extra: Iterable[str] = ()) -> None:
        named = (value for name, value in environment.items() if _SECRET_NAME.search(name))
        passwords = (found[1] for value in environment.values() for found in _IN_ADDRESS.finditer(value))
        every = (form for value in (*named, *passwords, *extra) for form in _forms(value))
        found = {form for form in every if len(form) >= _SHORTEST and not form.startswith("/")}
        longest_first = sorted(found, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if found else None

    def text(self, text: str) -> str:
        """The text without secrets."""
        return self._pattern.sub(STARS, text) if self._pattern else text

    def data(self, value: Any) -> Any:
        """Any JSON-like value without secrets; also by the name of a key."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {key: STARS if is_secret(str(key)) and item else self.data(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.data(item) for item in value]
        return value

    def arguments(self, argv: Iterable[str]) -> list[str]:
        """Command-line arguments without secrets: `-e name=value` hides the value where the name says so."""
        return [re.sub(r"([\w.-]*)=(.*)", self._assignment, self.text(word), flags=re.DOTALL) for word in argv]

    @staticmethod
    def _assignment(found: re.Match[str]) -> str:
        return f"{found[1]}={STARS}" if is_secret(found[1]) else found[0]


def _forms(secret: str) -> tuple[str, ...]:
    """How a secret may turn up: as it is, without what came along when it was copied, and decoded from an address."""
    return secret, secret.strip().strip("\"'"), unquote(secret)


def is_secret(name: str) -> bool:
    """Whether a variable's or key's name says that its value is secret."""
    return bool(_SECRET_NAME.search(name))
