"""How the machine and its services are."""

from __future__ import annotations

import calendar
import http.server
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import probe, vps_status


class Service(http.server.BaseHTTPRequestHandler):
    """Answers by the name that it is asked by."""

    def do_GET(self) -> None:
        good = self.headers["Host"] == "good.example.com"
        self.send_response(200 if good else 502)
        self.end_headers()
        self.wfile.write(b'{"queue_services": "failing", "data_services": "ok"}')

    def log_message(self, *_arguments: object) -> None:
        """Be quiet."""


@pytest.fixture(scope="module")
def https(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("https")
    words = "openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=example.com -keyout key.pem -out cert.pem"
    subprocess.run(words.split(), cwd=folder, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def test_services_are_asked_by_their_names(https: int) -> None:
    questions = {name: probe.Question(f"{name}.example.com", port=https) for name in ("good", "bad")}
    questions["gone"] = probe.Question("gone.example.com", port=1)
    found = probe.ask_all(questions, 10)
    assert (found["good"].status, found["bad"].status, found["gone"].status) == (200, 502, 0)
    assert probe.what_is_wrong("good", found["good"]) == ""
    assert probe.what_is_wrong("chatwoot", found["good"]) == "queue_services failing"
    assert probe.what_is_wrong("bad", found["bad"]) == "HTTP 502"
    assert "refused" in probe.what_is_wrong("gone", found["gone"])
    certificate = vps_status.certificate(found["good"].certificate, calendar.timegm((2000, 1, 1, 0, 0, 0)))
    assert certificate["expires"]
    assert not certificate["self_made"]
    assert certificate["days"] > 9000


def test_the_end_of_a_certificate_is_read_from_it(tmp_path: Path) -> None:
    words = "openssl req -x509 -newkey rsa:2048 -nodes -days 40 -keyout key.pem -out cert.der -outform DER -subj"
    subprocess.run([*words.split(), "/CN=TRAEFIK DEFAULT CERT"], cwd=tmp_path, check=True, capture_output=True)
    der = (tmp_path / "cert.der").read_bytes()
    shown = subprocess.run(
        ["openssl", "x509", "-inform", "DER", "-noout", "-enddate", "-dateopt", "iso_8601"],
        input=der,
        capture_output=True,
        check=True,
    ).stdout.decode()
    found = vps_status.certificate(der, 0.0)
    assert found["expires"].replace("T", " ") in shown
    assert found["self_made"]


def test_what_is_no_certificate_has_no_end() -> None:
    assert vps_status.certificate(b"nothing", 0.0) == {"expires": "", "days": None, "self_made": False}


@pytest.mark.parametrize(
    ("service", "text", "wrong"),
    [
        ("botpress", '{"botpress": "up", "database": "down", "messaging": "up", "nlu": "down"}', "database down"),
        ("botpress", '{"botpress": "up", "database": "up", "messaging": "up", "nlu": "down"}', ""),
        ("chatwoot", "not JSON", ""),
        ("n8n", "[]", ""),
    ],
)
def test_a_part_that_is_down_is_told_although_the_answer_is_200(service: str, text: str, wrong: str) -> None:
    assert probe.what_is_wrong(service, probe.Probe(200, 1.0, text)) == wrong
