# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What all models share: strictness, and the kinds of text with the rule that a person reads."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = rf"(?:{_LABEL}\.)+(?:[a-z]{{2,63}}|xn--[a-z0-9-]{{1,58}}[a-z0-9])"
_MAILBOX = r"[A-Za-z0-9_%+-]+(?:\.[A-Za-z0-9_%+-]+)*"
# Latin letters with their accents, not every script: a Cyrillic letter that looks Latin is a trap for readers.
_LETTERS = "A-Za-zÀ-ÖØ-öø-ÿĀ-ž"


class Strict(BaseModel):
    """A part of a spec: no unknown keys, no conversion of values, no change after reading."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Seen(BaseModel):
    """A part of what runs write down. A newer release may add keys, and an older one must still read the file."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)


def text(pattern: str, rule: str, *, longest: int | None = None) -> Any:
    """Describe a text: its pattern and the rule in words, which editors and messages show."""
    return Field(pattern=f"^{pattern}$", max_length=longest, json_schema_extra={"patternErrorMessage": rule})


Identifier = Annotated[
    str, text("[a-z][a-z0-9_-]{0,39}", "An identifier has 1 to 40 of a-z, 0-9, - and _ and starts with a letter.")
]
Line = Annotated[
    str, text(r"[^\x00-\x1f\x7f]{1,500}", "The text has 1 to 500 characters on one line.")
]  # words for people
Text = Annotated[str, Field(min_length=1, max_length=4000)]
Name = Annotated[
    str,
    text(
        rf"[{_LETTERS}0-9][{_LETTERS}0-9 .&'-]{{1,62}}[{_LETTERS}0-9.&'-]",
        "A name has 3 to 64 characters: letters with accents, digits, space, . - & and '. "
        "It starts with a letter or digit and does not end with a space.",
    ),
]
Slug = Annotated[
    str,
    text(
        "[a-z0-9][a-z0-9-]{1,30}[a-z0-9]",
        "A slug has 3 to 32 of a-z, 0-9 and -; it neither starts nor ends with -.",
    ),
]
RutText = Annotated[
    str, text("[1-9][0-9]{0,7}-[0-9K]", "A RUT is written without dots and with an upper-case K: 12345678-5.")
]
Domain = Annotated[str, text(_DOMAIN, "A domain is a lower-case host name such as shop.example.com.", longest=253)]
Email = Annotated[str, text(rf"{_MAILBOX}@{_DOMAIN}", "An e-mail address looks like ana@example.com.", longest=254)]
Moment = Annotated[
    str,
    text(
        "[0-9]{4}-[0-1][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]Z",
        "A moment is written in UTC as 2026-11-22T15:26:43Z.",
    ),
]
Day = Annotated[str, text("[0-9]{4}-[0-1][0-9]-[0-3][0-9]", "A day is written as 2026-11-22.")]
Clock = Annotated[str, text("(?:[01][0-9]|2[0-3]):[0-5][0-9]", "A time of day is written as 02:00.")]
Version = Annotated[
    str, text(r"[0-9]+(?:\.[0-9]+){0,3}(?:[-+][0-9A-Za-z.]+)?", 'A version is text such as "1.62.0".', longest=40)
]
RelativePath = Annotated[
    str,
    text(
        r"[A-Za-z0-9_-][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*",
        "A path is relative to the folder of the specs and does not leave it.",
        longest=200,
    ),
]
UrlPath = Annotated[str, text(r"/[A-Za-z0-9_./-]*", "A path on a server starts with /.", longest=200)]
Colour = Annotated[str, text("#[0-9a-f]{6}", "A colour is written as #1a2b3c.")]
Region = Annotated[
    str, text("[a-z][a-z0-9_]{0,31}", "A region has 1 to 32 of a-z, 0-9 and _ and starts with a letter.")
]
Port = Annotated[int, Field(ge=1, le=65535)]
Count = Annotated[int, Field(ge=0, le=1_000_000_000)]
"""A number of things, or an amount in the unit that the key names."""
