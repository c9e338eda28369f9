# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Plain data as YAML text: one way to write each value, so that equal data is equal text.

Ten times as fast as PyYAML's dumper, which counts when the status of a thousand tenants is written.
"""

from __future__ import annotations

import json
import math
import re
import typing as t

# A word of this form is text under YAML 1.1 and 1.2 unless it is one of WORDS. All else is put in quotes.
_SAFE = re.compile(r"(?:[A-Za-z_][A-Za-z0-9_./@()+-]*(?: [A-Za-z0-9_./@()+][A-Za-z0-9_./@()+-]*)*|[0-9]{1,8}-[0-9K])\Z")
WORDS = frozenset(("y", "n", "yes", "no", "true", "false", "on", "off", "null", "nan", "inf"))
_DIGIT_RUT = re.compile(r"[0-9]{4}-[0-9]\Z")  # would begin like a date to some readers
_STEP = "  "


def block(data: t.Mapping[str, t.Any], indent: str = "") -> list[str]:
    """The lines (without line breaks) of a mapping in block style. Raises TypeError for what is no JSON-like data."""
    lines: list[str] = []
    for key, value in data.items():
        _pair(lines, f"{indent}{scalar(str(key))}:", value, indent)
    return lines


def _pair(lines: list[str], head: str, value: t.Any, indent: str) -> None:
    if isinstance(value, dict) and value:
        lines.append(head)
        lines.extend(block(value, indent + _STEP))
    elif isinstance(value, (list, tuple)) and value:
        if all(not isinstance(item, (dict, list, tuple)) for item in value):
            lines.append(f"{head} [{', '.join(scalar(item) for item in value)}]")
        else:
            lines.append(head)
            lines.extend(_items(value, indent + _STEP))
    else:
        lines.append(f"{head} {scalar(value)}")


def _items(values: t.Sequence[t.Any], indent: str) -> t.Iterator[str]:
    for value in values:
        if isinstance(value, dict) and value:
            lines = block(value, indent + _STEP)
            yield f"{indent}- {lines[0].lstrip()}"
            yield from lines[1:]
        else:
            yield f"{indent}- {flow(value)}"


def flow(value: t.Any) -> str:
    """A value on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{scalar(str(key))}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    return scalar(value)


def scalar(value: t.Any) -> str:
    """One value without parts (or an empty mapping or list) as it stands in the file."""
    if isinstance(value, str):
        if _SAFE.match(value) and value.lower() not in WORDS and not _DIGIT_RUT.match(value):
            return value
        return quoted(value)
    if value is None or isinstance(value, (bool, int, float)):
        return json.dumps(value, allow_nan=False)
    if isinstance(value, dict) and not value:
        return "{}"
    if isinstance(value, (list, tuple)) and not value:
        return "[]"
    raise TypeError(f"{type(value).__name__} is not data that a tenant file can hold")


def quoted(text: str) -> str:
    """Text in double quotes. Raises TypeError for half characters (lone surrogates), which no file can hold."""
    inner = json.dumps(text, ensure_ascii=False)[1:-1]
    if inner.isprintable():
        return f'"{inner}"'
    return '"' + "".join(char if char.isprintable() else _escape(char) for char in inner) + '"'


def _escape(char: str) -> str:
    # JSON leaves these as they are; YAML reads some of them as line breaks and refuses others
    code = ord(char)
    if 0xD800 <= code <= 0xDFFF:
        raise TypeError("text with half a character (a lone surrogate) cannot be written")
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def plain_data(value: t.Any) -> t.Any:
    """A copy made of plain dict, list, str, int, float, bool and None, whatever subclasses (Ansible's tagged values,
    ruamel's commented ones) came in. Raises TypeError for anything else, and for numbers that are not finite."""
    if value is None or isinstance(value, bool):
        return bool(value) if value is not None else None
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise TypeError("a number that is not finite cannot be written")
        return float.__float__(value)
    if isinstance(value, t.Mapping):
        return {str.__str__(key) if isinstance(key, str) else str(key): plain_data(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_data(item) for item in value]
    raise TypeError(f"{type(value).__name__} is not data that a tenant file can hold")
