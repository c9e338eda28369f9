# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""`smos secrets …`: the secrets of an environment, in its vault."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from smos.cli import complete
from smos.settings import Settings

app = typer.Typer(help="The secrets of an environment, in its vault. None is ever shown.", no_args_is_help=True)
Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="A name of specs/secrets.yml, as postgresql_n8n_password.", autocompletion=complete.secrets
    ),
]


@app.command("init")
def init(ctx: typer.Context) -> int:
    """Make the secrets that are missing. What is there is never touched.

    Example: smos --env production secrets init
    """
    from smos import secrets_work

    return secrets_work.init(ctx.obj)


@app.command("check")
def check(ctx: typer.Context) -> int:
    """Judge every secret: which are missing, weak, shared, half rotated, old, unused or unknown.

    Exit code 3 when one is missing, weak, shared or half rotated, or the vault cannot be opened.

    Example: smos --env production secrets check
    """
    from smos import secrets_work

    return secrets_work.check(ctx.obj)


@app.command("rotate")
def rotate(
    ctx: typer.Context,
    name: Name,
    back: Annotated[bool, typer.Option("--back", help="Take back a rotation that did not come to its end.")] = False,
) -> int:
    """Give a secret a new value, and deploy the services that use it. Where that fails, the old value comes back.

    Secrets whose loss makes data unreadable are refused (exit code 4), with what a person does instead.

    Example: smos --env production secrets rotate postgresql_n8n_password
    """
    from smos import secrets_work

    return secrets_work.rotate(name, ctx.obj, back=back)


@app.command("set")
def keep(ctx: typer.Context, name: Name) -> int:
    """Keep a value that you give: typed unseen, or on stdin.

    Example: smos --env production secrets set n8n_owner_password < FILE
    """
    from smos import secrets_work

    settings: Settings = ctx.obj
    return secrets_work.keep(name, _asked(name), settings)


def _asked(name: str) -> str:
    if not sys.stdin.isatty():
        return sys.stdin.read().strip("\r\n")
    from getpass import getpass

    return getpass(f"{name}: ")
