# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The stages of a deploy: what a check comes to, what stands against beginning, and how a plan looks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from smos import plan_view, plan_work, play, stages
from smos.stages import BACKEND, DNS, FRONTEND, MIGRATIONS, TENANTS, Foreseen

ROW = {"what": "odoo", "where": "https://odoo.example.com", "why": "no connection", "next": "Check it"}
NAME = "n8n.example.com"
NO_NAME = {"what": NAME, "where": "DNS", "why": "the name does not resolve", "next": "Make it"}
PREFLIGHT = {"release": "0.2.0", "previous": "0.1.0", "services": {"n8n": {"state": "up"}}}


def change(**more: Any) -> dict[str, Any]:
    return {"service": "n8n", "tenant": None, "action": "create", "what": "it", "before": None, "after": None, **more}


def found(
    stage: stages.Stage, *changes: dict[str, Any], errors: tuple[dict[str, str], ...] = (), code: int = 0
) -> Foreseen:
    return stages.foreseen(stage, play.Played(changes=list(changes), errors=list(errors), code=code), 1.0)


def test_the_playbook_of_the_whole_has_the_same_order() -> None:
    text = (Path(__file__).resolve().parents[3] / "playbooks" / "deploy_all.yml").read_text()
    # The founder's dashboards are no stage: nothing else of a deploy leans on them
    imported = [play["ansible.builtin.import_playbook"] for play in yaml.safe_load(text)]
    assert imported == ["backup.yml", *(each.playbook for each in stages.PLANNED), "dashboards.yml", "status.yml"]


def test_the_order_is_that_of_a_deploy() -> None:
    assert stages.NAMES == ("backup", "dns", "backend", "migrations", "frontend", "tenants", "health", "notice")
    assert stages.of_part("all") == (DNS, BACKEND, MIGRATIONS, FRONTEND, TENANTS)
    assert stages.of_part("tenants") == (TENANTS,)


@pytest.mark.parametrize(
    ("played", "state", "code"),
    [
        (play.Played(), stages.NOTHING, 0),
        (play.Played(changes=[{"what": "ssl"}]), stages.PENDING, 0),
        (play.Played(errors=[ROW], code=3), stages.FAILED, 3),
        (play.Played(errors=[ROW]), stages.FAILED, 1),
        (play.Played(interrupted=True, code=130), stages.STOPPED, 130),
    ],
    ids=["equal", "differs", "refused", "a failure foreseen", "stopped"],
)
def test_a_check_comes_to(played: play.Played, state: str, code: int) -> None:
    seen = stages.foreseen(DNS, played, 0.5)
    assert (seen.state, seen.code) == (state, code)


def test_a_change_gets_the_keys_of_the_contract_and_no_secret() -> None:
    (told,) = found(DNS, {"action": "update", "what": "zone setting ssl", "before": "off", "after": "full"}).changes
    assert told == {**change(), "service": "cloudflare", "action": "update", "what": "zone setting ssl"} | {
        "before": "off",
        "after": "full",
    }
    (secret,) = found(FRONTEND, change(what="variable CLERK_SECRET_KEY", before=None, after="sk_live_planted")).changes
    assert (secret["before"], secret["after"]) == (None, "***")


def test_the_releases_of_the_machine_are_known_also_where_it_is_refused() -> None:
    seen = stages.foreseen(BACKEND, play.Played(results=[("deploy_preflight", PREFLIGHT)]), 0)
    assert (seen.release, seen.previous, seen.services) == ("0.2.0", "0.1.0", PREFLIGHT["services"])
    refused = play.Played(results=[("deploy_preflight", {"previous": ""})], errors=[ROW], code=3)
    assert stages.foreseen(BACKEND, refused, 0).previous == ""
    assert stages.foreseen(BACKEND, play.Played(errors=[ROW], code=3), 0).previous is None


@pytest.mark.parametrize(
    ("rows", "pending", "code"),
    [
        ([found(DNS), stages.unavailable(BACKEND, "no VPS")], 10, 0),
        ([found(DNS, change())], 10, 10),
        ([found(DNS, change())], 0, 0),
        ([found(DNS, change()), found(BACKEND, errors=(ROW,), code=4), found(TENANTS, errors=(ROW,), code=3)], 10, 3),
        (
            [found(BACKEND, errors=(ROW,), code=3), stages.foreseen(DNS, play.Played(interrupted=True, code=130), 0)],
            10,
            130,
        ),
    ],
    ids=["nothing", "pending", "pending and nobody asks", "failed", "stopped"],
)
def test_the_exit_code_of_a_plan(rows: list[Foreseen], pending: int, code: int) -> None:
    assert stages.code_of(rows, pending) == code
    outcome = plan_work.outcome_of(rows, pending)
    assert (outcome.code, bool(outcome.errors)) == (code, code not in (0, 10))


def test_the_result_of_a_plan_counts_by_stage() -> None:
    outcome = plan_work.outcome_of(
        [found(DNS, change(), change(action="delete")), stages.unavailable(BACKEND, "no VPS")], 0
    )
    dns, backend = outcome.result["stages"]
    assert dns["changes"] == {"create": 1, "update": 0, "delete": 1}
    assert (backend["state"], backend["message"], outcome.errors, outcome.changed) == (
        "unavailable",
        "no VPS",
        (),
        True,
    )


def judged(*rows: Foreseen) -> tuple[list[str], int, int]:
    problems, code, notices = stages.judged(rows)
    return [row["what"] for row in problems], code, len(notices)


def test_all_problems_of_all_stages_are_told_and_the_least_code_counts() -> None:
    rows = (found(DNS, errors=(NO_NAME,), code=1), found(BACKEND, errors=(ROW,), code=4))
    assert judged(*rows) == ([NAME, "odoo"], 3, 0)


@pytest.mark.parametrize(
    ("what", "held"),
    [
        (f"record A {NAME}", True),
        (f"A {NAME}: 203.0.113.1", True),
        ("record A *.example.com", True),
        ("zone setting ssl", False),
        (f"record A other-{NAME}", False),
    ],
)
def test_a_name_that_stage_dns_makes_holds_nothing_up(what: str, held: bool) -> None:
    rows = (found(DNS, change(what=what)), found(BACKEND, errors=(NO_NAME,), code=3))
    assert judged(*rows) == (([], 0, 1) if held else ([NAME], 3, 0))


def test_a_tenants_service_that_is_about_to_be_deployed_holds_nothing_up() -> None:
    tenants = found(TENANTS, errors=(ROW,), code=3)
    assert judged(found(BACKEND, change(service="odoo")), tenants) == ([], 0, 1)
    assert judged(found(BACKEND, change(service="n8n")), tenants) == (["odoo"], 3, 0)
    assert judged(stages.unavailable(BACKEND, "no VPS"), tenants) == (["odoo"], 3, 0)


def test_a_tenant_fails_alone() -> None:
    assert judged(found(TENANTS, errors=(ROW,), code=1)) == ([], 0, 1)
    assert judged(found(TENANTS, errors=(ROW,), code=3)) == (["odoo"], 3, 0)
    assert judged(found(FRONTEND, errors=(ROW,), code=1)) == (["odoo"], 3, 0)


def test_a_plan_is_shown_by_stage_service_and_tenant() -> None:
    update = change(action="update", what="company", before={"name": "A", "x": 1}, after={"name": "B", "x": 1})
    tenants = found(
        TENANTS,
        change(service="odoo", tenant="76086428-5", what="company Acme", cause="new", owner="rut:76086428-5"),
        {**update, "service": "odoo", "tenant": "76086428-5"},
        change(service="n8n", tenant="76086428-5", action="delete", what="workflow"),
    )
    shown = list(
        plan_view.lines([tenants, stages.unavailable(BACKEND, "no VPS"), found(DNS, errors=(ROW, NO_NAME), code=3)])
    )
    assert shown == [
        "tenants: 1 to create, 1 to update, 1 to delete",
        "  odoo: 1 to create, 1 to update",
        "    76086428-5",
        "      + company Acme  [new; rut:76086428-5]",
        "      ~ company: name A → B",
        "  n8n: 1 to delete",
        "    76086428-5",
        "      - workflow",
        "backend: not planned: no VPS",
        "dns: could not be planned: no connection (and 1 more)",
        "3 changes pending: 1 to create, 1 to update, 1 to delete",
    ]


def test_nothing_to_change_is_said_only_where_all_was_looked_at() -> None:
    assert list(plan_view.lines([found(DNS), stages.unavailable(BACKEND, "no VPS")]))[-1] == "nothing to change"
    assert "nothing to change" not in list(plan_view.lines([found(DNS), found(TENANTS, errors=(ROW,), code=3)]))


def test_colours_are_for_terminals() -> None:
    assert not any("\x1b" in line for line in plan_view.lines([found(DNS, change())]))
    assert any("\x1b[32m+\x1b[0m" in line for line in plan_view.lines([found(DNS, change())], colours=True))


def test_the_play_of_a_stage_gets_release_and_limit_where_they_mean_something() -> None:
    wish = plan_work.play_of(BACKEND, "run", None, "v0.2.0", check=True)
    assert (wish.variables["deploy_release"], wish.check, wish.playbook) == ("0.2.0", True, "deploy.yml")
    assert "deploy_release" not in plan_work.play_of(TENANTS, "run", None, "0.2.0").variables


def test_a_limit_is_for_tenants_or_for_the_machine_where_it_is_planned_alone() -> None:
    limits = {each.name: plan_work.limit_of(each, stages.PLANNED, "acme") for each in stages.PLANNED}
    assert {name for name, limit in limits.items() if limit} == {"tenants"}
    assert plan_work.limit_of(BACKEND, [BACKEND], "vps1") == "vps1"
