"""The sandbox as an ASGI application: the providers under their names, the control API under ``/_sandbox``."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from starlette.types import Receive, Scope, Send

from smos.sandbox import (
    botpress,
    chatwoot,
    cloudflare,
    control,
    dokploy,
    hostinger,
    metabase,
    n8n,
    odoo,
    shopify,
    smtp,
    supabase,
    vercel,
    whatsapp,
)
from smos.sandbox.engine import Engine, Outcome, Request
from smos.sandbox.provider import Provider, Reply
from smos.sandbox.state import State
from smos.sandbox.wire import host_url, send_reply

PROVIDERS: tuple[Provider, ...] = (
    cloudflare.PROVIDER,
    odoo.PROVIDER,
    chatwoot.PROVIDER,
    n8n.PROVIDER,
    metabase.PROVIDER,
    botpress.PROVIDER,
    vercel.PROVIDER,
    whatsapp.PROVIDER,
    smtp.PROVIDER,
    hostinger.PROVIDER,
    dokploy.PROVIDER,
    shopify.PROVIDER,
    supabase.PROVIDER,
)

MAX_BODY = 16 * 1024 * 1024


def accepted_tokens(providers: Iterable[Provider], environment: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """The tokens each provider accepts: ``sandbox-<provider>-token`` and that of ``SMOS_SANDBOX_<PROVIDER>_TOKEN``."""
    return {
        provider.name: frozenset(
            token
            for token in (
                f"sandbox-{provider.name}-token",
                environment.get(f"SMOS_SANDBOX_{provider.name.upper()}_TOKEN", ""),
            )
            if token
        )
        for provider in providers
    }


class Connections:
    """The open TCP connections by the client's address, so that a fault can cut one off."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, int], asyncio.Transport] = {}

    def opened(self, transport: asyncio.Transport) -> None:
        self._open[transport.get_extra_info("peername")] = transport

    def closed(self, transport: asyncio.Transport) -> None:
        self._open.pop(transport.get_extra_info("peername"), None)

    def reset(self, client: tuple[str, int]) -> None:
        """Close without an answer; the client sees «connection reset by peer»."""
        transport = self._open.get(client)
        if transport is not None:
            with contextlib.suppress(OSError):
                transport.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
            transport.abort()


class ClientGone(Exception):
    """The client left before its request was complete; nothing may come of it."""


class Sandbox:
    """The ASGI application. Provider requests take a short way past Starlette, the control API goes through it."""

    def __init__(self, engine: Engine, about: Mapping[str, Any] | None = None) -> None:
        """``about`` is what ``/_sandbox/status`` tells besides the settings (state directory, process)."""
        self.engine = engine
        self.connections = Connections()
        self._control = control.application(engine, dict(about or {}))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/_sandbox"):
            await self._control(scope, receive, send)
            return
        try:
            raw = await _body(receive)
        except ClientGone:
            return
        if raw is None:
            await send_reply(send, Reply(413, {"message": "request body too large"}))
            return
        outcome = self.engine.handle(_request(scope, raw))
        if outcome.delay:
            await asyncio.sleep(outcome.delay)
        if outcome.reply is None:
            await self._vanish(scope, receive, outcome)
        else:
            await send_reply(send, outcome.reply)

    async def _vanish(self, scope: Scope, receive: Receive, outcome: Outcome) -> None:
        """Send nothing; close the connection after the wait, or when the client has gone."""
        try:
            if outcome.hang:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(_disconnected(receive), outcome.hang)
        finally:  # also when the server stops meanwhile: then, too, there is no answer
            self.connections.reset(tuple(scope["client"]))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(_disconnected(receive), 5)


def create(
    state_file: Path | str,
    *,
    environment: Mapping[str, str] = os.environ,
    about: Mapping[str, Any] | None = None,
    providers: tuple[Provider, ...] = PROVIDERS,
) -> Sandbox:
    """The application over the state in ``state_file`` (``:memory:`` for none that lasts)."""
    state = State(state_file, providers)
    return Sandbox(Engine(state, accepted_tokens(providers, environment)), about)


async def _body(receive: Receive) -> bytes | None:
    """The whole body; ``None`` when it is larger than the sandbox takes. Raises :class:`ClientGone`."""
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > MAX_BODY:
            return None
        parts.append(chunk)
        if not message.get("more_body"):
            return chunk if len(parts) == 1 else b"".join(parts)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _request(scope: Scope, raw: bytes) -> Request:
    return Request(
        method=scope["method"],
        path=scope["path"],
        query=scope["query_string"].decode("latin-1"),
        headers={name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
        raw=raw,
        host_url=host_url(scope),
    )
