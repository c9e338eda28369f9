"""`smos status`, `smos logs`, `smos doctor`: looking at the machine."""

from __future__ import annotations

from typing import Annotated

import typer

from smos import exitcodes
from smos.cli import complete
from smos.outcome import failure
from smos.settings import Settings

LINES = 100


def status(
    ctx: typer.Context,
    service: Annotated[
        str | None, typer.Argument(metavar="[SERVICE]", help="Only this service.", autocompletion=complete.services)
    ] = None,
    history: Annotated[
        str | None,
        typer.Option("--history", metavar="DAYS", help="Also availability and incidents of so many days, as 7d."),
    ] = None,
) -> int:
    """Tell how the machine and everything on it are: containers, health, certificates, memory, disk, load, release.

    Example: smos --env production status

    Example: smos --env production status --history 7d
    """
    from smos import status_work

    settings: Settings = ctx.obj
    return status_work.carry_out(service, settings, status_work.days(history))


def logs(
    ctx: typer.Context,
    words: Annotated[
        list[str],
        typer.Argument(metavar="SERVICE… [N]", help="Services, then how many lines.", autocompletion=complete.services),
    ],
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Show every further line until Ctrl-C.")] = False,
) -> int:
    """Show the last lines that services have written, 100 unless N says otherwise.

    Example: smos logs n8n 100

    Example: smos logs -f traefik n8n
    """
    from smos import logs_work

    settings: Settings = ctx.obj
    services = [word for word in words if not word.isdigit()]
    counts = [int(word) for word in words if word.isdigit()]
    if not services or len(counts) > 1:
        raise failure(
            exitcodes.INVALID, "command line", "it wants services and at most one number", "", "See `smos logs --help`"
        )
    return logs_work.carry_out(services, counts[0] if counts else LINES, follow, settings)


def doctor(ctx: typer.Context) -> int:
    """Look for what this machine and this environment lack. Exit code 3 where something would stop a command.

    Example: smos --env production doctor
    """
    from smos import doctor as checks

    settings: Settings = ctx.obj
    return checks.carry_out(settings)
