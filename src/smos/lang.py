"""The language in which a person is spoken to: English, or Spanish by `SMOS_LANG` or the locale. JSON is always English.

Texts are in English in the source and are looked up by gettext, in the catalogues below ``locale/`` (tests/tools/messages.py
keeps them in step with the source). The words of the parser itself, as "Missing argument", are in the same catalogue.
"""

from __future__ import annotations

import gettext
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DOMAIN = "smos"
FOLDER = Path(__file__).parent / "locale"
ENGLISH, SPANISH = "en", "es"
LANGUAGES = (ENGLISH, SPANISH)
EXAMPLE = "Example:"  # begins a paragraph of a help text whose command is shown as it is


class UnknownLanguage(ValueError):
    """`SMOS_LANG` names a language that we do not speak; the message says so."""


def wanted(environ: Mapping[str, str]) -> str:
    """`SMOS_LANG`, else what the locale says, else English. Raises UnknownLanguage."""
    asked = environ.get("SMOS_LANG")
    if asked:
        code = _code(asked)
        if code not in LANGUAGES:
            raise UnknownLanguage(f"SMOS_LANG is {asked!r}; known are {' and '.join(LANGUAGES)}")
        return code
    locale = next((environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environ.get(name)), "")
    return SPANISH if _code(locale) == SPANISH else ENGLISH


def _code(locale: str) -> str:
    """`es` of `es_CL.UTF-8`, `es-CL` and `ES`."""
    return locale.partition(".")[0].replace("-", "_").partition("_")[0].lower()


def speak(environ: MutableMapping[str, str]) -> str:
    """Have gettext look texts up in the wanted language from now on, and give it. Raises UnknownLanguage."""
    language = wanted(environ)
    environ["LANGUAGE"] = language  # gettext's own variable, which comes before the locale
    gettext.bindtextdomain(DOMAIN, str(FOLDER))
    gettext.textdomain(DOMAIN)
    return language


@dataclass(frozen=True)
class Said:
    """A text whose language is chosen when it is shown, with the values of its fields."""

    text: str
    values: Mapping[str, object] = field(default_factory=dict)

    def by(self, look_up: Callable[[str], str]) -> str:
        """It in the words that ``look_up`` gives for the text."""
        return look_up(self.text).format(**self.values) if self.values else look_up(self.text)


def later(text: str, **values: object) -> Said:
    """Mark a text to be translated where it is shown: what programs read has it in English."""
    return Said(text, values)


def translate(command: Any) -> None:
    """Put the help of a command, of its parameters and of all commands below it into the language that is spoken."""
    for part, name, text in helps(command):
        setattr(part, name, "\n\n".join(_paragraph(each) for each in text.split("\n\n")))


def helps(command: Any) -> Iterator[tuple[Any, str, str]]:
    """Whatever has a help text: the object, the attribute's name and the text; for commands with everything below."""
    for part, name in ((command, "help"), (command, "epilog"), *((each, "help") for each in command.params)):
        if text := getattr(part, name, None):
            yield part, name, text
    for each in getattr(command, "commands", {}).values():
        yield from helps(each)


def _paragraph(text: str) -> str:
    if text.startswith(EXAMPLE):
        return text.replace(EXAMPLE, gettext.gettext(EXAMPLE))
    return gettext.gettext(text)


USAGE, SHOW_HELP = "Usage: ", "Show this message and exit."
PARSER_WORDS = (
    "Try '",
    "' for help.",
    "Missing argument",
    "Missing option",
    "No such option:",
    "Possible options:",
    "Invalid value for",
    "Got unexpected extra argument(s)",
)
"""What the parser says in fixed words, which it does not look up by itself."""


def parser_words(text: str) -> str:
    """A message of the parser, with its fixed words in the language that is spoken."""
    for phrase in PARSER_WORDS:
        text = text.replace(phrase, gettext.gettext(phrase))
    return text


def formatter(plain: type[Any]) -> type[Any]:
    """The parser's formatter of help pages, with the words that it does not look up by itself."""

    class Formatter(plain):
        def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
            super().write_usage(prog, args, gettext.gettext(USAGE) if prefix is None else prefix)

        def write_dl(self, rows: Sequence[tuple[str, str]], *spacing: int, **more: int) -> None:
            super().write_dl([(name, parser_help(text)) for name, text in rows], *spacing, **more)

    return Formatter


def parser_help(text: str) -> str:
    """The help of an option, which is the parser's own where it says so."""
    return gettext.gettext(SHOW_HELP) if text == SHOW_HELP else text
