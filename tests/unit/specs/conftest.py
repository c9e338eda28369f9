# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.smartercl.smarteros.plugins.plugin_utils.specs import Specs, load
from unit.specs.samples import SPECS

Edit = Callable[[str, str, str], Path]


@pytest.fixture(scope="session")
def specs() -> Specs:
    """The committed specs."""
    return load(SPECS)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy of the committed specs without tenants."""
    target = tmp_path / "specs"
    shutil.copytree(SPECS, target, ignore=shutil.ignore_patterns("schemas", "workflows"))
    for path in (target / "tenants" / "registry").glob("*.yml"):
        path.unlink()
    (target / "workflows").mkdir()
    return target


@pytest.fixture
def edit(root: Path) -> Edit:
    """Replace the first occurrence of a text in a file of the copy; the text must be there."""

    def change(file: str, old: str, new: str) -> Path:
        path = root / file
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{old!r} is not in {file}"
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        return path

    return change
