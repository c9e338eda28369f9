"""Holding a run's tenants on the machine, as the controller does it; the module's part is done by the module itself."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest
from ansible.errors import AnsibleConnectionFailure

from ansible_collections.smartercl.smarteros.plugins.action import backup_tenant, tenant_hold, tenant_settle
from ansible_collections.smartercl.smarteros.plugins.module_utils.target_leases import TargetLeases
from ansible_collections.smartercl.smarteros.plugins.modules import tenant_lease
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import leases, locks
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import Stop
from unit.plugins.wire import run_module

ONE, TWO = "10000001-6", "10000002-4"
Row = dict[str, t.Any]


class Setting:
    """A run on two tenants."""

    def __init__(self, folder: Path, run: str = "mine", check_mode: bool = False) -> None:
        self.environment, self.run, self.check_mode, self.pid = "production", run, check_mode, os.getpid()
        self.locks = locks.Locks(folder, "production")

    def tenants(self, names: list[str], _task_vars: Row) -> list[Row]:
        return [{"id": key, "slug": f"shop-{key[7]}"} for key in names]


class Machine:
    """A machine with its leases; ``down`` is why it cannot be reached."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.down = folder, ""
        self.asked: list[t.Any] = []  # arguments
        self.leases = TargetLeases("production", folder)

    def ask(self, arguments: Row) -> Row:
        self.asked.append(arguments)
        if self.down:
            raise AnsibleConnectionFailure(self.down)
        return run_module(tenant_lease, **{**arguments, "folder": str(self.folder)})

    def runs(self) -> dict[str, str]:
        return {key: there["run"] for key, there in self.leases.held().items()}

    def of_another(self, *keys: str, pid: int = 0, lease_s: float = 900.0) -> None:
        """Another run of this machine's, whose process is that one, has these."""
        self.leases.take(keys, {**locks.holder("other", "suspend", pid or os.getpid()), "run": "other"}, (), lease_s)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "locks")


@pytest.fixture
def gone() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


class Hold(tenant_hold.ActionModule):
    """The action without Ansible around it."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.told: list[str] = []

    def machine_leases(self, setting: t.Any, task_vars: Row, folder: str = "") -> leases.Leases:
        return leases.Leases(self._machine.ask, setting.environment, "vps1", folder)

    def warn(self, text: str) -> None:
        self.told.append(text)

    def hold(self, setting: Setting, facts: Row, wait: float = 0.0) -> Row:
        args = {"tenants": [ONE, TWO], "reason": "update tenant", "wait": wait, "lease": 900.0, "folder": ""}
        return self.work(args, t.cast(t.Any, setting), {"ansible_facts": facts})


def test_all_tenants_are_held_by_one_call(machine: Machine, tmp_path: Path) -> None:
    got = Hold(machine).hold(Setting(tmp_path), {"smos_locked": [], "smos_failed": []})
    assert len(machine.asked) == 1
    assert machine.runs() == {ONE: "mine", TWO: "mine"}
    held = machine.leases.held()[ONE]
    assert (held["reason"], held["pid"]) == ("update tenant", os.getpid())
    assert got["ansible_facts"]["smos_lease"]["machine"] == "vps1"
    assert got["errors"] == []


def test_what_is_locked_here_is_not_asked_for_there(machine: Machine, tmp_path: Path) -> None:
    Hold(machine).hold(Setting(tmp_path), {"smos_locked": [ONE]})
    assert machine.runs() == {TWO: "mine"}


def test_a_tenant_that_another_run_holds_leaves_the_run(machine: Machine, tmp_path: Path) -> None:
    machine.of_another(ONE)
    hold = Hold(machine)
    got = hold.hold(Setting(tmp_path), {"smos_failed": ["x"]})
    assert got["ansible_facts"]["smos_failed"] == ["x", ONE]
    assert got["ansible_facts"]["smos_locked"] == [ONE]
    (error,) = got["errors"]
    assert error["where"] == "lease on vps1"
    for words in ("run other", "suspend", " s "):
        assert words in error["why"]
    assert len(hold.told) == 1
    assert machine.runs() == {ONE: "other", TWO: "mine"}


def test_when_others_hold_all_the_run_is_refused_with_4(machine: Machine, tmp_path: Path) -> None:
    machine.of_another(ONE, TWO)
    with pytest.raises(Stop) as refused:
        Hold(machine).hold(Setting(tmp_path), {})
    assert refused.value.exit_code == 4
    assert len(refused.value.errors) == 2
    assert machine.runs() == {ONE: "other", TWO: "other"}


def test_the_lease_of_a_process_that_is_gone_is_taken_over_at_once(machine: Machine, tmp_path: Path, gone: int) -> None:
    machine.of_another(ONE, pid=gone)
    hold = Hold(machine)
    assert hold.hold(Setting(tmp_path), {})["errors"] == []
    assert machine.runs() == {ONE: "mine", TWO: "mine"}
    assert "run other" in hold.told[0]
    assert [each.get("take_over") for each in machine.asked] == [None, ["other"]]


def test_a_wait_is_done_on_the_machine(machine: Machine, tmp_path: Path) -> None:
    machine.of_another(ONE)
    Hold(machine).hold(Setting(tmp_path), {}, wait=0.01)
    assert [each.get("wait") for each in machine.asked] == [None, 0.01]


def test_a_check_asks_nothing(machine: Machine, tmp_path: Path) -> None:
    assert Hold(machine).hold(Setting(tmp_path, check_mode=True), {}) == {"changed": False}
    assert machine.asked == []


def test_a_machine_that_cannot_be_reached_stops_the_run(machine: Machine, tmp_path: Path) -> None:
    machine.down = "no route to host"
    with pytest.raises(leases.LeaseError) as failed:
        Hold(machine).hold(Setting(tmp_path), {})
    assert failed.value.row["where"] == "vps1"
    assert "no route to host" in failed.value.row["why"]
    assert "smos_lock_machine" in failed.value.row["next"]


def held(age_s: float) -> Row:
    return {"machine": "vps1", "lease_s": 900.0, "renewed_at": time.time() - age_s, "folder": ""}


def test_leases_are_renewed_when_a_third_is_over(machine: Machine, tmp_path: Path) -> None:
    hold, setting = Hold(machine), Setting(tmp_path)
    hold.hold(setting, {})
    assert hold.hold(setting, {"smos_lease": held(200)}) == {"changed": False}
    assert len(machine.asked) == 1
    got = hold.hold(setting, {"smos_lease": held(400)})
    assert machine.asked[-1]["state"] == "renewed"
    assert got["ansible_facts"]["smos_lease"]["renewed_at"] > time.time() - 100
    assert got["errors"] == []


def test_a_lease_that_was_lost_takes_its_tenant_out_of_the_run(machine: Machine, tmp_path: Path) -> None:
    hold, setting = Hold(machine), Setting(tmp_path)
    machine.leases.take([ONE, TWO], {"run": "mine"}, lease_s=-1)
    machine.of_another(ONE)
    got = hold.hold(setting, {"smos_lease": held(1000), "smos_failed": [], "smos_locked": []})
    assert got["ansible_facts"]["smos_locked"] == [ONE]
    assert got["errors"][0]["what"] == f"tenant shop-1 ({ONE})"


def test_a_machine_that_is_away_for_a_while_does_not_stop_the_run(machine: Machine, tmp_path: Path) -> None:
    hold, setting = Hold(machine), Setting(tmp_path)
    machine.down = "timed out"
    assert hold.hold(setting, {"smos_lease": held(400)}) == {"changed": False}
    assert "timed out" in hold.told[0]
    with pytest.raises(Stop) as stopped:
        hold.hold(setting, {"smos_lease": held(1000)})
    assert stopped.value.exit_code == 1


@pytest.mark.parametrize(
    "answer", [{"failed": True, "msg": "no space"}, {"failed": True, "module_stderr": "no python"}]
)
def test_a_module_that_fails_is_told(answer: Row) -> None:
    with pytest.raises(leases.LeaseError, match=r"vps1: no (space|python)"):
        leases.Leases(lambda _arguments: answer, "production", "vps1").release("mine")


# --- giving back, and the restore of one tenant


class Settle(tenant_settle.ActionModule):
    machine_leases = Hold.machine_leases
    __init__ = Hold.__init__
    warn = Hold.warn


def test_the_end_of_a_run_gives_the_leases_back_or_says_that_they_end(machine: Machine, tmp_path: Path) -> None:
    setting = t.cast(t.Any, Setting(tmp_path))
    settle = Settle(machine)
    settle._give_back(setting, {"ansible_facts": {}})
    assert machine.asked == []
    machine.leases.take([ONE], {"run": "mine"})
    settle._give_back(setting, {"ansible_facts": {"smos_lease": held(0)}})
    assert machine.runs() == {}
    machine.down = "timed out"
    settle._give_back(setting, {"ansible_facts": {"smos_lease": held(0)}})
    assert "end by themselves within 900 s: timed out" in settle.told[0]


class Templar:
    def template(self, value: t.Any) -> t.Any:
        return value


class Restore(backup_tenant.ActionModule):
    machine_leases = Hold.machine_leases
    warn = Hold.warn

    def __init__(self, machine: Machine) -> None:
        self._machine, self._templar = machine, Templar()
        self.told: list[str] = []


def vps1(meeting: str) -> Row:
    """The variables of the machine on which a tenant is restored."""
    return {"inventory_hostname": "vps1", "smos_lock_machine": meeting}


class Entry:
    rut, slug = ONE, "acme"


@pytest.fixture
def restore(machine: Machine) -> Restore:
    return Restore(machine)


def test_a_restore_holds_its_tenant_here_and_there(restore: Restore, machine: Machine, tmp_path: Path) -> None:
    setting = t.cast(t.Any, Setting(tmp_path))
    with restore._alone(t.cast(t.Any, Entry()), "mine", setting, vps1("vps1")):
        assert machine.runs() == {ONE: "mine"}
        assert list(setting.locks.held()) == [ONE]
    assert machine.runs() == {}
    assert setting.locks.held() == {}
    with restore._alone(t.cast(t.Any, Entry()), "mine", setting, vps1("")):
        assert machine.runs() == {}


def test_a_restore_of_what_another_worker_holds_is_refused(restore: Restore, machine: Machine, tmp_path: Path) -> None:
    setting = t.cast(t.Any, Setting(tmp_path))
    machine.of_another(ONE)
    with (
        pytest.raises(Stop) as refused,
        restore._alone(t.cast(t.Any, Entry()), "mine", setting, vps1("vps1")),
    ):
        pytest.fail("it was restored")
    assert refused.value.exit_code == 4
    assert setting.locks.held() == {}
    assert machine.runs() == {ONE: "other"}


def test_a_restore_is_not_done_where_the_other_workers_do_not_meet(
    restore: Restore, machine: Machine, tmp_path: Path
) -> None:
    setting = t.cast(t.Any, Setting(tmp_path))
    with (
        pytest.raises(Stop, match="it names vps2") as refused,
        restore._alone(t.cast(t.Any, Entry()), "mine", setting, vps1("vps2")),
    ):
        pytest.fail("it was restored")
    assert refused.value.exit_code == 3
    assert setting.locks.held() == {}
    assert machine.asked == []
