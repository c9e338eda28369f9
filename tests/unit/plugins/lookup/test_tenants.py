# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The merged tenants of host names, as they are now."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleLookupError
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import lookup_loader
from ansible.template import Templar, trust_as_template

from ansible_collections.smartercl.smarteros.plugins.module_utils.registry.store import Registry
from support.processes import costs
from unit.plugins import registry_samples as samples

ROOT = Path(__file__).resolve().parents[4]
NAME = "smartercl.smarteros.tenants"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("SMOS_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.delenv("SMOS_SPECS_REPO", raising=False)
    return samples.make_specs(tmp_path, 6)


def look_up(
    root: Path, names: list[Any], *, hostvars: dict[str, Any] | None = None, specs: Any = None, **options: Any
) -> Any:
    variables = {"smos_specs": specs or str(root), "smos_environment": "sandbox", "hostvars": hostvars or {}}
    templar = Templar(DataLoader(), variables=variables)
    return lookup_loader.get(NAME, loader=DataLoader(), templar=templar).run(names, variables=variables, **options)


def test_tenants_come_in_the_order_of_the_names(root: Path) -> None:
    found = look_up(root, [["tenant00003", "tenant00001"]])
    assert [tenant["id"] for tenant in found] == [samples.rut(3), samples.rut(1)]
    assert found[0]["status"] == samples.block(3)


def test_names_may_be_given_one_by_one(root: Path) -> None:
    assert [tenant["slug"] for tenant in look_up(root, ["tenant00002", "tenant00001"])] == [
        "tenant00002",
        "tenant00001",
    ]


def test_some_can_be_left_out_by_slug_or_rut(root: Path) -> None:
    names = [f"tenant{number:05d}" for number in range(4)]
    found = look_up(root, [names], without=["tenant00001", samples.rut(2)])
    assert [tenant["slug"] for tenant in found] == ["tenant00000", "tenant00003"]


def test_a_status_written_in_the_same_run_is_seen(root: Path) -> None:
    for phase in ("failed", "active", "pending"):
        Registry(root / "tenants" / "registry").update_status(samples.rut(1), "sandbox", {"phase": phase})
        assert look_up(root, [["tenant00001"]])[0]["phase"] == phase


def test_a_tenant_that_is_not_registered_is_what_its_variable_says(root: Path) -> None:
    wanted = {"id": "76086428-5", "slug": "fresh"}
    found = look_up(root, [["fresh", "tenant00001"]], hostvars={"fresh": {"tenant": wanted}})
    assert found[0] == wanted
    assert look_up(root, [["fresh"]], hostvars={"fresh": {"tenant": wanted}}, without=["76086428-5"]) == []


def test_a_name_that_nobody_knows_is_an_error(root: Path) -> None:
    with pytest.raises(AnsibleLookupError, match="nobody"):
        look_up(root, [["nobody"]])


def test_the_folder_may_be_a_template(root: Path) -> None:
    specs = trust_as_template("{{ '" + str(root) + "' }}")
    assert len(look_up(root, [["tenant00001"]], specs=specs)) == 1


def test_a_thousand_known_tenants_cost_little_more_than_reading_their_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMOS_STATE_DIR", str(tmp_path / "state"))
    root = samples.make_specs(tmp_path, 1000)
    time.sleep(0.03)
    names = [f"tenant{number:05d}" for number in range(1000)]
    tenants = look_up(root, [names])
    assert len(tenants) == 1000
    plain, known = costs(lambda: json.loads(json.dumps(tenants)), lambda: look_up(root, [names]))
    print(f"1,000 tenants: {known / plain:.1f} times their JSON")
    assert known < 5 * plain, "usually 1.2; 9 where every file is read again"


PLAY = """\
- hosts: tenants
  gather_facts: false
  tasks:
    - name: Look
      ansible.builtin.copy:
        content: "{{ query('smartercl.smarteros.tenants', ansible_play_hosts_all, without=['tenant00002']) | to_json }}"
        dest: "{{ out }}"
        mode: "0644"
      run_once: true
"""


def test_a_play_gets_its_tenants_with_names_as_they_are_written(root: Path, tmp_path: Path) -> None:
    samples.write(root / "tenants" / "registry", samples.rut(1), samples.document(1, name="Ñandú & Co"))
    place = tmp_path / "inventories" / "sandbox"
    (place / "group_vars").mkdir(parents=True)
    (place / "tenants.yml").write_text(f"plugin: {NAME}\n")
    (place / "group_vars" / "all.yml").write_text(
        "smos_environment: sandbox\nsmos_specs: \"{{ inventory_dir ~ '/../../specs' }}\"\n"
    )
    (tmp_path / "play.yml").write_text(PLAY)
    out = tmp_path / "out.json"
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-i", str(place), str(tmp_path / "play.yml"), "-e", f"out={out}"],
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "SMOS_STATE_DIR": str(tmp_path / "state")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(out.read_text())
    assert [tenant["slug"] for tenant in found] == [f"tenant{number:05d}" for number in (0, 1, 3, 4, 5)]
    assert found[1]["name"] == "Ñandú & Co"
