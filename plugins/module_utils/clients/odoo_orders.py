# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What the companies of one Odoo sold in a span of time: one request for all of them."""

from __future__ import annotations

import typing as t
from datetime import datetime, timezone
from decimal import Decimal

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.odoo import OdooClient
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError

CONFIRMED = ("sale", "done")  # locked orders were "done" until Odoo 16
_CENTS = Decimal("0.01")

Sold = tuple[int, dict[str, Decimal]]
"""How many orders, and what they come to by currency."""


def sold(client: OdooClient, companies: t.Sequence[int], start: datetime, end: datetime) -> dict[int, Sold]:
    """By company: its confirmed sales orders of the span; those that sold nothing are left out. Raises ApiError."""
    domain = [
        ["company_id", "in", list(companies)],
        ["state", "in", list(CONFIRMED)],
        ["date_order", ">=", _moment(start)],
        ["date_order", "<", _moment(end)],
    ]
    args = [domain, ["amount_total:sum"], ["company_id", "currency_id"]]
    rows = client.read("sale.order", "read_group", args, {"lazy": False}) if companies else []
    found: dict[int, Sold] = {}
    try:
        for row in rows:
            count, sums = found.get(row["company_id"][0], (0, {}))
            currency = row["currency_id"][1] if row["currency_id"] else ""
            amount = Decimal(str(row["amount_total"] or 0)).quantize(_CENTS)
            sums = {**sums, currency: sums.get(currency, Decimal(0)) + amount}
            found[row["company_id"][0]] = (count + int(row["__count"]), sums)
    except (ArithmeticError, AttributeError, IndexError, KeyError, TypeError, ValueError):
        raise ApiError("sale.order: read_group does not answer in groups", errors.INVALID, 200) from None
    return found


def _moment(at: datetime) -> str:
    return at.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
