"""Every command line of `smos` that the documents and the help pages show, and every command that a text names."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from smos import lang
from smos.cli.app import app
from smos.settings import GLOBAL_OPTIONS, hoisted

ROOT = Path(__file__).resolve().parents[2]
TRANSCRIPT = "```console"
PAGES = (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
SOURCES = tuple(
    path
    for folder in ("src/smos", "plugins", "roles", "playbooks", "specs", "inventories", "system")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".py", ".yml", ".j2", ".md", ".template", ".example")
)
_PLACEHOLDER = re.compile(r"[A-ZÁÉÍÓÚÑ_]{2,}|[A-Z]|.*[…{}'\"%<].*|.*[0-9].*")
_LINE = re.compile(r"^(?:\$ )?(?:[A-Z_]+=\S+ )?(?:\./)?smos (?P<words>[^#|>]+)")
_INSIDE = re.compile(r"<\(smos (?P<words>[^)]+)\)")
_HELP = re.compile(rf"{lang.EXAMPLE} smos (?P<words>[^<>]+)")


_NAMED = re.compile(r"`(?:\./)?smos (?P<words>[^`\n]+)`")


def named() -> dict[str, str]:
    """What texts call by its name, as `smos plan PART`, in documents and in what programs say; and where it was first seen."""
    found: dict[str, str] = {}
    for path in sorted((*PAGES, *SOURCES)):
        for told in _NAMED.finditer(path.read_text(encoding="utf-8")):
            found.setdefault(told["words"], str(path.relative_to(ROOT)))
    return found


def shown() -> dict[tuple[str, ...], str]:
    """The words behind `smos`, and where they were first seen."""
    found = _lines(transcripts=False)
    for command, text in helps(typer.main.get_command(app)):
        for line in text.splitlines():
            if told := _HELP.match(line.strip()):
                found.setdefault(tuple(shlex.split(told["words"])), f"help of {command}")
    return found


def transcribed() -> dict[tuple[str, ...], str]:
    """What was typed in transcripts, and where it was first seen."""
    return _lines(transcripts=True)


def _lines(*, transcripts: bool) -> dict[tuple[str, ...], str]:
    found: dict[tuple[str, ...], str] = {}
    for page in sorted(PAGES):
        for line in _code(page.read_text(encoding="utf-8"), transcripts):
            if told := _LINE.match(line) or _INSIDE.search(line):
                found.setdefault(tuple(shlex.split(told["words"])), str(page.relative_to(ROOT)))
    return found


def helps(command: Any, name: str = "smos") -> Iterator[tuple[str, str]]:
    """Each command with its help text; groups are not among them."""
    below = getattr(command, "commands", None)
    if below is None:
        yield name, command.help or ""
    for each, one in (below or {}).items():
        yield from helps(one, f"{name} {each}")


def _code(text: str, transcripts: bool) -> Iterator[str]:
    """The lines of fenced blocks; of transcripts what was typed, or of the other blocks everything."""
    fence = ""
    for line in text.splitlines():
        if line.startswith("```"):
            fence = "" if fence else line
        elif fence and transcripts == (fence == TRANSCRIPT) and (not transcripts or line.startswith("$ ")):
            yield line.strip()


def unknown(command: Any, text: str) -> Iterator[str]:
    """The words of a text as `sync workflows [--push]` or `tenant suspend·resume ID` that the command line does not know."""
    options, walking = set(GLOBAL_OPTIONS) | {"--help", "--version"}, True
    given = hoisted([each.strip("[]…,") for each in text.replace("=", " ").split()])
    words = iter(filter(None, given))
    for word in words:
        alternatives = re.split(r"[|·]", word)
        below = getattr(command, "commands", {})
        if word.startswith("-"):
            known = options | {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
            yield from () if word in known else (word,)
            for _value in range(GLOBAL_OPTIONS.get(word, 0)):
                next(words, "")
        elif walking and below and not _PLACEHOLDER.fullmatch(word):
            yield from (each for each in alternatives if each not in below)
            command = below.get(alternatives[0], command)
        else:
            walking = False
