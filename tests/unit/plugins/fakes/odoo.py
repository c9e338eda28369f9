# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""So much of Odoo 17 as provisioning touches, in memory."""

from __future__ import annotations

import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.odoo import OdooClient
from ansible_collections.smartercl.smarteros.tests.unit.plugins.fakes.wire import Request, Wire

SECRET = "planted-odoo-secret"
UNIQUE = {
    "res.company": ("name", "The company name must be unique!"),
    "res.users": ("login", "You can not have two users with the same login!"),
}
LINKS = {
    "company_id": "res.company",
    "currency_id": "res.currency",
    "country_id": "res.country",
    "partner_id": "res.partner",
}
READS = {"search_read", "read", "fields_get", "check_access_rights"}
Row = dict[str, t.Any]


class Fault(Exception):
    """An Odoo exception: its class and its message."""


class FakeOdoo(Wire):
    """``tables`` by model and id. ``trouble`` may raise a Fault before a call is carried out."""

    def __init__(self) -> None:
        super().__init__()
        self.trouble: t.Callable[[str, str, t.Any], None] = lambda _model, _method, _args: None
        self.rights = True
        self.fields: dict[str, set[str]] = {
            "res.company": {"chart_template"},
            "res.users": {"groups_id", "login_date"},
        }
        self.tables: dict[str, dict[int, Row]] = {
            "res.country": {46: {"name": "Chile", "code": "CL"}, 10: {"name": "Argentina", "code": "AR"}},
            "res.currency": {45: {"name": "CLP", "active": False}, 2: {"name": "USD", "active": True}},
            "ir.module.module": {
                1: {"name": "account", "state": "installed"},
                2: {"name": "l10n_cl", "state": "installed"},
            },
            "ir.model.data": {
                5: {"model": "res.groups", "module": "base", "name": "group_user", "res_id": 1},
                6: {"model": "res.groups", "module": "base", "name": "group_partner_manager", "res_id": 8},
            },
            "res.lang": {1: {"code": "en_US", "active": True}, 2: {"code": "es_CL", "active": True}},
            "res.partner": {},
            "res.partner.category": {},
            "res.company": {},
            "res.users": {},
        }
        self._create("res.company", {"name": "My Company"})
        self._create("res.users", {"name": "Us", "login": "smarteros", "company_id": 1, "company_ids": [[6, 0, [1]]]})

    def client(self, secret: str = SECRET) -> OdooClient:
        """A client of this Odoo that never sleeps."""
        http = self.http(secrets=(secret,))
        return OdooClient(http, "smarteros", "smarteros", secret, sleep=lambda _seconds: None)

    def rows(self, model: str, **wanted: t.Any) -> list[Row]:
        """The records with these values."""
        return [
            row for row in self.tables[model].values() if all(row.get(key) == value for key, value in wanted.items())
        ]

    def state(self) -> dict[str, list[Row]]:
        """Companies and users without their ids, for comparing."""
        hidden = {"id", "partner_id"}
        return {
            model: [
                {key: value for key, value in row.items() if key not in hidden} for row in self.tables[model].values()
            ]
            for model in ("res.company", "res.users")
        }

    def writes(self, request: Request) -> bool:
        params = request.body["params"]
        return params["method"] == "execute_kw" and params["args"][4] not in READS

    def handle(self, request: Request) -> tuple[int, t.Any]:
        reply = {"jsonrpc": "2.0", "id": request.body["id"]}
        params = request.body["params"]
        try:
            result = self._call(params["service"], params["method"], params["args"])
        except Fault as fault:
            name, message = fault.args
            data = {"name": name, "message": message, "debug": f"Traceback … {params['args']}"}
            return 200, {**reply, "error": {"code": 200, "message": "Odoo Server Error", "data": data}}
        return 200, reply if result is None else {**reply, "result": result}

    def _call(self, service: str, method: str, args: list[t.Any]) -> t.Any:
        if method == "version":
            return {"server_version": "17.0-20240709"}
        if method == "authenticate":
            return 1 if args[2] == SECRET else False
        _database, _uid, _secret, model, method, args, options = args
        self.trouble(model, method, args)
        if model == "account.chart.template":
            self.tables["res.company"][args[2]]["chart_template"] = args[1]
            return None
        return getattr(self, f"_{method}")(model, *args, **{k: v for k, v in options.items() if k != "context"})

    def _search_read(
        self, model: str, domain: t.Any, fields: list[str], offset: int, limit: int, order: str
    ) -> list[Row]:
        rows = [row for _number, row in sorted(self.tables[model].items()) if all(_fits(row, term) for term in domain)]
        return [self._shown(row, fields) for row in rows[offset : offset + limit]]

    def _read(self, model: str, ids: list[int], fields: list[str]) -> list[Row]:
        return [self._shown(self.tables[model][number], fields) for number in ids if number in self.tables[model]]

    def _fields_get(self, model: str, names: list[str], attributes: list[str]) -> Row:
        return {name: {"type": "char"} for name in names if name in self.fields[model]}

    def _check_access_rights(self, model: str, operation: str, raise_exception: bool) -> bool:
        return self.rights

    def _create(self, model: str, given: t.Any) -> t.Any:
        if isinstance(given, dict):
            return self._create(model, [given])[0]
        field, refusal = UNIQUE.get(model, ("name", ""))
        names = [row[field] for row in (*self.tables[model].values(), *given)]
        if len(set(names)) < len(names):  # all or nothing
            raise Fault("odoo.exceptions.ValidationError", f"The operation cannot be completed: {refusal}")
        return [self._added(model, values) for values in given]

    def _added(self, model: str, values: Row) -> int:
        number = max([0, *self.tables[model]]) + 1
        partner = max([0, *self.tables["res.partner"]]) + 1
        self.tables["res.partner"][partner] = {"id": partner, "name": values["name"], "active": True}
        blank: Row = {"active": True, "email": False, "vat": False, "country_id": False, "currency_id": 2}
        blank |= {"share": False, "category_id": []}
        blank |= {"company_registry": False, "chart_template": False, "groups_id": [], "login_date": False}
        self.tables[model][number] = {**blank, "id": number, "partner_id": partner}
        self._put(model, number, values)
        return number

    def _write(self, model: str, ids: list[int], values: Row) -> bool:
        for number in ids:
            if number not in self.tables[model]:
                raise Fault("odoo.exceptions.MissingError", "Record does not exist or has been deleted.")
            if model == "res.company" and values.get("active") is False and self._at_home(number, active=True):
                raise Fault("odoo.exceptions.ValidationError", "The company has active users")
            self._put(model, number, values)
        return True

    def _unlink(self, model: str, ids: list[int]) -> bool:
        for number in ids:
            if number not in self.tables[model]:
                raise Fault("odoo.exceptions.MissingError", "Record does not exist or has been deleted.")
            row = self.tables[model][number]
            if model == "res.company" and (row["chart_template"] or self._at_home(number)):
                raise Fault("odoo.exceptions.ValidationError", "another model requires the record being deleted.")
            del self.tables[model][number]
        return True

    def _put(self, model: str, number: int, values: Row) -> None:
        for key, value in values.items():
            commands = isinstance(value, list) and value and isinstance(value[0], list)
            row = self.tables[model][number]
            row[key] = _linked(row.get(key) or [], value) if commands else value
        if "currency_id" in values:
            assert self.tables["res.currency"][values["currency_id"]]["active"], "an inactive currency"

    def _at_home(self, company: int, **more: t.Any) -> list[Row]:
        return self.rows("res.users", company_id=company, **more)

    def _shown(self, row: Row, fields: list[str]) -> Row:
        shown: Row = {"id": row.get("id", 0)}
        for name in fields:
            value = row.get(name, False)
            if name == "id":
                value = next(n for table in self.tables.values() for n, each in table.items() if each is row)
            if name in LINKS and value:
                value = [value, self.tables[LINKS[name]][value]["name"]]
            shown[name] = value
        if not shown["id"]:
            shown["id"] = next(n for table in self.tables.values() for n, each in table.items() if each is row)
        return shown


def _linked(ids: list[int], commands: list[list[t.Any]]) -> list[int]:
    """What the commands (3, id), (4, id) and (6, 0, ids) make of a list of ids."""
    for command in commands:
        if command[0] == 6:
            ids = command[2]
        elif command[0] == 4:
            ids = sorted({*ids, command[1]})
        else:
            ids = [each for each in ids if each != command[1]]
    return ids


def _fits(row: Row, term: list[t.Any]) -> bool:
    name, operator, value = term
    if operator == "in":
        has = row.get(name)
        return bool(set(has) & set(value)) if isinstance(has, list) else has in value
    if operator == "=like":
        return str(row.get(name) or "").startswith(value.rstrip("%"))
    return bool(row.get(name) == value)
