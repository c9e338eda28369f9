# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
from __future__ import annotations

import json
import typing as t

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Http
from ansible_collections.smartercl.smarteros.plugins.modules import odoo_users
from ansible_collections.smartercl.smarteros.tests.unit.plugins.fakes.odoo import SECRET, FakeOdoo

Run = t.Callable[..., dict[str, t.Any]]
ANA = {"tenant": "76086428-5", "login": "ana@example.com", "name": "Ana Pérez"}
BEA = {"tenant": "12345678-9", "login": "bea@example.com", "name": "Bea Soto", "groups": ["base.group_user"]}


@pytest.fixture
def server() -> FakeOdoo:
    """An Odoo where both tenants have their company."""
    odoo = FakeOdoo()
    for item in (ANA, BEA):
        odoo._create("res.company", {"name": item["tenant"], "company_registry": f"smarteros:{item['tenant']}"})
    return odoo


@pytest.fixture
def run(server: FakeOdoo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the module as Ansible does and gives what it prints."""
    monkeypatch.setattr(Http, "_send", lambda http, *args: server.send(http, *args))  # noqa: PLW0108  # binds http
    monkeypatch.setattr("time.sleep", lambda _seconds: None)

    def call(*users: dict[str, t.Any], check: bool = False, **more: t.Any) -> dict[str, t.Any]:
        args = {"url": "http://192.0.2.1", "database": "smarteros", "login": "smarteros", "secret": SECRET, **more}
        with patch_module_args({**args, "users": list(users), "_ansible_check_mode": check}), pytest.raises(SystemExit):
            odoo_users.main()
        return t.cast("dict[str, t.Any]", json.loads(capsys.readouterr().out))

    return call


def test_check_mode_foretells_the_run_and_writes_nothing(server: FakeOdoo, run: Run) -> None:
    foretold = run(ANA, BEA, check=True)
    assert server.written == []
    done = run(ANA, BEA)
    assert foretold["diff"] == done["diff"]
    assert [row["changes"] for row in foretold["results"]] == [row["changes"] for row in done["results"]]


def test_a_second_run_changes_nothing(server: FakeOdoo, run: Run) -> None:
    run(ANA, BEA)
    server.log.clear()
    again = run(ANA, BEA)
    assert (again["changed"], server.written) == (False, [])
    assert [sorted(row["ref"]) for row in again["results"]] == [["user_id"], ["user_id"]]


def test_one_failure_spares_the_others_and_the_task(server: FakeOdoo, run: Run) -> None:
    result = run({**ANA, "tenant": "1-9"}, BEA)
    assert [row["state"] for row in result["results"]] == ["failed", "ready"]
    assert "failed" not in result


def test_the_address_is_the_login_unless_another_is_given(server: FakeOdoo, run: Run) -> None:
    run(ANA, {**BEA, "email": "office@example.com"})
    assert {row["email"] for row in server.rows("res.users") if row["email"]} == {
        "ana@example.com",
        "office@example.com",
    }


def test_the_secret_is_never_shown(run: Run) -> None:
    for result in (run(ANA), run(ANA, check=True), run(ANA, secret="planted-wrong-secret")):
        assert SECRET not in json.dumps(result)
        assert "planted-wrong-secret" not in json.dumps(result)
