# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Read one YAML file into plain values, strictly, safely and fast.

Specs are data that people type, so a value must be what it looks like. This reader knows texts, whole numbers,
decimals, true/false and null, and nothing else: a date stays a text, and so do ``no``, ``on``, ``0123`` and
``12:30:00``, which YAML 1.1 turns into something else. It builds values from parser events and not through PyYAML's
composer, for two reasons: it takes half the time, and nesting is counted while reading (the composer of libyaml
recurses in C and dies of a stack overflow on half a megabyte of "[").
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from ansible_collections.smartercl.smarteros.plugins.plugin_utils.mistakes import Mistake, Place, shown

HIGHEST_SIZE = 1024 * 1024
"""Bytes that a spec file may have."""
DEEPEST = 40
"""Levels that mappings and lists may be nested."""
MERGE_MARKS = ("<<<<<<< ", ">>>>>>> ")
"""What git writes at the beginning of a line where both sides have changed the same place."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CONSTANTS: dict[str, bool | None] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_NUMBER = re.compile(r"(?P<whole>-?(?:0|[1-9][0-9]{0,17}))(?P<rest>\.[0-9]{1,17})?\Z")
_DIGITS = frozenset("-0123456789")


class DocumentError(ValueError):
    """The file cannot be read as a spec; ``mistake`` says where and why."""

    def __init__(self, mistake: Mistake) -> None:
        self.mistake = mistake
        super().__init__(str(mistake))


class _Refused(Exception):
    """A rule of this reader was broken at ``line`` (from 1)."""

    def __init__(self, line: int, key: str, message: str, rule: str) -> None:
        super().__init__(message)
        self.line, self.key, self.message, self.rule = line, key, message, rule


def load(path: Path, shown_as: str | None = None) -> Any:
    """Read a file.

    :param shown_as: name of the file in messages; the path itself when it is not given
    :raises DocumentError: when the file is missing, unreadable, too large, or no acceptable YAML
    """
    return parse(read(path, shown_as), shown_as or str(path))


def read(path: Path, shown_as: str | None = None) -> str:
    """Give the text of a file.

    :raises DocumentError: when it is missing, unreadable, larger than 1 MiB, or not UTF-8
    """
    name = shown_as or str(path)
    try:
        with path.open("rb") as file:
            raw = file.read(HIGHEST_SIZE + 1)
    except OSError as error:
        raise _failed(name, 0, f"The file cannot be read: {error.strerror}.", "A named spec file must exist.") from None
    if len(raw) > HIGHEST_SIZE:
        raise _failed(name, 0, "The file is too large.", f"A spec file has at most {HIGHEST_SIZE:,} bytes.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _failed(name, line, "The file is not UTF-8.", "Spec files are UTF-8 text.") from None


def parse(text: str, shown_as: str) -> Any:
    """Turn YAML text into plain values: dict, list, str, int, float, bool, None.

    Refused: duplicate keys, keys that are no text, anchors and aliases, tags, several documents, more than 40 levels.

    :raises DocumentError: with line and reason
    """
    loader = None
    try:
        loader = _Loader(text)
        return _document(loader.get_event)
    except _Refused as refused:
        mistake = Mistake(shown_as, refused.line, refused.key, refused.rule, refused.message, "Correct the file.")
        raise DocumentError(mistake) from None
    except yaml.YAMLError as error:
        raise _half_merged(shown_as, text) or _not_yaml(shown_as, error) from None
    except UnicodeEncodeError:
        raise _failed(shown_as, 0, "The text has a lone surrogate.", "Spec files are UTF-8 text.") from None
    finally:
        if loader is not None:
            loader.dispose()


def lines(text: str) -> dict[Place, int]:
    """Give the line (from 1) of every key and list entry of a text that :func:`parse` accepts.

    Reads the text once more; for use when there is a mistake to tell.
    """
    found: dict[Place, int] = {(): 1}
    loader = _Loader(text)
    try:
        event = _first(loader.get_event)
        if event is not None:
            _walk(loader.get_event, event, (), found)
    except (yaml.YAMLError, _Refused, UnicodeEncodeError):
        pass  # what could be read before the fault is still worth telling
    finally:
        loader.dispose()
    return found


def line_of(found: dict[Place, int], path: Place) -> int:
    """Give the line of a path, or of the nearest thing around it that exists; 0 when nothing is known."""
    while path not in found and path:
        path = path[:-1]
    return found.get(path, 0)


def _document(next_event: Callable[[], Event]) -> Any:
    event = _first(next_event)
    if event is None:
        return None
    value = _value(event, next_event, DEEPEST)
    next_event()  # end of this document
    after = next_event()
    if isinstance(after, DocumentStartEvent):
        raise _Refused(_line(after), "", "The file holds several documents.", "A spec file holds one YAML document.")
    return value


def _first(next_event: Callable[[], Event]) -> Event | None:
    """Give the first event of the content; None for an empty file."""
    next_event()  # start of the stream
    return None if isinstance(next_event(), StreamEndEvent) else next_event()


def _value(event: Any, next_event: Callable[[], Any], levels: int) -> Any:
    kind = event.__class__
    if kind is ScalarEvent:
        if event.anchor is not None or not event.implicit[0]:
            _check(event, levels)
            return event.value
        return _plain(event.value)
    _check(event, levels)
    if kind is MappingStartEvent:
        return _mapping(next_event, levels - 1)
    values = []
    while (event := next_event()).__class__ is not SequenceEndEvent:
        values.append(_value(event, next_event, levels - 1))
    return values


def _mapping(next_event: Callable[[], Any], levels: int) -> dict[str, Any]:
    values: dict[str, Any] = {}
    while (event := next_event()).__class__ is not MappingEndEvent:
        key = _value(event, next_event, levels)
        if key.__class__ is not str:
            raise _Refused(_line(event), shown(key), f"{shown(key)} is no text.", "Keys are texts: put it in quotes.")
        if key in values:
            raise _Refused(
                _line(event), key, f"The key {shown(key)} is there twice.", "A key stands once in a mapping."
            )
        values[key] = _value(next_event(), next_event, levels)
    return values


def _plain(text: str) -> Any:
    """Give the value of a scalar without quotes."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] in _DIGITS and (number := _NUMBER.match(text)):
        return float(text) if number["rest"] else int(text)
    return text


def _check(event: Any, levels: int) -> None:
    """Refuse what specs do not use: anchors, aliases, tags, and nesting without end."""
    if isinstance(event, AliasEvent) or event.anchor is not None:
        message = f"The anchor or alias {shown(event.anchor)} is used."
        raise _Refused(_line(event), "", message, "Specs are written out, without anchors and aliases.")
    if event.tag is not None and event.tag != "!":
        raise _Refused(
            _line(event), "", f"The tag {shown(event.tag)} is used.", "Specs hold plain values, without tags."
        )
    if levels <= 0:
        raise _Refused(_line(event), "", "The file is nested too deeply.", f"Specs have at most {DEEPEST} levels.")


def _walk(next_event: Callable[[], Any], event: Any, path: Place, found: dict[Place, int]) -> None:
    """Note the line of each key and entry below ``path``."""
    _check(event, DEEPEST - len(path))
    if isinstance(event, SequenceStartEvent):
        position = 0
        while not isinstance(event := next_event(), SequenceEndEvent):
            found[(*path, position)] = _line(event)
            _walk(next_event, event, (*path, position), found)
            position += 1
    elif isinstance(event, MappingStartEvent):
        while not isinstance(event := next_event(), MappingEndEvent):
            below = (*path, str(_value(event, next_event, DEEPEST)))
            found[below] = _line(event)
            _walk(next_event, next_event(), below, found)


def _line(event: Any) -> int:
    line: int = event.start_mark.line
    return line + 1


def _half_merged(name: str, text: str) -> DocumentError | None:
    """What is told where git left both versions in the file; that is why it is no YAML."""
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith(MERGE_MARKS):
            following = "Choose between the two versions, then git add the file and run the same command again"
            rule = "Spec files hold no marks of a merge."
            return DocumentError(Mistake(name, number, "", rule, "A merge in the file was not ended.", following))
    return None


def _not_yaml(name: str, error: yaml.YAMLError) -> DocumentError:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be parsed"
    return _failed(name, mark.line + 1 if mark else 0, f"The file is no YAML: {problem}.", "Spec files are YAML.")


def _failed(name: str, line: int, message: str, rule: str) -> DocumentError:
    return DocumentError(Mistake(name, line, "", rule, message, "Correct the file."))
