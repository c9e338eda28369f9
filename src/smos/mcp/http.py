"""The server over streamable HTTP: loopback only, a bearer token for each client, and small bodies."""

from __future__ import annotations

import socket
import sys
from typing import Any

import uvicorn
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from smos import exitcodes
from smos.mcp import server
from smos.mcp.clients import Client, Clients
from smos.mcp.service import Service
from smos.outcome import failure

PATH = "/mcp"
LARGEST_BODY = 1_000_000  # bytes
LOOPBACK = ("127.0.0.1", "localhost", "::1")
_KEY = "smos.client"


class Authenticated:
    """Lets a request pass whose token belongs to a client of this environment."""

    def __init__(self, app: ASGIApp, clients: Clients, service: Service) -> None:
        self._app, self._clients, self._service = app, clients, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401 or 403, or pass the request on with its client."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        kind, _space, token = Headers(scope=scope).get("authorization", "").partition(" ")
        client = self._clients.bearing(token.strip()) if kind.lower() == "bearer" and token.strip() else None
        if client is None:
            await self._refuse("", 401, "a bearer token of a client is wanted")(scope, receive, send)
        elif self._service.env not in client.environments:
            why = f"client {client.name} may not be used in {self._service.env}"
            await self._refuse(client.name, 403, why)(scope, receive, send)
        else:
            await self._app({**scope, _KEY: client}, receive, send)

    def _refuse(self, client: str, code: int, why: str) -> JSONResponse:
        self._service.audit.tell("refused", client, "http", env=self._service.env, code=code, why=why)
        headers = {"WWW-Authenticate": "Bearer"} if code == 401 else {}
        return JSONResponse({"error": why}, code, headers)


def application(service: Service, clients: Clients) -> ASGIApp:
    """The whole application. Host and Origin are judged by the SDK, against pages that rebind a name to this machine."""

    def who(ctx: server.Context) -> Client:
        client = (ctx.request.scope if ctx.request is not None else {})[_KEY]
        if not isinstance(client, Client):
            raise TypeError("a request without a client")
        return client

    app = server.made(service, who).streamable_http_app(
        streamable_http_path=PATH, stateless_http=True, max_request_body_size=LARGEST_BODY, host="127.0.0.1"
    )
    return Authenticated(app, clients, service)


def listening(address: str) -> socket.socket:
    """A socket on HOST:PORT; port 0 takes a free one. Raises Failure (2, or 3 where it cannot be had)."""
    host, colon, port = address.rpartition(":")
    host = host.strip("[]")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise failure(exitcodes.INVALID, f"--http {address}", "it is not HOST:PORT", "", "Give 127.0.0.1:8765")
    if host not in LOOPBACK:
        following = "Give 127.0.0.1:PORT; from elsewhere, use SSH or a proxy with TLS"
        raise failure(exitcodes.REFUSED, f"--http {address}", "only loopback is served", "", following)
    try:
        return socket.create_server((host, int(port)), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as exc:
        why = exc.strerror or str(exc)
        raise failure(exitcodes.UNUSABLE, f"--http {address}", why, "", "Give another port") from None


async def over_http(service: Service, clients: Clients, listener: socket.socket) -> None:
    """Serve until the process is told to end."""
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    settings: dict[str, Any] = {"log_level": "warning", "access_log": False, "server_header": False}
    config = uvicorn.Config(application(service, clients), timeout_graceful_shutdown=5, **settings)
    print(f"smos mcp: http://{shown}:{port}{PATH}", file=sys.stderr, flush=True)
    await uvicorn.Server(config).serve(sockets=[listener])
