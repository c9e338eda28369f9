"""`smos deploy …`"""

from __future__ import annotations

from typing import Annotated

import typer

from smos.settings import Settings

app = typer.Typer(help="Deploy the release that the specs describe.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Deploy the release that the specs describe."""


@app.command("backend")
def backend(
    ctx: typer.Context,
    service: Annotated[
        list[str] | None, typer.Option("--service", metavar="SERVICE", help="Only this service; may be repeated.")
    ] = None,
    release: Annotated[
        str | None, typer.Option("--release", metavar="VERSION", help="This release; else the current one.")
    ] = None,
    acknowledge: Annotated[
        list[str] | None,
        typer.Option(
            "--acknowledge", metavar="NAME", help="You know what the step of this component or release means."
        ),
    ] = None,
) -> int:
    """Bring the VPS and every service on it to what the specs say. What is so already is not touched.

    Example: smos --env production deploy backend --check --diff

    Example: smos deploy backend --service n8n
    """
    from smos import deploy_work

    settings: Settings = ctx.obj
    return deploy_work.carry_out(tuple(service or ()), release, settings, tuple(acknowledge or ()))
