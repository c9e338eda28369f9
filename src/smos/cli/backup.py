# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""`smos backup`, `smos backups` and `smos restore`."""

from __future__ import annotations

from typing import Annotated

import typer

from smos.cli import complete
from smos.settings import Settings

AcceptShrunk = Annotated[
    bool,
    typer.Option("--accept-shrunk", help="Take a dump that is much smaller than the one before for what it is."),
]


def backup(
    ctx: typer.Context,
    services: Annotated[
        list[str],
        typer.Argument(
            metavar="all|SERVICE…|tenant ID",
            help="Everything, these services, or those that hold data of a tenant.",
            autocompletion=complete.services,
        ),
    ],
    accept_shrunk: AcceptShrunk = False,
) -> int:
    """Back up now, beside what the machine does by itself every night.

    Example: smos --env production backup all

    Example: smos backup n8n odoo

    Example: smos backup tenant acme
    """
    from smos import backup_tenant_work, backup_work

    settings: Settings = ctx.obj
    if services[0] == backup_tenant_work.TENANT:
        return backup_tenant_work.take(services[1:], accept_shrunk, settings)
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
        list[str] | None,
        typer.Option(
            "--service", metavar="SERVICE", help="Only this service; may be repeated.", autocompletion=complete.services
        ),
    ] = None,
    tenant: Annotated[
        str,
        typer.Option(
            "--tenant",
            metavar="ID",
            help="Only the rows and files of this tenant: RUT or slug.",
            autocompletion=complete.tenants,
        ),
    ] = "",
    drill: Annotated[
        bool, typer.Option("--drill", help="Restore beside what runs, check everything, take it away again.")
    ] = False,
) -> int:
    """Bring the data of a backup back. Production asks first. Where it fails, what ran before runs again.

    With --tenant, only what that tenant has in Chatwoot, n8n, Botpress and SmarterOS; services in which tenants share rows
    are named and passed over.

    Example: smos --env production restore latest --check

    Example: smos --env production restore 20261122-050000 --service n8n

    Example: smos --env production restore latest --drill

    Example: smos --env production restore 20261122-050000 --tenant acme
    """
    from smos import backup_tenant_work, backup_work

    settings: Settings = ctx.obj
    if tenant:
        return backup_tenant_work.restore(wanted, tuple(service or ()), tenant, settings, drill=drill)
    return backup_work.restore(wanted, tuple(service or ()), settings, drill=drill)
