# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What a machine is in a Swarm, and what the Swarm is: one look, nothing changed."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine

ACTIVE, INACTIVE, PENDING = "active", "inactive", "pending"  # states of a machine in a Swarm, as the Engine has them

Json = dict[str, t.Any]


@dataclass(frozen=True)
class Node:
    """A machine of the Swarm, as its manager knows it."""

    id: str
    name: str
    address: str
    state: str
    spec: Json = field(repr=False)
    version: int

    @property
    def labels(self) -> dict[str, str]:
        """All labels, ours and others'."""
        return dict(self.spec.get("Labels") or {})

    @property
    def availability(self) -> str:
        """active, pause or drain."""
        return str(self.spec.get("Availability", ""))


@dataclass(frozen=True)
class Network:
    """A network by its name. One of this machine alone is ``local``, one of all machines ``swarm``."""

    name: str
    driver: str
    scope: str
    attachable: bool
    internal: bool
    encrypted: bool


@dataclass(frozen=True)
class Swarm:
    """This machine's place in a Swarm; what only a manager knows is empty elsewhere."""

    present: bool = True
    """Whether an Engine answers at all."""
    state: str = INACTIVE
    error: str = ""
    node: str = ""
    name: str = ""
    address: str = ""
    manager: bool = False
    managers: t.Mapping[str, str] = field(default_factory=dict)
    """Address with port by node id, as far as this machine knows them."""
    spec: Json = field(default_factory=dict, repr=False)
    version: int = 0
    nodes: t.Mapping[str, Node] = field(default_factory=dict)
    networks: t.Mapping[str, Network] = field(default_factory=dict)

    @property
    def history(self) -> int | None:
        """How many past tasks are kept of each; None where that is not known."""
        limit = (self.spec.get("Orchestration") or {}).get("TaskHistoryRetentionLimit")
        return None if limit is None else int(limit)

    @property
    def manager_address(self) -> str:
        """Where this manager is reached by machines that join; empty on others."""
        return self.managers.get(self.node, "") if self.manager else ""


def look(engine: Engine) -> Swarm:
    """See the machine's place in a Swarm. Raises EngineError where an Engine is there and does not answer this."""
    if not engine.present:
        return Swarm(present=False)
    info = engine.get("/info")
    own = info.get("Swarm") or {}
    manager = bool(own.get("ControlAvailable"))
    cluster = engine.get("/swarm") if manager else {}
    return Swarm(
        state=str(own.get("LocalNodeState") or INACTIVE),
        error=str(own.get("Error") or ""),
        node=str(own.get("NodeID") or ""),
        name=str(info.get("Name") or ""),
        address=str(own.get("NodeAddr") or ""),
        manager=manager,
        managers={str(each["NodeID"]): str(each["Addr"]) for each in own.get("RemoteManagers") or ()},
        spec=cluster.get("Spec") or {},
        version=_version(cluster),
        nodes={each["ID"]: _node(each) for each in engine.get("/nodes")} if manager else {},
        networks={each["Name"]: _network(each) for each in engine.get("/networks")},
    )


def join_token(engine: Engine) -> str:
    """What lets a machine in as a worker. A secret."""
    return str(engine.get("/swarm")["JoinTokens"]["Worker"])


def _node(told: Json) -> Node:
    status = told.get("Status") or {}
    return Node(
        id=str(told["ID"]),
        name=str((told.get("Description") or {}).get("Hostname") or ""),
        address=str(status.get("Addr") or ""),
        state=str(status.get("State") or ""),
        spec=told.get("Spec") or {},
        version=_version(told),
    )


def _network(told: Json) -> Network:
    return Network(
        name=str(told["Name"]),
        driver=str(told.get("Driver") or ""),
        scope=str(told.get("Scope") or ""),
        attachable=bool(told.get("Attachable")),
        internal=bool(told.get("Internal")),
        encrypted="encrypted" in (told.get("Options") or {}),
    )


def _version(told: Json) -> int:
    return int((told.get("Version") or {}).get("Index", 0))
