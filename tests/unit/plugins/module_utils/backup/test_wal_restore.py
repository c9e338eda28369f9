"""The order of a restore to a moment, and what is there after one that failed or was cut off."""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import wal, wal_plan, wal_restore
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.checks import Check
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.config import Config, ServiceData, Wal
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.journal import Journal
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.manifest import VOLUME
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restore import Restoration, RestoreError
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restore_places import FolderPlace
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restore_plan import Asked
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.wal_plan import Base, Held, Piece
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Executed

SERVER = "postgresql_postgresql"
MOMENT = 1_795_000_000.0
HELD = Held((Base("b", "s", 1, 5, MOMENT - 50, 10),), (Piece("p", "s", 1, 5, 9, MOMENT + 50),))
CONFIG = Config(
    "staging",
    "/backups",
    "/p",
    {
        "postgresql": ServiceData("postgresql", databases={"smarteros": []}),
        "n8n": ServiceData("n8n", databases={"n8n": ["workflow_entity"]}, writers=["n8n_n8n"]),
        "files": ServiceData("files", volumes=["files-data"]),
    },
    wal=Wal(True),
)


class Killed(BaseException):
    """The process is gone."""


class FakeMachine:
    """What runs, in the order in which it was stopped and started."""

    done: t.ClassVar[list[str]]
    folder: Path
    kill: Callable[[str], None]

    def __init__(self, *_args: Any) -> None: ...

    def again(self, state: Any) -> list[FolderPlace]:
        return [
            FolderPlace(
                each["service"], VOLUME, each["name"], Path(each["folder"]), state.backup, existed=True, volume="v"
            )
            for each in state.places
        ]

    def _do(self, what: str) -> None:
        self.done.append(what)
        self.kill(what)

    def safety(self, services: Sequence[str], _run: str) -> str:
        self._do(f"safety {' '.join(services)}")
        return "20261122-050000"

    def replicas(self, writers: Sequence[str]) -> dict[str, int]:
        return dict.fromkeys(writers, 1)

    def stop(self, writers: Sequence[str], _places: Any) -> None:
        self._do(f"stop {' '.join(writers)}")

    def start(self, replicas: Mapping[str, int]) -> None:
        self._do(f"start {' '.join(replicas)}")

    def healthy(self, services: Sequence[str]) -> list[Check]:
        return [Check(f"health of {name}", True, "healthy", "healthy") for name in services]


class Repository:
    """Its base is one file, its segments as well."""

    def unlock(self) -> None:
        pass

    def stream_into(self, _snapshot: str, _filename: str, argv: list[str]) -> Executed:
        (Path(argv[-1]) / "rows").write_text("old")
        return Executed(0, "", "")

    def restore(self, snapshot: str, folder: Path) -> None:
        (folder / snapshot).touch()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[FakeMachine]:
    class ThisMachine(FakeMachine):
        done: t.ClassVar[list[str]] = []
        folder = tmp_path / "volume" / "_data"

        @staticmethod
        def kill(what: str) -> None: ...

    ThisMachine.folder.mkdir(parents=True)
    (ThisMachine.folder / "rows").write_text("new")
    monkeypatch.setattr(wal_restore, "Machine", ThisMachine)
    monkeypatch.setattr(wal_restore.machine, "look", lambda _engine: {})
    monkeypatch.setattr(wal_restore.volumes, "mountpoint", lambda _engine, _volume: ThisMachine.folder)
    monkeypatch.setattr(wal_restore, "SPARE", 0)
    recovers(monkeypatch)
    return ThisMachine


def recovers(monkeypatch: pytest.MonkeyPatch, error: Exception | None = None) -> None:
    class Scratch:
        def __init__(self, *_args: Any) -> None: ...

        def recover(self, folder: Path, settings: Mapping[str, str], _look: Any) -> list[Check]:
            assert (folder / "recovery.signal").exists()
            assert (folder / wal_restore.SEGMENTS / "p").exists()
            assert settings["recovery_target_time"] == wal_plan.stamp(MOMENT).replace("T", " ").replace("Z", "+00")
            if error:
                raise error
            return [Check("database n8n can be read", True, "yes", "yes")]

    monkeypatch.setattr(wal_restore, "ContainerScratch", Scratch)


class Engine:
    def get(self, path: str) -> Any:
        assert path == f"/services/{SERVER}"
        return {"Spec": {"TaskTemplate": {"ContainerSpec": {"Image": "registry.example.com/postgresql:16"}}}}


def run(tmp_path: Path) -> Any:
    choice = wal_plan.choose(HELD, MOMENT)
    engine: Any = Engine()
    repository: Any = Repository()
    machine = wal_restore.PointMachine(CONFIG, engine, HELD, choice, repository, lambda _text: None)
    return Restoration(machine, Journal(tmp_path / "restore.json"), lambda _text: None).run(Asked(choice.name))


def rows(world: type[FakeMachine]) -> str:
    return (world.folder / "rows").read_text()


def beside(world: type[FakeMachine]) -> list[str]:
    return sorted(each.name for each in world.folder.parent.iterdir())


def test_writers_stop_before_the_server_and_start_after_it(world: type[FakeMachine], tmp_path: Path) -> None:
    done = run(tmp_path)
    assert world.done == [
        "safety postgresql n8n",
        "stop n8n_n8n",
        f"stop {SERVER}",
        f"start {SERVER}",
        "start n8n_n8n",
    ]
    assert (rows(world), beside(world)) == ("old", ["_data"])
    assert all(one.ok for one in done.checks)
    assert {one.what for one in done.checks} >= {"health of n8n", "database n8n can be read"}
    assert not (tmp_path / "restore.json").exists()


def test_a_recovery_that_fails_leaves_what_was_there_running(
    world: type[FakeMachine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recovers(monkeypatch, wal.WalError("recovery ended before configured recovery target was reached"))
    with pytest.raises(RestoreError, match="runs again"):
        run(tmp_path)
    assert world.done[-2:] == [f"start {SERVER}", "start n8n_n8n"]
    assert (rows(world), beside(world)) == ("new", ["_data"])


@pytest.mark.parametrize("where", [f"stop {SERVER}", f"start {SERVER}", "start n8n_n8n"])
def test_one_that_was_cut_off_is_run_again(
    world: type[FakeMachine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def kill(what: str) -> None:
        if what == where:
            raise Killed

    monkeypatch.setattr(world, "kill", staticmethod(kill))
    with pytest.raises(Killed):
        run(tmp_path)
    monkeypatch.setattr(world, "kill", staticmethod(lambda _what: None))
    done = run(tmp_path)
    assert done.resumed
    assert (rows(world), beside(world)) == ("old", ["_data"])


def test_without_room_nothing_is_touched(
    world: type[FakeMachine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wal_restore, "SPARE", 1 << 60)
    with pytest.raises(RestoreError, match="must be free"):
        run(tmp_path)
    assert (world.done, rows(world), beside(world)) == ([], "new", ["_data"])
