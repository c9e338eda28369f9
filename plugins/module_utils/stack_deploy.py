# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Bringing one stack to what is wanted, and knowing that it is: the wanted images and the wanted configuration run and are
healthy. That Swarm has stopped updating is no proof: it says "completed" after a rollback as well.
"""

from __future__ import annotations

import base64
import copy
import json
import os
import time
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.module_utils import stack_state
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine, EngineError

STACKS = Path("/opt/smarteros/stacks")
FILE = "stack.yml"
FORMER = "former.yml"  # the stack file of what ran before the last one
POLL_S = 0.5
FAILURES = 4  # tasks of a new service that may end before it is given up on: a database may be late
LAST_LINES = 15
PULL_S = 1800

Json = dict[str, t.Any]


class DeployError(Exception):
    """The stack is not what is wanted. ``lines`` are the last words of the container that failed."""

    def __init__(self, why: str, rolled_back: bool = False, lines: t.Sequence[str] = ()) -> None:
        super().__init__(why)
        self.why = why
        self.rolled_back = rolled_back
        self.lines = list(lines)


@dataclass(frozen=True)
class Wish:
    """A stack as it shall be. ``secrets`` and ``configs``: contents by name of the Swarm object."""

    service: str
    compose: Json = field(repr=False)
    config: str
    secrets: t.Mapping[str, str] = field(default_factory=dict, repr=False)
    configs: t.Mapping[str, str] = field(default_factory=dict, repr=False)
    routed: bool = True

    @property
    def label(self) -> str:
        """The config label: that of an unfinished service is equal to no wish, so that the next run visits it."""
        return self.config if self.routed else stack_state.PENDING

    @property
    def document(self) -> Json:
        """The stack file's content."""
        if self.routed:
            return self.compose
        document = copy.deepcopy(self.compose)
        for each in document["services"].values():
            labels = each["deploy"]["labels"]
            labels[stack_state.CONFIG_LABEL] = stack_state.PENDING
            labels[stack_state.ROUTE_LABEL] = "false"
        return document

    @property
    def text(self) -> str:
        """The stack file: JSON, which is YAML too."""
        return json.dumps(self.document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"

    @property
    def images(self) -> dict[str, str]:
        """Image by container."""
        return {name: str(each["image"]) for name, each in self.compose["services"].items()}


def is_so(wish: Wish, stack: t.Sequence[stack_state.Running]) -> bool:
    """Whether exactly this runs: config, images, every container, and none of them rests."""
    now = {one.container_name: one for one in stack}
    return now.keys() == wish.images.keys() and all(
        one.labels.get(stack_state.CONFIG_LABEL) == wish.label
        and one.image == wish.images[name]
        and one.settled
        and not one.rests
        for name, one in now.items()
    )


class Deployer:
    """Deploys stacks on this machine's Swarm. Methods raise DeployError and EngineError."""

    def __init__(self, engine: Engine, folder: Path = STACKS, clock: t.Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self._folder = folder
        self._clock = clock

    def look(self, service: str) -> list[stack_state.Running]:
        """What runs of a service now."""
        return stack_state.look(self._engine, [service]).get(service, [])

    def prepare(self, wish: Wish) -> bool:
        """Stack file, images, secrets and configs; nothing starts. Gives whether anything was made."""
        self._keep_former(wish)
        made = self._write(wish)
        for image in sorted(set(wish.images.values())):
            made = self._pull(image) or made
        for kind, contents in (("secrets", wish.secrets), ("configs", wish.configs)):
            made = self._make(kind, wish.service, contents) or made
        return made

    def deploy(
        self, wish: Wish, timeout_s: float, proof: t.Callable[[], None] | None = None, *, back: bool = True
    ) -> None:
        """Deploy and wait until it runs, and until ``proof`` raises no DeployError.

        Raises DeployError when it does not, after the whole stack that ran before was put back: of several containers Swarm
        puts back only the one that failed, and two versions on the same data are worse than either. Not so without ``back``.
        """
        self.prepare(wish)
        before, started = self.look(wish.service), time.time()
        try:
            self._start(wish.service, self._file(wish.service), timeout_s)
            self._wait(wish, {one.name for one in before}, started, timeout_s)
            if proof is not None:
                proof()
        except DeployError as exc:
            raise (self._back(wish, before, exc, timeout_s) if back else exc) from exc

    def _start(self, service: str, file: Path, timeout_s: float) -> None:
        words = ["stack", "deploy", "--resolve-image", "never", "--prune", "-c", str(file)]
        done = self._engine.command([*words, *self._detached(), service], timeout_s=timeout_s)
        if done.code != 0:
            raise DeployError(f"docker stack deploy ended with {done.code}: {_last(done.stderr)}")

    def _back(
        self, wish: Wish, before: t.Sequence[stack_state.Running], failed: DeployError, timeout_s: float
    ) -> DeployError:
        """The error to tell, once the stack before runs again; the failure itself where there is none to go back to.

        Where all of it rested, or a part that bears a mark, its data are being replaced: it must not start on them.
        """
        former = self._former(wish.service)
        if former is None or former.config == wish.label or not before or all(one.rests for one in before):
            return failed
        if any(stack_state.REST_LABEL in one.labels for one in before):
            return failed
        try:
            self._rest_of_swarm(wish.service, timeout_s)
            if not is_so(former, self.look(wish.service)):
                known, started = {one.name for one in self.look(wish.service)}, time.time()
                self._start(wish.service, self._file(wish.service).with_name(FORMER), timeout_s)
                self._wait(former, known, started, timeout_s)
        except DeployError as exc:
            why = f"{failed.why}; and the stack before did not come back whole: {exc.why}"
            return DeployError(why, False, failed.lines)
        self._put(self._file(wish.service), former.text)  # the file says what runs
        words = "the one before runs again"
        why = failed.why if words in failed.why else f"{failed.why}: {words}"
        return DeployError(why, True, failed.lines)

    def _rest_of_swarm(self, service: str, timeout_s: float) -> None:
        """Swarm may be putting a container back by itself; two at it would disturb each other."""
        until = self._clock() + timeout_s
        while any(one.update == "rollback_started" for one in self.look(service)) and self._clock() < until:
            time.sleep(POLL_S)

    def _wait(self, wish: Wish, known: t.Container[str], started: float, timeout_s: float) -> None:
        until = self._clock() + timeout_s
        as_it_was = {one.name for one in self.look(wish.service) if one.update == "rollback_completed"}
        while True:
            stack = self.look(wish.service)
            if is_so(wish, stack):
                return
            for one in stack:
                if one.labels.get(stack_state.CONFIG_LABEL) != wish.label or one.name not in as_it_was:
                    self._judge(one, one.name not in known, started)
            if self._clock() > until:
                late = [one for one in stack if not one.settled] or stack
                names = ", ".join(one.container_name for one in late)
                raise DeployError(f"{names} did not become healthy within {timeout_s:.0f} s", lines=self._words(late))
            time.sleep(POLL_S)

    def _judge(self, one: stack_state.Running, is_new: bool, started: float) -> None:
        if one.update in stack_state.ROLLED_BACK:
            if one.update == "rollback_started":
                return  # it says so when the old one runs again
            back = one.update == "rollback_completed"
            ends = "the one before runs again" if back else "and the one before did not start again either"
            why = f"{one.container_name} did not become healthy with the new version: {ends}"
            raise DeployError(why, back, self._words([one]))
        new = [task for task in one.failed if _at(task) >= started]
        if is_new and len(new) >= FAILURES:
            error = new[0]["Status"].get("Err", "")
            why = f"{one.container_name} ended {len(new)} times in a row: {error}"
            raise DeployError(why, lines=self._words([one]))

    def _words(self, stack: t.Sequence[stack_state.Running]) -> list[str]:
        """The last log lines of the newest task that is not well, of each."""
        words: list[str] = []
        for one in stack:
            ill = [task for task in one.tasks if task["Status"]["State"] != "running"] or list(one.tasks)
            for task in ill[:3]:
                lines = self._log(task)
                if lines:
                    words += [f"{one.container_name}: {line}" for line in lines]
                    break
                if task["Status"].get("Err"):
                    words.append(f"{one.container_name}: {task['Status']['Err']}")
        return words

    def _log(self, task: Json) -> list[str]:
        container = (task["Status"].get("ContainerStatus") or {}).get("ContainerID")
        if not container:
            return []
        try:
            return self._engine.logs(f"/containers/{container}", LAST_LINES)
        except EngineError:
            return []  # on another machine, or removed already

    def _file(self, service: str) -> Path:
        return self._folder / service / FILE

    def _former(self, service: str) -> Wish | None:
        """The stack that ran whole before; None where there was none."""
        return _read(service, self._file(service).with_name(FORMER))

    def _keep_former(self, wish: Wish) -> None:
        """Keep the stack file before another takes its place, if it is what runs: all containers say so."""
        there = _read(wish.service, self._file(wish.service))
        if there is None or there.text == wish.text:
            return
        labels = {one.labels.get(stack_state.CONFIG_LABEL) for one in self.look(wish.service)}
        if labels == {there.config}:
            self._put(self._file(wish.service).with_name(FORMER), there.text)

    def _write(self, wish: Wish) -> bool:
        """The file appears whole, readable by root alone."""
        path = self._file(wish.service)
        if path.is_file() and path.read_text(encoding="utf-8") == wish.text:
            return False
        self._put(path, wish.text)
        return True

    @staticmethod
    def _put(path: Path, text: str) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = path.with_suffix(".new")
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        temporary.replace(path)

    def _pull(self, image: str) -> bool:
        try:
            self._engine.get(f"/images/{image}/json")
        except EngineError as exc:
            if exc.status != 404:
                raise
        else:
            return False
        done = self._engine.command(["pull", "--quiet", image], timeout_s=PULL_S)
        if done.code != 0:
            raise DeployError(f"image {image} cannot be pulled: {_last(done.stderr)}")
        return True

    def _make(self, kind: str, service: str, contents: t.Mapping[str, str]) -> bool:
        if not contents:
            return False
        known = {each["Spec"]["Name"] for each in self._engine.get(f"/{kind}")}
        labels = {stack_state.OWNER_LABEL: stack_state.OWNER, stack_state.SERVICE_LABEL: service}
        missing = [name for name in contents if name not in known]
        for name in missing:
            data = base64.b64encode(contents[name].encode()).decode()
            self._engine.post(f"/{kind}/create", {"Name": name, "Labels": labels, "Data": data})
        return bool(missing)

    def _detached(self) -> list[str]:
        """Clients that can wait themselves want to be told not to: we look at more than they do."""
        shown = self._engine.command(["stack", "deploy", "--help"]).stdout
        return ["--detach=true"] if "--detach" in shown else []


def _read(service: str, path: Path) -> Wish | None:
    """A stack file of ours as the wish that it is; None where there is none, or one that is no good."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        labels = {each["deploy"]["labels"][stack_state.CONFIG_LABEL] for each in document["services"].values()}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Wish(service, document, str(labels.pop())) if len(labels) == 1 else None


def _last(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return " ".join(lines[-3:]) or "no message"


def _at(task: Json) -> float:
    """When a task was created, in seconds since 1970; the Engine writes nanoseconds, which Python does not read."""
    import calendar

    stamp = str(task["CreatedAt"]).partition(".")[0].removesuffix("Z")
    return float(calendar.timegm(time.strptime(stamp, "%Y-%m-%dT%H:%M:%S"))) + 1
