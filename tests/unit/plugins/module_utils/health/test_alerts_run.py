# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Messages on their way: what goes out, what is remembered, and what happens when something is broken."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import notice_ways
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.notice_ways import Unsent
from ansible_collections.smartercl.smarteros.plugins.module_utils.health import alerts_run, config
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.alerts_plan import Alert
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.incident import CRITICAL, Incident
from unit.plugins.module_utils.backup.test_notice import TOKEN, Server, secret

NOW = 1_800_000_000.0
RULES: dict[str, Any] = {
    "routes": {"critical": ["admin/webhook"], "warning": ["admin/webhook"]},
    "escalation": [],
    "quiet_hours": None,
    "remind_h": {"critical": 6, "warning": 24},
    "flapping": {"times": 3, "within_min": 60},
    "per_hour": 6,
}
DOWN = Incident(1, "service:n8n", "service", CRITICAL, f"HTTP 502 token={TOKEN}", NOW - 600, None, "n8n", "", "n8n")


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture
def known(server: Server, tmp_path: Path) -> config.Config:
    ways = {"admin/webhook": {"url": f"{server.url}/hook", "token_file": secret(tmp_path, "hook")}}
    alerts = {"ways": ways, "rules": RULES, "ping_file": secret(tmp_path, "ping", f"{server.url}/ping/uuid")}
    return config.Config("production", ZoneInfo("America/Santiago"), config.Rules(), alerts=alerts)


@pytest.fixture
def folders(tmp_path: Path) -> Sequence[Path]:
    return (tmp_path / "state", tmp_path / "spare")


def texts(server: Server) -> list[str]:
    return [body["text"] for _path, _headers, body in server.got]


def test_what_goes_out_and_comes_back_and_no_secret_with_it(
    server: Server, known: config.Config, folders: Sequence[Path]
) -> None:
    assert alerts_run.tell([DOWN], known, NOW, folders) == ["admin/webhook: told of 1"]
    assert alerts_run.tell([DOWN], known, NOW + 300, folders) == []
    over = replace(DOWN, closed_at=NOW + 400)
    assert alerts_run.tell([over], known, NOW + 600, folders) == ["admin/webhook: told of 1"]
    assert alerts_run.tell([over], known, NOW + 900, folders) == []
    assert texts(server) == [
        "SmarterOS production: CRÍTICO: n8n: HTTP 502 token=",
        "SmarterOS production: Resuelto: n8n (duró 17 min)",
    ]
    assert [body["state"] for _path, _headers, body in server.got] == ["critical", "recovered"]
    assert TOKEN not in json.dumps([body for _path, _headers, body in server.got])
    assert stat.S_IMODE((folders[0] / alerts_run.FILE).stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["", "nonsense", "[]", '{"turn": 3}', '{"turn": 3, "ways": {"admin/webhook": 1}}'])
def test_a_broken_state_is_begun_anew_and_told_once(
    server: Server, known: config.Config, folders: Sequence[Path], text: str
) -> None:
    folders[0].mkdir()
    (folders[0] / alerts_run.FILE).write_text(text)
    said = alerts_run.tell([DOWN], known, NOW, folders)
    assert "begun anew" in said[0]
    assert alerts_run.tell([DOWN], known, NOW + 300, folders) == []
    assert len(server.got) == 1


def test_a_collector_that_is_killed_while_it_tells_neither_forgets_nor_floods(
    server: Server, known: config.Config, folders: Sequence[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = alerts_run._sent

    class Killed(BaseException):
        pass

    def dies(alerts: Sequence[Alert], setting: alerts_run.Setting) -> dict[str, str]:
        sent(alerts, setting)
        raise Killed

    monkeypatch.setattr(alerts_run, "_sent", dies)
    for number in range(36):  # three hours of a collector that dies after each message
        try:
            alerts_run.tell([DOWN], known, NOW + 300 * number, folders)
        except Killed:
            continue
    assert len(server.got) <= 9
    monkeypatch.setattr(alerts_run, "_sent", sent)
    assert alerts_run.tell([DOWN], known, NOW + 300 * 48, folders) == ["admin/webhook: told of 1"]
    assert alerts_run.tell([DOWN], known, NOW + 300 * 49, folders) == []


def test_a_way_that_refuses_is_tried_again_later(server: Server, known: config.Config, folders: Sequence[Path]) -> None:
    server.answer = (500, {}, {"error": TOKEN})
    (said,) = alerts_run.tell([DOWN], known, NOW, folders)
    assert said.startswith("admin/webhook: could not be told of 1: 127.0.0.1 refuses it (HTTP 500)")
    server.answer = (200, {}, None)
    assert alerts_run.tell([DOWN], known, NOW + 299, folders) == []
    assert alerts_run.tell([DOWN], known, NOW + 300, folders) == ["admin/webhook: told of 1"]


def test_a_way_that_hangs_keeps_nobody(
    server: Server, known: config.Config, folders: Sequence[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts_run, "WHOLE_S", 0.2)
    server.pause = 600.0
    (said,) = alerts_run.tell([DOWN], known, NOW, folders)
    assert "no answer within 0.2 s" in said


def test_a_full_disk_is_told_once_from_memory_and_nothing_is_sent_that_nobody_could_remember(
    server: Server, known: config.Config, folders: Sequence[Path]
) -> None:
    folders[0].write_text("in the way")  # no folder can be made there
    assert alerts_run.tell([DOWN], known, NOW, folders) == ["admin/webhook: told of 1"]
    assert alerts_run.tell([DOWN], known, NOW + 300, folders) == []
    folders[0].unlink()
    over = replace(DOWN, closed_at=NOW + 400)
    assert alerts_run.tell([over], known, NOW + 600, folders) == ["admin/webhook: told of 1"]
    assert not (folders[1] / alerts_run.FILE).exists()
    (folders[0] / alerts_run.FILE).unlink()
    folders[0].rmdir()
    folders[0].write_text("in the way again")
    (folders[1]).rmdir()
    folders[1].write_text("and there")
    server.got.clear()
    with pytest.raises(OSError, match="state"):
        alerts_run.tell([DOWN], known, NOW + 900, folders)
    assert server.got == []


def test_without_ways_or_sound_rules_the_log_says_so(known: config.Config, folders: Sequence[Path]) -> None:
    nobody = replace(known, alerts={})
    assert alerts_run.tell([DOWN], nobody, NOW, folders) == [
        "nobody is told of incidents: no way to the admin is configured"
    ]
    assert alerts_run.tell([], nobody, NOW, folders) == []
    wrong = replace(known, alerts={**known.alerts, "rules": {}})
    assert "the rules cannot be used (KeyError)" in alerts_run.tell([DOWN], wrong, NOW, folders)[0]


def test_the_ping_goes_to_its_address_and_a_failure_shows_none_of_it(server: Server, known: config.Config) -> None:
    assert alerts_run.ping(known) == []
    assert [path for path, _headers, _body in server.got] == ["/ping/uuid"]
    server.answer = (503, {}, None)
    (said,) = alerts_run.ping(known)
    assert said == "ping: 127.0.0.1 refuses it (HTTP 503); tried again with the next pass"
    assert alerts_run.ping(replace(known, alerts={})) == []
    with pytest.raises(Unsent, match="without TLS"):
        notice_ways.ping("http://example.com/uuid")
