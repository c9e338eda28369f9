# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
from __future__ import annotations

import typing as t

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import odoo
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.tests.unit.plugins.fakes.odoo import SECRET, FakeOdoo, Fault
from ansible_collections.smartercl.smarteros.tests.unit.plugins.fakes.wire import Request, losing_once

MARK = "smarteros:76086428-5"
ROW = {"name": "Acme (76086428-5)", "company_registry": MARK}


@pytest.fixture
def server() -> FakeOdoo:
    return FakeOdoo()


@pytest.mark.parametrize(
    ("name", "message", "kind"),
    [
        ("odoo.exceptions.AccessDenied", "Access Denied", errors.REFUSED),
        ("odoo.exceptions.AccessError", "You are not allowed to create 'Companies'", errors.REFUSED),
        ("odoo.exceptions.ValidationError", "The company name must be unique!", errors.CONFLICT),
        ("odoo.exceptions.ValidationError", "You can not have two users with the same login!", errors.CONFLICT),
        ("psycopg2.errors.UniqueViolation", "duplicate key value violates a constraint", errors.CONFLICT),
        ("odoo.exceptions.ValidationError", "a mandatory field is not set", errors.INVALID),
        ("odoo.exceptions.UserError", "Object res.nope doesn't exist", errors.INVALID),
        ("odoo.exceptions.MissingError", "Record does not exist or has been deleted.", errors.MISSING),
        ("psycopg2.OperationalError", "server closed the connection unexpectedly", errors.UNREACHABLE),
        ("builtins.ValueError", "Invalid field 'nope'", errors.INVALID),
    ],
)
def test_an_error_in_an_http_200_is_told_by_its_class(server: FakeOdoo, name: str, message: str, kind: str) -> None:
    client = server.client()
    client.sign_in()

    def trouble(_model: str, _method: str, _args: object) -> None:
        raise Fault(name, message)

    server.trouble = trouble
    with pytest.raises(ApiError) as caught:
        client.read("res.company", "read", [[1], ["name"]])
    assert caught.value.kind == kind
    assert message in caught.value.message
    assert caught.value.where.endswith("/jsonrpc res.company.read")


def test_a_login_that_odoo_refuses_is_refused_and_tried_only_once(server: FakeOdoo) -> None:
    client = server.client(secret="wrong-secret")
    with pytest.raises(ApiError) as caught:
        client.sign_in()
    assert caught.value.kind == errors.REFUSED
    assert len(server.log) == 1


def test_an_unknown_database_is_named(server: FakeOdoo) -> None:
    error = {"data": {"name": "psycopg2.OperationalError", "message": 'FATAL:  database "nodb" does not exist\n'}}
    assert "cannot open the database 'nodb'" in server.client()._error(error, "x").message


def test_an_answer_without_a_result_is_none(server: FakeOdoo) -> None:
    client = server.client()
    number = client.create_companies([ROW], vat_check=True)[0]
    assert client.write("account.chart.template", "try_loading", [[], "cl", number, False]) is None


def test_a_call_that_the_database_rolled_back_is_sent_again_even_when_it_writes(server: FakeOdoo) -> None:
    left = [1, 1]

    def trouble(_model: str, method: str, _args: object) -> None:
        if method == "create" and left:
            left.pop()
            raise Fault("psycopg2.errors.SerializationFailure", "could not serialize access due to concurrent update")

    server.trouble = trouble
    server.client().create_companies([ROW], vat_check=True)
    assert len(server.rows("res.company", company_registry=MARK)) == 1


def test_a_create_whose_answer_was_lost_is_looked_for_and_not_sent_again(server: FakeOdoo) -> None:
    server.lose = losing_once(server.writes)
    ids = server.client().create_companies([ROW], vat_check=True)
    assert [row["id"] for row in server.rows("res.company", company_registry=MARK)] == ids
    assert len(server.written) == 1


def test_a_create_that_never_arrived_is_sent_again(server: FakeOdoo) -> None:
    client = server.client()
    client.sign_in()
    real = server.handle
    arrived: list[Request] = []

    def handle(request: Request) -> tuple[int, t.Any]:
        if server.writes(request) and not arrived:
            arrived.append(request)
            return 502, "bad gateway"
        return real(request)

    server.handle = handle  # type: ignore[method-assign]  # the fake answers otherwise
    client.create_companies([ROW], vat_check=True)
    assert len(server.rows("res.company", company_registry=MARK)) == 1


def test_lists_are_read_page_by_page(server: FakeOdoo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(odoo, "PAGE", 2)
    client = server.client()
    client.create_companies(
        [{"name": f"C{n}", "company_registry": f"smarteros:{n}-1"} for n in range(1, 6)], vat_check=True
    )
    server.log.clear()
    assert [company.tenant for company in client.companies(charts=False)] == ["1-1", "2-1", "3-1", "4-1", "5-1"]
    assert len(server.log) == 3


@pytest.mark.parametrize("text", ["76086428-5", "76.086.428-5", "CL760864285", "cl76086428-5"])
def test_a_rut_is_read_in_every_spelling_that_odoo_makes(text: str) -> None:
    assert odoo._vat(text) == "76086428-5"


def test_the_secret_is_never_in_an_error(server: FakeOdoo) -> None:
    client = server.client()
    client.sign_in()

    def trouble(_model: str, _method: str, args: object) -> None:
        raise Fault("builtins.ValueError", f"no such thing for {SECRET}")

    server.trouble = trouble
    with pytest.raises(ApiError) as caught:
        client.read("res.company", "read", [[1], ["name"]])
    shown = f"{caught.value!r} {caught.value} {vars(caught.value)} {client!r}"
    assert SECRET not in shown


class TestCheck:
    def test_a_good_login_is_valid(self, server: FakeOdoo) -> None:
        assert server.client().check() == {
            "state": "valid",
            "account": "smarteros on smarteros",
            "message": "Odoo 17.0-20240709",
            "expires": "",
        }

    def test_a_wrong_secret_is_invalid(self, server: FakeOdoo) -> None:
        assert server.client("wrong-secret").check()["state"] == "invalid"

    def test_a_user_without_the_rights_is_insufficient(self, server: FakeOdoo) -> None:
        server.rights = False
        assert server.client().check()["message"] == "may not make companies and users"
        assert server.client().check()["state"] == "insufficient"

    def test_a_server_that_does_not_answer_is_unreachable(self, server: FakeOdoo) -> None:
        server.handle = lambda request: (503, "down")  # type: ignore[method-assign]  # the fake answers otherwise
        assert server.client().check()["state"] == "unreachable"

    def test_nothing_is_written(self, server: FakeOdoo) -> None:
        server.client().check()
        assert server.written == []


class TestClaimed:
    WISH: t.ClassVar[dict[str, t.Any]] = {"id": "76086428-5", "name": "Acme", "owner": {"email": "ana@example.com"}}

    def test_nothing_is_claimed_in_an_empty_odoo(self, server: FakeOdoo) -> None:
        assert server.client().claimed([self.WISH]) == {}

    def test_a_company_of_that_name_without_our_mark_is(self, server: FakeOdoo) -> None:
        server._create("res.company", {"name": "Acme (76086428-5)"})
        why = server.client().claimed([self.WISH])
        assert "the company 'Acme (76086428-5)' exists in Odoo" in why["76086428-5"]

    def test_our_own_company_is_not(self, server: FakeOdoo) -> None:
        server._create("res.company", ROW)
        assert server.client().claimed([self.WISH]) == {}

    def test_a_login_of_somebody_else_is(self, server: FakeOdoo) -> None:
        server._create(
            "res.users", {"name": "A", "login": "ana@example.com", "company_id": 1, "company_ids": [[6, 0, [1]]]}
        )
        assert "the login ana@example.com exists" in server.client().claimed([self.WISH])["76086428-5"]
        assert server.written == []
