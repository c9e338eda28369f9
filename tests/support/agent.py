"""An agent that uses `smos mcp`: the official client of the protocol, with the server as its child."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mcp import Client, StdioServerParameters

from support.instance import ROOT, Instance

SECRET = "vercel-secret-value-0123456789"  # of the server's environment; no answer may hold it


@asynccontextmanager
async def talking(smos: Instance, client: str | None = None) -> AsyncIterator[Client]:
    """A client that may what ``client`` of specs/mcp/clients.yml may; what the default one may without."""
    name = [f"--client={client}"] if client else []
    line = StdioServerParameters(
        command=sys.executable,
        args=["-P", "-m", "smos", "mcp", *name],
        env={**smos.variables, "VERCEL_TOKEN": SECRET},
        cwd=ROOT,
    )
    async with Client(line, mode="legacy") as speaking:
        yield speaking
