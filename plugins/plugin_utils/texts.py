# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Texts that no tenant spec may hold: control characters, template and shell syntax, ways out of a folder.

Values are data everywhere and are never evaluated. These rules are the second wall: a value that some tool further on
might evaluate does not get in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ansible_collections.smartercl.smarteros.plugins.plugin_utils.mistakes import Place

# Control characters and line ends; invisible and direction-changing ones (what is shown would not be what is stored);
# lone surrogates, which no UTF-8 file can hold.
_CONTROL = "\\x00-\\x1f\\x7f-\\x9f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u2069\\ufeff\\ud800-\\udfff"
_FORBIDDEN = re.compile(rf"[{_CONTROL}`]|\{{\{{|\}}\}}|\{{%|%\}}|\{{\#|\#\}}|\$\(|\$\{{|\.\.[/\\]")
_RULES = (
    (re.compile(f"[{_CONTROL}]"), "A text has no control characters and no line ends."),
    (re.compile(r"\.\.[/\\]"), "A text does not lead out of a folder (../)."),
    (re.compile(""), "A text has no template or shell syntax ({{ }}, {% %}, {# #}, ${ }, $( ), backticks)."),
)


def has_forbidden(value: Any) -> bool:
    """Say whether any text in a value, keys included, is forbidden. The fast question, asked of every tenant."""
    kind = value.__class__
    if kind is str:
        return _FORBIDDEN.search(value) is not None
    if kind is dict:
        # One search over the short joined text of a mapping costs less than one for each of its texts. The separator
        # is a character that no forbidden text has, so two harmless neighbours cannot make a forbidden one.
        near = [text for pair in value.items() for text in pair if text.__class__ is str]
        if _FORBIDDEN.search(" ".join(near)) is not None:
            return True
        return any(has_forbidden(one) for one in value.values() if one.__class__ is dict or one.__class__ is list)
    if kind is list:
        return any(has_forbidden(one) for one in value)
    return False


def forbidden_in(value: Any, place: Place = ()) -> Iterator[tuple[Place, str, str]]:
    """Give each forbidden text: its place, the text, and the rule that it breaks."""
    if isinstance(value, str):
        found = _FORBIDDEN.search(value)
        if found:
            yield place, value, _rule_of(found.group())
    elif isinstance(value, dict):
        for key, below in value.items():
            yield from forbidden_in(key, (*place, key))
            yield from forbidden_in(below, (*place, key))
    elif isinstance(value, list):
        for position, below in enumerate(value):
            yield from forbidden_in(below, (*place, position))


def _rule_of(text: str) -> str:
    """The rule that a forbidden text breaks."""
    return next((rule for pattern, rule in _RULES if pattern.search(text)), _RULES[-1][1])
