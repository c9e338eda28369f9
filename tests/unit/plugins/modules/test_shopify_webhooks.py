"""The promises of shopify_webhooks, kept against the sandbox's stores."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import shopify as api
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import shopify_webhooks as service
from ansible_collections.smartercl.smarteros.plugins.module_utils.services.shopify import Goal
from ansible_collections.smartercl.smarteros.plugins.modules import shopify_webhooks as module
from unit.plugins.shopify_stores import APP, TOKEN, URL, Sent, Stores, once, wired
from unit.plugins.wire import CUT, LOST, run_module

N8N = "https://n8n.example.com"
TOPICS = sorted(service.TOPICS)


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> Stores:
    monkeypatch.delenv("SHOPIFY_CLIENT_ID", raising=False)
    monkeypatch.delenv("SHOPIFY_CLIENT_SECRET", raising=False)
    return wired(monkeypatch)


def rut(n: int) -> str:
    return f"{10000000 + n}-5"


def host(n: int) -> str:
    return f"t{n}.myshopify.com"


def uri(n: int, last: str = "shopify-orders") -> str:
    return f"{N8N}/webhook/{rut(n)}/{last}"


def item(n: int, **more: Any) -> dict[str, Any]:
    return {"tenant": rut(n), "slug": f"t{n}", "store": host(n), **more}


def run(*webhooks: dict[str, Any], check: bool = False, **more: Any) -> dict[str, Any]:
    return run_module(module, check, **{"url": URL, **APP, "n8n_url": N8N, "webhooks": list(webhooks), **more})


def prepare(stores: Stores) -> None:
    stores.subscribe(host(0), "ORDERS_CREATE", uri(0))  # equal: taken over
    stores.subscribe(host(0), "ORDERS_CREATE", uri(0, "older"))  # a second one of ours
    stores.subscribe(host(0), "ORDERS_PAID", uri(0), format="XML")  # ours, and not as wished
    stores.subscribe(host(0), "PRODUCTS_UPDATE", uri(0))  # ours, and not wished
    stores.subscribe(host(0), "ORDERS_CANCELLED", "https://other.example.com/hook")  # of somebody else
    stores.subscribe(host(2), "ORDERS_CREATE", uri(2))
    stores.mark(host(3), rut="99999999-9")


SITUATION = (item(0), item(1), item(2, state="absent"), item(3), item(4, store="missing-x.myshopify.com"))


def told(answer: dict[str, Any]) -> list[Any]:
    return [(row["state"], row["created"], row["changes"]) for row in answer["results"]]


def test_check_mode_foretells_the_run_and_writes_nothing(stores: Stores) -> None:
    prepare(stores)
    foretold = run(*SITUATION, check=True)
    assert stores.writes == []
    done = run(*SITUATION)
    assert told(foretold) == told(done)
    assert (foretold["changed"], foretold["diff"]) == (True, done["diff"])
    assert [row["state"] for row in done["results"]] == ["ready", "ready", "absent", "failed", "failed"]


def test_a_second_run_changes_nothing_and_only_reads(stores: Stores) -> None:
    prepare(stores)
    first = run(*SITUATION)
    stores.sent.clear()
    second = run(*[{**each, "recorded": row["ref"]} for each, row in zip(SITUATION, first["results"], strict=True)])
    assert (second["changed"], stores.writes) == (False, [])
    assert [row["ref"] for row in second["results"]] == [row["ref"] for row in first["results"]]
    assert second["requests"] == len(stores.sent) == 4 + 1  # the store that is missing gave no token before


def test_ours_are_put_right_and_those_of_others_stay(stores: Stores) -> None:
    prepare(stores)
    row = run(item(0))["results"][0]
    query = "{ webhookSubscriptions(first: 50) { nodes { topic uri format } } }"
    found = stores.ask(host(0), query)["webhookSubscriptions"]["nodes"]
    ours = [each for each in found if each["uri"].startswith(f"{N8N}/")]
    assert sorted(each["topic"] for each in ours) == TOPICS
    assert {(each["uri"], each["format"]) for each in ours} == {(uri(0), "JSON")}
    assert [each["uri"] for each in found if each not in ours] == ["https://other.example.com/hook"]
    actions = sorted((each["action"], each["what"].split()[1]) for each in row["changes"])
    assert actions == [
        ("create", "ORDERS_CANCELLED"),
        ("create", "ORDERS_UPDATED"),
        ("delete", "ORDERS_CREATE"),
        ("delete", "PRODUCTS_UPDATE"),
        ("update", "ORDERS_PAID"),
    ]
    assert row["created"] is False


def test_the_facts_of_the_store_are_told(stores: Stores) -> None:
    row = run(item(1))["results"][0]
    assert row["url"] == f"https://{host(1)}"
    assert row["message"] == "T1, plan Basic, CLP"
    assert {"store", "shop", "name", "domain", "plan", "currency", *TOPICS} == set(row["ref"])
    assert row["created"] is True


def test_what_shopify_dropped_is_made_again_and_said(stores: Stores) -> None:
    ref = run(item(1))["results"][0]["ref"]
    stores.drop(ref["ORDERS_CREATE"], host(1))
    again = item(1, recorded=ref)
    foretold, done = run(again, check=True), run(again)
    assert told(foretold) == told(done)
    row = done["results"][0]
    assert "removed the webhooks for ORDERS_CREATE" in row["message"]
    (change,) = row["changes"]
    assert (change["action"], change["before"]) == ("create", {"removed": "since the last run"})
    assert stores.webhooks(host(1)) == dict.fromkeys(TOPICS, uri(1))


def test_a_suspended_tenant_has_no_deliveries_until_it_is_resumed(stores: Stores) -> None:
    run(item(1))
    assert run(item(1, state="suspended"))["results"][0]["state"] == "suspended"
    assert stores.webhooks(host(1)) == {}
    assert run(item(1, state="suspended"))["changed"] is False
    assert run(item(1))["results"][0]["state"] == "ready"
    assert set(stores.webhooks(host(1))) == set(TOPICS)


def test_a_tenant_without_a_store_is_disabled_without_a_request(stores: Stores) -> None:
    answer = run({"tenant": rut(1), "state": "disabled", "reason": "no store"}, {"tenant": rut(2), "state": "absent"})
    assert [(row["state"], row["message"]) for row in answer["results"]] == [("disabled", "no store"), ("absent", "")]
    assert (answer["changed"], stores.sent) == (False, [])


@pytest.mark.parametrize(
    "bad", ["https://t1.myshopify.com", "t1.myshopify.com/admin", "T1.myshopify.com", "shop.example.com"]
)
def test_a_store_that_is_none_fails_its_tenant_with_key_and_value(stores: Stores, bad: str) -> None:
    answer = run(item(1, store=bad), item(2))
    assert [row["state"] for row in answer["results"]] == ["failed", "ready"]
    assert f"store: {bad!r}" in answer["results"][0]["error"]["why"]
    assert {each.store for each in stores.sent} == {host(2)}


def test_a_store_that_the_tenant_leaves_is_left_clean(stores: Stores) -> None:
    run(item(1))
    moved = item(1, store=host(9), former=host(1))
    foretold, done = run(moved, check=True), run(moved)
    assert told(foretold) == told(done)
    assert (stores.webhooks(host(1)), set(stores.webhooks(host(9)))) == ({}, set(TOPICS))
    assert run(moved)["changed"] is False
    gone = run({"tenant": rut(1), "state": "disabled", "reason": "no store", "former": host(9)})["results"][0]
    assert (gone["state"], len(gone["changes"]), stores.webhooks(host(9))) == ("disabled", len(TOPICS), {})


@pytest.mark.parametrize("former", ["missing-x.myshopify.com", "frozen-x.myshopify.com", "foreign-x.myshopify.com"])
def test_a_former_store_that_lets_us_in_no_more_is_told_and_no_failure(stores: Stores, former: str) -> None:
    row = run(item(1, former=former))["results"][0]
    assert (row["state"], f"the former store {former} may still be there" in row["message"]) == ("ready", True)


def test_a_former_store_that_cannot_be_reached_now_is_tried_again_by_the_next_run(stores: Stores) -> None:
    run(item(1))
    stores.trouble = lambda sent: CUT if sent.store == host(1) else None
    moved = item(1, store=host(9), former=host(1))
    assert run(moved)["results"][0]["state"] == "failed"
    assert stores.webhooks(host(9)) == {}


def test_two_tenants_cannot_have_one_store(stores: Stores) -> None:
    both = run(item(1), item(2, store=host(1)))
    assert [row["state"] for row in both["results"]] == ["failed", "failed"]
    stores.mark(host(1), rut=rut(1))
    one = run(item(1), item(2, store=host(1)))
    assert [row["state"] for row in one["results"]] == ["ready", "failed"]
    assert rut(1) in one["results"][1]["error"]["why"]


def test_each_store_is_opened_with_its_own_token(stores: Stores) -> None:
    answer = run(
        item(1), item(2), item(3), tokens={"T1": TOKEN, host(2): "shpat_wrong"}, client_id="", client_secret=""
    )
    assert [row["state"] for row in answer["results"]] == ["ready", "failed", "failed"]
    assert "SHOPIFY_TOKEN_T3" in answer["results"][2]["message"]
    assert {each.token for each in stores.sent} == {TOKEN, "shpat_wrong"}
    assert "shpat_wrong" not in str(answer)
    assert TOKEN not in str(answer)


@pytest.mark.parametrize("trouble", [LOST, CUT])
@pytest.mark.parametrize(
    "operation", ["SmosCreateWebhook", "SmosUpdateWebhook", "SmosDeleteWebhook", "SmosStoreAndWebhooks"]
)
def test_an_answer_that_is_lost_leaves_neither_gaps_nor_duplicates(
    stores: Stores, trouble: str, operation: str
) -> None:
    prepare(stores)
    stores.trouble = once(lambda sent: sent.operation == operation, trouble)
    assert run(item(0))["results"][0]["error"] is None
    stores.drop(next(iter(_ids(stores, host(0), "https://other"))), host(0))
    assert stores.webhooks(host(0)) == dict.fromkeys(TOPICS, uri(0))


def _ids(stores: Stores, store: str, prefix: str) -> list[str]:
    nodes = stores.ask(store, "{ webhookSubscriptions(first: 50) { nodes { id uri } } }")["webhookSubscriptions"][
        "nodes"
    ]
    return [node["id"] for node in nodes if node["uri"].startswith(prefix)]


def test_a_run_that_died_midway_is_completed_by_the_next(stores: Stores) -> None:
    def dead(sent: Sent) -> Any:
        return CUT if len(stores.writes) > 2 and sent.operation != "grant" else None

    stores.trouble = dead
    first = run(item(1))["results"][0]
    assert (first["state"], len(first["changes"])) == ("failed", 2)
    stores.trouble = lambda _sent: None
    second = run(item(1))["results"][0]
    assert (second["state"], len(second["changes"]), second["created"]) == ("ready", 2, False)
    assert stores.webhooks(host(1)) == dict.fromkeys(TOPICS, uri(1))


def test_hundreds_of_stores_are_worked_on_together(stores: Stores) -> None:
    items = [item(n) for n in range(200)]
    assert {row["state"] for row in run(*items)["results"]} == {"ready"}
    stores.sent.clear()
    assert run(*items)["changed"] is False
    assert len(stores.sent) == 200


@pytest.mark.parametrize("options", [{"url": "https://acme.myshopify.com"}, {"url": "{shop}"}])
def test_what_cannot_be_used_at_all_fails_the_task_untouched(stores: Stores, options: dict[str, Any]) -> None:
    answer = run(item(0), **options)
    assert (answer["failed"], answer["exit_code"], stores.sent) == (True, 3, [])
    assert set(answer["errors"][0]) == {"what", "where", "why", "next"}


def test_a_tenant_that_stands_there_twice_is_a_mistake(stores: Stores) -> None:
    assert "is there twice" in run(item(0), item(0))["msg"]
    assert stores.sent == []


def test_a_provider_that_repeats_the_token_does_not_get_it_into_our_answer(stores: Stores) -> None:
    def repeat(sent: Sent) -> Any:
        return (200, {"errors": [{"message": f"I heard {sent.token}"}]}) if sent.operation != "grant" else None

    stores.trouble = repeat
    answer = run(item(0))
    heard = {sent.token for sent in stores.sent if sent.token}
    assert heard
    assert not any(token in str(answer) for token in heard)
    assert "I heard ***" in answer["results"][0]["message"]


ADDRESS = service.address_of(f"{N8N}/", "1-9")
GOAL = Goal("1-9", "present", "acme.myshopify.com")


@pytest.mark.parametrize(
    ("webhooks", "counts"),
    [
        pytest.param([], (0, 0, 1, 0), id="nothing is there"),
        pytest.param([("A", ADDRESS.uri)], (0, 0, 0, 1), id="it is there"),
        pytest.param([("A", f"{ADDRESS.prefix}old")], (0, 1, 0, 0), id="it leads to an older workflow of the tenant"),
        pytest.param(
            [("A", ADDRESS.uri), ("A", f"{ADDRESS.prefix}old")], (1, 0, 0, 1), id="it is there, and an older one"
        ),
        pytest.param(
            [("A", f"{N8N}/webhook/1-99/shopify-orders")], (0, 0, 1, 0), id="one of a tenant whose RUT begins so"
        ),
        pytest.param(
            [("A", f"{N8N}.evil.example/webhook/1-9/x")], (0, 0, 1, 0), id="one of a host whose name begins so"
        ),
        pytest.param([("B", ADDRESS.uri)], (1, 0, 1, 0), id="a topic that is no longer wished"),
    ],
)
def test_the_plan_follows_from_what_is_there(webhooks: list[tuple[str, str]], counts: tuple[int, ...]) -> None:
    found = [api.Webhook(topic, uri, id=str(at)) for at, (topic, uri) in enumerate(webhooks)]
    todo = service.plan(GOAL, ADDRESS, ["A"], found, {})
    assert (len(todo.delete), len(todo.update), len(todo.create), len(todo.keep)) == counts
