# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Bringing a backup back: beside what is there, looked at, switched, and taken back whenever something is not as it should be.

The order: plan and room, a backup of what is there, writers stopped, databases and folders filled beside those that are there,
rows and files compared with the backup, everything switched by renaming, writers started, health awaited; then what was there
before is removed. A failure leaves (or brings) the old state running. Before each step the journal says which one it is, and
each step can be done twice, so that the same command goes on after whatever cut it off: before the switch it starts over,
after it it goes on to the end. The containers of services that were not chosen are never touched.
"""

from __future__ import annotations

import contextlib
import time
import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import journal, restore_plan
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.checks import Check, wrong
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.config import Config
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.journal import Journal, State
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.manifest import Part
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.refused import Refused
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restore_places import Place, Source
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restore_plan import Asked, Plan
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine

FAILED = 1  # exit code

Json = dict[str, t.Any]
Say = t.Callable[[str], None]


class RestoreError(Exception):
    """It did not come about. ``back`` says how the old state is; empty where nothing was touched."""

    def __init__(
        self, why: str, following: str, back: str = "", exit_code: int = FAILED, checks: t.Sequence[Check] = ()
    ) -> None:
        super().__init__(f"{why}; {back}" if back else why)
        self.why = why
        self.back = back
        self.following = following
        self.exit_code = exit_code
        self.checks = list(checks)

    def row(self, what: str) -> dict[str, str]:
        """As commands report it."""
        return errors.row(what, str(self), "", self.following)


@dataclass(frozen=True)
class Restored:
    """What was brought back. ``safety`` is the backup of what was there before."""

    backup: str
    services: t.Sequence[str]
    checks: t.Sequence[Check]
    safety: str = ""
    warnings: t.Sequence[str] = field(default_factory=list)
    seconds: float = 0.0
    resumed: bool = False

    def to_json(self) -> Json:
        """As commands report it."""
        told = {"backup": self.backup, "services": list(self.services), "drill": False, "safety": self.safety}
        more = {"warnings": list(self.warnings), "seconds": round(self.seconds, 1), "resumed": self.resumed}
        return {**told, "checks": [one.to_json() for one in self.checks], **more}


class World(t.Protocol):
    """What a restore needs of the machine. Methods raise Refused where nothing was touched, else what `failures` names."""

    failures: tuple[type[Exception], ...]

    def plan(self, asked: Asked, source: str) -> tuple[Plan, Source]:
        """The plan, and where its data are read from."""

    def places(self, plan: Plan) -> list[tuple[Place, Part]]:
        """What is brought back."""

    def again(self, state: State) -> list[Place]:
        """The same, as the journal tells it."""

    def room(self, plan: Plan) -> None:
        """Refuse where the disk is too small."""

    def safety(self, services: t.Sequence[str], run: str) -> str:
        """Back up what is there; gives the id."""

    def replicas(self, writers: t.Sequence[str]) -> dict[str, int]:
        """How many of each writer shall run."""

    def stop(self, writers: t.Collection[str], places: t.Sequence[Place]) -> None:
        """Stop the writers, until nothing uses the places."""

    def start(self, replicas: t.Mapping[str, int]) -> None:
        """Start so many, until they are healthy."""

    def refer(self, plan: Plan, places: t.Sequence[Place]) -> list[Check]:
        """Whether rows have their files, in what was filled."""

    def healthy(self, services: t.Sequence[str]) -> list[Check]:
        """Whether the services answer."""


def restore(
    config: Config,
    engine: Engine,
    wanted_id: str,
    services: t.Sequence[str] = (),
    *,
    source: str = "",
    safety: bool = True,
    run: str = "",
    progress: Say | None = None,
) -> Restored:
    """Bring a backup back (``latest`` or an id), all services of it or those named, from the first place that has it or from
    ``source`` ("local" or a remote's name). The caller holds the lock. Raises RestoreError.
    """
    from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restore_world import Machine

    say = progress or (lambda _text: None)
    restoration = Restoration(Machine(config, engine, say), Journal(), say, safety=safety)
    return restoration.run(Asked(wanted_id, tuple(services)), source, run)


class Restoration:
    """One restore, or the rest of one."""

    def __init__(self, world: World, kept: Journal, say: Say, *, safety: bool = True) -> None:
        self._world = world
        self._journal = kept
        self._say = say
        self._safety = safety
        self._began = time.monotonic()

    def run(self, asked: Asked, source: str = "", run: str = "") -> Restored:
        """Do what follows. Raises RestoreError."""
        try:
            there = self._journal.read()
            step = restore_plan.following(there, asked)
        except Refused as exc:
            raise RestoreError(exc.why, exc.following, exit_code=exc.exit_code) from exc
        except journal.JournalError as exc:
            raise RestoreError(
                str(exc), "Repair the disk, or remove the file when all services run", exit_code=3
            ) from exc
        began = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        if there is None:
            return self._begin(State(asked.backup, "", (), began, wanted=asked.services, source=source, run=run))
        self._say(f"the restore of {there.backup} was cut off while {there.stage}: {step}")
        if step in (restore_plan.FORWARD, restore_plan.TIDY):
            places = self._world.again(there)
            if step == restore_plan.TIDY:
                return self._end(there, places, resumed=True)
            return self._switch(there, places, resumed=True)
        if step == restore_plan.BACK:
            self._undo(there, self._world.again(there))
            there = replace(there, began=began, safety="", replicas={}, places=(), checks=(), switched=False, why="")
        return self._begin(replace(there, source=source, run=run))

    def _begin(self, state: State) -> Restored:
        """From the beginning. Of a restore that was cut off, the backup, what ran before it and a safety backup are known."""
        resumed = bool(state.backup)
        places: list[tuple[Place, Part]] = []
        with self._taking_back(lambda: (state, [place for place, _part in places] or None)):
            plan, source = self._world.plan(Asked(state.backup or state.asked, state.wanted), state.source)
            self._world.room(plan)
            source.free()
            safe = state.safety if state.stage == journal.FILLING else ""  # since then nobody has written
            state = self._write(
                state, stage=journal.BEGUN, backup=plan.manifest.id, services=plan.services, safety=safe, checks=()
            )
            if self._safety and not safe:
                state = replace(state, safety=self._world.safety(plan.services, state.run))
            places += self._world.places(plan)
            state = self._write(
                state,
                stage=journal.STOPPING,
                replicas={**self._world.replicas(plan.writers), **state.replicas},
                places=[place.describe() for place, _part in places],
            )
            self._world.stop(state.replicas, [place for place, _part in places])
            state = self._write(state, stage=journal.FILLING)
            checks = self._fill(plan, source, places)
            state = replace(state, checks=[one.to_json() for one in (*plan.checks, *checks)])
            if wrong(checks):
                raise RestoreError(wrong(checks), _NEXT)
        return self._switch(state, [place for place, _part in places], plan.warnings, resumed=resumed)

    def _fill(self, plan: Plan, source: Source, places: t.Sequence[tuple[Place, Part]]) -> list[Check]:
        checks: list[Check] = []
        for place, part in places:
            self._say(f"{place.service}: {place.what}")
            place.fill(source, part)
            checks += place.look(part)
        return [*checks, *self._world.refer(plan, [place for place, _part in places])]

    def _switch(self, state: State, places: list[Place], warnings: t.Sequence[str] = (), *, resumed: bool) -> Restored:
        """From the switch on to the end."""
        with self._taking_back(lambda: (state, places)):
            if state.stage != journal.STARTING:
                state = self._write(state, stage=journal.SWITCHING, switched=True)
                for place in places:
                    self._say(f"{place.service}: {place.what} is switched")
                    place.switch()
            state = self._write(state, stage=journal.STARTING)
            self._say("starting and waiting for health")
            self._world.start(state.replicas)
            health = self._world.healthy(state.services)
            state = replace(state, checks=[*state.checks, *(one.to_json() for one in health)])
            if wrong(health):
                raise RestoreError(wrong(health), _NEXT)
        state = self._write(state, stage=journal.TIDYING)
        return self._end(state, places, warnings, resumed=resumed)

    def _end(self, state: State, places: list[Place], warnings: t.Sequence[str] = (), *, resumed: bool) -> Restored:
        """What was there before goes. It is restored whatever comes of that."""
        left = []
        for place in places:
            try:
                place.tidy()
            except self._world.failures as exc:
                left.append(f"what was {place.what} before the restore could not be removed: {exc}")
        self._journal.clear()
        checks = [Check(**each) for each in state.checks]
        seconds = time.monotonic() - self._began
        more = [*warnings, *left]
        return Restored(state.backup, state.services, checks, state.safety, more, seconds, resumed)

    @contextlib.contextmanager
    def _taking_back(self, now: t.Callable[[], tuple[State, list[Place] | None]]) -> t.Iterator[None]:
        """Whatever fails inside is taken back; Ctrl-C as well."""
        caught: tuple[type[BaseException], ...] = (RestoreError, Refused, KeyboardInterrupt, *self._world.failures)
        try:
            yield
        except caught as exc:
            state, places = now()
            why = "it was interrupted" if isinstance(exc, KeyboardInterrupt) else str(exc) or type(exc).__name__
            touched = bool(state.replicas or state.places)
            back = self._undo(replace(state, why=why), places or self._world.again(state)) if touched else ""
            if not touched:
                self._journal.clear()
            if isinstance(exc, KeyboardInterrupt):
                raise
            exit_code = exc.exit_code if isinstance(exc, Refused) and not touched else FAILED
            following = exc.following if isinstance(exc, (Refused, RestoreError)) else _NEXT
            raise RestoreError(why, following, back, exit_code, [Check(**each) for each in state.checks]) from exc

    def _undo(self, state: State, places: list[Place]) -> str:
        """Bring the old state back, start it, and say how it is. Raises RestoreError where it cannot be put back: the same
        command tries again.
        """
        self._say("taking it back")
        noted = self._note(replace(state, stage=journal.UNDOING))
        try:
            if state.switched:
                self._world.stop(state.replicas, [])
                for place in reversed(places):
                    place.back()
        except self._world.failures as exc:
            why = f"{state.why}; what was there before could not be put back: {exc}"
            raise RestoreError(
                why, f"Repair that, then run `{state.command}` again: it goes on putting it back"
            ) from exc
        ill = self._restart(state)
        if not noted:
            self._journal.clear()  # or it would tell of a switch to what is removed now
        left = self._discard(places)
        self._journal.clear()
        return "; ".join([f"what was there before is in its place, but does not run: {ill}" if ill else _RUNS, *left])

    def _note(self, state: State) -> bool:
        """On a full disk too, the old state is brought back."""
        try:
            self._journal.write(state)
        except OSError:
            return False
        return True

    def _restart(self, state: State) -> str:
        """Start what ran before; gives what is wrong with it."""
        try:
            self._world.start(state.replicas)
        except self._world.failures as exc:
            return str(exc)
        return ""

    def _discard(self, places: t.Sequence[Place]) -> list[str]:
        left = []
        for place in places:
            try:
                place.discard()
            except self._world.failures as exc:
                left.append(f"what was brought beside {place.what} could not be removed: {exc}")
        return left

    def _write(self, state: State, **changes: t.Any) -> State:
        state = replace(state, **changes)
        self._journal.write(state)
        return state


_RUNS = "what was there before runs again"
_NEXT = "Repair that, then run the same command again, or choose another backup (smos backups)"
