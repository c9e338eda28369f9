# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What the controller hands over for a machine that watches itself, and how the module puts it in place."""

from __future__ import annotations

import grp
import io
import json
import os
import pwd
import stat
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.action import health_setup as action
from ansible_collections.smartercl.smarteros.plugins.module_utils import host_machine
from ansible_collections.smartercl.smarteros.plugins.module_utils.health import config
from ansible_collections.smartercl.smarteros.plugins.modules import health_setup
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import Setting, Stop
from unit.plugins.modules.test_backup_setup import Systemd
from unit.plugins.plugin_utils.test_notice_channels import ALL
from unit.plugins.wire import run_module

ROOT = Path(__file__).resolve().parents[4]
SECRETS = [str(value) for name, value in ALL.items() if "secret" in str(value)]


class Templar:
    """Values as they stand."""

    def template(self, value: Any) -> Any:
        return value


def given(variables: dict[str, Any]) -> dict[str, Any]:
    """What the module gets of the action."""
    made = action.ActionModule.__new__(action.ActionModule)  # what it needs of Ansible is replaced
    made._templar = Templar()
    handed: dict[str, Any] = {}

    def execute(**words: Any) -> dict[str, Any]:
        handed.update(words["module_args"])
        return {}

    made._execute_module = execute
    made.work({}, Setting(ROOT / "specs", action.SANDBOX, "run", check_mode=False, pid=1), variables)
    return handed


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    here = replace(
        health_setup.PLACE,
        config=tmp_path / "etc" / "config.json",
        program=str(tmp_path / "lib" / "health.pyz"),
        others={"watch_program": str(tmp_path / "lib" / "health-watch.pyz")},
        units=str(tmp_path / "units"),
        owner=pwd.getpwuid(os.geteuid()).pw_name,
        group=grp.getgrgid(os.getegid()).gr_name,
    )
    monkeypatch.setattr(health_setup, "PLACE", here)
    monkeypatch.setattr(host_machine, "run", Systemd().run)
    return tmp_path


def moved(handed: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The same for a machine below a folder."""
    secrets = {str(folder / "etc" / Path(path).name): text for path, text in handed["secrets"].items()}
    return {**handed, "secrets": secrets}


def test_both_programs_their_timers_and_the_ways_are_put_in_place_once(folder: Path) -> None:
    handed = moved(given(ALL), folder)
    foretold = run_module(health_setup, True, **handed)
    done = run_module(health_setup, False, **handed)
    assert foretold["changes"] == done["changes"]
    assert not run_module(health_setup, False, **handed)["changed"]
    shown = json.dumps(done)
    assert not [each for each in SECRETS if each in shown]
    for name, entry in (("health.pyz", "program"), ("health-watch.pyz", "watch")):
        path = folder / "lib" / name
        assert stat.S_IMODE(path.stat().st_mode) == 0o755
        packed = zipfile.ZipFile(io.BytesIO(path.read_bytes()))
        assert f"health.{entry} import main" in packed.read("__main__.py").decode()
    assert {path.name for path in (folder / "units").iterdir()} == {
        f"smos-health{each}" for each in (".service", ".timer", "-watch.service", "-watch.timer")
    }
    known = config.read(folder / "etc" / "config.json")
    assert sorted(known.alerts["ways"]) == ["admin/email", "admin/webhook", "admin/whatsapp"]
    assert not [each for each in SECRETS if each in (folder / "etc" / "config.json").read_text()]


def test_secrets_of_ways_that_are_no_more_go(folder: Path) -> None:
    run_module(health_setup, False, **moved(given(ALL), folder))
    run_module(health_setup, False, **moved(given({}), folder))
    assert [path.name for path in (folder / "etc").iterdir()] == ["config.json"]


def test_a_way_that_cannot_be_right_stops_before_anything(folder: Path) -> None:
    with pytest.raises(Stop) as refused:
        given({**ALL, "smos_health_ping": "ping.example.com/uuid"})
    assert "smos_health_ping" in str(refused.value)
    assert "uuid" not in str(refused.value)
    assert list(folder.iterdir()) == []
