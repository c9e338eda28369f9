# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What runs on this machine, and stopping and starting it: a Swarm service is stopped by wanting none of it, so that its
specification, secrets and routes stay as they are.
"""

from __future__ import annotations

import hashlib
import re
import socket
import time
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.module_utils import probe, stack_state
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.config import Config, ServiceData
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine, EngineError

TRIES = 5  # of a change that somebody else's change gets in the way of
POLL_S = 0.5
STOP_S = 180.0  # longest grace period of a stack, and some
START_S = 600.0
FAILURES = 4  # tasks that may end before a service is given up on
IDENTITY = Path("/etc/machine-id")
HOST = re.compile(r"Host\(`([^`]+)`\)")

Json = dict[str, t.Any]


class MachineError(Exception):
    """A service does not stop or start; the text is for the operator."""


@dataclass(frozen=True)
class Seen:
    """A stack that runs here. ``wanted`` is the number of tasks by Swarm service."""

    image: str  # of the service's main container
    config: str  # hash of the stack
    wanted: t.Mapping[str, int] = field(default_factory=dict)
    images: t.Mapping[str, str] = field(default_factory=dict)  # by container


def name(identity: Path = IDENTITY) -> str:
    """This machine's name, and a sign that no other one has: a machine that takes another's place often takes its name too."""
    try:
        sign = hashlib.sha256(identity.read_bytes().strip()).hexdigest()[:8]
    except OSError:
        return socket.gethostname()
    return f"{socket.gethostname()} ({sign})"


def look(engine: Engine) -> dict[str, Seen]:
    """What runs of ours, by service. Raises EngineError."""
    return {name: _seen(name, stack) for name, stack in stack_state.look(engine).items()}


def writers_of(data: ServiceData, here: t.Mapping[str, Seen]) -> list[str]:
    """The Swarm services that write a service's data: as its configuration says, else all of its stack.

    The database server and the Redis themselves are never among them: a restore needs them.
    """
    stack = here[data.name].wanted if data.name in here else {}
    return [each for each in (data.writers or stack) if each not in (data.server, data.redis)]


def replicas(engine: Engine, services: t.Sequence[str]) -> dict[str, int]:
    """How many tasks each of these Swarm services shall have; one that does not exist is left out."""
    found = {each["Spec"]["Name"]: each["Spec"] for each in engine.get("/services")}
    return {name: _replicas(found[name]) for name in services if name in found}


def stop(engine: Engine, services: t.Sequence[str], patience_s: float = STOP_S) -> dict[str, int]:
    """Want none of these Swarm services, and wait until no container of theirs is left; gives how many were wanted.

    Raises MachineError and EngineError. What was stopped by then stays so: `start` is the way back.
    """
    before = replicas(engine, services)
    for name, count in before.items():
        if count:
            _scale(engine, name, 0)
    until = time.monotonic() + patience_s
    while left := [name for name in before if _containers(engine, name)]:
        if time.monotonic() > until:
            raise MachineError(f"{', '.join(left)} did not stop within {patience_s:.0f} s")
        time.sleep(POLL_S)
    return before


def start(engine: Engine, wanted: t.Mapping[str, int], patience_s: float = START_S) -> None:
    """Want so many of each Swarm service, and wait until they run and are healthy. Raises MachineError and EngineError."""
    ended = _ended(engine)
    now = replicas(engine, list(wanted))
    for name, count in wanted.items():
        if name in now and now[name] != count:
            _scale(engine, name, count)
    _wait(engine, [name for name in wanted if name in now], ended, patience_s)


def healthy(engine: Engine, service: str, question: probe.Question | None, patience_s: float = START_S) -> str:
    """What is wrong with a service: empty when all of its stack runs and it answers through the proxy, where it has a name."""
    stack = stack_state.look(engine, [service]).get(service, [])
    if not stack:
        return "it does not run on this machine"
    if not any(one.wanted for one in stack):
        return ""  # it rests, as it is meant to
    try:
        _wait(engine, [one.name for one in stack if one.wanted], _ended(engine), patience_s)
    except MachineError as exc:
        return str(exc)
    if question is None:
        return ""
    return probe.what_is_wrong(service, probe.wait(question, patience_s))


def question_of(engine: Engine, data: ServiceData) -> probe.Question | None:
    """What is asked to know that a service answers; None where it has no route.

    ``data.answers`` says where; else the first host name that its route bears is asked for ``/``.
    """
    routed = [
        one
        for one in stack_state.look(engine, [data.name]).get(data.name, [])
        if one.labels.get(stack_state.ROUTE_LABEL) == "true"
    ]
    if routed and data.answers:
        host, _slash, path = data.answers.partition("/")
        return probe.Question(host, f"/{path}")
    for one in routed:
        for label, value in sorted(one.labels.items()):
            if label.endswith(".rule") and (found := HOST.search(value)):
                return probe.Question(found[1])
    return None


def keys_differ(config: Config, keys: t.Mapping[str, str]) -> list[str]:
    """The secrets of a backup, by fingerprint, that this machine does not have or has otherwise."""
    return sorted(name for name, each in keys.items() if config.fingerprints.get(name) != each)


def _seen(name: str, stack: t.Sequence[stack_state.Running]) -> Seen:
    told = stack_state.told(stack)
    images: dict[str, str] = told["images"]
    main = images.get(name) or next(iter(images.values()))
    return Seen(main, str(told["config"]), {one.name: one.wanted for one in stack}, images)


def _replicas(spec: Json) -> int:
    mode = spec.get("Mode") or {}
    if "Replicated" not in mode:
        raise MachineError(f"{spec['Name']} cannot be stopped: it is not a replicated service")
    return int(mode["Replicated"].get("Replicas", 1))


def _scale(engine: Engine, name: str, count: int) -> None:
    """The rest of the specification goes back as it was read; read again where somebody else changed it in between."""
    for attempt in range(TRIES):
        there = engine.get(f"/services/{name}")
        spec = {**there["Spec"], "Mode": {"Replicated": {"Replicas": count}}}
        try:
            engine.post(f"/services/{there['ID']}/update?version={there['Version']['Index']}", spec)
        except EngineError as exc:
            if "out of sequence" not in exc.message or attempt == TRIES - 1:
                raise
        else:
            return


def _containers(engine: Engine, service: str) -> list[Json]:
    found: list[Json] = engine.get("/containers/json", label=[f"com.docker.swarm.service.name={service}"])
    return found


def _ended(engine: Engine) -> set[str]:
    """The tasks that have failed by now."""
    return {task["ID"] for task in engine.get("/tasks") if task["Status"]["State"] in ("failed", "rejected")}


def _wait(engine: Engine, services: t.Sequence[str], ended: t.Container[str], patience_s: float) -> None:
    until = time.monotonic() + patience_s
    while True:
        stacks = stack_state.look(engine)
        found = {one.name: one for stack in stacks.values() for one in stack if one.name in services}
        late = [name for name in services if name not in found or not found[name].settled]
        if not late:
            return
        for one in found.values():
            new = [task for task in one.failed if task["ID"] not in ended]
            if len(new) >= FAILURES:
                raise MachineError(f"{one.name} ended {len(new)} times in a row: {new[0]['Status'].get('Err', '')}")
        if time.monotonic() > until:
            raise MachineError(f"{', '.join(late)} did not become healthy within {patience_s:.0f} s")
        time.sleep(POLL_S)
