"""Stand-in for tecnativa/docker-socket-proxy: the Docker socket by TCP, to be read and only in parts.

What may be read is said as there: by environment variables (`CONTAINERS=1`, `SERVICES=1` …), of which EVENTS, PING and VERSION
are 1 by default. Unlike there, `POST=1` is not obeyed. Source: its README and haproxy.cfg, v0.4.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import threading
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from . import record
from .program import run
from .web import MARK

PRODUCT = "socket-proxy"
SOCKET = "/var/run/docker.sock"
PORT = 2375
OPEN = frozenset({"EVENTS", "PING", "VERSION"})
SECTIONS = {
    "_ping": "PING",
    "events": "EVENTS",
    "version": "VERSION",
    "info": "INFO",
    "containers": "CONTAINERS",
    "services": "SERVICES",
    "tasks": "TASKS",
    "networks": "NETWORKS",
    "nodes": "NODES",
    "swarm": "SWARM",
    "images": "IMAGES",
    "volumes": "VOLUMES",
    "configs": "CONFIGS",
    "secrets": "SECRETS",
    "system": "SYSTEM",
    "plugins": "PLUGINS",
    "distribution": "DISTRIBUTION",
}
# Of the request, what the Engine needs; `Upgrade` would turn a question into a way to write
_PASSED = ("Accept", "User-Agent")
_PATH = re.compile(r"(?:/v[\d.]+)?/([A-Za-z_]+)(?:[/?].*)?")
_CHUNK = 65536


def allowed(path: str, env: Mapping[str, str]) -> bool:
    """Whether a path may be read."""
    match = _PATH.fullmatch(path)
    plain = path.partition("?")[0]
    if not match or ".." in plain or "//" in plain or "%" in plain:
        return False
    section = SECTIONS.get(match.group(1), "")
    return bool(section) and env.get(section, "1" if section in OPEN else "0").lower() in ("1", "true", "yes", "on")


def main(_argv: Sequence[str]) -> int:
    """Serve until told to end."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_what: ended.set())
    place = ("0.0.0.0", int(os.environ.get("STANDIN_PORT") or PORT))  # noqa: S104 - in a container
    server = ThreadingHTTPServer(place, _Call)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    record.say(f"stand-in for socket-proxy: listening on {server.server_port}")
    ended.wait()
    return 0


class _Call(BaseHTTPRequestHandler):
    """One connection, one question."""

    protocol_version = "HTTP/1.1"
    timeout = 60  # for the question

    def parse_request(self) -> bool:
        """Take the call, whatever its method is."""
        if super().parse_request():
            setattr(self, f"do_{self.command}", self._take)
            return True
        return False

    def _take(self) -> None:
        self.close_connection = True
        if self.command not in ("GET", "HEAD") or not allowed(self.path, os.environ):
            record.say(f"403 {self.command} {self.path.partition('?')[0]}")
            content = (
                b"<html><body><h1>403 Forbidden</h1>\nRequest forbidden by administrative rules.\n</body></html>\n"
            )
            self.send_response(403)
            self.send_header(MARK, PRODUCT)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(content)
            return
        try:
            self._pass_on()
        except OSError as exc:
            record.say(f"503 {self.command} {self.path.partition('?')[0]}: {exc}")
            self.send_error(503)

    def _pass_on(self) -> None:
        """The question to the Engine and its answer back as it comes, for as long as both want."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as engine:
            engine.connect(os.environ.get("STANDIN_SOCKET") or SOCKET)
            head = [f"{self.command} {self.path} HTTP/1.1", "Host: docker", "Connection: close"]
            head += [f"{name}: {self.headers[name]}" for name in _PASSED if self.headers.get(name)]
            engine.sendall("\r\n".join([*head, "", ""]).encode())
            self.connection.settimeout(None)  # a stream of events may be silent for hours
            watch = threading.Thread(target=_until_gone, args=(self.connection, engine), daemon=True)
            watch.start()
            try:
                while data := engine.recv(_CHUNK):
                    self.connection.sendall(data)
            except OSError:
                return  # whoever asked has left; the answer had begun, so there is nothing more to say

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class calls it so
        """Nothing: the log is ours."""


def _until_gone(asker: socket.socket, engine: socket.socket) -> None:
    """A stream of events ends when whoever asked for it has left."""
    try:
        while asker.recv(_CHUNK):
            pass
    except OSError:
        pass
    with contextlib.suppress(OSError):
        engine.shutdown(socket.SHUT_RDWR)


if __name__ == "__main__":
    run(PRODUCT, main)
