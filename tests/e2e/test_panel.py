"""`smos panel` as a process: the documented conversation, and every way in that is refused."""

from __future__ import annotations

import json
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from smos.panel import answers, http, signature
from smos.sandbox import server
from support import panel as people
from support.instance import ACME, PATIENCE_S, ROOT, Instance
from support.panel import APP_SECRET, CARRIER, FOUNDER, STRANGER, VERIFY, Panel, message, webhook
from tools import panel_talk


@pytest.fixture(scope="module")
def panel(shared_smos: Instance) -> Iterator[Panel]:
    assert shared_smos.create(ACME).code == 0
    with people.serving(shared_smos) as there:
        yield there


def runs(smos: Instance) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((smos.state / "runs").glob("*.json"))]


def test_the_documented_conversation_is_what_happens(panel: Panel) -> None:
    page = (ROOT / "docs" / "panel.md").read_text(encoding="utf-8")
    assert people.talk(panel) == panel_talk.written(page), "run tests/tools/panel_talk.py"
    assert panel.smos.phases() == {ACME.rut: "suspended"}
    found = {row["command"]: row for row in runs(panel.smos)}
    assert {"panel tenants", "panel ventas", "panel suspender", "tenant suspend"} <= set(found)
    assert found["tenant suspend"]["who"].endswith(" for panel +569******01")
    assert found["panel suspender"]["result"]["run"] == found["tenant suspend"]["run"]
    kept = json.dumps([runs(panel.smos), panel.audited()])
    assert not [secret for secret in (APP_SECRET, CARRIER, VERIFY, FOUNDER) if secret in kept]
    folder = panel.smos.state / "panel"
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir())}
    assert modes == {"panel": 0o700, "audit.jsonl": 0o600, "seen.db": 0o600}


class Before:
    """What there was before something that shall come to nothing."""

    def __init__(self, panel: Panel) -> None:
        self._panel, smos = panel, panel.smos
        self._runs, self._answers, self._registered = len(runs(smos)), len(panel.answers()), smos.registered()
        self._seen = smos.seen()

    def is_unchanged(self) -> bool:
        """Whether nothing was run, answered or changed; what came before was worked on once this is answered."""
        assert self._panel.write("ayuda")[0].startswith("Esto entiendo")
        smos, one = self._panel.smos, 1
        found = len(runs(smos)), len(self._panel.answers()), smos.registered()
        written = set(smos.writes(self._seen)) - {"whatsapp messages.send"}
        return not written and found == (self._runs + one, self._answers + one, self._registered)


def test_what_does_not_come_from_meta_by_the_carrier_is_refused(panel: Panel) -> None:
    before, audited = Before(panel), len(panel.audited())
    body = webhook(message("estado"))
    got = [
        panel.post(body, Authorization=""),
        panel.post(body, Authorization=f"Bearer {CARRIER}x"),
        panel.post(body, **{signature.HEADER: ""}),
        panel.post(body, **{signature.HEADER: signature.signed("another-secret", body)}),
        panel.post(body, **{signature.HEADER: signature.signed(APP_SECRET, body + b" ")}),
        panel.post(b'{"object": "whatsapp_business_account", "entry": [{"changes": "reboot"}]}'),
        panel.post(webhook(message("estado", id="$(reboot)\n"))),
        requests.put(panel.address, headers=panel.headers, timeout=60),
    ]
    assert [each.status_code for each in got] == [401, 401, 403, 403, 403, 400, 400, 405]
    assert got[0].headers["WWW-Authenticate"] == "Bearer"
    assert before.is_unchanged()
    told = [row for row in panel.audited()[audited:] if row["what"] == "request"]
    assert [row["code"] for row in told] == [401, 401, 403, 403, 403, 400, 400]
    assert "reboot" not in json.dumps(told)


@pytest.mark.parametrize("length", [f"Content-Length: {http.LARGEST_BODY + 1}", "Transfer-Encoding: chunked"])
def test_a_large_body_is_refused_before_it_was_read(panel: Panel, length: str) -> None:
    place, before = urlsplit(panel.address), len(panel.audited())
    assert place.hostname is not None
    head = f"POST {http.PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {CARRIER}\r\n{length}\r\n\r\n"
    with socket.create_connection((place.hostname, place.port or 0), timeout=600) as wire:
        wire.sendall(head.encode())
        part = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        try:
            for _part in range(64 if "chunked" in length else 0):
                wire.sendall(part)
            said = wire.recv(100)
        except OSError:
            said = b""  # it has hung up on what still came
        assert not said or b" 413 " in said
    assert [row["code"] for row in panel.audited()[before:]] == [413]


def test_meta_is_told_that_the_address_is_ours(panel: Panel) -> None:
    asked = {"hub.mode": "subscribe", "hub.verify_token": VERIFY, "hub.challenge": "1158201444"}

    def said(**other: str) -> tuple[int, str]:
        got = requests.get(panel.address, params={**asked, **other}, headers=panel.headers, timeout=60)
        return got.status_code, got.text

    assert said() == (200, "1158201444")
    assert said(**{"hub.verify_token": "another"})[0] == 403
    assert said(**{"hub.mode": "other"})[0] == 403
    assert said(**{"hub.challenge": "<script>"})[0] == 403


def test_strangers_replays_and_old_messages_are_not_answered(panel: Panel) -> None:
    row, count = message("ayuda"), len(panel.answers())
    assert panel.post(webhook(row)).ok
    panel.wait(count)
    before, old = Before(panel), str(int(time.time()) - 3600)
    got = [
        panel.post(webhook(row)),
        panel.post(webhook(message("suspender acme", STRANGER))),
        panel.post(webhook(message("suspender acme", timestamp=old))),
        panel.post(webhook(message("suspender acme"), to="100000000000003")),
        panel.post(json.dumps({"object": "whatsapp_business_account", "entry": []}).encode()),
    ]
    assert {each.status_code for each in got} == {200}
    assert before.is_unchanged()
    whys = [each["why"] for each in panel.audited() if each["event"] == "refused"][-4:]
    assert [why.split()[-1] for why in whys] == ["before", "list", "come", "app"]


def test_a_replay_is_refused_after_a_restart_and_a_panel_may_only_look(panel: Panel) -> None:
    row = message("respaldar")
    with people.serving(panel.smos, "--check") as other:
        before = len(other.answers())
        assert other.post(webhook(row)).ok
        other.wait(before)
    before = len(panel.answers())
    assert panel.post(webhook(row)).ok
    assert panel.audited()[-1]["why"] == "it came before"
    assert len(panel.answers()) == before


def test_told_to_end_it_stops_what_runs_and_says_so(panel: Panel) -> None:
    server.fault(panel.smos.sandbox, provider="shopify", kind="latency", seconds=600, times="always")
    with people.serving(panel.smos) as other:
        before, audited = len(other.answers()), len(other.audited())
        assert other.post(webhook(message("ventas hoy"), message("ayuda"))).ok
        until = time.monotonic() + PATIENCE_S
        while not any(row["event"] == "started" for row in other.audited()[audited:]):
            assert time.monotonic() < until
            time.sleep(0.02)
        assert other.process is not None
        other.process.terminate()
        assert other.process.wait(PATIENCE_S) == 0
    server.clear_faults(panel.smos.sandbox)
    told = [(row["event"], row["what"]) for row in panel.audited()[audited:]]
    assert told == [("started", "ventas hoy"), ("failed", "ventas hoy"), ("refused", "text")]
    assert panel.wait(before) == [answers.STOPPED]


@pytest.mark.parametrize(("name", "code"), [("SMOS_PANEL_NUMBERS", 3), ("SMOS_PANEL_APP_SECRET", 3)])
def test_without_numbers_or_secrets_nothing_is_served(shared_smos: Instance, name: str, code: int) -> None:
    variables: dict[str, Any] = {**people.variables(shared_smos), name: ""}
    done = shared_smos.run("panel", "--json", **variables)
    assert (done.code, done.document["errors"][0]["what"]) == (code, name)


def test_the_workflow_is_in_the_form_of_a_file_that_is_pushed() -> None:
    from ansible_collections.smartercl.smarteros.plugins.plugin_utils import workflow_sync_form

    found = workflow_sync_form.read(Path(ROOT / "specs/workflows/system/founder-panel.json"))
    assert found["tags"] == ["smarteros"]
