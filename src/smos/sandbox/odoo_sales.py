# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What a tenant sells, in the sandbox's Odoo: products, orders and their lines."""

from __future__ import annotations

from smos.sandbox.odoo_fields import ACTIVE, MAGIC, Field, Model, char, m2o

TEMPLATE = Model(
    name="product.template",
    label="Product",
    order="name",
    group="Sales/Administrator",
    indexes=("company_id", "default_code"),
    fields={
        **MAGIC,
        "name": char("Name", required=True),
        "default_code": char("Internal Reference"),
        "barcode": char("Barcode"),
        "list_price": Field("float", "Sales Price", default=1.0),
        "standard_price": Field("float", "Cost"),
        "detailed_type": Field(
            "selection", "Product Type", required=True, default="consu", choices=("consu", "service", "product")
        ),
        "sale_ok": Field("boolean", "Can be Sold", default=True),
        "purchase_ok": Field("boolean", "Can be Purchased", default=True),
        "description_sale": Field("text", "Sales Description"),
        "company_id": m2o("Company", "res.company"),
        "active": ACTIVE,
    },
)
VARIANT = Model(
    name="product.product",
    label="Product Variant",
    order="default_code, name",
    group="Sales/Administrator",
    indexes=("product_tmpl_id",),
    fields={
        **MAGIC,
        "product_tmpl_id": m2o("Product Template", "product.template", required=True),
        "name": char("Name"),
        "default_code": char("Internal Reference"),
        "company_id": m2o("Company", "res.company"),
        "active": ACTIVE,
    },
)
ORDER = Model(
    name="sale.order",
    label="Sales Order",
    order="date_order desc, id desc",
    group="Sales/User: Own Documents Only",
    indexes=("company_id", "name"),
    fields={
        **MAGIC,
        "name": char("Order Reference", required=True),
        "partner_id": m2o("Customer", "res.partner", required=True),
        "company_id": m2o("Company", "res.company", required=True),
        "currency_id": m2o("Currency", "res.currency"),
        "date_order": Field("datetime", "Order Date", required=True),
        "state": Field("selection", "Status", default="draft", choices=("draft", "sent", "sale", "cancel")),
        "client_order_ref": char("Customer Reference"),
        "origin": char("Source Document"),
        "note": Field("html", "Terms and conditions"),
        "amount_total": Field("float", "Total", readonly=True, default=0.0),
        "order_line": Field("one2many", "Order Lines", relation="sale.order.line", inverse="order_id"),
    },
)
LINE = Model(
    name="sale.order.line",
    label="Sales Order Line",
    order="order_id, sequence, id",
    group="Sales/User: Own Documents Only",
    indexes=("order_id",),
    fields={
        **MAGIC,
        "order_id": m2o("Order Reference", "sale.order", required=True),
        "sequence": Field("integer", "Sequence", default=10),
        "display_type": Field("selection", "Display Type", choices=("line_section", "line_note")),
        "product_id": m2o("Product", "product.product"),
        "name": Field("text", "Description"),
        "product_uom_qty": Field("float", "Quantity", default=1.0),
        "price_unit": Field("float", "Unit Price", default=0.0),
        "discount": Field("float", "Discount (%)", default=0.0),
    },
)
MODELS = (TEMPLATE, VARIANT, ORDER, LINE)
