# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""A tenant's data in Odoo as files: contacts, products and orders, by names and references instead of Odoo's ids.

What comes back is found by the same words, so that it is never there twice. Orders come back as quotations: confirming
one makes deliveries and entries, which is for a person to decide. Passwords, users, journals and stock stay behind.
"""

from __future__ import annotations

import json
import typing as t
from collections import Counter

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import odoo as client_odoo
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.odoo import OdooClient
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Policy

CONTACTS, PRODUCTS, ORDERS = "contacts.json", "products.json", "orders.json"
BATCH = 100  # records of one create
FORMAT = 1

Row = dict[str, t.Any]
Key = tuple[str, ...]

# What is kept of a record, as far as this Odoo has the field (some went away after 17)
_CONTACT = ("name", "is_company", "email", "phone", "mobile", "website", "street", "street2", "city", "zip", "vat")
_CONTACT_MORE = ("ref", "function", "comment", "active")
_PRODUCT = ("name", "default_code", "barcode", "list_price", "detailed_type", "type", "sale_ok", "purchase_ok")
_PRODUCT_MORE = ("description_sale", "active")
_ORDER = ("name", "client_order_ref", "origin", "date_order", "state", "note", "amount_total")
_LINE = ("name", "product_uom_qty", "price_unit", "discount", "sequence", "display_type")
_NOT_ASKED = frozenset({"state", "amount_total"})  # told, but not for us to write


def collect(
    connection: t.Mapping[str, str], tenant: t.Mapping[str, t.Any], policy: Policy | None = None
) -> dict[str, bytes]:
    """The tenant's contacts, products and orders as JSON files; none where the tenant has no company. Raises ApiError."""
    client = client_odoo.connect(connection, policy)
    company = _company(client, str(tenant["id"]))
    if not company:
        return {}
    shop = _Shop(client, company)
    products, orders = shop.products(), shop.orders()
    contacts = shop.contacts({order["partner"]["id"] for order in orders if order["partner"]} - {shop.home()})
    by_id = {row["id"]: row for row in contacts}
    for row in contacts:
        row["parent"] = by_id[row["parent"]]["name"] if row["parent"] in by_id else None
    return {
        CONTACTS: _file("contacts", [_without_id(row) for row in contacts], contact_key),
        PRODUCTS: _file("products", [_without_id(row) for row in products], product_key),
        ORDERS: _file("orders", [_order_shown(row, by_id) for row in orders], order_key),
    }


def bring_back(
    connection: t.Mapping[str, str],
    tenant: t.Mapping[str, t.Any],
    files: t.Mapping[str, bytes],
    policy: Policy | None = None,
) -> list[str]:
    """Create what is not there yet; gives sentences on what was created. Raises ApiError."""
    client = client_odoo.connect(connection, policy)
    company = _company(client, str(tenant["id"]))
    if not company:
        raise ApiError("the tenant has no active company in Odoo to bring data back to", errors.MISSING)
    shop = _Shop(client, company)
    told = []
    contacts = shop.bring_contacts(_rows(files, CONTACTS, "contacts"))
    products = shop.bring_products(_rows(files, PRODUCTS, "products"))
    orders = shop.bring_orders(_rows(files, ORDERS, "orders"))
    for count, what in ((contacts, "contacts"), (products, "products")):
        if count:
            told.append(f"{count} {what} were created in Odoo")
    if orders:
        told.append(f"{orders} orders were created in Odoo as quotations: confirm those that were confirmed before")
    return told


def contact_key(row: t.Mapping[str, t.Any]) -> Key:
    """What tells contacts apart; several with the same are counted."""
    return tuple(str(row.get(name) or "").lower() for name in ("vat", "email", "name"))


def product_key(row: t.Mapping[str, t.Any]) -> Key:
    """What tells products apart: the internal reference, or else the name."""
    return (str(row.get("default_code") or ""), "" if row.get("default_code") else str(row.get("name") or ""))


def order_key(row: t.Mapping[str, t.Any]) -> Key:
    """What tells orders of a company apart."""
    return (str(row.get("name") or ""),)


class _Shop:
    """One company's records. Reads and writes are limited to it, whatever else our user sees."""

    def __init__(self, client: OdooClient, company: int) -> None:
        self._client, self._company = client, company
        # What Odoo has let in once it shall let in again: it judges a RUT more strictly than it used to
        context = {"allowed_company_ids": [company], "active_test": False, "no_vat_validation": True}
        self._options = {"context": context}

    # --- reading

    def contacts(self, needed: t.AbstractSet[int] = frozenset()) -> list[Row]:
        """The company's contacts and those that its orders name."""
        fields = self._known("res.partner", (*_CONTACT, *_CONTACT_MORE))
        domain: list[t.Any] = [["company_id", "=", self._company]]
        if needed:
            domain = ["|", *domain, ["id", "in", sorted(needed)]]
        rows = self._client.records("res.partner", domain, [*fields, "parent_id", "country_id"])
        codes = self._countries(rows)
        return [
            {
                "id": row["id"],
                **_plain(row, fields),
                "country": codes.get(_id_of(row["country_id"])),
                "parent": _id_of(row["parent_id"]),
            }
            for row in rows
        ]

    def products(self) -> list[Row]:
        """The company's products; those that all companies share belong to nobody."""
        fields = self._known("product.template", (*_PRODUCT, *_PRODUCT_MORE))
        if not fields:
            return []
        rows = self._client.records("product.template", [["company_id", "=", self._company]], fields)
        return [{"id": row["id"], **_plain(row, fields)} for row in rows]

    def orders(self) -> list[Row]:
        """The company's orders with their lines."""
        fields = self._known("sale.order", _ORDER)
        if not fields:
            return []
        domain = [["company_id", "=", self._company]]
        rows = self._client.records("sale.order", domain, [*fields, "partner_id", "currency_id"])
        lines = self._lines()
        return [
            {
                **_plain(row, fields),
                "partner": {"id": _id_of(row["partner_id"])} if row["partner_id"] else None,
                "currency": row["currency_id"][1] if row["currency_id"] else None,
                "lines": lines.get(row["id"], []),
            }
            for row in rows
        ]

    def _lines(self) -> dict[int, list[Row]]:
        fields = self._known("sale.order.line", _LINE)
        domain = [["order_id.company_id", "=", self._company]]
        rows = self._client.records("sale.order.line", domain, [*fields, "order_id", "product_id"])
        variants = {row["id"]: row for row in self._variants({_id_of(row["product_id"]) for row in rows})}
        found: dict[int, list[Row]] = {}
        for row in rows:
            product = variants.get(_id_of(row["product_id"]))
            line = {**_plain(row, fields), "product": _plain(product, ("default_code", "name")) if product else None}
            found.setdefault(_id_of(row["order_id"]), []).append(line)
        return found

    def _variants(self, ids: t.AbstractSet[int]) -> list[Row]:
        wanted = sorted(number for number in ids if number)
        if not wanted:
            return []
        return self._client.records("product.product", [["id", "in", wanted]], ["default_code", "name"])

    def _countries(self, rows: t.Iterable[Row]) -> dict[int, str]:
        wanted = sorted({_id_of(row["country_id"]) for row in rows} - {0})
        found = self._client.records("res.country", [["id", "in", wanted]], ["code"]) if wanted else []
        return {row["id"]: row["code"] for row in found}

    def _known(self, model: str, names: t.Sequence[str]) -> list[str]:
        """Those of the fields that this Odoo has; none where the module is not installed."""
        try:
            known = self._client.fields(model, names)
        except ApiError as exc:
            if exc.kind == errors.INVALID and "doesn't exist" in exc.message:
                return []
            raise
        # Odoo 17 has both, and makes the second from the first
        return [name for name in names if name in known and not (name == "type" and "detailed_type" in known)]

    # --- writing

    def bring_contacts(self, rows: t.Sequence[Row]) -> int:
        """Create the contacts that are not there; first those that others stand below."""
        fields = self._known("res.partner", (*_CONTACT, *_CONTACT_MORE))
        made = 0
        for below in (False, True):
            some = [row for row in rows if bool(row.get("parent")) is below]
            there = {row["name"]: row["id"] for row in self.contacts()} if below else {}
            codes = {str(row.get("country")) for row in some if row.get("country")}
            found = self._client.records("res.country", [["code", "in", sorted(codes)]], ["code"]) if codes else []
            lands = {row["code"]: row["id"] for row in found}

            def values(row: Row, there: t.Mapping[str, int] = there, lands: t.Mapping[str, int] = lands) -> Row:
                return {
                    **_given(row, fields),
                    "country_id": lands.get(str(row.get("country"))) or False,
                    "parent_id": there.get(str(row.get("parent"))) or False,
                    "company_id": self._company,
                }

            made += self._create("res.partner", some, contact_key, self.contacts, values)
        return made

    def bring_products(self, rows: t.Sequence[Row]) -> int:
        """Create the products that are not there."""
        fields = self._known("product.template", (*_PRODUCT, *_PRODUCT_MORE))
        if rows and not fields:
            raise ApiError("this Odoo has no module for products", errors.INVALID)
        return self._create(
            "product.template",
            rows,
            product_key,
            self.products,
            lambda row: {**_given(row, fields), "company_id": self._company},
        )

    def bring_orders(self, rows: t.Sequence[Row]) -> int:
        """Create the orders that are not there, as quotations with their lines."""
        if not rows:
            return 0
        fields = self._known("sale.order", _ORDER)
        if not fields:
            raise ApiError("this Odoo has no module for sales", errors.INVALID)
        lines = self._known("sale.order.line", _LINE)
        partners = {contact_key(row): row["id"] for row in self.contacts()}
        domain = [["company_id", "=", self._company]]
        found = self._client.records("product.product", domain, ["default_code", "name"])
        variants = {product_key(row): row["id"] for row in found}
        home = self.home()

        def values(row: Row) -> Row:
            asked = [name for name in fields if name not in _NOT_ASKED]
            partner = partners.get(contact_key(row.get("partner") or {}), home)
            commands = [[0, 0, _line_values(line, lines, variants)] for line in row.get("lines") or []]
            return {**_given(row, asked), "partner_id": partner, "company_id": self._company, "order_line": commands}

        return self._create("sale.order", rows, order_key, self.orders, values)

    def home(self) -> int:
        """The company's own contact: who an order is for whose customer is not known any more."""
        row = self._client.records("res.company", [["id", "=", self._company]], ["partner_id"])
        return _id_of(row[0]["partner_id"]) if row else 0

    def _create(
        self,
        model: str,
        rows: t.Sequence[Row],
        key: t.Callable[[Row], Key],
        read: t.Callable[[], list[Row]],
        values: t.Callable[[Row], Row],
    ) -> int:
        """Create the rows whose key is not there as often as it is in the file; gives how many."""
        missing = _missing(rows, key, read()) if rows else []
        for start in range(0, len(missing), BATCH):
            batch = missing[start : start + BATCH]

            def find(batch: t.Sequence[Row] = batch) -> bool | None:
                return None if _missing(batch, key, read()) else True

            self._client.write(model, "create", [[values(row) for row in batch]], self._options, find=find)
        return len(missing)


def _company(client: OdooClient, rut: str) -> int:
    client.sign_in()
    found = [company for company in client.companies(charts=False, tenants=[rut]) if company.active]
    return found[0].id if found else 0


def _missing(rows: t.Sequence[Row], key: t.Callable[[Row], Key], there: t.Iterable[Row]) -> list[Row]:
    left = Counter(key(row) for row in there)
    missing = []
    for row in rows:
        if left[key(row)]:
            left[key(row)] -= 1
        else:
            missing.append(row)
    return missing


def _given(row: t.Mapping[str, t.Any], fields: t.Iterable[str]) -> Row:
    """The values of a row that are set; Odoo's own defaults stand for the others."""
    return {name: row[name] for name in fields if row.get(name) is not None}


def _line_values(line: t.Mapping[str, t.Any], fields: t.Sequence[str], variants: t.Mapping[Key, int]) -> Row:
    product = variants.get(product_key(line["product"])) if line.get("product") else None
    return {**_given(line, fields), **({"product_id": product} if product else {})}


def _plain(row: t.Mapping[str, t.Any], fields: t.Iterable[str]) -> Row:
    """The fields in words: Odoo tells an empty text as False."""
    return {name: None if row[name] is False and name not in _FLAGS else row[name] for name in fields}


_FLAGS = frozenset({"active", "is_company", "sale_ok", "purchase_ok"})


def _order_shown(row: Row, contacts: t.Mapping[int, Row]) -> Row:
    customer = contacts.get(row["partner"]["id"]) if row["partner"] else None
    return {**row, "partner": _plain(customer, ("vat", "email", "name")) if customer else None}


def _without_id(row: Row) -> Row:
    return {name: value for name, value in row.items() if name != "id"}


def _id_of(link: t.Any) -> int:
    """The id in a many2one, which is [id, name] or False."""
    return int(link[0]) if isinstance(link, (list, tuple)) and link else 0


def _file(what: str, rows: t.Sequence[Row], key: t.Callable[[Row], Key]) -> bytes:
    """Stable and readable: sorted by key, then by content."""
    ordered = sorted(rows, key=lambda row: (key(row), json.dumps(row, sort_keys=True, default=str)))
    text = json.dumps({"format": FORMAT, what: ordered}, ensure_ascii=False, indent=2, sort_keys=True)
    return f"{text}\n".encode()


def _rows(files: t.Mapping[str, bytes], name: str, what: str) -> list[Row]:
    if name not in files:
        return []
    try:
        content = json.loads(files[name])
        rows = content[what] if content["format"] == FORMAT else None
    except (KeyError, TypeError, ValueError):
        rows = None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ApiError(f"{name} is not a list of {what} that this version wrote", errors.INVALID, where=name)
    return rows
