"""Every playbook says what it takes, in its header and in playbooks/vars/inputs.yml, and judges it first."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import playbook_inputs

ROOT = Path(__file__).resolve().parents[2]
BOOKS = sorted((ROOT / "playbooks").glob("*.yml"))
INPUTS = playbook_inputs.load()
JUDGE = "smartercl.smarteros.playbook_input"
_ROW = re.compile(r"#   ([a-z0-9_]+) {2,}\S")


def plays(book: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(book.read_text(encoding="utf-8"))
    return found


def imported(book: Path) -> list[str]:
    named = [play.get("ansible.builtin.import_playbook") for play in plays(book)]
    return [str(name).removesuffix(".yml") for name in named if name]


def test_the_description_has_each_playbook_and_no_other() -> None:
    assert sorted(INPUTS.playbooks) == [book.stem for book in BOOKS]


@pytest.mark.parametrize("book", BOOKS, ids=lambda book: book.stem)
def test_the_first_task_judges(book: Path) -> None:
    first = plays(book)[0]
    if "ansible.builtin.import_playbook" in first:
        assert imported(book), "what it imports judges"
        return
    task = first["tasks"][0]
    task = task["block"][0] if "block" in task else task
    assert task[JUDGE] == {"playbook": book.stem}


@pytest.mark.parametrize("book", BOOKS, ids=lambda book: book.stem)
def test_the_header_names_the_variables_that_the_description_has(book: Path) -> None:
    lines = book.read_text(encoding="utf-8").splitlines()
    header = [line for line in lines[1:] if line.startswith("#")]
    assert [found[1] for line in header if (found := _ROW.match(line))] == [*INPUTS.playbooks[book.stem]]


@pytest.mark.parametrize("book", BOOKS, ids=lambda book: book.stem)
def test_a_playbook_uses_no_variable_that_the_description_lacks(book: Path) -> None:
    body = "\n".join(line for line in book.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    values = " ".join(re.findall(r"\{\{.*?\}\}", body, re.DOTALL))
    bare = re.sub(r"'[^']*'", "", values)
    names = {name for name in re.findall(r"(?<![\w.])[a-z][a-z0-9_]+", bare) if name.startswith(INPUTS.prefixes)}
    importers = [name for name in INPUTS.playbooks if book.stem in (name, *INPUTS.parts[name])]
    assert names - {each for name in importers for each in INPUTS.variables(name)} == set()


@pytest.mark.parametrize("book", BOOKS, ids=lambda book: book.stem)
def test_the_description_knows_what_is_imported(book: Path) -> None:
    assert list(INPUTS.parts[book.stem]) == [name for name in imported(book) if INPUTS.variables(name)]


@pytest.mark.parametrize("book", BOOKS, ids=lambda book: book.stem)
def test_the_description_is_complete(book: Path) -> None:
    known = INPUTS.variables(book.stem)
    for variable in INPUTS.playbooks[book.stem].values():
        assert variable.type in playbook_inputs.TYPES
        assert variable.description
        assert set(variable.needs) <= set(known)


def test_bad_input_is_refused_by_ansible_before_anything_else(tmp_path: Path) -> None:
    given = '{"restore_drill": "perhaps", "restore_servces": ["n8n"]}'
    settings = {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections")}
    inventory = tmp_path / "hosts.yml"
    inventory.write_text("vps: {hosts: {machine: {ansible_host: 203.0.113.1}}}\n", encoding="utf-8")
    words = ["-i", str(inventory), "-e", given, "playbooks/restore.yml"]
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", *words],
        cwd=ROOT,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    said = " ".join(done.stdout.split())
    assert done.returncode == 2, done.stdout + done.stderr
    for part in (
        "restore_backup",
        "it is missing",
        "restore_drill",
        "true or false",
        "restore_servces",
        "restore_services",
    ):
        assert part in said
    assert "Bring the backup back" not in said
