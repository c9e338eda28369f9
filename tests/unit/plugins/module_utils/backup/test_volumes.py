"""Volumes are folders; one takes another's place whole, and an interruption is gone on from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import volumes
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import EngineError


class Volumes:
    """As much of an Engine as volumes need."""

    def __init__(self, folder: Path, driver: str = "local") -> None:
        self.folder = folder
        self.driver = driver
        self.created: list[dict[str, Any]] = []

    def get(self, path: str, **filters: Any) -> Any:
        if path == "/containers/json":
            return [{"Names": ["/n8n_n8n.1.abc"]}] if filters == {"volume": ["data"]} else []
        name = path.removeprefix("/volumes/")
        if not (self.folder / name).is_dir():
            raise EngineError(f"get {name}: no such volume", 404)
        return {"Driver": self.driver, "Mountpoint": str(self.folder / name / "_data")}

    def post(self, _path: str, body: dict[str, Any]) -> None:
        self.created.append(body)
        (self.folder / body["Name"] / "_data").mkdir(parents=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A volume's folder with one file."""
    found = tmp_path / "data" / "_data"
    found.mkdir(parents=True)
    (found / "file").write_text("old")
    return found


def test_a_volume_is_found_made_and_refused(tmp_path: Path, folder: Path) -> None:
    engine: Any = Volumes(tmp_path)
    assert volumes.mountpoint(engine, "data") == folder
    assert volumes.users(engine, "data") == ["n8n_n8n.1.abc"]
    with pytest.raises(volumes.VolumeError, match="volume other does not exist"):
        volumes.mountpoint(engine, "other")
    assert volumes.create(engine, "other", "n8n").is_dir()
    assert volumes.create(engine, "other", "n8n").is_dir()
    assert len(engine.created) == 1
    assert engine.created[0]["Labels"]["cl.smarteros.service"] == "n8n"
    remote: Any = Volumes(tmp_path, "nfs")
    with pytest.raises(volumes.VolumeError, match="nfs"):
        volumes.mountpoint(remote, "data")


def test_owner_and_mode_of_the_root_come_back(folder: Path) -> None:
    folder.chmod(0o2750)
    root = volumes.root_of(folder)
    folder.chmod(0o700)
    volumes.give_root(folder, root)
    assert volumes.root_of(folder) == root
    assert root["mode"] == 0o2750
    volumes.give_root(folder, {})  # of a backup that says nothing of it


def test_size_counts_a_file_with_two_names_once(folder: Path) -> None:
    (folder / "below").mkdir()
    (folder / "below" / "big").write_bytes(b"x" * 1000)
    (folder / "again").hardlink_to(folder / "below" / "big")
    (folder / "link").symlink_to("nowhere")
    total, files = volumes.size(folder)
    assert files == 4
    assert total == 1000 + 3 + len("nowhere")
    assert volumes.size(folder / "not there") == (0, 0)


def test_a_restored_folder_takes_the_place_and_gives_it_back(folder: Path) -> None:
    new, old = volumes.restored(folder, "20261123-020000"), volumes.before(folder, "20261123-020000")
    new.mkdir()
    (new / "file").write_text("new")
    volumes.swap(folder, new, old)
    assert (folder / "file").read_text() == "new"
    assert (old / "file").read_text() == "old"
    volumes.swap(folder, new, old)  # the same command again
    assert (folder / "file").read_text() == "new"
    volumes.swap(folder, old, new)
    assert (folder / "file").read_text() == "old"
    volumes.swap(folder, old, new)
    assert (folder / "file").read_text() == "old"
    assert (new / "file").read_text() == "new"


@pytest.mark.parametrize("back", [False, True])
def test_an_interrupted_swap_is_gone_on_from_or_taken_back(folder: Path, back: bool) -> None:
    new, old = volumes.restored(folder, "1"), volumes.before(folder, "1")
    new.mkdir()
    (new / "file").write_text("new")
    folder.rename(old)  # and then the power went
    if back:
        old.rename(folder)
    volumes.swap(folder, new, old)
    assert (folder / "file").read_text() == "new"
    assert (old / "file").read_text() == "old"


def test_nothing_is_moved_where_the_new_one_is_missing(folder: Path) -> None:
    with pytest.raises(volumes.VolumeError, match="is not there"):
        volumes.swap(folder, volumes.restored(folder, "1"), volumes.before(folder, "1"))
    new, old = volumes.restored(folder, "1"), volumes.before(folder, "1")
    new.mkdir()
    old.mkdir()
    with pytest.raises(volumes.VolumeError, match="is there already"):
        volumes.swap(folder, new, old)
    assert (folder / "file").read_text() == "old"


def test_a_rename_that_fails_leaves_the_old_one_in_place(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new, old = volumes.restored(folder, "1"), volumes.before(folder, "1")
    new.mkdir()
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self == new:
            raise OSError("planted")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(volumes.VolumeError, match="planted"):
        volumes.swap(folder, new, old)
    assert (folder / "file").read_text() == "old"
    assert not old.exists()
