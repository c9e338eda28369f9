# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args

from ansible_collections.smartercl.smarteros.plugins.module_utils.registry.store import Registry
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Http
from ansible_collections.smartercl.smarteros.plugins.modules import chatwoot_accounts
from ansible_collections.smartercl.smarteros.tests.unit.plugins.fakes.chatwoot import TOKEN, FakeChatwoot
from ansible_collections.smartercl.smarteros.tests.unit.plugins.fakes.wire import Killed

Run = t.Callable[..., dict[str, t.Any]]


def item(tenant: str, slug: str, owner: str) -> dict[str, t.Any]:
    return {
        "tenant": tenant,
        "name": slug.title(),
        "slug": slug,
        "domain": f"{slug}.example.com",
        "admin": {"name": "Owner", "email": owner},
    }


ACME, BETA = item("76086428-5", "acme", "ana@example.com"), item("12345678-9", "beta", "bea@example.com")


@pytest.fixture
def server() -> FakeChatwoot:
    return FakeChatwoot()


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    """A folder with the files of both tenants."""
    for each in (ACME, BETA):
        Registry(tmp_path).create(each["tenant"], {"spec": {"rut": each["tenant"]}})
    return tmp_path


def status(registry: Path, tenant: str) -> dict[str, t.Any]:
    document = yaml.safe_load((registry / f"{tenant}.yml").read_text(encoding="utf-8"))
    return t.cast("dict[str, t.Any]", document["status"]["staging"]["services"]["chatwoot"])


@pytest.fixture
def run(
    server: FakeChatwoot, registry: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Runs the module as Ansible does, with the ids that the registry has, and gives what it prints."""
    monkeypatch.setattr(Http, "_send", lambda http, *args: server.send(http, *args))  # noqa: PLW0108  # binds http
    monkeypatch.setattr("time.sleep", lambda _seconds: None)

    def known(account: dict[str, t.Any]) -> dict[str, t.Any]:
        document = Registry(registry).read(account["tenant"])
        ref = document.get("status", {}).get("staging", {}).get("services", {}).get("chatwoot", {}).get("ref", {})
        return {**account, **{key: ref[key] for key in ("account_id", "creating_after") if key in ref}}

    def call(*accounts: dict[str, t.Any], check: bool = False, **more: t.Any) -> dict[str, t.Any]:
        args: dict[str, t.Any] = {
            "url": "http://192.0.2.1",
            "platform_token": TOKEN,
            "operator_email": "op@example.com",
        }
        args |= {"registry": str(registry), "environment": "staging", "concurrency": 1, **more}
        args |= {"accounts": [known(account) for account in accounts], "_ansible_check_mode": check}
        with patch_module_args(args), pytest.raises(SystemExit):
            chatwoot_accounts.main()
        return t.cast("dict[str, t.Any]", json.loads(capsys.readouterr().out))

    return call


def test_check_mode_foretells_the_run_and_writes_nothing(server: FakeChatwoot, registry: Path, run: Run) -> None:
    before = (registry / "76086428-5.yml").read_bytes()
    foretold = run(ACME, BETA, check=True)
    assert (server.written, (registry / "76086428-5.yml").read_bytes()) == ([], before)
    done = run(ACME, BETA)
    assert foretold["diff"] == done["diff"]
    assert [row["changes"] for row in foretold["results"]] == [row["changes"] for row in done["results"]]


def test_a_second_run_changes_nothing(server: FakeChatwoot, run: Run) -> None:
    first = run(ACME, BETA)
    server.log.clear()
    again = run(ACME, BETA)
    assert (again["changed"], server.written) == (False, [])
    assert again["requests"] == len(server.log) == 8
    assert [row["ref"] for row in again["results"]] == [row["ref"] for row in first["results"]]


def test_the_id_stands_in_the_tenants_file(registry: Path, run: Run) -> None:
    result = run(ACME)
    assert status(registry, "76086428-5") == {"state": "pending", "ref": {"account_id": 2}}
    assert result["results"][0]["ref"]["account_id"] == 2


def test_a_run_that_died_before_it_could_write_the_id_left_a_trace(
    server: FakeChatwoot, registry: Path, run: Run
) -> None:
    run(BETA)
    real = server.handle

    def handle(request: t.Any) -> tuple[int, t.Any]:
        answer = real(request)
        if request.method == "POST" and request.path.endswith("/accounts"):
            raise Killed
        return answer

    server.handle = handle  # type: ignore[method-assign]  # the fake answers otherwise
    with pytest.raises(Killed):
        run(ACME)
    assert status(registry, "76086428-5")["ref"] == {"creating_after": 2}
    server.handle = real  # type: ignore[method-assign]  # the fake answers otherwise
    (row,) = run(ACME)["results"]
    assert (row["state"], row.get("created", False), len(server.of("76086428-5"))) == ("ready", False, 1)


def test_a_tenant_without_a_file_gets_no_account(server: FakeChatwoot, tmp_path: Path, run: Run) -> None:
    (row,) = run(ACME, registry=str(tmp_path / "elsewhere"))["results"]
    assert row["state"] == "failed"
    assert "could not be written down" in row["error"]["why"]
    assert server.of("76086428-5") == []


def test_a_refused_token_fails_the_task_with_exit_code_3(server: FakeChatwoot, run: Run) -> None:
    for check in (True, False):
        result = run(ACME, platform_token="planted-wrong-token", check=check)
        assert (result["failed"], result["exit_code"], server.users) == (True, 3, {})
        assert "Invalid access_token" in result["errors"][0]["why"]
        assert "planted-wrong-token" not in json.dumps(result)


def test_tokens_and_passwords_are_never_shown(server: FakeChatwoot, run: Run) -> None:
    shown = json.dumps([run(ACME, check=True), run(ACME), run(ACME)])
    passwords = [request.body["password"] for request in server.written if request.path.endswith("/users")]
    assert len(set(passwords)) == 2
    assert not [secret for secret in (TOKEN, "personal-token", *passwords) if secret in shown]


def test_a_block_keeps_what_others_wrote_into_it() -> None:
    block: dict[str, t.Any] = {
        "phase": "pending",
        "services": {"odoo": {"state": "ready"}, "chatwoot": {"state": "failed", "ref": {"inbox_id": 3}}},
    }
    after = chatwoot_accounts.with_ref(block, {"account_id": 7, "creating_after": None})
    assert after["services"] == {
        "odoo": {"state": "ready"},
        "chatwoot": {"state": "failed", "ref": {"inbox_id": 3, "account_id": 7}},
    }
    assert block["services"]["chatwoot"]["ref"] == {"inbox_id": 3}
