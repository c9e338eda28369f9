# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Judge a document by its committed JSON Schema, and tell what is wrong in words.

The schemas in ``specs/schemas`` are generated from typed models and committed, because the places that judge (a plain
clone under AWX, the inventory plugin, the command) have neither the models nor the time to load them. This is the one
file that imports the validator; it is guarded, since sanity tests import every plugin file without it.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from ansible_collections.smartercl.smarteros.plugins.plugin_utils.mistakes import Mistake, Place, printable, shown

try:
    import jsonschema_rs
except ImportError:  # told when it is needed, by name
    jsonschema_rs = None  # type: ignore[assignment]  # stands for "not installed"

SCHEMAS = Path(__file__).resolve().parents[2] / "specs" / "schemas"
"""The schemas that belong to this code; a spec folder elsewhere is judged by them too."""

Found = tuple[Place, Mistake]
"""Where in the document, and the mistake (without file and line)."""

_WORDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "empty",
}
_KNOWN_KEYS = 12


class LibraryMissing(RuntimeError):
    """The validator is not installed in the Python that runs; the message says what to install."""


class Schema:
    """One compiled schema. ``accepts`` is the fast way (some microseconds); ``mistakes`` explains."""

    def __init__(self, document: dict[str, Any]) -> None:
        if jsonschema_rs is None:
            raise LibraryMissing(
                "The Python library jsonschema-rs is missing (module jsonschema_rs). "
                "Install what requirements.lock names into the Python that runs Ansible."
            )
        self._document = document
        # The linear engine: no pattern can be made to backtrack by what somebody typed.
        self._validator = jsonschema_rs.validator_for(document, pattern_options=jsonschema_rs.RegexOptions())

    def accepts(self, document: Any) -> bool:
        """Say whether a document keeps to the schema."""
        try:
            return bool(self._validator.is_valid(document))
        except ValueError:  # a lone surrogate in a text, or a value that JSON does not have
            return False

    def mistakes(self, document: Any) -> list[Found]:
        """Tell each thing that is wrong: its place in the document and a mistake without file and line."""
        try:
            errors = list(self._validator.iter_errors(document))
        except ValueError as error:
            return [((), _mistake((), "A spec holds texts, numbers, true, false and null.", f"{error}."))]
        return [found for error in errors for found in self._told(error)]

    def _told(self, error: Any) -> Iterator[Found]:
        path = tuple(error.instance_path)
        name = error.kind.name
        around = self._around(error)
        if name == "additionalProperties":
            known = sorted(around.get("properties", {}))
            for key in error.kind.unexpected:
                yield (*path, key), _unknown_key((*path, key), known)
        elif name == "required":
            below = (*path, error.kind.property)
            yield path, _mistake(below, "This key is needed.", f"{below[-1]} is missing.", "Add it.")
        elif name in ("anyOf", "oneOf"):
            yield from self._alternatives(error, path)
        elif name == "propertyNames":
            yield (
                path,
                _mistake(path, _rule(around, "The keys of this mapping keep to a pattern."), _flat(error.message)),
            )
        else:
            yield path, _value_mistake(path, name, error, around)

    def _alternatives(self, error: Any, path: Place) -> Iterator[Found]:
        """Tell the mistakes of the alternative that was meant: the one of that ``type``, else the first that is not "or empty"."""
        branches = [branch for branch in error.kind.context if not all(_only_null(one) for one in branch)]
        types = [_wrong_type(branch, path) for branch in branches]
        if len(branches) > 1 and all(types):
            known = sorted({option for found in types for option in found})
            what = error.instance["type"]
            rule = f"One of: {', '.join(known)}."
            yield (*path, "type"), _mistake((*path, "type"), rule, f"{shown(what)} is not known here.")
            return
        for branch, wrong in zip(branches, types, strict=True):
            if not wrong:
                for one in branch:
                    yield from self._told(one)
                return
        yield path, _mistake(path, "The value fits none of the forms that are allowed here.", _flat(error.message))

    def _around(self, error: Any) -> dict[str, Any]:
        """Give the part of the schema that the broken keyword stands in."""
        part: Any = self._document
        for step in list(error.schema_path)[:-1]:
            part = part[step] if isinstance(part, (dict, list)) else {}
        return part if isinstance(part, dict) else {}


@lru_cache(maxsize=32)
def schema(name: str) -> Schema:
    """Give a schema by name (``tenant``, ``services`` …), compiled once in a process.

    :raises LibraryMissing: when jsonschema-rs is not installed
    :raises FileNotFoundError: when there is no schema of that name
    """
    return Schema(json.loads((SCHEMAS / f"{name}.json").read_bytes()))


def key_of(path: Place) -> str:
    """Write a path as people read it: ``spec.environments[0]``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return printable(text)


def _value_mistake(path: Place, name: str, error: Any, around: dict[str, Any]) -> Mistake:
    value = error.instance
    if name == "type":
        wanted = " or ".join(_WORDS.get(kind, kind) for kind in error.kind.types)
        quotes = "string" in error.kind.types and isinstance(value, (bool, int, float))
        hint = "Put the value in quotes." if quotes else ""
        return _mistake(path, _rule(around, f"The value is {wanted}."), f"{shown(value)} is not {wanted}.", hint)
    if name in ("enum", "const"):
        options = _options(error)
        hint = _closest(str(value), options)
        return _mistake(path, f"One of: {', '.join(options)}.", f"{shown(value)} is not known here.", hint)
    if name in ("pattern", "minLength", "maxLength"):
        size = f" ({len(value)} characters)" if name != "pattern" else ""
        return _mistake(path, _rule(around, _flat(error.message)), f"{shown(value)}{size} breaks the rule.")
    return _mistake(path, _rule(around, "The value keeps to the schema."), _flat(error.message))


def _unknown_key(path: Place, known: list[str]) -> Mistake:
    # The value is not shown: an unknown key may be a secret in the wrong place.
    listed = ", ".join(known[:_KNOWN_KEYS]) + (" …" if len(known) > _KNOWN_KEYS else "")
    hint = _closest(str(path[-1]), known) or (f"Known keys: {listed}." if known else "Take it out.")
    return _mistake(
        path, "Only keys that the schema names are allowed.", f"The key {shown(str(path[-1]))} is unknown.", hint
    )


def _closest(text: str, options: list[str]) -> str:
    close = difflib.get_close_matches(text, options, n=1)
    return f"Did you mean {close[0]}?" if close else ""


def _rule(around: dict[str, Any], otherwise: str) -> str:
    return str(around.get("patternErrorMessage") or otherwise)


def _flat(message: str) -> str:
    """Make a message of the validator fit one line: it quotes the value, whatever that is."""
    short = message if len(message) <= 160 else message[:160] + "…"
    return printable(short).rstrip(".") + "."


def _wrong_type(branch: list[Any], path: Place) -> list[str]:
    """The types that an alternative is for, where the value names another one; empty where that is not what is wrong."""
    for one in branch:
        if tuple(one.instance_path) == (*path, "type") and one.kind.name in ("enum", "const"):
            return _options(one)
    return []


def _options(error: Any) -> list[str]:
    """The values that are allowed where an enumeration was broken."""
    found = getattr(error.kind, "options", None) or [getattr(error.kind, "expected_value", "")]
    return [str(option) for option in found]


def _only_null(error: Any) -> bool:
    return error.kind.name == "type" and list(error.kind.types) == ["null"]


def _mistake(path: Place, rule: str, message: str, hint: str = "") -> Mistake:
    return Mistake("", 0, key_of(path), rule, message, hint or "Correct the value.")
