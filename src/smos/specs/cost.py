# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What things cost and bring in: amounts in US dollars a month, each with where the figure is from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from smos.specs.base import Day, Line, Strict

Usd = Annotated[float, Field(ge=0, le=1_000_000, description="US dollars a month.")]


class Priced(Strict):
    """Where a figure is from, and of which day it is."""

    source: Line
    date: Day


class ServiceCost(Strict):
    """What the operator pays for a service: once for the system, or once for each tenant."""

    monthly_usd: Usd
    per: Literal["system", "tenant"]
    what: Line | None = Field(None, description="What is paid for; else the title of the service.")
    priced: Priced | None = None
