# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""`smos sync workflows` and `smos sync specs`."""

from __future__ import annotations

from typing import Annotated

import typer

from smos.settings import Settings

app = typer.Typer(help="Bring n8n's workflows, or the specs, in step with git.", no_args_is_help=True)


@app.command("workflows")
def workflows(
    ctx: typer.Context,
    push: Annotated[
        bool, typer.Option("--push", help="Apply the files to n8n. Nothing is ever deleted there.")
    ] = False,
    resolve: Annotated[
        list[str] | None,
        typer.Option("--resolve", metavar="NAME=n8n|file", help="Whose version counts; may be repeated."),
    ] = None,
    no_commit: Annotated[bool, typer.Option("--no-commit", help="Write the files and commit nothing.")] = False,
) -> int:
    """Bring n8n's workflows into specs/workflows/live, one file each, and commit them.

    Tenants' copies of a template get no file; those that deviate are told. What changed on both sides is left alone (exit code 1).

    Example: smos --env production sync workflows --check --diff

    Example: smos --env production sync workflows --push

    Example: smos --env production sync workflows --resolve daily-report=n8n
    """
    from smos import sync_workflows

    settings: Settings = ctx.obj
    return sync_workflows.carry_out(push, tuple(resolve or ()), not no_commit, settings)


@app.command("specs")
def specs(ctx: typer.Context) -> int:
    """Validate the specs, look for secrets in what changed, commit it, pull with rebase, and push.

    A conflict with the remote leaves the checkout as it was, with our commit. Nothing outside of the specs is committed.

    Example: smos sync specs --check --diff

    Example: smos sync specs
    """
    from smos import sync_specs

    settings: Settings = ctx.obj
    return sync_specs.carry_out(settings)
