"""The n8n client and module against real n8n servers: what is made really answers, and a second run leaves it alone."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import requests

from ansible_collections.smartercl.smarteros.plugins.filter.n8n import workflows
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import n8n as api
from ansible_collections.smartercl.smarteros.plugins.modules import n8n_workflows as module
from real.n8n import N8n
from unit.plugins.wire import run_module

SPECS = Path(__file__).parents[2] / "specs" / "workflows"
TEMPLATES = ["contacts-to-odoo", "shopify-orders", "chatwoot-router"]
INCOMING = {"event": "message_created", "message_type": "incoming"}
ROUTES = (
    ({**INCOMING, "conversation": {"id": 1, "status": "pending"}}, "bot"),
    ({**INCOMING, "conversation": {"id": 1, "status": "open"}}, "team"),
    ({"event": "conversation_resolved", "id": 1, "status": "resolved"}, "archive"),
    ({"event": "webwidget_triggered"}, "none"),
)
HOOK = {"type": "n8n-nodes-base.webhook", "typeVersion": 2, "position": [0, 0], "name": "In"}


@pytest.fixture(params=["1", pytest.param("2", marks=pytest.mark.second_tier)])
def server(request: pytest.FixtureRequest) -> N8n:
    found: N8n = request.getfixturevalue("real_n8n" if request.param == "1" else "real_n8n_2")
    return found


def tenant(rut: str) -> dict[str, Any]:
    locale = {"timezone": "America/Santiago", "currency": "CLP", "language": "es", "country": "CL"}
    services = {"n8n": {"enabled": True}}
    return {
        "id": rut,
        "slug": "acme",
        "name": "Acme Corp",
        "domain": "acme.example.com",
        "locale": locale,
        "services": services,
    }


def run(server: N8n, *ruts: str, check: bool = False, **more: Any) -> dict[str, Any]:
    items = [{**item, **more} for item in workflows([tenant(rut) for rut in ruts], TEMPLATES)]
    answer = run_module(module, check, url=server.url, api_key=server.api_key, templates=str(SPECS), workflows=items)
    assert "results" in answer, answer
    return answer


def call(server: N8n, path: str, body: Any, expected: int, **headers: str) -> requests.Response:
    """A call to a webhook; n8n 2.x takes workflows in and out of use a moment after it has said so."""
    until = time.monotonic() + 10
    while True:
        answer = requests.post(f"{server.url}/webhook/{path}", json=body, headers=headers, timeout=30)
        if answer.status_code == expected:
            return answer
        assert time.monotonic() < until, (answer.status_code, answer.text)
        time.sleep(0.05)


def client(server: N8n) -> api.N8n:
    return api.connect({"url": server.url, "api_key": server.api_key})


def test_the_key_is_valid_and_a_wrong_one_is_not(server: N8n) -> None:
    assert client(server).check()["state"] == "valid"
    wrong = api.connect({"url": server.url, "api_key": "wrong-key-of-nobody"})
    assert wrong.check()["state"] == "invalid"


def test_workflows_live_from_creation_to_deletion(server: N8n) -> None:
    rut = "76086428-5"
    foretold = run(server, rut, check=True)
    first = run(server, rut)
    assert first["results"][0]["error"] is None
    assert (first["results"][0]["state"], first["results"][0]["created"]) == ("ready", True)
    assert (foretold["diff"], foretold["changed"]) == (first["diff"], True)

    second = run(server, rut)
    assert (second["changed"], second["results"][0]["changes"]) == (False, [])
    assert second["results"][0]["ref"] == first["results"][0]["ref"]

    answer = call(server, f"{rut}/contacts-to-odoo", {"name": " Ana ", "email": "ANA@example.com"}, 202)
    assert answer.json() == {"tenant": rut, "name": "Ana", "email": "ana@example.com", "phone": "", "comment": ""}
    call(server, f"{rut}/contacts-to-odoo", {"name": "Ana"}, 422)
    line = {"sku": "a", "title": "A", "quantity": 2, "price": "6.25"}
    order = {"id": 7, "name": "#7", "total_price": "12.50", "line_items": [line]}
    answer = call(server, f"{rut}/shopify-orders", order, 200, **{"X-Shopify-Shop-Domain": "acme.example.com"})
    assert (answer.json()["total"], answer.json()["shop"]) == (12.5, "acme.example.com")
    assert answer.json()["lines"] == [{**line, "price": 6.25}]
    for body, route in ROUTES:
        assert call(server, f"{rut}/chatwoot-router", body, 200).json()["route"] == route

    assert run(server, rut, state="suspended")["results"][0]["state"] == "suspended"
    call(server, f"{rut}/shopify-orders", {}, 404)
    assert run(server, rut, state="suspended")["changed"] is False
    assert run(server, rut)["changed"] is True
    call(server, f"{rut}/shopify-orders", {}, 200)

    gone = run(server, rut, state="absent")
    assert gone["results"][0]["state"] == "absent", gone["results"][0]["error"]
    assert len(gone["results"][0]["changes"]) == len(TEMPLATES) + 1
    call(server, f"{rut}/shopify-orders", {}, 404)
    assert run(server, rut, state="absent")["changed"] is False
    assert f"rut:{rut}" not in client(server).tags()


def test_an_active_workflow_that_differs_is_put_right_and_goes_on_answering(server: N8n) -> None:
    rut = "76192083-9"
    run(server, rut)
    mine = next(each for each in client(server).workflows() if each.name == f"{rut} Shopify orders")
    nodes = [{**node} for node in mine.nodes]
    nodes[-1]["parameters"] = {**nodes[-1]["parameters"], "options": {"responseCode": 418}}
    keep = ("name", "type", "typeVersion", "position", "parameters", "id", "webhookId")
    plain = [{key: node[key] for key in keep if node.get(key) is not None} for node in nodes]
    client(server).update(mine, {"name": mine.name, "nodes": plain, "connections": mine.connections, "settings": {}})
    call(server, f"{rut}/shopify-orders", {}, 418)

    answer = run(server, rut)
    (change,) = answer["results"][0]["changes"]
    assert "nodes" in change["after"]
    call(server, f"{rut}/shopify-orders", {}, 200)
    assert run(server, rut)["changed"] is False


def test_a_webhook_that_another_workflow_uses_fails_its_tenant_only(server: N8n) -> None:
    rut, other = "77123456-1", "78123456-2"
    path = f"{rut}/shopify-orders"
    node = {
        **HOOK,
        "webhookId": "5b1f1c1e-0000-4000-8000-000000000001",
        "parameters": {"path": path, "httpMethod": "POST"},
    }
    body = {"name": "By hand", "nodes": [node], "connections": {}, "settings": {}}
    foreign = api.workflow_of(client(server).http.request("POST", f"{api.API}/workflows", json=body).body)
    client(server).switch(foreign, active=True)
    assert rut in client(server).claimed([tenant(rut), tenant(other)])
    assert other not in client(server).claimed([tenant(rut), tenant(other)])

    answer = run(server, rut, other)
    assert [row["state"] for row in answer["results"]] == ["failed", "ready"]
    assert path in answer["results"][0]["message"]
    assert not [each for each in client(server).workflows() if each.name.startswith(rut)]


def test_a_run_that_died_between_two_steps_is_completed(server: N8n) -> None:
    rut = "79123456-3"
    run(server, rut)
    mine = {each.name: each for each in client(server).workflows() if each.name.startswith(rut)}
    client(server).set_tags(mine[f"{rut} Shopify orders"], [])
    client(server).switch(mine[f"{rut} Shopify orders"], active=False)
    client(server).switch(mine[f"{rut} Chatwoot router"], active=False)

    changes = run(server, rut)["results"][0]["changes"]
    assert [sorted(change["after"]) for change in changes] == [["active", "tags"], ["active"]]
    assert len([each for each in client(server).workflows() if each.name.startswith(rut)]) == len(TEMPLATES)
    assert run(server, rut)["changed"] is False


@pytest.mark.second_tier
def test_an_archived_workflow_comes_back(real_n8n_2: N8n) -> None:
    rut = "80123456-4"
    run(real_n8n_2, rut)
    mine = next(each for each in client(real_n8n_2).workflows() if each.name == f"{rut} Shopify orders")
    client(real_n8n_2).http.request("POST", f"{api.API}/workflows/{mine.id}/archive")

    (change,) = run(real_n8n_2, rut)["results"][0]["changes"]
    assert change["after"] == {"active": True, "archived": False}
    call(real_n8n_2, f"{rut}/shopify-orders", {}, 200)
    assert run(real_n8n_2, rut)["changed"] is False
