# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Odoo's JSON-RPC (17.0): companies and users, in our words.

Odoo answers HTTP 200 even to errors, a method without a return value answers without ``result``, names and logins stay
unique over archived records, and a batch create is all or nothing (recorded in contracts/odoo of the reference material).
"""

from __future__ import annotations

import contextlib
import re
import time
import typing as t
from dataclasses import dataclass, field

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors, owner
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Http, Policy

PATH = "/jsonrpc"
CLOSED_TAG = "SmarterOS: suspended"  # on the contact of a login that was closed with its tenant
PAGE = 1000  # records of one list request
ROLLED_BACK_ATTEMPTS = 4  # Odoo itself has already tried five times
_PAUSE = 0.5  # seconds before a call that the database rolled back is sent again

Row = dict[str, t.Any]
Domain = list[t.Any]

# The last part of error.data.name -> what it means; anything else is a mistake in what we sent.
_KINDS: t.Mapping[str, str] = {
    "AccessDenied": errors.REFUSED,
    "AccessError": errors.REFUSED,
    "MissingError": errors.MISSING,
    "UniqueViolation": errors.CONFLICT,
    "OperationalError": errors.UNREACHABLE,
    "InterfaceError": errors.UNREACHABLE,
}
# The database undid the whole call: it may be sent again, even when it writes.
_ROLLED_BACK = frozenset({"SerializationFailure", "DeadlockDetected", "LockNotAvailable", "TransactionRollbackError"})
_UNIQUE = re.compile(r"must be unique|already exists|duplicate key|the same (login|name)", re.IGNORECASE)
_API_KEY = re.compile(r"[0-9a-f]{40}")
_KEYS = "res.users.apikeys"
_NO_DATABASE = re.compile(r'database "([^"]+)" does not exist')


@dataclass(frozen=True)
class Company:
    """A tenant's company. ``vat`` is the canonical RUT, ``country`` and ``currency`` are ISO codes.

    ``chart`` is the code of the loaded chart of accounts, empty when there is none (or no accounting).
    """

    tenant: str
    name: str
    vat: str
    country: str
    currency: str
    email: str
    active: bool = True
    chart: str = ""
    id: int = field(default=0, compare=False)
    partner: int = field(default=0, compare=False)


@dataclass(frozen=True)
class User:
    """A person's login. ``company`` is the default company's id, ``companies`` all that the login may enter."""

    login: str
    name: str
    email: str
    company: int
    companies: frozenset[int]
    groups: frozenset[int]
    active: bool = True
    tags: frozenset[int] = frozenset()  # of the person's contact
    id: int = field(default=0, compare=False)
    partner: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Catalogue:
    """What this Odoo knows: record ids of countries and currencies by code, which of the asked modules are installed."""

    countries: t.Mapping[str, int]
    currencies: t.Mapping[str, int]
    asleep: frozenset[str]  # currencies that are not active
    modules: frozenset[str]
    charts: bool  # whether a company tells its chart of accounts


class OdooClient:
    """Calls methods of one database's models. Safe to use from many threads once :meth:`sign_in` was called."""

    def __init__(
        self, http: Http, database: str, login: str, secret: str, sleep: t.Callable[[float], None] = time.sleep
    ) -> None:
        self.http = http
        self.database = database
        self.user = login
        self._secret = secret
        self._uid = 0
        self._sleep = sleep
        self._group_field = ""

    # --- the protocol

    def version(self) -> str:
        """The server's version, for example ``17.0-20240709``; needs no login."""
        answer = self._rpc("common", "version", [], repeat=True)
        return str(answer.get("server_version", "")) if isinstance(answer, dict) else ""

    def sign_in(self) -> int:
        """The id of our user. Raises ApiError ``refused`` when Odoo does not know login and secret together."""
        if not self._uid:
            uid = self._rpc("common", "authenticate", [self.database, self.user, self._secret, {}], repeat=True)
            if not isinstance(uid, int) or isinstance(uid, bool):
                # False is all that Odoo says; asking again would only bring its cooldown (5 failures, 60 s) nearer
                why = f"Odoo refuses the login {self.user} on database {self.database}"
                raise ApiError(why, errors.REFUSED, 200, where=self._where("common.authenticate"))
            self._uid = uid
        return self._uid

    def read(
        self, model: str, method: str, args: t.Sequence[t.Any], options: t.Mapping[str, t.Any] | None = None
    ) -> t.Any:
        """Call a method that changes nothing; it is repeated when the answer is lost."""
        return self._execute(model, method, args, options, repeat=True)

    def write(
        self,
        model: str,
        method: str,
        args: t.Sequence[t.Any],
        options: t.Mapping[str, t.Any] | None = None,
        repeat: bool = False,
        find: t.Callable[[], t.Any] | None = None,
    ) -> t.Any:
        """Call a method that changes something, once.

        ``repeat`` says that doing it twice does no harm. Otherwise ``find`` looks for the effect when the answer is
        lost: what it gives (not None) is the result, and only None lets the call be sent again.
        """
        return self._execute(model, method, args, options, repeat=repeat, find=find)

    def records(self, model: str, domain: Domain, fields: t.Sequence[str]) -> list[Row]:
        """All records that fit, archived ones too, in pages of 1,000."""
        found: list[Row] = []
        needed, last = {"id", *fields}, 0
        while True:
            options = {"fields": list(fields), "offset": len(found), "limit": PAGE, "order": "id"}
            page = self.read(model, "search_read", [domain], {**options, "context": {"active_test": False}})
            if not isinstance(page, list) or not all(isinstance(row, dict) and needed <= row.keys() for row in page):
                raise ApiError(f"{model}: expected a list of records", errors.INVALID, 200, where=self._where(model))
            found.extend(page)
            if len(page) < PAGE:
                return found
            if page[-1]["id"] == last:  # ordered by id: the same end twice is the same page twice
                raise ApiError(
                    f"{model}: the list goes round in circles", errors.INVALID, 200, where=self._where(model)
                )
            last = page[-1]["id"]

    def fields(self, model: str, names: t.Sequence[str]) -> frozenset[str]:
        """Those of the named fields that the model has."""
        found = self.read(model, "fields_get", [list(names)], {"attributes": ["type"]})
        return frozenset(found) if isinstance(found, dict) else frozenset()

    # --- what the preflight asks

    def check(self) -> dict[str, t.Any]:
        """Whether address, database and login can be used, and may make companies and users. Reads only, never raises."""
        account = f"{self.user} on {self.database}"
        try:
            version = self.version()
            self.sign_in()
            denied = {"res.company": "companies", "res.users": "users"}
            denied = {model: what for model, what in denied.items() if not self._may(model)}
            expires = self._expiry()
        except ApiError as exc:
            state = {errors.REFUSED: "invalid", errors.CONFLICT: "invalid"}.get(exc.kind, "unreachable")
            why = f"{exc.message}: {self._advice()}" if exc.kind == errors.REFUSED else exc.message
            return {"state": state, "account": account, "message": why}
        if denied:
            why = f"may not make {' and '.join(denied.values())}"
            lacks = [f"{model}: create" for model in denied]
            return {"state": "insufficient", "account": account, "message": why, "missing_scopes": lacks}
        return {"state": "valid", "account": account, "message": f"Odoo {version}", "expires": expires}

    @property
    def _is_key(self) -> bool:
        """Whether the secret looks like an API key: those have forty hexadecimal digits."""
        return bool(_API_KEY.fullmatch(self._secret))

    def _advice(self) -> str:
        """What may be behind a refusal: Odoo itself says nothing more, be it a key or a password."""
        if self._is_key:
            return "the API key is another user's, was deleted, has expired (from Odoo 18 on keys do), or the login is archived"
        return "it is no API key (forty hexadecimal digits); a password is wrong, or the user has two-factor sign-in"

    def _expiry(self) -> str:
        """When the key ends (from Odoo 18 on), where our user has only one: Odoo does not tell which one we use."""
        if not self._is_key:
            return ""
        try:
            if "expiration_date" not in self.fields(_KEYS, ["expiration_date"]):
                return ""
            rows = self.records(_KEYS, [["user_id", "=", self.sign_in()]], ["expiration_date"])
        except ApiError as exc:
            if exc.kind in (errors.INVALID, errors.REFUSED):  # not for everybody to read
                return ""
            raise
        return str(rows[0]["expiration_date"] or "") if len(rows) == 1 else ""

    def claimed(self, wishes: t.Iterable[t.Mapping[str, t.Any]]) -> dict[str, str]:
        """Of new tenants (``id``, ``name``, ``owner.email``), which cannot be made and why: something of that name is not ours."""
        new = {str(wish["id"]): wish for wish in wishes}
        names = {full_name(str(wish["name"]), rut): rut for rut, wish in new.items()}
        logins: dict[str, list[str]] = {}
        for rut, wish in new.items():
            login = str((wish.get("owner") or {}).get("email") or "")
            if login:
                logins.setdefault(login, []).append(rut)
        self.sign_in()
        why = {}
        for name, (number, mark) in self.names_held(list(names)).items():
            if owner.owner_of(mark) != names[name]:
                why[names[name]] = not_ours(f"the company {name!r}", number)
        ours = {company.id for company in self.companies(charts=False)} if logins else set()
        for user in self.users(list(logins)) if logins else []:
            if user.company not in ours:
                why.update(dict.fromkeys(logins[user.login], not_ours(f"the login {user.login}", user.id)))
        return why

    def usage(self, tenants: t.Iterable[t.Mapping[str, t.Any]]) -> dict[str, dict[str, int]]:
        """How many people work in each tenant's company: open logins, and those that were closed with it."""
        uid = self.sign_in()
        homes = {company.id: company.tenant for company in self.companies(False, [str(each["id"]) for each in tenants])}
        found = {rut: {"users": 0} for rut in homes.values()}
        counted: Domain = ["|", ["active", "=", True], ["category_id.name", "=", CLOSED_TAG]]
        domain: Domain = [["share", "=", False], ["company_ids", "in", sorted(homes)], *counted]
        for user in self.users_where(domain) if homes else ():
            for company in user.companies & homes.keys() if user.id != uid else ():
                found[homes[company]]["users"] += 1
        return found

    # --- companies

    def catalogue(self, countries: t.Iterable[str], currencies: t.Iterable[str], modules: t.Iterable[str]) -> Catalogue:
        """Ids and switches that companies need; four requests, however many tenants there are."""
        lands = self.records("res.country", [["code", "in", sorted(set(countries))]], ["id", "name", "code"])
        money = self.records("res.currency", [["name", "in", sorted(set(currencies))]], ["id", "name", "active"])
        parts = self.records("ir.module.module", [["name", "in", sorted(set(modules))]], ["name", "state"])
        charts = "chart_template" in self.fields("res.company", ["chart_template"])
        with self._understood("res.country and res.currency"):
            return Catalogue(
                countries={row["code"]: row["id"] for row in lands},
                currencies={row["name"]: row["id"] for row in money},
                asleep=frozenset(row["name"] for row in money if not row["active"]),
                modules=frozenset(row["name"] for row in parts if row["state"] == "installed"),
                charts=charts,
            )

    def companies(
        self, charts: bool, tenants: t.Sequence[str] = (), countries: t.Mapping[str, int] | None = None
    ) -> list[Company]:
        """The companies that bear our mark (of all tenants, or of these); ``charts``: read the chart of accounts too."""
        marks = [owner.mark(rut) for rut in tenants]
        domain: Domain = (
            [["company_registry", "in", marks]] if marks else [["company_registry", "=like", f"{owner.NAME}:%"]]
        )
        wanted = ["name", "vat", "company_registry", "currency_id", "country_id", "partner_id", "email", "active"]
        codes = {number: code for code, number in (countries or {}).items()}
        rows = self.records("res.company", domain, [*wanted, "chart_template"] if charts else wanted)
        with self._understood("res.company"):
            return [
                _company(row, rut, codes) for row in rows for rut in [owner.owner_of(row["company_registry"])] if rut
            ]

    def names_held(self, names: t.Sequence[str]) -> dict[str, tuple[int, str]]:
        """Which of these company names exist: name → (id, company_registry)."""
        rows = self.records("res.company", [["name", "in", list(names)]], ["name", "company_registry"]) if names else []
        return {row["name"]: (row["id"], row["company_registry"] or "") for row in rows}

    def create_companies(self, rows: t.Sequence[Row], vat_check: bool) -> list[int]:
        """Create all of these companies or none; the ids in the same order. Each row bears its mark in ``company_registry``."""

        def find() -> list[int] | None:
            marks = [row["company_registry"] for row in rows]
            found = self.records("res.company", [["company_registry", "in", marks]], ["company_registry"])
            ids = {row["company_registry"]: row["id"] for row in found}
            return [ids[mark] for mark in marks] if len(ids) == len(rows) else None

        options = {} if vat_check else {"context": {"no_vat_validation": True}}
        return _ids(self.write("res.company", "create", [list(rows)], options, find=find), len(rows))

    def change_company(self, number: int, values: Row, vat_check: bool = True) -> None:
        """Write these values; the same values twice do no harm."""
        options = {} if vat_check else {"context": {"no_vat_validation": True}}
        self.write("res.company", "write", [[number], values], options, repeat=True)

    def load_chart(self, number: int, chart: str) -> None:
        """Load a chart of accounts into a company that has none."""

        def find() -> bool | None:
            row = self.read("res.company", "read", [[number], ["chart_template"]])
            return True if row and row[0].get("chart_template") else None

        # The empty list is needed: the method belongs to no record, yet the first argument is taken for ids
        args = [[], chart, number, False]
        self.write(
            "account.chart.template", "try_loading", args, {"context": {"allowed_company_ids": [number]}}, find=find
        )

    def wake_currency(self, number: int) -> None:
        """Activate a currency (CLP is there but asleep)."""
        self.write("res.currency", "write", [[number], {"active": True}], repeat=True)

    def delete(self, model: str, number: int) -> None:
        """Delete a record; one that is gone already is as good. Raises ApiError when something still uses it."""
        try:
            self.write(model, "unlink", [[number]], repeat=True)
        except ApiError as exc:
            if exc.kind != errors.MISSING:
                raise

    # --- users

    def users(self, logins: t.Sequence[str]) -> list[User]:
        """The users with these logins, archived ones too."""
        return self.users_where([["login", "in", list(logins)]]) if logins else []

    def users_at_home(self, companies: t.Sequence[int]) -> list[User]:
        """The active users whose default company is one of these."""
        at_home: Domain = [["company_id", "in", list(companies)], ["active", "=", True]]
        return self.users_where(at_home) if companies else []

    def users_where(self, domain: Domain) -> list[User]:
        """The users that fit, archived ones too."""
        groups = self.group_field()
        wanted = ["name", "login", "email", "company_id", "company_ids", groups, "active", "category_id", "partner_id"]
        rows = self.records("res.users", domain, wanted)
        with self._understood("res.users"):
            return [_user(row, groups) for row in rows]

    def groups(self, names: t.Iterable[str]) -> dict[str, int]:
        """Ids of groups by external id (``base.group_user``); unknown ones are left out."""
        parts = [name.partition(".") for name in sorted(set(names))]
        domain: Domain = [
            ["model", "=", "res.groups"],
            ["module", "in", sorted({module for module, _dot, _name in parts})],
            ["name", "in", sorted({name for _module, _dot, name in parts})],
        ]
        rows = self.records("ir.model.data", domain, ["module", "name", "res_id"])
        known = {f"{row['module']}.{row['name']}": row["res_id"] for row in rows}
        return {name: known[name] for name in {"".join(part) for part in parts} if name in known}

    def languages(self) -> frozenset[str]:
        """Codes of the installed languages."""
        return frozenset(str(row["code"]) for row in self.records("res.lang", [["active", "=", True]], ["code"]))

    def create_users(self, rows: t.Sequence[Row]) -> list[int]:
        """Create all of these users or none; the ids in the same order. Odoo invites them by mail; we set no password."""

        def find() -> list[int] | None:
            ids = {user.login: user.id for user in self.users([row["login"] for row in rows])}
            return [ids[row["login"]] for row in rows] if len(ids) == len(rows) else None

        return _ids(self.write("res.users", "create", [list(rows)], find=find), len(rows))

    def change_user(self, number: int, values: Row) -> None:
        """Write these values; the same values twice do no harm."""
        self.write("res.users", "write", [[number], values], repeat=True)

    def group_field(self) -> str:
        """The field that holds a user's groups: renamed in Odoo 19."""
        if not self._group_field:
            names = self.fields("res.users", ["groups_id", "group_ids"])
            self._group_field = "group_ids" if "group_ids" in names and "groups_id" not in names else "groups_id"
        return self._group_field

    # --- inside

    @contextlib.contextmanager
    def _understood(self, model: str) -> t.Iterator[None]:
        """What is done inside turns records into our words; a record of another shape than the model's is an ApiError."""
        try:
            yield
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            why = f"{model}: a record is not of the shape that Odoo's model has"
            raise ApiError(why, errors.INVALID, 200, where=self._where(model)) from None

    def ever_logged_in(self, number: int) -> bool:
        """Whether the user is known to have logged in at least once."""
        if "login_date" not in self.fields("res.users", ["login_date"]):
            return False
        rows = self.read("res.users", "read", [[number], ["login_date"]], {"context": {"active_test": False}})
        return bool(rows and rows[0].get("login_date"))

    def _may(self, model: str) -> bool:
        try:
            return bool(self.read(model, "check_access_rights", ["create"], {"raise_exception": False}))
        except ApiError as exc:
            if exc.kind == errors.REFUSED:
                return False
            if exc.kind == errors.INVALID:  # the method went away after Odoo 17: the create itself will tell
                return True
            raise

    def _execute(
        self,
        model: str,
        method: str,
        args: t.Sequence[t.Any],
        options: t.Mapping[str, t.Any] | None,
        repeat: bool,
        find: t.Callable[[], t.Any] | None = None,
    ) -> t.Any:
        # Texts of errors are told apart by their words, so they must come in English whatever our user's language is
        named = dict(options or {})
        named["context"] = {"lang": "en_US", **named.get("context", {})}
        call = [self.database, self.sign_in(), self._secret, model, method, list(args), named]
        for attempt in range(1, ROLLED_BACK_ATTEMPTS + 1):
            try:
                return self._rpc("object", "execute_kw", call, repeat, find)
            except ApiError as exc:
                if exc.code.rpartition(".")[2] not in _ROLLED_BACK or attempt == ROLLED_BACK_ATTEMPTS:
                    raise
            self._sleep(_PAUSE * attempt)
        raise AssertionError("the loop above returns or raises")

    def _rpc(
        self, service: str, method: str, args: list[t.Any], repeat: bool, find: t.Callable[[], t.Any] | None = None
    ) -> t.Any:
        params = {"service": service, "method": method, "args": args}
        body = {"jsonrpc": "2.0", "method": "call", "id": 1, "params": params}
        if find is None:
            answer = self.http.request("POST", PATH, json=body, repeat=repeat).body
        else:
            answer = self.http.create(PATH, body, find=lambda: _as_answer(find()))
        name = ".".join(args[3:5]) if method == "execute_kw" else f"{service}.{method}"
        return self._result(answer, self._where(name))

    def _result(self, answer: t.Any, where: str) -> t.Any:
        if not isinstance(answer, dict):
            raise ApiError("the answer is no JSON-RPC", errors.INVALID, 200, where=where)
        if "error" in answer:
            raise self._error(answer["error"], where)
        return answer.get("result")  # absent when the method returned nothing

    def _error(self, error: t.Any, where: str) -> ApiError:
        data = (error.get("data") if isinstance(error, dict) else None) or {}
        name = str(data.get("name") or "")
        words = str(data.get("message") or (error.get("message") if isinstance(error, dict) else "") or name or error)
        kind = _KINDS.get(name.rpartition(".")[2], errors.INVALID)
        if kind == errors.INVALID and _UNIQUE.search(words):
            kind = errors.CONFLICT
        unknown = _NO_DATABASE.search(words)
        if unknown:
            words = f"Odoo cannot open the database {unknown.group(1)!r}: it does not exist"
        elif kind == errors.UNREACHABLE:
            words = f"Odoo cannot reach its database: {words}"
        return ApiError(self.http.shown(words), kind, 200, name, where)

    def _where(self, what: str) -> str:
        return f"POST {self.http.base_url}{PATH} {what}"


def connect(connection: t.Mapping[str, str], policy: Policy | None = None) -> OdooClient:
    """The client for ``url``, ``database``, ``login`` and ``secret``."""
    http = Http(connection["url"], secrets=(connection["secret"],), policy=policy)
    return OdooClient(http, connection["database"], connection["login"], connection["secret"])


def full_name(name: str, rut: str) -> str:
    """A company's name in Odoo, unique because of the RUT: ``Acme Corp (76086428-5)``."""
    return f"{name} ({rut})"


def not_ours(what: str, number: int) -> str:
    """The reason why something is left alone."""
    return f"{what} exists in Odoo (id {number}) and was not made by SmarterOS"


def _as_answer(found: t.Any) -> t.Any:
    return None if found is None else {"result": found}


def _ids(result: t.Any, expected: int) -> list[int]:
    ids = [result] if isinstance(result, int) else list(result or [])
    if len(ids) != expected:
        raise ApiError(f"Odoo answered {len(ids)} ids for {expected} records", errors.INVALID, 200)
    return ids


def _link(value: t.Any) -> tuple[int, str]:
    """(id, name) of a many2one; (0, "") when it is not set."""
    return (int(value[0]), str(value[1])) if isinstance(value, (list, tuple)) and value else (0, "")


def _vat(text: t.Any) -> str:
    """A RUT as we write it, whatever Odoo's formatter made of it (``CL760864285`` and ``76.086.428-5`` exist)."""
    plain = re.sub(r"[^0-9K]", "", re.sub(r"^CL", "", str(text or "").upper()))
    return f"{plain[:-1].lstrip('0')}-{plain[-1]}" if len(plain) > 1 else plain


def _company(row: Row, tenant: str, codes: t.Mapping[int, str]) -> Company:
    country, land = _link(row["country_id"])
    return Company(
        tenant=tenant,
        name=row["name"],
        vat=_vat(row["vat"]),
        country=codes.get(country, land),
        currency=_link(row["currency_id"])[1],
        email=row["email"] or "",
        active=bool(row["active"]),
        chart=row.get("chart_template") or "",
        id=row["id"],
        partner=_link(row["partner_id"])[0],
    )


def _user(row: Row, groups: str) -> User:
    return User(
        login=row["login"],
        name=row["name"],
        email=row["email"] or "",
        company=_link(row["company_id"])[0],
        companies=frozenset(row["company_ids"]),
        groups=frozenset(row[groups]),
        active=bool(row["active"]),
        tags=frozenset(row.get("category_id") or ()),
        id=row["id"],
        partner=_link(row["partner_id"])[0],
    )
