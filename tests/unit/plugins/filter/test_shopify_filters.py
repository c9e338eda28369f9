# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
from __future__ import annotations

import typing as t

import pytest

from ansible_collections.smartercl.smarteros.plugins.filter import shopify
from ansible_collections.smartercl.smarteros.plugins.modules import shopify_metafields, shopify_webhooks

ACME = "acme.myshopify.com"
FILTERS = [(shopify.webhooks, shopify_webhooks.WEBHOOK), (shopify.metafields, shopify_metafields.STORE)]


def tenant(**more: t.Any) -> dict[str, t.Any]:
    """A merged tenant, as the lookup gives it."""
    return {
        "id": "76086428-5",
        "name": "Acme",
        "slug": "acme",
        "plan": "starter",
        "shopify": {"store": ACME},
        "services": {"shopify": {"enabled": True}},
        "status": {},
        **more,
    }


def seen(state: str, **ref: str) -> dict[str, t.Any]:
    return {"services": {"shopify": {"state": state, "ref": {"store": ACME, **ref}}}}


@pytest.mark.parametrize(("items", "options"), FILTERS, ids=["webhooks", "metafields"])
def test_items_have_only_options_that_the_module_knows(
    items: t.Callable[..., t.Any], options: dict[str, t.Any]
) -> None:
    (item,) = items([tenant()])
    assert set(item) <= set(options)
    assert (item["state"], item["store"]) == ("present", ACME)


@pytest.mark.parametrize(("items", "_options"), FILTERS, ids=["webhooks", "metafields"])
@pytest.mark.parametrize(
    ("more", "override", "state"),
    [
        ({}, "", "present"),
        ({"shopify": {}}, "", "disabled"),
        ({"shopify": {}}, "absent", "absent"),
        ({"wish": "suspended"}, "", "suspended"),
        ({"wish": "deleted"}, "", "suspended"),
        ({"wish": "purged"}, "", "absent"),
        ({"wish": "suspended", "shopify": {}}, "", "disabled"),
        ({"services": {"shopify": {"enabled": False}}, "status": seen("ready")}, "", "suspended"),
        ({}, "absent", "absent"),
    ],
)
def test_the_state_follows_from_the_tenants_life(
    items: t.Callable[..., t.Any], _options: object, more: dict[str, t.Any], override: str, state: str
) -> None:
    (item,) = items([tenant(**more)], state=override)
    assert item["state"] == state


def test_a_tenant_that_never_had_the_service_is_left_out() -> None:
    assert shopify.webhooks([tenant(services={"shopify": {"enabled": False}})]) == []


def test_a_tenant_without_a_store_is_told_how_to_get_one() -> None:
    assert "shopify.store" in shopify.webhooks([tenant(shopify={})])[0]["reason"]


def test_the_default_store_is_for_tenants_without_one() -> None:
    given = [tenant(shopify={}), tenant(shopify={"store": "own.myshopify.com"})]
    stores = [item["store"] for item in shopify.webhooks(given, "{slug}.myshopify.com")]
    assert stores == [ACME, "own.myshopify.com"]


def test_only_what_was_recorded_of_this_very_store_can_have_been_dropped() -> None:
    def recorded(**more: t.Any) -> t.Any:
        return shopify.webhooks([tenant(**more)])[0]["recorded"]

    assert recorded(status=seen("ready", ORDERS_CREATE="1"))["ORDERS_CREATE"] == "1"
    assert recorded(status=seen("suspended", ORDERS_CREATE="1")) == {}
    assert recorded(status=seen("ready", ORDERS_CREATE="1"), shopify={"store": "new.myshopify.com"}) == {}


def test_a_store_that_was_changed_or_taken_away_is_left_clean() -> None:
    def former(**more: t.Any) -> t.Any:
        return shopify.metafields([tenant(**more)])[0]["former"]

    assert former(status=seen("ready")) == ""
    assert former(status=seen("ready"), shopify={"store": "new.myshopify.com"}) == ACME
    assert former(status=seen("suspended"), shopify={}) == ACME
    assert former(status=seen("disabled"), shopify={}) == ""


def test_the_metafields_are_slug_and_plan() -> None:
    assert shopify.metafields([tenant()])[0]["metafields"] == {"slug": "acme", "plan": "starter"}
