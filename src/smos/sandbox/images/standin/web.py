"""HTTP for the stand-ins: routes, a starting phase, failing health checks on request, and a log line per call."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from . import record
from .postgres import DatabaseError
from .settings import Refused, Settings

MARK = "X-SmarterOS-Stand-In"
MOST_BYTES = 10_000_000
IDLE_S = 120
DRAIN_S = 5.0  # how long answers that are under way may take once it is told to end


@dataclass(frozen=True)
class Request:
    """A call; ``parts`` is what the route's pattern caught."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    parts: tuple[str, ...] = ()

    def json(self) -> dict[str, Any]:
        """The body as an object; empty where it is none."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def header(self, name: str) -> str:
        """A header's value, empty without it."""
        return self.headers.get(name) or ""

    def cookie(self, name: str) -> str:
        """A cookie's value, empty without it."""
        try:
            found = SimpleCookie(self.header("Cookie")).get(name)
        except CookieError:
            return ""
        return found.value if found else ""


@dataclass(frozen=True)
class Reply:
    """An answer; a ``body`` that is neither text nor None goes as JSON."""

    status: int = 200
    body: Any = None
    headers: tuple[tuple[str, str], ...] = ()
    kind: str = ""


Handler = Callable[[Request], Reply]
NOT_FOUND = Reply(404, {"message": "The stand-in does not have this"})


class Server:
    """The answering side of a stand-in. ``health`` are the paths of its health checks."""

    def __init__(self, product: str, settings: Settings, health: Iterable[str]) -> None:
        self.product = product
        self.health = frozenset(health)
        self.unhealthy = settings.yes("STANDIN_UNHEALTHY")
        self.starting: Handler = lambda _request: Reply(503, "starting")
        self.before: Callable[[Request], Reply | None] = lambda _request: None
        self._ready_at = time.monotonic() + float(settings.get("STANDIN_START_S", "1"))
        self._drain_s = float(settings.get("STANDIN_DRAIN_S", "0"))
        self._routes: list[tuple[str, re.Pattern[str], Handler]] = []

    def route(self, method: str, pattern: str, handler: Handler) -> None:
        """Whole paths, with `*` for one segment and `**` for the rest."""
        regular = re.escape(pattern).replace(r"\*\*", "(.*)").replace(r"\*", "([^/]+)")
        self._routes.append((method, re.compile(regular), handler))

    @property
    def ready(self) -> bool:
        """Whether the starting phase is over."""
        return time.monotonic() >= self._ready_at

    def answer(self, request: Request) -> Reply:
        """The reply to a call, whatever happens."""
        if self.unhealthy and request.path in self.health:
            return Reply(503, {"status": "error", "message": "STANDIN_UNHEALTHY"})
        if not self.ready:
            return self.starting(request)
        try:
            return self.before(request) or self._found(request)
        except Refused as exc:
            return Reply(400, {"message": str(exc)})
        except DatabaseError as exc:
            record.say(f"{request.method} {request.path}: {exc}")
            return Reply(503, {"status": "error", "message": "database"})

    def _found(self, request: Request) -> Reply:
        for method, pattern, handler in self._routes:
            match = pattern.fullmatch(request.path)
            if match and method == ("GET" if request.method == "HEAD" else request.method):
                groups = tuple(unquote(each) for each in match.groups())
                return handler(Request(**{**request.__dict__, "parts": groups}))
        return NOT_FOUND

    def serve(self, *ports: int) -> int:
        """Answer on these ports until told to end; gives the exit code."""
        ended = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_what: ended.set())
        listening = [_Listening(("0.0.0.0", port), partial(_Call, self)) for port in ports]  # noqa: S104 - in a container
        for each in listening:
            threading.Thread(target=each.serve_forever, kwargs={"poll_interval": 0.25}, daemon=True).start()
        version = os.environ.get("STANDIN_VERSION", "")
        record.say(f"stand-in for {self.product} {version}: listening on {', '.join(map(str, ports))}")
        ended.wait()
        time.sleep(self._drain_s)
        for each in listening:
            each.end()
        record.say(f"stand-in for {self.product}: ended")
        return 0


class _Listening(ThreadingHTTPServer):
    """One port. Knows how many answers are under way, so that none of them is cut off."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: Any) -> None:
        self.busy = 0
        self.lock = threading.Lock()
        super().__init__(address, handler)

    def end(self) -> None:
        """Take no more calls and let those under way come to their end."""
        self.shutdown()
        self.socket.close()
        until = time.monotonic() + DRAIN_S
        while self.busy and time.monotonic() < until:
            time.sleep(0.02)


class _Call(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_S

    def __init__(self, app: Server, *args: Any) -> None:
        self._app = app
        super().__init__(*args)

    def parse_request(self) -> bool:
        """Take the call, unless it is none."""
        if not super().parse_request():
            return False
        if self.command not in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            self.send_error(501)
            return False
        setattr(self, f"do_{self.command}", self._take)
        return True

    def _take(self) -> None:
        listening = cast("_Listening", self.server)
        with listening.lock:
            listening.busy += 1
        try:
            self._give(*self._asked())
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            with listening.lock:
                listening.busy -= 1

    def _asked(self) -> tuple[Request, Reply]:
        parts = urlsplit(self.path)
        length = min(int(self.headers.get("Content-Length") or 0), MOST_BYTES)
        body = self.rfile.read(length) if length else b""
        request = Request(self.command, parts.path, dict(parse_qsl(parts.query)), cast("Any", self.headers), body)
        return request, self._app.answer(request)

    def _give(self, request: Request, reply: Reply) -> None:
        if reply.body is None or isinstance(reply.body, str):
            content, kind = (reply.body or "").encode(), reply.kind or "text/plain; charset=utf-8"
        else:
            content, kind = json.dumps(reply.body).encode(), reply.kind or "application/json"
        self.send_response(reply.status)
        self.send_header(MARK, self._app.product)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        for name, value in reply.headers:
            self.send_header(name, value)
        self.end_headers()
        if request.method != "HEAD":
            self.wfile.write(content)
        if request.path not in self._app.health:
            record.say(f"{request.method} {request.path} {reply.status}")
            fields = sorted(request.json()) if request.body else []
            record.note("call", method=request.method, path=request.path, status=reply.status, fields=fields)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class calls it so
        """Nothing: the log is ours."""
