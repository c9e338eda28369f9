# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""`smos update …`"""

from __future__ import annotations

from typing import Annotated

import typer

from smos.settings import Settings

app = typer.Typer(help="Update the tools of this machine: smos itself, and the Codex CLI.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Update the tools of this machine: smos itself, and the Codex CLI."""


@app.command("codex")
def codex(ctx: typer.Context) -> int:
    """Bring the Codex CLI (the npm package @openai/codex) to its newest version, or install it; the new one is run once.

    Example: smos update codex --check

    Example: smos update codex
    """
    from smos import update_codex

    settings: Settings = ctx.obj
    return update_codex.carry_out(settings)


@app.command("cli")
def cli(
    ctx: typer.Context,
    to: Annotated[str | None, typer.Option("--to", metavar="VERSION", help="This release, not the newest one.")] = None,
) -> int:
    """Bring smos to its newest release, check it by running it, and go back where it does not run.

    A git checkout moves to the tag of the release, an installed package is updated by pip.

    Example: smos update cli --check

    Example: smos update cli --to v0.2.0
    """
    from smos import update_cli

    settings: Settings = ctx.obj
    return update_cli.carry_out(to, settings)
