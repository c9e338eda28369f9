"""Every answer of the sandbox's Shopify fits Shopify's own schema, and what it knows is a part of that schema."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import GraphQLEnumType, GraphQLList, GraphQLNonNull, GraphQLObjectType

from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import shopify_documents as documents
from smos.sandbox.shopify_schema import TOPICS, TYPES
from support.shopify_schema import SDL, flaws, misfits, schema
from unit.plugins.shopify_stores import GRAPHQL, driver
from unit.sandbox.driver import Driver

pytestmark = pytest.mark.skipif(
    not SDL.is_file(), reason=f"no contract of Shopify in {SDL.parent}: set SMOS_SHARED to the reference material"
)
PATH = f"/acme.myshopify.com{GRAPHQL}"
WEBHOOK = "id legacyResourceId topic uri format filter includeFields metafieldNamespaces name createdAt updatedAt"
METAFIELD = (
    "id legacyResourceId namespace key type value jsonValue compareDigest ownerType sizeInBytes createdAt updatedAt"
)
PAGE_INFO = "pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"
EVERYTHING = f"""
query Everything($first: Int! = 3, $after: String) {{
  shop {{
    id name email contactEmail myshopifyDomain currencyCode ianaTimezone url createdAt description taxesIncluded
    weightUnit
    primaryDomain {{ id host url sslEnabled }}
    plan {{ publicDisplayName partnerDevelopment shopifyPlus }}
    one: metafield(namespace: "smarteros", key: "rut") {{ {METAFIELD} }}
    none: metafield(key: "nothing") {{ id }}
    metafields(first: $first) {{ nodes {{ {METAFIELD} }} edges {{ cursor node {{ id }} }} {PAGE_INFO} }}
  }}
  currentAppInstallation {{ id launchUrl accessScopes {{ handle description }} }}
  publicApiVersions {{ handle displayName supported }}
  webhookSubscriptions(first: $first, after: $after, sortKey: ID, topics: [ORDERS_CREATE, ORDERS_PAID]) {{
    nodes {{ {WEBHOOK} apiVersion {{ handle }} }} edges {{ cursor node {{ id }} }} {PAGE_INFO}
  }}
  webhookSubscriptionsCount {{ count precision }}
}}"""


@pytest.fixture
def api() -> Driver:
    return driver()


def ask(api: Driver, document: str, **variables: Any) -> Any:
    """The data of an answer that must be carried out and fit."""
    assert flaws(document, variables) == []
    body = api.ok("POST", PATH, {"query": document, "variables": variables})
    assert set(body) == {"data", "extensions"}, body
    assert misfits(document, body["data"]) == []
    return body["data"]


def subscribe(api: Driver, uri: str, topic: str = "ORDERS_CREATE", **more: Any) -> Any:
    return ask(api, documents.CREATE_WEBHOOK, topic=topic, webhook={"uri": uri, **more})["webhookSubscriptionCreate"]


def test_all_that_can_be_read_fits(api: Driver) -> None:
    owner = ask(api, "{ shop { id } }")["shop"]["id"]
    row = {"ownerId": owner, "namespace": "smarteros", "type": "single_line_text_field"}
    rows = [{**row, "key": key, "value": "x"} for key in ("rut", "slug", "plan", "more", "rest")]
    ask(api, documents.SET_METAFIELDS, metafields=rows)
    for number in range(5):
        subscribe(api, f"https://n8n.example.com/{number}", includeFields=["id"], filter="id:1", name="mine")
    first = ask(api, EVERYTHING)
    assert first["shop"]["one"]["value"] == "x"
    assert first["webhookSubscriptions"]["pageInfo"]["hasNextPage"] is True
    rest = ask(api, EVERYTHING, after=first["webhookSubscriptions"]["pageInfo"]["endCursor"])
    assert [len(part["webhookSubscriptions"]["nodes"]) for part in (first, rest)] == [3, 2]


def test_the_documents_that_we_send_are_answered_as_the_schema_says(api: Driver) -> None:
    made = subscribe(api, "https://n8n.example.com/a")["webhookSubscription"]["id"]
    owner = ask(api, documents.STORE)["shop"]["id"]
    field = {"ownerId": owner, "namespace": "smarteros", "key": "rut"}
    ask(api, documents.SET_METAFIELDS, metafields=[{**field, "type": "single_line_text_field", "value": "1-9"}])
    ask(api, documents.STORE_AND_WEBHOOKS, first=100, after=None)
    ask(api, documents.WHO)
    api.engine.state.db.execute(
        "INSERT INTO shopify_orders (shop, name, processed_at, test, cancelled_at, currency, total)"
        " VALUES (?, '#1', '2026-11-22T15:00:00Z', 0, NULL, 'CLP', '1990.0')",
        (PATH.split("/")[1],),
    )
    query = "processed_at:>='2026-11-22T03:00:00Z' AND processed_at:<'2026-11-23T03:00:00Z'"
    assert ask(api, documents.ORDERS, first=10, after=None, query=query)["orders"]["nodes"]
    ask(api, documents.UPDATE_WEBHOOK, id=made, webhook={"uri": "https://n8n.example.com/b"})
    ask(api, documents.DELETE_WEBHOOK, id=made)
    ask(api, documents.DELETE_METAFIELDS, metafields=[field])


def test_refusals_fit_as_well(api: Driver) -> None:
    gone = "gid://shopify/WebhookSubscription/77"
    refused = [
        subscribe(api, "http://n8n.example.com/a"),
        ask(api, documents.UPDATE_WEBHOOK, id=gone, webhook={"uri": "https://a.example.com"})[
            "webhookSubscriptionUpdate"
        ],
        ask(api, documents.DELETE_WEBHOOK, id=gone)["webhookSubscriptionDelete"],
    ]
    owner = ask(api, "{ shop { id } }")["shop"]["id"]
    good = {"ownerId": owner, "namespace": "smarteros", "key": "rut", "type": "single_line_text_field", "value": "1-9"}
    bad: list[dict[str, Any]] = [
        {"value": ""},
        {"value": "two\nlines"},
        {"type": "nonsense"},
        {"key": "k"},
        {"key": "k" * 65},
        {"key": "a b"},
        {"ownerId": "gid://shopify/Shop/1"},
        {"compareDigest": "nonsense"},
    ]
    for wrong in bad:
        refused.append(ask(api, documents.SET_METAFIELDS, metafields=[good, {**good, **wrong}])["metafieldsSet"])
        assert refused[-1]["userErrors"][0]["elementIndex"] == 1
    assert all(each["userErrors"] for each in refused)
    assert ask(api, documents.STORE)["shop"]["metafields"]["nodes"] == []


def test_what_the_sandbox_knows_is_in_the_schema() -> None:
    for name, fields in TYPES.items():
        kind = schema().type_map[name]
        assert isinstance(kind, GraphQLObjectType)
        for field, known in fields.items():
            real = kind.fields[field]
            inner: Any = real.type
            while isinstance(inner, (GraphQLNonNull, GraphQLList)):
                inner = inner.of_type
            assert known.arguments <= set(real.args), (name, field)
            needed = {arg for arg, value in real.args.items() if isinstance(value.type, GraphQLNonNull)}
            assert known.needed == needed, (name, field)
            assert known.type in (None, inner.name), (name, field)
            assert (known.type is None) == (not isinstance(inner, GraphQLObjectType)), (name, field)
    topics = schema().type_map["WebhookSubscriptionTopic"]
    assert isinstance(topics, GraphQLEnumType)
    assert set(TOPICS) <= set(topics.values)
