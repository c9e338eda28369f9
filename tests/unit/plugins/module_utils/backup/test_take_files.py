"""Archives of what a backup holds beside the services' data."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import take_files
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.take_files import File


def unpacked(data: bytes) -> dict[str, tuple[bytes, int, int]]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {each.name: ((tar.extractfile(each) or io.BytesIO()).read(), each.mode, int(each.mtime)) for each in tar}


def test_the_same_files_give_the_same_bytes_in_whatever_order() -> None:
    one = {"a.json": File(b"1"), "ñ.json": File(b"2" * 3000)}
    assert take_files.archive(one) == take_files.archive(dict(reversed(one.items())))
    assert unpacked(take_files.archive(one)) == {"a.json": (b"1", 0o600, 0), "ñ.json": (b"2" * 3000, 0o600, 0)}


def test_a_name_from_elsewhere_leads_to_no_other_folder() -> None:
    given = take_files.accounts({"vercel-../../etc/x.json": b"{}", "/etc/passwd": b""})
    assert sorted(given.files) == ["_etc_passwd", "vercel-.._.._etc_x.json"]
    assert given.size == 2


def test_of_the_machine_what_holds_no_secret_is_taken(tmp_path: Path) -> None:
    wanted = {
        "opt/smarteros/stacks/n8n/stack.yml": 0o640,
        "opt/smarteros/stacks/n8n/former.yml": 0o640,
        "etc/smarteros/firewall.nft": 0o600,
        "etc/smarteros/backup/config.json": 0o600,
        "var/lib/smarteros/releases.json": 0o644,
    }
    secret = ("password", "offsite.env", "notice-smtp_password")
    for name, mode in {**wanted, **{f"etc/smarteros/backup/{each}": 0o600 for each in secret}}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
        path.chmod(mode)
    (tmp_path / "etc/smarteros/link").symlink_to(tmp_path / "etc/smarteros/backup/password")
    found = take_files.of_machine([f"{tmp_path}{each}" for each in take_files.OF_MACHINE])
    inside = {name.removeprefix(f"{tmp_path}/".lstrip("/")): each for name, each in found.files.items()}
    assert {name: each.mode for name, each in inside.items()} == wanted
    assert all(each.data.decode() == name for name, each in inside.items())
    assert found.errors == []


def test_a_file_that_cannot_be_read_is_told_and_spares_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.yml", "b.yml", "gone.yml"):
        (tmp_path / name).write_text(name)
    read = Path.read_bytes

    def broken(path: Path) -> bytes:
        if path.name == "a.yml":
            raise OSError(5, "Input/output error")
        if path.name == "gone.yml":
            raise FileNotFoundError(path)
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", broken)
    found = take_files.of_machine([f"{tmp_path}/*"])
    assert [name.rpartition("/")[2] for name in found.files] == ["b.yml"]
    assert [(each["where"], each["why"]) for each in found.errors] == [(f"{tmp_path}/a.yml", "Input/output error")]
