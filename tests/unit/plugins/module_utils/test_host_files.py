"""Files of a machine: compared whole, put in place at once."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import host_files
from ansible_collections.smartercl.smarteros.plugins.module_utils.host_files import (
    ABSENT,
    FILE,
    FOLDER,
    LINK,
    Seen,
    Wish,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.host_machine import HostError

ME, MINE = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name


def wish(path: Path, content: str = "a\n", kind: str = FILE, mode: int = 0o640) -> Wish:
    return Wish(str(path), kind, content, mode, ME, MINE)


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def put(each: Wish) -> Seen:
    host_files.put(each.path, host_files.wished(each))
    return host_files.look(each.path)


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o440])
def test_what_was_put_is_what_is_wished(tmp_path: Path, mode: int) -> None:
    each = wish(tmp_path / "new" / "folder" / "file", "ñandú\n", mode=mode)
    assert not host_files.same(each, host_files.look(each.path))
    assert host_files.same(each, put(each))
    assert names(tmp_path / "new" / "folder") == ["file"]


@pytest.mark.parametrize("change", [{"content": "b\n"}, {"mode": 0o600}])
def test_content_and_mode_both_count(tmp_path: Path, change: dict[str, str | int]) -> None:
    seen = put(wish(tmp_path / "file"))
    assert not host_files.same(Wish(**{**wish(tmp_path / "file").__dict__, **change}), seen)


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("kept")
    (tmp_path / "file").symlink_to(other)
    put(wish(tmp_path / "file"))
    assert other.read_text() == "kept"
    assert not (tmp_path / "file").is_symlink()


def test_a_link_is_the_same_however_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("zone/Santiago")
    assert host_files.same(
        wish(tmp_path / "link", str(tmp_path / "zone/Santiago"), LINK), host_files.look(str(tmp_path / "link"))
    )
    assert not host_files.same(wish(tmp_path / "link", "/zone/Lima", LINK), host_files.look(str(tmp_path / "link")))
    assert host_files.look(str(tmp_path / "link")).text == "zone/Santiago"
    assert put(wish(tmp_path / "link", "/zone/Lima", LINK)).text == "/zone/Lima"


def test_absent_and_back_again(tmp_path: Path) -> None:
    before = put(wish(tmp_path / "file"))
    gone = wish(tmp_path / "file", kind=ABSENT)
    assert host_files.same(gone, put(gone))
    put(gone)  # twice is no mistake
    host_files.put(gone.path, before)
    assert host_files.look(gone.path) == before


def test_a_folder_keeps_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("kept")
    seen = put(wish(tmp_path / "folder", "", FOLDER, 0o700))
    assert (seen.kind, seen.mode) == (FOLDER, 0o700)
    assert (tmp_path / "folder" / "file").read_text() == "kept"


def test_a_folder_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(HostError, match="in the way"):
        host_files.mind(wish(tmp_path / "file"), host_files.look(str(tmp_path / "file")))


def test_half_a_file_is_never_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(wish(tmp_path / "file"))

    def fails(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(HostError, match="No space left"):
        put(wish(tmp_path / "file", "b\n"))
    assert (tmp_path / "file").read_text() == "a\n"
    assert names(tmp_path) == ["file"]


def test_an_unknown_owner_is_told(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="nobody-of-this-name"):
        put(Wish(str(tmp_path / "file"), FILE, "a", 0o644, "nobody-of-this-name", MINE))
    assert names(tmp_path) == []


def test_a_candidate_has_the_name_of_the_file_and_leaves_nothing(tmp_path: Path) -> None:
    with host_files.candidate(wish(tmp_path / "sshd.conf", "text")) as path:
        assert Path(path).name == "sshd.conf"
        assert Path(path).read_text() == "text"
    assert not Path(path).parent.exists()
