"""`smos deploy …`"""

from __future__ import annotations

from typing import Annotated

import typer

from smos.settings import Settings

Release = Annotated[
    str | None, typer.Option("--release", metavar="VERSION", help="This release; else the current one.")
]

app = typer.Typer(help="Deploy the release that the specs describe.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Deploy the release that the specs describe."""


@app.command("all")
def everything(
    ctx: typer.Context,
    release: Release = None,
    skip: Annotated[
        list[str] | None,
        typer.Option("--skip", metavar="STAGE", help="Leave this stage out; may be repeated."),
    ] = None,
) -> int:
    """Bring everything to what the specs say: backup, DNS, machine, database, frontends, tenants, health.

    Each stage is checked before the first one changes anything. Run again after a failure, it goes on at the failed stage.

    Example: smos --env production deploy all --check

    Example: smos deploy all --skip frontend
    """
    from smos import deploy_all_work

    settings: Settings = ctx.obj
    return deploy_all_work.carry_out(release, tuple(skip or ()), settings)


@app.command("backend")
def backend(
    ctx: typer.Context,
    service: Annotated[
        list[str] | None, typer.Option("--service", metavar="SERVICE", help="Only this service; may be repeated.")
    ] = None,
    release: Release = None,
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


@app.command("frontend")
def frontend(
    ctx: typer.Context,
    service: Annotated[
        list[str] | None, typer.Option("--service", metavar="SERVICE", help="Only this frontend; may be repeated.")
    ] = None,
    release: Release = None,
    timeout: Annotated[
        float | None,
        typer.Option("--timeout", metavar="SECONDS", min=1, help="How long a build may take; else the specs say so."),
    ] = None,
) -> int:
    """Bring the frontends on Vercel to the refs that the release names. What is so already is not touched.

    A build is promoted once it answers; until then visitors see what they saw before.

    Example: smos --env production deploy frontend --check --diff

    Example: smos deploy frontend --service docs
    """
    from smos import frontend_work

    settings: Settings = ctx.obj
    return frontend_work.carry_out(tuple(service or ()), release, timeout, settings)
