# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The sandbox's WhatsApp: tokens, templates, messages, and the numbers that meet trouble."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from smos.sandbox import outbox
from smos.sandbox.whatsapp import LIMITED, PROVIDER
from smos.sandbox.whatsapp_store import BUSINESS_ACCOUNT, PHONE_NUMBER, TEMPLATES
from unit.sandbox.driver import Driver

TOKEN = "sandbox-whatsapp-token"
MESSAGES = Path(__file__).parents[3] / "specs" / "messages"
SEND = f"/{PHONE_NUMBER}/messages"


@pytest.fixture
def api() -> Driver:
    return Driver(PROVIDER, {"authorization": f"Bearer {TOKEN}"}, TOKEN)


def text(to: str = "+56900000001", body: str = "Hola", **more: Any) -> dict[str, Any]:
    whole = {"messaging_product": "whatsapp", "recipient_type": "individual", "to": to, "type": "text"}
    return {**whole, "text": {"body": body}, **more}


def template(*values: str, name: str = "smarteros_bienvenida", language: str = "es") -> dict[str, Any]:
    parameters = [{"type": "text", "text": value} for value in values]
    wanted = {
        "name": name,
        "language": {"code": language},
        "components": [{"type": "body", "parameters": parameters}],
    }
    whole = {"messaging_product": "whatsapp", "recipient_type": "individual", "to": "56900000001", "type": "template"}
    return {**whole, "template": wanted}


def refused(api: Driver, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, int]:
    reply = api.send(method, path, body, **options)
    return reply.status, reply.body["error"]["code"]


def test_a_token_is_judged_as_meta_judges_it(api: Driver) -> None:
    path = f"/{PHONE_NUMBER}"
    assert api.send("GET", path).status == 200
    assert refused(api, "GET", path, headers={}) == (400, 104)
    assert refused(api, "GET", path, headers={"authorization": "Bearer nonsense"}) == (401, 190)
    ended = api.send("GET", path, headers={"authorization": "Bearer sandbox-whatsapp-expired"})
    assert ended.body["error"]["error_subcode"] == 463


def test_a_token_without_messaging_reads_and_does_not_send(api: Driver) -> None:
    limited = {"authorization": f"Bearer {LIMITED}", "content-type": "application/json"}
    assert api.send("GET", f"/{PHONE_NUMBER}", headers=limited).status == 200
    assert [row["permission"] for row in api.ok("GET", "/me/permissions", headers=limited)["data"]] == [
        "whatsapp_business_management"
    ]
    assert refused(api, "POST", SEND, text(), headers=limited) == (403, 10)


def test_a_template_is_filled_and_kept_for_looking_at(api: Driver) -> None:
    answer = api.ok("POST", SEND, template("Ana", "Acme", "https://acme.example.com"))
    assert answer["contacts"] == [{"input": "56900000001", "wa_id": "56900000001"}]
    (row,) = outbox.find(api.engine.state)["messages"]
    assert (row["id"], row["to"], row["template"]) == (
        answer["messages"][0]["id"],
        "56900000001",
        "smarteros_bienvenida",
    )
    assert "Hola Ana, tu tienda Acme" in row["text"]


def test_a_template_must_exist_in_the_language_and_get_all_its_parameters(api: Driver) -> None:
    assert refused(api, "POST", SEND, template("a", "b", "c", name="nothing")) == (404, 132001)
    assert refused(api, "POST", SEND, template("a", "b", "c", language="es_CL")) == (404, 132001)
    assert refused(api, "POST", SEND, template("a")) == (400, 132000)
    assert refused(api, "POST", SEND, template("a\nb", "b", "c")) == (400, 132018)
    assert outbox.find(api.engine.state)["messages"] == []


def test_a_new_template_waits_for_its_review(api: Driver) -> None:
    path = f"/{BUSINESS_ACCOUNT}/message_templates"
    wish = {"name": "mine", "language": "es", "category": "UTILITY", "components": [{"type": "BODY", "text": "Hola"}]}
    assert api.ok("POST", path, wish)["status"] == "PENDING"
    assert refused(api, "POST", path, wish) == (400, 100)
    assert refused(api, "POST", SEND, template(name="mine")) == (404, 132001)
    api.ok("POST", path, {**wish, "name": "mine_sandbox_approved"})
    api.ok("POST", SEND, template(name="mine_sandbox_approved"))
    assert api.ok("DELETE", path, name="mine") == {"success": True}


def test_lists_come_in_pages(api: Driver) -> None:
    path, names, after = f"/{BUSINESS_ACCOUNT}/message_templates", [], "0"
    while True:
        page = api.ok("GET", path, limit=2, after=after)
        names += [row["name"] for row in page["data"]]
        if "next" not in page["paging"]:
            break
        after = page["paging"]["cursors"]["after"]
    assert sorted(names) == sorted([*TEMPLATES, "hello_world"])


@pytest.mark.parametrize(
    ("to", "code"),
    [
        ("56900031026", 131026),
        ("56900031030", 131030),
        ("56900031042", 131042),
        ("56900031047", 131047),
        ("12", 131009),
    ],
)
def test_some_numbers_meet_trouble(api: Driver, to: str, code: int) -> None:
    assert refused(api, "POST", SEND, text(to)) == (400, code)


def test_what_is_no_message_is_refused(api: Driver) -> None:
    assert refused(api, "POST", SEND, {}) == (400, 100)
    assert refused(api, "POST", SEND, text(body="x" * 4097)) == (400, 100)
    assert refused(api, "POST", "/42/messages", text()) == (400, 100)
    assert refused(api, "POST", SEND, {**text(), "type": "sticker"}) == (400, 131051)


def test_some_countries_rewrite_numbers(api: Driver) -> None:
    answer = api.ok("POST", SEND, text("+5215512345678"))
    assert answer["contacts"] == [{"input": "+5215512345678", "wa_id": "525512345678"}]


def test_the_sandbox_knows_the_templates_of_the_specs() -> None:
    for path in MESSAGES.glob("*.yml"):
        for language in yaml.safe_load(path.read_text(encoding="utf-8"))["languages"].values():
            wanted = language["whatsapp"]
            assert TEMPLATES[wanted["template"]] == " ".join(wanted["body"].split()), path.name
