"""Write docs/decisions.md from specs/decision-tree.yml: `decisions.py [--check]`.

With `--check`, nothing is written; exit code 1 when the file is out of date.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "specs" / "decision-tree.yml"
TARGET = ROOT / "docs" / "decisions.md"
HEAD = """# Decisions

Generated from `specs/decision-tree.yml` by `make docs`; do not edit. A decision is never rewritten: a newer one supersedes it.
How the parts fit together is in [architecture.md](architecture.md).
"""

Decision = Mapping[str, Any]


def main(arguments: list[str]) -> int:
    """Write or check the file."""
    text = rendered(yaml.safe_load(SOURCE.read_text(encoding="utf-8"))["decisions"])
    if "--check" in arguments:
        current = TARGET.read_text(encoding="utf-8") if TARGET.exists() else ""
        if current != text:
            print("docs/decisions.md is out of date: run `make docs`", file=sys.stderr)
        return int(current != text)
    TARGET.write_text(text, encoding="utf-8")
    return 0


def rendered(decisions: Iterable[Decision]) -> str:
    """The decisions as Markdown: a table of all, then each with its reason and what follows from it."""
    known = {each["id"]: each for each in decisions}
    rows = [
        f"| {_link(each)} | {_plain(each['title'])} | {each['status']} | {each['date']} |" for each in known.values()
    ]
    table = ["| id | decision | status | date |", "|---|---|---|---|", *rows, ""]
    sections = [line for each in known.values() for line in _section(each, known)]
    return "\n".join([HEAD, *table, *sections]).rstrip("\n") + "\n"


def _section(each: Decision, known: Mapping[str, Decision]) -> list[str]:
    state = f"{each['status'].capitalize()}, {each['date']}."
    newer = each.get("superseded_by")
    if newer:
        state += f" Superseded by {_link(known[newer])}."
    lines = [
        f"## {_heading(each)}",
        "",
        state,
        "",
        _plain(each["decision"]),
        "",
        f"**Why.** {_plain(each['reason'])}",
        "",
    ]
    follows = [f"- {_plain(text)}" for text in each["consequences"]]
    return [*lines, "**What follows.**", "", *follows, ""] if follows else lines


def _heading(each: Decision) -> str:
    return f"{each['id']}: {_plain(each['title'])}"


def _link(each: Decision) -> str:
    anchor = re.sub(r"[^\w -]", "", _heading(each).lower()).replace(" ", "-")
    return f"[{each['id']}](#{anchor})"


def _plain(text: str) -> str:
    """A text on one line, in which nothing but `code` is markup."""
    parts = " ".join(text.split()).split("`")  # every second one is code
    parts[::2] = [re.sub(r"([<*|])", r"\\\1", part) for part in parts[::2]]
    return "`".join(parts)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
