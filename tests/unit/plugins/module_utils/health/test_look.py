# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What a look makes of answers and figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine, EngineError
from ansible_collections.smartercl.smarteros.plugins.module_utils.health import figures, look
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.config import Config, Rules, Watched
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.incident import DEGRADED, DOWN, UNKNOWN, UP
from ansible_collections.smartercl.smarteros.plugins.module_utils.probe import Probe

RUT = "76000001-1"
SHOP = Config("production", ZoneInfo("UTC"), Rules(), tenants={RUT: Watched("pan.example.com", "/", title="Pan")})


@pytest.mark.parametrize(
    ("answer", "state", "message"),
    [
        (Probe(200, 12.0), UP, ""),
        (Probe(301, 12.0), UP, ""),
        (Probe(401, 12.0), UP, ""),
        (Probe(404, 12.0), DEGRADED, "pan.example.com answers HTTP 404"),
        (Probe(502, 12.0), DOWN, "pan.example.com answers HTTP 502"),
        (Probe(0, 12.0, why="timed out"), DOWN, "pan.example.com does not answer: timed out"),
    ],
)
def test_a_tenant_is_there_when_something_answers(answer: Probe, state: str, message: str) -> None:
    (seen,) = look.of_tenants(SHOP, {RUT: answer}, 0.0)
    assert (seen.state, seen.message) == (state, message)
    assert seen.subject.tenant == RUT
    assert seen.latency_ms == (12 if answer.status else None)


def service(state: str, **more: Any) -> dict[str, Any]:
    return {"state": state, "latency_ms": 3.4, "version": "1", "message": "", **more}


def test_what_is_not_deployed_is_not_watched() -> None:
    rows = {"n8n": service("up"), "odoo": service("unknown", version="")}
    (seen,) = look.of_services(rows, 99.5)
    assert (seen.subject.key, seen.subject.target, seen.latency_ms) == ("service:n8n", 99.5, 3)


@pytest.mark.parametrize(("days", "state"), [(60, UP), (13, DEGRADED), (-1, DOWN), (None, UNKNOWN)])
def test_a_certificate_ends(days: int | None, state: str) -> None:
    found = {"n8n.example.com": {"days": days, "expires": "2026-12-01T00:00:00Z", "self_made": False}}
    (seen,) = look.of_certificates(found, Rules())
    assert seen.state == state


def backups(**more: Any) -> dict[str, Any]:
    return {"age_h": 6.0, "drill_age_d": 3.0, "errors": [], **more}


@pytest.mark.parametrize(
    ("found", "states"),
    [
        ({}, []),
        (backups(), [UP, UP]),
        (backups(age_h=30.0), [DEGRADED, UP]),
        (backups(age_h=None, drill_age_d=None), [DEGRADED, UNKNOWN]),
        (backups(drill_age_d=12.0), [UP, DEGRADED]),
        (backups(errors=[{"why": "the backup failed"}]), [DEGRADED, UP]),
    ],
)
def test_backups_grow_old(found: dict[str, Any], states: list[str]) -> None:
    assert [each.state for each in look.of_backups(found, Rules())] == states


def test_the_machine_is_measured_against_its_thresholds() -> None:
    seen = {each.subject.key: each for each in look.of_machine({"memory_percent": 85.1, "disk_percent": 90.0}, Rules())}
    assert seen["host:memory"].state == DEGRADED
    assert seen["host:memory"].message == "85 % in use, more than 85 %"
    assert seen["host:disk"].state == UP
    assert seen["host:cpu"].state == UNKNOWN


@pytest.mark.parametrize("said", [EngineError("refused"), {"host": {"engine": ""}}])
def test_without_an_engine_tenants_are_looked_at_all_the_same(said: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def status(*_given: Any) -> Any:
        if isinstance(said, Exception):
            raise said
        return said

    monkeypatch.setattr(look.vps_status, "status", status)
    monkeypatch.setattr(look.probe, "ask_all", lambda asked, *_given: dict.fromkeys(asked, Probe(200, 1.0)))
    known = replace(SHOP, services={"n8n": Watched("n8n.example.com", "/healthz")})
    states = {each.subject.key: each.state for each in look.look(known, Engine(), 0.0)}
    assert states == {"host:engine": DOWN, "service:n8n": UNKNOWN, f"tenant:{RUT}": UP}


def test_the_kernels_figures(tmp_path: Path) -> None:
    (tmp_path / "stat").write_text("cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1 2\n", encoding="ascii")
    (tmp_path / "meminfo").write_text("MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 250 kB\n", encoding="ascii")
    assert figures.ticks(tmp_path) == (850, 1000)
    assert figures.memory_percent(tmp_path) == 75.0
    assert figures.cpu_percent([850, 1000], (900, 1200)) == 75.0
    assert figures.cpu_percent(None, (900, 1200)) is None
    assert figures.cpu_percent([5000, 9000], (900, 1200)) is None
    assert 0 < figures.disk_percent([str(tmp_path)]) <= 100
