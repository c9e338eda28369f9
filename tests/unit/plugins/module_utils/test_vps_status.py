"""How the machine and its services are."""

from __future__ import annotations

import calendar
import http.server
import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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


# --- backups

NOW = calendar.timegm((2026, 11, 23, 5, 0, 0))
GOOD = {"at": "2026-11-22T05:03:00Z", "id": "20261122-050000", "added": 7}


SETTINGS = {
    "environment": "staging",
    "path": "/backups",
    "password_file": "/p",
    "services": {name: {} for name in ("n8n", "odoo", "metabase")},
}
HELD = dict.fromkeys(("n8n", "odoo"), GOOD["id"])


def backups(folder: Path, entries: dict[str, Any], verified: dict[str, Any] | None = None) -> dict[str, Any]:
    (folder / "config.json").write_text(json.dumps(SETTINGS))
    (folder / "last.json").write_text(json.dumps(entries))
    (folder / "verified.json").write_text(json.dumps(verified or {}))
    return told(folder, ("n8n", "odoo", "mail"))


def told(folder: Path, here: tuple[str, ...] = ()) -> dict[str, Any]:
    config, last, verified = (folder / f"{name}.json" for name in ("config", "last", "verified"))
    return vps_status.backups(NOW, config, last, verified, here)


def test_a_machine_that_takes_no_backups_says_nothing_of_them(tmp_path: Path) -> None:
    assert vps_status.backups(NOW, tmp_path / "config.json") == {}


def test_the_newest_good_backup_is_told_with_its_age_and_places(tmp_path: Path) -> None:
    entries = {
        "backup": {"ok": True, "at": GOOD["at"], "good": GOOD, "held": HELD},
        "drill": {"ok": True, "at": "2026-11-21T17:00:00Z", "good": {**GOOD, "at": "2026-11-21T17:00:00Z"}},
    }
    verified = {name: {"ok": True, "ids": [GOOD["id"]]} for name in ("far", "local")}
    verified["behind"] = {"ok": True, "ids": ["20261121-050000"]}
    assert backups(tmp_path, entries, verified) == {
        "last": GOOD["id"],
        "age_h": 24.0,
        "verified": True,
        "location": ["local", "far"],
        "drill_age_d": 1.5,
        "errors": [],
    }


def test_what_fails_is_told_beside_the_last_that_was_good(tmp_path: Path) -> None:
    failed = {"ok": False, "at": "2026-11-23T05:02:00Z", "message": "the disk is full"}
    entries = {"backup": {**failed, "good": GOOD, "held": HELD}}
    found = backups(tmp_path, entries)
    assert (found["last"], found["location"]) == (GOOD["id"], ["local"])
    (error,) = found["errors"]
    assert error["what"] == "backups: backup"
    assert "the disk is full" in error["why"]


@pytest.mark.parametrize(
    "entries", [{}, {"backup": {"ok": False, "good": None, "held": {}}}], ids=["never", "never well"]
)
def test_without_a_good_backup_there_is_no_newest(tmp_path: Path, entries: dict[str, Any]) -> None:
    found = backups(tmp_path, entries)
    assert (found["last"], found["age_h"], found["verified"], found["location"], found["drill_age_d"]) == (
        "",
        None,
        False,
        [],
        None,
    )


def test_the_backup_of_one_service_makes_the_others_no_younger(tmp_path: Path) -> None:
    held = {**HELD, "odoo": "20261123-040000"}
    later = {"ok": True, "good": {**GOOD, "id": "20261123-040000"}, "held": held}
    found = backups(tmp_path, {"backup": later})
    assert (found["last"], found["age_h"], found["errors"]) == (GOOD["id"], 24.0, [])
    both = {**later, "held": dict.fromkeys(HELD, "20261123-040000")}
    assert backups(tmp_path, {"backup": both})["age_h"] == 1.0
    gone = {**later, "held": {**held, "n8n": "20261123-040000", "metabase": "20261001-050000"}}
    assert backups(tmp_path, {"backup": gone})["age_h"] == 1.0, "what runs here no more does not count"


def test_a_service_that_no_backup_holds_is_told(tmp_path: Path) -> None:
    entry = {"ok": True, "good": GOOD, "held": {"odoo": GOOD["id"]}}
    found = backups(tmp_path, {"backup": entry})
    assert found["last"] == GOOD["id"]
    (error,) = found["errors"]
    assert (error["what"], error["next"]) == ("backups: n8n", "smos backup n8n")


def test_settings_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    backups(tmp_path, {"backup": {"ok": True, "good": GOOD, "held": HELD}})
    (tmp_path / "config.json").write_text("{")
    found = told(tmp_path)
    assert found["last"] == GOOD["id"]
    assert "cannot be used" in found["errors"][0]["why"]
