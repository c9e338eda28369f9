# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""A machine's place in a Swarm: begun, joined, kept, refused; and never left."""

from __future__ import annotations

import typing as t

import pytest
from ansible.module_utils.basic import AnsibleModule

from ansible_collections.smartercl.smarteros.plugins.module_utils import swarm_apply
from ansible_collections.smartercl.smarteros.plugins.module_utils.bulk import Ended, InProcess
from ansible_collections.smartercl.smarteros.plugins.modules import swarm_node
from unit.plugins.fakes.swarm import TOKEN, Machine

PANEL = {"name": "dokploy-network", "attachable": True, "internal": False, "encrypted": None, "subnet": ""}
SOCKET = {"name": "smarteros-socket", "attachable": False, "internal": True, "encrypted": None, "subnet": ""}


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swarm_apply, "POLL_S", 0)
    monkeypatch.setattr(swarm_apply, "own_address", lambda: "203.0.113.10")


def call(machine: Machine, *, check: bool = False, **params: t.Any) -> dict[str, t.Any]:
    given = {name: option.get("default") for name, option in swarm_node.OPTIONS.items()} | params
    with pytest.raises(Ended) as ended:
        swarm_node.work(t.cast("AnsibleModule", InProcess(given, check)), machine)
    return ended.value.result


def node(identity: str = "", labels: dict[str, str] | None = None, availability: str | None = None) -> dict[str, t.Any]:
    return {"id": identity, "labels": labels or {}, "availability": availability}


def wish(**more: t.Any) -> dict[str, t.Any]:
    return {
        "role": "manager",
        "task_history": 3,
        "networks": [PANEL, SOCKET],
        "nodes": [node(labels={"place": "a"})],
        **more,
    }


def swarm() -> Machine:
    machine = Machine()
    call(machine, **wish())
    machine.sent.clear()
    return machine


def whats(result: dict[str, t.Any]) -> list[str]:
    return [change["what"] for change in result["changes"]]


def test_a_swarm_is_begun_with_all_that_belongs_to_it() -> None:
    machine = Machine()
    result = call(machine, **wish(address_pools=["10.20.0.0/16"]))
    assert whats(result) == ["swarm", "network dokploy-network", "network smarteros-socket", "node vps1"]
    assert result["node"] == {"id": "idvps1", "name": "vps1", "address": "203.0.113.10", "manager": True}
    assert (result["joined"], result["manager_address"]) == (True, "203.0.113.10:2377")
    begun = machine.sent[0][1]
    assert (begun["AdvertiseAddr"], begun["DefaultAddrPool"], begun["SubnetSize"]) == (
        "203.0.113.10",
        ["10.20.0.0/16"],
        24,
    )
    made = {
        body["Name"]: (body["Driver"], body["Attachable"], body["Internal"])
        for path, body in machine.sent
        if "networks" in path
    }
    assert made == {"dokploy-network": ("overlay", True, False), "smarteros-socket": ("overlay", False, True)}
    assert machine.nodes["idvps1"]["Spec"]["Labels"] == {"cl.smarteros.place": "a"}


def test_what_is_as_declared_is_left_alone() -> None:
    machine = swarm()
    result = call(machine, **wish())
    assert (result["changed"], machine.sent) == (False, [])
    assert "join_token" not in result


def test_check_mode_foretells_the_same_and_does_nothing() -> None:
    machine = Machine()
    told = call(machine, check=True, **wish(address="203.0.113.10"))
    assert (machine.sent, told["joined"]) == ([], False)
    done = call(machine, **wish(address="203.0.113.10"))
    assert [c["what"] for c in told["changes"][:-1]] == whats(done)[:-1]
    assert told["changes"][-1]["after"] == done["changes"][-1]["after"]
    machine.sent.clear()
    told = call(machine, check=True, **wish(task_history=7))
    assert (whats(told), machine.sent) == (["past tasks"], [])


def test_check_mode_where_the_engine_is_yet_to_be_installed() -> None:
    assert "swarm" in whats(call(Machine(there=False), check=True, **wish()))
    failed = call(Machine(there=False), **wish())
    assert (failed["failed"], failed["exit_code"]) == (True, 3)


def test_only_the_history_changes_and_certificates_go_back_as_they_were_read() -> None:
    machine = swarm()
    result = call(machine, **wish(task_history=7))
    assert (whats(result), result["changes"][0]["before"]) == (["past tasks"], {"kept": 3})
    ((path, body),) = machine.sent
    assert path == "/swarm/update?version=10"
    assert body == {"Name": "default", "Orchestration": {"TaskHistoryRetentionLimit": 7}, "CAConfig": {"kept": 1}}


def test_labels_of_others_stay_and_ours_that_are_not_declared_go() -> None:
    machine = swarm()
    machine.nodes["idvps1"]["Spec"]["Labels"] = {"cl.smarteros.old": "1", "gpu": "yes"}
    result = call(machine, **wish(nodes=[node(labels={"place": "b"}, availability="drain")]))
    assert machine.nodes["idvps1"]["Spec"] == {
        "Role": "worker",
        "Availability": "drain",
        "Labels": {"gpu": "yes", "cl.smarteros.place": "b"},
    }
    assert result["diff"]["before"]["node vps1"]["availability"] == "active"


def test_a_change_of_somebody_else_in_between_is_read_and_not_overwritten() -> None:
    machine = swarm()
    machine.meddling = 2
    assert call(machine, **wish(nodes=[node(labels={"place": "b"})]))["changed"]
    machine.meddling = 99
    failed = call(machine, **wish(nodes=[node(labels={"place": "c"})]))
    assert (failed["exit_code"], failed["changes"]) == (1, [])


@pytest.mark.parametrize(
    ("different", "why"),
    [
        ({"Driver": "bridge", "Scope": "local"}, "a bridge network of scope local"),
        ({"Attachable": False}, "not attachable"),
    ],
)
def test_a_network_that_is_not_fit_is_refused_before_anything_is_done(different: dict[str, t.Any], why: str) -> None:
    machine = Machine()
    machine.networks = [{"Name": PANEL["name"], "Driver": "overlay", "Scope": "swarm", "Attachable": True, **different}]
    failed = call(machine, **wish())
    assert why in failed["msg"]
    assert (failed["exit_code"], machine.sent) == (3, [])


def test_an_encrypted_network_may_stay_unless_something_else_is_declared() -> None:
    machine = swarm()
    machine.networks[0]["Options"] = {"encrypted": ""}
    assert not call(machine, **wish())["changed"]
    assert "it is encrypted" in call(machine, **wish(networks=[{**PANEL, "encrypted": False}]))["msg"]


def joined(**more: t.Any) -> tuple[Machine, Machine, dict[str, t.Any]]:
    manager = swarm()
    worker = Machine(name="vps2", ip="203.0.113.11", others={"203.0.113.10:2377": manager}, **more)
    asked = call(manager, check=True, role="manager", tokens=True)
    params = {
        "role": "worker",
        "manager_address": asked["manager_address"],
        "manager_id": asked["node"]["id"],
        "join_token": asked["join_token"],
    }
    return manager, worker, params


def test_a_worker_joins_and_is_labelled_by_its_manager() -> None:
    manager, worker, params = joined()
    result = call(worker, **params)
    assert (whats(result), result["joined"], result["node"]["manager"]) == (["swarm"], True, False)
    assert TOKEN not in str(result)
    labelled = call(manager, role="manager", nodes=[node(result["node"]["id"], {"place": "second"})])
    assert whats(labelled) == ["node vps2"]
    worker.sent.clear()
    assert not call(worker, **{**params, "join_token": None})["changed"]
    assert worker.sent == []


def test_a_worker_is_known_by_its_managers_address_too() -> None:
    _manager, worker, params = joined()
    call(worker, **params)
    assert not call(worker, **{**params, "manager_id": ""})["changed"]


def test_check_mode_foretells_that_a_worker_joins() -> None:
    _manager, worker, params = joined()
    told = call(worker, check=True, **params)
    assert (whats(told), told["joined"], worker.sent) == (["swarm"], False, [])


def test_joining_that_goes_on_in_the_background_is_waited_for() -> None:
    _manager, worker, params = joined()
    worker.slow = 0

    def slowly(path: str, body: t.Any = None) -> None:
        Machine.post(worker, path, body)
        worker.slow = 3

    worker.post = slowly  # type: ignore[method-assign] # a slow Engine
    assert call(worker, **params)["joined"]


def test_a_token_that_is_refused_is_never_shown() -> None:
    _manager, worker, params = joined()
    failed = call(worker, **{**params, "join_token": "SWMTKN-1-wrong"})
    assert "invalid join token ***" in failed["msg"]
    assert "SWMTKN" not in str(failed)
    assert failed["exit_code"] == 1


def test_a_worker_needs_to_know_where_to() -> None:
    failed = call(Machine(), role="worker")
    assert (failed["exit_code"], "join_token" in failed["msg"]) == (3, True)


def test_a_machine_of_another_swarm_is_refused_and_stays_there() -> None:
    _manager, _worker, params = joined()
    stranger = Machine(state="active", id="x", managers={"y": "203.0.113.99:2377"})
    failed = call(stranger, **params)
    assert "another Swarm already, that of 203.0.113.99:2377" in failed["msg"]
    assert (failed["exit_code"], stranger.sent) == (3, [])
    failed = call(stranger, **wish())
    assert "a worker in the Swarm of 203.0.113.99:2377" in failed["msg"]
    assert stranger.sent == []


@pytest.mark.parametrize("state", ["error", "locked", "pending"])
def test_a_machine_that_is_lost_in_its_swarm_is_told_and_not_mended_by_force(state: str) -> None:
    machine = Machine(state=state, error="certificate has expired", id="x", managers={"y": "203.0.113.99:2377"})
    failed = call(machine, wait_timeout=0.0, **wish())
    assert "certificate has expired" in failed["msg"]
    assert machine.sent == []


def test_without_a_way_out_the_address_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost() -> str:
        raise swarm_apply.NoAddressError("Network is unreachable")

    monkeypatch.setattr(swarm_apply, "own_address", lost)
    machine = Machine()
    failed = call(machine, **wish())
    assert "docker_advertise_address" in failed["errors"][0]["next"]
    assert (failed["exit_code"], machine.sent) == (3, [])


def test_a_node_that_is_not_in_the_swarm_is_refused() -> None:
    assert "is not in this Swarm" in call(swarm(), role="manager", nodes=[node("nobody")])["msg"]
