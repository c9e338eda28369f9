"""What leaves the server: without secrets. Known values by `smos.redact`, unknown ones by what stands before them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from smos.redact import STARS, Redactor

_NAMED = re.compile(
    r"""([\w.-]*(?:token|secret|passw(?:or)?d|passphrase|api_?-?key|private_?key|credential)[\w.-]*["']?\s*[=:]\s*["']?)"""
    r"""([^\s"',;&]{4,})""",
    re.IGNORECASE,
)
_BEARER = re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_IN_ADDRESS = re.compile(r"(://[^/\s:@]*:)[^/\s@]+@")
_JWT = re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)


def text(value: str) -> str:
    """A text without what looks like a secret."""
    value = _KEY.sub(STARS, _BEARER.sub(rf"\1 {STARS}", _JWT.sub(STARS, value)))
    return _NAMED.sub(rf"\1{STARS}", _IN_ADDRESS.sub(rf"\1{STARS}@", value))


def data(value: Any, redactor: Redactor) -> Any:
    """A JSON-like value without secrets."""
    return _texts(redactor.data(value))


def _texts(value: Any) -> Any:
    if isinstance(value, str):
        return text(value)
    if isinstance(value, Mapping):
        return {key: _texts(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_texts(item) for item in value]
    return value
