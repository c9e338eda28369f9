# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""`smos panel`: the founder's commands by WhatsApp."""

from __future__ import annotations

from typing import Annotated

import typer

from smos.settings import Settings


def panel(
    ctx: typer.Context,
    http: Annotated[
        str, typer.Option("--http", metavar="HOST:PORT", help="Where n8n brings the messages to: a private address.")
    ] = "127.0.0.1:8766",
) -> int:
    """Answer the founder's WhatsApp messages (estado, tenants, ventas hoy …) until told to end. See docs/panel.md.

    Numbers and secrets are taken from the environment; what changes something asks for a code first.

    With --check nothing is ever changed.

    Example: smos panel

    Example: smos --env production panel --http 172.18.0.1:8766
    """
    from smos.panel import start

    settings: Settings = ctx.obj
    return start.carry_out(http, settings)
