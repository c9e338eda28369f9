# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""One tenant's rows and files brought back, where a service's data let one tenant's be told from the others'.

The order: what can be, the backup filled into scratch databases, whether it holds the tenant and has the same tables, a backup
of what is there, files that are missing; then one transaction in each database: the tenant's rows are exchanged, looked at,
and only when all of them are well, ended. Nothing is stopped; whoever writes the same tables waits for the transaction. Whatever
fails, or ends this process, leaves the rows as they were; the next run removes the scratch databases.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import time
import typing as t
from dataclasses import dataclass, field, replace
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import (
    checks,
    guard,
    journal,
    machine,
    restore_places,
    restore_plan,
    take,
    tenant_data,
    tenant_plan,
    volumes,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.checks import Check, wrong
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.config import Config
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.manifest import DATABASE, VOLUME
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.manifest import Part as Snapshot
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.postgresql import Server
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.refused import Refused
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restore import RestoreError
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restore_places import Source
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restore_plan import Asked, Plan
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restore_world import Machine
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.tenant_data import Description
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.tenant_exchange import (
    NOTHING,
    Exchange,
    Held,
    Sum,
    tables,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.tenant_plan import (
    Choice,
    Part,
    Table,
    Tenant,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine, EngineError

AT_ONCE = 200  # files that the repository is asked for in one command
FOLDER = ".smos-tenant"  # beside a volume's own folder
_FILE = re.compile(r"[A-Za-z0-9]{2}/[A-Za-z0-9]{2}/[A-Za-z0-9]+\Z")
_NEXT = "Nothing was changed. Repair that, then run the same command again; or restore the whole service (smos restore --help)"

Json = dict[str, t.Any]
Say = t.Callable[[str], None]
Values = t.Mapping[str, t.Sequence[str]]


@dataclass(frozen=True)
class Restored:
    """What came of it. ``safety`` is the backup of what was there before; ``notes``: what stays as it is, and why."""

    backup: str
    tenant: str
    services: t.Sequence[str]
    checks: t.Sequence[Check]
    safety: str = ""
    notes: t.Sequence[str] = ()
    warnings: t.Sequence[str] = ()
    seconds: float = 0.0

    def to_json(self) -> Json:
        """As commands report it."""
        told = {"backup": self.backup, "services": list(self.services), "drill": False, "tenant": self.tenant}
        more = {"safety": self.safety, "notes": list(self.notes), "warnings": list(self.warnings)}
        seconds = round(self.seconds, 1)
        return {**told, "checks": [one.to_json() for one in self.checks], **more, "seconds": seconds}


@dataclass(frozen=True)
class Filled:
    """One service's backup in a scratch database, and the tenant's rows there and here."""

    service: str
    described: Description
    server: Server
    held: Held
    values: Values
    then: t.Mapping[str, Part]
    now: t.Mapping[str, Part]
    tables: t.Mapping[str, Table]  # of the live database
    sums: t.Sequence[Sum] = ()
    lacking: t.Sequence[int] = ()


@dataclass
class Wish:
    """What a restore is asked to do, and what is gathered on the way."""

    tenant: Tenant
    backup: str
    wanted: t.Sequence[str] = ()
    source: str = ""
    safety: bool = True
    run: str = ""
    notes: list[str] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)


class TenantRestoration(Machine):
    """Bringing one tenant's data back on this machine. Only under the lock: see `job.alone`."""

    def __init__(self, config: Config, engine: Engine, say: Say, ways: take.Ways | None = None) -> None:
        super().__init__(config, engine, say, ways)
        self._whole = self._config

    def foresee(self, wish: Wish) -> tuple[Plan, Source, Choice]:
        """What would be brought back, from where. Raises Refused where a run would refuse before it looks at the data."""
        half = journal.unfinished()
        if half:
            raise Refused(half, restore_plan.REFUSED, "Run that command first")
        choice = tenant_plan.choose(wish.tenant, self._whole.services, wish.wanted, wish.backup)
        known = {each: self._whole.services[each] for each in choice.services}
        self._config = replace(self._whole, services=known)
        plan, source = self.plan(Asked(wish.backup), wish.source)
        absent = [each for each in known if each not in plan.parts]
        if wish.wanted and absent:
            why = f"backup {plan.manifest.id} holds nothing of {', '.join(absent)}"
            raise Refused(why, restore_plan.INVALID, "Name services that it holds, or another backup")
        # Asked by name, it says nothing of services that nobody wanted
        plan = restore_plan.plan(plan.manifest, self._config, Asked(plan.manifest.id, plan.services))
        of = {each: self._databases(each, plan) for each in plan.parts}
        plan = replace(plan, parts={each: found for each, found in of.items() if found})
        self.room(plan)
        notes = [
            *choice.notes,
            *(f"{each}: backup {plan.manifest.id} holds nothing of it" for each in absent),
            *(f"{each}: {left}" for each in plan.parts if (left := tenant_data.TOGETHER[each].left)),
        ]
        return plan, source, Choice(choice.services, notes)

    def restore(self, wish: Wish) -> Restored:
        """Do it. Raises RestoreError and Refused; either way the rows are as they were."""
        began = time.monotonic()
        plan, source, choice = self.foresee(wish)
        wish.notes += choice.notes
        try:
            self._sweep(plan)
            source.free()
            try:
                filled = self._filled(wish, plan, source, choice)
                safety = self.safety([each.service for each in filled], wish.run) if wish.safety else ""
                files = self._files(wish, filled, plan, source)
                self._exchange(wish, filled, files)
            finally:
                self._sweep(plan)
        except self.failures as exc:
            raise RestoreError(" ".join(str(exc).split()), _NEXT) from exc
        services = [each.service for each in filled]
        self._settle(wish, filled)
        seconds = time.monotonic() - began
        return Restored(
            plan.manifest.id, wish.tenant.id, services, wish.checks, safety, wish.notes, plan.warnings, seconds
        )

    # --- the scratch databases

    def _filled(self, wish: Wish, plan: Plan, source: Source, choice: Choice) -> list[Filled]:
        """Every service of which the backup holds something of the tenant. Raises Refused and RestoreError."""
        found = []
        for service, parts in plan.parts.items():
            one = self._fill(wish, service, parts[0], source, choice.services[service])
            if one is not None:
                found.append(one)
        if not found:
            why = f"backup {plan.manifest.id} holds nothing of {wish.tenant.slug}, and nothing of it is here"
            raise Refused(why, restore_plan.INVALID, "Choose another backup (smos backups)")
        return found

    def _fill(self, wish: Wish, service: str, part: Snapshot, source: Source, values: Values) -> Filled | None:
        described = tenant_data.TOGETHER[service]
        server, backup = self._server(self._config.services[service].server), source.manifest.id
        held = Held(server, tenant_plan.scratch(part.name, backup))
        self._say(f"{service}: filling database {held.database}")
        restore_places.fill_database(server, held.database, source, part, like=part.name)
        counts = checks.rows(part.name, part.counts, server.counts(held.database, list(part.counts)))
        if wrong(counts):
            raise RestoreError(f"the backup of {service} is not what it says: {wrong(counts)}", _NEXT)
        here = tables(server, part.name)
        then = tenant_plan.parts_of(described, held.tables(), values)
        now = tenant_plan.parts_of(described, here, values)
        tenant_plan.same_tables(part.name, backup, then, now)
        if not then:
            wish.notes.append(f"{service}: its database keeps nothing by tenant")
            return None
        one = Filled(service, described, server, held, values, then, now, here)
        one = replace(one, sums=held.measure(list(then.values())), lacking=held.lacking(described, then))
        return one if self._has(wish, one, backup) else None

    def _has(self, wish: Wish, one: Filled, backup: str) -> bool:
        """Whether the backup has the tenant. Where only the machine does, everything would be taken away: refused."""
        root = one.described.root
        of = dict(zip(one.then, one.sums))
        told = [of[root]] if root in of else list(of.values())
        if any(each != NOTHING for each in told):
            return True
        here = Held(one.server, one.described.database)
        own = [each for each in one.now.values() if not each.add]
        if not any(int(each) for each in here.rows(_any(own))):
            wish.notes.append(
                f"{one.service}: neither backup {backup} nor the machine holds anything of {wish.tenant.slug}"
            )
            return False
        why = f"backup {backup} holds nothing of {wish.tenant.slug} in {one.service} ({_told(one.values)})"
        following = "Choose a backup in which the tenant is, or name the services that are meant: --service NAME"
        raise Refused(why, restore_plan.INVALID, following)

    def _sweep(self, plan: Plan) -> None:
        """Scratch databases and folders, those of dead runs too, and sessions that these have left."""
        for service, parts in plan.parts.items():
            server = self._server(self._config.services[service].server)
            server.end_leftovers()
            old = [each for part in parts for each in tenant_plan.leftovers(part.name, server.databases())]
            if old:
                server.drop(*old)
            described = tenant_data.TOGETHER[service].files
            if described and described.volume in self._config.services[service].volumes:
                with contextlib.suppress(volumes.VolumeError):  # told where its files are wanted
                    folder = volumes.mountpoint(self._engine, described.volume)
                    for each in folder.parent.glob(f"{FOLDER}-*"):
                        restore_places.remove(each)

    @staticmethod
    def _databases(service: str, plan: Plan) -> list[Snapshot]:
        name = tenant_data.TOGETHER[service].database
        return [each for each in plan.parts[service] if each.kind == DATABASE and each.name == name]

    # --- the exchange

    def _exchange(self, wish: Wish, filled: t.Sequence[Filled], files: t.Sequence[Path]) -> None:
        """All databases, or none: each is ended only when all are well."""
        done: list[str] = []
        try:
            with contextlib.ExitStack() as stack:
                open_ones = []
                for one in filled:
                    self._say(f"{one.service}: exchanging the rows of {wish.tenant.slug}")
                    made = stack.enter_context(Exchange(one.server, one.described, one.now, one.tables, one.values))
                    open_ones.append(made)
                    wish.checks += made.make(one.held.database, one.sums, one.lacking)
                _all_well(wish.checks)
                for one, made in zip(filled, open_ones):
                    made.commit()
                    done.append(one.service)
        except BaseException as exc:  # Ctrl-C as well: whatever ends it, files go back with the rows
            left = ", ".join(one.service for one in filled if one.service not in done)
            if done and not left:
                raise  # all rows are back, and the files belong to them
            if done:
                why = f"{', '.join(done)} was brought back, {left} was not: {' '.join(str(exc).split()) or type(exc).__name__}"
                raise RestoreError(why, "Run the same command again", checks=wish.checks) from exc
            for each in files:
                each.unlink(missing_ok=True)
            raise

    def _settle(self, wish: Wish, filled: t.Sequence[Filled]) -> None:
        """What keeps in memory what its rows say begins anew, one after the other. Rows are back whatever comes of it."""
        for one in filled:
            if not one.described.restarts:
                continue
            data = self._whole.services[one.service]
            try:
                for each, count in machine.replicas(self._engine, data.writers).items():
                    if count:
                        self._say(f"{one.service}: {each} begins anew")
                        _begin_anew(self._engine, each)
                ill = machine.healthy(self._engine, one.service, machine.question_of(self._engine, data))
            except (EngineError, machine.MachineError) as exc:
                ill = str(exc)
            wish.checks.append(Check(f"health of {one.service}", not ill, "healthy", ill or "healthy"))

    # --- files

    def _files(self, wish: Wish, filled: t.Sequence[Filled], plan: Plan, source: Source) -> list[Path]:
        """Add the files that the tenant's rows refer to and that are not there; gives them. None is ever replaced."""
        added: list[Path] = []
        for one in filled:
            described = one.described.files
            if described is None:
                continue
            wheres = {name: part.where for name, part in one.then.items()}
            if not set(re.findall(r"\[(\w+)\]", described.query)) <= set(wheres):
                continue
            wanted = one.held.rows(tenant_plan.rendered(described.query, one.values, wheres))
            held = [
                each
                for each in plan.manifest.services[one.service].parts
                if each.kind == VOLUME and each.name == described.volume
            ]
            folder = volumes.mountpoint(self._engine, described.volume)
            missing = [each for each in wanted if _FILE.match(each) and not (folder / each).exists()]
            if missing and held:
                self._say(f"{one.service}: {len(missing)} files")
                added += _add(source, held[0], folder, missing)
            lacking = sum(not (folder / each).exists() for each in wanted)
            if missing:
                wish.notes.append(
                    f"{one.service}: {len(missing) - lacking} of {len(wanted)} files were missing and are there again"
                )
            if lacking:
                wish.notes.append(
                    f"{one.service}: {lacking} files that rows refer to are in the backup no more than here"
                )
        return added


def _add(source: Source, part: Snapshot, folder: Path, missing: t.Sequence[str]) -> list[Path]:
    """Bring files beside the volume's own folder and move them in, so that none is ever half there."""
    free = shutil.disk_usage(folder).free
    if free < guard.LEAST_FREE:
        raise volumes.VolumeError(f"only {guard.size(free)} are free where {folder} is")
    beside = folder.with_name(f"{FOLDER}-{source.manifest.id}")
    restore_places.remove(beside)
    beside.mkdir(mode=0o700)
    added: list[Path] = []
    try:
        for at in range(0, len(missing), AT_ONCE):
            some = [f"/{each}" for each in missing[at : at + AT_ONCE]]
            source.repository.restore(source.snapshot(part), beside, some)
        for each in missing:
            if (beside / each).is_file():
                for parent in reversed([*Path(each).parents][:-1]):
                    if not (folder / parent).is_dir():
                        (folder / parent).mkdir()
                        volumes.give_root(folder / parent, volumes.root_of(folder))
                (beside / each).rename(folder / each)
                added.append(folder / each)
    except BaseException:  # Ctrl-C as well: nothing half added stays
        for path in added:
            path.unlink(missing_ok=True)
        raise
    finally:
        restore_places.remove(beside)
    return added


def _begin_anew(engine: Engine, name: str) -> None:
    """Replace the tasks of a Swarm service by new ones of the same specification."""
    for attempt in range(machine.TRIES):
        there = engine.get(f"/services/{name}")
        spec = there["Spec"]
        task = {**spec["TaskTemplate"], "ForceUpdate": int(spec["TaskTemplate"].get("ForceUpdate", 0)) + 1}
        try:
            engine.post(
                f"/services/{there['ID']}/update?version={there['Version']['Index']}", {**spec, "TaskTemplate": task}
            )
        except EngineError as exc:
            if "out of sequence" not in exc.message or attempt == machine.TRIES - 1:
                raise
        else:
            return


def _all_well(found: t.Sequence[Check]) -> None:
    if wrong(found):
        raise RestoreError(wrong(found), _NEXT, checks=found)


def _any(parts: t.Sequence[Part]) -> str:
    return ";\n".join(
        f'SELECT count(*) FROM "{part.table.name}" WHERE {part.where}'  # noqa: S608 - quoted by tenant_plan
        for part in parts
    )


def _told(values: Values) -> str:
    return ", ".join(each for found in values.values() for each in found)
