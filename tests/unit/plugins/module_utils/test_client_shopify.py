"""The Shopify client against the sandbox's stores: tokens, the four layers of errors, points, pages."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import shopify as api
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import shopify_documents as documents
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import shopify_tokens
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.shopify_access import access_of, checked_store
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from unit.plugins.shopify_stores import APP, LIMITED, TOKEN, URL, Sent, Stores, once, wired
from unit.plugins.wire import CUT, LOST

ACME = "acme.myshopify.com"
URI = "https://n8n.example.com/webhook/76086428-5/shopify-orders"
BUCKET = {"maximumAvailable": 2000.0, "currentlyAvailable": 10, "restoreRate": 100.0}


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> Stores:
    return wired(monkeypatch)


def connect(**more: Any) -> api.Shopify:
    return api.connect({"url": URL, **APP, **more})


def store(**more: Any) -> api.Store:
    connection = {"url": URL, "tokens": {ACME: TOKEN}, **more}
    return api.Store(access_of(connection), ACME, "acme")


def refused(call: Any, *args: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        call(*args)
    return caught.value


def tenant(rut: str, slug: str, **more: Any) -> dict[str, Any]:
    return {"id": rut, "slug": slug, "shopify": {"store": f"{slug}.myshopify.com"}, "status": {}, **more}


# -- tokens


def test_a_stores_own_token_is_sent_as_it_is(stores: Stores) -> None:
    assert store().facts().name == "Acme"
    assert [each.token for each in stores.sent] == [TOKEN]


@pytest.mark.parametrize("key", [ACME, "acme", "ACME"])
def test_a_fixed_token_is_found_by_store_slug_and_name_of_the_variable(stores: Stores, key: str) -> None:
    store(tokens={key: TOKEN}).facts()
    assert stores.sent[0].token == TOKEN


def test_the_app_asks_for_a_token_once_per_store_and_keeps_it(stores: Stores) -> None:
    opened = store(tokens={}, **APP)
    opened.facts()
    opened.facts()
    assert stores.operations == ["grant", "SmosStore", "SmosStore"]
    assert stores.sent[1].token.startswith("shpat_")
    assert opened.expires.endswith("Z")


def test_a_token_that_ended_is_asked_for_again_once(stores: Stores) -> None:
    unknown = (401, {"errors": "[API] Invalid API key or access token"})
    stores.trouble = once(lambda sent: sent.operation == "SmosStore", unknown)
    store(tokens={}, **APP).facts()
    assert stores.operations == ["grant", "SmosStore", "grant", "SmosStore"]

    stores.sent.clear()
    stores.trouble = lambda sent: unknown if sent.operation == "SmosStore" else None
    assert refused(store(tokens={}, **APP).facts).kind == errors.REFUSED
    assert stores.operations == ["SmosStore", "grant", "SmosStore"]


def test_a_token_is_used_again_in_the_same_process_while_it_lasts(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        store(tokens={}, **APP).facts()
    assert stores.operations == ["grant", *["SmosStore"] * 3]
    assert len({each.token for each in stores.sent[1:]}) == 1
    monkeypatch.setattr(shopify_tokens, "MARGIN", 90_000)
    store(tokens={}, **APP).facts()
    assert stores.operations[-2:] == ["grant", "SmosStore"]
    store(tokens={}, **APP, url=URL.replace("8321", "8322")).facts()
    assert stores.operations[-2:] == ["grant", "SmosStore"]


def test_a_fixed_token_that_is_refused_is_not_tried_twice(stores: Stores) -> None:
    exc = refused(store(tokens={ACME: "shpat_of_another_store"}).facts)
    assert (exc.kind, exc.status, len(stores.sent)) == (errors.REFUSED, 401, 1)
    assert "Shopify does not know the token" in exc.message
    assert "shpat_of" not in exc.message


@pytest.mark.parametrize("bad", ["shpat_a b", "shpat_a\n", 'shpat_"a"', "shpat_'a'", "shpat_ä", " shpat_a", "\tx"])
def test_a_token_with_spaces_lines_or_quotes_is_refused_before_any_request(stores: Stores, bad: str) -> None:
    for more in ({"tokens": {ACME: bad}}, {"tokens": {}, **APP, "client_secret": bad}):
        exc = refused(lambda more=more: store(**more).facts())
        assert (exc.kind, stores.sent) == (errors.REFUSED, [])
        assert "copy it again" in exc.message
        assert bad not in exc.message


def test_a_store_without_any_token_says_which_variables_would_help(stores: Stores) -> None:
    exc = refused(lambda: store(tokens={}))
    assert "SHOPIFY_TOKEN_ACME" in exc.message
    assert "SHOPIFY_CLIENT_ID" in exc.message
    assert stores.sent == []


@pytest.mark.parametrize(
    "value", ["https://acme.myshopify.com", "acme.myshopify.com/admin", "acme", "acme.example.com", ""]
)
def test_what_is_no_store_is_refused_with_key_and_value(value: str) -> None:
    exc = refused(checked_store, value)
    assert exc.message.startswith(f"store: {value!r}")


@pytest.mark.parametrize(
    ("store_name", "secret", "word"),
    [
        (ACME, "wrong-secret", "the client secret is wrong"),
        ("foreign-acme.myshopify.com", TOKEN, "another organization"),
    ],
)
def test_why_the_app_gets_no_token_is_told_in_words(stores: Stores, store_name: str, secret: str, word: str) -> None:
    access = access_of({"url": URL, **APP, "client_secret": secret})
    exc = refused(api.Store(access, store_name).facts)
    assert (exc.kind, word in exc.message) == (errors.REFUSED, True)
    assert secret not in exc.message


# -- what is set and what is not


@pytest.mark.parametrize(
    ("connection", "missing"),
    [
        ({"client_id": "a"}, ["client_secret"]),
        ({"client_secret": "a", "tokens": {"acme": "x"}}, ["client_id"]),
        ({"tokens": {"acme": "x"}}, []),
        ({"client_id": "a", "client_secret": "b"}, []),
        ({"tokens": {}}, ["client_id", "client_secret"]),
        ({"tokens": "{'acme': 'x'}"}, []),
    ],
)
def test_fixed_tokens_and_the_apps_pair_can_stand_in_for_each_other(
    connection: dict[str, Any], missing: list[str]
) -> None:
    assert api.lacking({"url": URL, **connection}) == missing


@pytest.mark.parametrize("url", ["https://acme.myshopify.com", "{shop}", "", "ftp://{shop}"])
def test_an_address_without_a_place_for_the_store_is_refused(url: str) -> None:
    assert "no address with {shop}" in refused(api.connect, {"url": url}).message


# -- layers of errors


@pytest.mark.parametrize(
    ("name", "kind", "word"),
    [
        ("missing-acme", errors.MISSING, "no such store"),
        ("frozen-acme", errors.INVALID, "frozen"),
        ("locked-acme", errors.INVALID, "locked"),
    ],
)
def test_a_store_that_is_not_open_says_why(stores: Stores, name: str, kind: str, word: str) -> None:
    exc = refused(api.Store(access_of({"url": URL, "tokens": {name: TOKEN}}), f"{name}.myshopify.com", name).facts)
    assert (exc.kind, word in exc.message) == (kind, True)


@pytest.mark.parametrize(
    ("body", "kind", "word"),
    [
        ({"errors": "a text"}, errors.INVALID, "a text"),
        ({"errors": [{"message": "no", "extensions": {"code": "ACCESS_DENIED"}}]}, errors.REFUSED, "ACCESS_DENIED"),
        ({"errors": [{"message": "gone", "extensions": {"code": "SHOP_INACTIVE"}}]}, errors.INVALID, "SHOP_INACTIVE"),
        ({"errors": {"query": "bad"}}, errors.INVALID, "bad"),
        ({"data": {"shop": None}, "errors": [{"message": "half"}]}, errors.INVALID, "half"),
        ({"data": None}, errors.INVALID, "neither data nor errors"),
        ({"data": {"shop": None}}, errors.INVALID, "no shop"),
        ({"data": {"shop": {"metafields": 3}}}, errors.INVALID, "no metafields"),
        ({"data": {"shop": {"metafields": {"nodes": [3, {"key": {}}]}, "id": 3}}}, errors.INVALID, "no id"),
        ([], errors.INVALID, "no GraphQL answer"),
        ("<html>", errors.INVALID, "no GraphQL answer"),
        (None, errors.INVALID, "no GraphQL answer"),
        ({"errors": [3], "extensions": 3}, errors.INVALID, "3"),
        ({"extensions": {"cost": {"requestedQueryCost": True, "throttleStatus": []}}}, errors.INVALID, "neither"),
    ],
)
def test_each_layer_of_errors_in_a_200_is_a_failure(stores: Stores, body: Any, kind: str, word: str) -> None:
    stores.trouble = lambda _sent: (200, body)
    exc = refused(store().facts)
    assert (exc.kind, word in exc.message) == (kind, True), exc.message


def test_an_error_inside_shopify_is_tried_again_for_reads_and_looked_after_for_writes(stores: Stores) -> None:
    internal = (200, {"errors": [{"message": "oops", "extensions": {"code": "INTERNAL_SERVER_ERROR"}}]})
    stores.trouble = once(lambda _sent: True, internal)
    assert store().facts().name == "Acme"
    stores.sent.clear()
    stores.trouble = once(lambda sent: sent.writes, internal)
    assert store().subscribe(api.Webhook("ORDERS_CREATE", URI))
    assert stores.operations == ["SmosCreateWebhook", "SmosStoreAndWebhooks", "SmosCreateWebhook"]


def test_an_error_of_the_user_names_the_metafield_and_the_field(stores: Stores) -> None:
    owner = store().facts().id
    rows = [{"ownerId": owner, "key": "rut", "type": "single_line_text_field", "value": "1-9"}]
    rows.append({**rows[0], "key": "plan", "value": ""})
    exc = refused(store().set_metafields, rows)
    assert "metafield smarteros.plan: metafields.1.value: Value can't be blank. (BLANK)" in exc.message
    assert stores.marks(ACME) == {}


def test_a_topic_that_needs_another_scope_says_so(stores: Stores) -> None:
    exc = refused(store(tokens={ACME: LIMITED}).subscribe, api.Webhook("ORDERS_CREATE", URI))
    assert (exc.kind, "read_orders" in exc.message) == (errors.REFUSED, True)


# -- points


def test_a_throttled_document_waits_for_the_computed_time_and_is_sent_again(stores: Stores) -> None:
    cost = {"requestedQueryCost": 452, "actualQueryCost": None, "throttleStatus": BUCKET}
    error = {"message": "Throttled", "extensions": {"code": "THROTTLED"}}
    stores.trouble = once(lambda _sent: True, (200, {"errors": [error], "extensions": {"cost": cost}}))
    assert store().subscribe(api.Webhook("ORDERS_CREATE", URI))
    assert stores.operations == ["SmosCreateWebhook", "SmosCreateWebhook"]
    assert sum(stores.slept) == pytest.approx(5.0)  # (452 - 10) / 100, in whole seconds


def test_an_almost_empty_bucket_is_waited_for_before_the_next_document(stores: Stores) -> None:
    body = stores.driver.ok("POST", f"/{ACME}/admin/api/2026-10/graphql.json", {"query": documents.STORE})
    body["extensions"]["cost"] = {"requestedQueryCost": 60, "actualQueryCost": 60, "throttleStatus": BUCKET}
    stores.trouble = once(lambda _sent: True, (200, body))
    opened = store()
    opened.facts()
    assert stores.slept == []
    opened.facts()
    assert stores.slept == [pytest.approx(0.5)]


def test_one_stores_empty_bucket_holds_no_other_store_back(stores: Stores) -> None:
    stores.driver.ok("POST", f"/{ACME}/admin/api/2026-10/graphql.json", {"query": documents.STORE})
    cost = {"requestedQueryCost": 100, "actualQueryCost": None, "throttleStatus": {**BUCKET, "currentlyAvailable": 0}}
    error = {"message": "Throttled", "extensions": {"code": "THROTTLED"}}
    stores.trouble = lambda sent: (
        (200, {"errors": [error], "extensions": {"cost": cost}}) if sent.store == ACME else None
    )
    exc = refused(store().facts)
    assert (exc.kind, "Throttled" in exc.message) == (errors.THROTTLED, True)
    slept = len(stores.slept)
    api.Store(access_of({"url": URL, "tokens": {"other": TOKEN}}), "other.myshopify.com", "other").facts()
    assert len(stores.slept) == slept


@pytest.mark.parametrize("rate", [0, -1, "x", None, float("nan"), 1e-300])
def test_costs_that_make_no_sense_lead_neither_to_an_endless_wait_nor_to_a_crash(stores: Stores, rate: Any) -> None:
    status = {"maximumAvailable": 1, "currentlyAvailable": 0, "restoreRate": rate}
    cost = {"requestedQueryCost": 10, "actualQueryCost": None, "throttleStatus": status}
    error = {"message": "Throttled", "extensions": {"code": "THROTTLED"}}
    stores.trouble = lambda _sent: (200, {"errors": [error], "extensions": {"cost": cost}})
    assert refused(store().facts).kind == errors.THROTTLED
    assert sum(stores.slept) < 1000


# -- webhooks


def test_every_page_of_subscriptions_is_read(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "PAGE", 2)
    for number in range(5):
        stores.subscribe(ACME, "ORDERS_CREATE", f"https://other.example.com/{number}")
    stores.sent.clear()
    assert len(store().webhooks()[1]) == 5
    assert len(stores.sent) == 3


def test_a_list_that_does_not_end_is_one_clear_error(stores: Stores) -> None:
    body = stores.driver.ok("POST", f"/{ACME}/admin/api/2026-10/graphql.json", {"query": documents.STORE})
    endless = [0]

    def turn(_sent: Sent) -> Any:
        endless[0] += 1
        listed = {"nodes": [], "pageInfo": {"hasNextPage": True, "endCursor": str(endless[0])}}
        return 200, {"data": {**body["data"], "webhookSubscriptions": listed}}

    stores.trouble = turn
    assert "does not end" in refused(store().webhooks).message
    assert len(stores.sent) <= 60


@pytest.mark.parametrize("what", [LOST, CUT])
def test_a_subscription_whose_answer_was_lost_is_looked_for_before_it_is_made_again(stores: Stores, what: str) -> None:
    stores.trouble = once(lambda sent: sent.operation == "SmosCreateWebhook", what)
    assert store().subscribe(api.Webhook("ORDERS_CREATE", URI)).startswith("gid://shopify/WebhookSubscription/")
    assert stores.webhooks(ACME) == {"ORDERS_CREATE": URI}


def test_an_address_that_is_taken_by_an_equal_subscription_is_taken_over(stores: Stores) -> None:
    made = stores.subscribe(ACME, "ORDERS_CREATE", URI)
    assert store().subscribe(api.Webhook("ORDERS_CREATE", URI)) == made


def test_an_address_that_is_taken_by_another_subscription_is_a_conflict(stores: Stores) -> None:
    stores.subscribe(ACME, "ORDERS_CREATE", URI, format="XML")
    exc = refused(store().subscribe, api.Webhook("ORDERS_CREATE", URI))
    assert (exc.kind, "already been taken" in exc.message) == (errors.CONFLICT, True)


def test_a_subscription_that_is_gone_needs_no_deletion(stores: Stores) -> None:
    made = stores.subscribe(ACME, "ORDERS_CREATE", URI)
    store().unsubscribe(made)
    store().unsubscribe(made)
    assert stores.webhooks(ACME) == {}


# -- metafields


def test_metafields_are_set_at_most_twenty_five_at_once(stores: Stores) -> None:
    owner = store().facts().id
    rows = [{"ownerId": owner, "key": f"key{n}", "type": "single_line_text_field", "value": "x"} for n in range(60)]
    store().set_metafields(rows)
    assert [len(sent.json["variables"]["metafields"]) for sent in stores.writes] == [25, 25, 10]


# -- token check and claims


def test_a_good_token_of_either_kind_is_valid(stores: Stores) -> None:
    granted = connect(stores={"acme": ACME}).check()
    assert (granted["state"], granted["account"], granted["missing_scopes"]) == ("valid", f"Acme ({ACME})", [])
    assert "renews itself" in granted["message"]
    fixed = api.connect({"url": URL, "tokens": {"ACME": TOKEN}, "stores": {"acme": ACME}}).check()
    assert (fixed["state"], "its own token" in fixed["message"]) == ("valid", True)
    assert not stores.writes


def test_a_token_without_the_scope_names_it(stores: Stores) -> None:
    for connection in ({"tokens": {ACME: LIMITED}}, {**APP, "client_secret": LIMITED, "stores": {"acme": ACME}}):
        verdict = api.connect({"url": URL, **connection}).check()
        assert (verdict["state"], verdict["missing_scopes"]) == ("insufficient", ["read_orders"])


def test_writing_includes_reading(stores: Stores) -> None:
    scopes = {"accessScopes": [{"handle": "write_orders"}]}
    data = {"shop": {"name": "Acme", "myshopifyDomain": ACME}, "currentAppInstallation": scopes}
    stores.trouble = lambda sent: (200, {"data": data}) if sent.operation == "SmosWho" else None
    assert connect(stores={"acme": ACME}).check()["state"] == "valid"


@pytest.mark.parametrize(
    ("connection", "state", "word"),
    [
        ({"tokens": {ACME: "cfat_of_cloudflare"}}, "invalid", "does not know the token"),
        ({"tokens": {ACME: "with space"}}, "invalid", "copy it again"),
        ({**APP, "client_secret": "wrong-one", "stores": {"acme": ACME}}, "invalid", "client secret is wrong"),
        ({"tokens": {"missing-x.myshopify.com": TOKEN}}, "invalid", "no such store"),
        ({"tokens": {"frozen-x.myshopify.com": TOKEN}}, "unreachable", "frozen"),
        ({}, "invalid", "neither a token"),
        ({"tokens": {"acme": "with space"}}, "invalid", "copy it again"),
    ],
)
def test_a_bad_token_is_told_by_its_kind(stores: Stores, connection: dict[str, Any], state: str, word: str) -> None:
    verdict = api.connect({"url": URL, **connection}).check()
    assert (verdict["state"], word in verdict["message"]) == (state, True), verdict


def test_a_provider_that_does_not_answer_makes_a_token_unreachable(stores: Stores) -> None:
    stores.trouble = lambda _sent: CUT
    assert connect(stores={"acme": ACME}).check()["state"] == "unreachable"


def test_a_token_of_another_store_is_invalid_there(stores: Stores) -> None:
    data = {"shop": {"name": "Other", "myshopifyDomain": "other.myshopify.com"}, "currentAppInstallation": {}}
    stores.trouble = lambda _sent: (200, {"data": data})
    verdict = api.connect({"url": URL, "tokens": {ACME: TOKEN}}).check()
    assert (verdict["state"], "belongs to the store other.myshopify.com" in verdict["message"]) == ("invalid", True)


def test_every_fixed_token_is_tried_and_the_apps_pair_once(stores: Stores) -> None:
    tokens = {"ACME": TOKEN, "umbrella.myshopify.com": LIMITED}
    known = {"acme": ACME, "third": "third.myshopify.com", "fourth": "fourth.myshopify.com"}
    verdict = connect(tokens=tokens, stores=known).check()
    assert verdict["state"] == "insufficient"
    assert {each.store for each in stores.sent} == {ACME, "umbrella.myshopify.com", "third.myshopify.com"}


def test_without_any_store_the_tokens_are_not_tried_and_that_is_said(stores: Stores) -> None:
    verdict = connect().check()
    assert (verdict["state"], "not tried" in verdict["message"], stores.sent) == ("valid", True, [])


def test_the_stores_to_try_come_from_the_tenants() -> None:
    on, off = {"shopify": {"enabled": True}}, {"shopify": {"enabled": False}}
    tenants = [
        tenant("1-9", "acme", services=on),
        {**tenant("2-7", "beta", services=on), "shopify": {}},
        tenant("3-5", "gone", services=off),
    ]
    assert api.with_tenants({"url": URL}, tenants)["stores"] == {"acme": ACME}
    given = api.with_tenants({"url": URL, "default_store": "{slug}.myshopify.com"}, tenants)
    assert given["stores"] == {"acme": ACME, "beta": "beta.myshopify.com"}


def test_a_store_of_another_tenant_is_claimed(stores: Stores) -> None:
    stores.mark(ACME, rut="11111111-1")
    stores.mark("mine.myshopify.com", rut="22222222-2")
    wishes = [
        tenant("76086428-5", "acme"),
        tenant("22222222-2", "mine"),
        tenant("33333333-3", "free"),
        tenant("44444444-4", "missing-x"),
        {**tenant("55555555-5", "also"), "shopify": {"store": "free.myshopify.com"}},
        {**tenant("66666666-6", "none"), "shopify": {}},
    ]
    found = connect().claimed(wishes)
    assert set(found) == {"76086428-5", "55555555-5"}
    assert "belongs to tenant 11111111-1" in found["76086428-5"]
    assert "33333333-3" in found["55555555-5"]


def test_no_representation_shows_a_secret() -> None:
    client = connect(tokens={ACME: "shpat_secret_one"})
    assert "shpat_secret_one" not in repr(client.access) + repr(client) + str(vars(client))
    assert TOKEN not in repr(client.access)
