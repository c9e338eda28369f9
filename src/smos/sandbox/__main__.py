"""The server process: ``python -m smos.sandbox --state DIR [--port N]``. Usually started by ``server.up``."""

from __future__ import annotations

import argparse
import asyncio
import errno
import fcntl
import importlib.util
import json
import logging
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.config import HTTP_PROTOCOLS
from uvicorn.importer import import_from_string

from smos.sandbox import app, process
from smos.sandbox.server import DEFAULT_PORT

PORTS_TRIED = 200

logger = logging.getLogger("smos.sandbox")


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to stop; returns the exit code."""
    options = _options(arguments)
    home = options.state.resolve()
    home.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
    # Held until the process ends, however it ends: one server per state directory.
    guard = (home / "server.lock").open("a")
    try:
        fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        logger.error("another sandbox serves %s already", home)  # noqa: TRY400  # the message says it all; no traceback
        return 1
    try:
        listener = listen(options.port)
    except OSError as error:
        logger.error("cannot listen on port %s: %s", options.port or DEFAULT_PORT, error.strerror)  # noqa: TRY400  # the message says it all; no traceback
        return 1
    serve(home, listener)
    return 0


def listen(port: int | None) -> socket.socket:
    """A listening socket on loopback: on ``port``, or on the default port or the next free one. Raises ``OSError``."""
    candidates = [port] if port is not None else [*range(DEFAULT_PORT, DEFAULT_PORT + PORTS_TRIED), 0]
    for candidate in candidates:
        # The protocol is named on purpose: only then does asyncio switch the delay of small packets (40 ms) off.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", candidate))
            listener.listen(2048)
        except OSError as error:
            listener.close()
            if error.errno != errno.EADDRINUSE or candidate == candidates[-1]:
                raise
        else:
            return listener
    raise AssertionError("the last candidate returns or raises")


def serve(home: Path, listener: socket.socket) -> None:
    """Run the application on the socket; writes ``pid.json`` and, last, ``url``."""
    port = listener.getsockname()[1]
    about = {"state": str(home), "pid": os.getpid(), "port": port}
    sandbox = app.create(home / "state.db", about=about)
    config = uvicorn.Config(
        sandbox,
        http=tracking(sandbox.connections),
        ws="none",
        loop="asyncio",
        lifespan="on",
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
    )
    born = process.birth(os.getpid())
    _write(home / "pid.json", json.dumps({"pid": os.getpid(), "born": born, "port": port}))
    _write(home / "url", f"http://127.0.0.1:{port}\n")
    logger.info("serving %s on http://127.0.0.1:%d", home, port)
    uvicorn.Server(config).run(sockets=[listener])


def tracking(connections: app.Connections) -> type[asyncio.Protocol]:
    """Uvicorn's HTTP protocol (the fast one where it is installed) that tells ``connections`` who is there."""
    base: Any = import_from_string(HTTP_PROTOCOLS["httptools" if importlib.util.find_spec("httptools") else "h11"])

    class Tracking(base):
        def connection_made(self, transport: asyncio.Transport) -> None:
            connections.opened(transport)
            super().connection_made(transport)

        def connection_lost(self, exc: Exception | None) -> None:
            connections.closed(self.transport)
            super().connection_lost(exc)

    return Tracking


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m smos.sandbox", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="directory of the sandbox's state")
    parser.add_argument("--port", type=int, help=f"exactly this port (else {DEFAULT_PORT} or the next free one)")
    return parser.parse_args(arguments)


def _write(path: Path, text: str) -> None:
    """Write at once: a reader sees the whole text or none."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(text)
    partial.replace(path)


if __name__ == "__main__":
    sys.exit(main())
