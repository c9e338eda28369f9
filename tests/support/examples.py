"""Every command line of `smos` that the documents and the help pages show."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from smos import lang
from smos.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
TRANSCRIPT = "```console"
PAGES = (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
_LINE = re.compile(r"^(?:\$ )?(?:[A-Z_]+=\S+ )?(?:\./)?smos (?P<words>[^#|>]+)")
_INSIDE = re.compile(r"<\(smos (?P<words>[^)]+)\)")
_HELP = re.compile(rf"{lang.EXAMPLE} smos (?P<words>[^<>]+)")


def shown() -> dict[tuple[str, ...], str]:
    """The words behind `smos`, and where they were first seen."""
    found: dict[tuple[str, ...], str] = {}
    for page in sorted(PAGES):
        for line in _code(page.read_text(encoding="utf-8")):
            if told := _LINE.match(line) or _INSIDE.search(line):
                found.setdefault(tuple(shlex.split(told["words"])), str(page.relative_to(ROOT)))
    for command, text in helps(typer.main.get_command(app)):
        for line in text.splitlines():
            if told := _HELP.match(line.strip()):
                found.setdefault(tuple(shlex.split(told["words"])), f"help of {command}")
    return found


def helps(command: Any, name: str = "smos") -> Iterator[tuple[str, str]]:
    """Each command with its help text; groups are not among them."""
    below = getattr(command, "commands", None)
    if below is None:
        yield name, command.help or ""
    for each, one in (below or {}).items():
        yield from helps(one, f"{name} {each}")


def _code(text: str) -> Iterator[str]:
    """The lines of fenced blocks that are no transcript: what that shows was carried out."""
    fence = ""
    for line in text.splitlines():
        if line.startswith("```"):
            fence = "" if fence else line
        elif fence and fence != TRANSCRIPT:
            yield line.strip()
