# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Names and reasons that others gave, made fit for a message: they are data, and nothing else."""

from __future__ import annotations

import re

NAME = 32  # characters of a name
_MARKUP = re.compile(r"[*_~`<>{}\[\]|\\]")
_ADDRESS = re.compile(r"(?i)\b(?:https?:|www\.)\S*")


def plain(text: str, most: int = NAME) -> str:
    """A name in one line without markup, addresses and signs that nobody sees; shortened."""
    found = _MARKUP.sub("", _ADDRESS.sub("…", " ".join(str(text).split())))
    found = " ".join("".join(sign if sign.isprintable() else " " for sign in found).split())
    return found if len(found) <= most else f"{found[: most - 1].rstrip()}…"
