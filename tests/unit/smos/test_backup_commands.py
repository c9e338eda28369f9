# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""`smos backup`, `backups` and `restore`, with the events of a run that the machine would have sent."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from smos import backup_view, backup_work, exitcodes, play, status_work, vps_ready
from smos.cli import main
from smos.project import Project
from smos.settings import Settings

NEW, OLD, SAFETY = "20261122-050000", "20261121-050000", "20261122-101112"
TAKEN = {
    "backup": NEW,
    "services": {"n8n": {"ok": True}, "odoo": {"ok": True}},
    "bytes": 1_234_567_890,
    "files": 42,
    "verified": True,
}
CHECK = {"what": "n8n: rows of workflow_entity", "ok": True, "expected": 7, "found": 7}
RESTORED = {"backup": NEW, "services": ["n8n"], "drill": False, "checks": [CHECK]}
ROW = {
    "id": NEW,
    "release": "0.2.0",
    "services": ["n8n", "odoo"],
    "bytes": 1000,
    "verified": True,
    "location": ["local", "s3"],
    "state": "complete",
    "failed": [],
    "reason": "timer",
}
ROWS = [
    {**ROW, "id": SAFETY, "reason": "restore"},
    ROW,
    {**ROW, "id": OLD, "state": "partial", "failed": ["n8n"], "verified": False, "location": ["local"]},
]
LOCKED = {"what": "lock", "where": "vps1", "why": "run X has held it for 3 minutes", "next": "Wait"}


class Machine:
    """Stands for the runs of playbooks: gives each the result that was laid ready, and keeps what was wished."""

    def __init__(self) -> None:
        self.wishes: list[play.Play] = []
        self.results: dict[str, tuple[str, str, Mapping[str, Any]]] = {}

    def answers(self, playbook: str, action: str, kind: str = "runner_on_ok", **result: Any) -> None:
        """The playbook's only task of interest ends so."""
        self.results[playbook] = (kind, action, result)

    def run(self, wish: play.Play, _project: Project, _settings: Settings, _on_event: Any) -> play.Played:
        """In place of `play.run`."""
        self.wishes.append(wish)
        played = play.Played()
        kind, action, result = self.results[wish.playbook]
        data = {"task": "A task", "host": "vps1", "task_action": f"smartercl.smarteros.{action}", "res": result}
        played.take({"event": kind, "event_data": data})
        if kind == "runner_on_failed" and played.code == exitcodes.DONE:
            played.code = exitcodes.FAILED
        return played

    @property
    def playbooks(self) -> list[str]:
        """What was run, in that order."""
        return [wish.playbook for wish in self.wishes]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    for name in ("SMOS_ENV", "SMOS_SPECS_REPO", "SMOS_PROJECT_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SMOS_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("SMOS_ENV_DIR", str(tmp_path / "env"))
    monkeypatch.setenv("SMOS_SANDBOX_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(vps_ready, "ready", lambda *_given, **_more: None)
    stand_in = Machine()
    monkeypatch.setattr(play, "run", stand_in.run)
    stand_in.answers("backup.yml", "backup_take", changed=True, backup=TAKEN)
    stand_in.answers("backups.yml", "backups_info", backups=ROWS)
    stand_in.answers("restore.yml", "backup_restore", changed=True, restore=RESTORED)
    return stand_in


class Terminal(io.StringIO):
    """A person who types."""

    def isatty(self) -> bool:
        return True


def document(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


# --- backup


@pytest.mark.parametrize(
    ("words", "services"), [(["all"], []), (["odoo", "n8n", "odoo"], ["odoo", "n8n"])], ids=["all", "each once"]
)
def test_a_backup_tells_what_the_machine_took(
    words: list[str], services: list[str], machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["backup", *words, "--json"]) == exitcodes.DONE
    told = document(capsys)
    assert (told["command"], told["result"], told["changed"]) == ("backup", TAKEN, True)
    assert told["run"]
    (wish,) = machine.wishes
    assert wish.variables["backup_services"] == services
    assert wish.variables["backup_accept_shrunk"] is False


def test_a_shrunk_dump_is_only_taken_when_a_person_says_so(machine: Machine) -> None:
    assert main(["backup", "n8n", "--accept-shrunk", "--json"]) == exitcodes.DONE
    assert machine.wishes[0].variables["backup_accept_shrunk"] is True


def test_a_person_sees_size_and_verification(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backup", "all", "-q"]) == exitcodes.DONE
    assert machine.playbooks == ["backup.yml"]
    assert capsys.readouterr().out == f"backup {NEW}: complete, 1.2 GB, 42 files, verified\n  n8n, odoo\n"


def test_a_backup_of_which_a_part_failed_fails_and_is_told(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    error = {"what": "odoo", "where": "vps1", "why": "the dump has shrunk from 9 MB to 1 MB", "next": "--accept-shrunk"}
    machine.answers("backup.yml", "backup_take", "runner_on_failed", backup=TAKEN, errors=[error], exit_code=1, msg="!")
    assert main(["backup", "all", "--json"]) == exitcodes.FAILED
    told = document(capsys)
    assert (told["result"]["backup"], told["errors"]) == (NEW, [error])


@pytest.mark.parametrize(
    ("command", "playbook", "action"),
    [("backup all", "backup.yml", "backup_take"), ("restore latest", "restore.yml", "backup_restore")],
    ids=["backup", "restore"],
)
def test_what_holds_the_lock_refuses_and_leaves_an_empty_result(
    command: str, playbook: str, action: str, machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.answers(playbook, action, "runner_on_failed", errors=[LOCKED], exit_code=exitcodes.REFUSED, msg="!")
    assert main([*command.split(), "--json"]) == exitcodes.REFUSED
    told = document(capsys)
    assert (told["result"]["backup"], told["errors"]) == (None, [LOCKED])


def test_a_check_predicts_the_machine_s_changes(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    foretold = {"service": "n8n", "tenant": None, "action": "update", "what": "database n8n", "before": "", "after": ""}
    machine.answers("restore.yml", "backup_restore", changes=[foretold])
    assert main(["restore", NEW, "--check", "--json"]) == exitcodes.DONE
    told = document(capsys)
    assert (told["result"], told["run"], told["changed"]) == ({"changes": [foretold]}, None, True)
    assert machine.wishes[0].check


def test_what_was_left_and_what_did_not_arrive_is_told(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    late = "not copied to offsite: it does not answer; the next backup catches up"
    machine.answers("backup.yml", "backup_take", changed=True, backup={**TAKEN, "warnings": [late], "notes": []})
    assert main(["backup", "all", "-q"]) == exitcodes.DONE
    assert f"  ! {late}\n" in capsys.readouterr().out
    machine.answers("restore.yml", "backup_restore", restore={**RESTORED, "safety": SAFETY, "seconds": 61.2})
    assert main(["restore", NEW, "-q"]) == exitcodes.DONE
    shown = capsys.readouterr().out
    assert f"backup {NEW}: n8n restored in 61 s; 1 checks, 0 failed" in shown
    assert f"what was there before is in backup {SAFETY}" in shown


# --- what is refused before anything is touched


@pytest.mark.parametrize(
    ("words", "what", "following"),
    [
        (["backup", "n9n"], "n9n", "Did you mean n8n?"),
        (["backup", "n8n", "mysql"], "mysql", "Choose from accounts, botpress"),
        (["backup", "socket-proxy"], "socket-proxy", "Choose from accounts, botpress"),
        (["backup", "all", "n8n"], "backup", "backup --help"),
        (["backup", "tenant"], "backup tenant", "smos backup tenant acme"),
        (["backup", "tenant", "acme", "beta"], "backup tenant", "smos backup tenant acme"),
        (["restore", "latest", "--service", "odo"], "odo", "Did you mean odoo?"),
        (["restore", "20261122050000"], "backup 20261122050000", f"Did you mean {NEW}?"),
        (["restore", "latets"], "backup latets", "Did you mean latest?"),
        (["restore", "20261399-000000"], "backup 20261399-000000", "smos backups"),
        (["restore", f"{NEW}\n"], f"backup {NEW}\n", "smos backups"),
        (["restore", "v0.2.0", "--drill"], "backup v0.2.0", "smos backups"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_touched(
    words: list[str], what: str, following: str, machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--json"]) == exitcodes.INVALID
    (error,) = document(capsys)["errors"]
    assert error["what"] == what
    assert following in error["next"]
    assert machine.wishes == []


def test_every_unknown_service_is_named(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backup", "n9n", "n8n", "mysql", "--json"]) == exitcodes.INVALID
    assert [error["what"] for error in document(capsys)["errors"]] == ["n9n", "mysql"]
    assert machine.wishes == []


# --- backups


def test_backups_are_listed_and_nothing_is_recorded(
    machine: Machine, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["backups", "--json"]) == exitcodes.DONE
    told = document(capsys)
    assert (told["result"], told["run"], told["changed"]) == ({"backups": ROWS}, None, False)
    assert machine.playbooks == ["backups.yml"]
    assert not list(tmp_path.rglob("runs"))


def test_a_person_sees_a_line_for_each_backup(capsys: pytest.CaptureFixture[str]) -> None:
    now = backup_view.begun(NEW)
    assert now is not None
    backup_view.show_all(ROWS, now + 3 * 3600)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["backup", "age", "release", "size", "state", "verified", "location", "services"]
    assert lines[2].split() == [
        "✓",
        "20261122-050000",
        "3",
        "h",
        "0.2.0",
        "1",
        "kB",
        "complete",
        "yes",
        "local,",
        "s3",
        "n8n,",
        "odoo",
    ]
    assert lines[3].split() == [
        "✗",
        "20261121-050000",
        "27",
        "h",
        "0.2.0",
        "1",
        "kB",
        "partial",
        "no",
        "local",
        "n8n,",
        "odoo",
    ]


def test_where_nothing_was_backed_up_the_next_step_is_told(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.answers("backups.yml", "backups_info", backups=[])
    assert main(["backups", "-q"]) == exitcodes.DONE
    assert "smos backup all" in capsys.readouterr().out


@pytest.mark.parametrize("rows", [ROWS, []], ids=["some", "none"])
def test_a_place_that_does_not_answer_is_told(
    rows: list[Any], machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    silent = {"what": "backups at offsite", "why": "no route to host", "where": "offsite", "next": "Wait"}
    machine.answers("backups.yml", "backups_info", backups=rows, errors=[silent])
    assert main(["backups", "-q"]) == exitcodes.DONE
    said = capsys.readouterr()
    assert silent["why"] in said.err
    assert "smos backup all" not in said.out  # a new machine would seem to have none
    assert main(["backups", "--json"]) == exitcodes.DONE
    assert document(capsys)["errors"] == [silent]


def test_a_machine_that_cannot_be_asked_lists_nothing(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine.answers("backups.yml", "backups_info", "runner_on_failed", errors=[LOCKED], exit_code=3, msg="!")
    assert main(["backups", "-q"]) == exitcodes.UNUSABLE
    said = capsys.readouterr()
    assert said.out == ""
    assert LOCKED["why"] in said.err


# --- restore


@pytest.mark.parametrize("drill", [False, True], ids=["restore", "drill"])
def test_a_restore_tells_every_check(drill: bool, machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine.answers("restore.yml", "backup_restore", changed=not drill, restore={**RESTORED, "drill": drill})
    words = ["--service", "n8n", *["--drill"] * drill]
    assert main(["restore", NEW, *words, "--json"]) == exitcodes.DONE
    told = document(capsys)
    assert told["command"] == "restore"
    assert told["result"] == {**RESTORED, "drill": drill}
    variables = machine.wishes[0].variables
    assert {name: variables[name] for name in ("restore_backup", "restore_services", "restore_drill")} == {
        "restore_backup": NEW,
        "restore_services": ["n8n"],
        "restore_drill": drill,
    }


def test_a_person_sees_which_check_failed(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    bad = {**CHECK, "what": "n8n: attachments", "ok": False, "found": 5}
    machine.answers(
        "restore.yml", "backup_restore", "runner_on_failed", restore={**RESTORED, "checks": [CHECK, bad]}, msg="no"
    )
    assert main(["restore", NEW, "-q"]) == exitcodes.FAILED
    shown = capsys.readouterr().out
    assert f"backup {NEW}: n8n not restored; 2 checks, 1 failed" in shown
    assert [line.split()[0] for line in shown.splitlines()[2:]] == ["✓", "✗"]


def test_production_names_what_is_replaced_and_restores_what_was_agreed_to(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(f"{NEW}\n"))
    assert main(["restore", "latest", "--env", "production", "-q"]) == exitcodes.DONE
    assert machine.playbooks == ["backups.yml", "restore.yml"]
    assert machine.wishes[1].variables["restore_backup"] == NEW  # not the one that a restore made of what it replaced
    asked = capsys.readouterr().err
    assert f"Replaces the data of n8n, odoo in production by those of backup {NEW}" in asked
    assert f"Type {NEW} to go on" in asked


def test_a_latest_that_is_in_doubt_is_asked_for_by_its_id(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    why = f"backup {NEW} of the machine vps1 (b) holds far less than the older backup {OLD} of vps1 (a)"
    rows = [ROWS[0], {**ROW, "doubt": why}, ROWS[2]]
    machine.answers("backups.yml", "backups_info", backups=rows)
    monkeypatch.setattr("sys.stdin", Terminal(f"{NEW}\n"))
    assert main(["restore", "latest", "--env", "production", "-q"]) == exitcodes.REFUSED
    told = capsys.readouterr().err
    assert why in told
    assert "Name the one that is meant" in told
    assert machine.playbooks == ["backups.yml"]
    monkeypatch.setattr("sys.stdin", Terminal(f"{NEW}\n"))
    assert main(["restore", NEW, "--env", "production", "-q"]) == exitcodes.DONE


@pytest.mark.parametrize(
    ("words", "following"),
    [
        (["restore", NEW], "puts back what was there before"),
        (["restore", NEW, "--drill"], "removes what the drill has made"),
        (["backup", "n8n"], "goes with the next backup"),
    ],
    ids=["restore", "drill", "backup"],
)
def test_ctrl_c_says_what_the_machine_does_then(
    words: list[str],
    following: str,
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stopped(wish: play.Play, *_given: Any) -> play.Played:
        machine.wishes.append(wish)
        return play.Played(code=exitcodes.INTERRUPTED, interrupted=True)

    monkeypatch.setattr(play, "run", stopped)
    assert main([*words, "--json"]) == exitcodes.INTERRUPTED
    (error,) = document(capsys)["errors"]
    assert error["why"] == "stopped by Ctrl-C"
    assert following in error["next"]
    assert "`smos status`" in error["next"]


def test_who_does_not_agree_restores_nothing(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Terminal("yes\n"))
    assert main(["restore", "latest", "--env", "production", "-q"]) == exitcodes.REFUSED
    assert machine.playbooks == ["backups.yml"]


@pytest.mark.parametrize(
    ("words", "why", "following"),
    [
        (["20261122-050001"], "there is no such backup", f"Nearest: {NEW}, {SAFETY}, {OLD}"),
        ([NEW, "--service", "botpress"], "it has nothing of botpress", "It has: n8n, odoo"),
    ],
    ids=["id", "service"],
)
def test_nobody_is_asked_about_a_backup_that_is_not_there(
    words: list[str],
    why: str,
    following: str,
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal())
    assert main(["restore", *words, "--env", "production", "-q"]) == exitcodes.INVALID
    told = capsys.readouterr().err
    assert why in told
    assert following in told
    assert machine.playbooks == ["backups.yml"]


def test_where_there_is_nobody_to_ask_production_restores_nothing(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["restore", NEW, "--service", "odoo", "--env", "production", "--json"]) == exitcodes.REFUSED
    (error,) = document(capsys)["errors"]
    assert f"Replaces the data of odoo in production by those of backup {NEW}" in error["what"]
    assert machine.wishes == []


@pytest.mark.parametrize("word", ["--yes", "--drill", "--check"])
def test_what_was_agreed_to_or_replaces_nothing_is_not_asked(word: str, machine: Machine) -> None:
    assert main(["restore", "latest", word, "--env", "production", "--json"]) == exitcodes.DONE
    assert machine.playbooks == ["restore.yml"]


# --- status

BACKUPS = {
    "last": NEW,
    "age_h": 3.0,
    "verified": True,
    "location": ["local", "s3"],
    "drill_age_d": 2.0,
    "errors": [],
    "rpo_h": 24,
}


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({}, [f"backups  {NEW}, 3 h old, verified, in local, s3; last drill 2 d ago"]),
        ({"last": "", "age_h": None}, ["backups  none yet: smos backup all"]),
        (
            {"age_h": 49.0, "verified": False, "location": [], "drill_age_d": None},
            [
                f"backups  {NEW}, 2 d old, NOT verified, in no place; no drill yet",
                "! backups  the newest of everything is older than the 24 h of work that may be lost: smos backup all",
            ],
        ),
        ({"errors": [LOCKED, "copy: s3 does not answer"]}, ["! backups  lock: run X", "! backups  copy: s3"]),
    ],
    ids=["fine", "none", "old", "errors"],
)
def test_the_status_tells_of_the_newest_backup_and_warns(changes: dict[str, Any], lines: list[str]) -> None:
    shown = backup_view.lines({**BACKUPS, **changes})
    for line in lines:
        assert any(each.startswith(line) for each in shown), shown
    assert sum(each.startswith("!") for each in shown) == sum(line.startswith("!") for line in lines)


def test_where_the_machine_was_not_asked_nothing_is_told() -> None:
    assert backup_view.lines({}) == []
    assert status_work.with_target({"backups": {}}, Path("/nowhere")) == {"backups": {}}


def test_the_age_is_judged_by_the_specs() -> None:
    specs = Path(__file__).resolve().parents[3] / "specs"
    found = status_work.with_target({"backups": {"last": NEW}}, specs)
    assert found["backups"] == {"last": NEW, "rpo_h": 24}


@pytest.mark.parametrize(
    ("hours", "text"), [(-0.01, "0 min"), (0.5, "30 min"), (1, "1 h"), (47.4, "47 h"), (48, "2 d"), (2400, "100 d")]
)
def test_ages_have_the_unit_that_a_person_would_use(hours: float, text: str) -> None:
    assert backup_view.lasting(hours) == text


def test_a_backup_of_a_clock_that_went_back_is_not_of_the_future() -> None:
    assert backup_view.age(NEW, time.mktime((2020, 1, 1, 0, 0, 0, 0, 0, 0))) == "0 min"


def test_latest_is_the_newest_that_holds_most_of_what_is_wanted() -> None:
    one = {**ROW, "id": "20261122-060000", "services": ["n8n"]}
    assert (backup_work.newest([one, *ROWS]) or {})["id"] == NEW
    assert (backup_work.newest([one, *ROWS], ["n8n"]) or {})["id"] == one["id"]


def test_latest_is_none_where_nothing_is_whole() -> None:
    assert backup_work.newest([{**ROW, "failed": ROW["services"]}, {**ROW, "reason": "restore"}]) is None
