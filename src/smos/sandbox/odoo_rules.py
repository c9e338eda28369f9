# Copyright (c) SmarterCL. All rights reserved. See LICENSE.

"""Odoo's business rules around companies, users and partners: who may do what, and what else happens then."""

from __future__ import annotations

import json
import re
import zoneinfo
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from smos.sandbox import odoo_orm as orm
from smos.sandbox.odoo_domain import TRUE, Sql
from smos.sandbox.odoo_errors import forbidden, still_used, user_error, validation_error
from smos.sandbox.odoo_models import COMPANY, CURRENCY, MODELS, PARTNER, SHARED, USERS, Model
from smos.sandbox.odoo_orm import ADMIN_UID, ROOT_UID, Env, Values
from smos.sandbox.odoo_sales import LINE, ORDER, TEMPLATE, VARIANT
from smos.sandbox.odoo_seed import (
    ERP_MANAGER,
    INTERNAL,
    MULTI_COMPANY,
    PARTNER_MANAGER,
    SALE_MANAGER,
    SALESMAN,
    SYSTEM,
    USER_TYPES,
)
from smos.sandbox.passwords import hashed

# Which group lets a user change a model; all others want the system group.
WRITERS = {
    "res.company": ERP_MANAGER,
    "res.users": ERP_MANAGER,
    "res.groups": ERP_MANAGER,
    "res.partner": PARTNER_MANAGER,
    "res.partner.category": PARTNER_MANAGER,
    "product.template": SALE_MANAGER,
    "product.product": SALE_MANAGER,
    "sale.order": SALESMAN,
    "sale.order.line": SALESMAN,
}


# -- access ------------------------------------------------------------------------------------------------------


def check_access(env: Env, model: Model, operation: str) -> None:
    """Refuse ``create``, ``write`` and ``unlink`` to users without the model's group; reading is for all."""
    if operation != "read" and WRITERS.get(model.name, SYSTEM) not in env.groups:
        raise forbidden(operation, model.name, model.label, model.group)


def record_rule(env: Env, model: Model) -> Sql:
    """Which records of a model the user sees at all."""
    if model not in (COMPANY, USERS, PARTNER, TEMPLATE, VARIANT, ORDER):
        return TRUE
    companies = env.companies()  # refuses an allowed company that is not his
    if model not in (COMPANY, USERS):
        return Sql(f"(company_id IS NULL OR company_id IN ({companies.text}))", companies.values)
    if ERP_MANAGER in env.groups:
        return TRUE
    return Sql("share = 0") if model is USERS else Sql(f"id IN ({companies.text})", companies.values)


# -- RUT ---------------------------------------------------------------------------------------------------------


def rut_holds(rut: str) -> bool:
    """Whether a normalised RUT (``76086428-5``) has the right check digit (modulo 11)."""
    found = re.fullmatch(r"(\d{6,8})-([\dK])", rut)
    if not found:
        return False
    total = sum(int(digit) * (2 + place % 6) for place, digit in enumerate(reversed(found[1])))
    return "0K987654321"[total % 11] == found[2]


def _normal_vat(vat: str) -> str:
    """l10n_cl's spelling: no dots, no country prefix, a hyphen, a capital K."""
    plain = re.sub(r"[^0-9A-Z]", "", vat.upper()).removeprefix("CL")
    return f"{plain[:-1]}-{plain[-1:]}"


def _check_vat(env: Env, label: str, values: Values, stored: Mapping[str, Any]) -> None:
    """Normalise and check a RUT, where the record is in Chile; ``values`` is changed in place."""
    if not ({"vat", "country_id"} & values.keys()):
        return
    vat = values.get("vat", stored.get("vat"))
    if not vat or values.get("country_id", stored.get("country_id")) != _country(env, "CL"):
        return
    values["vat"] = _normal_vat(str(vat))
    if not env.context.get("no_vat_validation") and not rut_holds(values["vat"]):
        raise validation_error(
            f"The RUT number [{vat}] for {label} does not seem to be valid. \nNote: the expected format is CL76086428-5"
        )


def _country(env: Env, code: str) -> int | None:
    row = env.db.execute("SELECT id FROM odoo_res_country WHERE code = ?", (code,)).fetchone()
    return row[0] if row else None


# -- companies ---------------------------------------------------------------------------------------------------


def _company_before_create(env: Env, values: Values) -> None:
    _check_vat(env, f"company [{values.get('name')}]", values, {})
    if not values.get("currency_id"):
        row = env.db.execute("SELECT currency_id FROM odoo_res_company WHERE id = ?", (env.company(),)).fetchone()
        values["currency_id"] = row[0]
    if values.get("name") and not values.get("partner_id"):
        shared = {name: values[name] for name in SHARED["res.company"] if name in values}
        values["partner_id"] = orm.insert(env, PARTNER, {"is_company": True, **shared})


def _company_after_create(env: Env, company: int, values: Values) -> None:
    """The creator and the superuser get every new company, and its currency is switched on."""
    env.db.executemany(
        "INSERT OR IGNORE INTO odoo_company_users (company_id, user_id) VALUES (?, ?)",
        [(company, user) for user in {env.uid, ROOT_UID}],
    )
    _toggle_multi_company(env, [env.uid])
    _switch_on(env, values["currency_id"])


def _switch_on(env: Env, currency: int) -> None:
    env.db.execute(f"UPDATE {CURRENCY.table} SET active = 1 WHERE id = ? AND active = 0", (currency,))


def _company_before_write(env: Env, ids: Sequence[int], values: Values) -> None:
    for row in _rows(env, COMPANY, ids):
        if "parent_id" in values and (values["parent_id"] or None) != row["parent_id"]:
            raise user_error("The company hierarchy cannot be changed.")
        _check_vat(env, f"company [{row['name']}]", values, row)
        if "active" in values and not values["active"]:
            _refuse_archiving(env, row)
    if values.get("currency_id"):
        _switch_on(env, values["currency_id"])


def _refuse_archiving(env: Env, company: Mapping[str, Any]) -> None:
    sql = "SELECT COUNT(*) FROM odoo_res_users WHERE company_id = ? AND active = 1"
    users = env.db.execute(sql, (company["id"],)).fetchone()[0]
    if users:
        raise validation_error(
            f"The company {company['name']} cannot be archived because it is still used as the default company"
            f" of {users} users."
        )


def _company_before_unlink(env: Env, ids: Sequence[int]) -> None:
    wanted = (json.dumps(list(ids)),)
    users = "SELECT 1 FROM odoo_res_users WHERE company_id IN (SELECT value FROM json_each(?)) LIMIT 1"
    if env.db.execute(users, wanted).fetchone():
        raise still_used("res.users", USERS.label, "res_users_company_id_fkey")
    branches = "SELECT id FROM odoo_res_company WHERE parent_id IN (SELECT value FROM json_each(?))"
    if {row[0] for row in env.db.execute(branches, wanted)} - set(ids):
        raise still_used("res.company", COMPANY.label, "res_company_parent_id_fkey")
    orders = "SELECT 1 FROM odoo_sale_order WHERE company_id IN (SELECT value FROM json_each(?)) LIMIT 1"
    if env.db.execute(orders, wanted).fetchone():
        raise still_used(ORDER.name, ORDER.label, "sale_order_company_id_fkey")
    if any(row["chart_template"] for row in _rows(env, COMPANY, ids)):
        raise still_used("account.journal", "Journal", "account_journal_company_id_fkey")


# -- users -------------------------------------------------------------------------------------------------------


def _person(env: Env, model: Model, values: Values) -> None:
    """Language and time zone must be known; the language also installed."""
    lang, zone = values.get("lang"), values.get("tz")
    if lang and not env.db.execute("SELECT 1 FROM odoo_res_lang WHERE code = ? AND active = 1", (lang,)).fetchone():
        raise orm.wrong_value(model, "lang", lang)
    if zone and zone not in _zones() and _zones():
        raise orm.wrong_value(model, "tz", zone)


@cache
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def _user_before_create(env: Env, values: Values) -> None:
    _person(env, USERS, values)
    values.setdefault("company_id", env.company())
    values.setdefault("company_ids", [(6, 0, [values["company_id"]])])
    values.setdefault("groups_id", [(6, 0, [INTERNAL])])
    if values.get("password"):
        values["password"] = hashed(str(values["password"]))
    if values.get("name") and not values.get("partner_id"):
        shared = {name: values[name] for name in SHARED["res.users"] if name in values}
        values["partner_id"] = orm.insert(env, PARTNER, shared)


def _user_before_write(env: Env, ids: Sequence[int], values: Values) -> None:
    _person(env, USERS, values)
    if values.get("password"):
        values["password"] = hashed(str(values["password"]))
    if values.get("active") is False and ROOT_UID in ids:
        raise user_error("You cannot deactivate the superuser.")
    if values.get("active") is False and env.uid in ids:
        raise user_error("You cannot deactivate the user you're currently logged in as.")


def _user_after(env: Env, ids: Sequence[int], values: Values) -> None:
    if "groups_id" in values:
        _inherit_groups(env, ids)
    if {"company_ids", "groups_id"} & values.keys():
        _toggle_multi_company(env, ids)
    if {"company_id", "company_ids", "active"} & values.keys():
        _check_companies(env, ids)


def _inherit_groups(env: Env, ids: Sequence[int]) -> None:
    """A group brings the groups it implies; a user is exactly one of internal, portal and public."""
    wanted = json.dumps(list(ids))
    env.db.execute(
        "WITH RECURSIVE closure (user_id, group_id) AS ("
        " SELECT user_id, group_id FROM odoo_user_groups WHERE user_id IN (SELECT value FROM json_each(?))"
        " UNION SELECT c.user_id, i.implied_id FROM closure c JOIN odoo_group_implied i ON i.group_id = c.group_id)"
        " INSERT OR IGNORE INTO odoo_user_groups (user_id, group_id) SELECT user_id, group_id FROM closure",
        (wanted,),
    )
    types = json.dumps(list(USER_TYPES))
    many = (
        "SELECT user_id FROM odoo_user_groups WHERE user_id IN (SELECT value FROM json_each(?))"
        " AND group_id IN (SELECT value FROM json_each(?)) GROUP BY user_id HAVING COUNT(*) > 1 LIMIT 1"
    )
    if env.db.execute(many, (wanted, types)).fetchone():
        raise validation_error("The user cannot have more than one user types.")
    env.db.execute(
        "UPDATE odoo_res_users SET share = NOT EXISTS (SELECT 1 FROM odoo_user_groups g"
        " WHERE g.user_id = odoo_res_users.id AND g.group_id = ?) WHERE id IN (SELECT value FROM json_each(?))",
        (INTERNAL, wanted),
    )


def _toggle_multi_company(env: Env, ids: Sequence[int]) -> None:
    """Odoo keeps this one group by the number of companies."""
    for user in ids:
        sql = "SELECT company_id FROM odoo_company_users WHERE user_id = ? LIMIT 2"
        if len(env.db.execute(sql, (user,)).fetchall()) > 1:
            env.db.execute(
                "INSERT OR IGNORE INTO odoo_user_groups (user_id, group_id) VALUES (?, ?)", (user, MULTI_COMPANY)
            )
        else:
            env.db.execute("DELETE FROM odoo_user_groups WHERE user_id = ? AND group_id = ?", (user, MULTI_COMPANY))


def _check_companies(env: Env, ids: Sequence[int]) -> None:
    """An active user's default company is one of his active companies."""
    for user in ids:
        row = env.db.execute(
            "SELECT u.name, u.active, c.name AS company FROM odoo_res_users u JOIN odoo_res_company c"
            " ON c.id = u.company_id WHERE u.id = ?",
            (user,),
        ).fetchone()
        mine = env.db.execute(
            "SELECT c.id = u.company_id AS own, c.name FROM odoo_company_users l JOIN odoo_res_company c"
            " ON c.id = l.company_id JOIN odoo_res_users u ON u.id = l.user_id"
            " WHERE l.user_id = ? AND c.active = 1 ORDER BY own DESC, c.sequence, c.name LIMIT 10",
            (user,),
        ).fetchall()
        if row["active"] and not (mine and mine[0]["own"]):
            names = ", ".join(company["name"] for company in mine)
            raise validation_error(
                f"Company {row['company']} is not in the allowed companies for user {row['name']} ({names})."
            )


def _user_before_unlink(_env: Env, ids: Sequence[int]) -> None:
    if {ROOT_UID, ADMIN_UID} & set(ids):
        raise user_error(
            "You can not remove the admin user as it is used internally for resources created by Odoo"
            " (updates, module installation, ...)"
        )


# -- partners ----------------------------------------------------------------------------------------------------


def _partner_before_create(env: Env, values: Values) -> None:
    _person(env, PARTNER, values)
    _check_vat(env, f"partner [{values.get('name')}]", values, {})


def _partner_before_write(env: Env, ids: Sequence[int], values: Values) -> None:
    _person(env, PARTNER, values)
    for row in _rows(env, PARTNER, ids):
        _check_vat(env, f"partner [{row['name']}]", values, row)


def _partner_before_unlink(env: Env, ids: Sequence[int]) -> None:
    for model, constraint in ((COMPANY, "res_company_partner_id_fkey"), (USERS, "res_users_partner_id_fkey")):
        sql = f"SELECT 1 FROM {model.table} WHERE partner_id IN (SELECT value FROM json_each(?)) LIMIT 1"
        if env.db.execute(sql, (json.dumps(list(ids)),)).fetchone():
            raise still_used(model.name, model.label, constraint)


def _mirror(env: Env, model: Model, ids: Sequence[int], values: Values) -> None:
    """Keep what a company or user shares with its partner equal on both sides."""
    wanted = json.dumps(list(ids))
    sides = [model] if model is not PARTNER else [COMPANY, USERS]
    for side in sides:
        shared = [name for name in SHARED[side.name] if name in values]
        if not shared:
            continue
        target, source = (PARTNER, side) if model is not PARTNER else (side, PARTNER)
        mine, theirs = ("id", "partner_id") if target is PARTNER else ("partner_id", "id")
        columns = ", ".join(f'"{name}"' for name in shared)
        picked = f"SELECT {columns} FROM {source.table} s WHERE s.{theirs} = {target.table}.{mine}"
        within = f"SELECT {theirs} FROM {source.table} WHERE id IN (SELECT value FROM json_each(?))"
        sql = f"UPDATE {target.table} SET ({columns}) = ({picked}) WHERE {mine} IN ({within})"
        orm._run(env, target, sql, (wanted,))


def _rows(env: Env, model: Model, ids: Sequence[int]) -> list[dict[str, Any]]:
    sql = f"SELECT * FROM {model.table} WHERE id IN (SELECT value FROM json_each(?))"
    return [dict(row) for row in env.db.execute(sql, (json.dumps(list(ids)),))]


# -- sales ---------------------------------------------------------------------------------------------------------


def _order_before_create(env: Env, values: Values) -> None:
    """What the client leaves out: the number, the date, company and currency."""
    last = env.db.execute("SELECT COALESCE(MAX(id), 0) FROM odoo_sale_order").fetchone()[0]
    values.setdefault("name", f"S{last + 1:05d}")
    values.setdefault("date_order", env.stamp)
    values.setdefault("company_id", env.company())
    if not values.get("currency_id"):
        row = next(iter(_rows(env, COMPANY, [values["company_id"]])), None)
        values["currency_id"] = row["currency_id"] if row else None


def _product_after_create(env: Env, template: int, values: Values) -> None:
    """A template has one variant at first."""
    shared: Values = {name: values[name] for name in ("name", "default_code", "company_id", "active") if name in values}
    orm.insert(env, VARIANT, {"product_tmpl_id": template, **shared})


def _total(env: Env, lines: Sequence[int]) -> None:
    """The orders of these lines get their sum anew, without taxes."""
    env.db.execute(
        "UPDATE odoo_sale_order SET amount_total = (SELECT COALESCE(SUM(product_uom_qty * price_unit"
        " * (1 - discount / 100.0)), 0) FROM odoo_sale_order_line l WHERE l.order_id = odoo_sale_order.id)"
        " WHERE id IN (SELECT order_id FROM odoo_sale_order_line WHERE id IN (SELECT value FROM json_each(?)))",
        (json.dumps(list(lines)),),
    )


def confirm_orders(env: Env, ids: Sequence[int]) -> None:
    """Quotations become orders."""
    if any(row["state"] not in ("draft", "sent") for row in _rows(env, ORDER, ids)):
        raise user_error("Some orders are not in a state requiring confirmation.")
    orm.update(env, ORDER, ids, {"state": "sale"})


# -- the three writes --------------------------------------------------------------------------------------------

_BEFORE_CREATE: Mapping[str, Callable[[Env, Values], None]] = {
    "res.company": _company_before_create,
    "res.users": _user_before_create,
    "res.partner": _partner_before_create,
    "sale.order": _order_before_create,
}
_BEFORE_WRITE: Mapping[str, Callable[[Env, Sequence[int], Values], None]] = {
    "res.company": _company_before_write,
    "res.users": _user_before_write,
    "res.partner": _partner_before_write,
}
_BEFORE_UNLINK: Mapping[str, Callable[[Env, Sequence[int]], None]] = {
    "res.company": _company_before_unlink,
    "res.users": _user_before_unlink,
    "res.partner": _partner_before_unlink,
}


def create(env: Env, model: Model, values: Values) -> int:
    """One record with all that follows from it; gives its id."""
    given = dict(values)
    _known(model, given)
    if before := _BEFORE_CREATE.get(model.name):
        before(env, given)
    lines = {name: given.pop(name) for name in list(given) if model.fields[name].inverse}
    new_id = orm.insert(env, model, given)
    for name, commands in lines.items():
        _create_lines(env, model, name, new_id, commands)
    if model is TEMPLATE:
        _product_after_create(env, new_id, given)
    elif model is LINE:
        _total(env, [new_id])
    elif model is COMPANY:
        _company_after_create(env, new_id, given)
    elif model is USERS:
        _user_after(env, [new_id], given)
    return new_id


def _create_lines(env: Env, model: Model, name: str, owner: int, commands: Any) -> None:
    """The commands (0, 0, values) of a one2many in a new record."""
    spec = model.fields[name]
    for command in commands or []:
        if not isinstance(command, list | tuple) or len(command) != 3 or command[0] != 0:
            raise orm.wrong_value(model, name, commands)
        create(env, MODELS[spec.relation], {**command[2], spec.inverse: owner})


def write(env: Env, model: Model, ids: Sequence[int], values: Values) -> None:
    """Change records with all that follows from it."""
    given = dict(values)
    _known(model, given)
    if before := _BEFORE_WRITE.get(model.name):
        before(env, ids, given)
    orm.update(env, model, ids, given)
    if model in (COMPANY, USERS, PARTNER):
        _mirror(env, model, ids, given)
    if model is USERS:
        _user_after(env, ids, given)
    elif model is LINE:
        _total(env, ids)


def unlink(env: Env, model: Model, ids: Sequence[int]) -> None:
    """Delete records, unless something still needs them."""
    if before := _BEFORE_UNLINK.get(model.name):
        before(env, ids)
    orm.delete(env, model, ids)


def _known(model: Model, values: Values) -> None:
    """Unknown fields are told before anything else is judged."""
    for name in values:
        if name not in model.fields:
            raise orm.python_error("ValueError", f"Invalid field {name!r} on model {model.name!r}")


def load_chart(env: Env, template: str, company: int) -> None:
    """Install a chart of accounts in a company; the company takes its country's currency with it."""
    row = next(iter(_rows(env, COMPANY, [company])), None)
    if row is None:
        raise orm.missing_error("res.company", (company,), env.uid)
    country = next(iter(_rows(env, MODELS["res.country"], [row["country_id"] or 0])), None)
    currency = country["currency_id"] if country else row["currency_id"]
    orm.update(env, COMPANY, [company], {"chart_template": template, "currency_id": currency})
    _switch_on(env, currency)
