"""What documents and help pages show is understood by the command line; nothing is run here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from smos import exitcodes, lang
from smos.cli.app import USAGE_ERROR, app, call
from smos.settings import hoisted
from support.examples import helps, named, shown, transcribed, unknown

SHOWN = {**transcribed(), **shown()}


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


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words that lead to each command and group."""
    yield path
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, (*path, name))


@pytest.mark.parametrize("path", list(commands(typer.main.get_command(app))), ids=" ".join)
def test_every_command_and_group_has_a_help_page(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SMOS_LANG", "LANGUAGE"):  # the second one is set by the command: it shall not stay
        monkeypatch.setenv(name, lang.ENGLISH)
    assert call([*path, "--help"]) == exitcodes.DONE
    page = capsys.readouterr().out
    assert page.startswith(f"Usage: {' '.join(('smos', *path))}")
    assert "--help" in page


def test_texts_name_commands_and_options_that_exist() -> None:
    command = typer.main.get_command(app)
    wrong = [f"{where}: smos {text}: {word}" for text, where in named().items() for word in unknown(command, text)]
    assert not wrong, "\n".join(wrong)
