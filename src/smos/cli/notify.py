"""`smos notify`"""

from __future__ import annotations

from typing import Annotated

import typer

from smos.settings import Settings


def notify(
    ctx: typer.Context,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What the admin is told, 1 to 900 characters.")],
    via: Annotated[
        list[str] | None,
        typer.Option("--via", metavar="CHANNEL", help="Only by email, whatsapp or webhook; may be repeated."),
    ] = None,
) -> int:
    """Tell the admin something, by mail, WhatsApp and webhook, whichever are configured.

    Exit code 3 where none is, 1 where one of them did not take it. See docs/backup.md under Notices.

    Example: smos --env production notify "Mantención terminada"

    Example: smos notify "Prueba" --via email
    """
    from smos import notify_work

    settings: Settings = ctx.obj
    return notify_work.carry_out(text, tuple(via or ()), settings)
