"""What the stand-ins of REST APIs have in common: a server on loopback that takes and gives JSON."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[str, str, Any, str], tuple[int, Any]]
"""Of method, path with query, body and the header Authorization: status and body; None is no body."""
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@contextmanager
def listening(answer: Answer, headers: Mapping[str, str] | None = None) -> Iterator[str]:
    """A server that answers so until the block ends; gives its address. ``headers`` come with each answer."""

    class Handler(BaseHTTPRequestHandler):
        def serve(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            status, said = answer(self.command, self.path, body, self.headers.get("Authorization", ""))
            data = b"" if said is None else json.dumps(said).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_words: Any) -> None:
            """Tests say what went wrong."""

    for method in METHODS:
        setattr(Handler, f"do_{method}", Handler.serve)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
