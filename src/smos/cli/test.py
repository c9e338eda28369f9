"""`smos test`"""

from __future__ import annotations

from typing import Annotated

import typer

from smos.cli import complete
from smos.settings import Settings

EVERY = "all"


def tokens(
    ctx: typer.Context,
    providers: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[all|PROVIDER…]",
            help="all, or services of the catalogue, as cloudflare or n8n.",
            autocompletion=complete.services,
        ),
    ] = None,
) -> int:
    """Ask providers what their tokens are good for: whose they are, when they end, what they lack. Changes nothing.

    Exit code 3 when one cannot be used; with `all`, an optional provider without a token is only told.
    How to obtain each token: docs/tokens.md

    Example: smos test all

    Example: smos --env production test cloudflare n8n
    """
    from smos import token_work

    settings: Settings = ctx.obj
    named = providers or [EVERY]
    return token_work.carry_out([] if EVERY in named else named, settings)
