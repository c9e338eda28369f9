"""Bringing segments away: what stays where, whatever fails."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import volumes, wal, wal_plan, wal_store
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.config import Wal
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.postgresql import PostgresError
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restic import (
    Node,
    ResticError,
    Saved,
    Snapshot,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restic_told import LOCKED
from support import stack_files

NOW = 1_795_000_000.0
SYSTEM = 7123456789012345678


def segment(folder: Path, number: int, system: int = SYSTEM) -> str:
    """A file that is one by its first page; the rest is a hole."""
    name = f"00000001{0:08X}{number:08X}"
    with (folder / name).open("wb") as file:
        file.write(struct.pack("<HHIQIxxxxQII", 0xD110, 2, 1, 0, 0, system, wal_plan.SEGMENT_BYTES, 8192))
        file.truncate(wal_plan.SEGMENT_BYTES)
    return name


class Repository:
    """Keeps snapshots in mind. ``forgetful``: what it says that it kept is not listed."""

    elsewhere = False

    def __init__(self, folder: Path) -> None:
        self.location = str(folder)
        self.kept: list[Snapshot] = []
        self.files: dict[str, list[Node]] = {}
        self.forgetful = self.failing = self.locked = False

    def exists(self) -> bool:
        return True

    def unlock(self) -> None:
        self.locked = False

    def snapshots(self, *_tags: str) -> list[Snapshot]:
        return self.kept

    def backup_folder(self, path: Path, _host: str, tags: list[str]) -> Saved:
        if self.failing:
            raise ResticError("no space is left")
        if self.locked:
            raise ResticError("another run holds it", 1, LOCKED)
        name = f"snapshot-{len(self.kept)}"
        self.files[name] = [Node(f"/{each.name}", "file", each.stat().st_size) for each in path.iterdir()]
        self.kept.append(Snapshot(name, name, "", dict(tag.partition("=")[::2] for tag in tags), (), ""))
        return Saved(name, 0, 0, 0)

    def ls(self, snapshot: str) -> Iterator[Node]:
        yield from () if self.forgetful else self.files[snapshot]


class Server:
    """Archives a segment when it is told to end it."""

    def __init__(self, folder: Path, number: int = 5) -> None:
        self.folder = folder
        self.number = number
        self.silent = False

    def rows(self, script: str, **_more: Any) -> list[str]:
        if self.silent:
            raise PostgresError("no running container")
        if "json_build_object" in script:
            return [f'{{"system": "{SYSTEM}", "mode": "on", "segment": "", "now": {NOW}}}']
        return ["731", f"{NOW - 0.5}", segment(self.folder, self.number), "0/5000000"]


@pytest.fixture
def own(tmp_path: Path) -> wal.Archive:
    folder = tmp_path / "archive"
    folder.mkdir()
    repository: Any = Repository(tmp_path)
    server: Any = Server(folder)
    where = wal_store.Places(repository, {})
    return wal.Archive(Wal(True), "smos-test", server, folder, where, volumes.root_of(folder), tmp_path / "gate")


def left(own: wal.Archive) -> list[str]:
    return sorted(each.name for each in own.folder.iterdir() if each.name != wal.OUT)


def test_what_is_archived_goes_and_says_until_when(own: wal.Archive) -> None:
    segment(own.folder, 4)
    done = wal.push(own, now=NOW)
    assert (done.segments, done.until, list(done.problems)) == (2, NOW - 1, [])
    assert left(own) == []
    held = wal_store.held(own.where.local)
    assert [(each.first, each.last, each.system) for each in held.pieces] == [(4, 5, str(SYSTEM))]
    assert "as it is now" in done.due


def test_a_gap_and_another_server_are_pieces_of_their_own(own: wal.Archive) -> None:
    segment(own.folder, 2)
    segment(own.folder, 9, 42)
    wal.push(own, now=NOW)
    found = {(each.system, each.first, each.until) for each in wal_store.held(own.where.local).pieces}
    assert found == {("42", 9, 0.0), (str(SYSTEM), 2, 0.0), (str(SYSTEM), 5, NOW - 1)}


@pytest.mark.parametrize("how", ["failing", "forgetful"])
def test_what_is_not_listed_stays_and_goes_the_next_time(own: wal.Archive, how: str) -> None:
    repository: Any = own.where.local
    setattr(repository, how, True)
    with pytest.raises(ResticError):
        wal.push(own, now=NOW)
    setattr(repository, how, False)
    assert len(list((own.folder / wal.OUT).iterdir())) == 1
    own.server.number = 6  # type: ignore[attr-defined]  # it is the one above
    assert wal.push(own, now=NOW).segments == 2
    assert not list((own.folder / wal.OUT).iterdir())


def test_a_server_that_rests_is_told_only_after_a_while_and_what_is_there_is_kept(own: wal.Archive) -> None:
    wal.push(own, now=NOW)
    repository: Any = own.where.local
    base = {"kind": "base", "system": str(SYSTEM), "timeline": "1", "first": "5", "at": f"{NOW}", "bytes": "1"}
    repository.kept += [Snapshot("b", "b", "", {**base, "stream": "s"}, (), "")]
    repository.kept += [Snapshot("s", "s", "", {**base, "kind": "stream"}, (), "")]
    own.server.silent = True  # type: ignore[attr-defined]  # it is the one above
    segment(own.folder, 6)
    assert wal.push(own, now=NOW + 60).segments == 1
    late = wal.push(own, now=NOW + wal.late_after(own.wal) + 1)
    assert "nothing was archived since" in late.problems[0]
    assert "does not answer" in late.problems[1]


def test_segments_that_were_let_go_are_told(own: wal.Archive) -> None:
    (own.folder / wal.LOST).touch()
    assert "new base backup" in wal.push(own, now=NOW).problems[0]


def test_two_at_once_are_one(own: wal.Archive) -> None:
    with wal_store.gate(0, own.gate), pytest.raises(wal_store.Shut), wal_store.gate(0, own.gate):
        pytest.fail("both are inside")


def test_half_a_segment_is_none(own: wal.Archive) -> None:
    (own.folder / ("0" * 24)).write_bytes(b"half")
    with pytest.raises(wal.WalError, match="no whole segment"):
        wal.push(own, now=NOW)


# --- the server's own command


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """As the role gives it, for one segment and another folder."""
    stack_files.known_secrets(monkeypatch)
    made = stack_files.stack("postgresql", postgresql_wal={"enabled": True}).compose
    service = made["services"]["postgresql"]
    assert "archive_mode=on" in service["command"]
    assert {"postgresql-data", "postgresql-wal"} == set(made["volumes"])
    assert [each["target"] for each in service["volumes"]] == ["/var/lib/postgresql/data", "/wal", "/dev/shm"]
    text = next(word for word in service["command"] if word.startswith("archive_command=")).partition("=")[2]
    (tmp_path / "archive").mkdir()
    (tmp_path / "segment").write_text("one")
    words = text.replace("/wal", str(tmp_path / "archive")).replace("%f", "A1").replace("%p", str(tmp_path / "segment"))
    return ["sh", "-c", words]


def test_a_segment_is_there_whole_and_never_replaced(command: list[str], tmp_path: Path) -> None:
    assert subprocess.run(command).returncode == 0
    assert subprocess.run(command).returncode == 0, "after a crash it is archived once more"
    (tmp_path / "segment").write_text("two")
    assert subprocess.run(command).returncode != 0
    assert [each.name for each in (tmp_path / "archive").iterdir()] == ["A1"]
    assert (tmp_path / "archive" / "A1").read_text() == "one"


def test_it_does_not_fill_the_disk(command: list[str], tmp_path: Path) -> None:
    for number in range(256):
        (tmp_path / "archive" / f"B{number}").touch()
    assert subprocess.run(command).returncode == 0
    assert (tmp_path / "archive" / wal.LOST).exists()
    assert not (tmp_path / "archive" / "A1").exists()


def test_off_nothing_is_archived(monkeypatch: pytest.MonkeyPatch) -> None:
    stack_files.known_secrets(monkeypatch)
    made = stack_files.stack("postgresql").compose
    assert set(made["volumes"]) == {"postgresql-data"}
    assert not [word for word in made["services"]["postgresql"]["command"] if "archive" in word]


def test_what_a_killed_run_has_locked_keeps_nothing_out(own: wal.Archive) -> None:
    own.where.local.locked = True  # type: ignore[attr-defined] # a double of ours
    assert wal.push(own, now=NOW).segments == 1


def test_a_lock_elsewhere_delays_one_copy_and_not_the_next(own: wal.Archive, tmp_path: Path) -> None:
    class Remote(Repository):
        elsewhere = True

        def exists(self) -> bool:
            if self.locked:
                raise ResticError("another run holds it", 1, LOCKED)
            return True

    remote: Any = Remote(tmp_path)
    remote.locked = True
    where = wal_store.Places(own.where.local, {"far": remote})
    assert wal_store.copy(where, wal_store.PIECE) == {"far": "another run holds it"}
    assert wal_store.copy(where, wal_store.PIECE) == {}
