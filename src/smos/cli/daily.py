# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""`smos daily`"""

from __future__ import annotations

from typing import Annotated

import typer

from smos.settings import Settings


def daily(
    ctx: typer.Context,
    send: Annotated[
        bool, typer.Option("--send", help="Send it, once a day: to the admin, and to owners who want it.")
    ] = False,
    date: Annotated[
        str, typer.Option("--date", metavar="YYYY-MM-DD", help="The day that is told of, or today; yesterday without.")
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="With --send: send again what was sent already.")] = False,
    via: Annotated[
        list[str] | None,
        typer.Option("--via", metavar="CHANNEL", help="Only by email, whatsapp or webhook; may be repeated."),
    ] = None,
    drift: Annotated[
        bool, typer.Option("--drift", help="Count the changes that are pending as well; takes longer.")
    ] = False,
) -> int:
    """Tell what all shops did yesterday, and how the system is: sales, conversations, failed workflows, problems first.

    What a provider does not tell is unknown, and the rest is there. See docs/daily.md, also for running it by a timer.

    Example: smos daily

    Example: smos daily --date 2025-06-01 --json

    Example: smos --env production daily --send
    """
    from smos import daily_work

    settings: Settings = ctx.obj
    return daily_work.carry_out(daily_work.Wish(date, send, force, tuple(via or ()), drift), settings)
