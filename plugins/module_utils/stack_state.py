# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What the stacks of this Swarm are: one look at services and tasks, and what is to be read from it."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine
from ansible_collections.smartercl.smarteros.plugins.module_utils.owner import NAME as OWNER

OWNER_LABEL = f"cl.{OWNER}.owner"
SERVICE_LABEL = f"cl.{OWNER}.service"
CONFIG_LABEL = f"cl.{OWNER}.config"
NAMESPACE_LABEL = "com.docker.stack.namespace"
ROUTE_LABEL = "traefik.enable"
REST_LABEL = f"cl.{OWNER}.rests"  # on what rests because its data are being replaced, until it is deployed anew
PENDING = "pending"  # the config label of a stack whose bootstrap is not done: equal to no wish
OVER = ("complete", "shutdown", "failed", "rejected", "remove", "orphaned")
ROLLED_BACK = ("rollback_started", "rollback_paused", "rollback_completed", "paused")

Json = dict[str, t.Any]


@dataclass(frozen=True)
class Running:
    """One Swarm service of a stack and its tasks, newest first."""

    name: str
    spec: Json = field(repr=False)
    update: str
    tasks: tuple[Json, ...] = field(repr=False)

    @property
    def labels(self) -> dict[str, str]:
        """The service's labels."""
        return dict(self.spec.get("Labels") or {})

    @property
    def image(self) -> str:
        """The image that the service wants."""
        return str(self.spec["TaskTemplate"]["ContainerSpec"]["Image"])

    @property
    def container_name(self) -> str:
        """The service's name inside its stack."""
        return self.name.removeprefix(f"{self.labels.get(NAMESPACE_LABEL, '')}_")

    @property
    def wanted(self) -> int:
        """How many tasks it shall have; a job counts as none."""
        return int(((self.spec.get("Mode") or {}).get("Replicated") or {}).get("Replicas", 0))

    @property
    def rests(self) -> bool:
        """Whether it shall have no task at all for now: somebody paused it."""
        return int(((self.spec.get("Mode") or {}).get("Replicated") or {}).get("Replicas", 1)) == 0

    @property
    def up(self) -> tuple[Json, ...]:
        """Tasks that run, which means healthy where there is a health check, with the specification of today."""
        today = self.spec["TaskTemplate"]["ContainerSpec"]
        return tuple(
            task
            for task in self.tasks
            if task["Status"]["State"] == "running"
            and task["DesiredState"] == "running"
            and task["Spec"]["ContainerSpec"] == today
        )

    @property
    def failed(self) -> tuple[Json, ...]:
        """Tasks that ended although nobody asked them to."""
        return tuple(task for task in self.tasks if task["Status"]["State"] in ("failed", "rejected"))

    @property
    def settled(self) -> bool:
        """Whether what is wanted runs, and nothing is on its way."""
        return len(self.up) >= self.wanted and self.update not in ("updating", "rollback_started")


def look(engine: Engine, services: t.Sequence[str] | None = None) -> dict[str, list[Running]]:
    """Our stacks by service id, each with its Swarm services. Raises EngineError."""
    label = [f"{OWNER_LABEL}={OWNER}"]
    if services is not None and len(services) == 1:
        label.append(f"{SERVICE_LABEL}={services[0]}")
    found = engine.get("/services", label=label)
    by_service: dict[str, list[Json]] = {}
    for task in engine.get("/tasks") if found else ():
        by_service.setdefault(task["ServiceID"], []).append(task)
    stacks: dict[str, list[Running]] = {}
    for each in found:
        tasks = sorted(by_service.get(each["ID"], ()), key=lambda task: str(task["CreatedAt"]), reverse=True)
        state = str((each.get("UpdateStatus") or {}).get("State", ""))
        running = Running(each["Spec"]["Name"], each["Spec"], state, tuple(tasks))
        stacks.setdefault(running.labels[SERVICE_LABEL], []).append(running)
    return {name: sorted(group, key=lambda one: one.name) for name, group in sorted(stacks.items())}


def told(stack: t.Sequence[Running]) -> Json:
    """A stack in short, as facts for a play: config, whether it is routed, images, and how it is."""
    configs = {one.labels.get(CONFIG_LABEL, "") for one in stack}
    return {
        "config": configs.pop() if len(configs) == 1 else "mixed",
        "routed": any(one.labels.get(ROUTE_LABEL) == "true" for one in stack),
        "images": {one.container_name: one.image for one in stack},
        "state": _state(stack),
        "containers": {one.container_name: _told(one) for one in stack},
    }


def _state(stack: t.Sequence[Running]) -> str:
    if all(one.settled and not one.rests for one in stack):
        return "up"
    return "down" if not any(one.up for one in stack) else "degraded"


def _told(one: Running) -> Json:
    newest = one.tasks[0]["Status"] if one.tasks else {}
    return {
        "running": len(one.up),
        "wanted": one.wanted,
        "since": str(one.up[0]["Status"]["Timestamp"]) if one.up else "",
        "failures": len(one.failed),
        "error": str(newest.get("Err", "")) if not one.up else "",
        "update": one.update,
    }
