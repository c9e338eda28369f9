# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The folders of the specs that services read for themselves are judged before a run reads them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.smartercl.smarteros.plugins.plugin_utils.folders import FOLDERS
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.rules import judge_specs
from unit.specs.conftest import Edit
from unit.specs.samples import SPECS


@pytest.fixture
def root(root: Path) -> Path:
    """The copy of the committed specs, with the workflows."""
    shutil.copytree(SPECS / "workflows", root / "workflows", dirs_exist_ok=True)
    return root


@pytest.mark.parametrize("kind", FOLDERS)
def test_a_folder_that_is_missing_is_told_once_of_the_index(root: Path, kind: str) -> None:
    shutil.rmtree(root / kind)
    assert [(one.file, one.key) for one in judge_specs(root)] == [("specs/index.yml", f"files.{kind}")]


@pytest.mark.parametrize("kind", FOLDERS)
def test_an_index_of_an_earlier_release_does_not_name_every_folder(root: Path, edit: Edit, kind: str) -> None:
    if kind != "workflows":
        edit("index.yml", f"  {kind}: {kind} ", "  # ")
    assert judge_specs(root) == []


# what it is, the file that is told, what happens to the folder, a word of the message
BROKEN: list[tuple[str, str, Callable[[Path], object], str]] = [
    ("a message with an unknown place", "messages/welcome.yml",
     lambda root: _put(root / "messages/welcome.yml", "subject: \"{tenant}", "subject: \"{tenent}"), "tenent"),
    ("a message that is missing", "messages/resumed.yml", lambda root: (root / "messages/resumed.yml").unlink(), "read"),
    ("cards on each other", "dashboards/resumen.yml",
     lambda root: _put(root / "dashboards/resumen.yml", "{row: 4, col: 8, width: 16", "{row: 4, col: 7, width: 16"), "on each other"),
    ("a dashboard of the system that monitoring does not name", "dashboards/sales.yml",
     lambda root: _put(root / "infra/monitoring.yml", "title: Sales,", "title: Shops,"), "title Sales"),
    ("a dashboard that monitoring names and nobody has", "infra/monitoring.yml",
     lambda root: (root / "dashboards/sales.yml").unlink(), "sales"),
    ("a question that names a tenant", "dashboards/sales.yml",
     lambda root: _put(root / "dashboards/sales.yml", "WHERE amount > 0", "WHERE tenant = '76086428-5'"), "names a tenant"),
    ("a migration that is missing", "database", lambda root: (root / "database/0002_members.sql").unlink(), "0002"),
    ("a workflow that is no JSON", "workflows/shopify-orders.json",
     lambda root: (root / "workflows/shopify-orders.json").write_text("{", encoding="utf-8"), "shopify-orders"),
    ("a bot without settings", "bots/services", lambda root: (root / "bots/services/bot.config.json").unlink(), "bot.config.json"),
]  # a table, easier to compare in rows  # fmt: skip


@pytest.mark.parametrize(("file", "harm", "word"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_what_a_run_could_not_use_is_told_by_its_file(
    root: Path, file: str, harm: Callable[[Path], object], word: str
) -> None:
    harm(root)
    (mistake,) = judge_specs(root)
    assert mistake.file == f"specs/{file}"
    assert word in mistake.message
    assert all(mistake.as_error().values())


def test_one_broken_message_does_not_hide_another(root: Path) -> None:
    for kind in ("welcome", "deleted"):
        (root / f"messages/{kind}.yml").write_text("languages: 5\n", encoding="utf-8")
    assert [one.file for one in judge_specs(root)] == ["specs/messages/welcome.yml", "specs/messages/deleted.yml"]


def _put(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
