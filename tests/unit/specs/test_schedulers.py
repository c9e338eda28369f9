"""The jobs of the specs: what is refused, and what becomes of them in AWX and Semaphore."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import (
    consistency_schedulers,
    playbook_inputs,
    scheduler_jobs,
)
from unit.test_repository import ROOT

DOCUMENT = scheduler_jobs.read(ROOT / "specs")


def broken(**change: Any) -> str:
    document = copy.deepcopy(DOCUMENT)
    document["jobs"]["weekly_drill"].update(change)
    return "\n".join(
        f"{'.'.join(map(str, row[1]))}: {row[3]}" for row in consistency_schedulers.broken({"schedulers": document})
    )


def test_every_playbook_is_a_job_or_left_out_with_a_reason() -> None:
    offered = {job["playbook"] for job in DOCUMENT["jobs"].values()}
    assert offered | {*DOCUMENT["left_out"]} == {*playbook_inputs.load().playbooks}
    assert broken() == ""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"playbook": "restores"}, 'jobs.weekly_drill.playbook: "restores" is unknown.'),
        ({"title": "Status"}, 'jobs.status.title: weekly_drill has "Status" already.'),
        ({"variables": {"restore_drill": True}}, "jobs.weekly_drill: restore_backup is missing."),
        ({"ask": ["restore_bakcup"]}, 'jobs.weekly_drill.ask: "restore_bakcup" is unknown.'),
        (
            {"variables": {"restore_backup": "latest", "restore_drill": "perhaps"}},
            'jobs.weekly_drill.variables.restore_drill: restore_drill: it is true or false; "perhaps" was given.',
        ),
        (
            {"playbook": "secrets", "variables": {}, "ask": ["secret_name", "secret_value"]},
            "jobs.weekly_drill.ask: secret_value is none of these.",
        ),
        ({"playbook": "reach", "variables": {}}, "left_out.reach: reach is both."),
    ],
    ids=lambda value: None if isinstance(value, dict) else "",
)
def test_a_job_that_cannot_be_started_is_refused(change: dict[str, Any], said: str) -> None:
    assert said in broken(**change).splitlines()


def test_semaphore_gets_arguments_forms_and_schedules_in_the_zone() -> None:
    wanted = scheduler_jobs.for_semaphore(DOCUMENT, {"N8N_API_KEY": "x", "SHOPIFY_TOKEN_ACME": "y", "HOME": "/root"})
    jobs = {job["name"]: job for job in wanted["jobs"]}
    assert jobs["Weekly drill"]["arguments"] == ["-e", '{"restore_backup": "latest", "restore_drill": true}']
    assert jobs["Weekly drill"]["schedule"] == "CRON_TZ=America/Santiago 0 5 * * 0"
    assert jobs["Drift of tenants"]["arguments"] == ["--check", "--diff"]
    assert jobs["Apply all tenants"]["schedule"] is None
    fields = jobs["Roll the backend back"]["survey"]
    assert [(one["name"], one["type"], one["required"]) for one in fields] == [
        ("rollback_release", "", True),
        ("rollback_with_data", "enum", False),
    ]
    assert wanted["secrets"] == {"N8N_API_KEY": "x", "SHOPIFY_TOKEN_ACME": "y"}
    assert [(key["name"], key["type"]) for key in wanted["keys"]] == [("machines", "none"), ("repository", "none")]
    assert jobs["Status"]["vault_key"] is None


def test_keys_come_from_files_and_a_missing_one_is_told(tmp_path: Path) -> None:
    for name in ("machine", "vault"):
        (tmp_path / name).write_text(f"planted-{name}\n", encoding="utf-8")
    given = {
        "SMOS_SCHEDULER_SSH_KEY_FILE": str(tmp_path / "machine"),
        "SMOS_SCHEDULER_SSH_USER": "ops",
        "SMOS_SCHEDULER_VAULT_FILE": str(tmp_path / "vault"),
    }
    wanted = scheduler_jobs.for_semaphore(DOCUMENT, given)
    assert [(key["name"], key["type"]) for key in wanted["keys"]] == [
        ("machines", "ssh"),
        ("repository", "none"),
        ("vault", "login_password"),
    ]
    assert wanted["keys"][0]["login"] == "ops"
    assert wanted["keys"][2]["password"] == "planted-vault"
    assert {job["vault_key"] for job in wanted["jobs"]} == {"vault"}
    given["SMOS_SCHEDULER_VAULT_FILE"] = str(tmp_path / "nowhere")
    with pytest.raises(scheduler_jobs.UnreadableKey, match="SMOS_SCHEDULER_VAULT_FILE"):
        scheduler_jobs.for_semaphore(DOCUMENT, given)


@pytest.mark.parametrize(
    ("cron", "rule"),
    [
        ("30 3 * * *", "DTSTART;TZID=America/Santiago:20250105T033000 RRULE:FREQ=DAILY;INTERVAL=1"),
        ("0 5 * * 0,3", "DTSTART;TZID=America/Santiago:20250105T050000 RRULE:FREQ=WEEKLY;INTERVAL=1;BYDAY=SU,WE"),
        ("17 * * * *", "DTSTART;TZID=America/Santiago:20250105T001700 RRULE:FREQ=HOURLY;INTERVAL=1"),
    ],
)
def test_awx_gets_the_rule_of_a_calendar(cron: str, rule: str) -> None:
    assert scheduler_jobs.rrule(cron, "America/Santiago") == rule


def test_awx_gets_check_jobs_variables_and_surveys() -> None:
    jobs = {job["name"]: job for job in scheduler_jobs.for_awx(DOCUMENT)}
    assert jobs["Drift of tenants"]["job_type"] == "check"
    assert jobs["Weekly drill"]["extra_vars"] == {"restore_backup": "latest", "restore_drill": True}
    assert jobs["Status"]["survey"] == {}
    field = jobs["Roll the backend back"]["survey"]["spec"][1]
    assert (field["variable"], field["type"], field["choices"]) == (
        "rollback_with_data",
        "multiplechoice",
        ["true", "false"],
    )


def test_the_providers_are_those_of_the_templates() -> None:
    names = scheduler_jobs.provider_names()
    assert names["n8n"] == ["N8N_URL", "N8N_API_KEY"]
    assert {"cloudflare", "odoo", "shopify", "vercel"} <= set(names)
