# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""``dashboards/*.yml``: what Metabase shows, to tenants and to the founder. What SQL may say is judged where it is read."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from smos.specs.base import Line, Strict, Text

Cell = Annotated[int, Field(ge=0, le=2000)]
Cells = Annotated[int, Field(ge=1, le=2000)]


class Place(Strict):
    """Where a card stands, in cells; a row has 24."""

    row: Cell
    col: Annotated[int, Field(ge=0, le=23)]
    width: Annotated[int, Field(ge=1, le=24)]
    height: Cells


class Card(Strict):
    """A question and how it is shown."""

    name: Line
    display: Literal["scalar", "table", "bar", "row", "line", "area", "pie", "progress"]
    sql: Annotated[Text, Field(description="One SELECT that names no tenant.")]
    settings: dict[str, Any] = Field(default={}, description="Of the display, as Metabase names them.")
    place: Place


class DashboardFile(Strict):
    """One dashboard."""

    name: Annotated[Line, Field(description="Shown by Metabase; no two dashboards or cards have the same.")]
    description: str = ""
    audience: Literal["tenant", "system"] = Field(
        "tenant", alias="for", description="Every tenant has it, or the founder alone."
    )
    cards: Annotated[list[Card], Field(min_length=1)]
