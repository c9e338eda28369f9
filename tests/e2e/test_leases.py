"""Two workers, each with specs of its own, meet on the machine: one writer per tenant, and who comes second is told."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.target_leases import TargetLeases
from support.instance import ACME, Instance, instance, shop

OTHER = "20260101-020000-beef"


@pytest.fixture
def smos(tmp_path: Path) -> Iterator[Instance]:
    with instance(tmp_path / "smos") as made:
        made.up()
        yield made


class Machine:
    """This machine, in place of the VPS: Ansible runs the module on it as on any other."""

    def __init__(self, folder: Path) -> None:
        self.leases = TargetLeases("sandbox", folder / "locks")
        self.inventory = folder / "inventory"
        here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        named = {"smos_lock_machine": "meeting", "smos_lock_folder": str(folder / "locks")}
        (self.inventory / "group_vars").mkdir(parents=True)
        (self.inventory / "hosts.yml").write_text(json.dumps({"meetings": {"hosts": {"meeting": here}}}))
        (self.inventory / "group_vars" / "tenants.yml").write_text(json.dumps(named))

    def holds(self, *ruts: str, lease_s: float = 900.0) -> None:
        """Another worker has begun on these tenants."""
        who = {"run": OTHER, "holder": "awx@elsewhere", "host": "elsewhere", "reason": "suspend", "pid": 7}
        self.leases.take(ruts, who, lease_s=lease_s)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def apply(smos: Instance, machine: Machine, *more: str) -> Any:
    return smos.play("apply_tenants.yml", "-i", str(machine.inventory / "hosts.yml"), *more)


def test_what_another_worker_holds_is_left_alone_and_what_it_left_behind_is_taken_over(
    smos: Instance, machine: Machine
) -> None:
    smos.add_files([ACME, shop(1)])
    machine.holds(ACME.rut)
    refused = apply(smos, machine, "--limit", ACME.slug)
    assert refused.code == 2, refused
    for words in (ACME.rut, OTHER, "awx@elsewhere", "suspend", "lease on meeting", "without a sign of life"):
        assert words in refused.out, refused
    assert smos.writes() == []
    assert smos.locks() == []

    machine.holds(shop(1).rut, lease_s=-1)
    apart = apply(smos, machine)
    assert apart.code == 2, apart
    told = " ".join((apart.out + apart.err).split())
    assert f"the lease of run {OTHER} on meeting was left behind by awx@elsewhere; taken over" in told, apart
    assert smos.phases() == {ACME.rut: "pending", shop(1).rut: "active"}
    assert list(machine.leases.held()) == [ACME.rut]
    assert smos.locks() == []
