# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The collector tells people after each look, whatever else fails."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine
from ansible_collections.smartercl.smarteros.plugins.module_utils.health import alerts_run, heartbeat, look, program
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.incident import DOWN, UP, Observation
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.kept import Kept
from unit.plugins.module_utils.backup.test_notice import Server
from unit.plugins.module_utils.health.test_alerts_run import RULES
from unit.plugins.module_utils.health.test_kept import AT, KNOWN, N8N, Database


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


class Collector:
    """One that looks every five minutes, at a database that is away."""

    def __init__(self, files: Kept, server: Server) -> None:
        alerts = {"ways": {"admin/webhook": {"url": server.url}}, "rules": RULES}
        self.files, self.known, self.at = files, replace(KNOWN, alerts=alerts), AT
        self.database = Database()
        self.database.away = True

    def look(self) -> int:
        self.at += 300
        with self.files.alone():
            return program.one_pass(self.known, self.files, Engine(), self.database, self.at)  # type: ignore[arg-type]  # what it needs of a store


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found = [UP]
    monkeypatch.setattr(look, "look", lambda *_given: [Observation(N8N, found[-1], "HTTP 502")])
    monkeypatch.setattr(look, "measured", lambda *_given: ({"disk_percent": 40.0}, (1, 2)))
    return found


def test_people_hear_of_it_also_when_the_database_is_away(tmp_path: Path, server: Server, state: list[str]) -> None:
    collector = Collector(Kept(tmp_path / "health"), server)
    for each in (UP, DOWN, DOWN, DOWN, UP, UP, UP, UP):
        state.append(each)
        assert collector.look() == program.FAILED
    assert [body["state"] for _path, _headers, body in server.got] == ["critical", "recovered"]
    assert heartbeat.last(collector.files.folders) is not None
    kept = program.lately(collector.files, collector.at)
    assert [each.closed_at is not None for each in kept] == [True]
    assert program.lately(collector.files, collector.at + program.DAY_S) == []


def test_who_cannot_remember_what_he_told_is_silent_and_counts_as_dead(
    tmp_path: Path, server: Server, state: list[str]
) -> None:
    collector = Collector(Kept(tmp_path / "health"), server)
    state.append(DOWN)
    (tmp_path / "health" / f"{alerts_run.FILE}.new").mkdir(parents=True)  # nothing can be written there
    for _ in range(3):
        with pytest.raises(OSError, match="alerts"):
            collector.look()
    assert server.got == []
    assert heartbeat.last(collector.files.folders) is None


@pytest.mark.parametrize("text", ["", "{", "[1]", '[{"id": 1}]', "{}"])
def test_incidents_that_cannot_be_read_are_none(tmp_path: Path, text: str) -> None:
    (tmp_path / program.LATELY).write_text(text)
    assert program.lately(Kept(tmp_path), AT) == []
