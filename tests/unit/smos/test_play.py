"""What a run's events come to: changes, errors, exit code."""

from typing import Any

import pytest

from smos import exitcodes
from smos.play import Played

ROW = {"what": "odoo", "where": "http://127.0.0.1:1", "why": "no connection", "next": "Check it"}


def event(kind: str, action: str, **result: Any) -> dict[str, Any]:
    data = {"task": "A task", "host": "acme", "task_action": f"smartercl.smarteros.{action}", "res": result}
    return {"event": kind, "event_data": data}


@pytest.mark.parametrize(
    ("action", "code"),
    [("tenant_request", 2), ("tenant_preflight", 3), ("tenant_open", 4)],
    ids=["input", "provider", "lock"],
)
def test_a_refusal_before_the_first_write_keeps_its_exit_code(action: str, code: int) -> None:
    played = Played()
    played.take(event("runner_on_failed", action, exit_code=code, errors=[ROW], msg="no"))
    assert (played.code, played.errors) == (code, [ROW])


def test_a_module_that_cannot_be_used_later_is_a_plain_failure() -> None:
    played = Played()
    played.take(event("runner_on_failed", "odoo_companies", exit_code=3, errors=[ROW], msg="no"))
    assert (played.code, played.errors) == (exitcodes.DONE, [ROW])


def test_the_same_error_is_told_once() -> None:
    played = Played()
    played.take(event("runner_on_failed", "odoo_companies", exit_code=3, errors=[ROW]))
    played.take(event("runner_on_ok", "tenant_record", errors=[ROW], changes=[]))
    assert played.errors == [ROW]


def test_changes_come_from_the_registry_and_from_records() -> None:
    played = Played()
    played.take(event("runner_on_ok", "tenant_register", changes=[{"service": "registry"}], changed=True))
    played.take(event("runner_on_ok", "tenant_record", changes=[{"service": "odoo"}]))
    played.take(event("runner_on_ok", "odoo_companies", changes=[{"service": "told twice"}]))
    assert [change["service"] for change in played.changes] == ["registry", "odoo"]
    assert played.changed


def test_an_unexplained_failure_names_task_and_host() -> None:
    played = Played()
    played.take(event("runner_on_failed", "odoo_companies", msg="it\nbroke"))
    assert played.errors == [{"what": "A task", "where": "acme", "why": "it broke", "next": ""}]
