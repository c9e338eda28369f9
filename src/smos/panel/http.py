# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Meta's webhook over HTTP, on a private address: the carrier's bearer token, Meta's signature, small bodies, quick answers."""

from __future__ import annotations

import hmac
import ipaddress
import re
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import anyio
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from smos import exitcodes
from smos.outcome import failure
from smos.panel import signature, webhook
from smos.panel.desk import Desk
from smos.panel.seen import StoreBroken
from smos.panel.service import Service
from smos.panel.setting import Secrets

PATH = "/whatsapp"
LARGEST_BODY = 256 * 1024  # bytes; a message of a person has some hundred
SLOWEST_BODY_S = 30.0
MOST_AT_ONCE = 64  # connections
_CHALLENGE = re.compile(r"[A-Za-z0-9_.-]{1,256}")
_PRIVATE = tuple(
    map(
        ipaddress.ip_network,
        (
            "127.0.0.0/8",
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "100.64.0.0/10",
            "::1/128",
            "fc00::/7",
        ),
    )
)


class _Refused(Exception):
    """A request that is not served: its status and why, without anything of it."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True)
class _Endpoint:
    service: Service
    secrets: Secrets
    desk: Desk

    async def answer(self, request: Request) -> PlainTextResponse:
        """Serve a request. Where it cannot be written down it is not served, and Meta tries again."""
        try:
            return await self._answered(request)
        except (StoreBroken, OSError) as exc:
            sys.stderr.write(f"smos panel: {exc}\n")
            return PlainTextResponse("it cannot be written down", 503)

    async def _answered(self, request: Request) -> PlainTextResponse:
        """Serve a request, or say why not; what is refused is written down."""
        try:
            self._carrier(request)
            if request.method != "POST":
                return PlainTextResponse(self._challenge(request))
            found = webhook.messages(await self._body(request))
        except (_Refused, webhook.Malformed) as exc:
            status = exc.status if isinstance(exc, _Refused) else 400
            self.service.refuse_request(status, str(exc))
            headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {"Connection": "close"}
            return PlainTextResponse(str(exc), status, headers)
        for message in await anyio.to_thread.run_sync(self._accepted, found):
            self.desk.take(message)
        return PlainTextResponse("EVENT_RECEIVED")

    def _carrier(self, request: Request) -> None:
        kind, _space, token = request.headers.get("authorization", "").partition(" ")
        given = token.strip().encode(errors="surrogateescape")
        if kind.lower() != "bearer" or not hmac.compare_digest(given, self.secrets.carrier.encode()):
            raise _Refused(401, "the carrier's bearer token is wanted")

    def _challenge(self, request: Request) -> str:
        """Meta asks once whether the address is ours, with the word that both were told."""
        asked = request.query_params
        given = asked.get("hub.verify_token", "").encode(errors="surrogateescape")
        known = hmac.compare_digest(given, self.secrets.verify.encode())
        challenge = asked.get("hub.challenge", "")
        if asked.get("hub.mode") != "subscribe" or not known or not _CHALLENGE.fullmatch(challenge):
            raise _Refused(403, "the word of verification is another")
        return challenge

    async def _body(self, request: Request) -> bytes:
        """The body, of the size and with the signature that it has to have."""
        size = request.headers.get("content-length", "0")
        if not re.fullmatch("[0-9]{1,12}", size) or int(size) > LARGEST_BODY:
            raise _Refused(413, f"the body is larger than {LARGEST_BODY} bytes")
        body = b""
        try:
            with anyio.fail_after(SLOWEST_BODY_S):
                async for part in request.stream():
                    body += part
                    if len(body) > LARGEST_BODY:
                        raise _Refused(413, f"the body is larger than {LARGEST_BODY} bytes")
        except (TimeoutError, ClientDisconnect):
            raise _Refused(408, "the body did not come") from None
        given = request.headers.getlist(signature.HEADER)
        if len(given) != 1 or not signature.genuine(self.secrets.app, body, given[0]):
            raise _Refused(403, "it bears no signature of Meta, or another one")
        return body

    def _accepted(self, found: list[webhook.Message]) -> list[webhook.Message]:
        return [message for message in found if self.service.accept(message)]


def application(service: Service, secrets: Secrets, desk: Desk) -> Starlette:
    """The whole application."""
    return Starlette(routes=[Route(PATH, _Endpoint(service, secrets, desk).answer, methods=["GET", "POST"])])


def listening(address: str) -> socket.socket:
    """A socket on HOST:PORT; port 0 takes a free one. Raises Failure (2, or 3 or 4 where it cannot be had)."""
    host, colon, port = address.rpartition(":")
    host = {"localhost": "127.0.0.1"}.get(host, host.strip("[]"))
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        found = None
    if not colon or found is None or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        following = "Give an address and a port, as 127.0.0.1:8766"
        raise failure(exitcodes.INVALID, f"--http {address}", "it is not HOST:PORT", "", following)
    if not any(found in network for network in _PRIVATE if network.version == found.version):
        following = "Give one that only n8n reaches, as 127.0.0.1:8766; Meta comes to n8n, not here"
        raise failure(exitcodes.REFUSED, f"--http {address}", "it is no private address", "", following)
    family = socket.AF_INET6 if found.version == 6 else socket.AF_INET
    try:
        return socket.create_server((host, int(port)), family=family)
    except OSError as exc:
        why = exc.strerror or str(exc)
        raise failure(exitcodes.UNUSABLE, f"--http {address}", why, "", "Give another port") from None


class _Server(uvicorn.Server):
    """Signals are ours: what runs is to be stopped and written down before the process ends."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them alone."""
        yield


async def serve(service: Service, secrets: Secrets, listener: socket.socket) -> None:
    """Serve until the process is told to end; then stop what runs."""
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    settings: dict[str, Any] = {"log_level": "warning", "access_log": False, "server_header": False}
    async with anyio.create_task_group() as group:
        app = application(service, secrets, Desk(service, group))
        config = uvicorn.Config(
            app, timeout_graceful_shutdown=5, limit_concurrency=MOST_AT_ONCE, lifespan="off", **settings
        )
        server = _Server(config)
        group.start_soon(_until_told, server)
        print(f"smos panel: http://{shown}:{port}{PATH}", file=sys.stderr, flush=True)
        await server.serve(sockets=[listener])
        group.cancel_scope.cancel()


async def _until_told(server: uvicorn.Server) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _number in signals:
            server.should_exit = True
