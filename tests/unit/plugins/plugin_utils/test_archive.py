# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The archive of an export: whole, private, and the same for the same content."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import archive

FILES = {"tenant.json": b'{"spec": {"slug": "acme"}}', "odoo/contacts.json": "[ñandú]".encode()}


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "exports" / "acme.tar.gz"
    archive.write(path, {"tenant": "12345678-5"}, FILES)
    return path


def repacked(path: Path, change: dict[str, bytes | None]) -> None:
    with tarfile.open(path) as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]  # all are files
    files = {name: data for name, data in {**files, **change}.items() if data is not None}
    with tarfile.open(path, "w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def test_what_was_written_is_read_back(written: Path) -> None:
    found = archive.read(written)
    assert found.document == {"spec": {"slug": "acme"}}
    assert found.of("odoo") == {"contacts.json": "[ñandú]".encode()}
    assert found.manifest == {"format": 1, "tenant": "12345678-5"}


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    rows = [archive.write(tmp_path / name, {"tenant": "x"}, FILES) for name in ("a", "b")]
    assert rows[0]["sha256"] == rows[1]["sha256"]


def test_only_the_owner_may_read_it(written: Path) -> None:
    assert written.stat().st_mode & 0o077 == 0
    assert written.parent.stat().st_mode & 0o077 == 0


def test_a_status_is_believed_only_with_the_right_checksum(written: Path) -> None:
    row = archive.write(written, {}, FILES)
    assert archive.is_whole(row)
    written.write_bytes(b"damaged")
    assert not archive.is_whole(row)
    assert not archive.is_whole({**row, "file": str(written) + ".gone"})
    assert not archive.is_whole({})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"odoo/contacts.json": b"[]"}, "checksum of odoo/contacts.json"),
        ({"odoo/contacts.json": None}, "odoo/contacts.json is missing"),
        ({"odoo/extra.json": b"[]"}, "odoo/extra.json is not in the manifest"),
        ({"manifest.json": b"{}"}, "no archive"),
        ({"manifest.json": json.dumps({"format": 9, "files": []}).encode()}, "format 9"),
    ],
)
def test_a_changed_archive_is_refused(written: Path, change: dict[str, bytes | None], told: str) -> None:
    repacked(written, change)
    with pytest.raises(archive.ArchiveError, match=told):
        archive.read(written)


def test_a_cut_off_archive_is_refused(written: Path) -> None:
    written.write_bytes(written.read_bytes()[:-20])
    with pytest.raises(archive.ArchiveError, match=r"acme\.tar\.gz"):
        archive.read(written)


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(archive.ArchiveError, match="cannot be written"):
        archive.write(tmp_path / "file" / "acme.tar.gz", {}, FILES)


def test_what_a_run_that_died_left_of_an_archive_goes_with_the_next_one(tmp_path: Path) -> None:
    about = {"tenant": "12345678-5", "environment": "sandbox"}
    (tmp_path / ".sandbox.12345678-5.part").write_bytes(b"half of it")
    (tmp_path / ".staging.12345678-5.part").write_bytes(b"another run is at it")
    archive.write(tmp_path / "acme.tar.gz", about, FILES)
    assert {path.name for path in tmp_path.iterdir()} == {"acme.tar.gz", ".staging.12345678-5.part"}
    assert (tmp_path / "acme.tar.gz").stat().st_mode & 0o777 == 0o600
