# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The tenants of the registry as hosts."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleError
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible.utils.display import Display
from ansible.vars.manager import VariableManager

from ansible_collections.smartercl.smarteros.plugins.inventory import tenants as plugin
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import inventory_cache
from unit.plugins import registry_samples as samples

COUNT = 8
CONFIG = "plugin: smartercl.smarteros.tenants\nspecs: ../../specs\n"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("SMOS_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.delenv("SMOS_SPECS_REPO", raising=False)
    return samples.make_specs(tmp_path, COUNT)


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> Any:
    told = []
    monkeypatch.setattr(Display, "warning", lambda self, message, *_args, **_more: told.append(str(message)))
    monkeypatch.setattr(
        Display, "error_as_warning", lambda self, msg, exception, **_more: told.append(f"{msg} {exception}")
    )
    return told


def folder(root: Path) -> Any:
    return root / "tenants" / "registry"


def inventory(root: Path, config: str = CONFIG, environment: str = "sandbox") -> Any:
    place = root.parent / "inventories" / environment
    place.mkdir(parents=True, exist_ok=True)
    (place / "tenants.yml").write_text(config)
    return InventoryManager(DataLoader(), str(place))


def entry(number: int = 1, **row: Any) -> Any:
    row = {"valid": True, "lives_here": True, **row}
    base = inventory_cache.Row("1-9", "", f"slug{number}", "", "", "", "", "", True, True)
    found = inventory_cache.Entry("1-9", samples.SPECS, base._replace(**row))
    found.merged = {"id": "1-9", "plan": "Pro-Plus", "phase": "active", "region": None, "locale": {"country": "CL"}}
    return found


def test_a_tenant_gives_a_name_and_groups_by_plan_phase_and_region() -> None:
    (tenant,) = plugin.tenants_of([entry(1), entry(2, valid=False), entry(3, lives_here=False)])
    assert (tenant.name, tenant.groups) == ("slug1", ("plan_pro_plus", "phase_active", "region_cl"))


def test_a_tenant_without_a_phase_is_pending_and_a_region_comes_before_the_country() -> None:
    assert plugin.groups_of({"plan": "free", "phase": None, "region": "main", "locale": {"country": "CL"}}) == (
        "plan_free",
        "phase_pending",
        "region_main",
    )


def test_tenants_become_hosts_in_groups_with_their_variables(root: Path) -> None:
    found = inventory(root)
    assert sorted(found.hosts) == [f"tenant{number:05d}" for number in range(COUNT)]
    assert {"tenants", "plan_starter", "plan_free", "phase_active", "region_main"} <= set(found.groups)
    assert [host.name for host in found.groups["plan_starter"].get_hosts()] == ["tenant00000", "tenant00004"]
    host = found.hosts["tenant00001"]
    assert host.vars["tenant_id"] == samples.rut(1)
    assert host.vars["tenant"]["domain"] == "tenant00001.smarterbot.cl"
    assert host.vars["tenant"]["environment"] == "sandbox"
    assert host.vars["tenant"]["status"] == samples.block(1)


def test_tenants_are_worked_on_locally_with_the_python_that_runs_the_playbook(root: Path) -> None:
    found = inventory(root)
    variables = VariableManager(DataLoader(), found).get_vars(host=found.hosts["tenant00001"])
    assert variables["ansible_connection"] == "local"
    templar = Templar(DataLoader(), variables=variables)
    assert templar.template(variables["ansible_python_interpreter"]) == variables["ansible_playbook_python"]


def test_what_a_tenant_file_says_is_never_evaluated(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "Acme {{ 7*7 }} {% raw %}"
    samples.write(folder(root), samples.rut(1), samples.document(1, name=name))
    # the rules refuse such a name; without them, it would still be data
    monkeypatch.setattr(
        "ansible_collections.smartercl.smarteros.plugins.plugin_utils.rules.judge_tenant", lambda *_a: []
    )
    found = inventory(root, CONFIG + "compose:\n  shown: tenant.name\n")
    variables = VariableManager(DataLoader(), found).get_vars(host=found.hosts["tenant00001"])
    templar = Templar(DataLoader(), variables=variables)
    from ansible.template import trust_as_template

    for template in ("{{ tenant.name }}", "{{ shown }}", "{{ tenant['name'] | string }}"):
        assert templar.template(trust_as_template(template)) == name
    assert templar.template(variables["tenant"])["name"] == name


def test_such_a_name_is_refused_by_the_rules(root: Path, warnings: list[str]) -> None:
    samples.write(folder(root), samples.rut(1), samples.document(1, name="Acme {{ 7*7 }}"))
    assert "tenant00001" not in inventory(root).hosts
    assert any("spec.name" in warning for warning in warnings)


def test_a_broken_and_an_invalid_file_are_told_with_place_key_and_rule_and_left_out(
    root: Path, warnings: list[str]
) -> None:
    path = folder(root) / f"{samples.rut(1)}.yml"
    path.write_text("spec:\n  rut: [\n")
    samples.write(folder(root), samples.rut(2), samples.document(2, plan="gold"))
    found = inventory(root)
    assert len(found.hosts) == COUNT - 2
    assert any(f"specs/tenants/registry/{path.name}:3" in warning for warning in warnings)
    assert any(f"specs/tenants/registry/{samples.rut(2)}.yml:6: spec.plan: " in warning for warning in warnings)


def test_very_many_mistakes_are_counted_and_not_all_told(root: Path, warnings: list[str]) -> None:
    for number in range(100, 140):
        (folder(root) / f"{samples.rut(number)}.yml").write_text("[")
    inventory(root)
    assert len([warning for warning in warnings if "Tenant left out" in warning]) == 20
    assert any("20 more mistakes" in warning for warning in warnings)


def test_an_environment_has_its_own_tenants_and_is_named_by_its_folder(root: Path) -> None:
    samples.write(folder(root), samples.rut(50), samples.document(50, environments=["production"]))
    samples.write(folder(root), samples.rut(51), samples.document(51, environments=None))
    production = inventory(root, environment="production")
    assert sorted(production.hosts) == ["tenant00050", "tenant00051"]
    assert production.hosts["tenant00050"].vars["tenant"]["environment"] == "production"
    assert "phase_pending" in production.groups
    assert len(inventory(root).hosts) == COUNT + 2
    assert sorted(inventory(root, CONFIG + "environment: production\n", "lab").hosts) == ["tenant00050", "tenant00051"]


def test_groups_of_ones_own_can_be_made(root: Path) -> None:
    found = inventory(
        root,
        CONFIG
        + "compose: {label: \"tenant.slug ~ '!'\"}\n"
        + "groups: {big: \"tenant.plan == 'enterprise'\"}\n"
        + "keyed_groups: [{key: tenant.locale.currency, prefix: pays}]\n",
    )
    assert found.hosts["tenant00001"].vars["label"] == "tenant00001!"
    assert [host.name for host in found.groups["big"].get_hosts()] == ["tenant00003", "tenant00007"]
    assert len(found.groups["pays_CLP"].get_hosts()) == COUNT


def test_another_spec_repository_is_named_by_the_environment(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    monkeypatch.setenv("SMOS_SPECS_REPO", str(samples.make_specs(tmp_path / "other", 2)))
    assert len(inventory(root).hosts) == 2


def test_mistakes_in_the_specs_stop_the_inventory_and_name_the_file(root: Path, warnings: list[str]) -> None:
    (root / "tenants" / "template.yml").write_text("templates: [")
    with pytest.raises(AnsibleError):
        inventory(root)
    assert any("specs/tenants/template.yml" in warning for warning in warnings)


def test_a_spec_folder_that_does_not_exist_is_named(root: Path, warnings: list[str]) -> None:
    with pytest.raises(AnsibleError):
        inventory(root, "plugin: smartercl.smarteros.tenants\nspecs: ../nowhere\n")
    assert any("nowhere is no folder; it is named by the option specs" in warning for warning in warnings)


def test_only_files_of_our_name_are_ours(root: Path, tmp_path: Path) -> None:
    ours = plugin.InventoryModule()
    for name, is_ours in (
        ("tenants.yml", True),
        ("tenants.yaml", True),
        ("hosts.yml", False),
        ("my-tenants.yml", False),
    ):
        (tmp_path / name).write_text(CONFIG)
        assert ours.verify_file(str(tmp_path / name)) is is_ours


def test_a_second_look_sees_what_has_changed(root: Path) -> None:
    time.sleep(0.03)
    assert len(inventory(root).hosts) == COUNT
    (folder(root) / f"{samples.rut(1)}.yml").unlink()
    samples.write(folder(root), samples.rut(2), samples.document(2, slug="renamed"))
    assert {"tenant00001", "tenant00002"}.isdisjoint(inventory(root).hosts)
    assert "renamed" in inventory(root).hosts
