"""The sandbox's Shopify: stores and tokens, documents and costs, subscriptions and metafields."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smos.sandbox.shopify_graphql import GraphQLError, Variable, parse
from unit.plugins.shopify_stores import CLIENT_ID, GRANT, GRAPHQL, LIMITED, TOKEN, driver
from unit.sandbox.driver import Driver

ACME = "acme.myshopify.com"
PATH = f"/{ACME}{GRAPHQL}"
CREATE = """mutation M($topic: WebhookSubscriptionTopic!, $webhook: WebhookSubscriptionInput!) {
  webhookSubscriptionCreate(topic: $topic, webhookSubscription: $webhook) {
    webhookSubscription { id uri } userErrors { field message } } }"""
SET = """mutation M($m: [MetafieldsSetInput!]!) { metafieldsSet(metafields: $m) {
    metafields { key value compareDigest } userErrors { code elementIndex } } }"""


@pytest.fixture
def api() -> Driver:
    return driver()


def ask(api: Driver, query: str, path: str = PATH, token: str = TOKEN, **variables: Any) -> Any:
    body = {"query": query, "variables": variables}
    return api.ok("POST", path, body, headers={"x-shopify-access-token": token})


def code(answer: Any) -> str:
    found: str = answer["errors"][0]["extensions"]["code"]
    return found


def subscribe(api: Driver, uri: str, topic: str = "ORDERS_CREATE", token: str = TOKEN, **more: Any) -> Any:
    answer = ask(api, CREATE, token=token, topic=topic, webhook={"uri": uri, **more})
    return answer["data"]["webhookSubscriptionCreate"]


def grant(api: Driver, host: str = ACME, **more: Any) -> Any:
    body = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": TOKEN, **more}
    return api.send("POST", f"/{host}{GRANT}", body, headers={})


# -- stores and tokens


@pytest.mark.parametrize(
    ("host", "status"),
    [("acme", 404), ("missing-x.myshopify.com", 404), ("frozen-x.myshopify.com", 402), ("locked-x.myshopify.com", 423)],
)
def test_stores_that_are_not_open_say_so_in_a_text(api: Driver, host: str, status: int) -> None:
    reply = api.send("POST", f"/{host}{GRAPHQL}", {"query": "{ shop { id } }"})
    assert reply.status == status
    assert isinstance(reply.body["errors"], str)


def test_a_wrong_token_is_refused_with_a_text(api: Driver) -> None:
    for headers in ({}, {"x-shopify-access-token": "shpat_wrong"}, {"authorization": f"Bearer {TOKEN}"}):
        reply = api.send("POST", PATH, {"query": "{ shop { id } }"}, headers=headers)
        assert (reply.status, reply.body["errors"].startswith("[API] Invalid API key")) == (401, True)


def test_the_apps_credentials_give_a_token_that_is_good_for_this_store_only(api: Driver) -> None:
    given = grant(api).body
    assert (given["expires_in"], "read_orders" in given["scope"].split(",")) == (86_399, True)
    assert ask(api, "{ shop { name } }", token=given["access_token"])["data"] == {"shop": {"name": "Acme"}}
    other = f"/other.myshopify.com{GRAPHQL}"
    headers = {"x-shopify-access-token": given["access_token"]}
    assert api.send("POST", other, {"query": "{ shop { id } }"}, headers=headers).status == 401


def test_a_grant_may_be_asked_for_with_a_form(api: Driver) -> None:
    form = f"grant_type=client_credentials&client_id={CLIENT_ID}&client_secret={TOKEN}".encode()
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert api.ok("POST", f"/{ACME}{GRANT}", form, headers=headers)["access_token"].startswith("shpat_")


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"client_secret": "wrong"}, "invalid_client"),
        ({"client_id": "wrong"}, "invalid_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"host": "foreign-x.myshopify.com"}, "shop_not_permitted"),
    ],
)
def test_a_grant_is_refused_with_its_word(api: Driver, more: dict[str, str], error: str) -> None:
    reply = grant(api, **more)
    assert (reply.status, reply.body["error"]) == (400, error)


def test_a_limited_token_reads_the_shop_and_cannot_subscribe_to_orders(api: Driver) -> None:
    scopes = "{ currentAppInstallation { accessScopes { handle } } }"
    assert ask(api, scopes, token=LIMITED)["data"]["currentAppInstallation"] == {
        "accessScopes": [{"handle": "read_products"}]
    }
    (error,) = subscribe(api, "https://a.example.com", token=LIMITED)["userErrors"]
    assert "do not have permission" in error["message"]
    assert subscribe(api, "https://a.example.com", "PRODUCTS_UPDATE", token=LIMITED)["userErrors"] == []


def test_an_old_version_falls_forward_and_says_so(api: Driver) -> None:
    reply = api.send("POST", f"/{ACME}/admin/api/2020-01/graphql.json", {"query": "{ shop { id } }"})
    assert reply.headers["X-Shopify-API-Version"] == "2025-10"
    assert api.send("POST", f"/{ACME}/admin/api/nonsense/graphql.json", {"query": "{ shop { id } }"}).status == 404


# -- documents


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("{ shop { nonsense } }", "undefinedField"),
        ("{ shop }", "selectionMismatch"),
        ("{ shop { id { x } } }", "selectionMismatch"),
        ("{ shop(id: 1) { id } }", "argumentNotAccepted"),
        ("{ webhookSubscription { id } }", "missingRequiredArguments"),
        ("{ webhookSubscriptions { nodes { id } } }", "BAD_REQUEST"),
        ("{ webhookSubscriptions(first: 251) { nodes { id } } }", "BAD_REQUEST"),
        ('{ webhookSubscriptions(first: 1, after: "x") { nodes { id } } }', "BAD_REQUEST"),
        ('{ webhookSubscription(id: "7") { id } }', "argumentLiteralsIncompatible"),
        ("query Q($id: ID!) { webhookSubscription(id: $id) { id } }", "INVALID_VARIABLE"),
        ("query Q { webhookSubscription(id: $id) { id } }", "variableNotDefined"),
        ("{ shop { id }", "PARSE_ERROR"),
        ("{ shop { id ? } }", "PARSE_ERROR"),
        ("", "PARSE_ERROR"),
        ("{ shop { ...Nothing } }", "useAndDefineFragment"),
    ],
)
def test_a_document_that_does_not_fit_is_refused_as_a_whole(api: Driver, query: str, expected: str) -> None:
    answer = ask(api, query)
    assert code(answer) == expected
    assert not answer.get("data")


def test_aliases_fragments_names_of_types_and_comments_are_understood(api: Driver) -> None:
    query = """# a comment
    query Q { mine: shop { ...Facts, ... on Shop { __typename } } }
    fragment Facts on Shop { title: name plan { publicDisplayName } }"""
    assert ask(api, query)["data"] == {
        "mine": {"title": "Acme", "plan": {"publicDisplayName": "Basic"}, "__typename": "Shop"}
    }


def test_a_body_without_a_document_is_refused(api: Driver) -> None:
    bodies: tuple[Any, ...] = ({}, [], {"query": 3}, None)
    for body in bodies:
        assert api.send("POST", PATH, body).status == 400


def test_values_of_every_kind_are_read() -> None:
    document = parse('query Q($v: Int = 3) { f(a: [1, -2.5, "x\\n\\u0041", true, null, E], b: {c: $v, d: """t"""}) }')
    (field,) = document.selections
    assert field.arguments == {"a": [1, -2.5, "x\nA", True, None, "E"], "b": {"c": Variable("v"), "d": "t"}}
    assert (document.name, document.defaults, document.required) == ("Q", {"v": 3}, set())


@given(st.text(max_size=60))
def test_no_text_breaks_the_parser(text: str) -> None:
    with contextlib.suppress(GraphQLError):
        parse(text)


# -- costs


def test_every_answer_tells_what_it_cost(api: Driver) -> None:
    cost = ask(api, "{ shop { id } }")["extensions"]["cost"]
    assert (cost["requestedQueryCost"], cost["actualQueryCost"]) == (1, 1)
    assert cost["throttleStatus"] == {"maximumAvailable": 2000.0, "currentlyAvailable": 1999, "restoreRate": 100.0}
    listed = ask(api, "{ webhookSubscriptions(first: 100) { nodes { id apiVersion { handle } } } }")["extensions"][
        "cost"
    ]
    assert listed["requestedQueryCost"] > listed["actualQueryCost"]


def test_a_document_that_is_too_dear_is_refused(api: Driver) -> None:
    many = " ".join(
        f"a{n}: webhookSubscriptions(first: 250) {{ nodes {{ id apiVersion {{ handle }} }} }}" for n in range(5)
    )
    assert code(ask(api, f"{{ {many} }}")) == "MAX_COST_EXCEEDED"


def test_the_bucket_empties_only_with_rate_limits_on_and_per_store(api: Driver) -> None:
    dear = "{ webhookSubscriptions(first: 250) { edges { node { apiVersion { handle } } } } }"
    for _ in range(30):
        assert "errors" not in ask(api, dear)
    api.engine.configure({"rate_limits": True})
    for number in range(100):
        subscribe(api, f"https://a.example.com/{number}")
    answers = [ask(api, dear) for _ in range(30)]
    refused = [each for each in answers if "errors" in each]
    assert refused
    assert code(refused[0]) == "THROTTLED"
    assert "data" not in refused[0]
    cost = refused[0]["extensions"]["cost"]
    assert cost["actualQueryCost"] is None
    assert cost["throttleStatus"]["currentlyAvailable"] < cost["requestedQueryCost"]
    assert "errors" not in ask(api, dear, path=f"/other.myshopify.com{GRAPHQL}")


# -- webhook subscriptions


def test_a_subscription_lives_from_creation_to_deletion(api: Driver) -> None:
    made = subscribe(api, "https://a.example.com")["webhookSubscription"]
    update = """mutation M($id: ID!, $w: WebhookSubscriptionInput!) {
      webhookSubscriptionUpdate(id: $id, webhookSubscription: $w) {
        webhookSubscription { uri format includeFields } userErrors { message } } }"""
    changed = ask(api, update, id=made["id"], w={"format": "XML", "includeFields": ["id"]})
    assert changed["data"]["webhookSubscriptionUpdate"]["webhookSubscription"] == {
        "uri": "https://a.example.com",
        "format": "XML",
        "includeFields": ["id"],
    }
    delete = "mutation M($id: ID!) { webhookSubscriptionDelete(id: $id) { deletedWebhookSubscriptionId userErrors { message } } }"
    assert ask(api, delete, id=made["id"])["data"]["webhookSubscriptionDelete"]["userErrors"] == []
    again = ask(api, delete, id=made["id"])["data"]["webhookSubscriptionDelete"]
    assert again["userErrors"] == [{"message": "Webhook subscription does not exist"}]


def test_an_address_is_taken_once_per_topic(api: Driver) -> None:
    subscribe(api, "https://a.example.com")
    (error,) = subscribe(api, "https://a.example.com")["userErrors"]
    assert error["message"] == "Address for this topic has already been taken"
    assert subscribe(api, "https://a.example.com", "ORDERS_PAID")["userErrors"] == []
    assert subscribe(api, "https://b.example.com")["userErrors"] == []


@pytest.mark.parametrize(
    "uri",
    [
        "http://a.example.com",
        "https://localhost/x",
        "https://127.0.0.1/x",
        f"https://{ACME}/x",
        "",
        "https://a b.example.com",
    ],
)
def test_an_address_must_be_public_and_https(api: Driver, uri: str) -> None:
    made = subscribe(api, uri)
    assert (made["webhookSubscription"], len(made["userErrors"])) == (None, 1)


def test_a_topic_that_is_none_is_refused_before_anything_is_done(api: Driver) -> None:
    answer = ask(api, CREATE, topic="ORDERS_NONSENSE", webhook={"uri": "https://a.example.com"})
    assert code(answer) == "argumentLiteralsIncompatible"


def test_lists_are_paged_and_filtered(api: Driver) -> None:
    for number in range(5):
        subscribe(api, f"https://a.example.com/{number}", "ORDERS_PAID" if number == 4 else "ORDERS_CREATE")
    query = """query Q($after: String) { webhookSubscriptions(first: 2, after: $after, topics: [ORDERS_CREATE]) {
      nodes { uri } pageInfo { hasNextPage endCursor } } }"""
    first = ask(api, query)["data"]["webhookSubscriptions"]
    second = ask(api, query, after=first["pageInfo"]["endCursor"])["data"]["webhookSubscriptions"]
    assert [node["uri"][-1] for node in first["nodes"] + second["nodes"]] == ["0", "1", "2", "3"]
    assert (first["pageInfo"]["hasNextPage"], second["pageInfo"]["hasNextPage"]) == (True, False)
    assert ask(api, "{ webhookSubscriptionsCount { count } }")["data"]["webhookSubscriptionsCount"] == {"count": 5}


def test_stores_do_not_see_each_other(api: Driver) -> None:
    made = subscribe(api, "https://a.example.com")["webhookSubscription"]["id"]
    other = f"/other.myshopify.com{GRAPHQL}"
    query = "query Q($id: ID!) { webhookSubscription(id: $id) { id } webhookSubscriptionsCount { count } }"
    assert ask(api, query, path=other, id=made)["data"] == {
        "webhookSubscription": None,
        "webhookSubscriptionsCount": {"count": 0},
    }


# -- metafields


def test_metafields_are_set_all_or_none_and_guarded_by_their_digest(api: Driver) -> None:
    owner = ask(api, "{ shop { id } }")["data"]["shop"]["id"]
    row = {"ownerId": owner, "namespace": "smarteros", "key": "rut", "type": "single_line_text_field", "value": "1-9"}
    bad = ask(api, SET, m=[row, {**row, "key": "x"}])["data"]["metafieldsSet"]
    assert bad["userErrors"] == [{"code": "TOO_SHORT", "elementIndex": 1}]
    made = ask(api, SET, m=[{**row, "compareDigest": None}])["data"]["metafieldsSet"]
    digest = made["metafields"][0]["compareDigest"]
    stale = ask(api, SET, m=[{**row, "compareDigest": None}])["data"]["metafieldsSet"]
    assert stale["userErrors"] == [{"code": "STALE_OBJECT", "elementIndex": 0}]
    assert (
        ask(api, SET, m=[{**row, "value": "2-7", "compareDigest": digest}])["data"]["metafieldsSet"]["userErrors"] == []
    )
    assert ask(api, SET, m=[row])["data"]["metafieldsSet"]["metafields"][0]["value"] == "1-9"


def test_more_than_twenty_five_metafields_are_refused_as_a_whole(api: Driver) -> None:
    assert code(ask(api, SET, m=[{}] * 26)) == "MAX_INPUT_SIZE_EXCEEDED"


# -- orders

ORDERS = "query Q($fits: String) { orders(first: 10, query: $fits) { nodes { name test } } }"


def test_orders_are_found_by_the_moment_they_were_processed_and_need_a_scope(api: Driver) -> None:
    rows = [
        (ACME, "#1", "2026-11-22T02:59:59Z"),
        (ACME, "#2", "2026-11-22T03:00:00Z"),
        ("b.myshopify.com", "#3", "2026-11-22T04:00:00Z"),
    ]
    sql = "INSERT INTO shopify_orders (shop, name, processed_at, test, currency, total) VALUES (?, ?, ?, 0, 'CLP', '1')"
    api.engine.state.db.executemany(sql, rows)
    found = ask(
        api, ORDERS, fits="processed_at:>='2026-11-22T00:00:00-03:00' AND processed_at:<'2026-11-23T00:00:00-03:00'"
    )
    assert [node["name"] for node in found["data"]["orders"]["nodes"]] == ["#2"]
    assert len(ask(api, ORDERS)["data"]["orders"]["nodes"]) == 2
    assert code(ask(api, ORDERS, fits="color:red")) == "BAD_REQUEST"
    answer = api.ok("POST", PATH, {"query": ORDERS}, headers={"x-shopify-access-token": LIMITED})
    assert code(answer) == "ACCESS_DENIED"
