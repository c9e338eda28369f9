"""Starting the server: who is served, of what, and by which way."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

from smos import exitcodes, work
from smos.mcp import clients as who
from smos.mcp.audit import Audit
from smos.outcome import failure
from smos.redact import Redactor
from smos.settings import Settings


def carry_out(address: str | None, name: str | None, settings: Settings) -> int:
    """Serve on stdio, or on this address; gives the exit code. Raises Failure before anything is served."""
    project = work.project_for(settings)
    known = who.load(project.specs_dir, os.environ)
    redactor = Redactor(os.environ)
    if address is not None and name is not None:
        raise failure(exitcodes.INVALID, "--client", "over HTTP the token tells who it is", "", "Leave it out")
    if address is not None and not any(each.hash for each in known.by_name.values()):
        following = f"Set {' or '.join(sorted(known.variables)) or 'a token for a client'}; see docs/mcp.md"
        raise failure(exitcodes.UNUSABLE, "--http", "no client has a token", "specs/mcp/clients.yml", following)

    with _loading():
        import anyio

        from smos.mcp import server
        from smos.mcp.command import Commands
        from smos.mcp.library import Library
        from smos.mcp.service import Service

    def service() -> Service:
        commands = Commands(project, settings.env, known.variables)
        library = Library(project.root, project.specs_dir)
        audit = Audit(project.state_dir, redactor)
        return Service(settings.env, commands, library, audit, redactor, settings.check)

    if address is None:
        client = known.named(name, settings.env)

        async def stdio() -> None:
            await server.over_stdio(service(), client)

        anyio.run(stdio)
        return exitcodes.DONE
    from smos.mcp import http

    listener = http.listening(address)

    async def web() -> None:
        await http.over_http(service(), known, listener)

    anyio.run(web)
    return exitcodes.DONE


@contextmanager
def _loading() -> Iterator[None]:
    """Load modules without looking for garbage among what they make: all of it stays, and a tenth of the time goes there."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
