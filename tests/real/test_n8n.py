"""The n8n client and module against real n8n servers: what is made really answers, and a second run leaves it alone."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from ansible_collections.smartercl.smarteros.plugins.filter.n8n import workflows
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import n8n as api
from ansible_collections.smartercl.smarteros.plugins.modules import n8n_workflows as module
from real.n8n import SHOPIFY_SECRET, N8n
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
    until = time.monotonic() + 60
    while True:
        content = {"data": body} if isinstance(body, bytes) else {"json": body}
        answer = requests.post(f"{server.url}/webhook/{path}", headers=headers, timeout=60, **content)
        if answer.status_code == expected:
            return answer
        assert time.monotonic() < until, (answer.status_code, answer.text)
        time.sleep(0.05)


def order(server: N8n, rut: str, body: Any, expected: int = 200, secret: str = SHOPIFY_SECRET, event: str = "") -> Any:
    """What the tenant's workflow answers to an order that Shopify delivers, signed with the app's secret."""
    raw = json.dumps(body, ensure_ascii=False, indent=1).encode()
    signature = base64.b64encode(hmac.new(secret.encode(), raw, hashlib.sha256).digest()).decode()
    headers = {"X-Shopify-Hmac-Sha256": signature, "X-Shopify-Shop-Domain": "acme.example.com"}
    headers |= {"X-Shopify-Event-Id": event, "X-Shopify-Topic": "orders/paid"} if event else {}
    return call(server, f"{rut}/shopify-orders", raw, expected, **headers, **{"Content-Type": "application/json"})


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
    answer = order(server, rut, {"id": 7, "name": "#7", "total_price": "12.50", "line_items": [line]})
    assert (answer.json()["total"], answer.json()["shop"]) == (12.5, "acme.example.com")
    assert answer.json()["lines"] == [{**line, "price": 6.25}]
    for body, route in ROUTES:
        assert call(server, f"{rut}/chatwoot-router", body, 200).json()["route"] == route

    assert run(server, rut, state="suspended")["results"][0]["state"] == "suspended"
    call(server, f"{rut}/shopify-orders", {}, 404)
    assert run(server, rut, state="suspended")["changed"] is False
    assert run(server, rut)["changed"] is True
    order(server, rut, {})

    gone = run(server, rut, state="absent")
    assert gone["results"][0]["state"] == "absent", gone["results"][0]["error"]
    assert len(gone["results"][0]["changes"]) == len(TEMPLATES) + 1
    call(server, f"{rut}/shopify-orders", {}, 404)
    assert run(server, rut, state="absent")["changed"] is False
    assert f"rut:{rut}" not in client(server).tags()


def test_only_orders_that_shopify_signed_are_taken_and_each_one_once(server: N8n) -> None:
    rut = "81123456-5"
    run(server, rut)
    body = {"id": 7, "name": "#7", "note": "ñandú 😀", "total_price": "12.50", "line_items": []}
    first = order(server, rut, body, event="event-1").json()
    assert (first["order_id"], first["topic"]) == ("7", "orders/paid")
    until = time.monotonic() + 60  # n8n writes what it remembers a moment after its answer
    while (again := order(server, rut, body, event="event-1").json()) != {"duplicate": True, "event": "event-1"}:
        assert time.monotonic() < until, again
        time.sleep(0.1)
    assert order(server, rut, body, event="event-2").json()["order_id"] == "7"

    for secret in ("another", "undefined", "null"):
        assert "signature" in order(server, rut, body, 401, secret=secret).json()["error"]
    call(server, f"{rut}/shopify-orders", body, 401)
    forged = {"by_environment": "x" * 44, "by_credential": "x" * 44}
    call(server, f"{rut}/shopify-orders", forged, 401, **{"X-Shopify-Hmac-Sha256": "x" * 44})


@pytest.mark.second_tier
def test_the_secret_may_be_a_credential_of_n8n(real_n8n_2: N8n) -> None:
    rut, secret = "82123456-6", "secret-of-this-tenants-app"
    run(real_n8n_2, rut)
    api_client = client(real_n8n_2)
    body = {"name": "Shopify of a tenant", "type": "crypto", "data": {"hmacSecret": secret}}
    made = api_client.http.request("POST", f"{api.API}/credentials", json=body).body
    mine = api_client.workflows(f"{rut} Shopify orders")[0]
    keep = ("name", "type", "typeVersion", "position", "parameters", "id", "webhookId", "onError")
    nodes = [{key: node[key] for key in keep if node.get(key) is not None} for node in mine.nodes]
    signing = next(node for node in nodes if node["name"] == "Sign with credential")
    signing["credentials"] = {"crypto": {"id": made["id"], "name": body["name"]}}
    api_client.update(mine, {"name": mine.name, "nodes": nodes, "connections": mine.connections, "settings": {}})

    order(real_n8n_2, rut, {"id": 7}, secret=secret)
    order(real_n8n_2, rut, {"id": 7}, 401)
    run(real_n8n_2, rut)  # whatever else it puts right, the credential stays
    order(real_n8n_2, rut, {"id": 8}, secret=secret)


def test_an_active_workflow_that_differs_is_put_right_and_goes_on_answering(server: N8n) -> None:
    rut = "76192083-9"
    run(server, rut)
    mine = next(each for each in client(server).workflows() if each.name == f"{rut} Shopify orders")
    nodes = [{**node} for node in mine.nodes]
    answering = next(node for node in nodes if node["name"] == "Acknowledge")
    answering["parameters"] = {**answering["parameters"], "options": {"responseCode": 418}}
    keep = ("name", "type", "typeVersion", "position", "parameters", "id", "webhookId", "disabled", "onError")
    plain = [{key: node[key] for key in keep if node.get(key) is not None} for node in nodes]
    client(server).update(mine, {"name": mine.name, "nodes": plain, "connections": mine.connections, "settings": {}})
    order(server, rut, {}, 418)

    answer = run(server, rut)
    (change,) = answer["results"][0]["changes"]
    assert "nodes" in change["after"]
    order(server, rut, {})
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
    order(real_n8n_2, rut, {})
    assert run(real_n8n_2, rut)["changed"] is False
