"""The real Traefik with the files that the role renders, on loopback, and small servers behind it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from real.installs import Unavailable, packaged_binary
from real.processes import free_port, running, wait_until
from support import stack_files

VERSION = "3.7.15"


def binary() -> Path:
    """Traefik's own binary, from its package."""
    return packaged_binary("traefik", VERSION, 50_000_000)


@dataclass
class Traefik:
    """A running one. ``get`` asks it as a client from the internet would."""

    folder: Path
    web: int
    websecure: int
    admin: int
    process: subprocess.Popen[bytes]
    tls: ssl.SSLContext

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    @property
    def dynamic(self) -> Path:
        return self.folder / "dynamic"

    def inside(self, path: str) -> Any:
        """What its own API answers on loopback; None where it does not answer."""
        connection = HTTPConnection("127.0.0.1", self.admin, timeout=5)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            text = answer.read().decode()
        except OSError:
            return None
        finally:
            connection.close()
        return json.loads(text) if text.startswith(("{", "[")) else text

    def open(self, host: str, path: str = "/", **headers: str) -> HTTPResponse:
        """The answer, with its body still to be read."""
        connection = HTTPSConnection("127.0.0.1", self.websecure, timeout=30, context=self.tls)
        connection.putrequest("GET", path, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", host)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        return connection.getresponse()

    def get(self, host: str, path: str = "/", **headers: str) -> tuple[int, str]:
        answer = self.open(host, path, **headers)
        return answer.status, answer.read().decode(errors="replace")

    def certificate(self, host: str, trusted: ssl.SSLContext) -> dict[str, Any]:
        """What is shown to a client that asks for this host. Raises ssl.SSLError where that does not trust it."""
        with (
            socket.create_connection(("127.0.0.1", self.websecure), 10) as plain,
            trusted.wrap_socket(plain, server_hostname=host) as secure,
        ):
            return dict(secure.getpeercert() or {})

    def route(self, services: Mapping[str, tuple[str, list[int]]]) -> None:
        """Lead hosts to ports of this machine, as labels of containers would: a router without TLS and middlewares."""
        content = {
            "http": {
                "routers": {
                    name: {"rule": f"Host(`{host}`)", "service": name} for name, (host, _ports) in services.items()
                },
                "services": {
                    name: {"loadBalancer": {"servers": [{"url": f"http://127.0.0.1:{port}"} for port in ports]}}
                    for name, (_host, ports) in services.items()
                },
            }
        }
        part = self.folder / "routes.part"
        part.write_text(yaml.safe_dump(content))
        part.rename(self.dynamic / "routes.yml")


@contextmanager
def server(folder: Path, env: Mapping[str, str] | None = None, web: int = 0, **more: Any) -> Iterator[Traefik]:
    """A running Traefik with the role's own files; ``more`` are variables of the role."""
    web, websecure, admin = web or free_port(), free_port(), free_port()
    variables = {
        "smos_environment": "sandbox",
        "smos_images": {"traefik": f"registry.example.com/traefik:v{VERSION}@{stack_files.DIGEST}"},
        "traefik_listen": {
            "web": f"127.0.0.1:{web}",
            "websecure": f"127.0.0.1:{websecure}",
            "admin": f"127.0.0.1:{admin}",
        },
        "traefik_folder": str(folder),
        "traefik_users_file": str(folder / "users"),
        "traefik_acme_storage": str(folder / "acme.json"),
        "traefik_engine": "",
        **more,
    }
    (folder / "dynamic").mkdir()
    (folder / "traefik.yml").write_text(stack_files.text("traefik", "traefik.yml.j2", **variables))
    (folder / "dynamic" / "smarteros-base.yml").write_text(stack_files.text("traefik", "dynamic.yml.j2", **variables))
    users = next(value for name, value in stack_files.stack("traefik", **variables).secrets.items() if "users" in name)
    (folder / "users").write_text(users)
    loose = ssl.create_default_context()
    loose.check_hostname, loose.verify_mode = False, ssl.CERT_NONE
    command = [str(binary()), f"--configfile={folder / 'traefik.yml'}"]
    with running(command, log=folder / "log", env={**os.environ, **(env or {})}, cwd=folder) as process:
        made = Traefik(folder, web, websecure, admin, process, loose)
        wait_until(lambda: made.inside("/ping") == "OK", "Traefik", process=process, log=folder / "log", seconds=60)
        yield made


@dataclass
class Backend:
    """A small server that answers as the test asks, and stops as a good service does: it finishes what it has begun."""

    name: str
    port: int = 0
    seen: list[dict[str, str]] = field(default_factory=list)
    more: threading.Event = field(default_factory=threading.Event)  # the second event is sent then
    _server: ThreadingHTTPServer | None = None

    def start(self) -> Backend:
        backend = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                backend.seen.append({"path": self.path, **dict(self.headers.items())})
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.path == "/events":
                    self._events()
                else:
                    self._text(backend.name * (5000 if self.path == "/long" else 1))

            def _text(self, text: str) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/plain")
                self.send_header("Content-Length", str(len(text)))
                self.send_header("X-Powered-By", "a test")
                self.end_headers()
                self.wfile.write(text.encode())

            def _events(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(b"data: 0\n\n")
                self.wfile.flush()
                backend.more.wait(20)
                self.wfile.write(b"data: 1\n\n")

            def log_message(self, *_args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def stop(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


def tool(name: str) -> str:
    """A program of the machine."""
    found = shutil.which(name)
    if not found:
        raise Unavailable(f"{name} is needed (Debian: apt install pebble)")
    return found
