# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What a machine's place in a Swarm and the Swarm itself shall be, and what is to be done for that: pure functions.

Nothing here ever makes a machine leave a Swarm: that ends every service on it and destroys its secrets and configs.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.smartercl.smarteros.plugins.module_utils.owner import NAME as OWNER
from ansible_collections.smartercl.smarteros.plugins.module_utils.swarm_seen import (
    ACTIVE,
    INACTIVE,
    PENDING,
    Network,
    Node,
    Swarm,
)

LABEL = f"cl.{OWNER}."
"""Begins the labels of nodes that are cared for here; others are somebody else's."""
OVERLAY, OF_THE_SWARM = "overlay", "swarm"
THIS = ""  # stands for the id of the machine that is asked

LEAVING = (
    "Nothing was changed. If that Swarm is not needed any more, end it there by hand (`docker swarm leave`), "
    "which removes its services, secrets and configs from this machine; then run the same command again"
)


class Refused(Exception):
    """What is there is not ours to change. ``next`` says what the operator can do."""

    def __init__(self, message: str, following: str) -> None:
        super().__init__(message)
        self.message, self.next = message, following


@dataclass(frozen=True)
class WishedNetwork:
    """An overlay network that shall be there. ``encrypted`` None: as it is."""

    name: str
    attachable: bool = False
    internal: bool = False
    encrypted: bool | None = None
    subnet: str = ""


@dataclass(frozen=True)
class WishedNode:
    """What shall be of a machine of the Swarm. ``labels`` are ours, without their prefix."""

    id: str = THIS
    labels: t.Mapping[str, str] = field(default_factory=dict)
    availability: str | None = None


@dataclass(frozen=True)
class Wish:
    """The Swarm as its manager shall have it."""

    history: int | None = None
    networks: t.Sequence[WishedNetwork] = ()
    nodes: t.Sequence[WishedNode] = ()


@dataclass(frozen=True)
class Change:
    """One difference that is, or in check mode would be, closed."""

    action: str  # create | update
    what: str
    before: t.Mapping[str, t.Any] | None = None
    after: t.Mapping[str, t.Any] | None = None

    def as_dict(self) -> dict[str, t.Any]:
        """The change as it is returned to Ansible."""
        return {"action": self.action, "what": self.what, "before": self.before, "after": self.after}


@dataclass
class Plan:
    """What is to be done on a manager, in this order."""

    history: int | None = None
    networks: list[WishedNetwork] = field(default_factory=list)
    nodes: list[tuple[str, dict[str, t.Any]]] = field(default_factory=list)
    """Id of a node and the keys of its specification that change."""
    changes: list[Change] = field(default_factory=list)


def must_begin(seen: Swarm) -> bool:
    """Whether a Swarm is to be begun on the machine that shall be its manager."""
    _mind_the_state(seen)
    if seen.state == INACTIVE:
        return True
    if not seen.manager:
        raise Refused(
            f"this machine is a worker in the Swarm of {_told(seen.managers)}, and is to be a manager",
            f"Let a manager there promote it (`docker node promote`), or name that manager first in the group. {LEAVING}",
        )
    return False


def must_join(seen: Swarm, manager: str, address: str) -> bool:
    """Whether the machine is to join the Swarm of this manager, by its node id or address."""
    _mind_the_state(seen)
    if seen.state == INACTIVE:
        return True
    if manager in seen.managers or address in seen.managers.values():
        return False
    raise Refused(
        f"this machine belongs to another Swarm already, that of {_told(seen.managers)}, and is to join {address}",
        LEAVING,
    )


def compare(wish: Wish, seen: Swarm) -> Plan:
    """What differs on a manager; on a machine whose Swarm is yet to begin everything does."""
    todo = Plan()
    if wish.history is not None and seen.history != wish.history:
        todo.history = wish.history
        before = None if seen.history is None else {"kept": seen.history}
        todo.changes.append(Change("update", "past tasks", before, {"kept": wish.history}))
    for network in wish.networks:
        there = seen.networks.get(network.name)
        if there is None:
            todo.networks.append(network)
            todo.changes.append(Change("create", f"network {network.name}", None, _shown(network)))
        else:
            _mind_network(network, there)
    for node in wish.nodes:
        _compare_node(node, seen, todo)
    return todo


def _compare_node(wish: WishedNode, seen: Swarm, todo: Plan) -> None:
    identity = wish.id or seen.node
    there = seen.nodes.get(identity)
    if there is None and (wish.id or seen.node):
        raise Refused(f"node {identity} is not in this Swarm", "Let the machine join first")
    now = there or Node("", seen.name or "this machine", "", "", {}, 0)
    others = {name: value for name, value in now.labels.items() if not name.startswith(LABEL)}
    labels = {**others, **{LABEL + name: str(value) for name, value in wish.labels.items()}}
    different: dict[str, t.Any] = {}
    if labels != now.labels:
        different["Labels"] = labels
    if wish.availability and wish.availability != (now.availability or ACTIVE):
        different["Availability"] = wish.availability
    if not different:
        return
    before = {key.lower(): now.spec.get(key) or {} for key in different} if there else None
    todo.nodes.append((identity, different))
    todo.changes.append(
        Change("update", f"node {now.name}", before, {key.lower(): value for key, value in different.items()})
    )


def _mind_the_state(seen: Swarm) -> None:
    if seen.state in (ACTIVE, INACTIVE):
        return
    why = f": {seen.error}" if seen.error else ""
    following = {
        PENDING: "Look whether its manager is up and reachable; then run the same command again",
        "locked": "Unlock it there (`docker swarm unlock`); then run the same command again",
    }
    raise Refused(
        f"this machine is in a Swarm of {_told(seen.managers)}, and its state there is {seen.state}{why}",
        following.get(seen.state, f"`journalctl -u docker` on the machine tells more. {LEAVING}"),
    )


def _mind_network(wish: WishedNetwork, there: Network) -> None:
    """Networks cannot be changed in place, and other people's containers may be in them."""
    wrong = []
    if (there.driver, there.scope) != (OVERLAY, OF_THE_SWARM):
        wrong.append(f"it is a {there.driver} network of scope {there.scope}, not an overlay of the Swarm")
    if wish.attachable and not there.attachable:
        wrong.append("it is not attachable")
    if wish.internal and not there.internal:
        wrong.append("it is not internal")
    if wish.encrypted is not None and wish.encrypted != there.encrypted:
        wrong.append("it is encrypted" if there.encrypted else "it is not encrypted")
    if wrong:
        raise Refused(
            f"network {wish.name} exists and is not as it must be: {', '.join(wrong)}",
            "Nothing was changed. Take what uses it off it and remove it by hand (`docker network rm`); "
            "then run the same command again",
        )


def _shown(network: WishedNetwork) -> dict[str, t.Any]:
    told: dict[str, t.Any] = {
        "driver": OVERLAY,
        "attachable": network.attachable,
        "internal": network.internal,
        "encrypted": bool(network.encrypted),
    }
    return {**told, "subnet": network.subnet} if network.subnet else told


def _told(managers: t.Mapping[str, str]) -> str:
    return " and ".join(sorted(managers.values())) or "an unknown manager"
