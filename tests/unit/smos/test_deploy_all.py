# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The stages of a deploy with a machine, on plays that only pretend to run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from smos import deploy_all_view, deploy_journal, deploy_policy, deploy_stages, exitcodes, play, stages
from smos.deploy_policy import Policy
from smos.deploy_stages import Deploy
from smos.outcome import Failure
from smos.project import Project
from smos.settings import Settings

ROW = {"what": "n8n", "where": "vps1", "why": "it did not become healthy", "next": "Read its last lines"}
BACKUP = ("backup_take", {"backup": {"backup": "20261123-100000"}})
CAREFUL = Policy()
EASY = Policy(confirm=False, backup=False, health=False, dangerous=True, notice=False)
Make = Callable[..., Deploy]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def made(policy: Policy = CAREFUL, **more: Any) -> Deploy:
        (tmp_path / "specs").mkdir(exist_ok=True)
        project = Project(tmp_path, tmp_path, tmp_path / "state", tmp_path / "specs", True)
        settings = Settings("staging", None, False, False, False, False, 0, True, None, None, (), None)
        journal = deploy_journal.Journal(tmp_path / "journal.json", [])
        deploy = Deploy(project, settings, policy, "run-1", "0.2.0", False, frozenset(), journal, **more)
        journal.begin("run-1", {}, "2026-11-23T10:00:00Z")
        deploy.foreseen = {each.name: stages.foreseen(each, play.Played(), 0) for each in stages.PLANNED}
        return deploy

    return made


@pytest.fixture
def plays(monkeypatch: pytest.MonkeyPatch) -> tuple[list[play.Play], dict[str, play.Played]]:
    """(what ran, what each playbook comes to)."""
    ran: list[play.Play] = []
    answers: dict[str, play.Played] = {}

    def run(wish: play.Play, *_more: Any) -> play.Played:
        ran.append(wish)
        return answers.get(wish.playbook, play.Played())

    monkeypatch.setattr(play, "run", run)
    return ran, answers


Plays = tuple[list[play.Play], Mapping[str, play.Played]]


def pending(deploy: Deploy, stage: stages.Stage, **more: Any) -> None:
    played = play.Played(changes=[{"what": "it"}], **more)
    deploy.foreseen[stage.name] = stages.foreseen(stage, played, 0)


def test_a_backup_comes_first_where_the_mode_wants_it_and_something_changes(make: Make, plays: Any) -> None:
    ran, answers = plays
    answers["backup.yml"] = play.Played(results=[BACKUP], changed=True)
    deploy = make()
    assert deploy_stages.carry_out(deploy, "backup", None) == ([], 0)
    assert deploy.rows[-1]["message"] == "nothing will change"
    pending(deploy, stages.DNS)
    assert deploy_stages.carry_out(deploy, "backup", None) == ([], 0)
    assert (deploy.result()["backup"], [each.playbook for each in ran]) == ("20261123-100000", ["backup.yml"])
    assert ran[0].run == "run-1"


def test_nothing_is_backed_up_before_the_first_deploy_or_where_nobody_asks(make: Make, plays: Any) -> None:
    first = [("deploy_preflight", {"previous": "", "release": "0.2.0", "services": {}})]
    for deploy, why in (
        (make(), "nothing was ever deployed on the machine"),
        (make(EASY), "environment staging asks for none"),
    ):
        pending(deploy, stages.BACKEND, results=first)
        deploy_stages.carry_out(deploy, "backup", None)
        assert (deploy.rows[-1]["state"], deploy.rows[-1]["message"]) == (stages.NOTHING, why)
    assert plays[0] == []


def test_a_failed_backup_ends_the_deploy(make: Make, plays: Any) -> None:
    ran, answers = plays
    answers["backup.yml"] = play.Played(errors=[ROW], code=exitcodes.UNUSABLE, rc=2)
    deploy = make()
    pending(deploy, stages.BACKEND)
    assert deploy_stages.carry_out(deploy, "backup", None) == ([ROW], exitcodes.FAILED)
    told = {row["stage"]: row["state"] for row in deploy.result()["stages"]}
    assert (told["backup"], told["dns"], len(ran)) == ("failed", "not run", 1)


@pytest.mark.parametrize(("policy", "code"), [(CAREFUL, 1), (EASY, 0)], ids=["required", "not required"])
def test_health_fails_the_deploy_where_it_is_required(make: Make, plays: Any, policy: Policy, code: int) -> None:
    services = {"n8n": {"state": "down", "message": "502"}, "redis": {"state": "up"}, "odoo": {"state": "unknown"}}
    plays[1]["status.yml"] = play.Played(results=[("vps_status", {"status": {"services": services}})])
    deploy = make(policy)
    errors, ended = deploy_stages.carry_out(deploy, "health", None)
    assert (ended, [row["what"] for row in errors]) == (code, ["n8n"] if code else [])


def test_a_stage_that_is_done_is_left_only_where_nothing_differs_any_more(make: Make, plays: Any) -> None:
    done = {"state": "done", "run": "run-0", "changed": True}
    deploy = make()
    deploy_stages.carry_out(deploy, "frontend", done)
    assert (deploy.rows[-1]["state"], deploy.rows[-1]["message"], plays[0]) == ("done", "done in run run-0", [])
    pending(deploy, stages.FRONTEND)
    deploy_stages.carry_out(deploy, "frontend", done)
    assert [each.playbook for each in plays[0]] == ["deploy_frontend.yml"]


def test_stages_with_books_of_their_own_run_even_where_nothing_differs(make: Make, plays: Any) -> None:
    deploy = make()
    for each in stages.PLANNED:
        deploy_stages.carry_out(deploy, each.name, None)
    assert [each.playbook for each in plays[0]] == ["deploy.yml", "apply_tenants.yml"]
    assert {row["state"] for row in deploy.rows} == {stages.NOTHING}


def test_without_a_machine_its_stages_are_not_run(make: Make, plays: Any) -> None:
    deploy = make(no_machine="no Engine answers")
    for name in ("backup", "backend", "health"):
        assert deploy_stages.carry_out(deploy, name, None) == ([], 0)
    assert ({row["state"] for row in deploy.rows}, plays[0]) == ({stages.UNAVAILABLE}, [])
    shown = deploy_all_view.lines(deploy.result(), changed=False, failed=False)
    assert "not run here: backup, backend, health (no Engine answers)" in shown


def test_the_machine_tells_releases_services_and_backup(make: Make, plays: Any) -> None:
    services = {"n8n": {"state": "up", "image": "n8n", "changed": False, "rolled_back": False}}
    told = {"release": "0.2.0", "previous": "0.1.0", "services": services}
    plays[1]["deploy.yml"] = play.Played(
        results=[("deploy_preflight", told), BACKUP], changed=True, changes=[{"what": "x"}]
    )
    deploy = make()
    deploy_stages.carry_out(deploy, "backend", None)
    result = deploy.result()
    assert (result["release"], result["previous"], result["backup"]) == ("0.2.0", "0.1.0", "20261123-100000")
    assert (result["services"]["n8n"]["state"], deploy.changes[0]["service"], deploy.changed) == ("up", "host", True)


def test_names_that_were_just_made_are_waited_for(make: Make, plays: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([False, False, True])
    monkeypatch.setattr(deploy_stages, "_resolves", lambda _name: next(answers))
    monkeypatch.setattr(deploy_stages, "NAMES_PAUSE_S", 0.0)
    deploy = make()
    missing = {"what": "n8n.example.com", "where": "DNS", "why": "the name does not resolve", "next": ""}
    dns = play.Played(changes=[{"action": "create", "what": "A n8n.example.com"}])
    deploy.foreseen["dns"] = stages.foreseen(stages.DNS, dns, 0)
    deploy.foreseen["backend"] = stages.foreseen(stages.BACKEND, play.Played(errors=[missing], code=3), 0)
    deploy_stages.carry_out(deploy, "backend", None)
    assert (list(answers), len(plays[0])) == ([], 1)


@pytest.mark.parametrize(
    ("changed", "errors", "state", "said"),
    [
        (True, [], "done", "release 0.2.0 was deployed to staging: 0 changes (run run-1)"),
        (False, [ROW], "done", "failed at"),
        (False, [], "nothing to do", ""),
    ],
    ids=["changed", "failed", "nothing"],
)
def test_the_admin_hears_of_what_changed_or_failed(
    make: Make, plays: Any, changed: bool, errors: list[dict[str, str]], state: str, said: str
) -> None:
    deploy = make()
    deploy.changed = changed
    deploy_stages.notice(deploy, errors)
    assert deploy.rows[-1]["state"] == state
    texts = [str(each.variables["notice_text"]) for each in plays[0]]
    assert [said in text for text in texts] == ([True] if said else [])


def test_a_notice_that_does_not_go_out_is_told_and_fails_nothing(make: Make, plays: Any) -> None:
    plays[1]["notify.yml"] = play.Played(errors=[ROW], code=3)
    deploy = make()
    deploy.changed = True
    deploy_stages.notice(deploy, [])
    assert (deploy.rows[-1]["state"], deploy.rows[-1]["message"]) == ("failed", ROW["why"])


def test_what_a_mode_never_goes_without_cannot_be_skipped() -> None:
    deploy_policy.refuse_skips(["backup", "health", "dns"], EASY, "sandbox")
    for skipped, code in ((["backup", "health"], exitcodes.REFUSED), (["nope", "backup"], exitcodes.INVALID)):
        with pytest.raises(Failure) as refused:
            deploy_policy.refuse_skips(skipped, CAREFUL, "production")
        assert refused.value.outcome.code == code


def test_an_entry_without_the_newer_key_sends_no_notice() -> None:
    entry = {
        "confirm": True,
        "backup_before_deploy": False,
        "health_check_required": True,
        "dangerous_operations": False,
    }
    assert deploy_policy.read(entry) == Policy(backup=False, notice=False)
    assert deploy_policy.read({**entry, "deploy_notice": True}).notice


def test_a_purge_in_passing_is_named() -> None:
    (row,) = deploy_policy.purges({"acme": "purged", "other": "deleted"})
    assert (row["what"], "--purge" in row["next"]) == ("tenant acme", True)
