# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The catalogue of secrets: names and rules, never values."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from smos.specs.base import Count, Identifier, Line, Strict, Text, text

SecretName = Annotated[str, text("[a-z][a-z0-9_]{2,63}", "The name of a secret has a-z, 0-9 and _.")]
Kind = Literal["password", "symbols", "alphanumeric", "hex", "base64", "made", "given"]
Rotation = Literal["live", "restart", "documented", "never"]


class Secret(Strict):
    """One secret: whose it is, what it looks like, how it is changed."""

    service: Identifier = Field(description="The service that it belongs to.")
    used_by: list[Identifier] = Field(
        default=[],
        description="Further services that get it; deployed with the first one when it is rotated.",
        json_schema_extra={"uniqueItems": True},
    )
    kind: Kind = Field(
        description="password: letters and digits, of each at least one; symbols: a symbol as well; made: by the service "
        "itself, kept afterwards; given: by a person."
    )
    length: Annotated[int, Field(ge=16, le=256)] | None = Field(None, description="Characters of a generated one.")
    rotation: Rotation = Field(
        description="live and restart: by `smos secrets rotate` (restart ends sessions or work in progress); "
        "documented: by the steps of `how`; never: with it, data are lost."
    )
    why: Line = Field(description="What it is for.")
    how: Text | None = Field(None, description="What a person does instead of a rotation.")


class SecretCatalogue(Strict):
    """All secrets of an installation."""

    remind_after_days: Count = Field(description="From this age on, `smos secrets check` calls a secret old.")
    secrets: dict[SecretName, Secret]
