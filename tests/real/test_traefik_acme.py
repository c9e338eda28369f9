"""Certificates from a real ACME server, ordered by the real Traefik with the role's files: for each name by HTTP, and one
for all names by DNS."""

from __future__ import annotations

import json
import ssl
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from real import traefik as real
from real.processes import free_port, running, wait_until
from real.tools import needing_tools
from real.traefik import Backend, Traefik
from support import stack_files


@dataclass(frozen=True)
class Acme:
    """Pebble, and the DNS server that it asks."""

    folder: Path
    directory: str
    manage: str
    dns: int
    records: str

    @property
    def ca(self) -> Path:
        """What its own address is trusted by."""
        return self.folder / "pebble.crt"

    def trust(self) -> ssl.SSLContext:
        """Trusts the certificates that it issues, and no others."""
        loose = ssl.create_default_context()
        loose.check_hostname, loose.verify_mode = False, ssl.CERT_NONE
        with urllib.request.urlopen(f"{self.manage}/roots/0", context=loose) as answer:
            return ssl.create_default_context(cadata=answer.read().decode())


@contextmanager
def acme(folder: Path, http_port: int) -> Iterator[Acme]:
    """It validates by HTTP at this port, wherever a name leads: all names lead to loopback here."""
    programs = {name: real.tool(name) for name in ("pebble", "pebble-challtestsrv", "openssl")}
    listen, manage, dns, records = (free_port() for _each in range(4))
    words = [
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
    ]
    subprocess.run(
        [programs["openssl"], *words, "-keyout", str(folder / "pebble.key"), "-out", str(folder / "pebble.crt")],
        check=True,
        capture_output=True,
    )
    config = {
        "listenAddress": f"127.0.0.1:{listen}",
        "managementListenAddress": f"127.0.0.1:{manage}",
        "certificate": str(folder / "pebble.crt"),
        "privateKey": str(folder / "pebble.key"),
        "httpPort": http_port,
        "tlsPort": free_port(),
        "ocspResponderURL": "",
        "externalAccountBindingRequired": False,
    }
    (folder / "pebble.json").write_text(json.dumps({"pebble": config}))
    off = ["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", ""]
    names = ["-defaultIPv4", "127.0.0.1", "-dns01", f"127.0.0.1:{dns}", "-management", f"127.0.0.1:{records}", *off]
    server = [programs["pebble"], "-config", str(folder / "pebble.json"), "-dnsserver", f"127.0.0.1:{dns}"]
    quick = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"}
    made = Acme(
        folder, f"https://127.0.0.1:{listen}/dir", f"https://127.0.0.1:{manage}", dns, f"http://127.0.0.1:{records}"
    )
    with ExitStack() as stack:
        stack.enter_context(running([programs["pebble-challtestsrv"], *names], log=folder / "names.log"))
        process = stack.enter_context(running(server, log=folder / "pebble.log", env=quick))
        wait_until(lambda: _answers(made.directory), "pebble", process=process, log=folder / "pebble.log", seconds=30)
        yield made


def _answers(url: str) -> bool:
    loose = ssl.create_default_context()
    loose.check_hostname, loose.verify_mode = False, ssl.CERT_NONE
    try:
        with urllib.request.urlopen(url, context=loose, timeout=2):
            return True
    except OSError:
        return False


@contextmanager
def dns_interface(records: str) -> Iterator[str]:
    """What a DNS provider's interface is to Traefik (lego's `httpreq`), in front of the test's DNS server."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            path = "/set-txt" if self.path == "/present" else "/clear-txt"
            body = {"host": asked["fqdn"], **({"value": asked["value"]} if path == "/set-txt" else {})}
            with urllib.request.urlopen(records + path, data=json.dumps(body).encode()):
                self.send_response(200)
                self.end_headers()

        def log_message(self, *_args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@contextmanager
def ordering(folder: Path, backend: Backend, **more: Any) -> Iterator[tuple[Traefik, Acme]]:
    """Traefik, as it is in production but for the address of the ACME server, and that server."""
    port = free_port()
    (folder / "acme").mkdir()
    (folder / "traefik").mkdir()
    with ExitStack() as stack:
        authority = stack.enter_context(acme(folder / "acme", port))
        endpoint = stack.enter_context(dns_interface(authority.records))
        variables = {
            "smos_environment": "production",
            "traefik_acme_server": authority.directory,
            "traefik_dns_resolvers": [f"127.0.0.1:{authority.dns}"],
            **more,
        }
        env = {"LEGO_CA_CERTIFICATES": str(authority.ca), "HTTPREQ_ENDPOINT": endpoint}
        traefik = stack.enter_context(real.server(folder / "traefik", env=env, web=port, **variables))
        traefik.route({"n8n": ("n8n.example.com", [backend.port]), "odoo": ("odoo.example.com", [backend.port])})
        yield traefik, authority


def names_of(traefik: Traefik, authority: Acme, host: str) -> set[str]:
    """The names of the certificate that is shown for a host, once the authority's is."""
    trusted = authority.trust()
    deadline = time.monotonic() + 60
    while True:
        try:
            certificate = traefik.certificate(host, trusted)
        except ssl.SSLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
            continue
        return {str(value) for kind, value in certificate["subjectAltName"] if kind == "DNS"}


@pytest.fixture
def backend() -> Iterator[Backend]:
    made = Backend("here").start()
    yield made
    made.stop()


def test_each_name_gets_its_certificate_by_http(
    tmp_path: Path, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack_files.known_secrets(monkeypatch)
    with needing_tools(), ordering(tmp_path, backend, traefik_acme_challenge="http") as (traefik, authority):
        assert names_of(traefik, authority, "n8n.example.com") == {"n8n.example.com"}
        assert names_of(traefik, authority, "odoo.example.com") == {"odoo.example.com"}
        assert traefik.get("n8n.example.com") == (200, "here")
        assert (traefik.folder / "acme.json").stat().st_mode & 0o777 == 0o600


def test_one_certificate_for_all_names_comes_by_dns(
    tmp_path: Path, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack_files.known_secrets(monkeypatch)
    by_dns = {
        "traefik_acme_challenge": "dns",
        "traefik_dns_provider": "httpreq",
        "traefik_dns_propagation": {"disableChecks": True},
    }
    with needing_tools(), ordering(tmp_path, backend, **by_dns) as (traefik, authority):
        names = names_of(traefik, authority, "n8n.example.com")
        assert names == {"example.com", "*.example.com"}
        assert names_of(traefik, authority, "never-seen.example.com") == names
        stored = json.loads((traefik.folder / "acme.json").read_text())["letsencrypt"]["Certificates"]
        assert len(stored) == 1
