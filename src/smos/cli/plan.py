"""`smos plan`"""

from __future__ import annotations

from typing import Annotated

import typer

from smos.settings import Settings


def plan(
    ctx: typer.Context,
    part: Annotated[
        str, typer.Argument(metavar="[all|tenants|frontend|backend|dns|migrations]", help="What to look at.")
    ] = "all",
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 10 when changes are pending.")] = False,
) -> int:
    """Show what a deploy would change, by stage, service and tenant; changes nothing.

    A stage that cannot be looked at is told, and the others are shown all the same.

    Example: smos plan

    Example: smos --env production plan tenants --exit-code
    """
    from smos import plan_work

    settings: Settings = ctx.obj
    return plan_work.carry_out(part, settings, exit_code=exit_code)
