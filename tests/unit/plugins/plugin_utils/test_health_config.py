# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What a machine is told to watch, and the program that does it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.smartercl.smarteros.plugins.module_utils.health import config
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import backup_program, health_config, specs

ROOT = Path(__file__).resolve().parents[4]
MONITORING = yaml.safe_load((ROOT / "specs" / "infra" / "monitoring.yml").read_text(encoding="utf-8"))
SHOPS = [
    {"id": "76000001-1", "name": "Pan y Sal", "domain": "pan.example.com", "phase": "active"},
    {"id": "76000002-2", "name": "Gone", "domain": "gone.example.com", "phase": "deleted"},
    {"id": "76000003-3", "name": "Closed", "domain": "closed.example.com", "phase": "suspended"},
]


def made() -> dict[str, Any]:
    questions = specs.load(ROOT / "specs").health_questions
    return health_config.document("production", "America/Santiago", questions, SHOPS, MONITORING, 26)


def test_the_machine_can_read_what_is_written(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(health_config.text(made()), encoding="utf-8")
    found = config.read(path)
    assert found.services["n8n"].path == "/healthz"
    assert list(found.tenants) == ["76000001-1"]
    assert found.tenants["76000001-1"].host == "pan.example.com"
    assert (found.rules.cpu_percent, found.rules.open_after, found.rules.backup_age_h) == (80, 2, 26)
    assert found.targets == {"service": 99.5, "tenant": 99.5}
    assert str(found.zone) == "America/Santiago"


@pytest.mark.parametrize("text", ["", "{}", '{"environment": 1}', "[]"])
def test_a_broken_file_is_told_with_what_mends_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(config.ConfigError, match=r"smos deploy backend"):
        config.read(path)


def test_the_timer_keeps_the_time_of_the_specs() -> None:
    units = health_config.units(300)
    assert "OnUnitActiveSec=300s" in units["smos-health.timer"]
    assert f"ExecStart={health_config.PROGRAM}\n" in units["smos-health.service"]


def test_the_program_runs_with_nothing_but_python(tmp_path: Path) -> None:
    program = tmp_path / "health.pyz"
    program.write_bytes(backup_program.pack(program=health_config.PROGRAM_MODULE))
    words = [sys.executable, "-I", str(program), "--config", str(tmp_path / "none.json"), "--state", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin"})
    assert (done.returncode, done.stdout) == (3, "")
    assert "none.json cannot be read" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_secret_is_asked_for() -> None:
    assert "secret" not in json.dumps(made()).lower()
