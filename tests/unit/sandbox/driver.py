"""Drives providers of the sandbox in this process, without a server: the engine gets the request as it would come."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from smos.sandbox.engine import Engine, Outcome, Request
from smos.sandbox.provider import Provider, Reply
from smos.sandbox.state import State


class Driver:
    """Sends requests to one provider with its usual token; keeps the state in memory."""

    def __init__(self, provider: Provider, headers: dict[str, str], token: str) -> None:
        self.provider, self.headers = provider, headers
        self.engine = Engine(State(":memory:", (provider,)), {provider.name: frozenset({token})})

    def outcome(
        self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None, **query: Any
    ) -> Outcome:
        """What the network side would do about the request; ``body`` is data, or bytes to be sent as they are."""
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        sent = {"content-type": "application/json", **(self.headers if headers is None else headers)}
        named = {key.replace("__", "."): value for key, value in query.items()}
        return self.engine.handle(
            Request(method, self.provider.base + path, urlencode(named), sent, raw, "http://127.0.0.1:8321")
        )

    def send(self, method: str, path: str, body: Any = None, **options: Any) -> Reply:
        """The reply; its body has been through JSON, as a client would see it."""
        reply = self.outcome(method, path, body, **options).reply
        assert reply is not None
        body = reply.body if isinstance(reply.body, bytes) else json.loads(json.dumps(reply.body))
        if isinstance(body, str) and "json" in reply.headers.get("content-type", ""):
            body = json.loads(body)  # a bare JSON text, written as such
        return Reply(reply.status, body, reply.headers)

    def ok(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """The body of a reply that must be a good one."""
        reply = self.send(method, path, body, **options)
        assert reply.status < 400, reply.body
        return reply.body


def cloudflare() -> Driver:
    from smos.sandbox.cloudflare import PROVIDER

    token = "sandbox-cloudflare-token"
    return Driver(PROVIDER, {"authorization": f"Bearer {token}"}, token)


def n8n() -> Driver:
    from smos.sandbox.n8n import PROVIDER

    token = "sandbox-n8n-token"
    return Driver(PROVIDER, {"x-n8n-api-key": token}, token)


def botpress() -> Driver:
    from smos.sandbox.botpress import PROVIDER

    return Driver(PROVIDER, {}, "sandbox-botpress-token")


def metabase() -> Driver:
    from smos.sandbox.metabase import PROVIDER

    token = "sandbox-metabase-token"
    return Driver(PROVIDER, {"x-api-key": token}, token)


def hostinger() -> Driver:
    from smos.sandbox.hostinger import PROVIDER

    token = "sandbox-hostinger-token"
    return Driver(PROVIDER, {"authorization": f"Bearer {token}"}, token)


def dokploy() -> Driver:
    from smos.sandbox.dokploy import PROVIDER

    token = "sandbox-dokploy-token"
    return Driver(PROVIDER, {"x-api-key": token}, token)


def odoo() -> Driver:
    from smos.sandbox.odoo import PROVIDER

    return Driver(PROVIDER, {}, "sandbox-odoo-token")
