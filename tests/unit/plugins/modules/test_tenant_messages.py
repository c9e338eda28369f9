# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The promises of tenant_messages and whatsapp_message, kept against the sandbox's WhatsApp."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.filter import whatsapp as wishes
from ansible_collections.smartercl.smarteros.plugins.modules import tenant_messages, whatsapp_message
from smos.sandbox.whatsapp import LIMITED, PROVIDER
from smos.sandbox.whatsapp_store import PHONE_NUMBER
from unit.plugins.wire import CUT, LOST, Wire, run_module, wired
from unit.sandbox.driver import Driver

TOKEN = "sandbox-whatsapp-token"
SPECS = Path(__file__).parents[4] / "specs" / "messages"
SINCE = "2026-11-22T15:27:00Z"


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    monkeypatch.delenv("WHATSAPP_TOKEN", raising=False)
    return wired(lambda: Driver(PROVIDER, {}, TOKEN), monkeypatch)


def tenant(**more: Any) -> dict[str, Any]:
    """A merged tenant, as the lookup gives it."""
    return {
        "id": "76086428-5",
        "name": "Acme",
        "slug": "acme",
        "domain": "acme.example.com",
        "owner": {"name": "Ana Pérez", "email": "ana@example.com", "phone": "+56900000001"},
        "locale": {"timezone": "America/Santiago", "language": "es"},
        "services": {"whatsapp": {"enabled": True}},
        "status": {},
        "wish": "active",
        "wish_since": "",
        **more,
    }


def run(wire: Wire, folder: Path, *tenants: dict[str, Any], check: bool = False, **more: Any) -> dict[str, Any]:
    options = {
        "url": wire.base_url,
        "token": TOKEN,
        "phone_number_id": PHONE_NUMBER,
        "templates": str(SPECS),
        "outbox": str(folder / "outbox"),
        "admin_phone": "+56900000009",
        "messages": wishes.messages(tenants),
        **more,
    }
    return run_module(tenant_messages, check, **options)


def sent(wire: Wire) -> list[str]:
    return [each.json["template"]["name"] for each in wire.writes]


def test_the_owner_and_the_admin_are_written_to_once(wire: Wire, tmp_path: Path) -> None:
    first = run(wire, tmp_path, tenant())
    assert (first["changed"], sent(wire)) == (True, ["smarteros_bienvenida", "smarteros_aviso"])
    (row,) = first["results"]
    known = {"services": {"whatsapp": {"state": "ready", "ref": row["ref"]}}}
    wire.sent.clear()
    again = run(wire, tmp_path, tenant(status=known))
    assert (again["changed"], again["requests"], wire.sent) == (False, 0, [])
    assert again["results"][0]["ref"] == row["ref"]


def test_check_mode_foretells_the_run_and_only_reads(wire: Wire, tmp_path: Path) -> None:
    foretold = run(wire, tmp_path, tenant(), check=True)
    assert (wire.writes, (tmp_path / "outbox").exists()) == ([], False)
    done = run(wire, tmp_path, tenant())
    assert (foretold["diff"], foretold["changed"]) == (done["diff"], done["changed"])
    assert foretold["results"][0]["changes"] == done["results"][0]["changes"]


def test_a_suspended_tenant_is_told_when(wire: Wire, tmp_path: Path) -> None:
    (row,) = run(wire, tmp_path, tenant(wish="suspended", wish_since=SINCE))["results"]
    values = wire.writes[0].json["template"]["components"][0]["parameters"]
    assert (row["state"], sent(wire)[0], values[2]["text"]) == ("suspended", "smarteros_suspension", "22-11-2026")


def test_each_state_writes_to_whom_it_should(wire: Wire, tmp_path: Path) -> None:
    off = {"services": {"whatsapp": {"enabled": False}}}
    seen = {"services": {"whatsapp": {"state": "ready"}}}
    assert run(wire, tmp_path, tenant(**off))["results"] == []
    (row,) = run(wire, tmp_path, tenant(**off, status=seen))["results"]
    assert (row["state"], sent(wire)) == ("suspended", [])
    (row,) = run(wire, tmp_path, tenant(wish="purged", wish_since=SINCE))["results"]
    assert (row["state"], sent(wire)) == ("absent", [])
    undone = run(wire, tmp_path, messages=wishes.messages([tenant()], "absent"))
    assert (undone["results"][0]["state"], sent(wire)) == ("absent", [])


def test_a_refused_token_fails_the_task_with_exit_code_3(wire: Wire, tmp_path: Path) -> None:
    for check in (True, False):
        answer = run(wire, tmp_path, tenant(), check=check, token="planted-wrong-token")
        assert (answer["failed"], answer["exit_code"]) == (True, 3)
        assert "planted-wrong-token" not in json.dumps(answer)
        assert "system user" in answer["errors"][0]["why"]


def test_a_token_that_may_not_send_fails_its_tenants(wire: Wire, tmp_path: Path) -> None:
    (row,) = run(wire, tmp_path, tenant(), token=LIMITED)["results"]
    assert row["state"] == "failed"
    assert "whatsapp_business_messaging" in row["error"]["why"]


def test_an_undeliverable_message_leaves_the_tenant_ready(wire: Wire, tmp_path: Path) -> None:
    owner = {"name": "Ana", "email": "", "phone": "+56900031026"}
    (row,) = run(wire, tmp_path, tenant(owner=owner))["results"]
    assert (row["state"], row["error"]) == ("ready", None)
    assert row["message"].startswith("welcome not delivered: WhatsApp: (#131026)")


@pytest.mark.parametrize("trouble", [LOST, CUT])
def test_a_message_of_unknown_fate_is_not_sent_again(wire: Wire, tmp_path: Path, trouble: str) -> None:
    wire.trouble = lambda each: trouble if each.method == "POST" else None
    (row,) = run(wire, tmp_path, tenant())["results"]
    assert (row["state"], len(wire.writes)) == ("ready", 2)
    assert "may have been sent" in row["message"]
    wire.trouble = lambda _each: None
    run(wire, tmp_path, tenant())
    assert len(wire.writes) == 2


def test_with_neither_way_the_service_is_disabled(wire: Wire, tmp_path: Path) -> None:
    (row,) = run(wire, tmp_path, tenant(), token="")["results"]
    assert (row["state"], wire.sent) == ("disabled", [])


def test_broken_messages_are_told_before_anything_is_sent(wire: Wire, tmp_path: Path) -> None:
    answer = run(wire, tmp_path, tenant(), templates=str(tmp_path))
    assert (answer["failed"], wire.sent) == (True, [])
    assert "welcome.yml" in answer["msg"]


def test_items_have_only_options_that_the_module_knows() -> None:
    (item,) = wishes.messages([tenant()])
    assert set(item) <= set(tenant_messages.MESSAGE)


def message(wire: Wire, check: bool = False, **more: Any) -> dict[str, Any]:
    options = {"url": wire.base_url, "token": TOKEN, "phone_number_id": PHONE_NUMBER, "to": "+56900000001", **more}
    return run_module(whatsapp_message, check, **options)


def test_one_message_tells_its_id(wire: Wire) -> None:
    text = message(wire, text="Hola")
    template = message(wire, template={"name": "hello_world", "language": "en_US"})
    assert text["message_id"] != template["message_id"]
    assert (text["recipient"], text["status"], text["requests"]) == ("56900000001", "accepted", 1)


def test_check_mode_looks_and_sends_nothing(wire: Wire) -> None:
    assert message(wire, check=True, text="Hola")["changed"] is True
    assert wire.writes == []


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"text": "Hola", "to": "12"}, "+56912345678"),
        ({"template": {"name": "nothing"}}, "132001"),
        ({"text": "Hola", "to": "+56900031047"}, "24 hours"),
        ({}, "template, text"),
        ({"text": "Hola", "template": {"name": "x"}}, "mutually exclusive"),
    ],
)
def test_what_cannot_be_sent_says_why(wire: Wire, more: dict[str, Any], why: str) -> None:
    answer = message(wire, **more)
    assert answer["failed"] is True
    assert why in answer["msg"]


def test_one_message_whose_answer_is_lost_is_not_repeated(wire: Wire) -> None:
    wire.trouble = lambda _each: LOST
    answer = message(wire, text="Hola")
    assert (answer["failed"], len(wire.writes)) == (True, 1)
    assert "may have been sent" in answer["msg"]
