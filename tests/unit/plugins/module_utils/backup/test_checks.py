"""What is looked at before restored data are trusted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import checks
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.checks import Check, Tree
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.manifest import VOLUME, Part


def test_rows_are_compared_table_by_table_and_a_table_that_is_gone_is_none() -> None:
    found = checks.rows("n8n", {"workflow": 3, "credential": 1, "user": 1}, {"workflow": 2, "user": 1})
    assert [(one.what, one.ok, one.expected, one.found) for one in found] == [
        ("rows of n8n.credential", False, 1, None),
        ("rows of n8n.user", True, 1, 1),
        ("rows of n8n.workflow", False, 3, 2),
    ]
    assert checks.wrong(found) == "rows of n8n.credential: None instead of 1; rows of n8n.workflow: 2 instead of 3"


def test_nothing_is_wrong_where_everything_is_right() -> None:
    assert checks.wrong([checks.equal("x", 1, 1)]) == ""
    assert checks.wrong([]) == ""


def test_a_folder_is_measured_without_following_links(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("not ours")
    folder = tmp_path / "folder"
    (folder / "a" / "b").mkdir(parents=True)
    folder.chmod(0o2750)
    (folder / "a" / "b" / "ñ").write_bytes(b"12345")
    (folder / "empty").touch()
    (folder / "link").symlink_to(tmp_path / "outside")
    (folder / "links").symlink_to(tmp_path)
    found = checks.measured(str(folder))
    assert found == Tree(2, 5, {"uid": os.getuid(), "gid": os.getgid(), "mode": 0o2750})


def test_each_name_of_a_file_counts(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"123")
    os.link(tmp_path / "one", tmp_path / "two")
    assert checks.measured(str(tmp_path)).bytes == 6


def test_a_folder_is_compared_with_its_part() -> None:
    part = Part(VOLUME, "n8n-data", "ab", bytes=10, files=2, root={"uid": 1000, "gid": 1000, "mode": 0o700})
    same = checks.tree("volume n8n-data", part, Tree(2, 10, {"uid": 1000, "gid": 1000, "mode": 0o700}))
    assert not checks.wrong(same)
    other = checks.tree("volume n8n-data", part, Tree(1, 10, {"uid": 0, "gid": 1000, "mode": 0o700}))
    assert [one.what for one in other if not one.ok] == [
        "files of volume n8n-data",
        "owner and mode of volume n8n-data",
    ]


def test_a_folder_whose_owner_is_not_told_is_not_judged_by_it() -> None:
    assert len(checks.tree("x", Part(VOLUME, "x", "ab"), Tree(0, 0, {"uid": 0, "gid": 0, "mode": 0}))) == 2


@pytest.mark.parametrize(("lacking", "good"), [(0, False), (1, False), (2, True)])
def test_files_that_were_missing_before_may_be_missing_now(lacking: int, good: bool) -> None:
    there = {"a"}
    rows, files = checks.references(
        "odoo", {"rows": 3, "missing": lacking}, ["a", "b", "c"], lambda path: path in there
    )
    assert rows.ok
    assert files.ok is good
    assert files.found == "2 (b, c)"


def test_rows_that_refer_to_files_are_counted() -> None:
    rows, files = checks.references("odoo", {"rows": 3, "missing": 0}, ["a"], lambda _: True)
    assert (rows.ok, rows.expected, rows.found) == (False, 3, 1)
    assert files.ok


def test_keys_are_compared_by_fingerprint_and_one_that_is_not_told_is_not_judged() -> None:
    found = checks.keys(["b", "a", "c", "a"], {"a": "1", "b": "2"}, {"a": "1", "c": "9"})
    assert found == [Check("key a", True, "1", "1"), Check("key b", False, "2", "")]


def test_a_finding_is_reported_with_all_that_it_says() -> None:
    assert checks.equal("rows", 1, 2).to_json() == {"what": "rows", "ok": False, "expected": 1, "found": 2}
