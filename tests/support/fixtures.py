"""An instance of its own for each test; those of a module that only read share one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.instance import Instance, instance


@pytest.fixture
def smos(tmp_path: Path) -> Iterator[Instance]:
    """A new instance; its sandbox starts with the first command that needs it."""
    with instance(tmp_path / "smos") as made:
        yield made


@pytest.fixture(scope="module")
def shared_smos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """One instance for a whole module, its sandbox running."""
    with instance(tmp_path_factory.mktemp("shared") / "smos") as made:
        made.up()
        yield made
