"""Keeps the catalogues of `smos` in step with its source.

    python tests/tools/messages.py            # new texts into the .po files, whose translations go into the .mo files
    python tests/tools/messages.py --check    # says what is not translated, and whether the files are as they should be

What a person translates is `src/smos/locale/<language>/LC_MESSAGES/smos.po`.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import typer
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "collections")]

from smos import lang  # noqa: E402  # after the path
from smos.cli.app import app  # noqa: E402

SOURCE = ROOT / "src" / "smos"
# What typer looks up by itself
TYPER = (
    "Arguments",
    "Options",
    "Commands",
    "required",
    "default: {default}",
    "env var: {var}",
    "Missing command.",
    "No such command {name!r}.",
)
FIELDS = re.compile(r"\{[^{}]*\}")


def texts() -> list[str]:
    """Every text that is shown in the language of the person: helps by paragraph, the parser's words, what the source marks."""
    found = dict.fromkeys((*TYPER, *lang.PARSER_WORDS, lang.USAGE, lang.SHOW_HELP, lang.EXAMPLE))
    for _part, _name, text in lang.helps(typer.main.get_command(app)):
        found.update(dict.fromkeys(each for each in text.split("\n\n") if not each.startswith(lang.EXAMPLE)))
    for _file, _line, message, _comments, _context in extract_from_dir(
        SOURCE, [("**.py", "python")], keywords={"_": None, "later": None}
    ):
        found[str(message)] = None
    return list(found)


def path_of(language: str) -> Path:
    """The catalogue that people edit."""
    return lang.FOLDER / language / "LC_MESSAGES" / f"{lang.DOMAIN}.po"


def renewed(language: str) -> Catalog:
    """The catalogue with exactly the texts of the source, and the translations that it has."""
    with path_of(language).open("rb") as file:
        known = read_po(file, locale=language)
    made = Catalog(
        locale=language, project="smos", fuzzy=False, header_comment="# Texts of smos, for people to translate."
    )
    made.creation_date = made.revision_date = known.creation_date
    for text in texts():
        message = known.get(text)
        made.add(text, "" if message is None else str(message.string))
    return made


def as_po(catalog: Catalog) -> bytes:
    """As the file that people edit."""
    buffer = io.BytesIO()
    write_po(buffer, catalog, width=120, omit_header=False)
    return buffer.getvalue()


def as_mo(catalog: Catalog) -> bytes:
    """As the file that gettext reads."""
    buffer = io.BytesIO()
    write_mo(buffer, catalog)
    return buffer.getvalue()


def mistakes(catalog: Catalog) -> Iterator[str]:
    """What is not translated, or lacks a field that the text has."""
    for message in catalog:
        text, translated = str(message.id), str(message.string)
        if text and not translated:
            yield f"not translated: {text!r}"
        elif text and sorted(FIELDS.findall(text)) != sorted(FIELDS.findall(translated)):
            yield f"other fields than in {text!r}: {translated!r}"


def main() -> int:
    """Write the catalogues, or only judge them; 1 where something is amiss."""
    amiss = 0
    for language in lang.LANGUAGES:
        if language == lang.ENGLISH:
            continue  # the source itself
        catalog, path = renewed(language), path_of(language)
        wanted = {path: as_po(catalog), path.with_suffix(".mo"): as_mo(catalog)}
        for each, content in wanted.items():
            if each.exists() and each.read_bytes() == content:
                continue
            if "--check" in sys.argv:
                print(f"{each.relative_to(ROOT)} is not what `make docs` makes", file=sys.stderr)
                amiss = 1
            else:
                each.write_bytes(content)
        for mistake in mistakes(catalog):
            print(f"{path.relative_to(ROOT)}: {mistake}", file=sys.stderr)
            amiss = 1
    return amiss


if __name__ == "__main__":
    sys.exit(main())
