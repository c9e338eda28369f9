"""Stopping and starting what writes, and knowing when that is done."""

from __future__ import annotations

import copy
import socket
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import probe, stack_state
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import machine
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.config import Config, ServiceData
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import EngineError


class Swarm:
    """Services whose tasks follow what is wanted. ``ill`` fail as soon as they are wanted; ``stubborn`` never stop."""

    def __init__(self, *names: str) -> None:
        self.services: dict[str, dict[str, Any]] = {}
        self.conflicts = 0
        self.ill: set[str] = set()
        self.stubborn: set[str] = set()
        self.failures = 0
        for name in names:
            stack = name.partition("_")[0]
            labels = {
                stack_state.OWNER_LABEL: "smarteros",
                stack_state.SERVICE_LABEL: stack,
                stack_state.CONFIG_LABEL: f"config-{stack}",
                stack_state.NAMESPACE_LABEL: stack,
                stack_state.ROUTE_LABEL: "true",
                "traefik.http.routers.x.rule": f"Host(`{stack}.example.com`)",
            }
            container = {"Image": f"{name}:1", "Secrets": [{"SecretName": "kept"}]}
            spec = {
                "Name": name,
                "Labels": labels,
                "Mode": {"Replicated": {"Replicas": 2 if name.endswith("worker") else 1}},
                "TaskTemplate": {"ContainerSpec": container},
            }
            self.services[name] = {"ID": f"id-{name}", "Version": {"Index": 7}, "Spec": spec}

    def wanted(self, name: str) -> int:
        return int(self.services[name]["Spec"]["Mode"]["Replicated"]["Replicas"])

    def get(self, path: str, **filters: Any) -> Any:
        if path == "/services":
            return copy.deepcopy(list(self.services.values()))
        if path == "/tasks":
            return [task for name in self.services for task in self._tasks(name)]
        if path == "/containers/json":
            name = filters["label"][0].partition("=")[2]
            return [{}] * (1 if name in self.stubborn else self.wanted(name))
        return copy.deepcopy(self.services[path.removeprefix("/services/")])

    def post(self, path: str, body: dict[str, Any]) -> None:
        if self.conflicts:
            self.conflicts -= 1
            raise EngineError("rpc error: update out of sequence", 500)
        assert path.endswith("/update?version=7")
        self.services[body["Name"]]["Spec"] = body

    def _tasks(self, name: str) -> list[dict[str, Any]]:
        state = "failed" if name in self.ill else "running"
        self.failures += name in self.ill
        return [
            {
                "ID": f"{name}-{at}-{self.failures}",
                "ServiceID": f"id-{name}",
                "CreatedAt": f"2026-11-23T00:00:0{at}Z",
                "DesiredState": "running",
                "Status": {"State": state, "Err": "exit 1", "Timestamp": "2026-11-23T00:00:01Z"},
                "Spec": {"ContainerSpec": self.services[name]["Spec"]["TaskTemplate"]["ContainerSpec"]},
            }
            for at in range(self.wanted(name) * (4 if state == "failed" else 1))
        ]


@pytest.fixture
def swarm(monkeypatch: pytest.MonkeyPatch) -> Swarm:
    monkeypatch.setattr(machine, "POLL_S", 0.0)
    return Swarm("n8n_n8n", "chatwoot_rails", "chatwoot_worker", "postgresql_postgresql")


def test_what_runs_is_told_by_service(swarm: Any) -> None:
    here = machine.look(swarm)
    assert set(here) == {"n8n", "chatwoot", "postgresql"}
    assert here["n8n"] == machine.Seen("n8n_n8n:1", "config-n8n", {"n8n_n8n": 1}, {"n8n": "n8n_n8n:1"})
    assert here["chatwoot"].wanted == {"chatwoot_rails": 1, "chatwoot_worker": 2}


def test_writers_are_the_stack_but_never_the_server_itself(swarm: Any) -> None:
    here = machine.look(swarm)
    assert machine.writers_of(ServiceData("chatwoot"), here) == ["chatwoot_rails", "chatwoot_worker"]
    assert machine.writers_of(ServiceData("chatwoot", writers=("chatwoot_worker",)), here) == ["chatwoot_worker"]
    assert machine.writers_of(ServiceData("postgresql"), here) == []
    assert machine.writers_of(ServiceData("absent"), here) == []


def test_stopped_and_started_with_everything_else_as_it_was(swarm: Any) -> None:
    before = copy.deepcopy(swarm.services)
    wanted = machine.stop(swarm, ["chatwoot_rails", "chatwoot_worker", "not_there"])
    assert wanted == {"chatwoot_rails": 1, "chatwoot_worker": 2}
    assert swarm.wanted("chatwoot_worker") == 0
    assert swarm.wanted("n8n_n8n") == 1
    machine.start(swarm, wanted)
    assert swarm.services == before


def test_somebody_elses_change_in_between_is_read_and_kept(swarm: Any) -> None:
    swarm.conflicts = 2
    machine.stop(swarm, ["n8n_n8n"])
    assert swarm.wanted("n8n_n8n") == 0
    swarm.conflicts = 99
    with pytest.raises(EngineError, match="out of sequence"):
        machine.stop(swarm, ["chatwoot_rails"])


def test_what_does_not_stop_or_start_is_named(swarm: Any) -> None:
    swarm.stubborn = {"n8n_n8n"}
    with pytest.raises(machine.MachineError, match="n8n_n8n did not stop within 0 s"):
        machine.stop(swarm, ["n8n_n8n"], 0.0)
    swarm.ill = {"n8n_n8n"}
    with pytest.raises(machine.MachineError, match="times in a row: exit 1"):
        machine.start(swarm, {"n8n_n8n": 1}, 5.0)
    swarm.services["n8n_n8n"]["Spec"]["Mode"] = {"Global": {}}
    with pytest.raises(machine.MachineError, match="not a replicated service"):
        machine.stop(swarm, ["n8n_n8n"])


def test_healthy_is_what_runs_and_answers(swarm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    data = ServiceData("n8n")
    question = machine.question_of(swarm, data)
    assert question == probe.Question("n8n.example.com", "/")
    asked = machine.question_of(swarm, ServiceData("n8n", answers="flows.example.com/healthz"))
    assert asked == probe.Question("flows.example.com", "/healthz")
    assert machine.healthy(swarm, "n8n", None) == ""
    monkeypatch.setattr(probe, "wait", lambda *_: probe.Probe(502, 1.0, why="HTTP 502"))
    assert machine.healthy(swarm, "n8n", question) == "HTTP 502"
    assert machine.healthy(swarm, "odoo", None) == "it does not run on this machine"
    swarm.ill = {"n8n_n8n"}
    assert "times in a row" in machine.healthy(swarm, "n8n", question, 5.0)


def test_keys_that_are_not_those_of_the_backup_are_named() -> None:
    config = Config("production", "/backups", "/p", {}, fingerprints={"a": "1", "b": "2"})
    assert machine.keys_differ(config, {"a": "1", "b": "3", "c": "4"}) == ["b", "c"]


def test_a_machine_that_took_another_one_s_place_has_another_name(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("0123456789abcdef\n")
    other.write_text("fedcba9876543210\n")
    names = {machine.name(each) for each in (one, other, tmp_path / "none")}
    assert len(names) == 3
    assert all(each.startswith(socket.gethostname()) for each in names)
    assert not any("0123" in each for each in names), "the id itself stays on the machine"
