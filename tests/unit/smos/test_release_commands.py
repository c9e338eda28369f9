"""`smos rollback` and `smos releases`: what they ask, what they refuse, and what they make of what they are told."""

from __future__ import annotations

import io
import json
import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from smos import deploy_work, exitcodes, play, release_work, remote, rollback_work, vault_password, vps_ready, work
from smos.cli.app import call
from smos.outcome import Failure, Outcome
from smos.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
SETTINGS = Settings("sandbox", None, False, False, True, False, 0, True, None, None, (), None)
PRODUCTION = replace(SETTINGS, env="production")
BACKUP = "20300101-020000"
PLAN = {
    "release": "0.1.0",
    "previous": "0.2.0",
    "services": ["n8n", "redis"],
    "data": [{"service": "n8n", "needed": True, "restored": True, "backup": BACKUP, "lost": "5.2 h", "versions": []}],
    "restore": [{"backup": BACKUP, "services": ["n8n"]}],
}
SERVICES = {"n8n": {"state": "up", "image": "n8n:1@sha256:aa", "changed": False, "rolled_back": False}}
CHANGE = {"service": "n8n", "tenant": None, "action": "update", "what": "image of n8n", "before": "2", "after": "1"}


def event(action: str, kind: str = "runner_on_ok", **result: Any) -> play.Event:
    return {"event": kind, "event_data": {"task": action, "resolved_action": play.COLLECTION + action, "res": result}}


def played(*events: play.Event) -> play.Played:
    found = play.Played()
    for each in events:
        found.take(each)
    return found


PREFLIGHT = event("deploy_preflight", release="0.1.0", previous="0.2.0", services=SERVICES)
PLANNED = event("rollback_plan", plan=PLAN, changes=[CHANGE])


def test_the_result_has_the_form_of_the_contract() -> None:
    taken = event("backup_take", backup={"backup": "20300102-030000"})
    restored = event("backup_restore", restore={"backup": BACKUP, "services": ["n8n"]})
    deployed = event("stack_deploy", service="n8n", changes=[CHANGE], state={"state": "up"})
    found = rollback_work.result_of(played(PREFLIGHT, PLANNED, taken, restored, deployed))
    assert found == {
        "release": "0.1.0",
        "previous": "0.2.0",
        "services": {"n8n": {**SERVICES["n8n"], "changed": True}},
        "backup": "20300102-030000",
        "data": {"n8n": BACKUP},
    }
    assert set(rollback_work.result_of(play.Played())) == set(found)


def test_a_refused_plan_is_refused_and_nothing_was_touched() -> None:
    row = {"what": "n8n", "where": "", "why": "its data", "next": "--with-data"}
    refused = played(PREFLIGHT, event("rollback_plan", "runner_on_failed", errors=[row], exit_code=4, plan=PLAN))
    assert (refused.code, refused.errors, refused.changed) == (exitcodes.REFUSED, [row], False)
    told = rollback_work.result_of(refused)
    assert (told["services"], told["data"]) == ({}, {})


def test_data_that_did_not_come_back_are_not_told_as_back() -> None:
    row = {"what": "restore", "where": "", "why": "a key differs", "next": ""}
    tried = {"backup": BACKUP, "services": ["n8n"]}
    taken = event("backup_take", changed=True, backup={"backup": "20300102-030000"})
    failed = event("backup_restore", "runner_on_failed", errors=[row], exit_code=3, restore=tried)
    run = played(PREFLIGHT, PLANNED, taken, failed)
    assert rollback_work.result_of(run)["data"] == {}


def test_a_run_that_goes_on_tells_the_backup_of_the_first() -> None:
    going_on = event("rollback_plan", plan={**PLAN, "backup": "20300102-030000"})
    assert rollback_work.result_of(played(PREFLIGHT, going_on))["backup"] == "20300102-030000"


def test_a_deploy_tells_its_backup(capsys: pytest.CaptureFixture[str]) -> None:
    found = deploy_work.result_of(played(PREFLIGHT, event("backup_take", backup={"backup": BACKUP})))
    assert found["backup"] == BACKUP
    deploy_work.show(Outcome(found))
    assert f"backup {BACKUP} was made first" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["9.9.9"], ["0.1.1"], ["nonsense"]])
def test_an_unknown_release_is_refused_with_the_nearest(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["rollback", *words, "--json"]) == exitcodes.INVALID
    (error,) = json.loads(capsys.readouterr().out)["errors"]
    assert "known: 0.2.0, 0.1.0" in error["why"]


class Plays:
    """Stands for the play: keeps what was asked of it."""

    def __init__(self, *events: play.Event) -> None:
        self.wishes: list[play.Play] = []
        self.jobs: list[work.Job] = []
        self.events = events

    def run(self, wish: play.Play, *_more: Any) -> play.Played:
        self.wishes.append(wish)
        return played(*self.events)

    def carry_out(self, job: work.Job, *_more: Any) -> int:
        self.jobs.append(job)
        return exitcodes.DONE


@pytest.fixture
def plays(monkeypatch: pytest.MonkeyPatch) -> Plays:
    found = Plays(PREFLIGHT, PLANNED)
    monkeypatch.setattr(rollback_work.play, "run", found.run)
    monkeypatch.setattr(work, "carry_out", found.carry_out)
    monkeypatch.setattr(vps_ready, "ready", lambda *_given, **_more: None)
    monkeypatch.setattr(vault_password, "ready", lambda *_given: None)
    return found


class Terminal(io.StringIO):
    """A person who types."""

    def isatty(self) -> bool:
        return True


def test_production_asks_and_where_nobody_is_there_refuses(plays: Plays) -> None:
    with pytest.raises(Failure) as refused:
        rollback_work.carry_out("0.1.0", False, PRODUCTION)
    assert refused.value.outcome.code == exitcodes.REFUSED
    assert not plays.wishes
    assert not plays.jobs


def test_production_shows_the_plan_before_it_asks(
    plays: Plays, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal("0.1.0\n"))
    rollback_work.carry_out("v0.1.0", True, replace(PRODUCTION, as_json=False))
    shown = capsys.readouterr().err
    for words in ("release 0.2.0 → 0.1.0", "image of n8n: 2 → 1", "LOSES what was written in the last 5.2 h", BACKUP):
        assert words in shown, words
    (looked,), (job,) = plays.wishes, plays.jobs
    assert looked.check
    assert job.variables == looked.variables == {"rollback_release": "0.1.0", "rollback_with_data": True}


def test_another_answer_ends_it(plays: Plays, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Terminal("yes\n"))
    with pytest.raises(Failure):
        rollback_work.carry_out("0.1.0", False, replace(PRODUCTION, as_json=False))
    assert not plays.jobs


@pytest.mark.parametrize("given", [replace(PRODUCTION, yes=True), replace(PRODUCTION, check=True), SETTINGS])
def test_who_is_sure_only_looks_or_rehearses_is_not_asked(plays: Plays, given: Settings) -> None:
    rollback_work.carry_out("previous", False, given)
    assert not plays.wishes
    assert plays.jobs[0].variables["rollback_release"] == "previous"


def test_names_that_are_acknowledged_go_to_the_play(plays: Plays) -> None:
    deploy_work.carry_out((), "v0.2.0", SETTINGS, ("n8n", "v0.2.0"))
    assert plays.jobs[0].variables == {"deploy_release": "0.2.0", "deploy_acknowledged": ["n8n", "0.2.0"]}


# --- releases


def test_without_being_told_no_machine_is_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(remote, "machine", lambda *_given: pytest.fail("a machine was asked"))
    assert release_work.tell(SETTINGS) == exitcodes.DONE
    assert set(json.loads(capsys.readouterr().out)["result"]) == {"releases"}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose ledger is a file here; ssh is a program that runs what it is given."""
    ledger = tmp_path / "releases.json"
    (tmp_path / "ssh").write_text('#!/bin/sh\nfor last; do :; done\nexec sh -c "$last"\n')
    (tmp_path / "ssh").chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(release_work, "READ", release_work.READ.replace(release_work.LEDGER, str(ledger)))
    monkeypatch.setattr(vps_ready, "ready", lambda *_given, **_more: None)
    known = remote.Machine("vps1", "203.0.113.10", "root", 22, "", ())
    monkeypatch.setattr(remote, "machine", lambda *_given: known)
    return ledger


ENTRIES = [
    {"release": "0.1.0", "run": "a", "at": "t1", "services": {"n8n": {"config": "x", "images": {"n8n": "n8n:1"}}}},
    {"release": "0.2.0", "run": "b", "at": "t2", "who": "ana@pc", "result": "done", "backup": BACKUP, "services": {}},
    {
        "release": "0.1.0", "run": "c", "at": "t3", "kind": "rollback", "result": "done", "previous": "0.2.0",
        "bad": {"0.2.0": {}}, "services": {},
    },
]  # fmt: skip


def test_what_was_deployed_is_told_newest_first(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    machine.write_text(json.dumps(ENTRIES))
    assert release_work.tell(SETTINGS, deployed=True) == exitcodes.DONE
    found = json.loads(capsys.readouterr().out)["result"]["deployed"]
    assert [(one["release"], one["kind"], one["current"], one["bad"]) for one in found] == [
        ("0.1.0", "rollback", True, False),
        ("0.2.0", "deploy", False, True),
        ("0.1.0", "deploy", False, False),
    ]
    assert (found[1]["backup"], found[2]["backup"]) == (BACKUP, None)
    assert found[2]["services"] == {"n8n": {"n8n": "n8n:1"}}
    assert release_work.tell(replace(SETTINGS, as_json=False), deployed=True) == exitcodes.DONE
    shown = capsys.readouterr().out
    assert "bad: it was rolled back from" in shown
    assert "* 0.1.0     t3" in shown


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_a_machine_without_a_ledger_was_never_deployed_to(
    machine: Path, capsys: pytest.CaptureFixture[str], content: str | None
) -> None:
    if content is not None:
        machine.write_text(content)
    assert release_work.tell(replace(SETTINGS, as_json=False), deployed=True) == exitcodes.DONE
    assert "nothing was deployed on the machine yet" in capsys.readouterr().out


def test_a_machine_that_cannot_be_reached_is_told(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.parent.is_dir()
    monkeypatch.setattr(release_work, "READ", "echo no route >&2; exit 255")
    with pytest.raises(Failure) as refused:
        release_work.tell(SETTINGS, deployed=True)
    assert refused.value.outcome.code == exitcodes.UNUSABLE
    assert "no route" in refused.value.outcome.errors[0]["why"]


def test_the_playbook_gives_the_ledger_what_it_wants() -> None:
    text = (ROOT / "playbooks/tasks/release.yml").read_text()
    for words in ("result: begun", "result: failed", "result: done", "smos_before", "smos_settled", "backup_take"):
        assert words in text, words
