# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What the system costs a month, by the specs: fixed parts, parts per tenant, and what the plans bring in.

Amounts are US dollars, kept as whole cents, so that sums are exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

SYSTEM, TENANT = "system", "tenant"
_CENTS = 100

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Item:
    """One thing that is paid for. ``where`` is the place of the figure in the specs."""

    what: str
    per: str
    cents: int
    where: str
    source: str = ""
    date: str = ""

    def as_row(self) -> dict[str, Any]:
        """The item as a result tells it."""
        return {
            "what": self.what,
            "per": self.per,
            "monthly": in_dollars(self.cents),
            "where": self.where,
            "source": self.source,
            "date": self.date,
        }


def items(documents: Mapping[str, Document], files: Mapping[str, str]) -> list[Item]:
    """Everything that costs, fixed parts first. ``documents`` and ``files`` are those of vps, dns, services and tenants."""
    found = [*_fixed(documents, files), *_services(documents, files), *_tenant(documents, files)]
    return sorted(found, key=lambda item: item.per != SYSTEM)


def _fixed(documents: Mapping[str, Document], files: Mapping[str, str]) -> Iterator[Item]:
    for name, host in documents["vps"]["hosts"].items():
        yield _item(f"machine {name} ({host['provider']})", SYSTEM, host, f"{files['vps']}: hosts.{name}")
    yield _item(f"domain {documents['dns']['zone']}", SYSTEM, documents["dns"], files["dns"])


def _services(documents: Mapping[str, Document], files: Mapping[str, str]) -> Iterator[Item]:
    for name, service in documents["services"]["services"].items():
        cost = service.get("cost")
        if cost:
            where = f"{files['services']}: services.{name}.cost"
            yield _item(cost.get("what") or service["title"], cost["per"], cost, where)


def _tenant(documents: Mapping[str, Document], files: Mapping[str, str]) -> Iterator[Item]:
    cost = documents["tenants"]["cost"]
    yield _item(cost.get("what") or "tenant", TENANT, cost, f"{files['tenants']}: cost")


def _item(what: str, per: str, holder: Document, where: str) -> Item:
    priced = holder.get("priced") or {}
    return Item(what, per, cents(holder["monthly_usd"]), where, priced.get("source", ""), priced.get("date", ""))


def cents(amount: float) -> int:
    """An amount of the specs in cents."""
    return round(amount * _CENTS)


def in_dollars(amount: int) -> float:
    """An amount in cents as a result tells it."""
    return amount / _CENTS


@dataclass(frozen=True)
class Costs:
    """The costs of a system, and the prices of its plans; a plan without a price is not known."""

    fixed: int
    per_tenant: int
    prices: Mapping[str, int | None]

    @classmethod
    def of(cls, found: list[Item], plans: Mapping[str, Document]) -> Costs:
        """Add up the items."""
        prices = {name: plan.get("monthly_usd") for name, plan in plans.items()}
        return cls(
            sum(item.cents for item in found if item.per == SYSTEM),
            sum(item.cents for item in found if item.per == TENANT),
            {name: None if price is None else cents(price) for name, price in prices.items()},
        )

    def total(self, tenants: int) -> int:
        """What so many tenants cost, in cents."""
        return self.fixed + tenants * self.per_tenant

    def income(self, plans: Mapping[str, int]) -> int | None:
        """What tenants pay, by how many of them have which plan; None where the price of one is not known."""
        paid = [(self.prices.get(name), count) for name, count in plans.items() if count]
        if not paid and all(price is None for price in self.prices.values()):
            return None
        if any(price is None for price, _count in paid):
            return None
        return sum((price or 0) * count for price, count in paid)

    def row(self, plans: Mapping[str, int]) -> dict[str, Any]:
        """The figures for these tenants; income and margin are None where a price is not known."""
        tenants = sum(plans.values())
        total, income = self.total(tenants), self.income(plans)
        return {
            "tenants": tenants,
            "plans": {name: count for name, count in plans.items() if count},
            "fixed": in_dollars(self.fixed),
            "per_tenant": in_dollars(tenants * self.per_tenant),
            "total": in_dollars(total),
            "income": None if income is None else in_dollars(income),
            "margin": None if income is None else in_dollars(income - total),
        }

    def plan(self, name: str) -> dict[str, Any]:
        """What one tenant of a plan brings in, and from how many of them on the fixed costs are covered."""
        price = self.prices[name]
        over = None if price is None else price - self.per_tenant
        return {
            "plan": name,
            "price": None if price is None else in_dollars(price),
            "cost": in_dollars(self.per_tenant),
            "contribution": None if over is None else in_dollars(over),
            "break_even": -(-self.fixed // over) if over and over > 0 else None,
        }
