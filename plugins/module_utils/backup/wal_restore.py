# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Bringing a whole PostgreSQL server back to a moment: a base copy and the segments after it are put beside its data and
recovered there by a server that nobody reaches. Only what that server has opened and read takes the place of the data; the rest
is as with every restore, and so is what follows from one that was cut off.
"""

from __future__ import annotations

import concurrent.futures
import shutil
import time
import typing as t
from dataclasses import dataclass, replace
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import (
    guard,
    machine,
    volumes,
    wal,
    wal_plan,
    wal_store,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.checks import Check
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.config import Config
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.journal import Journal, State
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.manifest import VOLUME, Manifest, Part
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.postgresql import PostgresError, Server
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restic import (
    Repository,
    ResticError,
    SourceFailed,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restore import Restoration, Restored
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restore_places import (
    FolderPlace,
    Place,
    Source,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restore_plan import Asked, Plan
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restore_world import Machine
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.wal_plan import Choice, Held, PointError
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine, EngineError

LABEL = "cl.smarteros.point"
DATA = "/var/lib/postgresql/data"
SEGMENTS = "smos-wal"  # in the data folder while it is recovered
AT_ONCE = 4
RECOVER_S = 4 * 3600.0
STOP_S = 300
POLL_S = 0.3
SPARE = guard.GIB
HISTORY = "1\t0/0\ta timeline that this server has had before\n"

Json = dict[str, t.Any]
Say = t.Callable[[str], None]
Look = t.Callable[[Server], list[Check]]


class Scratch(t.Protocol):
    """A server that nobody reaches."""

    def recover(self, folder: Path, settings: t.Mapping[str, str], look: Look) -> list[Check]:
        """Start it on these data, wait until it has recovered them, look, and end it cleanly. Raises WalError and others."""


class ContainerScratch:
    """A container of the image that the server's own service has."""

    def __init__(self, engine: Engine, image: str) -> None:
        self._engine = engine
        self._image = image

    def recover(self, folder: Path, settings: t.Mapping[str, str], look: Look) -> list[Check]:
        """See `Scratch`."""
        sweep(self._engine)
        words = ["run", "--detach", "--name", "smos-point", "--label", f"{LABEL}=1", "--network", "none"]
        words += ["--shm-size", "256m", "--volume", f"{folder}:{DATA}", self._image, "postgres"]
        for name, value in settings.items():
            words += ["-c", f"{name}={value}"]
        try:
            done = self._engine.command(words)
            if done.code != 0:
                raise wal.WalError(f"a server for the recovery could not be started: {done.stderr.strip()[-300:]}")
            container = done.stdout.strip()
            server = Server.in_container(self._engine, container)
            await_recovery(server, lambda: self._ended(container))
            found = look(server)
            stopped = self._engine.command(["stop", "--time", str(STOP_S), container], timeout_s=STOP_S + 60)
            if stopped.code != 0 or not self._ended(container).endswith("(0)"):
                raise wal.WalError("the recovered server did not end cleanly")
            return found
        finally:
            sweep(self._engine)

    def _ended(self, container: str) -> str:
        """What it said last and how it ended; empty while it runs."""
        state = self._engine.get(f"/containers/{container}/json")["State"]
        if state["Running"]:
            return ""
        logged = self._engine.command(["logs", "--tail", "6", container])
        return f"{' '.join((logged.stdout + logged.stderr).split())[-600:]} ({state['ExitCode']})"


def sweep(engine: Engine) -> None:
    """Remove the container of a recovery that was cut off."""
    for each in engine.get("/containers/json?all=1&filters=%7B%22label%22%3A%5B%22" + LABEL + "%22%5D%7D"):
        engine.delete(f"/containers/{each['Id']}?force=1&v=1")


def await_recovery(server: Server, ended: t.Callable[[], str], patience_s: float = RECOVER_S) -> None:
    """Until it has recovered all and takes writes. Raises WalError where it ends instead: ``ended`` says so."""
    until = time.monotonic() + patience_s
    while True:
        why = ended()
        if why:
            raise wal.WalError(f"the server could not recover to that moment: {why}")
        try:
            if server.rows("SELECT pg_is_in_recovery();", timeout_s=30) == ["f"]:
                return
        except (PostgresError, EngineError):
            pass
        if time.monotonic() > until:
            raise wal.WalError(f"the recovery did not end within {patience_s:.0f} s")
        time.sleep(POLL_S)


def settings_of(choice: Choice) -> dict[str, str]:
    """What the server is started with for its recovery."""
    return {
        "restore_command": f"cp {SEGMENTS}/%f %p",
        "recovery_target_time": time.strftime("%Y-%m-%d %H:%M:%S+00", time.gmtime(choice.moment)),
        "recovery_target_action": "promote",
        "recovery_target_timeline": "current",
        "archive_mode": "off",
        "hot_standby": "off",
        "listen_addresses": "",
    }


@dataclass(frozen=True)
class Recovery:
    """What a moment is made of. ``lines``: the number of the newest timeline that this server has had."""

    choice: Choice
    repository: Repository
    lines: int
    look: Look
    scratch: Scratch


class ClusterPlace(FolderPlace):
    """The data of a server, brought back to a moment."""

    def __init__(self, service: str, volume: str, folder: Path, recovery: Recovery, say: Say) -> None:
        super().__init__(service, VOLUME, volume, folder, recovery.choice.name, existed=folder.is_dir(), volume=volume)
        self._recovery = recovery
        self._say = say
        self._found: list[Check] = []

    def fill(self, source: Source, part: Part) -> None:  # noqa: ARG002 - as every place has it
        """Base, segments, recovery. Raises WalError and others."""
        if self._aside.is_dir():
            self.tidy()  # of an earlier restore to this moment: it must not be taken for what is there now
        self.discard()
        self._found = fill(self.filled, self._recovery, volumes.root_of(self.folder), self._say)

    def look(self, part: Part) -> list[Check]:  # noqa: ARG002 - as every place has it
        """What the server that recovered it has found."""
        return self._found


def fill(folder: Path, recovery: Recovery, root: t.Mapping[str, int], say: Say) -> list[Check]:
    """Make the data of a server as they were at that moment in a new folder; gives what was looked at."""
    choice, repository = recovery.choice, recovery.repository
    folder.mkdir(mode=0o700, parents=True)
    say(f"the base of {wal_plan.stamp(choice.base.at)}")
    argv = ["tar", "--extract", "--numeric-owner", "--preserve-permissions", "--directory", str(folder)]
    done = repository.stream_into(choice.base.snapshot, wal_store.BASE_FILE, argv)
    if done.code != 0:
        raise wal.WalError(f"tar ended with {done.code}: {' '.join(done.stderr.split())[-300:]}")
    segments = folder / SEGMENTS
    segments.mkdir(mode=0o700)
    say(f"{len(choice.pieces)} groups of segments after it")
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda each: repository.restore(each.snapshot, segments), choice.pieces))
    # The server gives its timeline the first number whose history it does not find: each number counts once, for all times
    for line in range(choice.base.timeline + 1, recovery.lines + 1):
        (segments / f"{line:08X}.history").write_text(HISTORY, encoding="ascii")
    (folder / "recovery.signal").touch(mode=0o600)
    for each in (segments, *segments.iterdir(), folder / "recovery.signal"):
        volumes.give_root(each, {**root, "mode": 0o700 if each.is_dir() else 0o600} if root else {})
    volumes.give_root(folder, root)
    say("recovering")
    found = recovery.scratch.recover(folder, settings_of(choice), recovery.look)
    shutil.rmtree(segments)
    return found


FAILURES: tuple[type[Exception], ...] = (*Machine.failures, wal.WalError, PointError, SourceFailed)
BEFORE_AND_AFTER: tuple[type[Exception], ...] = (*FAILURES, wal_store.Shut)


class PointMachine:
    """This machine, for a restore of its database server to a moment."""

    failures: tuple[type[Exception], ...] = FAILURES

    def __init__(
        self, config: Config, engine: Engine, held: Held, choice: Choice, repository: Repository, say: Say
    ) -> None:
        self._machine = Machine(config, engine, say)
        self._config = config
        self._engine = engine
        self._held = held
        self._choice = choice
        self._repository = repository
        self._say = say

    def plan(self, asked: Asked, source: str) -> tuple[Plan, Source]:  # noqa: ARG002 - as every world has it
        """All services that keep data on this server go back together."""
        here = machine.look(self._engine)
        names = services_of(self._config)
        owner = next((name for name, seen in here.items() if self._config.wal.server in seen.wanted), "postgresql")
        writers = [one for name in names for one in machine.writers_of(self._config.services[name], here)]
        manifest = Manifest(self._choice.name, self._config.environment, self._config.release, "", {})
        part = Part(VOLUME, self._config.wal.data, self._choice.base.snapshot, bytes=self._choice.needed)
        parts: dict[str, list[Part]] = {**{name: [] for name in names}, owner: [part]}
        warning = "files and queues stay as they are: only databases go back to that moment"
        plan = Plan(manifest, parts, [*dict.fromkeys(writers), self._config.wal.server], (), [warning])
        return plan, Source(self._repository, manifest, {})

    def places(self, plan: Plan) -> list[tuple[Place, Part]]:
        """The folder of the server's data."""
        service, part = next((name, parts[0]) for name, parts in plan.parts.items() if parts)
        spec = self._engine.get(f"/services/{self._config.wal.server}")["Spec"]
        scratch = ContainerScratch(self._engine, spec["TaskTemplate"]["ContainerSpec"]["Image"])
        system = self._choice.base.system
        known = [(each.system, each.timeline) for each in self._held.bases]
        known += [(each.system, each.timeline) for each in self._held.pieces]
        lines = max(line for which, line in known if which == system)
        recovery = Recovery(self._choice, self._repository, lines, self._look, scratch)
        folder = volumes.mountpoint(self._engine, self._config.wal.data)
        return [(ClusterPlace(service, self._config.wal.data, folder, recovery, self._say), part)]

    def again(self, state: State) -> list[Place]:
        """As the journal tells it."""
        return self._machine.again(state)

    def room(self, plan: Plan) -> None:  # noqa: ARG002 - as every world has it
        """Refuse where the disk is too small."""
        folder = volumes.mountpoint(self._engine, self._config.wal.data).parent
        free, needed = shutil.disk_usage(folder).free, self._choice.needed + SPARE
        if free < needed:
            raise wal.WalError(f"{guard.size(needed)} must be free where {folder} is, and {guard.size(free)} are")

    def safety(self, services: t.Sequence[str], run: str) -> str:
        """Back up what is there; gives the id."""
        return self._machine.safety([name for name in services if name in self._config.services], run)

    def replicas(self, writers: t.Sequence[str]) -> dict[str, int]:
        """How many of each writer shall run."""
        return self._machine.replicas(writers)

    def stop(self, writers: t.Collection[str], places: t.Sequence[Place]) -> None:
        """Those who write first, then the server."""
        self._machine.stop([one for one in writers if one != self._config.wal.server], [])
        self._machine.stop([one for one in writers if one == self._config.wal.server], places)

    def start(self, replicas: t.Mapping[str, int]) -> None:
        """The server first, then those who write."""
        server = self._config.wal.server
        self._machine.start({name: count for name, count in replicas.items() if name == server})
        self._machine.start({name: count for name, count in replicas.items() if name != server})

    def refer(self, plan: Plan, places: t.Sequence[Place]) -> list[Check]:  # noqa: ARG002 - as every world has it
        """Files are not brought back."""
        return []

    def healthy(self, services: t.Sequence[str]) -> list[Check]:
        """Whether the services answer."""
        return self._machine.healthy([name for name in services if name in self._config.services])

    def _look(self, server: Server) -> list[Check]:
        return look(server, self._config)


def services_of(config: Config) -> list[str]:
    """The services that keep databases on the archived server."""
    return [name for name, each in config.services.items() if each.server == config.wal.server and each.databases]


def look(server: Server, config: Config) -> list[Check]:
    """Whether each database can be opened, and what is counted of it can be read."""
    there = server.databases()
    checks = []
    for name in services_of(config):
        for database, tables in config.services[name].databases.items():
            if database not in there:
                continue  # it was made later, or its service was never deployed
            try:
                rows = server.counts(database, list(tables))
            except PostgresError as exc:
                checks.append(Check(f"database {database} can be read", False, "yes", exc.message))
            else:
                found = ", ".join(f"{table} {count}" for table, count in rows.items()) or "yes"
                checks.append(Check(f"database {database} can be read", True, "yes", found))
    return checks or [Check("there are databases", False, "at least one", "none")]


def chosen(where: wal_store.Places, moment: float) -> tuple[Choice, Held, Repository]:
    """Out of the first place that has that moment. Raises PointError, with the windows of the first place, and ResticError."""
    first: PointError | None = None
    silent: ResticError | None = None
    for repository in (where.local, *where.remotes.values()):
        try:
            held = wal_store.held(repository)
            return wal_plan.choose(held, moment), held, repository
        except PointError as exc:
            first = first or exc
        except ResticError as exc:
            silent = silent or exc
    raise first or silent or PointError("there is no archive", "Turn it on: wal in specs/infra/backup.yml")


def restore(
    config: Config,
    engine: Engine,
    moment: float,
    *,
    safety: bool = True,
    run: str = "",
    progress: Say = lambda _text: None,
) -> Restored:
    """Bring the server back to a moment, and begin its archive anew. The caller holds the lock of the machine.

    Raises PointError where nothing was touched, RestoreError, and what `PointMachine.failures` names.
    """
    where = wal_store.places(config)
    fetched = _fetched_before(config, engine, progress)
    choice, held, repository = chosen(where, moment)
    world = PointMachine(config, engine, held, choice, repository, progress)
    done = Restoration(world, Journal(), progress, safety=safety).run(Asked(choice.name), "", run)
    return _anew(config, engine, done, fetched, progress)


def _fetched_before(config: Config, engine: Engine, say: Say) -> list[str]:
    """What was written up to now can be chosen as well, and is not lost. Gives why not."""
    try:
        pushed = wal.push(wal.archive(config, engine), say=say)
    except BEFORE_AND_AFTER as exc:
        return [f"what was written last is not archived: {exc}"]
    return [f"before it: {each}" for each in pushed.problems]


def _anew(config: Config, engine: Engine, done: Restored, warnings: t.Sequence[str], say: Say) -> Restored:
    """From here on there is another history: it needs a base of its own."""
    more = list(warnings)
    try:
        wal.base(wal.archive(config, engine), say=say)
    except BEFORE_AND_AFTER as exc:
        more.append(f"a new base backup could not be taken, the next run of smos-wal tries again: {exc}")
    return replace(done, warnings=[*done.warnings, *more])
