# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""`smos backup`, `smos backups` and `smos restore`."""

from __future__ import annotations

from typing import Annotated

import typer

from smos.settings import Settings

AcceptShrunk = Annotated[
    bool,
    typer.Option("--accept-shrunk", help="Take a dump that is much smaller than the one before for what it is."),
]


def backup(
    ctx: typer.Context,
    services: Annotated[list[str], typer.Argument(metavar="all|SERVICE…", help="Everything, or these services.")],
    accept_shrunk: AcceptShrunk = False,
) -> int:
    """Back up now, beside what the machine does by itself every night.

    Example: smos --env production backup all

    Example: smos backup n8n odoo
    """
    from smos import backup_work

    settings: Settings = ctx.obj
    return backup_work.take(services, accept_shrunk, settings)


def backups(ctx: typer.Context) -> int:
    """List the backups, newest first: age, release, services, size, whether they are whole and verified, and where.

    Example: smos --env production backups
    """
    from smos import backup_work

    settings: Settings = ctx.obj
    return backup_work.tell(settings)


def restore(
    ctx: typer.Context,
    wanted: Annotated[
        str, typer.Argument(metavar="BACKUP", help="YYYYMMDD-HHMMSS as `smos backups` lists it, or latest.")
    ],
    service: Annotated[
        list[str] | None, typer.Option("--service", metavar="SERVICE", help="Only this service; may be repeated.")
    ] = None,
    drill: Annotated[
        bool, typer.Option("--drill", help="Restore beside what runs, check everything, take it away again.")
    ] = False,
) -> int:
    """Bring the data of a backup back. Production asks first. Where it fails, what ran before runs again.

    Example: smos --env production restore latest --check

    Example: smos --env production restore 20261122-050000 --service n8n

    Example: smos --env production restore latest --drill
    """
    from smos import backup_work

    settings: Settings = ctx.obj
    return backup_work.restore(wanted, tuple(service or ()), settings, drill=drill)
