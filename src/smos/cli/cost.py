# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""`smos cost`."""

from __future__ import annotations

from typing import Annotated

import typer

from smos.settings import Settings


def cost(
    ctx: typer.Context,
    tenants: Annotated[
        list[int] | None,
        typer.Option(
            "--tenants", min=0, max=1_000_000, help="For so many tenants; may be repeated. 10, 50, 100 without."
        ),
    ] = None,
    plan: Annotated[
        str | None, typer.Option("--plan", help="The plan those tenants have; the default one without.")
    ] = None,
) -> int:
    """Tell what the system costs a month: fixed and per tenant, for now and for N tenants. Reads the specs, asks nobody.

    Where plans have a price, income and margin as well.

    Example: smos cost

    Example: smos cost --tenants 25 --tenants 250 --plan professional --json
    """
    from smos import cost_work

    settings: Settings = ctx.obj
    return cost_work.carry_out(tenants or [], plan, settings)
