# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Replace one top-level block of a tenant file and leave every other byte as it is.

Pure text in, text out. Comments inside the replaced block go with it; those before and after it stay.
"""

from __future__ import annotations

import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils.registry import render
from ansible_collections.smartercl.smarteros.plugins.module_utils.registry.yaml_text import Block, Parsed


def with_block(text: str, parsed: Parsed, key: str, value: dict[str, t.Any]) -> str:
    """The text with ``key: value`` in place of what stood under that key, or added after the rest."""
    block = parsed.blocks.get(key)
    if parsed.one_line:
        return _in_braces(text, parsed, block, key, value)
    if block is None:
        return _appended(text, parsed, key, value)
    end = block_end(text, block)
    return text[: block.start] + _rendered(text, key, value, block.column) + text[end:]


def block_end(text: str, block: Block) -> int:
    """Where the last line of a block ends, its line break not included.

    A ``|`` text ends, for the parser, where the next line begins (or after blank lines); hence the steps back.
    """
    end = len(text[: block.end].rstrip("\r\n \t"))
    breaks = [at for at in (text.find("\n", end), text.find("\r", end)) if at >= 0]
    return min(breaks, default=len(text))


def line_break(text: str) -> str:
    """The line break that the file uses: that of its first line."""
    at = text.find("\n")
    return "\r\n" if at > 0 and text[at - 1] == "\r" else "\n"


def _rendered(text: str, key: str, value: dict[str, t.Any], column: int) -> str:
    indent = " " * column
    return line_break(text).join(render.block({key: value}, indent))[column:]


def _appended(text: str, parsed: Parsed, key: str, value: dict[str, t.Any]) -> str:
    column = next((block.column for block in parsed.blocks.values()), 0)
    wanted = " " * column + _rendered(text, key, value, column)
    if not text or text.endswith(("\n", "\r")):
        return text + wanted + line_break(text)
    return text + line_break(text) + wanted


def _in_braces(text: str, parsed: Parsed, block: Block | None, key: str, value: dict[str, t.Any]) -> str:
    if block is not None:
        return text[: block.value] + render.flow(value) + text[block.end :]
    head = text[: parsed.end].rstrip()
    comma = "" if not parsed.blocks or head.endswith(",") else ", "
    return f"{head}{comma}{render.scalar(key)}: {render.flow(value)}{text[parsed.end :]}"
