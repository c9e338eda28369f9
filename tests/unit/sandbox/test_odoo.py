"""The sandbox's Odoo: what provisioning relies on, and what it must not get away with."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from stdnum.cl import rut as stdnum_rut

from smos.sandbox import odoo, odoo_rules
from smos.sandbox.provider import Call, Reply

TOKEN = "sandbox-odoo-token"
RUT = "76086428-5"
Execute = Callable[..., Any]


class Refused(Exception):
    """An ``error`` object came back: its class and message."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


@pytest.fixture
def db() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.row_factory = sqlite3.Row
    connection.executescript(odoo.PROVIDER.schema)
    odoo.PROVIDER.seed(connection)
    return connection


def send(db: sqlite3.Connection, body: Any) -> Reply:
    """One request as the sandbox carries it out: authenticate, handle, commit or roll back."""
    call = Call("POST", "/jsonrpc", {}, {}, {}, body, db, 1_795_000_000.0, "http://127.0.0.1/odoo")
    db.execute("BEGIN")
    reply = odoo.PROVIDER.authenticate(call, frozenset({TOKEN})) or odoo.PROVIDER.operations[0].handler(call)
    db.execute("ROLLBACK" if reply.rollback or reply.status >= 400 else "COMMIT")
    return reply


def rpc(db: sqlite3.Connection, service: str, method: str, *args: Any) -> Any:
    body = {"jsonrpc": "2.0", "id": 7, "params": {"service": service, "method": method, "args": list(args)}}
    reply = send(db, body)
    assert reply.status == 200
    assert reply.body["id"] == 7
    if "error" in reply.body:
        raise Refused(reply.body["error"]["data"]["name"], reply.body["error"]["data"]["message"])
    return reply.body.get("result")


@pytest.fixture
def do(db: sqlite3.Connection) -> Execute:
    """Call a method of a model as the service user."""

    def execute(model: str, method: str, *args: Any, **options: Any) -> Any:
        return rpc(db, "object", "execute_kw", "smarteros", 2, TOKEN, model, method, list(args), options)

    return execute


def company(do: Execute, name: str = "Acme (76086428-5)", **values: Any) -> int:
    made = do("res.company", "create", {"name": name, "country_id": 46, "currency_id": 45, "vat": RUT, **values})
    assert isinstance(made, int)
    return made


def user(do: Execute, home: int, **values: Any) -> int:
    wanted = {"name": "Ana", "login": "ana@example.com", "company_id": home, "company_ids": [[6, 0, [home]]]}
    made = do("res.users", "create", {**wanted, **values})
    assert isinstance(made, int)
    return made


# -- login -------------------------------------------------------------------------------------------------------


def test_the_service_user_logs_in_with_any_accepted_token(db: sqlite3.Connection) -> None:
    assert rpc(db, "common", "authenticate", "smarteros", "smarteros", TOKEN, {}) == 2
    assert rpc(db, "common", "authenticate", "smarteros", "smarteros", "wrong", {}) is False
    assert rpc(db, "common", "authenticate", "smarteros", "nobody", TOKEN, {}) is False


def test_a_token_opens_no_other_user_and_superuser_has_no_door(db: sqlite3.Connection) -> None:
    assert rpc(db, "common", "authenticate", "smarteros", "__system__", TOKEN, {}) is False
    with pytest.raises(Refused, match="Access Denied"):
        rpc(db, "object", "execute_kw", "smarteros", 1, TOKEN, "res.company", "search", [[]])


@pytest.mark.parametrize("secret", ["wrong", "", None, 3])
def test_a_wrong_secret_inside_a_call_is_access_denied(db: sqlite3.Connection, secret: Any) -> None:
    with pytest.raises(Refused) as refused:
        rpc(db, "object", "execute_kw", "smarteros", 2, secret, "res.company", "search", [[]])
    assert refused.value.name == "odoo.exceptions.AccessDenied"


def test_the_database_service_is_switched_off(db: sqlite3.Connection) -> None:
    with pytest.raises(Refused, match="Access Denied"):
        rpc(db, "db", "list")
    with pytest.raises(Refused, match='database "other" does not exist'):
        rpc(db, "common", "authenticate", "other", "smarteros", TOKEN, {})


def test_passwords_are_neither_kept_in_the_clear_nor_read_back(db: sqlite3.Connection, do: Execute) -> None:
    ana = user(do, company(do), password="S3creta.1234")
    assert do("res.users", "read", [ana], ["password"]) == [{"id": ana, "password": ""}]
    assert "S3creta.1234" not in "\n".join(db.iterdump())
    assert rpc(db, "common", "authenticate", "smarteros", "ana@example.com", "S3creta.1234", {}) == ana
    assert do("res.users", "read", [ana], ["login_date"])[0]["login_date"] == "2026-11-18 11:06:40"


def test_a_user_without_a_password_cannot_log_in(db: sqlite3.Connection, do: Execute) -> None:
    user(do, company(do))
    assert rpc(db, "common", "authenticate", "smarteros", "ana@example.com", "", {}) is False


# -- companies ---------------------------------------------------------------------------------------------------


def test_the_peso_sleeps_until_a_company_uses_it(do: Execute) -> None:
    assert do("res.currency", "search", [["name", "=", "CLP"]]) == []
    company(do)
    assert do("res.currency", "search", [["name", "=", "CLP"]]) == [45]


def test_a_company_without_a_currency_gets_the_callers(do: Execute) -> None:
    made = do("res.company", "create", {"name": "Plain"})
    assert do("res.company", "read", [made], ["currency_id"])[0]["currency_id"] == [1, "USD"]


def test_the_creator_sees_the_new_company_and_becomes_multi_company(do: Execute) -> None:
    made = company(do)
    me = do("res.users", "read", [2], ["company_ids", "groups_id"])[0]
    assert made in me["company_ids"]
    assert 5 in me["groups_id"]


def test_a_failed_call_leaves_nothing_behind(db: sqlite3.Connection, do: Execute) -> None:
    before = do("res.partner", "search_count", [])
    with pytest.raises(Refused, match="must be unique"):
        do("res.company", "create", [{"name": "One"}, {"name": "My Company"}])
    assert do("res.company", "search_count", []) == 1
    assert do("res.partner", "search_count", []) == before
    assert not db.in_transaction


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("76.086.428-5", RUT), ("CL760864285", RUT), ("16888009-k", "16888009-K"), ("5126663-3", "5126663-3")],
)
def test_a_rut_is_kept_in_one_spelling(do: Execute, sent: str, kept: str) -> None:
    made = company(do, vat=sent)
    assert do("res.company", "read", [made], ["vat"])[0]["vat"] == kept


def test_a_wrong_rut_is_refused_unless_the_check_is_switched_off(do: Execute) -> None:
    with pytest.raises(Refused, match="12345678-9") as refused:
        company(do, vat="12345678-9")
    assert refused.value.name == "odoo.exceptions.ValidationError"
    wanted = {"name": "Acme", "country_id": 46, "vat": "12345678-9"}
    made = do("res.company", "create", wanted, context={"no_vat_validation": True})
    with pytest.raises(Refused, match="12345678-9"):
        do("res.company", "write", [made], {"country_id": 46})
    assert do("res.company", "write", [made], {"phone": "+56 2 2345 6789"}) is True


def test_the_rut_check_agrees_with_python_stdnum() -> None:
    for number in range(7_000_000, 7_003_000, 7):
        for digit in "0123456789K":
            rut = f"{number}-{digit}"
            assert odoo_rules.rut_holds(rut) == stdnum_rut.is_valid(rut), rut


def test_a_company_and_its_partner_tell_the_same(do: Execute) -> None:
    made = company(do, company_registry=f"smarteros:{RUT}")
    partner = do("res.company", "read", [made], ["partner_id"])[0]["partner_id"][0]
    do("res.company", "write", [made], {"name": "Acme SpA", "email": "hola@example.com"})
    told = do("res.partner", "read", [partner], ["name", "email", "vat", "company_registry"])[0]
    assert (told["name"], told["email"], told["vat"]) == ("Acme SpA", "hola@example.com", RUT)
    do("res.partner", "write", [partner], {"company_registry": "smarteros:1-9"})
    assert do("res.company", "search", [["company_registry", "=", "smarteros:1-9"]]) == [made]


def test_a_company_with_active_users_cannot_be_archived(do: Execute) -> None:
    made = company(do)
    ana = user(do, made)
    with pytest.raises(Refused, match="cannot be archived because it is still used"):
        do("res.company", "write", [made], {"active": False})
    do("res.users", "write", [ana], {"active": False})
    assert do("res.company", "write", [made], {"active": False}) is True
    with pytest.raises(Refused, match="is not in the allowed companies"):
        do("res.users", "write", [ana], {"active": True})
    do("res.company", "write", [made], {"active": True})
    assert do("res.users", "write", [ana], {"active": True}) is True


def test_the_hierarchy_of_companies_is_fixed_and_protects_parents(do: Execute) -> None:
    parent = company(do)
    branch = company(do, "Branch", parent_id=parent)
    with pytest.raises(Refused, match="hierarchy"):
        do("res.company", "write", [branch], {"parent_id": False})
    with pytest.raises(Refused, match="res_company_parent_id_fkey"):
        do("res.company", "unlink", [parent])
    assert do("res.company", "unlink", [branch, parent]) is True


def test_the_chart_brings_the_countrys_currency_and_pins_the_company(do: Execute) -> None:
    made = company(do, currency_id=1)
    options = {"context": {"allowed_company_ids": [made]}}
    assert do("account.chart.template", "try_loading", [], "cl", made, False, **options) is None
    read = do("res.company", "read", [made], ["chart_template", "currency_id"])[0]
    assert (read["chart_template"], read["currency_id"]) == ("cl", [45, "CLP"])
    with pytest.raises(Refused, match="account_journal_company_id_fkey"):
        do("res.company", "unlink", [made])


def test_the_chart_method_eats_its_first_argument_as_ids(do: Execute) -> None:
    with pytest.raises(Refused) as refused:
        do("account.chart.template", "try_loading", "cl", company(do), False)
    assert refused.value.name == "builtins.KeyError"


# -- users -------------------------------------------------------------------------------------------------------


def test_groups_bring_what_they_imply(do: Execute) -> None:
    ana = user(do, company(do), groups_id=[[6, 0, [32]]])
    assert set(do("res.users", "read", [ana], ["groups_id"])[0]["groups_id"]) == {1, 30, 31, 32}


def test_a_user_is_of_one_type_only(do: Execute) -> None:
    with pytest.raises(Refused, match="more than one user types"):
        user(do, company(do), groups_id=[[6, 0, [1, 10]]])


def test_the_multi_company_group_follows_the_number_of_companies(do: Execute) -> None:
    one, two = company(do), company(do, "Two")
    ana = user(do, one)
    assert 5 not in do("res.users", "read", [ana], ["groups_id"])[0]["groups_id"]
    do("res.users", "write", [ana], {"company_ids": [[4, two]]})
    assert 5 in do("res.users", "read", [ana], ["groups_id"])[0]["groups_id"]
    do("res.users", "write", [ana], {"company_ids": [[3, two]]})
    assert 5 not in do("res.users", "read", [ana], ["groups_id"])[0]["groups_id"]


def test_a_login_stays_taken_when_its_user_is_archived(do: Execute) -> None:
    home = company(do)
    do("res.users", "write", [user(do, home)], {"active": False})
    with pytest.raises(Refused, match="two users with the same login"):
        user(do, home)


@pytest.mark.parametrize(("field", "value"), [("lang", "es_AR"), ("tz", "America/Nowhere"), ("company_id", "Acme")])
def test_unknown_values_of_a_field_are_refused(do: Execute, field: str, value: str) -> None:
    with pytest.raises(Refused, match=rf"Wrong value for res\.users\.{field}"):
        do("res.users", "write", [2], {field: value})


def test_a_tenants_user_sees_his_companies_only(db: sqlite3.Connection, do: Execute) -> None:
    mine, other = company(do), company(do, "Other")
    ana = user(do, mine, password="S3creta.1234")

    def as_ana(model: str, method: str, *args: Any, **options: Any) -> Any:
        return rpc(db, "object", "execute_kw", "smarteros", ana, "S3creta.1234", model, method, list(args), options)

    assert as_ana("res.company", "search", []) == [mine]
    with pytest.raises(Refused, match="not allowed to access 'Companies'"):
        as_ana("res.company", "read", [other], ["name"])
    with pytest.raises(Refused, match="not allowed to modify 'Companies'"):
        as_ana("res.company", "write", [mine], {"name": "Mine"})
    with pytest.raises(Refused, match="Access to unauthorized or invalid companies"):
        as_ana("res.company", "search", [], context={"allowed_company_ids": [other]})
    assert as_ana("res.users", "check_access_rights", "create", raise_exception=False) is False


# -- domains -----------------------------------------------------------------------------------------------------


@pytest.fixture
def four(do: Execute) -> dict[int, str]:
    """Partners by id: two with a reference, one archived."""
    rows = [
        {"name": "Ana", "ref": "smarteros:1-9", "country_id": 46},
        {"name": "Bea", "ref": "other", "email": "bea@example.com"},
        {"name": "árbol 100%"},
        {"name": "Dora", "active": False},
    ]
    return dict(zip(do("res.partner", "create", rows), ["Ana", "Bea", "árbol", "Dora"], strict=True))


@pytest.mark.parametrize(
    ("domain", "names"),
    [
        ([["ref", "=", "other"]], ["Bea"]),
        ([["ref", "!=", "other"]], ["Ana", "árbol"]),
        ([["ref", "=", False]], ["árbol"]),
        ([["ref", "!=", False]], ["Ana", "Bea"]),
        ([["ref", "in", ["other", False]]], ["Bea", "árbol"]),
        ([["ref", "not in", ["other"]]], ["Ana", "árbol"]),
        ([["ref", "=like", "smarteros:%"]], ["Ana"]),
        ([["ref", "=like", "SMARTEROS:%"]], []),
        ([["name", "ilike", "ÁRBOL"]], ["árbol"]),
        ([["name", "like", "100\\%"]], ["árbol"]),
        ([["name", "not ilike", "b"]], ["Ana"]),
        (["|", ["name", "=", "Ana"], ["name", "=", "Bea"]], ["Ana", "Bea"]),
        (["!", "|", ["name", "=", "Ana"], ["ref", "=", "other"]], ["árbol"]),
        (["&", ["name", "!=", "Ana"], ["ref", "=", "other"]], ["Bea"]),
        ([["name", ">", "B"], ["name", "<", "C"]], ["Bea"]),
        ([["active", "=", False]], ["Dora"]),
        ([["active", "in", [True, False]]], ["Ana", "Bea", "árbol", "Dora"]),
        ([["country_id.code", "=", "CL"]], ["Ana"]),
        ([["country_id", "=", "Chile"]], ["Ana"]),
        ([["country_id", "ilike", "chi"]], ["Ana"]),
        ([["country_id", "=", False]], ["Bea", "árbol"]),
        ([[1, "=", 1]], ["Ana", "Bea", "árbol"]),
        ([[0, "=", 1]], []),
    ],
    ids=str,
)
def test_domains_find_what_odoo_finds(do: Execute, four: dict[int, str], domain: list[Any], names: list[str]) -> None:
    found = do("res.partner", "search", [["id", "in", list(four)], *domain], order="id")
    assert [four[i] for i in found] == names


@pytest.mark.parametrize(
    ("domain", "name"),
    [
        ([["nope", "=", 1]], "builtins.ValueError"),
        ([["name", "~", "x"]], "builtins.ValueError"),
        (["|", ["name", "=", "x"]], "builtins.ValueError"),
        ([["name", "="]], "builtins.ValueError"),
        ([["password", "=", "x"]], "builtins.ValueError"),
        ("name", "builtins.ValueError"),
    ],
    ids=str,
)
def test_broken_domains_are_told(do: Execute, domain: Any, name: str) -> None:
    with pytest.raises(Refused) as refused:
        do("res.users", "search", domain)
    assert refused.value.name == name


def test_pages_and_orders(do: Execute) -> None:
    ids = do("res.company", "create", [{"name": f"C{number}"} for number in range(5)])
    assert do("res.company", "search", [["id", "in", ids]], order="name desc", limit=2, offset=1) == ids[3:1:-1]
    assert do("res.company", "search_count", [["id", "in", ids]], limit=3) == 3
    with pytest.raises(Refused, match="Invalid"):
        do("res.company", "search", [], order="name; DROP TABLE odoo_res_company")


def test_a_path_through_many2many_finds_the_users_of_a_company(do: Execute) -> None:
    made = company(do, company_registry="smarteros:1-9")
    ana = user(do, made)
    found = do("res.users", "search", [["company_ids.company_registry", "=", "smarteros:1-9"], ["id", "!=", 2]])
    assert found == [ana]
    assert do("res.users", "search", [["company_ids", "in", [made]], ["login", "!=", "smarteros"]]) == [ana]


# -- the protocol ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"id": 1}, "builtins.TypeError"),
        ({"id": 1, "params": {"service": "object", "method": "execute_kw", "args": []}}, "builtins.IndexError"),
        ({"id": 1, "params": {"service": "common", "method": "nope", "args": []}}, "builtins.Exception"),
        (
            {"id": 1, "params": {"service": "common", "method": "authenticate", "args": ["smarteros"]}},
            "builtins.TypeError",
        ),
    ],
)
def test_malformed_calls_are_answered_with_an_error_object(db: sqlite3.Connection, body: Any, name: str) -> None:
    reply = send(db, body)
    assert (reply.status, reply.body["error"]["data"]["name"]) == (200, name)


@pytest.mark.parametrize(
    ("method", "args"),
    [
        ("create", [{"name": "X", "user_ids": [[6, 0]]}]),
        ("write", [[1], {"country_id": 2**80}]),
        ("write", ["one", {}]),
        ("search", [[["id", ">", {}]]]),
        ("search", [[], "x"]),
        ("search", [[["id", "in", [[1]]]]]),
    ],
    ids=str,
)
def test_arguments_that_make_no_sense_are_answered_too(do: Execute, method: str, args: list[Any]) -> None:
    with pytest.raises(Refused):
        do("res.company", method, *args)
    assert do("res.company", "search_count", []) == 1


def test_a_user_id_beyond_all_measure_is_answered(db: sqlite3.Connection) -> None:
    with pytest.raises(Refused):
        rpc(db, "object", "execute_kw", "smarteros", 2**80, TOKEN, "res.company", "search", [[]])


def test_what_is_no_json_object_is_a_bad_request(db: sqlite3.Connection) -> None:
    assert send(db, None).status == 400
    assert send(db, [1]).status == 400


def test_private_methods_and_wrong_arguments_are_refused(do: Execute) -> None:
    with pytest.raises(Refused, match="Private methods"):
        do("res.company", "_write", [1], {})
    with pytest.raises(Refused) as refused:
        do("res.company", "search", [], 0, 0, None, False, "too", "many")
    assert refused.value.name == "builtins.TypeError"


def test_names_and_writes_are_told_for_the_request_log(db: sqlite3.Connection) -> None:
    operation = odoo.PROVIDER.operations[0]

    def told(service: str, method: str, *args: Any) -> tuple[str, bool]:
        body = {"params": {"service": service, "method": method, "args": list(args)}}
        call = Call("POST", "/jsonrpc", {}, {}, {}, body, db, 0.0, "")
        return odoo.name_of(call, operation), odoo.writes_of(call, operation)

    assert told("common", "authenticate") == ("common.authenticate", False)
    assert told("object", "execute_kw", "d", 2, "s", "res.company", "create", []) == ("res.company.create", True)
    assert told("object", "execute_kw", "d", 2, "s", "res.company", "search_read", []) == (
        "res.company.search_read",
        False,
    )
    assert told("object", "execute_kw", "d", 2, "s", "account.chart.template", "try_loading", [])[1]
    assert told("object", "execute_kw", "d", 2, "s", "res.company", "x' OR 1", []) == ("rpc", False)


def test_fields_get_describes_only_the_fields_that_are_there(do: Execute) -> None:
    assert do("res.users", "fields_get", ["groups_id", "group_ids"], attributes=["type", "relation"]) == {
        "groups_id": {"type": "many2many", "relation": "res.groups"}
    }


def test_seeding_twice_changes_nothing(db: sqlite3.Connection) -> None:
    before = list(db.iterdump())
    odoo.PROVIDER.seed(db)
    assert list(db.iterdump()) == before


def test_sales_are_summed_by_company_and_currency_in_one_call(db: sqlite3.Connection, do: Execute) -> None:
    company = do("res.company", "search", [])[0]
    db.executemany(
        "INSERT INTO odoo_sale_order (name, partner_id, company_id, date_order, state, amount_total)"
        " VALUES ('S', 1, ?, ?, ?, ?)",
        [
            (company, "2026-11-22 15:00:00", "sale", 10.5),
            (company, "2026-11-22 16:00:00", "sale", 2),
            (company, "2026-11-22 16:00:00", "draft", 7),
        ],
    )
    domain = [["state", "=", "sale"], ["date_order", "<", "2026-11-23 03:00:00"]]
    (row,) = do("sale.order", "read_group", domain, ["amount_total:sum"], ["company_id", "currency_id"], lazy=False)
    assert (row["company_id"][0], row["currency_id"], row["amount_total"], row["__count"]) == (company, False, 12.5, 2)
    with pytest.raises(Refused):
        do("sale.order", "read_group", domain, ["nonsense:sum"], ["company_id"])
