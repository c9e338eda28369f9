# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""A restore that touches nothing: into a database server and folders of its own, beside what runs, and away again.

A backup that was never brought back is not one. What a drill leaves when it is killed goes with the next one.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
import typing as t
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import restore_places
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.checks import Check, rows
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.config import Attachments, Config
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.manifest import DATABASE, Part
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.postgresql import PostgresError, Server
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restore_places import Source
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restore_plan import Asked, Plan
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine, EngineError

LABEL = "cl.smarteros.drill"
STATE = Path("/var/lib/smarteros/backup")
START_S = 120.0
MEMORY = "512m"
SHARED_MEMORY = "256m"  # for building an index: the Engine's own 64 MB are too few
SHARES = "256"  # of the processor, where others want it: a quarter of what is usual
POLL_S = 0.5
# By TCP: while the first start is under way, a temporary server answers on the socket
READY = ("pg_isready", "-q", "-h", "127.0.0.1")
# As roles/postgresql makes its own: no password over the socket inside the container
INITDB = "--auth-local=peer --auth-host=scram-sha-256"

Json = dict[str, t.Any]
Say = t.Callable[[str], None]


@dataclass(frozen=True)
class Drill:
    """What a drill found: ``report`` has backup, at, ok, seconds, services (seconds of each) and checks."""

    report: Json


def drill(
    config: Config,
    engine: Engine,
    wanted_id: str,
    services: t.Sequence[str] = (),
    *,
    state: Path = STATE,
    progress: Say = lambda _text: None,
) -> Drill:
    """Bring a backup back beside what runs, look at it, write the report, and remove it all again.

    The caller holds the lock. Raises Refused where the backup cannot be brought back here at all.
    """
    from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restore_world import Machine

    machine = Machine(config, engine, progress)
    plan, source = machine.plan(Asked(wanted_id, tuple(services)), "")
    machine.room(plan)
    source.free()
    sweep(engine, state)
    began = time.time()
    scratch = Scratch(config, engine, plan.manifest.id, state / "drill", progress)
    checks: list[Check] = []
    with _swept(engine, state, checks):
        found, seconds = _tried(scratch, plan, source)
        checks += found
    report = {
        "backup": plan.manifest.id,
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began)),
        "ok": all(one.ok for one in checks),
        "seconds": round(time.time() - began, 1),
        "services": seconds,
        "checks": [one.to_json() for one in checks],
    }
    _write(state / "drill.json", report)
    return Drill(report)


def sweep(engine: Engine, state: Path = STATE) -> None:
    """Remove what a drill has made: all that bears its mark, and nothing else. Raises EngineError and OSError."""
    marked = urllib.parse.urlencode({"filters": json.dumps({"label": [LABEL]})})
    for each in engine.get(f"/containers/json?all=1&{marked}"):
        engine.delete(f"/containers/{each['Id']}?force=1&v=1")
    for each in engine.get("/volumes", label=[LABEL])["Volumes"] or ():
        engine.delete(f"/volumes/{each['Name']}")
    restore_places.remove(state / "drill")


@contextlib.contextmanager
def _swept(engine: Engine, state: Path, checks: list[Check]) -> t.Iterator[None]:
    """Remove it all again, whatever happens; what stays is a finding, and hides no other."""
    try:
        yield
    finally:
        try:
            sweep(engine, state)
        except (EngineError, OSError) as exc:
            checks.append(Check("all of the drill is removed", False, "yes", str(exc)))


class Scratch:
    """Servers and folders of one drill."""

    def __init__(self, config: Config, engine: Engine, backup: str, folder: Path, say: Say) -> None:
        self._config = config
        self._engine = engine
        self._backup = backup
        self._folder = folder
        self._say = say
        self._servers: dict[str, Server] = {}
        self._folders = 0

    def service(self, name: str, parts: t.Sequence[Part], source: Source, told: t.Mapping[str, int]) -> list[Check]:
        """Bring one service's parts back and look at them."""
        data = self._config.services[name]
        checks: list[Check] = []
        folders: dict[str, Path] = {}
        for part in parts:
            self._say(f"{name}: {part.kind} {part.name}")
            if part.kind == DATABASE:
                server = self._server(data.server)
                restore_places.fill_database(server, part.name, source, part)
                checks += rows(part.name, part.counts, server.counts(part.name, list(part.counts)))
            else:
                folders[part.name] = self._filled(part, source)
                checks += restore_places.look_at_folder(folders[part.name], part)
        if data.attachments and told and data.attachments.volume in folders:
            checks += self._referred(name, data.server, data.attachments, told, folders[data.attachments.volume])
        for part in parts:  # the next service needs the room
            if part.kind == DATABASE:
                self._server(data.server).drop(part.name)
        for each in folders.values():
            restore_places.remove(each)
        return checks

    def _referred(
        self, name: str, server: str, asked: Attachments, told: t.Mapping[str, int], folder: Path
    ) -> list[Check]:
        paths = self._server(server).rows(f"{asked.query};", asked.database)
        return restore_places.refer(name, told, asked.below, paths, folder)

    def _filled(self, part: Part, source: Source) -> Path:
        self._folders += 1
        folder = self._folder / str(self._folders)
        restore_places.fill_folder(folder, source, part)
        return folder

    def _server(self, name: str) -> Server:
        """A server of the same image as the one that runs, reachable by nobody."""
        if name not in self._servers:
            running = self._engine.container_of(name)
            if running is None:
                raise EngineError(f"{name} does not run on this machine: which image its databases need is not known")
            image = self._engine.get(f"/containers/{running}/json")["Image"]
            self._servers[name] = self._started(name, image)
        return self._servers[name]

    def _started(self, name: str, image: str) -> Server:
        self._say(f"starting a database server for the drill ({name})")
        title = f"smos-drill-{name}"
        words = ["run", "--detach", "--name", title, "--label", f"{LABEL}={self._backup}", "--network", "none"]
        words += [
            "--memory",
            MEMORY,
            "--cpu-shares",
            SHARES,
            "--shm-size",
            SHARED_MEMORY,
            "--env",
            "POSTGRES_PASSWORD",
            "--env",
            f"POSTGRES_INITDB_ARGS={INITDB}",
        ]
        volume = self._engine.post("/volumes/create", {"Name": title, "Labels": {LABEL: self._backup}})["Name"]
        words += ["--volume", f"{volume}:/var/lib/postgresql/data", image]
        # Nobody ever uses this password: the server listens to nobody, and we come over the socket
        done = self._engine.command(words, env={"POSTGRES_PASSWORD": secrets.token_hex(16)})
        if done.code != 0:
            raise EngineError(f"a database server for the drill could not be started: {done.stderr.strip()[-300:]}")
        server = Server.in_container(self._engine, done.stdout.strip(), name)
        _wait(server)
        return server


def _wait(server: Server) -> None:
    """Until the server itself runs, whose first start is more than one. Raises PostgresError."""
    until = time.monotonic() + START_S
    while server.place.run(READY, timeout_s=30).code != 0:
        if time.monotonic() > until:
            raise PostgresError(f"the database server of the drill did not start within {START_S:.0f} s")
        time.sleep(POLL_S)
    server.wait(START_S)


def _tried(scratch: Scratch, plan: Plan, source: Source) -> tuple[list[Check], dict[str, float]]:
    """Every service by itself: one that cannot be brought back is a finding, and the others are tried as well."""
    checks = list(plan.checks)
    seconds: dict[str, float] = {}
    for name, parts in plan.parts.items():
        began = time.monotonic()
        try:
            checks += scratch.service(name, parts, source, plan.manifest.services[name].attachments)
        except restore_places.FAILURES as exc:
            checks.append(Check(f"{name} can be brought back", False, "yes", " ".join(str(exc).split())[:600]))
        seconds[name] = round(time.monotonic() - began, 1)
    return checks, seconds


def _write(path: Path, report: Json) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1, sort_keys=True, ensure_ascii=False)
    temporary.replace(path)
