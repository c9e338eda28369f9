# Copyright (c) SmarterCL. All rights reserved. See LICENSE.

"""What a fresh Odoo 17 database for Chile holds: groups, countries, currencies, modules, main company, two users."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence

INTERNAL, ERP_MANAGER, SYSTEM, MULTI_COMPANY, PARTNER_MANAGER = 1, 2, 4, 5, 8
PORTAL, PUBLIC = 10, 11
SALESMAN, SALE_MANAGER = 30, 32
USER_TYPES = (INTERNAL, PORTAL, PUBLIC)

# id, external id, name, groups it implies
_GROUPS: Sequence[tuple[int, str, str, tuple[int, ...]]] = (
    (INTERNAL, "base.group_user", "User types / Internal User", ()),
    (ERP_MANAGER, "base.group_erp_manager", "Administration / Access Rights", ()),
    (3, "base.group_allow_export", "Technical / Access to export feature", ()),
    (SYSTEM, "base.group_system", "Administration / Settings", (ERP_MANAGER,)),
    (MULTI_COMPANY, "base.group_multi_company", "Technical / Multi Companies", ()),
    (6, "base.group_multi_currency", "Technical / Multi Currencies", ()),
    (7, "base.group_no_one", "Technical / Technical Features", ()),
    (PARTNER_MANAGER, "base.group_partner_manager", "Extra Rights / Contact Creation", ()),
    (PORTAL, "base.group_portal", "User types / Portal", ()),
    (PUBLIC, "base.group_public", "User types / Public", ()),
    (20, "account.group_account_invoice", "Accounting / Billing", (INTERNAL,)),
    (21, "account.group_account_manager", "Accounting / Billing Administrator", (20,)),
    (22, "account.group_account_readonly", "Accounting / Read-only", (INTERNAL,)),
    (23, "account.group_account_user", "Technical / Show Full Accounting Features", (20, 22)),
    (SALESMAN, "sales_team.group_sale_salesman", "Sales / User: Own Documents Only", (INTERNAL,)),
    (31, "sales_team.group_sale_salesman_all_leads", "Sales / User: All Documents", (SALESMAN,)),
    (SALE_MANAGER, "sales_team.group_sale_manager", "Sales / Administrator", (31,)),
    (40, "website.group_website_restricted_editor", "Website / Restricted Editor", (INTERNAL,)),
    (41, "website.group_website_designer", "Website / Editor and Designer", (40,)),
)
# id, code, name, symbol, rounding, active
_CURRENCIES = (
    (1, "USD", "United States dollar", "$", 0.01, 1),
    (2, "EUR", "Euro", "€", 0.01, 1),
    (19, "ARS", "Argentine peso", "$", 0.01, 0),
    (33, "PEN", "Peruvian sol", "S/.", 0.01, 0),
    (44, "CLF", "Unidad de Fomento", "UF", 0.01, 0),
    (45, "CLP", "Chilean peso", "$", 1.0, 0),
)
# id, code, name, currency, calling code
_COUNTRIES = (
    (10, "AR", "Argentina", 19, 54),
    (46, "CL", "Chile", 45, 56),
    (68, "ES", "Spain", 2, 34),
    (173, "PE", "Peru", 33, 51),
    (233, "US", "United States", 1, 1),
)
_LANGUAGES = ((1, "en_US", "English (US)", 1), (2, "es_CL", "Spanish (CL) / Español (CL)", 1))
# id, name, title, state
_MODULES = (
    (31, "base", "Base", "installed"),
    (1, "account", "Invoicing", "installed"),
    (40, "base_vat", "VAT Number Validation", "installed"),
    (46, "contacts", "Contacts", "installed"),
    (47, "crm", "CRM", "installed"),
    (132, "l10n_cl", "Chile - Accounting", "installed"),
    (143, "l10n_latam_base", "LATAM Localization Base", "installed"),
    (240, "mail", "Discuss", "installed"),
    (398, "product", "Products & Pricelists", "installed"),
    (400, "sale", "Sales", "installed"),
    (401, "sale_management", "Sales", "installed"),
    (405, "sales_team", "Sales Teams", "installed"),
    (470, "stock", "Inventory", "uninstalled"),
    (530, "web", "Web", "installed"),
    (533, "website", "Website", "installed"),
    (540, "website_sale", "eCommerce", "uninstalled"),
)


def seed(db: sqlite3.Connection) -> None:
    """Fill an empty state; a state that has a company already is left as it is."""
    if db.execute("SELECT 1 FROM odoo_res_company LIMIT 1").fetchone():
        return
    now = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    _reference_data(db)
    _groups(db)
    _people(db)
    _external_ids(db)
    for table in ("company", "users", "partner", "currency", "country", "lang", "groups"):
        db.execute(
            f"UPDATE odoo_res_{table} SET create_date = ?, write_date = ?, create_uid = 1, write_uid = 1", (now, now)
        )


def _reference_data(db: sqlite3.Connection) -> None:
    db.executemany(
        "INSERT INTO odoo_res_currency (id, name, full_name, symbol, rounding, active, decimal_places)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, CASE ?5 WHEN 1.0 THEN 0 ELSE 2 END)",
        _CURRENCIES,
    )
    db.executemany(
        "INSERT INTO odoo_res_country (id, code, name, currency_id, phone_code) VALUES (?, ?, ?, ?, ?)", _COUNTRIES
    )
    db.executemany("INSERT INTO odoo_res_lang (id, code, name, active) VALUES (?, ?, ?, ?)", _LANGUAGES)
    db.executemany(
        "INSERT INTO odoo_ir_module_module (id, name, shortdesc, state, latest_version, application) VALUES"
        " (?1, ?2, ?3, ?4, CASE ?4 WHEN 'installed' THEN '17.0.1.0' END, 0)",
        _MODULES,
    )


def _groups(db: sqlite3.Connection) -> None:
    db.executemany(
        "INSERT INTO odoo_res_groups (id, name, full_name, share) VALUES (?, ?, ?, ?)",
        [(i, full.partition(" / ")[2], full, int(i in (PORTAL, PUBLIC))) for i, _xmlid, full, _implied in _GROUPS],
    )
    db.executemany(
        "INSERT INTO odoo_group_implied (group_id, implied_id) VALUES (?, ?)",
        [(i, implied) for i, _xmlid, _full, all_implied in _GROUPS for implied in all_implied],
    )


def _people(db: sqlite3.Connection) -> None:
    """The main company is the operator's, never a tenant's; OdooBot is uid 1, the service user uid 2."""
    db.executemany(
        "INSERT INTO odoo_res_partner (id, name, email, is_company, active, lang) VALUES (?, ?, ?, ?, ?, 'en_US')",
        [
            (1, "My Company", None, 1, 1),
            (2, "OdooBot", "odoobot@example.com", 0, 0),
            (3, "SmarterOS", "smarteros@example.com", 0, 1),
        ],
    )
    db.execute(
        "INSERT INTO odoo_res_company (id, name, active, sequence, partner_id, currency_id)"
        " VALUES (1, 'My Company', 1, 0, 1, 1)"
    )
    db.executemany(
        "INSERT INTO odoo_res_users (id, name, login, active, share, partner_id, company_id, notification_type, lang,"
        " email) SELECT ?1, ?2, ?3, ?4, 0, ?5, 1, 'email', 'en_US', email FROM odoo_res_partner WHERE id = ?5",
        [(1, "OdooBot", "__system__", 0, 2), (2, "SmarterOS", "smarteros", 1, 3)],
    )
    db.executemany("INSERT INTO odoo_company_users (company_id, user_id) VALUES (1, ?)", [(1,), (2,)])
    mine = [i for i, *_rest in _GROUPS if i not in (PORTAL, PUBLIC, MULTI_COMPANY)]
    db.executemany("INSERT INTO odoo_user_groups (user_id, group_id) VALUES (2, ?)", [(i,) for i in mine])


def _external_ids(db: sqlite3.Connection) -> None:
    named = [(xmlid, "res.groups", i) for i, xmlid, _full, _implied in _GROUPS]
    named += [(f"base.{code}", "res.currency", i) for i, code, *_rest in _CURRENCIES]
    named += [(f"base.{code.lower()}", "res.country", i) for i, code, *_rest in _COUNTRIES]
    named += [(f"base.module_{name}", "ir.module.module", i) for i, name, *_rest in _MODULES]
    named += [
        ("base.main_company", "res.company", 1),
        ("base.main_partner", "res.partner", 1),
        ("base.user_root", "res.users", 1),
        ("base.user_admin", "res.users", 2),
    ]
    db.executemany(
        "INSERT INTO odoo_ir_model_data (module, name, complete_name, model, res_id, noupdate)"
        " VALUES (?, ?, ?, ?, ?, 0)",
        [(*xmlid.split(".", 1), xmlid, model, record) for xmlid, model, record in named],
    )
