# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Carrying out what the plan for a Swarm says. Everything raises EngineError."""

from __future__ import annotations

import socket
import time
import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine, EngineError
from ansible_collections.smartercl.smarteros.plugins.module_utils.owner import NAME as OWNER
from ansible_collections.smartercl.smarteros.plugins.module_utils.swarm_plan import LABEL, OVERLAY, Plan, WishedNetwork
from ansible_collections.smartercl.smarteros.plugins.module_utils.swarm_seen import ACTIVE, INACTIVE, PENDING

PORT = 2377
LISTEN = f"0.0.0.0:{PORT}"  # the host's firewall says who may come in
ELSEWHERE = ("203.0.113.1", 9)  # an address that no packet is sent to: it only asks the kernel for the way out
TRIES = 5  # of a change that somebody else's change gets in the way of
POLL_S = 0.5


class NoAddressError(Exception):
    """The machine has no way out, so nothing says which address others reach it by."""


def own_address() -> str:
    """The address that this machine has on its way out. Raises NoAddressError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            asked.connect(ELSEWHERE)
        except OSError as exc:
            raise NoAddressError(str(exc)) from exc
        return str(asked.getsockname()[0])


def begin(engine: Engine, address: str, pools: t.Sequence[str], subnet_size: int, history: int | None) -> None:
    """Begin a Swarm with this machine as its manager."""
    body: dict[str, t.Any] = {
        "ListenAddr": LISTEN,
        "AdvertiseAddr": address,
        "Spec": {} if history is None else {"Orchestration": {"TaskHistoryRetentionLimit": history}},
    }
    if pools:
        body.update(DefaultAddrPool=list(pools), SubnetSize=subnet_size)
    engine.post("/swarm/init", body)


def join(engine: Engine, address: str, manager: str, token: str, patience_s: float) -> None:
    """Join the Swarm of a manager as a worker, and wait until that has come to its end."""
    body = {"ListenAddr": LISTEN, "AdvertiseAddr": address, "RemoteAddrs": [manager], "JoinToken": token}
    try:
        engine.post("/swarm/join", body)
    except EngineError as exc:
        if state_of(engine) == INACTIVE:
            raise EngineError(exc.message.replace(token, "***"), exc.status) from None
    if settled(engine, patience_s) != ACTIVE:
        raise EngineError(
            f"joining {manager} did not come to its end within {patience_s:.0f} s: is port {PORT} open there?"
        )


def state_of(engine: Engine) -> str:
    """The machine's state in a Swarm."""
    return str((engine.get("/info").get("Swarm") or {}).get("LocalNodeState") or INACTIVE)


def settled(engine: Engine, patience_s: float) -> str:
    """The state once it is no longer a passing one, or after this time."""
    end = time.monotonic() + patience_s
    while (state := state_of(engine)) == PENDING and time.monotonic() < end:
        time.sleep(POLL_S)
    return state


def carry_out(engine: Engine, todo: Plan, done: t.Callable[[], None]) -> None:
    """Do what a plan for a manager says; ``done`` is called after each of its changes."""
    if todo.history is not None:
        _keep_tasks(engine, todo.history)
        done()
    for network in todo.networks:
        engine.post("/networks/create", body_of(network))
        done()
    for node, different in todo.nodes:
        _change(engine, f"/nodes/{node}", different)
        done()


def body_of(network: WishedNetwork) -> dict[str, t.Any]:
    """The request that makes a network."""
    body: dict[str, t.Any] = {
        "Name": network.name,
        "CheckDuplicate": True,
        "Driver": OVERLAY,
        "Attachable": network.attachable,
        "Internal": network.internal,
        "Labels": {f"{LABEL}owner": OWNER},
        "Options": {"encrypted": ""} if network.encrypted else {},
    }
    if network.subnet:
        body["IPAM"] = {"Driver": "default", "Config": [{"Subnet": network.subnet}]}
    return body


def _keep_tasks(engine: Engine, history: int) -> None:
    """Everything else of the Swarm's specification goes back as it was read: certificates, tokens and keys stay."""
    own = (engine.get("/swarm").get("Spec") or {}).get("Orchestration") or {}
    _change(engine, "/swarm", {"Orchestration": {**own, "TaskHistoryRetentionLimit": history}})


def _change(engine: Engine, path: str, different: t.Mapping[str, t.Any]) -> None:
    """Change some keys of a specification; read again where somebody else changed it in between."""
    for attempt in range(TRIES):
        there = engine.get(path)
        version = there["Version"]["Index"]
        try:
            engine.post(f"{path}/update?version={version}", {**there["Spec"], **different})
        except EngineError as exc:
            if "out of sequence" not in exc.message or attempt == TRIES - 1:
                raise
        else:
            return
