"""What documents and help pages show is understood by the command line; nothing is run here."""

from __future__ import annotations

import re
from typing import Any

import pytest
import typer

from smos.cli.app import USAGE_ERROR, app
from smos.settings import hoisted
from support.examples import helps, shown

SHOWN = shown()


@pytest.fixture(scope="module")
def command() -> Any:
    """The command line, whose commands do nothing."""
    made = typer.main.get_command(app)
    _still(made)
    return made


def _still(command: Any) -> None:
    for each in getattr(command, "commands", {}).values():
        _still(each)
        if not hasattr(each, "commands"):
            each.callback = lambda **_given: 0


def test_examples_were_found() -> None:
    assert len(SHOWN) > 80


@pytest.mark.parametrize("words", SHOWN, ids=" ".join)
def test_an_example_is_understood(command: Any, words: tuple[str, ...]) -> None:
    there = [__file__ if word.endswith(".tar.gz") else word for word in words]  # an archive must exist
    try:
        assert command(hoisted(there), prog_name="smos", standalone_mode=False) in (0, None)
    except USAGE_ERROR as exc:
        pytest.fail(f"{SHOWN[words]}: smos {' '.join(words)}: {exc.format_message()}")


@pytest.mark.parametrize(
    ("name", "text"), [pytest.param(*each, id=each[0]) for each in helps(typer.main.get_command(app))]
)
def test_every_command_has_help_with_an_example(name: str, text: str) -> None:
    assert re.search(rf"^Example: .*smos .*\b{name.removeprefix('smos ')}\b", text, re.MULTILINE), (
        f"no example in {name} --help"
    )
