# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""A one-shot job with the image, secrets, volumes and networks of a service, before that service is switched to it.

It is a Swarm service of the mode "replicated job": the only way to hand Swarm secrets to a program that runs once. What it
takes from the service is read from the service's stack file, so it is the new version's, while the old one may still run.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.module_utils import stack_state
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine, EngineError

STACKS = Path("/opt/smarteros/stacks")
FILE = "stack.yml"
JOB_LABEL = "cl.smarteros.job"  # hash of what the job is: a run that finds its own job under way waits for it
OWNER_LABELS = ("cl.smarteros.owner", "cl.smarteros.service")
UNIX_SECOND = 1_000_000_000  # the Engine counts durations in nanoseconds
MEBI = 1024 * 1024
GOOD, OVER = "complete", ("complete", "failed", "rejected", "shutdown", "orphaned", "remove")
LAST_LINES = 20
POLL_S = 0.5
QUIET_S = 120.0  # how long a paused service may take to end its work
_SIZE = re.compile(r"(\d+)\s*([MG])i?B?\Z", re.IGNORECASE)
_SECONDS = re.compile(r"(?:(\d+)m)?(?:(\d+)s)?\Z")

Json = dict[str, t.Any]


class JobError(Exception):
    """The job did not do its work. ``lines`` are its last words."""

    def __init__(self, why: str, lines: t.Sequence[str] = ()) -> None:
        super().__init__(why)
        self.why = why
        self.lines = list(lines)


@dataclass(frozen=True)
class Job:
    """What shall run. ``command`` replaces that of the container; its entry point stays, and with it the secrets."""

    stack: str
    container: str
    name: str
    command: tuple[str, ...]
    env: t.Mapping[str, str] = field(default_factory=dict)
    memory_mb: int = 0

    @property
    def service(self) -> str:
        """The job's name in the Swarm."""
        return f"{self.stack}_{self.container}-{self.name}"


def compose_of(stack: str, folder: Path = STACKS) -> Json:
    """The whole stack file of a service."""
    path = folder / stack / FILE
    try:
        document: Json = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise JobError(f"stack file {path} cannot be read ({exc}); the role `stack` writes it") from exc
    return document


class Runner:
    """Runs jobs and pauses services on this Swarm. Methods raise JobError and EngineError."""

    def __init__(self, engine: Engine, clock: t.Callable[[], float] = time.monotonic, poll_s: float = POLL_S) -> None:
        self._engine = engine
        self._clock = clock
        self._poll_s = poll_s

    def run(self, job: Job, compose: Json, timeout_s: float) -> list[str]:
        """Run it to its good end; gives its last lines. Nothing of it stays."""
        spec = spec_of(job, compose, self._ids("secrets"), self._ids("configs"))
        until = self._clock() + timeout_s
        before = self._found(job.service)
        if before is not None:
            same = (before["Spec"].get("Labels") or {}).get(JOB_LABEL) == spec["Labels"][JOB_LABEL]
            task = self._task(job.service)
            running = task is not None and task["Status"]["State"] not in OVER
            if running and same:
                return self._ended(job, until)
            if running:  # of another release; two migrations at once would be worse than waiting
                self._wait(job, until)
            self._remove(job.service)
        self._engine.post("/services/create", spec)
        return self._ended(job, until)

    def pause(self, stack: str, names: t.Iterable[str], *, for_data: bool = False) -> list[str]:
        """Let these containers of the stack rest, and wait until they do; gives those for which that was to be done.

        ``for_data``: their data are about to be replaced. They bear a mark then, until they are deployed anew.
        """

        def rest(spec: Json) -> Json | None:
            labels = {**(spec.get("Labels") or {}), **({stack_state.REST_LABEL: "data"} if for_data else {})}
            same = labels == (spec.get("Labels") or {})
            return None if same and not _replicas(spec) else {**spec, "Labels": labels, "Mode": _replicated(0)}

        paused = [name for name in names if self._change(f"{stack}_{name}", rest)]
        until = self._clock() + QUIET_S
        for name in paused:
            while any(task["Status"]["State"] not in OVER for task in self._engine.tasks(f"{stack}_{name}")):
                if self._clock() > until:
                    raise JobError(f"{name} did not come to rest within {QUIET_S:.0f} s")
                time.sleep(self._poll_s)
        return paused

    def resume(self, stack: str, compose: Json, names: t.Iterable[str], *, for_data: bool = False) -> list[str]:
        """Let those that rest run again, as many as the stack file says; gives those that rested.

        What rests for its data rests on: it may be newer than they are by now. ``for_data`` is about those, and no others.
        """

        def wake(name: str) -> t.Callable[[Json], Json | None]:
            wanted = int(compose["services"].get(name, {}).get("deploy", {}).get("replicas", 1))

            def change(spec: Json) -> Json | None:
                labels = dict(spec.get("Labels") or {})
                if _replicas(spec) or (labels.pop(stack_state.REST_LABEL, None) is not None) != for_data:
                    return None
                return {**spec, "Labels": labels, "Mode": _replicated(wanted)}

            return change

        return [name for name in names if self._change(f"{stack}_{name}", wake(name))]

    def _change(self, service: str, to: t.Callable[[Json], Json | None]) -> bool:
        found = self._found(service)
        body = to(found["Spec"]) if found is not None else None
        if found is None or body is None:
            return False
        self._engine.post(f"/services/{found['ID']}/update?version={found['Version']['Index']}", body)
        return True

    def _ended(self, job: Job, until: float) -> list[str]:
        task = self._wait(job, until)
        lines = self._lines(task)
        self._remove(job.service)
        if task["Status"]["State"] != GOOD:
            code = (task["Status"].get("ContainerStatus") or {}).get("ExitCode")
            why = task["Status"].get("Err") or task["Status"].get("Message") or "no reason given"
            raise JobError(f"{job.name} ended with {code if code is not None else why}", lines or [str(why)])
        return lines

    def _wait(self, job: Job, until: float) -> Json:
        while True:
            task = self._task(job.service)
            if task is not None and task["Status"]["State"] in OVER:
                return task
            if self._clock() > until:
                lines = self._lines(task) if task else []
                self._remove(job.service)
                said = task["Status"].get("Err") if task else ""
                raise JobError(f"{job.name} did not end in time{f' ({said})' if said else ''}", lines)
            time.sleep(self._poll_s)

    def _task(self, service: str) -> Json | None:
        tasks = self._engine.tasks(service)
        return tasks[0] if tasks else None

    def _lines(self, task: Json) -> list[str]:
        container = (task["Status"].get("ContainerStatus") or {}).get("ContainerID")
        if not container:
            return []
        try:
            return self._engine.logs(f"/containers/{container}", LAST_LINES)
        except EngineError:
            return []  # it ran on another machine

    def _found(self, service: str) -> Json | None:
        try:
            found: Json = self._engine.get(f"/services/{service}")
        except EngineError as exc:
            if exc.status == 404:
                return None
            raise
        return found

    def _remove(self, service: str) -> None:
        try:
            self._engine.delete(f"/services/{service}")
        except EngineError as exc:
            if exc.status != 404:
                raise

    def _ids(self, kind: str) -> dict[str, str]:
        return {each["Spec"]["Name"]: each["ID"] for each in self._engine.get(f"/{kind}")}


def spec_of(job: Job, compose: Json, secrets: t.Mapping[str, str], configs: t.Mapping[str, str]) -> Json:
    """The Engine's description of the job. ``secrets`` and ``configs`` are ids by name."""
    own = compose["services"].get(job.container)
    if own is None:
        raise JobError(f"stack {job.stack} has no container {job.container}")
    deploy = own.get("deploy") or {}
    spec: Json = {
        "Name": job.service,
        "TaskTemplate": {
            "ContainerSpec": _container(job, own, compose, secrets, configs),
            "Resources": {"Limits": {"MemoryBytes": _memory(job, deploy) * MEBI}},
            "RestartPolicy": {"Condition": "none"},
            "Placement": {"Constraints": list((deploy.get("placement") or {}).get("constraints") or ())},
            "Networks": [{"Target": _name(compose, "networks", name)} for name in own.get("networks") or ("default",)],
        },
        "Mode": {"ReplicatedJob": {"MaxConcurrent": 1, "TotalCompletions": 1}},
    }
    if own.get("logging"):
        driver = own["logging"]
        spec["TaskTemplate"]["LogDriver"] = {"Name": driver["driver"], "Options": dict(driver.get("options") or {})}
    mark = hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:12]
    labels = deploy.get("labels") or {}
    spec["Labels"] = {**{key: labels[key] for key in OWNER_LABELS if key in labels}, JOB_LABEL: mark}
    return spec


def _container(job: Job, own: Json, compose: Json, secrets: t.Mapping[str, str], configs: t.Mapping[str, str]) -> Json:
    given: Json = {
        "Image": own["image"],
        "Command": _words(own.get("entrypoint")),
        "Args": list(job.command),
        "Env": [f"{name}={value}" for name, value in {**_environment(own), **job.env}.items()],
        "User": str(own.get("user", "")),
        "Dir": str(own.get("working_dir", "")),
        "Init": bool(own.get("init", True)),
        "Mounts": [_mount(each, compose) for each in own.get("volumes") or ()],
        "Secrets": [_file("Secret", each, compose, secrets) for each in own.get("secrets") or ()],
        "Configs": [_file("Config", each, compose, configs) for each in own.get("configs") or ()],
        "Healthcheck": {"Test": ["NONE"]},  # the image's own would kill a job that serves nothing
        "Labels": {JOB_LABEL: job.name},
    }
    if own.get("stop_grace_period"):
        given["StopGracePeriod"] = _seconds(str(own["stop_grace_period"])) * UNIX_SECOND
    return {key: value for key, value in given.items() if value not in ("", [])}


def _words(value: t.Any) -> list[str]:
    """Compose writes `$$` for `$`."""
    words = value.split() if isinstance(value, str) else value or ()
    return [str(word).replace("$$", "$") for word in words]


def _environment(own: Json) -> dict[str, str]:
    given = own.get("environment") or {}
    pairs = given.items() if isinstance(given, dict) else (str(each).partition("=")[::2] for each in given)
    return {str(name): _text(value) for name, value in pairs}


def _text(value: t.Any) -> str:
    if value is None:
        return ""
    plain = str(value).lower() if isinstance(value, bool) else str(value)
    return plain.replace("$$", "$")


def _mount(given: t.Any, compose: Json) -> Json:
    if isinstance(given, str):
        source, target, *rest = given.split(":")
        read_only = "ro" in rest
        kind = "bind" if source.startswith("/") else "volume"
    else:
        if given.get("type") == "tmpfs":
            options = {"TmpfsOptions": {"SizeBytes": int((given.get("tmpfs") or {}).get("size", 0))}}
            return {"Type": "tmpfs", "Target": str(given["target"]), **options}
        source, target = str(given["source"]), str(given["target"])
        read_only, kind = bool(given.get("read_only")), str(given.get("type", "volume"))
    if kind == "volume":
        source = _name(compose, "volumes", source)
    return {"Type": kind, "Source": source, "Target": target, "ReadOnly": read_only}


def _file(kind: str, given: t.Any, compose: Json, ids: t.Mapping[str, str]) -> Json:
    """A secret or config as the Engine wants it: by id, with the file that it becomes."""
    reference = {"source": given} if isinstance(given, str) else given
    name = _name(compose, f"{kind.lower()}s", reference["source"])
    if name not in ids:
        raise JobError(f"{kind.lower()} {name} does not exist; the role `stack` makes it (entry `prepare`)")
    file = {
        "Name": str(reference.get("target") or reference["source"]),
        "UID": str(reference.get("uid", "0")),
        "GID": str(reference.get("gid", "0")),
        "Mode": int(reference.get("mode", 0o444)),
    }
    return {f"{kind}ID": ids[name], f"{kind}Name": name, "File": file}


def _name(compose: Json, kind: str, key: str) -> str:
    """The name in the Swarm of a network, volume, secret or config of the stack file."""
    return str(((compose.get(kind) or {}).get(key) or {}).get("name") or key)


def _memory(job: Job, deploy: Json) -> int:
    if job.memory_mb:
        return job.memory_mb
    text = str(((deploy.get("resources") or {}).get("limits") or {}).get("memory", ""))
    size = _SIZE.match(text)
    if not size:
        raise JobError(f"{job.container} has no memory limit in its stack file")
    return int(size[1]) * (1024 if size[2].upper() == "G" else 1)


def _replicas(spec: Json) -> int:
    return int(((spec.get("Mode") or {}).get("Replicated") or {}).get("Replicas", 0))


def _replicated(count: int) -> Json:
    return {"Replicated": {"Replicas": count}}


def _seconds(text: str) -> int:
    found = _SECONDS.match(text)
    return int(found[1] or 0) * 60 + int(found[2] or 0) if found else 0
