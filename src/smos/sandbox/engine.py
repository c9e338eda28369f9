"""One request from start to end, without any network: routing, faults, rate limit, authentication, transaction, log."""

from __future__ import annotations

import json
import logging
import re
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from starlette.routing import compile_path

from smos.sandbox.faults import NO_HIT, FaultBook, Hit
from smos.sandbox.masking import Masker
from smos.sandbox.provider import NOTHING, Call, Operation, Provider, Reply, Throttle
from smos.sandbox.requestlog import Entry, RequestLog
from smos.sandbox.state import State

logger = logging.getLogger("smos.sandbox")


@dataclass(frozen=True)
class Request:
    """A request as it came; ``host_url`` is ``http://127.0.0.1:<port>``, header names are in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    raw: bytes
    host_url: str


@dataclass(frozen=True)
class Outcome:
    """What the network side does: wait ``delay`` seconds, then send ``reply``; without a reply keep silent for
    ``hang`` seconds and close the connection."""

    reply: Reply | None
    delay: float = 0.0
    hang: float = 0.0


class Routes:
    """The operations of one provider by method and path."""

    def __init__(self, provider: Provider) -> None:
        self._plain: dict[str, dict[str, Operation]] = {}
        self._patterns: dict[str, list[tuple[re.Pattern[str], Operation]]] = {}
        self._all: list[re.Pattern[str]] = []
        for operation in provider.operations:
            pattern, _, convertors = compile_path(operation.path)
            self._all.append(pattern)
            if convertors:
                self._patterns.setdefault(operation.method, []).append((pattern, operation))
            else:
                self._plain.setdefault(operation.method, {})[operation.path] = operation

    def find(self, method: str, path: str) -> tuple[Operation, Mapping[str, str]] | None:
        """The operation and its path parameters as text, ``None`` when there is none."""
        operation = self._plain.get(method, {}).get(path)
        if operation is not None:
            return operation, NOTHING
        for pattern, operation in self._patterns.get(method, ()):
            match = pattern.match(path)
            if match:
                return operation, match.groupdict()
        return None

    def knows(self, path: str) -> bool:
        """Whether the path exists with some method."""
        return any(pattern.match(path) for pattern in self._all)


class Window:
    """A rate limit over a fixed window, counted from the first request in it."""

    def __init__(self, throttle: Throttle) -> None:
        self.throttle = throttle
        self._ends = 0.0
        self._used = 0

    def count(self, now: float) -> tuple[bool, int, int]:
        """Count a request: (whether it may pass, requests left, whole seconds until the window ends)."""
        if now >= self._ends:
            self._ends, self._used = now + self.throttle.seconds, 0
        self._used += 1
        left = self.throttle.requests - self._used
        return left >= 0, max(left, 0), max(1, round(self._ends - now))


class Engine:
    """All providers over one state. Every call runs to its end at once, in a transaction of its own."""

    def __init__(self, state: State, tokens: Mapping[str, frozenset[str]]) -> None:
        """``tokens`` are the accepted tokens per provider name."""
        self.state = state
        self.tokens = tokens
        self.faults = FaultBook(state.db)
        self.log = RequestLog(state.db, Masker(token for accepted in tokens.values() for token in accepted))
        self._hosts = {provider.name: (provider, Routes(provider)) for provider in state.providers}
        self.latency = float(state.setting("latency_ms", 0.0)) / 1000
        self.rate_limits = bool(state.setting("rate_limits", False))
        self._windows: dict[str, Window] = {}

    def configure(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Change settings and keep them: ``latency_ms``, ``rate_limits``, ``n8n_version``. Raises ``ValueError``."""
        for key, value in _checked(settings).items():
            self.state.set(key, value)
        self.latency = float(self.state.setting("latency_ms", 0.0)) / 1000
        self.rate_limits = bool(self.state.setting("rate_limits", False))
        return self.settings()

    def settings(self) -> dict[str, Any]:
        return {
            "latency_ms": self.latency * 1000,
            "rate_limits": self.rate_limits,
            "n8n_version": self.state.setting("n8n_version", "1"),
        }

    def reset(self, provider: str | None = None) -> None:
        """Start the providers (or one) again from their seed; the rate limits start anew as well."""
        self.log.flush()
        self.state.reset(provider)
        self._windows.clear()

    def handle(self, request: Request) -> Outcome:
        """Carry out one request."""
        started, now = time.perf_counter(), time.time()
        host = self._hosts.get(request.path.split("/", 2)[1])
        query = dict(parse_qsl(request.query, keep_blank_values=True)) if request.query else {}
        if host is None:
            reply = Reply(404, {"message": f"no such provider; there are {', '.join(self._hosts)}"})
            outcome, name, writes, hit = Outcome(reply), "unknown", False, NO_HIT
        else:
            outcome, name, writes, hit = self._provider(host, request, query, now)
        self.log.add(
            Entry(
                at=now,
                provider=host[0].name if host else "-",
                operation=name,
                method=request.method,
                path=request.path,
                query=query,
                raw=request.raw,
                status=outcome.reply.status if outcome.reply else 0,
                ms=(time.perf_counter() - started) * 1000,
                write=writes,
                fault=_label(hit),
            )
        )
        return outcome

    def _provider(
        self, host: tuple[Provider, Routes], request: Request, query: dict[str, str], now: float
    ) -> tuple[Outcome, str, bool, Hit]:
        provider, routes = host
        base = provider.base
        path = request.path[len(base) :] if request.path.startswith(base) else "//"
        found = routes.find(request.method, path)
        if found is None:
            status, text = (405, "method not allowed") if routes.knows(path) else (404, "not found")
            return Outcome(provider.fault_reply(status, text), self.latency), "unknown", False, NO_HIT
        operation, params = found
        body, readable = _parsed(request.raw, request.headers.get("content-type", ""))
        call = Call(
            method=request.method,
            path=path,
            params=params,
            query=query,
            headers=request.headers,
            body=body,
            db=self.state.db,
            now=now,
            base_url=request.host_url + base,
            raw=request.raw,
        )
        name, writes = _name(provider, call, operation), _writes(provider, call, operation)
        hit = self.faults.take(provider.name, name) if self.faults else NO_HIT
        return self._carry_out(provider, operation, call, readable, hit), name, writes, hit

    def _carry_out(self, provider: Provider, operation: Operation, call: Call, readable: bool, hit: Hit) -> Outcome:
        delay, rule = self.latency + hit.delay, hit.rule
        if rule is not None and rule.kind == "reset":
            return Outcome(None, delay)
        if rule is not None and rule.kind == "timeout_before":
            return Outcome(None, delay, rule.seconds)
        if rule is not None and rule.kind == "status":
            reply = provider.fault_reply(rule.status, "fault on demand")
            extra = {} if rule.retry_after is None else {"retry-after": str(rule.retry_after)}
            return Outcome(Reply(reply.status, reply.body, {**reply.headers, **extra}), delay)
        reply = self._throttled(provider, call, lambda: self._run(provider, operation, call, readable))
        if rule is not None:
            return Outcome(None, delay, rule.seconds)
        return Outcome(reply, delay)

    def _throttled(self, provider: Provider, call: Call, run: Any) -> Reply:
        """Run within the provider's rate limit, and give every answer the provider's headers about it."""
        throttle = provider.throttle
        if throttle is None:
            reply: Reply = run()
            return reply
        passes, left, reset, extra = True, throttle.requests, round(throttle.seconds), {}
        if self.rate_limits:
            window = self._windows.setdefault(provider.name, Window(throttle))
            passes, left, reset = window.count(call.now)
            extra = {} if passes else {"retry-after": str(reset)}
        reply = run() if passes else provider.fault_reply(429, "rate limit exceeded")
        headers = {**reply.headers, **throttle.headers(left, reset), **extra}
        return Reply(reply.status, reply.body, headers)

    def _run(self, provider: Provider, operation: Operation, call: Call, readable: bool) -> Reply:
        """Authenticate and call the handler in one transaction; an answer of 400 or more leaves nothing behind."""
        db = self.state.db
        db.execute("BEGIN")
        try:
            reply = provider.authenticate(call, self.tokens[provider.name])
            if reply is None and not readable:
                reply = provider.fault_reply(400, "the body is not valid JSON")
            if reply is None:
                reply = operation.handler(call)
        except Exception as error:  # noqa: BLE001 - the sandbox must outlive a mistake in a provider
            # The message may quote the request; the place in the code is what a developer needs.
            logger.error(  # noqa: TRY400  # the message says it all; no traceback
                "%s %s: %s\n%s", provider.name, operation.name, type(error).__name__, _where(error)
            )
            reply = provider.fault_reply(500, "internal error of the sandbox, see its server.log")
        db.execute("ROLLBACK" if reply.status >= 400 or reply.rollback else "COMMIT")
        return reply


def _parsed(raw: bytes, content_type: str) -> tuple[Any, bool]:
    """The body as data, and whether it was readable; a body that does not claim to be JSON is simply not data."""
    if not raw:
        return None, True
    try:
        return json.loads(raw), True
    except (ValueError, RecursionError):
        return None, "json" not in content_type.lower()


def _name(provider: Provider, call: Call, operation: Operation) -> str:
    if provider.name_of is None:
        return operation.name
    try:
        return provider.name_of(call, operation)
    except Exception:  # noqa: BLE001 - a body that has no finer name
        return operation.name


def _writes(provider: Provider, call: Call, operation: Operation) -> bool:
    if provider.writes_of is None:
        return operation.writes
    try:
        return provider.writes_of(call, operation)
    except Exception:  # noqa: BLE001 - a body that cannot be told
        return operation.writes


def _label(hit: Hit) -> str:
    if hit.rule is None:
        return "latency" if hit.delay else ""
    return str(hit.rule.status) if hit.rule.kind == "status" else hit.rule.kind


def _where(error: BaseException) -> str:
    return "".join(traceback.format_tb(error.__traceback__))


def _checked(settings: Mapping[str, Any]) -> dict[str, Any]:
    checked: dict[str, Any] = {}
    for key, value in settings.items():
        if key == "latency_ms":
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 60_000:
                raise ValueError("latency_ms: must be a number from 0 to 60000")
        elif key == "rate_limits":
            if not isinstance(value, bool):
                raise ValueError("rate_limits: must be true or false")
        elif key == "n8n_version":
            if value not in ("1", "2"):
                raise ValueError('n8n_version: must be "1" or "2"')
        else:
            raise ValueError(f"unknown setting {key!r}; known are latency_ms, rate_limits, n8n_version")
        checked[key] = value
    return checked
