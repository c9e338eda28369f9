# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The orders of a store in a span of time: how many, and what they come to."""

from __future__ import annotations

import typing as t
from datetime import datetime, timezone
from decimal import Decimal, InvalidOperation

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import shopify_documents as documents
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.shopify import Json, Store, part
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.shopify_wire import rows_of
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError

PAGE = 100  # orders: a query costs in proportion to it, and few stores sell more in a day
PAGES = 1000  # more than that no store sells in a day: an endless list

Sums = dict[str, Decimal]
"""By currency (ISO 4217)."""


def sold(store: Store, start: datetime, end: datetime) -> tuple[int, Sums]:
    """Orders processed in the span, as the store's own reports date them; test orders and cancelled ones do not count.

    An order counts with what is left of it after edits and returns, in the store's currency. Raises ApiError.
    """
    query = f"processed_at:>='{_moment(start)}' AND processed_at:<'{_moment(end)}'"
    found: dict[str, tuple[str, Decimal]] = {}  # by id: pages shift while orders come in
    cursor: str | None = None
    for _page in range(PAGES):
        listed = part(store.ask(documents.ORDERS, {"first": PAGE, "after": cursor, "query": query}), "orders")
        for row in rows_of(listed.get("nodes")):
            if not row.get("test") and not row.get("cancelledAt") and _within(row, start, end):
                found[str(row.get("id"))] = _money(row)
        info = part(listed, "pageInfo")
        following = info.get("endCursor")
        if not info.get("hasNextPage"):
            return len(found), _summed(found.values())
        if not isinstance(following, str) or following == cursor:
            break
        cursor = following
    raise ApiError("the list of orders does not end", where=store.http.base_url)


def _summed(amounts: t.Iterable[tuple[str, Decimal]]) -> Sums:
    sums: Sums = {}
    for currency, amount in amounts:
        sums[currency] = sums.get(currency, Decimal(0)) + amount
    return dict(sorted(sums.items()))


def _within(row: Json, start: datetime, end: datetime) -> bool:
    """Whether the order is of the span: a search that Shopify does not understand gives all orders."""
    text = str(row.get("processedAt") or "")
    try:
        moment = datetime.strptime(text.replace("Z", "+0000"), "%Y-%m-%dT%H:%M:%S%z")
    except ValueError:
        raise ApiError("Shopify's answer has an order without the moment it was processed", errors.INVALID) from None
    return start <= moment < end


def _money(row: Json) -> tuple[str, Decimal]:
    money = part(part(row, "currentTotalPriceSet"), "shopMoney")
    try:
        amount = Decimal(str(money.get("amount")))
    except InvalidOperation:
        amount = Decimal("NaN")
    currency = str(money.get("currencyCode") or "")
    if not amount.is_finite() or not currency:
        raise ApiError("Shopify's answer has an order without a total", errors.INVALID)
    return currency, amount


def _moment(at: datetime) -> str:
    return at.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
