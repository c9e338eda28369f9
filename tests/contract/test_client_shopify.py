"""Every document that is sent to Shopify, with the variables that go with it, fits Shopify's own schema."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import shopify as api
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import shopify_documents as documents
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import shopify_orders
from ansible_collections.smartercl.smarteros.plugins.module_utils.services.shopify_metafields import TYPE
from ansible_collections.smartercl.smarteros.plugins.module_utils.services.shopify_webhooks import TOPICS
from ansible_collections.smartercl.smarteros.plugins.modules import shopify_metafields, shopify_webhooks
from support.shopify_schema import SDL, SHARED, flaws, schema
from unit.plugins.shopify_stores import APP, URL, Stores, wired
from unit.plugins.wire import run_module

pytestmark = pytest.mark.skipif(
    not SDL.is_file(), reason=f"no contract of Shopify in {SDL.parent}: set SMOS_SHARED to the reference material"
)
ACME, RUT = "acme.myshopify.com", "76086428-5"
N8N = "https://n8n.example.com"


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> Stores:
    return wired(monkeypatch)


def test_the_contract_is_of_the_version_that_is_asked_for() -> None:
    assert documents.VERSION in SDL.name


def test_every_document_is_in_the_list_under_its_own_name() -> None:
    texts = {
        value for name, value in vars(documents).items() if isinstance(value, str) and "{\n" in value and name[0] != "_"
    }
    assert texts == set(documents.ALL.values())
    assert all(f" {name}" in text for name, text in documents.ALL.items())


def test_every_request_of_a_stores_life_fits(stores: Stores) -> None:
    ours = f"{N8N}/webhook/{RUT}/"
    stores.subscribe(ACME, "ORDERS_PAID", f"{ours}old")
    stores.subscribe(ACME, "PRODUCTS_UPDATE", f"{ours}shopify-orders")
    item = {"tenant": RUT, "store": ACME, "slug": "acme"}
    for state in ("present", "present", "absent"):
        metafields = {"metafields": {"slug": "acme", "plan": "starter"}}
        done = [
            run_module(shopify_metafields, url=URL, **APP, stores=[{**item, **metafields, "state": state}]),
            run_module(shopify_webhooks, url=URL, **APP, n8n_url=N8N, webhooks=[{**item, "state": state}]),
        ]
        assert {row["state"] for each in done for row in each["results"]} <= {"ready", "absent"}, done
    client = api.connect({"url": URL, **APP, "stores": {"acme": ACME}})
    client.check()
    start, end = datetime(2026, 11, 22, 3, tzinfo=UTC), datetime(2026, 11, 23, 3, tzinfo=UTC)
    client.with_store(ACME, "acme", lambda store: shopify_orders.sold(store, start, end))

    asked = [sent for sent in stores.sent if sent.operation != "grant"]
    assert {sent.operation for sent in asked} == set(documents.ALL)
    for sent in asked:
        assert flaws(sent.json["query"], sent.json["variables"]) == [], sent.operation


def test_the_topics_are_topics_and_need_the_scope_that_the_check_asks_for() -> None:
    known = schema().type_map["WebhookSubscriptionTopic"]
    assert set(TOPICS) <= set(known.values)  # type: ignore[attr-defined]  # an enum, which the type map does not say
    assert TYPE == "single_line_text_field"


def test_a_wrong_document_would_be_noticed() -> None:
    assert flaws("query Q { shop { nonsense } }", {})
    assert flaws("query Q { shop { plan { displayName } } }", {})
    assert flaws(documents.CREATE_WEBHOOK, {"topic": "ORDERS_NONSENSE", "webhook": {"uri": "https://a.example"}})
    assert flaws(documents.CREATE_WEBHOOK, {"topic": "ORDERS_CREATE", "webhook": {"nonsense": 1}})


def test_no_document_that_is_sent_needs_a_scope_for_what_it_reads() -> None:
    listed = json.loads((SHARED / "contracts/shopify/admin-2026-10.access-scopes.json").read_text())["items"]
    guarded = {(item["typeName"], item.get("fieldName")) for item in listed}
    ours: set[tuple[str, Any]] = {("Shop", name) for name in ("id", "name", "plan", "metafields", "currencyCode")}
    ours |= {("QueryRoot", "shop"), ("QueryRoot", "webhookSubscriptions"), ("Mutation", "metafieldsSet")}
    assert not ours & guarded
