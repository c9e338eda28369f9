# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""A collector that is silent is told once, by somebody else, and so is that it looks again."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.health import config, heartbeat, watch
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.heartbeat import Moment
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.watch import ALIVE, SILENT, Kept
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import alert_units, backup_program
from unit.plugins.module_utils.backup.test_notice import Server
from unit.plugins.module_utils.health.test_alerts_run import NOW, RULES

LIMIT = 1200.0


class Machine:
    """A machine with a collector that may be dead."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.folders = (folder / "state", folder / "spare")
        alerts = {"ways": {"admin/webhook": {"url": server.url}}, "rules": RULES, "silent_after_s": LIMIT}
        self.known = config.Config("production", ZoneInfo("America/Santiago"), config.Rules(), alerts=alerts)
        self.moment, self.now = Moment("first", 10.0), NOW

    def passes(self, seconds: float, *, collector: bool) -> list[int]:
        """Time that goes by, with a look of the watch every five minutes."""
        codes = []
        for _ in range(int(seconds // 300)):
            self.moment, self.now = replace(self.moment, up=self.moment.up + 300), self.now + 300
            if collector:
                heartbeat.beat(self.folders, self.moment)
            codes.append(watch.look(self.known, self.folders, self.now, self.moment))
        return codes

    def starts_anew(self) -> None:
        self.moment = Moment("second", 10.0)


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture
def machine(tmp_path: Path, server: Server) -> Machine:
    return Machine(tmp_path, server)


def test_a_killed_collector_is_told_once_and_its_return_once(machine: Machine, server: Server) -> None:
    assert machine.passes(3600, collector=True) == [ALIVE] * 12
    assert machine.passes(2 * 3600, collector=False) == [ALIVE] * 3 + [SILENT] * 21
    assert machine.passes(3600, collector=True) == [ALIVE] * 12
    assert [body["state"] for _path, _headers, body in server.got] == ["critical", "recovered"]
    assert "vigilancia: no mira desde hace 20 min" in server.got[0][2]["text"]
    machine.now += 25 * 3600
    assert machine.passes(600, collector=True) == [ALIVE] * 2
    assert json.loads((machine.folders[0] / watch.FILE).read_text())["incident"] is None
    machine.passes(3600, collector=False)
    assert [body["state"] for _path, _headers, body in server.got] == ["critical", "recovered", "critical"]


def test_a_collector_that_never_looked_has_as_long_as_any(machine: Machine, server: Server) -> None:
    assert machine.passes(3600, collector=False) == [ALIVE] * 4 + [SILENT] * 8
    assert len(server.got) == 1


def test_a_machine_that_starts_again_is_no_dead_collector(machine: Machine, server: Server) -> None:
    machine.passes(600, collector=True)
    machine.starts_anew()
    machine.now += 7 * 86400
    assert machine.passes(900, collector=False) == [ALIVE] * 3
    assert machine.passes(600, collector=True) == [ALIVE] * 2
    assert server.got == []


def test_a_clock_that_jumps_is_no_dead_collector_and_hides_none(machine: Machine, server: Server) -> None:
    machine.passes(600, collector=True)
    machine.now += 86400
    assert machine.passes(300, collector=True) == [ALIVE]
    machine.now -= 30 * 86400
    assert machine.passes(1500, collector=False)[-1] == SILENT
    assert len(server.got) == 1


@pytest.mark.parametrize("text", ["", "{}", '{"turn": 1, "boot": 3}', "[1]"])
def test_files_that_cannot_be_read_count_as_none(machine: Machine, server: Server, text: str) -> None:
    machine.folders[0].mkdir()
    for name in (watch.FILE, heartbeat.FILE, watch.TOLD):
        (machine.folders[0] / name).write_text(text)
    assert machine.passes(3600, collector=False)[-1] == SILENT
    assert len(server.got) == 1


def test_a_full_disk_hides_no_dead_collector(machine: Machine, server: Server) -> None:
    machine.passes(600, collector=True)
    for path in machine.folders[0].iterdir():
        path.unlink()
    machine.folders[0].rmdir()
    machine.folders[0].write_text("in the way")
    assert machine.passes(3600, collector=False)[-1] == SILENT
    assert len(server.got) == 1


def test_an_incident_ends_not_before_it_began() -> None:
    now = Moment("a", 5000.0)
    silent = watch.judge(Kept(), Moment("a", 100.0), now, NOW, LIMIT)
    assert silent.incident is not None
    back = watch.judge(silent, Moment("a", 4990.0), now, NOW - 10_000, LIMIT)
    assert back.incident is not None
    assert back.incident.closed_at == silent.incident.opened_at


def test_the_program_runs_with_nothing_but_python(tmp_path: Path) -> None:
    program, path = tmp_path / "watch.pyz", tmp_path / "config.json"
    program.write_bytes(backup_program.pack(program=alert_units.PROGRAM_MODULE))

    def run() -> subprocess.CompletedProcess[str]:
        places = ["--config", str(path), "--state", str(tmp_path / "state"), "--spare", str(tmp_path / "spare")]
        words = [sys.executable, "-I", str(program), *places]
        return subprocess.run(words, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin"})

    done = run()
    assert (done.returncode, done.stdout) == (3, "")
    assert "config.json cannot be read" in done.stderr
    path.write_text(
        json.dumps(
            {
                "environment": "production",
                "timezone": "America/Santiago",
                "rules": {},
                "services": {},
                "tenants": {},
                "targets": {},
                "alerts": {"silent_after_s": 10**9},
            }
        )
    )
    done = run()
    assert (done.returncode, done.stdout, done.stderr) == (ALIVE, "", "")
    assert (tmp_path / "state" / watch.FILE).exists()
