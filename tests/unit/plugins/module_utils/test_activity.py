# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The figures of a day, read from the sandbox's providers: each tenant's own, bounded requests, faults that hide nothing."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors, transport
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import chatwoot, n8n, odoo
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.chatwoot import Account
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import activity
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Answer
from smos.sandbox.app import PROVIDERS, accepted_tokens
from smos.sandbox.engine import Engine, Request
from smos.sandbox.state import State

HOST = "http://127.0.0.1:8321"
NOON, START, END = (
    datetime(2026, 11, 22, 15, tzinfo=UTC),
    datetime(2026, 11, 22, 3, tzinfo=UTC),
    datetime(2026, 11, 23, 3, tzinfo=UTC),
)
SPAN = activity.Span(START, END, concurrency=4)
OPERATOR = "operator@smarterbot.cl"
RUTS = ("76000001-9", "76000038-8", "76000075-2")
CONNECTIONS: dict[str, dict[str, Any]] = {
    "shopify": {
        "url": f"{HOST}/shopify/{{shop}}",
        "client_id": "sandbox-shopify-client",
        "client_secret": "sandbox-shopify-token",
        "default_store": "{slug}.myshopify.com",
    },
    "odoo": {"url": f"{HOST}/odoo", "database": "smarteros", "login": "smarteros", "secret": "sandbox-odoo-token"},
    "chatwoot": {
        "url": f"{HOST}/chatwoot",
        "platform_token": "sandbox-chatwoot-token",
        "operator_email": OPERATOR,
    },
    "n8n": {"url": f"{HOST}/n8n", "api_key": "sandbox-n8n-token"},
    "supabase": {},
}


class World:
    """All providers of the sandbox where the network would be. ``trouble`` may give an error for a provider and a path."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1)  # SQLite belongs to one thread, clients call from many
        self.engine: Engine = self._pool.submit(
            lambda: Engine(State(":memory:", PROVIDERS), accepted_tokens(PROVIDERS, {}))
        ).result()
        self.asked: list[str] = []
        self.trouble: Callable[[str, str], ApiError | None] = lambda _provider, _address: None

    def sql(self, text: str, *rows: tuple[Any, ...]) -> None:
        self._pool.submit(lambda: self.engine.state.db.executemany(text, rows)).result()

    def send(self, client: Any, method: str, path: str, params: Any, body: Any, headers: Any, where: str) -> Answer:
        address = urlsplit(client.base_url).path + path
        provider = address.split("/")[1]
        wrong = self.trouble(provider, address)
        self.asked.append(provider)
        if wrong is not None:
            raise wrong
        names = {key.lower(): value for key, value in {**client._headers, **(headers or {})}.items()}
        names["content-type"] = "application/json"
        raw = b"" if body is None else jsonlib.dumps(body).encode()
        request = Request(method, address, urlencode(params or {}), names, raw, HOST)
        reply = self._pool.submit(lambda: self.engine.handle(request).reply).result()
        assert reply is not None
        return Answer(reply.status, reply.headers, jsonlib.loads(jsonlib.dumps(reply.body)))

    def orders(self, slug: str, *rows: tuple[str, str], test: int = 0, cancelled: str | None = None) -> None:
        self.sql(
            "INSERT INTO shopify_orders (shop, name, processed_at, test, cancelled_at, currency, total)"
            " VALUES (?, '#1', ?, ?, ?, 'CLP', ?)",
            *((f"{slug}.myshopify.com", at, test, cancelled, total) for at, total in rows),
        )

    def sales(self, rut: str, at: str, total: float, state: str = "sale") -> None:
        self.sql(
            "INSERT INTO odoo_sale_order (name, partner_id, company_id, currency_id, date_order, state, amount_total)"
            " SELECT 'S1', partner_id, id, currency_id, ?, ?, ? FROM odoo_res_company WHERE company_registry = ?",
            (at, state, total, f"smarteros:{rut}"),
        )


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()

    def send(self: Any, *args: Any) -> Answer:
        return made.send(self, *args)

    monkeypatch.setattr(transport.Http, "_send", send)
    monkeypatch.setattr(transport.Http, "_pause", lambda self, attempt: 0.0)
    return made


def tenant(number: int, account: int = 0, **off: bool) -> dict[str, Any]:
    services = {name: {"enabled": off.get(name, True)} for name in ("shopify", "odoo", "chatwoot", "n8n", "supabase")}
    status = {"services": {"chatwoot": {"ref": {"account_id": account}}}} if account else {}
    slug = f"shop-{number}"
    return {"id": RUTS[number], "slug": slug, "name": slug, "services": services, "status": status, "shopify": {}}


def accounts(count: int) -> list[int]:
    client = chatwoot.connect(CONNECTIONS["chatwoot"])
    client.act_as(client.make_operator("Op", OPERATOR))
    user = client.profile()[0]
    blank = Account("A", "es", "a.example.com", "a@example.com", "active", "", "")
    made = [client.create_account(blank, lambda: None) for _number in range(count)]
    for number in made:
        client.link(number, user)
    return made


def companies(*ruts: str) -> None:
    client = odoo.connect(CONNECTIONS["odoo"])
    rows = [{"name": f"Shop {rut}", "company_registry": f"smarteros:{rut}"} for rut in ruts]
    client.create_companies(rows, vat_check=False)


def read(*tenants: dict[str, Any], connections: dict[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    return activity.read(CONNECTIONS if connections is None else connections, tenants, SPAN)


def test_the_day_of_a_store_is_counted_without_test_orders_cancelled_ones_and_other_days(world: World) -> None:
    day = "2026-11-22T15:00:00Z"
    world.orders("shop-0", (day, "10000.0"), ("2026-11-22T03:00:00Z", "0.5"), ("2026-11-23T02:59:59Z", "2344.5"))
    world.orders("shop-0", ("2026-11-22T02:59:59Z", "1"), ("2026-11-23T03:00:00Z", "1"))
    world.orders("shop-0", (day, "1"), test=1)
    world.orders("shop-0", (day, "1"), cancelled=day)
    world.orders("shop-1", *((day, "1") for _number in range(230)))  # three pages
    found = read(tenant(0), tenant(1), tenant(2, shopify=False))
    assert found[RUTS[0]]["shopify"] == {"orders": 3, "totals": {"CLP": "12345"}}
    assert found[RUTS[1]]["shopify"] == {"orders": 230, "totals": {"CLP": "230"}}
    assert "shopify" not in found[RUTS[2]]
    assert world.asked.count("shopify") == 2 * 1 + 1 + 3


def test_odoo_is_asked_once_for_all_companies(world: World) -> None:
    companies(*RUTS[:2])
    world.sales(RUTS[0], "2026-11-22 15:00:00", 1000.25)
    world.sales(RUTS[0], "2026-11-23 02:59:59", 0.75, "sale")
    world.sales(RUTS[0], "2026-11-23 03:00:00", 7)
    world.sales(RUTS[0], "2026-11-22 15:00:00", 7, "draft")
    world.asked.clear()
    found = read(*(tenant(number) for number in range(3)))
    assert found[RUTS[0]]["odoo"]["orders"] == 2
    assert list(found[RUTS[0]]["odoo"]["totals"].values()) == ["1001"]
    assert found[RUTS[1]]["odoo"] == {"orders": 0, "totals": {}}
    assert found[RUTS[2]]["odoo"] == {"unknown": "it has no company in Odoo"}
    assert world.asked.count("odoo") == 3  # who we are, the companies, the sums


def test_conversations_come_from_the_accounts_report(world: World) -> None:
    one, two = accounts(2)
    at = NOON.timestamp()
    world.sql(
        "INSERT INTO chatwoot_conversation (account_id, display, inbox_id, contact_id, status, custom_attributes,"
        " additional_attributes, created_at) VALUES (?, ?, 0, 0, 'open', '{}', '{}', ?)",
        *((one, 1, at), (one, 2, at), (one, 3, END.timestamp()), (two, 1, START.timestamp() - 1)),
    )
    world.sql(
        "INSERT INTO chatwoot_event (account_id, conversation_id, name, value, created_at) VALUES (?, 1, ?, ?, ?)",
        *((one, "first_response", 60, at), (one, "first_response", 120.9, at), (one, "conversation_resolved", 9, at)),
    )
    found = read(tenant(0, one), tenant(1, two), tenant(2))
    assert found[RUTS[0]]["chatwoot"] == {"opened": 2, "resolved": 1, "first_response_s": 90}
    assert found[RUTS[1]]["chatwoot"] == {"opened": 0, "resolved": 0, "first_response_s": None}
    assert found[RUTS[2]]["chatwoot"] == {"unknown": "it has no account in Chatwoot"}


def workflow(rut: str) -> str:
    client = n8n.connect(CONNECTIONS["n8n"])
    made = client.create({"name": rut, "nodes": [{"id": rut, "name": "x"}], "connections": {}, "settings": {}})
    client.set_tags(made, [client.create_tag(each) for each in n8n.our_tags(rut)])
    return made.id


def test_failed_executions_are_read_once_and_told_apart_by_tag(world: World) -> None:
    mine, other = workflow(RUTS[0]), workflow("76086428-5")

    def executions(workflow_id: str, state: str, stamp: str, count: int = 1) -> None:
        sql = "INSERT INTO n8n_executions (workflow_id, status, mode, started) VALUES (?, ?, 'webhook', ?)"
        world.sql(sql, *((workflow_id, state, stamp) for _number in range(count)))

    executions(mine, "error", "2026-11-22T02:59:59.000Z", 600)  # the day before: not read to its end
    executions(mine, "error", "2026-11-22T03:00:00.000Z")
    executions(mine, "crashed", "2026-11-22T15:00:00.000Z", 2)
    executions(mine, "success", "2026-11-22T15:00:00.000Z", 9)
    executions(other, "error", "2026-11-22T15:00:00.000Z", 300)
    executions(mine, "error", "2026-11-23T03:00:00.000Z")
    world.asked.clear()
    found = read(tenant(0), tenant(1))
    assert [found[rut]["n8n"] for rut in RUTS[:2]] == [{"failed": 3}, {"failed": 0}]
    assert world.asked.count("n8n") == 2 + 1  # two pages of executions, one of workflows


def test_one_shop_that_fails_hides_no_other_and_one_provider_neither(world: World) -> None:
    day = "2026-11-22T15:00:00Z"
    for number in range(3):
        world.orders(f"shop-{number}", (day, "5"))

    def trouble(provider: str, address: str) -> ApiError | None:
        if provider == "n8n":
            return ApiError("HTTP 500", errors.SERVER, 500)
        return ApiError("no answer within 10 s", errors.UNANSWERED) if "shop-1." in address else None

    world.trouble = trouble
    found = read(*(tenant(number) for number in range(3)))
    assert [("unknown" in found[rut]["shopify"]) for rut in RUTS] == [False, True, False]
    assert "no answer" in found[RUTS[1]]["shopify"]["unknown"]
    assert all("HTTP 500" in found[rut]["n8n"]["unknown"] for rut in RUTS)


def test_a_provider_that_is_down_is_not_asked_for_everybody(world: World) -> None:
    world.trouble = lambda provider, _address: ApiError("down", errors.UNREACHABLE) if provider == "shopify" else None
    many = [
        {**tenant(0, odoo=False, chatwoot=False, n8n=False, supabase=False), "id": f"{n}-0", "slug": f"s{n}"}
        for n in range(300)
    ]
    found = read(*many)
    whys = [each["shopify"]["unknown"] for each in found.values()]
    assert len(whys) == 300
    assert sum("not asked" in why for why in whys) > 200


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {"data": 7},
        {"data": {"orders": {"nodes": [{"id": "1", "processedAt": "2026-11-22T15:00:00Z"}], "pageInfo": {}}}},
        {"data": {"orders": {"nodes": [{"id": "1"}], "pageInfo": {}}}},
        {"conversations_count": "many"},
        {"conversations_count": -1, "resolutions_count": 0, "avg_first_response_time": "NaN"},
        {"data": ["x"], "nextCursor": 5},
    ],
)
def test_answers_of_another_shape_are_unknown(monkeypatch: pytest.MonkeyPatch, body: Any) -> None:
    monkeypatch.setattr(transport.Http, "_send", lambda self, *args: Answer(200, {}, body))
    monkeypatch.setattr(transport.Http, "_pause", lambda self, attempt: 0.0)
    found = read(
        tenant(0, 5),
        connections={**CONNECTIONS, "shopify": {**CONNECTIONS["shopify"], "tokens": {"shop-0": "shpat_x1"}}},
    )
    for service in ("shopify", "odoo", "chatwoot", "n8n", "storage"):
        assert list(found[RUTS[0]][service]) == ["unknown"], service


def test_what_is_not_configured_is_unknown() -> None:
    found = read(tenant(0), connections={})
    assert {figures["unknown"] for figures in found[RUTS[0]].values()} == {"it is not configured here"}
