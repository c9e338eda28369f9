# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
from __future__ import annotations

import json
import typing as t

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Http
from ansible_collections.smartercl.smarteros.plugins.modules import odoo_companies
from ansible_collections.smartercl.smarteros.tests.unit.plugins.fakes.odoo import SECRET, FakeOdoo

Run = t.Callable[..., dict[str, t.Any]]
ACME = {"tenant": "76086428-5", "name": "Acme", "email": "ana@example.com"}
BETA = {"tenant": "12345678-9", "name": "Beta", "vat_valid": False}


@pytest.fixture
def server() -> FakeOdoo:
    return FakeOdoo()


@pytest.fixture
def run(server: FakeOdoo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the module as Ansible does and gives what it prints."""
    monkeypatch.setattr(Http, "_send", lambda http, *args: server.send(http, *args))  # noqa: PLW0108  # binds http
    monkeypatch.setattr("time.sleep", lambda _seconds: None)

    def call(*companies: dict[str, t.Any], check: bool = False, **more: t.Any) -> dict[str, t.Any]:
        args = {"url": "http://192.0.2.1", "database": "smarteros", "login": "smarteros", "secret": SECRET, **more}
        given = {key: value for key, value in args.items() if value is not None}
        with (
            patch_module_args({**given, "companies": list(companies), "_ansible_check_mode": check}),
            pytest.raises(SystemExit),
        ):
            odoo_companies.main()
        return t.cast("dict[str, t.Any]", json.loads(capsys.readouterr().out))

    return call


def test_check_mode_foretells_the_run_and_writes_nothing(server: FakeOdoo, run: Run) -> None:
    foretold = run(ACME, BETA, check=True)
    assert server.written == []
    done = run(ACME, BETA)
    assert foretold["changed"] is done["changed"] is True
    assert foretold["diff"] == done["diff"]
    assert [row["changes"] for row in foretold["results"]] == [row["changes"] for row in done["results"]]
    assert [row["created"] for row in foretold["results"]] == [True, True]


def test_a_second_run_changes_nothing(server: FakeOdoo, run: Run) -> None:
    run(ACME, BETA)
    server.log.clear()
    again = run(ACME, BETA)
    assert (again["changed"], again["diff"], server.written) == (False, {"before": {}, "after": {}}, [])
    assert again["requests"] == len(server.log) == 6
    assert [row["state"] for row in again["results"]] == ["ready", "ready"]


def test_one_failure_spares_the_others_and_the_task(server: FakeOdoo, run: Run) -> None:
    server._create("res.company", {"name": "Acme (76086428-5)"})
    result = run(ACME, BETA)
    assert "failed" not in result
    acme, beta = result["results"]
    assert (acme["state"], beta["state"]) == ("failed", "ready")
    assert set(acme["error"]) == {"what", "where", "why", "next"}


def test_a_refused_login_fails_the_task_with_exit_code_3(server: FakeOdoo, run: Run) -> None:
    result = run(ACME, secret="wrong-secret")
    assert (result["failed"], result["exit_code"], server.written) == (True, 3, [])
    assert "refuses the login smarteros" in result["errors"][0]["why"]


def test_the_secret_is_never_shown(server: FakeOdoo, run: Run) -> None:
    for result in (run(ACME), run(ACME, check=True), run(ACME, secret="planted-wrong-secret")):
        assert SECRET not in json.dumps(result)
        assert "planted-wrong-secret" not in json.dumps(result)


def test_the_secret_may_come_from_the_environment(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODOO_API_KEY", SECRET)
    assert run(ACME, secret=None)["results"][0]["state"] == "ready"


def test_a_tenant_that_is_there_twice_is_refused_before_anything_is_sent(server: FakeOdoo, run: Run) -> None:
    result = run(ACME, ACME)
    assert (result["failed"], server.log) == (True, [])
    assert result["msg"] == "companies: tenant 76086428-5 is there twice"


def test_the_rut_is_the_tax_id_unless_another_is_given(server: FakeOdoo, run: Run) -> None:
    run(ACME, {**BETA, "vat": "76086428-5"})
    assert {row["vat"] for row in server.rows("res.company") if row["company_registry"]} == {"76086428-5"}
