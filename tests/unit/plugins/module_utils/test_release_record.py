"""What a run leaves in the ledger when it begins and when it fails half-way."""

from __future__ import annotations

from typing import Any

from ansible_collections.smartercl.smarteros.plugins.module_utils import release_record
from ansible_collections.smartercl.smarteros.plugins.module_utils.release_record import Wish

NAMES = ("redis", "n8n", "odoo")


def record(version: str) -> dict[str, Any]:
    return {"config": version, "images": {"web": f"web:{version}"}, "release": version, "data": {"web": version}}


BEFORE = {name: record("1") for name in NAMES}
AFTER = {name: record("2") for name in NAMES}


def live(**configs: str) -> dict[str, Any]:
    return {name: {"config": one, "state": "up", "images": {"web": f"web:{one}"}} for name, one in configs.items()}


def data(records: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: each["data"]["web"] for name, each in records.items()}


def test_a_run_that_is_cut_off_may_have_changed_all_data_that_it_was_about() -> None:
    found = release_record.begun(Wish(BEFORE, AFTER, ["n8n", "odoo"]))
    assert data(found) == {"redis": "1", "n8n": "2", "odoo": "2"}
    assert found["n8n"]["images"] == {"web": "web:1"}


def test_a_failure_tells_what_is_new_what_was_tried_and_what_was_not_come_to() -> None:
    found = release_record.failed(Wish(BEFORE, AFTER, NAMES), live(redis="2", n8n="1", odoo="1"))
    assert found["redis"] == AFTER["redis"]
    assert (found["n8n"]["config"], found["n8n"]["release"]) == ("1", "1")
    assert data(found) == {"redis": "2", "n8n": "2", "odoo": "1"}


def test_a_service_that_is_new_has_data_and_nothing_else() -> None:
    found = release_record.failed(Wish({}, AFTER, ["n8n"]), {})
    assert found == {"n8n": {**release_record.EMPTY, "data": {"web": "2"}}}


def test_data_that_are_to_be_restored_are_as_they_were_until_they_are() -> None:
    back: dict[str, Any] = {"before": AFTER, "after": BEFORE, "visited": ["odoo", "n8n"]}
    assert data(release_record.begun(Wish(**back, to_restore=["n8n"])))["n8n"] == "2"
    assert data(release_record.begun(Wish(**back, restored=["n8n"])))["n8n"] == "1"
    found = release_record.failed(Wish(**back, restored=["n8n"]), live(odoo="2", n8n="2", redis="2"))
    assert data(found) == {"redis": "2", "odoo": "1", "n8n": "1"}  # odoo failed first, n8n's data are back all the same
