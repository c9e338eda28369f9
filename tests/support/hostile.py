"""A provider that means harm: an HTTP server on loopback that misbehaves in one of many ways, whatever it is asked."""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator

Way = Callable[[socket.socket, str], None]
"""Gets the connection and its own address, once the request has been read."""


def _reply(body: bytes, status: str = "200 OK", kind: str = "application/json", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def _always(raw: bytes) -> Way:
    return lambda connection, _url: connection.sendall(raw)


def _json(value: object) -> Way:
    return _always(_reply(json.dumps(value).encode()))


def _endless(head: bytes, piece: bytes) -> Way:
    def send(connection: socket.socket, _url: str) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(piece)

    return send


def _dripping(raw: bytes, pause: float = 0.05) -> Way:
    """One byte now and then: never silent for long, never ready."""

    def send(connection: socket.socket, _url: str) -> None:
        for byte in itertools.chain(raw, itertools.repeat(0x20)):
            connection.sendall(bytes([byte]))
            time.sleep(pause)

    return send


def _redirecting(connection: socket.socket, url: str) -> None:
    """To another name of the same machine, over and over."""
    other = url.replace("127.0.0.1", "localhost")
    connection.sendall(_reply(b"", "302 Found", "text/html", f"Location: {other}/elsewhere"))


def _silent(connection: socket.socket, _url: str) -> None:
    with contextlib.suppress(OSError):
        connection.recv(1)


_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
WAYS: dict[str, Way] = {
    "ten megabytes of JSON": _always(_reply(b"[" + b"0," * 5_000_000 + b"0]")),
    "ten megabytes of text": _always(_reply(b'"' + b"x" * 10_000_000 + b'"')),
    "a body without end": _endless(_OK + b"\r\n[", b"0," * 32768),
    "chunks without end": _endless(_OK + b"Transfer-Encoding: chunked\r\n\r\n", b"8000\r\n" + b"[" * 0x8000 + b"\r\n"),
    "a page in the place of JSON": _always(_reply(b"<!doctype html><title>Starting</title>", kind="text/html")),
    "nested a hundred thousand levels deep": _always(_reply(b"[" * 100_000 + b"]" * 100_000)),
    "numbers beyond all measure": _always(_reply(b'{"total": 1e999, "id": NaN, "n": Infinity}')),
    "a number of ten thousand digits": _always(_reply(b"[" + b"9" * 10_000 + b"]")),
    "invalid UTF-8": _always(_reply(b'{"name": "\xff\xfe\xc3"}')),
    "half a surrogate pair": _always(_reply(b'{"name": "\\ud800", "message": "\\ud800", "error": "\\ud800"}')),
    "truncated JSON": _always(_reply(b'{"result": [{"id": "x"')),
    "a length that is too large": _always(_OK + b"Content-Length: 1000\r\nConnection: close\r\n\r\n{}"),
    "a length that is too small": _always(_OK + b'Content-Length: 3\r\n\r\n{"result": []}'),
    "a length that is none": _always(_OK + b"Content-Length: many\r\nConnection: close\r\n\r\n{}"),
    "packed data that are none": _always(_reply(b"not packed", "200 OK", "application/json", "Content-Encoding: gzip")),
    "a drip in the body": _dripping(_OK + b"Content-Length: 100000\r\n\r\n["),
    "a drip in the headers": _dripping(b"HTTP/1.1 200 OK\r\nX-Slow: "),
    "silence": _silent,
    "a redirect in circles to another host": _redirecting,
    "a header that is too long": _always(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 200_000 + b"\r\n\r\n"),
    "a thousand headers": _always(b"HTTP/1.1 200 OK\r\n" + b"X-More: y\r\n" * 1000 + b"\r\n"),
    "headers without end": _endless(b"HTTP/1.1 200 OK\r\n", b"X-More: y\r\n" * 100),
    "no HTTP at all": _always(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "continue without end": _endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
    "nothing": lambda _connection, _url: None,
    "a strange time to wait": _always(_reply(b"{}", "429 Too Many Requests", "application/json", "Retry-After: \xb2")),
    "a day to wait": _always(_reply(b"{}", "429 Too Many Requests", "application/json", "Retry-After: 86400")),
    "status 999": _always(_reply(b"{}", "999 Whatever")),
    **{
        f"JSON {text} with status {status}": _always(_reply(text.encode(), status))
        for text in ("null", "true", "7", '"text"', "[]", "{}", "[null]", "[[]]", '[{"id": []}]', '{"data": 7}')
        for status in ("200 OK",)
    },
    **{
        f"JSON {text} with status {status}": _always(_reply(text.encode(), status))
        for text in (
            "null",
            "[7]",
            '{"message": [7], "errors": [7], "error": [7]}',
            '{"message": {}, "errors": {"a": 7}}',
        )
        for status in ("400 Bad Request", "401 Unauthorized", "422 Unprocessable", "500 Internal Server Error")
    },
    **{
        f"wrong types {number}": _json(value)
        for number, value in enumerate(
            (
                {"success": True, "result": {"id": []}, "errors": "none", "data": "x", "meta": [], "message": {}},
                {"success": True, "result": [7], "result_info": [], "data": [7], "meta": 7, "payload": [7]},
                {"success": 1, "result": [{"id": 7}], "data": {"id": {}}, "error": 7, "errors": {"a": 7}},
                {"jsonrpc": "2.0", "id": 1, "result": 7, "error": [7], "data": [{"id": None}], "projects": {}},
            )
        )
    },
}


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, way: Way) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.way = way
        self.hosts: list[str] = []

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is the purpose."""


class _Handler(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        """One request per connection."""
        length = 0
        while (line := self.rfile.readline(65536)) not in (b"\r\n", b"\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            if name.lower() == "content-length":
                length = int(value)
            if name.lower() == "host":
                self.server.hosts.append(value.strip())
        self.rfile.read(length)
        self.server.way(self.connection, self.server.url)


class Hostile:
    """A running server; ``hosts`` are the names that it was asked under."""

    def __init__(self, server: _Server) -> None:
        self._server = server
        self.url = server.url

    @property
    def hosts(self) -> list[str]:
        """The ``Host`` header of each request."""
        return list(self._server.hosts)


@contextlib.contextmanager
def serving(way: Way) -> Iterator[Hostile]:
    """A server that behaves this way, as long as the block lasts."""
    with _Server(way) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield Hostile(server)
        server.shutdown()
