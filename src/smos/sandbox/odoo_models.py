# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The part of Odoo 17's data model that provisioning touches: models, their fields and their SQLite tables."""

from __future__ import annotations

from collections.abc import Mapping

from smos.sandbox import odoo_sales
from smos.sandbox.odoo_fields import ACTIVE, MAGIC, SQL_TYPES, Field, Model
from smos.sandbox.odoo_fields import char as _char
from smos.sandbox.odoo_fields import m2o as _m2o

ADDRESS = {
    "email": _char("Email"),
    "phone": _char("Phone"),
    "mobile": _char("Mobile"),
    "website": _char("Website Link"),
    "street": _char("Street"),
    "street2": _char("Street2"),
    "city": _char("City"),
    "zip": _char("Zip"),
    "country_id": _m2o("Country", "res.country"),
    "vat": _char("Tax ID"),
    "company_registry": _char("Company ID"),
}
CATEGORIES = Field(
    "many2many", "Tags", relation="res.partner.category", link=("odoo_partner_tags", "partner_id", "category_id")
)
PERSON = {
    "email": _char("Email"),
    "phone": _char("Phone"),
    "mobile": _char("Mobile"),
    "lang": _char("Language", default="en_US"),
    "tz": _char("Timezone"),
    "ref": _char("Reference"),
    "comment": Field("html", "Notes"),
    "function": _char("Job Position"),
}
# Fields that a company or a user shares with its partner: written on either side, seen on both.
SHARED = {"res.company": ("name", *ADDRESS), "res.users": ("name", *PERSON)}

COMPANY = Model(
    name="res.company",
    label="Companies",
    order="sequence, name",
    group="Administration/Access Rights",
    unique={"name": "The company name must be unique!"},
    indexes=("company_registry", "partner_id", "parent_id"),
    fields={
        **MAGIC,
        "name": _char("Company Name", required=True),
        "active": ACTIVE,
        "sequence": Field("integer", "Sequence", default=10),
        "parent_id": _m2o("Parent Company", "res.company"),
        "partner_id": _m2o("Partner", "res.partner"),
        "currency_id": _m2o("Currency", "res.currency"),
        **ADDRESS,
        "chart_template": _char("Chart Template"),
        "user_ids": Field(
            "many2many",
            "Accepted Users",
            relation="res.users",
            link=("odoo_company_users", "company_id", "user_id"),
        ),
    },
)
USERS = Model(
    name="res.users",
    label="User",
    order="name, login",
    group="Administration/Access Rights",
    unique={"login": "You can not have two users with the same login!"},
    indexes=("company_id", "partner_id", "ref"),
    fields={
        **MAGIC,
        "name": _char("Name", required=True),
        "login": _char("Login", required=True),
        "password": Field("password", "Password"),
        "active": ACTIVE,
        "share": Field("boolean", "Share User", readonly=True, default=False),
        "partner_id": _m2o("Related Partner", "res.partner"),
        "company_id": _m2o("Company", "res.company", required=True),
        "signature": Field("html", "Email Signature"),
        "login_date": Field("datetime", "Latest authentication", readonly=True),
        "notification_type": Field(
            "selection", "Notification", required=True, default="email", choices=("email", "inbox")
        ),
        **PERSON,
        "category_id": Field(
            "many2many", "Tags", relation="res.partner.category", link=("odoo_user_tags", "user_id", "category_id")
        ),
        "company_ids": Field(
            "many2many", "Companies", relation="res.company", link=("odoo_company_users", "user_id", "company_id")
        ),
        "groups_id": Field(
            "many2many", "Groups", relation="res.groups", link=("odoo_user_groups", "user_id", "group_id")
        ),
    },
)
PARTNER = Model(
    name="res.partner",
    label="Contact",
    order="name, id desc",
    group="Extra Rights/Contact Creation",
    indexes=("name", "ref", "company_id"),
    fields={
        **MAGIC,
        "name": _char("Name", required=True),
        "active": ACTIVE,
        "is_company": Field("boolean", "Is a Company", default=False),
        "company_id": _m2o("Company", "res.company"),
        "parent_id": _m2o("Related Company", "res.partner"),
        **ADDRESS,
        **PERSON,
        "category_id": CATEGORIES,
    },
)
TAGS = Model(
    name="res.partner.category",
    label="Partner Tags",
    order="name",
    group="Extra Rights/Contact Creation",
    indexes=("name",),
    fields={
        **MAGIC,
        "name": _char("Tag Name", required=True),
        "color": Field("integer", "Color", default=0),
        "active": ACTIVE,
    },
)
CURRENCY = Model(
    name="res.currency",
    label="Currency",
    order="active desc, name",
    unique={"name": "The currency code must be unique!"},
    fields={
        **MAGIC,
        "name": _char("Currency", required=True),
        "full_name": _char("Name"),
        "symbol": _char("Symbol", required=True),
        "rounding": Field("float", "Rounding Factor", default=0.01),
        "decimal_places": Field("integer", "Decimal Places", default=2),
        "active": ACTIVE,
    },
)
COUNTRY = Model(
    name="res.country",
    label="Country",
    order="name",
    unique={"code": "The code of the country must be unique!"},
    fields={
        **MAGIC,
        "name": _char("Country Name", required=True),
        "code": _char("Country Code", required=True),
        "currency_id": _m2o("Currency", "res.currency"),
        "phone_code": Field("integer", "Country Calling Code"),
    },
)
LANG = Model(
    name="res.lang",
    label="Languages",
    order="active desc, name",
    unique={"code": "The code of the language must be unique!"},
    fields={
        **MAGIC,
        "name": _char("Name", required=True),
        "code": _char("Locale Code", required=True),
        "active": ACTIVE,
    },
)
GROUPS = Model(
    name="res.groups",
    label="Access Groups",
    order="name",
    group="Administration/Access Rights",
    fields={
        **MAGIC,
        "name": _char("Name", required=True),
        "full_name": _char("Group Name"),
        "share": Field("boolean", "Share Group", default=False),
        "implied_ids": Field(
            "many2many", "Inherits", relation="res.groups", link=("odoo_group_implied", "group_id", "implied_id")
        ),
        "users": Field("many2many", "Users", relation="res.users", link=("odoo_user_groups", "group_id", "user_id")),
    },
)
MODEL_DATA = Model(
    name="ir.model.data",
    label="Model Data",
    order="module, model, name",
    indexes=("name",),
    fields={
        **MAGIC,
        "module": _char("Module", required=True),
        "name": _char("External Identifier", required=True),
        "complete_name": _char("Complete ID", readonly=True),
        "model": _char("Model Name", required=True),
        "res_id": Field("integer", "Record ID"),
        "noupdate": Field("boolean", "Non Updatable", default=False),
    },
)
MODULE = Model(
    name="ir.module.module",
    label="Module",
    order="name",
    unique={"name": "The name of the module must be unique!"},
    fields={
        **MAGIC,
        "name": _char("Technical Name", required=True, readonly=True),
        "shortdesc": _char("Module Name", readonly=True),
        "state": _char("Status", readonly=True),
        "latest_version": _char("Installed Version", readonly=True),
        "application": Field("boolean", "Application", readonly=True, default=False),
    },
)
CHART = Model(name="account.chart.template", label="Account Chart Template", fields={})

MODELS: Mapping[str, Model] = {
    model.name: model
    for model in (
        COMPANY,
        USERS,
        PARTNER,
        TAGS,
        CURRENCY,
        COUNTRY,
        LANG,
        GROUPS,
        MODEL_DATA,
        MODULE,
        CHART,
        *odoo_sales.MODELS,
    )
}


def _column(name: str, spec: Field) -> str:
    if name == "id":
        return '"id" INTEGER PRIMARY KEY AUTOINCREMENT'
    return f'"{name}" {SQL_TYPES.get(spec.kind, "REAL" if spec.kind == "float" else "TEXT")}'


def _table(model: Model) -> list[str]:
    columns = ", ".join(_column(name, spec) for name, spec in model.fields.items() if spec.stored)
    unique = 'CREATE UNIQUE INDEX IF NOT EXISTS {0}_{1}_uniq ON {0} ("{1}")'
    index = 'CREATE INDEX IF NOT EXISTS {0}_{1}_idx ON {0} ("{1}")'
    return [
        f"CREATE TABLE IF NOT EXISTS {model.table} ({columns})",
        *(unique.format(model.table, name) for name in model.unique),
        *(index.format(model.table, name) for name in model.indexes),
    ]


def _links() -> list[str]:
    links = {spec.link[0]: spec.link for model in MODELS.values() for spec in model.fields.values() if spec.link}
    table = (
        "CREATE TABLE IF NOT EXISTS {0} ({1} INTEGER NOT NULL, {2} INTEGER NOT NULL, PRIMARY KEY ({1}, {2}))"
        " WITHOUT ROWID"
    )
    index = "CREATE INDEX IF NOT EXISTS {0}_{1}_idx ON {0} ({1})"
    return [
        line
        for name, one, two in links.values()
        for line in (table.format(name, one, two), index.format(name, one), index.format(name, two))
    ]


def schema() -> str:
    """The SQLite DDL of all models; running it again changes nothing."""
    lines = [line for model in MODELS.values() if model.fields for line in _table(model)]
    return ";\n".join([*lines, *_links()]) + ";\n"
