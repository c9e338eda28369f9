"""`smos mcp`: SmarterOS for agents."""

from __future__ import annotations

from typing import Annotated

import typer

from smos.settings import Settings


def mcp(
    ctx: typer.Context,
    http: Annotated[
        str | None, typer.Option("--http", metavar="HOST:PORT", help="Serve over HTTP on loopback; else on stdio.")
    ] = None,
    client: Annotated[
        str | None, typer.Option("--client", help="On stdio: who is served, by specs/mcp/clients.yml.")
    ] = None,
) -> int:
    """Serve agents over the Model Context Protocol until they go. See docs/mcp.md.

    With --check nothing is ever changed: plans are shown, and cannot be carried out.

    Example: smos mcp --client smarterbot

    Example: smos --env production mcp --http 127.0.0.1:8765
    """
    from smos.mcp import start

    settings: Settings = ctx.obj
    return start.carry_out(http, client, settings)
