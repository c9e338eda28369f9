"""From the tenants of a digest to rows, and what differs."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.health import day_figures as figures
from ansible_collections.smartercl.smarteros.plugins.modules import daily_figures as module
from unit.plugins.wire import run_module

SHOP: dict[str, Any] = {
    "id": "76086428-5",
    "slug": "acme",
    "name": "Acme Corp",
    "phase": "active",
    "services": {
        "shopify": {"orders": 2, "totals": {"CLP": "1000", "USD": "2.50"}},
        "odoo": {"unknown": "no answer"},
        "chatwoot": {"opened": 0, "resolved": 1, "first_response_s": None},
    },
}


def test_what_is_known_becomes_rows_and_shopify_and_odoo_stay_apart() -> None:
    rows, told = figures.of_tenants([SHOP])
    assert [(each.service, each.measure, str(each.value), each.currency) for each in rows] == [
        ("registry", "phase:active", "1", ""),
        ("shopify", "orders", "2", ""),
        ("shopify", "amount", "1000", "CLP"),
        ("shopify", "amount", "2.50", "USD"),
        ("chatwoot", "opened", "0", ""),
        ("chatwoot", "resolved", "1", ""),
    ]
    assert told == {("76086428-5", name) for name in ("registry", "shopify", "chatwoot")}


def test_what_is_not_known_takes_nothing_away() -> None:
    rows, told = figures.of_tenants([SHOP])
    odoo = figures.Figure("76086428-5", "Acme Corp", "odoo", "orders", Decimal(7))
    other = figures.Figure("12345678-5", "Beta", "shopify", "orders", Decimal(7))
    euros = figures.Figure("76086428-5", "Acme Corp", "shopify", "amount", Decimal(7), "EUR")
    found = figures.compare(rows, told, [*rows[1:], odoo, other, euros])
    assert (found.fresh, found.altered, found.gone) == ((rows[0],), (), (euros.key,))
    assert not figures.compare(rows, told, rows)


WRONG = [
    {**SHOP, "services": {"shopify": {"orders": "many", "totals": {}}}},
    {**SHOP, "services": {"shopify": {"orders": 1, "totals": {"CLP": "NaN"}}}},
    {**SHOP, "services": ["shopify"]},
    {"slug": "acme"},
]


@pytest.mark.parametrize("tenant", WRONG, ids=range(len(WRONG)))
def test_figures_that_are_none_are_refused_with_the_tenants_name(tenant: dict[str, Any]) -> None:
    answer = run_module(module, date="2026-11-22", tenants=[tenant])
    assert (answer["failed"], answer["exit_code"]) == (True, 2)
    assert "acme" in answer["errors"][0]["why"]


def test_a_day_that_is_none_is_refused() -> None:
    assert run_module(module, date="yesterday", tenants=[])["exit_code"] == 2


def test_a_machine_without_an_engine_is_told() -> None:
    answer = run_module(module, date="2026-11-22", tenants=[SHOP], socket="/nowhere/at/all.sock")
    assert (answer["failed"], answer["exit_code"]) == (True, 3)
    assert "smarteros" in answer["msg"]


def test_a_machine_without_the_server_is_told_and_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.Engine, "container_of", lambda *_words: None)
    answer = run_module(module, date="2026-11-22", tenants=[SHOP])
    assert (answer["changed"], answer.get("failed", False), answer["rows"]) == (False, False, 6)
    assert "does not run on this machine" in answer["message"]
