# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The machine that a restore works on: where its backups are, what they would replace, and what writes there."""

from __future__ import annotations

import os
import shutil
import typing as t
from dataclasses import replace
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import (
    catalogue,
    machine,
    restic,
    restore_places,
    restore_plan,
    take,
    volumes,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.checks import Check
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.config import Config
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.journal import State
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.manifest import (
    DATABASE,
    FOLDER,
    REDIS,
    Manifest,
    Part,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.postgresql import Server
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.redis import Redis
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.refused import Refused
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restore_places import (
    DatabasePlace,
    FolderPlace,
    Place,
    Source,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restore_plan import Asked, Plan
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine

LIST = "List what there is by: smos backups"
Say = t.Callable[[str], None]


class Machine:
    """This machine. Methods raise Refused where nothing was touched, else what ``failures`` names."""

    failures: tuple[type[Exception], ...] = (*restore_places.FAILURES, machine.MachineError)

    def __init__(self, config: Config, engine: Engine, say: Say, ways: take.Ways | None = None) -> None:
        here = machine.look(engine)
        services = {
            name: replace(each, writers=machine.writers_of(each, here)) for name, each in config.services.items()
        }
        self._config = replace(config, services=services)
        self._engine = engine
        self._say = say
        self._ways = ways or take.Ways()
        self._servers: dict[str, Server] = {}

    def plan(self, asked: Asked, source: str) -> tuple[Plan, Source]:
        """The plan, and where its data are read from: the first place that has the backup whole, or the one that is named."""
        places = {catalogue.LOCAL: self._ways.repository or restic.local(self._config), **restic.remotes(self._config)}
        if source and source not in places:
            raise Refused(f"there is no place {source}; known are {', '.join(places)}", restore_plan.INVALID, LIST)
        silent: list[dict[str, t.Any]] = []
        others = {name: each for name, each in places.items() if name != catalogue.LOCAL}
        found = {
            each.id: each
            for each in catalogue.every(places[catalogue.LOCAL], others, silent, verified=self._ways.verified)
        }
        usable = {name: each for name, each in found.items() if _held(each, source)}
        if asked.backup == restore_plan.LATEST and usable:
            wanted = self._latest([each.manifest for each in usable.values()], asked.services)
        else:
            wanted = self._chosen(usable, asked.backup, silent)
        chosen = usable[wanted]
        plan = restore_plan.plan(chosen.manifest, self._config, asked)
        restore_plan.fits_server(plan, self._config, self._versions(plan))
        where = source or chosen.locations[0]
        self._say(f"backup {wanted} of {where}")
        return plan, Source(places[where], chosen.manifest, chosen.snapshots[where])

    def places(self, plan: Plan) -> list[tuple[Place, Part]]:
        """What is brought back."""
        backup = plan.manifest.id
        return [(self._place(name, part, backup), part) for name, parts in plan.parts.items() for part in parts]

    def again(self, state: State) -> list[Place]:
        """The same, as the journal tells it."""
        return [self._described(each, state.backup) for each in state.places]

    def room(self, plan: Plan) -> None:
        """Refuse where the disk is too small."""
        root = str(self._engine.get("/info")["DockerRootDir"])
        parts = [part for each in plan.parts.values() for part in each]
        needs = [_need(root, sum(restore_plan.space_needed(part for part in parts if part.kind != FOLDER)))]
        needs += [_need(part.name, sum(restore_plan.space_needed([part]))) for part in parts if part.kind == FOLDER]
        restore_plan.enough_space(needs)

    def safety(self, services: t.Sequence[str], run: str) -> str:
        """Back up what is there; gives the id. One that is not whole is no safety: Refused."""
        following = "Repair that, or give up what is there: the variable restore_safety=false"
        self._say("backing up what is there")
        try:
            taken = take.take(
                self._config,
                self._engine,
                services,
                reason=restore_plan.SAFETY,
                run=run,
                accept_shrunk=True,
                progress=self._say,
                ways=self._ways,
            )
        except Refused as exc:
            raise Refused(f"what is there cannot be backed up first: {exc.why}", exc.exit_code, following) from exc
        if not taken.ok:
            raise Refused(
                f"what is there could not be backed up first: {taken.outcome.message}", restore_plan.REFUSED, following
            )
        return taken.manifest.id

    def replicas(self, writers: t.Sequence[str]) -> dict[str, int]:
        """How many of each writer shall run."""
        return machine.replicas(self._engine, writers)

    def stop(self, writers: t.Collection[str], places: t.Sequence[Place]) -> None:
        """Stop the writers, until nothing uses the folders that are going to be put aside."""
        self._say(f"stopping {', '.join(writers) or 'nothing'}")
        machine.stop(self._engine, list(writers))
        for place in places:
            if isinstance(place, FolderPlace) and place.volume:
                users = volumes.users(self._engine, place.volume)
                if users:
                    raise volumes.VolumeError(f"volume {place.volume} is still in use by {', '.join(users)}")

    def start(self, replicas: t.Mapping[str, int]) -> None:
        """Start so many, until they are healthy."""
        machine.start(self._engine, replicas)

    def refer(self, plan: Plan, places: t.Sequence[Place]) -> list[Check]:
        """Whether rows have their files, in what was filled."""
        checks: list[Check] = []
        for name in plan.services:
            asked = self._config.services[name].attachments
            told = plan.manifest.services[name].attachments
            mine = [place for place in places if place.service == name]
            database = next(
                (one for one in mine if isinstance(one, DatabasePlace) and asked and one.name == asked.database), None
            )
            folder = next(
                (one for one in mine if isinstance(one, FolderPlace) and asked and one.name == asked.volume), None
            )
            if asked and told and database and folder:
                checks += restore_places.refer(name, told, asked.below, database.rows(asked.query), folder.filled)
        return checks

    def healthy(self, services: t.Sequence[str]) -> list[Check]:
        """Whether the services answer."""
        checks = []
        for name in services:
            data = self._config.services[name]
            self._say(f"{name}: waiting for its health")
            ill = machine.healthy(self._engine, name, machine.question_of(self._engine, data))
            checks.append(Check(f"health of {name}", not ill, "healthy", ill or "healthy"))
        return checks

    def _latest(self, manifests: t.Sequence[Manifest], services: t.Sequence[str]) -> str:
        """Its id. Raises Refused where it is open which backup is meant."""
        found = restore_plan.latest(manifests, self._config, services)
        why = restore_plan.doubt(found, manifests, self._config.floor_percent)
        if why:
            raise Refused(why, restore_plan.REFUSED, restore_plan.WHICH)
        return found.id

    def _chosen(
        self, usable: t.Mapping[str, catalogue.Found], wanted: str, silent: t.Sequence[t.Mapping[str, t.Any]]
    ) -> str:
        try:
            return catalogue.choose(usable, wanted)
        except catalogue.UnknownBackup as exc:
            also = "".join(f"; {each['what']}: {each['why']}" for each in silent)
            raise Refused(f"{exc.message}{also}", restore_plan.INVALID, LIST) from exc

    def _versions(self, plan: Plan) -> dict[str, str]:
        """Of the database servers that databases go back to."""
        named = {self._config.services[name].server for name, parts in plan.parts.items() if _has_database(parts)}
        return {name: self._server(name).version() for name in sorted(named)}

    def _server(self, name: str) -> Server:
        if name not in self._servers:
            self._servers[name] = self._ways.server(name) if self._ways.server else Server(self._engine, name)
        return self._servers[name]

    def _place(self, service: str, part: Part, backup: str) -> Place:
        if part.kind == DATABASE:
            server = self._server(self._config.services[service].server)
            return DatabasePlace(service, part.name, server, backup, existed=part.name in server.databases())
        volume, folder = "", Path(part.name)
        if part.kind == REDIS:
            volume = Redis(self._engine, part.name).volume()
        elif part.kind != FOLDER:
            volume = part.name
        if volume:
            folder = volumes.create(self._engine, volume, service)
        return FolderPlace(service, part.kind, part.name, folder, backup, existed=folder.is_dir(), volume=volume)

    def _described(self, told: t.Mapping[str, t.Any], backup: str) -> Place:
        service, kind, name = (str(told[key]) for key in ("service", "kind", "name"))
        existed = bool(told["existed"])
        if kind == DATABASE:
            return DatabasePlace(service, name, self._server(str(told["server"])), backup, existed=existed)
        return FolderPlace(
            service, kind, name, Path(told["folder"]), backup, existed=existed, volume=str(told["volume"])
        )


def _has_database(parts: t.Iterable[Part]) -> bool:
    return any(part.kind == DATABASE for part in parts)


def _held(found: catalogue.Found, source: str) -> bool:
    return source in found.locations if source else bool(found.locations)


def _need(path: str, needed: int) -> tuple[int, str, int, int]:
    """Of the file system that a path is on, or will be on."""
    there = Path(path)
    while not there.exists():
        there = there.parent
    return os.stat(there).st_dev, str(there), needed, shutil.disk_usage(there).free
