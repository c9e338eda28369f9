"""As much of an Engine as backups and restores ask: services that shall run, and volumes that are real folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible_collections.smartercl.smarteros.plugins.module_utils import stack_state
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import EngineError


class Swarm:
    """What shall run is in a file: it outlives a process that is killed."""

    socket = "/nowhere"

    def __init__(self, folder: Path, names: tuple[str, ...] = ("odoo", "n8n")) -> None:
        self.folder = folder
        self._file = folder / "swarm.json"
        if not self._file.exists():
            self.save({name: {"replicas": 1, "version": 1} for name in names})

    def load(self) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = json.loads(self._file.read_text())
        return found

    def save(self, services: dict[str, dict[str, int]]) -> None:
        beside = self._file.with_suffix(".new")
        beside.write_text(json.dumps(services))
        beside.replace(self._file)

    def get(self, path: str, **filters: Any) -> Any:
        services = self.load()
        if path == "/services":
            return [self._service(name, each) for name, each in services.items()]
        if path.startswith("/services/"):
            name = path.removeprefix("/services/").partition("_")[0]
            return self._service(name, services[name])
        if path == "/tasks":
            return [self._task(name) for name, each in services.items() if each["replicas"]]
        if path == "/containers/json":
            return [{"Id": n} for n, one in services.items() if one["replicas"] and f"{n}_{n}" in str(filters)]
        if path == "/info":
            return {"DockerRootDir": str(self.folder)}
        name = path.removeprefix("/volumes/")
        if not (self.folder / name).is_dir():
            raise EngineError(f"get {name}: no such volume", 404)
        return {"Driver": "local", "Mountpoint": str(self.folder / name / "_data")}

    def post(self, path: str, body: Any = None) -> Any:
        if path == "/volumes/create":
            (self.folder / body["Name"] / "_data").mkdir(parents=True)
            return {"Name": body["Name"]}
        name = path.removeprefix("/services/").partition("/")[0]
        services = self.load()
        count = body["Mode"]["Replicated"]["Replicas"]
        self.save({**services, name: {"replicas": count, "version": services[name]["version"] + 1}})
        return None

    def _service(self, name: str, each: dict[str, int]) -> dict[str, Any]:
        labels = {
            stack_state.OWNER_LABEL: "smarteros",
            stack_state.SERVICE_LABEL: name,
            stack_state.CONFIG_LABEL: f"config-{name}",
            stack_state.NAMESPACE_LABEL: name,
        }
        spec = {
            "Name": f"{name}_{name}",
            "Labels": labels,
            "TaskTemplate": {"ContainerSpec": {"Image": f"{name}:1"}},
            "Mode": {"Replicated": {"Replicas": each["replicas"]}},
        }
        return {"ID": name, "Version": {"Index": each["version"]}, "Spec": spec}

    def _task(self, name: str) -> dict[str, Any]:
        return {
            "ServiceID": name,
            "ID": f"task-{name}",
            "CreatedAt": "2026-01-01T00:00:00.1Z",
            "Status": {"State": "running", "Timestamp": "2026-01-01T00:00:00.1Z"},
            "DesiredState": "running",
            "Spec": {"ContainerSpec": {"Image": f"{name}:1"}},
        }
