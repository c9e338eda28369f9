# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Machines with an Engine each, which can be in a Swarm: what the module reads and writes of them, in the Engine's shapes."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine, EngineError

Json = dict[str, t.Any]
TOKEN = "SWMTKN-1-abc-def"


@dataclass
class Machine(Engine):
    """One machine. ``others`` are the machines that it can reach, by address."""

    name: str = "vps1"
    ip: str = "203.0.113.10"
    there: bool = True
    state: str = "inactive"
    error: str = ""
    manager: bool = False
    id: str = ""
    spec: Json = field(default_factory=dict)
    version: int = 10
    nodes: dict[str, Json] = field(default_factory=dict)
    networks: list[Json] = field(default_factory=list)
    managers: dict[str, str] = field(default_factory=dict)
    others: dict[str, Machine] = field(default_factory=dict)
    sent: list[tuple[str, t.Any]] = field(default_factory=list)
    meddling: int = 0
    """How many updates somebody else gets in the way of."""
    slow: int = 0
    """How often the machine tells that it is still joining."""

    socket = "/var/run/docker.sock"

    @property
    def present(self) -> bool:
        return self.there

    def get(self, path: str, **_filters: t.Sequence[str]) -> t.Any:
        if path == "/info":
            return {"Name": self.name, "Swarm": self._place()}
        if path == "/swarm":
            tokens = {"Worker": TOKEN, "Manager": "never asked for"}
            return {"Version": {"Index": self.version}, "Spec": self.spec, "JoinTokens": tokens}
        if path == "/nodes":
            return list(self.nodes.values())
        if path == "/networks":
            return self.networks
        return self.nodes[path.removeprefix("/nodes/")]

    def post(self, path: str, body: t.Any = None) -> t.Any:
        self.sent.append((path, body))
        if path == "/swarm/init":
            self._begin(body)
        elif path == "/swarm/join":
            self._join(body)
        elif path == "/networks/create":
            self.networks.append({**body, "Scope": "swarm"})
        elif found := re.fullmatch(r"/swarm/update\?version=(\d+)", path):
            self._mind(int(found[1]), self.version)
            self.spec, self.version = body, self.version + 1
        elif found := re.fullmatch(r"/nodes/(\w+)/update\?version=(\d+)", path):
            node = self.nodes[found[1]]
            self._mind(int(found[2]), node["Version"]["Index"])
            node.update(Spec=body, Version={"Index": node["Version"]["Index"] + 1})

    def enters(self, identity: str, name: str, ip: str) -> None:
        """A machine is in the Swarm of this one."""
        self.nodes[identity] = {
            "ID": identity,
            "Version": {"Index": 5},
            "Spec": {"Role": "worker", "Availability": "active"},
            "Description": {"Hostname": name},
            "Status": {"State": "ready", "Addr": ip},
        }

    def _place(self) -> Json:
        if self.slow:
            self.slow -= 1
            return {"LocalNodeState": "pending"}
        managers = [{"NodeID": node, "Addr": address} for node, address in self.managers.items()]
        return {
            "LocalNodeState": self.state,
            "Error": self.error,
            "NodeID": self.id,
            "NodeAddr": self.ip if self.id else "",
            "ControlAvailable": self.manager,
            "RemoteManagers": managers or None,
        }

    def _begin(self, body: Json) -> None:
        self.state, self.manager, self.id = "active", True, f"id{self.name}"
        self.managers = {self.id: f"{body['AdvertiseAddr']}:2377"}
        history = (body["Spec"].get("Orchestration") or {}).get("TaskHistoryRetentionLimit", 5)
        self.spec = {
            "Name": "default",
            "Orchestration": {"TaskHistoryRetentionLimit": history},
            "CAConfig": {"kept": 1},
        }
        self.enters(self.id, self.name, self.ip)

    def _join(self, body: Json) -> None:
        manager = self.others.get(body["RemoteAddrs"][0])
        if manager is None or body["JoinToken"] != TOKEN:
            raise EngineError(f"invalid join token {body['JoinToken']}", 400)
        self.state, self.id = "active", f"id{self.name}"
        self.managers = dict(manager.managers)
        manager.enters(self.id, self.name, self.ip)

    def _mind(self, told: int, now: int) -> None:
        if self.meddling:
            self.meddling -= 1
            raise EngineError("rpc error: code = Unknown desc = update out of sequence", 500)
        assert told == now
