# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
from __future__ import annotations

import typing as t

import pytest

from ansible_collections.smartercl.smarteros.plugins.filter import chatwoot, odoo
from ansible_collections.smartercl.smarteros.plugins.modules import chatwoot_accounts, odoo_companies, odoo_users


def tenant(**more: t.Any) -> dict[str, t.Any]:
    """A merged tenant, as the lookup gives it."""
    return {
        "id": "76086428-5",
        "name": "Acme",
        "slug": "acme",
        "domain": "acme.example.com",
        "rut_valid": True,
        "locale": {"timezone": "America/Santiago", "currency": "CLP", "language": "es", "country": "CL"},
        "owner": {"name": "Ana Pérez", "email": "ana@example.com"},
        "services": {"odoo": {"enabled": True}, "chatwoot": {"enabled": True}},
        "status": {},
        **more,
    }


OFF = tenant(services={"odoo": {"enabled": False}, "chatwoot": {"enabled": False}})
FILTERS = [
    (odoo.FilterModule().filters()["odoo_companies"], odoo_companies.COMPANY),
    (odoo.FilterModule().filters()["odoo_users"], odoo_users.USER),
    (chatwoot.FilterModule().filters()["chatwoot_accounts"], chatwoot_accounts.ACCOUNT),
]


@pytest.mark.parametrize(("items", "options"), FILTERS, ids=["companies", "users", "accounts"])
def test_items_have_only_options_that_the_module_knows(
    items: t.Callable[..., t.Any], options: dict[str, t.Any]
) -> None:
    (item,) = items([tenant()])
    assert set(item) <= set(options)
    assert {name for name, option in options.items() if option.get("required")} <= set(item)


@pytest.mark.parametrize(("items", "options"), FILTERS, ids=["companies", "users", "accounts"])
def test_a_tenant_without_the_service_is_left_out_but_for_removal(
    items: t.Callable[..., t.Any], options: object
) -> None:
    assert items([OFF]) == []
    assert items([OFF], "absent")[0]["state"] == "absent"


def test_odoo_gets_language_and_country_as_one() -> None:
    assert odoo.users([tenant()])[0]["lang"] == "es_CL"
    assert odoo.users([tenant(locale={**tenant()["locale"], "language": "es_AR"})])[0]["lang"] == "es_AR"


def test_chatwoot_gets_the_language_alone() -> None:
    assert chatwoot.accounts([tenant(locale={**tenant()["locale"], "language": "es_CL"})])[0]["locale"] == "es"
    assert chatwoot.accounts([tenant(locale={**tenant()["locale"], "language": "pt_BR"})])[0]["locale"] == "pt_BR"


def test_the_chat_is_for_the_domain_that_customers_see() -> None:
    assert chatwoot.accounts([tenant(custom_domain="shop.example.com")])[0]["website_url"] == "https://shop.example.com"


def test_what_was_written_down_comes_back_to_the_module() -> None:
    status = {"services": {"chatwoot": {"state": "failed", "ref": {"creating_after": 41}}}}
    item = chatwoot.accounts([tenant(status=status)])[0]
    assert (item["account_id"], item["creating_after"]) == (None, 41)


def test_the_recorded_user_comes_back_to_the_modules() -> None:
    made = {name: {"state": "ready", "ref": {"user_id": 7}} for name in ("odoo", "chatwoot")}
    for items in (odoo.users, chatwoot.accounts):
        assert [items([each])[0]["known_user"] for each in (tenant(), tenant(status={"services": made}))] == [0, 7]


def test_names_are_data_and_never_templates() -> None:
    assert odoo.companies([tenant(name="{{ 7 * 7 }}")])[0]["name"] == "{{ 7 * 7 }}"
