# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The figures of one day, from the tenants of a digest to rows of table ``health.figures``, and what differs there. Pure.

What is not known has no row and replaces none. Shopify and Odoo stay apart: an order may be in both.
"""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from ansible_collections.smartercl.smarteros.plugins.module_utils.health import schema

REGISTRY = "registry"
UNKNOWN = "unknown"
SALES = ("shopify", "odoo")
COLUMNS = ("tenant", "tenant_name", "service", "measure", "value", "currency")

Json = t.Mapping[str, t.Any]
Key = tuple[str, str, str, str]
"""Tenant, service, measure, currency."""


class Unusable(Exception):
    """Figures that are none; the text says which."""


@dataclass(frozen=True)
class Figure:
    """One row; ``currency`` is empty for a count."""

    tenant: str
    tenant_name: str
    service: str
    measure: str
    value: Decimal
    currency: str = ""

    @property
    def key(self) -> Key:
        """By which it is known again within its day."""
        return self.tenant, self.service, self.measure, self.currency

    def as_row(self) -> dict[str, str]:
        """As it is sent."""
        return {name: str(getattr(self, name)) for name in COLUMNS}


@dataclass(frozen=True)
class Difference:
    """What is to be written, and what is no longer so."""

    fresh: tuple[Figure, ...]
    altered: tuple[Figure, ...]
    gone: tuple[Key, ...]

    def __bool__(self) -> bool:
        return bool(self.fresh or self.altered or self.gone)


def of_tenants(tenants: t.Iterable[Json]) -> tuple[list[Figure], set[tuple[str, str]]]:
    """The rows, and of which pairs of tenant and service they are all that there is. Raises Unusable."""
    rows: list[Figure] = []
    told: set[tuple[str, str]] = set()
    for tenant in tenants:
        try:
            rut, name = str(tenant["id"]), str(tenant["name"])
            known = {service: each for service, each in tenant["services"].items() if UNKNOWN not in each}
            found = [Figure(rut, name, REGISTRY, measure, Decimal(1)) for measure in _registry(tenant)]
            for service, figures in known.items():
                found += [Figure(rut, name, service, *each) for each in _measures(service, figures)]
        except (KeyError, TypeError, AttributeError, ValueError, InvalidOperation) as exc:
            raise Unusable(
                f"the figures of tenant {tenant.get('slug') or tenant.get('id')} cannot be read: {exc!r}"
            ) from exc
        rows += found
        told |= {(rut, service) for service in (REGISTRY, *known)}
    return rows, told


def _registry(tenant: Json) -> t.Iterator[str]:
    for key in ("phase", "plan"):
        if tenant.get(key):
            yield f"{key}:{tenant[key]}"


def _measures(service: str, figures: Json) -> t.Iterator[tuple[str, Decimal, str]]:
    """Measure, value and currency."""
    for name, value in figures.items():
        if service in SALES and name == "totals":
            for currency, amount in value.items():
                yield "amount", _number(amount), currency
        elif value is not None and not isinstance(value, (dict, list, bool)):
            yield name, _number(value), ""


def _number(value: t.Any) -> Decimal:
    found = Decimal(str(value))
    if not found.is_finite():
        raise ValueError(f"{value} is no number")
    return found


def read(day: str) -> str:
    """Asks for one JSON text: whether the table is there, and its rows of that day."""
    return f"""
SELECT to_regclass('health.figures') IS NOT NULL AS there \\gset
\\if :there
SELECT json_build_object('there', true, 'rows', coalesce(json_agg(json_build_object('tenant', tenant,
  'tenant_name', tenant_name, 'service', service, 'measure', measure, 'value', value::text, 'currency', currency)), '[]'))
FROM health.figures WHERE day = {schema.quoted(day)}::date;
\\else
SELECT json_build_object('there', false);
\\endif
"""  # noqa: S608 - the one value stands between quotes that it cannot hold


def there(answer: str) -> list[Figure] | None:
    """The rows in an answer; None where there is no table."""
    found = json.loads(answer)
    if not found["there"]:
        return None
    return [Figure(**{**row, "value": Decimal(row["value"])}) for row in found["rows"]]


def compare(wanted: t.Iterable[Figure], told: t.AbstractSet[tuple[str, str]], has: t.Iterable[Figure]) -> Difference:
    """What differs. A row goes when its tenant and service were told of and it was not."""
    old = {each.key: each for each in has}
    new = {each.key: each for each in wanted}
    gone = tuple(key for key in old if key not in new and (key[0], key[1]) in told)
    fresh = tuple(each for key, each in new.items() if key not in old)
    altered = tuple(each for key, each in new.items() if key in old and each != old[key])
    return Difference(fresh, altered, gone)


def write(day: str, difference: Difference) -> str:
    """Writes it in one step."""
    columns = "tenant text, tenant_name text, service text, measure text, value numeric, currency text"
    keys = [dict(zip(("tenant", "service", "measure", "currency"), key)) for key in difference.gone]
    rows = [each.as_row() for each in (*difference.fresh, *difference.altered)]
    date = f"{schema.quoted(day)}::date"
    return f"""
BEGIN;
DELETE FROM health.figures f USING json_to_recordset({schema.quoted(json.dumps(keys))}) AS r({columns})
  WHERE f.day = {date} AND f.tenant = r.tenant AND f.service = r.service AND f.measure = r.measure AND f.currency = r.currency;
INSERT INTO health.figures (day, {", ".join(COLUMNS)})
  SELECT {date}, {", ".join(COLUMNS)} FROM json_to_recordset({schema.quoted(json.dumps(rows))}) AS r({columns})
  ON CONFLICT (day, tenant, service, measure, currency)
  DO UPDATE SET value = excluded.value, tenant_name = excluded.tenant_name;
COMMIT;
"""  # noqa: S608 - values stand between quotes that they cannot hold
