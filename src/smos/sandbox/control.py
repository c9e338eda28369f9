"""The control API under ``/_sandbox/``: status, request log, outbox, faults, settings, reset."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from smos.sandbox import outbox, smtp_server
from smos.sandbox.engine import Engine
from smos.sandbox.provider import Reply
from smos.sandbox.requestlog import KEEP
from smos.sandbox.wire import host_url, send_reply

FLUSH_SECONDS = 0.25
LOCAL_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})


class Control:
    """The calls of the control API over one engine; ``about`` is what ``status`` tells besides the settings."""

    def __init__(self, engine: Engine, about: dict[str, Any]) -> None:
        self.engine, self.about = engine, about
        self.names = [provider.name for provider in engine.state.providers]

    async def status(self, request: Request) -> JSONResponse:
        engine, address = self.engine, host_url(request.scope)
        providers = {provider.name: f"{address}{provider.base}" for provider in engine.state.providers}
        known = {"providers": providers, "settings": engine.settings(), "faults": engine.faults.shown()}
        return JSONResponse({**self.about, **known})

    async def requests(self, request: Request) -> JSONResponse:
        if request.method == "DELETE":
            self.engine.log.clear()
            return JSONResponse({"requests": []})
        query = request.query_params
        try:
            since, limit = int(query.get("since", "0")), int(query.get("limit", "100"))
        except ValueError:
            raise ValueError("since and limit must be whole numbers") from None
        found = self.engine.log.find(
            provider=query.get("provider", ""),
            operation=query.get("operation", ""),
            since=min(max(since, 0), 2**62),
            writes=query.get("writes", "") in ("1", "true", "yes"),
            limit=min(max(limit, 0), KEEP),
        )
        return JSONResponse(found)

    async def faults(self, request: Request) -> JSONResponse:
        if request.method == "DELETE":
            return JSONResponse({"cleared": self.engine.faults.clear()})
        if request.method == "GET":
            return JSONResponse({"faults": self.engine.faults.shown()})
        rule = await _object(request)
        wanted = rule.get("provider", "*")
        if isinstance(wanted, str) and not any(fnmatchcase(name, wanted) for name in self.names):
            raise ValueError(f"provider: {wanted!r} is none of {', '.join(self.names)}")
        return JSONResponse(self.engine.faults.add(rule), 201)

    async def outbox(self, request: Request) -> JSONResponse:
        query = request.query_params
        try:
            limit = int(query.get("limit", "100"))
        except ValueError:
            raise ValueError("limit must be a whole number") from None
        return JSONResponse(outbox.find(self.engine.state, query.get("provider", ""), min(max(limit, 0), KEEP)))

    async def settings(self, request: Request) -> JSONResponse:
        return JSONResponse(self.engine.configure(await _object(request)))

    async def reset(self, request: Request) -> JSONResponse:
        name = (await _object(request)).get("provider")
        if name not in (None, *self.names):
            raise ValueError(f"provider: {name!r} is none of {', '.join(self.names)}")
        self.engine.reset(name)
        return JSONResponse({"reset": [name] if name else self.names})

    @contextlib.asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Take mail, and write the request log in the background; at the end the rest of it, and close the state."""
        writer = asyncio.create_task(self._write_log())
        home = Path(self.about["state"]) if "state" in self.about else None
        async with smtp_server.listening(self.engine, home, lambda port: self.about.update(smtp_port=port)):
            yield
        writer.cancel()
        self.engine.log.flush()
        self.engine.state.close()

    async def _write_log(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            self.engine.log.flush()


class LocalOnly:
    """Refuses control calls that a web page in the user's browser could have sent."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
            host = headers.get(b"host", "127.0.0.1").rsplit(":", 1)[0]
            if b"origin" in headers or host not in LOCAL_NAMES:
                await send_reply(send, Reply(403, {"message": "the control API answers local programs only"}))
                return
        await self._app(scope, receive, send)


def application(engine: Engine, about: dict[str, Any]) -> Starlette:
    """The control API as an application; its lifespan is that of the engine."""
    control = Control(engine, about)
    routes = [
        Route("/_sandbox/status", control.status, methods=["GET"]),
        Route("/_sandbox/requests", control.requests, methods=["GET", "DELETE"]),
        Route("/_sandbox/outbox", control.outbox, methods=["GET"]),
        Route("/_sandbox/faults", control.faults, methods=["GET", "POST", "DELETE"]),
        Route("/_sandbox/settings", control.settings, methods=["POST"]),
        Route("/_sandbox/reset", control.reset, methods=["POST"]),
    ]
    return Starlette(
        routes=routes,
        lifespan=control.lifespan,
        middleware=[Middleware(LocalOnly)],
        exception_handlers={ValueError: _refused},
    )


async def _object(request: Request) -> dict[str, Any]:
    raw = await request.body()
    data = json.loads(raw) if raw else {}
    if isinstance(data, dict):
        return data
    raise ValueError("the body must be a JSON object")


async def _refused(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"message": str(error)}, 400)
