# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Odoo 11 protocol: our client against a real server. It proves transport, errors, batches and look-ups, not Odoo 17's models.

Odoo 11 knows no ``chart_template`` on a company and archives no company, so charts and archiving are not tested here.
"""

from __future__ import annotations

import itertools
import typing as t

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import odoo
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.odoo import OdooClient
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Policy
from real.odoo11 import Odoo11

pytestmark = pytest.mark.second_tier

_numbers = itertools.count(1)


@pytest.fixture
def client(real_odoo11: Odoo11) -> OdooClient:
    return connected(real_odoo11)


def connected(server: Odoo11, **more: str) -> OdooClient:
    values = {"url": server.url, "database": server.database, "login": server.login, "secret": server.password}
    return odoo.connect({**values, **more}, Policy(read=120))


def company(rut: str | None = None) -> dict[str, t.Any]:
    """The values of a new company with a mark of its own."""
    rut = rut or f"{next(_numbers)}-1"
    return {"name": f"Shop {rut}", "company_registry": f"smarteros:{rut}"}


def test_the_protocol_signs_in_and_tells_the_version(client: OdooClient) -> None:
    assert client.version().startswith("11.0")
    assert client.sign_in() > 0
    assert client.check()["state"] == "valid"


def test_a_wrong_secret_is_refused_without_showing_it(real_odoo11: Odoo11) -> None:
    wrong = connected(real_odoo11, secret="planted-wrong-secret")
    assert wrong.check()["state"] == "invalid"
    with pytest.raises(ApiError) as caught:
        wrong.sign_in()
    assert caught.value.kind == errors.REFUSED
    assert "planted-wrong-secret" not in repr(caught.value)


def test_an_unknown_database_is_told_in_words(real_odoo11: Odoo11) -> None:
    assert connected(real_odoo11, database="nodb").check()["state"] == "unreachable"


def test_a_company_is_made_and_found_by_its_mark(client: OdooClient) -> None:
    values = company()
    # Odoo 11 takes one set of values, later releases take lists too
    number = client.write("res.company", "create", [values], find=lambda: None)
    held = client.names_held([values["name"]])
    assert held == {values["name"]: (number, values["company_registry"])}


def test_a_second_company_of_that_name_is_a_conflict(client: OdooClient) -> None:
    values = company()
    client.write("res.company", "create", [values])
    with pytest.raises(ApiError) as caught:
        client.write("res.company", "create", [{"name": values["name"]}])
    assert caught.value.kind == errors.CONFLICT


def test_a_user_is_made_in_the_company_and_can_be_archived(client: OdooClient) -> None:
    values = company()
    number = client.write("res.company", "create", [values])
    login = f"{number}@example.com"
    row = {"name": "Ana", "login": login, "company_id": number, "company_ids": [[6, 0, [number]]]}
    made = client.write("res.users", "create", [row], {"context": {"no_reset_password": True}})
    (user,) = client.users([login])
    assert (user.id, user.company, user.companies, user.active) == (made, number, frozenset([number]), True)
    client.change_user(made, {"active": False})
    assert client.users([login])[0].active is False
    with pytest.raises(ApiError) as caught:
        client.write("res.users", "create", [row], {"context": {"no_reset_password": True}})
    assert caught.value.kind == errors.CONFLICT


def test_a_record_that_is_gone_and_a_field_that_is_not_there_are_told_apart(client: OdooClient) -> None:
    with pytest.raises(ApiError) as gone:
        client.write("res.company", "write", [[999999], {"name": "X"}], repeat=True)
    with pytest.raises(ApiError) as unknown:
        client.write("res.company", "create", [{"name": "X", "parent_id": "no number"}])
    assert gone.value.kind in (errors.MISSING, errors.INVALID)
    assert unknown.value.kind in (errors.INVALID, errors.UNREACHABLE)


def test_fields_groups_and_lists_are_read(client: OdooClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.fields("res.company", ["company_registry", "chart_template"]) == {"company_registry"}
    assert client.group_field() == "groups_id"
    assert set(client.groups(["base.group_user", "base.nope"])) == {"base.group_user"}
    monkeypatch.setattr(odoo, "PAGE", 50)
    countries = client.records("res.country", [], ["code"])
    assert len(countries) > 200
    assert len({row["id"] for row in countries}) == len(countries)


def test_the_catalogue_tells_modules_and_sleeping_currencies(client: OdooClient) -> None:
    seen = client.catalogue(["CL"], ["CLP", "USD"], ["account", "l10n_cl", "website"])
    assert set(seen.countries) == {"CL"}
    assert set(seen.currencies) == {"CLP", "USD"}
    assert "account" in seen.modules
    assert seen.charts is False
