# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Tenant files as data: a strict reader of YAML that also knows where each top-level block stands.

A tenant file is plain data that people type: keys are text; dates, ``no`` and ``0123`` stay text; anchors, aliases,
tags, a key given twice and deep nesting are mistakes. That is how the controller reads specs too
(``plugin_utils/documents.py``); this one runs where only modules run, and knows positions. It works on the events of
the parser and so takes two thirds of the time of ``yaml.safe_load``.
"""

from __future__ import annotations

import functools
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.smartercl.smarteros.plugins.module_utils.registry.errors import BrokenFile

try:
    import yaml

    HAS_YAML = True
except ImportError:  # the caller answers with missing_required_lib("PyYAML")
    HAS_YAML = False

_DEEPEST = 40
_NO_KEY: t.Any = object()
_CONSTANTS: t.Mapping[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_DIGITS = frozenset("-0123456789")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(\.[0-9]{1,17})?\Z")


@dataclass(frozen=True)
class Block:
    """One top-level key with its value: characters ``start`` to ``end`` of the text; ``value`` is where the value starts."""

    start: int
    value: int
    end: int
    column: int


@dataclass(frozen=True)
class Parsed:
    """A tenant file: its data, and where its top-level blocks stand in the text."""

    document: dict[str, t.Any]
    blocks: dict[str, Block]
    one_line: bool
    """The whole file is written as ``{…}``."""
    end: int
    """Where the last value ends (for ``{…}``: where the closing brace stands)."""


def parse(text: str) -> Parsed:
    """Read one tenant file. Raises :class:`BrokenFile` with reason and line."""
    mark = len(text) - len(text.removeprefix("\ufeff"))  # the parser does not count a byte order mark
    builder = _Builder()
    loader = _loader()(text[mark:])
    try:
        builder.feed(loader.get_event)
    except yaml.YAMLError as error:
        raise BrokenFile(_reason(error), _line(error)) from None
    except UnicodeEncodeError:
        raise BrokenFile("not UTF-8 text") from None
    finally:
        loader.dispose()
    return builder.result(mark)


def decode(data: bytes) -> str:
    """The text of a file; every line break stays as it is. Raises :class:`BrokenFile` where it is not UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BrokenFile("not UTF-8 text", data.count(b"\n", 0, error.start) + 1) from None


class _Builder:
    """Turns the events of the parser into data, and notes where the top-level blocks are."""

    def __init__(self) -> None:
        self.document: t.Any = _NO_KEY
        self.marks: list[tuple[str, t.Any, t.Any, t.Any]] = []  # key, event of the key, event of the value, last event
        self.root: t.Any = None
        self.root_end: t.Any = None
        self.last: t.Any = None
        self.here: t.Any = None  # the container that is being filled,
        self.key: t.Any = _NO_KEY  # the key that waits for its value,
        self.flow = False  # whether it is written in brackets,
        self.around: list[tuple[t.Any, t.Any, bool]] = []  # and the same of those around it

    @property
    def line(self) -> int:
        return int(self.last.start_mark.line) + 1 if self.last else 0

    def feed(self, get_event: t.Callable[[], t.Any]) -> None:
        """Read all events."""
        take = {
            yaml.DocumentStartEvent: self._document,
            yaml.ScalarEvent: self._scalar,
            yaml.MappingStartEvent: self._begin,
            yaml.SequenceStartEvent: self._begin,
            yaml.MappingEndEvent: self._end,
            yaml.SequenceEndEvent: self._end,
            yaml.AliasEvent: _refuse,
        }
        while True:
            event = get_event()
            kind = type(event)
            if kind in take:
                take[kind](event)
            elif kind is yaml.StreamEndEvent:
                return

    def _document(self, event: t.Any) -> None:
        if self.document is not _NO_KEY:
            raise BrokenFile("more than one document in the file", int(event.start_mark.line) + 1)

    def _scalar(self, event: t.Any) -> None:
        self.last = event
        if event.anchor or (event.tag and event.tag != "!"):
            _refuse(event)
        value = plain(event.value) if event.implicit[0] else event.value
        if isinstance(self.here, dict) and self.key is _NO_KEY:
            self._name(value, event)
        else:
            self._add(value, event)

    def _name(self, key: t.Any, event: t.Any) -> None:
        if not isinstance(key, str):
            raise BrokenFile(f"the key {event.value or 'null'} is no text: put it in quotes", self.line)
        if key in self.here:
            raise BrokenFile(f'the key "{key}" stands here for the second time', self.line)
        if len(self.around) == 1:
            self.marks.append((key, event, None, event))
        self.key = key

    def _begin(self, event: t.Any) -> None:
        line = int(event.start_mark.line) + 1
        if event.anchor or (event.tag and event.tag != "!"):
            _refuse(event)
        if isinstance(self.here, dict) and self.key is _NO_KEY:
            raise BrokenFile("a key must be a word", line)
        if len(self.around) >= _DEEPEST:
            raise BrokenFile(f"nested more than {_DEEPEST} deep", line)
        if not self.around:
            self.root = event
        elif len(self.around) == 1 and isinstance(self.here, dict):
            name, at, _value, last = self.marks[-1]
            self.marks[-1] = (name, at, event, last)
        self.around.append((self.here, self.key, self.flow))
        self.here = {} if isinstance(event, yaml.MappingStartEvent) else []
        self.key, self.flow = _NO_KEY, event.flow_style

    def _end(self, event: t.Any) -> None:
        if self.flow:  # the end of a block is only known from what follows it, maybe many comments later
            self.last = event
        value = self.here
        self.here, self.key, self.flow = self.around.pop()
        if not self.around:
            self.root_end = event
        self._add(value, event)

    def _add(self, value: t.Any, event: t.Any) -> None:
        if self.here is None:
            self.document = value
        elif isinstance(self.here, dict):
            if len(self.around) == 1:
                name, at, first, _last = self.marks[-1]
                self.marks[-1] = (name, at, first or event, self.last)
            self.here[self.key] = value
            self.key = _NO_KEY
        else:
            self.here.append(value)

    def result(self, offset: int) -> Parsed:
        """What was read; ``offset`` is the length of what stands before the text that the parser saw."""
        if self.document is _NO_KEY or self.document is None:
            raise BrokenFile("the file is empty", 1)
        if not isinstance(self.document, dict):
            raise BrokenFile("the file must be a mapping with the keys spec and status", 1)
        blocks = {
            key: Block(
                at.start_mark.index + offset,
                value.start_mark.index + offset,
                last.end_mark.index + offset,
                at.start_mark.column,
            )
            for key, at, value, last in self.marks
        }
        one_line = bool(self.root.flow_style)
        end = (
            self.root_end.start_mark.index + offset
            if one_line
            else max((block.end for block in blocks.values()), default=0)
        )
        return Parsed(self.document, blocks, one_line, end)


def _refuse(event: t.Any) -> t.NoReturn:
    line = int(event.start_mark.line) + 1
    if not event.anchor:
        raise BrokenFile(f"a tag ({event.tag}) has no place in a tenant file", line)
    raise BrokenFile("anchors (&) and aliases (*) have no place in a tenant file", line)


@functools.lru_cache(maxsize=1)
def _loader() -> t.Any:
    """The loader whose parser is used: the one in C where PyYAML was built with it."""
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def plain(text: str) -> t.Any:
    """What a word without quotes means: null, true, false, a whole number, a decimal, or else the text itself."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] in _DIGITS:
        number = _NUMBER.match(text)
        if number:
            return float(text) if number.group(1) else int(text)
    return text


def _reason(error: t.Any) -> str:
    if isinstance(error, yaml.reader.ReaderError):
        return "a character that YAML does not allow"
    return str(getattr(error, "problem", None) or "not YAML")


def _line(error: t.Any) -> int:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    return int(mark.line) + 1 if mark else 0
