"""A registry of images that speaks the distribution API; what a repository is called says how it behaves."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MANIFEST = b'{"schemaVersion": 2}'
DIGEST = f"sha256:{hashlib.sha256(MANIFEST).hexdigest()}"


class Stub(ThreadingHTTPServer):
    """A registry of which a test says how it behaves, by repository."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str, str]] = []
        self.seen: dict[str, int] = {}

    @property
    def name(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """What a repository is called says what it does."""

    server: Stub

    def log_message(self, *_args: Any) -> None:
        """Keep quiet."""

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        if self.path.startswith("/token"):
            self._send(200, json.dumps({"token": "a-token"}).encode())
            return
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        self.server.asked.append((self.command, self.path, self.headers.get("Authorization", "")))
        kind = self.path.split("/")[-3]
        times = self.server.seen[kind] = self.server.seen.get(kind, 0) + 1
        told = {"Docker-Content-Digest": DIGEST}
        if kind == "private" and not self.headers.get("Authorization"):
            realm = f'Bearer realm="http://{self.server.name}/token",service="here",scope="repository:private:pull"'
            self._send(401, b"", **{"WWW-Authenticate": realm})
        elif kind == "basic":
            self._send(401, b"", **{"WWW-Authenticate": 'Basic realm="x"'})
        elif kind == "absent":
            self._send(404, b"")
        elif kind == "busy" and times < 3:
            self._send(429, b"", **{"Retry-After": "0"})
        elif kind == "broken":
            self._send(503, b"")
        elif kind == "silent":
            self._send(200, MANIFEST if with_body else b"")
        elif kind == "odd":
            self._send(200, b"", **{"Docker-Content-Digest": "md5:1"})
        else:
            assert "application/vnd.oci.image.index.v1+json" in self.headers["Accept"]
            self._send(200, b"", **told)

    def _send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def running() -> Iterator[Stub]:
    """A stub that answers until the block ends."""
    server = Stub()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
