"""A tenant's status follows from what the services answered."""

from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import status

READY = {"state": "ready", "ref": {"id": 4}, "url": "https://x.example", "message": "", "created": True, "error": None}
ERROR = {"what": "company", "where": "POST …", "why": "no", "next": "again"}


def row(**changes: Any) -> dict[str, Any]:
    return {**READY, "changes": [], **changes}


def test_rows_of_one_tenant_become_one_answer() -> None:
    answer = status.combined([row(), row(ref={"user": 7}, created=False, changes=[1])])
    assert (answer["state"], answer["ref"], answer["created"], answer["changes"]) == (
        "ready",
        {"id": 4, "user": 7},
        True,
        [1],
    )


def test_one_failed_row_fails_the_answer_and_the_first_error_is_told() -> None:
    second = {**ERROR, "why": "later"}
    failed = row(state="failed", error=ERROR, message="no", created=False)
    answer = status.combined([failed, row(state="failed", error=second, message="later"), row()])
    assert (answer["state"], answer["error"], answer["message"]) == ("failed", ERROR, "no")


def test_the_same_answer_again_leaves_the_block_as_it_is() -> None:
    block = status.with_service({}, "odoo", status.combined([row()]), "run-1")
    again = status.with_service(block, "odoo", status.combined([row(created=False)]), "run-2")
    assert again == block
    assert block["services"]["odoo"]["created_by"] == "run-1"


def test_an_absent_service_leaves_the_block() -> None:
    block = status.with_service({}, "odoo", status.combined([row()]), "run-1")
    gone = status.with_service(block, "odoo", status.combined([row(state="absent")]), "run-2")
    assert gone["services"] == {}
    assert gone["run"] == "run-2"
    assert status.with_service(gone, "odoo", status.combined([row(state="absent")]), "run-3") == gone


def test_a_failure_keeps_the_ids_that_are_known() -> None:
    block = status.with_service({}, "odoo", status.combined([row()]), "run-1")
    failed = status.with_service(block, "odoo", status.combined([row(state="failed", ref={}, message="no")]), "run-2")
    assert failed["services"]["odoo"]["ref"] == {"id": 4}
    assert failed["services"]["odoo"]["message"] == "no"


@pytest.mark.parametrize(
    ("wish", "states", "wanted", "phase"),
    [
        pytest.param("active", {"odoo": "ready", "n8n": "ready"}, ["odoo", "n8n"], "active", id="all ready"),
        pytest.param("active", {"odoo": "ready", "n8n": "failed"}, ["odoo", "n8n"], "failed", id="one failed"),
        pytest.param("active", {"odoo": "ready"}, ["odoo", "n8n"], "failed", id="one never came to its turn"),
        pytest.param(
            "active", {"odoo": "ready", "n8n": "disabled"}, ["odoo", "n8n"], "active", id="one it does without"
        ),
        pytest.param("active", {"odoo": "suspended"}, ["odoo"], "failed", id="one that was not resumed"),
        pytest.param("active", {}, [], "active", id="a tenant without services"),
        pytest.param(
            "suspended", {"odoo": "suspended", "vercel": "absent"}, ["odoo", "vercel"], "suspended", id="closed"
        ),
        pytest.param("suspended", {"odoo": "failed"}, ["odoo"], "failed", id="one that would not close"),
        pytest.param("deleted", {"odoo": "suspended"}, ["odoo"], "deleted", id="deleted"),
        pytest.param("purged", {}, ["odoo"], "purged", id="nothing left"),
        pytest.param("purged", {"odoo": "suspended"}, ["odoo"], "failed", id="something left"),
    ],
)
def test_the_phase_follows_from_the_wish_and_the_wanted_services(
    wish: str, states: dict[str, str], wanted: list[str], phase: str
) -> None:
    block = {"services": {name: {"state": state} for name, state in states.items()}}
    assert status.settled(block, wanted, wish)[0] == phase


def test_what_was_applied_is_kept_until_something_else_is() -> None:
    block = status.with_phase({"services": {}}, "active", "run-1", applied="aa")
    assert block["applied"] == "aa"
    assert status.with_phase(block, "active", "run-2", applied="aa") == block
    assert status.with_phase(block, "failed", "run-2", "odoo: no")["applied"] == "aa"


def test_the_archive_of_a_tenant_that_no_run_has_seen_makes_a_whole_block() -> None:
    export = {"file": "/x.tar.gz", "sha256": "0", "bytes": 1, "at": "2026-11-22T15:26:43Z"}
    assert status.with_export({}, export) == {"phase": "pending", "export": export}
    block = {"phase": "active", "services": {"odoo": {"state": "ready"}}}
    assert list(status.with_export(block, export)) == ["phase", "export", "services"]


def test_a_reason_goes_when_the_phase_gets_better() -> None:
    failed = status.with_phase({"services": {}}, "failed", "run-1", "odoo: no")
    active = status.with_phase(failed, "active", "run-2")
    assert failed["reason"] == "odoo: no"
    assert "reason" not in active
    assert status.with_phase(active, "active", "run-3") == active
