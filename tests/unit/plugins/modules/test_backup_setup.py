"""What a machine is given for its backups, put in place."""

from __future__ import annotations

import base64
import grp
import json
import os
import pwd
import stat
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import host_machine
from ansible_collections.smartercl.smarteros.plugins.module_utils.host_machine import Ran
from ansible_collections.smartercl.smarteros.plugins.modules import backup_setup
from unit.plugins.wire import run_module

SECRET = "planted-secret"
PROGRAM = b"#!/usr/bin/python3 -I\n\x00\xff made"


class Systemd:
    """What systemctl and dpkg would say; ``asked`` are the words of what changes something."""

    def __init__(self) -> None:
        self.enabled: set[str] = set()
        self.asked: list[str] = []
        self.stale = False
        self.packages = ["restic"]

    def run(self, argv: Sequence[str]) -> Ran:
        """In place of a command."""
        words = list(argv)
        if words[0] == "dpkg-query":
            return Ran(0, "".join(f"{name}\tinstalled\n" for name in self.packages))
        if words[:2] == ["systemctl", "show"]:
            return Ran(0, "\n\n".join(self._shown(words[2], name) for name in words[3:]))
        self.asked.append(" ".join(words[1:]))
        if words[1] in ("enable", "start"):
            self.enabled.add(f"{words[1]} {words[2]}")
        self.stale = self.stale and words[1] != "daemon-reload"
        return Ran(0)

    def _shown(self, wanted: str, name: str) -> str:
        if "NeedDaemonReload" in wanted:
            return f"NeedDaemonReload={'yes' if self.stale else 'no'}"
        active = "active" if f"start {name}" in self.enabled else "inactive"
        file = "enabled" if f"enable {name}" in self.enabled else "disabled"
        return f"LoadState=loaded\nActiveState={active}\nUnitFileState={file}"


class Machine:
    """A machine below a folder."""

    def __init__(self, root: Path, systemd: Systemd) -> None:
        self.etc, self.lib, self.units = root / "etc", root / "lib", root / "units"
        self.systemd = systemd

    def set_up(self, *, check: bool = False, **more: Any) -> dict[str, Any]:
        """Run the module; the options of ``more`` are other ones than usual."""
        options = {
            "config": '{"path": "/backups"}\n',
            "secrets": {str(self.etc / "password"): f"{SECRET}\n", str(self.etc / "far.env"): f"KEY={SECRET}\n"},
            "program": base64.b64encode(zlib.compress(PROGRAM)).decode(),
            "units": {"smos-backup.service": "[Service]\n", "smos-backup.timer": "[Timer]\n"},
            **more,
        }
        return run_module(backup_setup, check, **options)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    systemd = Systemd()
    found = Machine(tmp_path, systemd)
    here = replace(
        backup_setup.PLACE,
        config=found.etc / "config.json",
        program=str(found.lib / "backup.pyz"),
        units=str(found.units),
        owner=pwd.getpwuid(os.geteuid()).pw_name,
        group=grp.getgrgid(os.getegid()).gr_name,
    )
    monkeypatch.setattr(backup_setup, "PLACE", here)
    monkeypatch.setattr(host_machine, "run", systemd.run)
    return found


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_everything_is_put_in_place_once_and_secrets_are_roots_alone(machine: Machine) -> None:
    first = machine.set_up()
    assert first["changed"]
    assert {path.name for path in machine.etc.iterdir()} == {"config.json", "password", "far.env"}
    assert {mode(path) for path in machine.etc.iterdir()} == {0o600}
    assert mode(machine.etc) == 0o700
    assert (machine.lib / "backup.pyz").read_bytes() == PROGRAM
    assert mode(machine.lib / "backup.pyz") == 0o755
    assert machine.systemd.asked == ["daemon-reload", "enable smos-backup.timer", "start smos-backup.timer"]
    again = machine.set_up()
    assert (again["changed"], again["changes"], again["diff"]) == (False, [], [])
    assert len(machine.systemd.asked) == 3


def test_check_mode_foretells_the_same_and_touches_nothing(machine: Machine) -> None:
    foretold = machine.set_up(check=True)
    assert not machine.etc.exists()
    assert machine.systemd.asked == []
    done = machine.set_up()
    assert foretold["changes"] == done["changes"]
    assert foretold["diff"] == done["diff"]


def test_no_secret_is_in_result_or_difference(machine: Machine) -> None:
    machine.set_up()
    told = machine.set_up(secrets={str(machine.etc / "password"): f"{SECRET}-new\n"}, config='{"path": "/other"}\n')
    assert SECRET not in json.dumps(told)
    shown = {each["after_header"]: each for each in told["diff"]}
    assert '"/other"' in shown[str(machine.etc / "config.json")]["after"]
    assert shown[str(machine.etc / "password")]["after"].endswith("(a secret)\n")
    row = next(each for each in told["changes"] if each["what"].endswith("/password"))
    assert "sha256" not in row["before"] | row["after"]


def test_files_of_what_is_declared_no_longer_go_and_others_stay(machine: Machine) -> None:
    machine.set_up()
    (machine.etc / "notes.txt").write_text("mine")
    (machine.etc / "notice-email-password").write_text(SECRET)
    told = machine.set_up(secrets={str(machine.etc / "password"): f"{SECRET}\n"})
    assert {path.name for path in machine.etc.iterdir()} == {"config.json", "password", "notes.txt"}
    assert sorted((row["action"], Path(row["what"]).name) for row in told["changes"]) == [
        ("delete", "far.env"),
        ("delete", "notice-email-password"),
    ]
    assert SECRET not in json.dumps(told)


def test_a_changed_timer_is_read_again_and_so_is_one_whose_run_died_before_that(machine: Machine) -> None:
    machine.set_up()
    machine.systemd.asked.clear()
    changed = {"smos-backup.service": "[Service]\n", "smos-backup.timer": "[Timer]\nPersistent=true\n"}
    assert machine.set_up(units=changed)["changed"]
    assert machine.systemd.asked == ["daemon-reload"]
    machine.systemd.stale = True
    assert machine.set_up(units=changed)["changed"]
    assert machine.systemd.asked == ["daemon-reload", "daemon-reload"]
    assert not machine.set_up(units=changed)["changed"]


def test_a_file_that_somebody_opened_to_others_is_closed_again(machine: Machine) -> None:
    machine.set_up()
    (machine.etc / "password").chmod(0o644)
    assert machine.set_up()["changed"]
    assert mode(machine.etc / "password") == 0o600


def test_what_is_not_installed_is_told(machine: Machine) -> None:
    machine.systemd.packages = []
    assert machine.set_up()["missing"] == ["restic"]


def test_without_the_controller_it_says_what_to_use(machine: Machine) -> None:
    told = run_module(backup_setup)
    assert (told["failed"], told["exit_code"]) == (True, 3)
    assert "role backup" in told["errors"][0]["next"]
    assert not machine.etc.exists()
