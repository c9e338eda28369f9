# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""`smos backup tenant` and `smos restore --tenant`, with the events of a run that the machine would have sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from smos import exitcodes
from smos.cli import main
from unit.plugins.registry_samples import block, make_specs, rut, spec, write
from unit.smos import test_backup_commands as commands
from unit.smos.test_backup_commands import CHECK, NEW, ROWS, TAKEN, Machine, Terminal, document

machine = commands.machine  # the fixture
ACME = rut(0)
RESTORED = {
    "backup": NEW,
    "services": ["n8n"],
    "drill": False,
    "tenant": ACME,
    "checks": [CHECK],
    "notes": ["odoo: no"],
}
PLAYBOOK = "restore_tenant_data.yml"


@pytest.fixture
def registered(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """One tenant, acme, in the sandbox and in production; it has no bot."""
    specs = make_specs(tmp_path)
    seen = block(0)
    seen["services"]["chatwoot"]["ref"] = {"account_id": 7}
    seen["services"]["botpress"] = {**seen["services"]["botpress"], "state": "disabled", "ref": {}}
    environments = ["sandbox", "production"]
    status = dict.fromkeys(environments, seen)
    write(
        specs / "tenants" / "registry",
        ACME,
        {"spec": spec(0, slug="acme", environments=environments), "status": status},
    )
    monkeypatch.setenv("SMOS_SPECS_REPO", str(specs))
    machine.answers(PLAYBOOK, "backup_tenant", changed=True, restore=RESTORED)
    return machine


@pytest.mark.parametrize("word", ["acme", ACME])
def test_a_tenant_s_backup_is_one_of_the_services_that_hold_its_data(
    word: str, registered: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["backup", "tenant", word, "--json"]) == exitcodes.DONE
    told = document(capsys)
    assert (told["command"], told["result"]) == ("backup", {**TAKEN, "tenant": ACME})
    (wish,) = registered.wishes
    assert wish.playbook == "backup.yml"
    assert wish.variables["backup_services"] == ["postgresql", "metabase", "n8n", "odoo", "chatwoot"]


def test_a_person_sees_whose_backup_it_is(registered: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backup", "tenant", "acme", "-q"]) == exitcodes.DONE
    assert f"  n8n, odoo, for tenant {ACME}\n" in capsys.readouterr().out
    assert registered.wishes


def test_one_tenant_s_data_are_brought_back(registered: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["restore", NEW, "--tenant", "acme", "--service", "n8n", "--json"]) == exitcodes.DONE
    told = document(capsys)
    assert (told["command"], told["result"]) == ("restore", RESTORED)
    (wish,) = registered.wishes
    assert wish.playbook == PLAYBOOK
    given = {"restore_backup": NEW, "restore_services": ["n8n"], "restore_tenant": ACME}
    assert {name: wish.variables[name] for name in given} == given


def test_a_person_sees_what_was_passed_over(registered: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["restore", NEW, "--tenant", "acme", "-q"]) == exitcodes.DONE
    shown = capsys.readouterr().out
    assert f"backup {NEW}: n8n of tenant {ACME} restored; 1 checks, 0 failed" in shown
    assert "  ! odoo: no\n" in shown
    assert registered.wishes[0].variables["restore_services"] == []


@pytest.mark.parametrize(
    ("words", "what", "following"),
    [
        (["backup", "tenant", "acmé"], "tenant acmé", "Did you mean acme?"),
        (["backup", "tenant", "nobody"], "tenant nobody", "smos tenant list"),
        (["restore", NEW, "--tenant", "acne"], "tenant acne", "Did you mean acme?"),
        (["restore", NEW, "--tenant", "acme", "--drill"], "restore --tenant --drill", "Leave one of them out"),
        (["restore", "latets", "--tenant", "acme"], "backup latets", "Did you mean latest?"),
        (["restore", NEW, "--tenant", "acme", "--service", "n9n"], "n9n", "Did you mean n8n?"),
        (
            ["restore", NEW, "--tenant", "acme", "--service", "odoo"],
            "restore --tenant --service odoo",
            f"smos restore {NEW} --service odoo",
        ),
        (
            ["restore", NEW, "--tenant", "acme", "--service", "traefik"],
            "restore --tenant --service traefik",
            "Choose from botpress, chatwoot, n8n, postgresql",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_touched(
    words: list[str], what: str, following: str, registered: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--json"]) == exitcodes.INVALID
    (error,) = document(capsys)["errors"]
    assert error["what"] == what
    assert following in error["next"]
    assert registered.wishes == []


def test_production_names_whose_data_are_replaced_and_asks(
    registered: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(f"{NEW}\n"))
    assert main(["restore", "latest", "--tenant", "acme", "--env", "production", "-q"]) == exitcodes.DONE
    assert registered.playbooks == ["backups.yml", PLAYBOOK]
    assert registered.wishes[1].variables["restore_backup"] == NEW == ROWS[1]["id"]
    asked = capsys.readouterr().err
    assert f"Replaces what acme ({ACME}) has in n8n of production by what backup {NEW}" in asked


def test_where_there_is_nobody_to_ask_production_restores_nothing(registered: Machine) -> None:
    words = ["restore", NEW, "--tenant", "acme", "--env", "production", "--json"]
    assert main(words) == exitcodes.REFUSED
    assert registered.wishes == []
    assert main([*words, "--yes"]) == exitcodes.DONE
    assert registered.playbooks == [PLAYBOOK]
