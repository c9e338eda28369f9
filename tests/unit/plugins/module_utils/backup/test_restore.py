"""A restore that is killed at any moment, and what the same command makes of it. The machine is a fake that can be cut off
before and after everything that it does; folders are real ones.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import journal
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.checks import Check
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.journal import Journal, State
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.manifest import (
    DATABASE,
    GLOBALS,
    VOLUME,
    Manifest,
    Part,
    ServicePart,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.postgresql import PostgresError, Server
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.refused import Refused
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restic import Repository, ResticError
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restore import (
    Restoration,
    Restored,
    RestoreError,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restore_places import (
    FAILURES,
    DatabasePlace,
    FolderPlace,
    Place,
    Source,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restore_plan import Asked, Plan
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import EngineError, Executed

ID = "20260101-020000"
SAFE = "20260105-090000"
ASKED = Asked("latest", ("n8n",))
OLD, NEW = "what was there", "what was backed up"


class Killed(BaseException):
    """kill -9, or the power: nothing that the program would do in the end is done."""


@dataclass
class Axe:
    """Ends the program before its so many-th step."""

    at: int = 0
    steps: int = 0

    def tick(self) -> None:
        self.steps += 1
        if self.steps == self.at:
            raise Killed


@dataclass
class Databases:
    """A server: a name change of several is one step, filling one is several."""

    axe: Axe
    there: dict[str, str] = field(default_factory=lambda: {"n8n": OLD, "odoo": "of another service"})
    shut: set[str] = field(default_factory=set)
    service: str = "pg"
    env: Mapping[str, str] = field(default_factory=dict)
    broken: str = ""

    def databases(self) -> dict[str, int]:
        return dict.fromkeys(self.there, 1)

    def drop(self, *names: str) -> None:
        for each in names:
            self.axe.tick()
            self.there.pop(each, None)
            self.shut.discard(each)

    def rename(self, *pairs: tuple[str, str]) -> None:
        self.shut.update(old for old, _ in pairs)
        self.axe.tick()
        if self.broken == "rename":
            raise PostgresError("the server is not there")
        for old, new in pairs:
            assert new not in self.there, f"{new} exists already"
            self.there[new] = self.there.pop(old)
            self.shut -= {old}
            self.shut |= {new}
        self.axe.tick()
        self.shut -= {name for pair in pairs for name in pair}

    def open(self, *names: str) -> None:
        self.axe.tick()
        self.shut -= set(names)

    def create_roles(self, _dumped: str) -> list[str]:
        return []

    def shape(self, name: str) -> dict[str, Any]:
        return {"owner": "n8n"} if name in self.there else {}

    def create(self, name: str, _shape: Any) -> None:
        self.axe.tick()
        assert name not in self.there
        self.there[name] = ""

    def restore_argv(self, name: str) -> list[str]:
        return ["pg_restore", name]

    def analyze(self, _name: str) -> None:
        self.axe.tick()

    def counts(self, name: str, tables: Sequence[str]) -> dict[str, int]:
        return dict.fromkeys(tables, 3 if self.there[name] == NEW else 1)


@dataclass
class Backup:
    """The repository."""

    databases: Databases
    bad: bool = False
    locked: bool = True  # by a check that was killed
    reads: int = 0

    def unlock(self) -> None:
        self.databases.axe.tick()
        self.locked = False

    def read(self, _snapshot: str, _filename: str) -> bytes:
        self.reads += 1
        return b"CREATE ROLE n8n;"

    def stream_into(self, snapshot: str, filename: str, argv: Sequence[str], _env: Any) -> Executed:
        assert (snapshot, filename) == ("here-d", "n8n.dump")
        assert not self.locked
        self.databases.axe.tick()
        self.databases.there[argv[-1]] = OLD if self.bad else NEW
        self.databases.axe.tick()
        return Executed(0, "", "")

    def restore(self, snapshot: str, target: Path) -> None:
        assert snapshot == "here-v"
        (target / "half").write_text("")
        self.databases.axe.tick()
        (target / "half").unlink()
        (target / "file").write_text(NEW)


PARTS = (
    Part(DATABASE, "n8n", "d", counts={"workflow": 3}),
    Part(VOLUME, "n8n-data", "v", bytes=len(NEW), files=1),
)


@dataclass
class World:
    """The machine."""

    folder: Path
    axe: Axe
    databases: Databases
    repository: Backup
    running: dict[str, int] = field(default_factory=lambda: {"n8n_n8n": 2, "odoo_odoo": 1})
    log: list[str] = field(default_factory=list)
    ill: bool = False  # the restored data do not make a healthy service
    refuse: str = ""
    fail: str = ""
    saved: list[str] = field(default_factory=list)  # what the safety backups hold
    failures: tuple[type[Exception], ...] = FAILURES

    def plan(self, asked: Asked, source: str) -> tuple[Plan, Source]:
        self.axe.tick()
        if self.refuse == "plan":
            raise Refused("there is no such backup", 2, "List them")
        assert asked.backup in ("latest", ID)
        assert set(asked.services) == {"n8n"}
        manifest = Manifest(ID, "production", "0.1", "vps", {"n8n": ServicePart(PARTS)})
        snapshots = {"d": "here-d", "v": "here-v"}
        return (
            Plan(manifest, {"n8n": PARTS}, ["n8n_n8n"], [Check("key k", True, "a", "a")], ["take care"]),
            Source(cast("Repository", self.repository), manifest, snapshots),
        )

    def places(self, plan: Plan) -> list[tuple[Place, Part]]:
        self.axe.tick()
        self._fail("places")
        there = "n8n" in self.databases.there
        return [
            (DatabasePlace("n8n", "n8n", cast("Server", self.databases), ID, existed=there), PARTS[0]),
            (FolderPlace("n8n", VOLUME, "n8n-data", self.data, ID, existed=self.data.is_dir()), PARTS[1]),
        ]

    def again(self, state: State) -> list[Place]:
        found: list[Place] = []
        for each in state.places:
            if each["kind"] == DATABASE:
                server = cast("Server", self.databases)
                found.append(DatabasePlace("n8n", each["name"], server, state.backup, existed=each["existed"]))
            else:
                folder = Path(each["folder"])
                found.append(FolderPlace("n8n", VOLUME, each["name"], folder, state.backup, existed=each["existed"]))
        return found

    def room(self, plan: Plan) -> None:
        if self.refuse == "room":
            raise Refused("10 GiB must be free", 3, "Make room")

    def safety(self, services: Sequence[str], run: str) -> str:
        self.axe.tick()
        if self.refuse == "safety":
            raise Refused("what is there cannot be backed up first", 4, "Repair that")
        self.saved.append(self.databases.there.get("n8n", ""))
        return SAFE

    def replicas(self, writers: Sequence[str]) -> dict[str, int]:
        return {name: self.running[name] for name in writers}

    def stop(self, writers: Collection[str], places: Sequence[Place]) -> None:
        self.log.append("stop")
        for name in writers:
            self.axe.tick()
            self.running[name] = 0
        if places:
            self._fail("stop")

    def start(self, replicas: Mapping[str, int]) -> None:
        self.log.append("start")
        for name, count in replicas.items():
            self.axe.tick()
            assert (self.data / "file").is_file() or not self.databases.there.get("n8n")
            self.running[name] = count
        self.axe.tick()
        if self.fail == "start" or (self.fail == "start new" and self.databases.there["n8n"] == NEW):
            raise EngineError("n8n_n8n did not become healthy")

    def refer(self, plan: Plan, places: Sequence[Place]) -> list[Check]:
        return []

    def healthy(self, services: Sequence[str]) -> list[Check]:
        self.axe.tick()
        good = not self.ill
        return [Check("health of n8n", good, "healthy", "healthy" if good else "502")]

    def _fail(self, where: str) -> None:
        if self.fail == where:
            raise EngineError(f"{where} failed")

    @property
    def data(self) -> Path:
        return self.folder / "n8n-data" / "_data"

    def state(self) -> dict[str, Any]:
        """All of it, for comparison."""
        files = sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*"))
        file = self.data / "file"
        return {
            "databases": dict(self.databases.there),
            "shut": set(self.databases.shut),
            "files": files,
            "content": file.read_text() if file.is_file() else None,
            "running": dict(self.running),
        }


class CutJournal(Journal):
    """Is cut off before and after each write."""

    def __init__(self, path: Path, axe: Axe) -> None:
        super().__init__(path)
        self._axe = axe

    def write(self, state: State) -> None:
        self._axe.tick()
        super().write(state)
        self._axe.tick()

    def clear(self) -> None:
        self._axe.tick()
        super().clear()
        self._axe.tick()


class Bed:
    """A machine with n8n and another service, and a way to restore there."""

    def __init__(self, folder: Path) -> None:
        self.axe = Axe()
        databases = Databases(self.axe)
        self.world = World(folder / "volumes", self.axe, databases, Backup(databases))
        self.world.data.mkdir(parents=True)
        (self.world.data / "file").write_text(OLD)
        self.kept = CutJournal(folder / "restore.json", self.axe)
        self.before = self.world.state()
        self.after = {
            **self.before,
            "databases": {"n8n": NEW, "odoo": "of another service"},
            "content": NEW,
        }

    def restore(self, asked: Asked = ASKED, at: int = 0, *, safety: bool = True) -> Restored:
        self.axe.at, self.axe.steps = at, 0
        return Restoration(self.world, self.kept, lambda _text: None, safety=safety).run(asked)

    def killed(self, at: int, asked: Asked = ASKED) -> bool:
        """Whether it was killed; a failure is an end as well."""
        try:
            self.restore(asked, at)
        except Killed:
            return True
        except RestoreError:
            return False
        return False


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of restores: none of them has to outlive the machine."""
    monkeypatch.setattr(os, "fsync", lambda _handle: None)


@pytest.fixture
def bed(tmp_path: Path) -> Bed:
    return Bed(tmp_path)


def again(tmp_path: Path, number: int) -> Bed:
    """A new machine, the old one is removed: there are hundreds of them."""
    shutil.rmtree(tmp_path / str(number - 1), ignore_errors=True)
    return Bed(tmp_path / str(number))


def test_all_is_switched_and_what_was_there_is_in_a_backup(bed: Bed) -> None:
    done = bed.restore()
    assert bed.world.state() == bed.after
    assert (done.backup, list(done.services), done.safety, done.resumed) == (ID, ["n8n"], SAFE, False)
    assert [one.what for one in done.checks if one.ok] == [
        "key k",
        "rows of n8n.workflow",
        "files of volume n8n-data",
        "bytes of volume n8n-data",
        "health of n8n",
    ]
    assert done.warnings == ["take care"]
    assert bed.kept.read() is None
    assert bed.world.log == ["stop", "start"]
    told = done.to_json()
    assert (told["backup"], told["drill"], len(told["checks"])) == (ID, False, 5)


def test_the_safety_backup_is_left_out_only_when_that_is_said(bed: Bed) -> None:
    assert bed.restore(safety=False).safety == ""
    assert bed.world.saved == []


def test_a_service_that_rested_rests_afterwards(bed: Bed) -> None:
    bed.world.running["n8n_n8n"] = 0
    bed.restore()
    assert bed.world.running["n8n_n8n"] == 0


def test_a_database_and_a_folder_that_were_gone_are_there_again(bed: Bed) -> None:
    del bed.world.databases.there["n8n"]
    shutil.rmtree(bed.world.data)
    with pytest.raises(RestoreError, match="how the database n8n was made is told neither"):
        bed.restore()
    parts = (replace(PARTS[0], shape={"owner": "n8n"}), PARTS[1])
    bed.world.places = lambda plan: [  # type: ignore[method-assign] # a double of ours
        (DatabasePlace("n8n", "n8n", cast("Server", bed.world.databases), ID, existed=False), parts[0]),
        (FolderPlace("n8n", VOLUME, "n8n-data", bed.world.data, ID, existed=False), parts[1]),
    ]
    bed.world.ill = True
    with pytest.raises(RestoreError, match="runs again"):
        bed.restore()
    assert "n8n" not in bed.world.databases.there
    assert not bed.world.data.exists()
    bed.world.ill = False
    bed.restore()
    assert bed.world.state() == bed.after


# --- what fails leaves, or brings, the old state running


@pytest.mark.parametrize(("what", "code"), [("plan", 2), ("room", 3), ("safety", 4)])
def test_what_is_refused_touches_nothing(bed: Bed, what: str, code: int) -> None:
    bed.world.refuse = what
    with pytest.raises(RestoreError) as caught:
        bed.restore()
    assert (caught.value.exit_code, caught.value.back) == (code, "")
    assert bed.world.state() == bed.before
    assert bed.world.log == []
    assert bed.kept.read() is None


def _bad_dump(bed: Bed) -> None:
    bed.world.repository.bad = True


def _ill(bed: Bed) -> None:
    bed.world.ill = True


def _no_start(bed: Bed) -> None:
    bed.world.fail = "start new"


def _no_stop(bed: Bed) -> None:
    bed.world.fail = "stop"


FAULTS: dict[str, tuple[Callable[[Bed], None], str]] = {
    "rows": (_bad_dump, "rows of n8n.workflow: 1 instead of 3"),
    "health": (_ill, "health of n8n: 502 instead of healthy"),
    "start": (_no_start, "n8n_n8n did not become healthy"),
    "stop": (_no_stop, "stop failed"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failure_brings_the_old_state_back_and_tells_both(bed: Bed, fault: str) -> None:
    make, words = FAULTS[fault]
    make(bed)
    with pytest.raises(RestoreError) as caught:
        bed.restore()
    assert bed.world.state() == bed.before
    assert bed.kept.read() is None
    assert str(caught.value) == f"{words}; what was there before runs again"
    assert caught.value.following
    row = caught.value.row("restore of n8n")
    assert row["why"] == str(caught.value)


def test_what_did_not_fit_is_told_check_by_check(bed: Bed) -> None:
    bed.world.repository.bad = True
    with pytest.raises(RestoreError) as caught:
        bed.restore()
    assert [one.what for one in caught.value.checks if not one.ok] == ["rows of n8n.workflow"]


def test_an_old_state_that_does_not_start_either_is_told(bed: Bed) -> None:
    bed.world.fail = "start"
    with pytest.raises(RestoreError, match="in its place, but does not run: n8n_n8n did not become healthy"):
        bed.restore()
    assert bed.kept.read() is None
    assert bed.world.state() == bed.before


def test_one_that_cannot_be_taken_back_stays_in_the_journal_and_the_same_command_takes_it_back(bed: Bed) -> None:
    bed.world.ill = True
    healthy = bed.world.healthy

    def and_then_the_server_goes(services: Sequence[str]) -> list[Check]:
        bed.world.databases.broken = "rename"
        return healthy(services)

    bed.world.healthy = and_then_the_server_goes  # type: ignore[method-assign] # a double of ours
    with pytest.raises(RestoreError, match="could not be put back: the server is not there") as caught:
        bed.restore()
    assert f"`smos restore {ID} --service n8n`" in caught.value.following
    there = bed.kept.read()
    assert there is not None
    assert there.stage == journal.UNDOING
    bed.world.databases.broken = ""
    bed.world.healthy = healthy  # type: ignore[method-assign] # a double of ours
    with pytest.raises(RestoreError, match="runs again"):
        bed.restore()
    assert bed.world.state() == bed.before


def test_ctrl_c_brings_the_old_state_back(bed: Bed) -> None:
    def interrupted(services: Sequence[str]) -> list[Check]:
        raise KeyboardInterrupt

    bed.world.healthy = interrupted  # type: ignore[method-assign] # a double of ours
    with pytest.raises(KeyboardInterrupt):
        bed.restore()
    assert bed.world.state() == bed.before
    assert bed.kept.read() is None


def test_on_a_full_disk_the_old_state_is_brought_back_all_the_same(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Journal.write

    def full(self: Journal, state: State) -> None:
        if state.stage in (journal.STARTING, journal.UNDOING):
            raise OSError(28, "No space left on device")
        write(self, state)

    monkeypatch.setattr(Journal, "write", full)
    with pytest.raises(RestoreError, match="No space left on device; what was there before runs again"):
        bed.restore()
    assert bed.world.state() == bed.before
    assert bed.kept.read() is None


def test_what_an_earlier_restore_could_not_remove_is_never_taken_for_what_is_there_now(bed: Bed) -> None:
    aside = bed.world.data.with_name(f".smos-before-{ID}")
    for fault in (_no_stop, _ill):
        bed.world.fail, bed.world.ill = "", False
        fault(bed)
        aside.mkdir(exist_ok=True)
        bed.world.databases.there[f"n8n_before_{ID}"] = "of long ago"
        with pytest.raises(RestoreError, match="runs again"):
            bed.restore()
        assert bed.world.databases.there["n8n"] == OLD
        assert (bed.world.data / "file").read_text() == OLD


def test_what_cannot_be_removed_in_the_end_is_a_warning(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    def stuck(_place: FolderPlace) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(FolderPlace, "tidy", stuck)
    done = bed.restore()
    assert "what was volume n8n-data before the restore could not be removed" in done.warnings[-1]
    assert bed.kept.read() is None


# --- cut off


def test_another_command_is_refused_until_it_has_ended(bed: Bed) -> None:
    assert bed.killed(12)
    there = bed.kept.read()
    assert there is not None
    for asked in (Asked("20250101-020000", ("n8n",)), Asked("latest"), Asked(ID, ("odoo",))):
        with pytest.raises(RestoreError, match="was cut off") as caught:
            bed.restore(asked)
        assert caught.value.exit_code == 4
    assert bed.kept.read() == there


def test_latest_is_still_the_backup_that_it_was(bed: Bed) -> None:
    assert bed.killed(12)
    assert bed.restore(ASKED).backup == ID


def test_killed_at_any_moment_the_same_command_restores(tmp_path: Path) -> None:
    for number in itertools.count(1):
        bed = again(tmp_path, number)
        if not bed.killed(number):
            break
        over = bed.kept.read() is None and bed.world.state() == bed.after
        bed.restore()
        assert bed.world.state() == bed.after, number
        assert bed.kept.read() is None
        assert OLD in bed.world.saved
        assert over or NEW not in bed.world.saved, number
    assert number > 30


def test_killed_again_at_any_moment_of_the_second_try_the_third_restores(tmp_path: Path) -> None:
    number = 0
    for first in itertools.count(1):
        for second in itertools.count(1):
            number += 1
            bed = again(tmp_path, number)
            if not bed.killed(first):
                assert first > 30
                return
            if not bed.killed(second):
                break
            bed.restore()
            assert bed.world.state() == bed.after, (first, second)
            assert bed.kept.read() is None


@pytest.mark.parametrize("fault", FAULTS)
def test_killed_at_any_moment_of_one_that_fails_the_same_command_leaves_the_old_state_running(
    tmp_path: Path, fault: str
) -> None:
    for number in itertools.count(1):
        bed = again(tmp_path, number)
        FAULTS[fault][0](bed)
        if not bed.killed(number):
            break
        assert not bed.killed(0)
        assert bed.world.state() == bed.before, number
        assert bed.kept.read() is None
    assert number > 12


@pytest.mark.parametrize("refuse", ["plan", "room", "safety"])
def test_one_that_cannot_be_gone_on_with_is_taken_back(tmp_path: Path, refuse: str) -> None:
    """The repository is gone, or the disk full, when the command is given again."""
    for number in itertools.count(1):
        bed = again(tmp_path, number)
        if not bed.killed(number):
            break
        bed.world.refuse = refuse
        assert not bed.killed(0)
        assert bed.world.state() in (bed.before, bed.after), number
        assert bed.kept.read() is None


def test_killed_at_any_moment_what_was_not_chosen_is_as_it_was(tmp_path: Path) -> None:
    for number in itertools.count(1):
        bed = again(tmp_path, number)
        if not bed.killed(number):
            break
        assert bed.world.running["odoo_odoo"] == 1
        assert bed.world.databases.there["odoo"] == "of another service"


def test_the_roles_of_a_server_are_read_once_however_many_databases_it_has() -> None:
    repository = Backup(Databases(Axe()))
    parts = ServicePart((Part(GLOBALS, "pg", "g"),))
    source = Source(cast("Repository", repository), Manifest(ID, "production", "0.1", "vps", {"n8n": parts}), {})
    assert {source.globals_of("pg") for _ in range(3)} == {"CREATE ROLE n8n;"}
    assert source.globals_of("another") == ""
    assert repository.reads == 1


@pytest.mark.parametrize("elsewhere", [True, False])
def test_a_lock_that_cannot_be_taken_away_elsewhere_is_no_reason_not_to_read(elsewhere: bool) -> None:
    class Stuck:
        def unlock(self) -> None:
            raise ResticError("nothing may be removed here", 1, "refused")

    stuck = Stuck()
    stuck.elsewhere = elsewhere  # type: ignore[attr-defined] # a double of ours
    source = Source(cast("Repository", stuck), Manifest(ID, "production", "0.1", "vps", {}), {})
    if elsewhere:
        source.free()
        return
    with pytest.raises(ResticError):
        source.free()
