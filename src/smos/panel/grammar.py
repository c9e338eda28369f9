# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What the panel understands: few words in a fixed order. Nothing is guessed, and no text becomes more than one word of a command."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

LONGEST = 120  # characters; the longest command has some forty
MOST_LINES, USUAL_LINES = 30, 10
CODE_SIGNS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"  # without those that are taken for each other
CODE_LENGTH = 6
HELP, STATUS, TENANTS, TENANT = "ayuda", "estado", "tenants", "tenant"
SALES, BACKUPS, LOGS = "ventas", "respaldo", "logs"
SUSPEND, RESUME, BACKUP = "suspender", "reanudar", "respaldar"
CHANGING = frozenset({SUSPEND, RESUME, BACKUP})
TODAY, YESTERDAY = "hoy", "ayer"

_TENANT, _SERVICE = re.compile(r"[0-9a-z][0-9a-z.-]{2,31}"), re.compile(r"[a-z][a-z0-9_-]{0,39}")
_DAY, _COUNT = re.compile(f"{TODAY}|{YESTERDAY}"), re.compile(r"[0-9]{1,3}")
_CODE = re.compile(rf"[{CODE_SIGNS}]{{{CODE_LENGTH}}}")
_ALL = ("todo", "all")
_YES, _NO = ("si", "confirmo"), ("no", "cancelar")
_AROUND = " .,!?¡¿"


@dataclass(frozen=True)
class _Form:
    """Which words follow: ``needs`` have to be there, ``may`` can be."""

    needs: tuple[re.Pattern[str], ...] = ()
    may: tuple[re.Pattern[str], ...] = ()


_FORMS: Mapping[str, _Form] = {
    HELP: _Form(),
    STATUS: _Form(may=(_SERVICE,)),
    TENANTS: _Form(),
    TENANT: _Form((_TENANT,)),
    SALES: _Form(may=(_DAY,)),
    BACKUPS: _Form(),
    LOGS: _Form((_SERVICE,), (_COUNT,)),
    SUSPEND: _Form((_TENANT,)),
    RESUME: _Form((_TENANT,)),
    BACKUP: _Form(may=(_SERVICE,)),
}
_SAME: Mapping[str, str] = {
    "help": HELP,
    "hola": HELP,
    "menu": HELP,
    "status": STATUS,
    "tiendas": TENANTS,
    "clientes": TENANTS,
    "tienda": TENANT,
    "cliente": TENANT,
    "respaldos": BACKUPS,
    "log": LOGS,
    "reactivar": RESUME,
}
NAMES = tuple(_FORMS)


class NotUnderstood(ValueError):
    """A text that is no command; the message says why, in the words of the panel, and quotes nothing."""


@dataclass(frozen=True)
class Command:
    """A command with its words, each of its form."""

    name: str
    words: tuple[str, ...] = ()

    @property
    def changes(self) -> bool:
        """Whether it changes something, so that it has to be confirmed."""
        return self.name in CHANGING

    @property
    def first(self) -> str:
        """Its first word, or nothing."""
        return self.words[0] if self.words else ""

    def __str__(self) -> str:
        return " ".join((self.name, *self.words))


@dataclass(frozen=True)
class Confirmation:
    """The code with which what was asked is confirmed."""

    code: str


@dataclass(frozen=True)
class Cancellation:
    """What waits for its code shall not be done."""


def parsed(text: str) -> Command | Confirmation | Cancellation:
    """What a text says. Raises NotUnderstood."""
    words = _words(text)
    name, rest = _plain(words[0]), words[1:]
    if name in _YES:
        return _confirmation(rest)
    if name in _NO and not rest:
        return Cancellation()
    form = _FORMS.get(name := _SAME.get(name, name))
    if form is None:
        raise NotUnderstood("No conozco esa orden.")
    return Command(name, _judged(name, form, [each.lower() for each in rest]))


def _words(text: str) -> list[str]:
    if len(text) > LONGEST:
        raise NotUnderstood(f"El mensaje es muy largo: una orden tiene a lo más {LONGEST} caracteres.")
    trimmed = text.strip().strip(_AROUND)
    if any(unicodedata.category(sign) in ("Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp") for sign in trimmed):
        raise NotUnderstood("Una orden va en una sola línea, sin signos invisibles.")
    words = trimmed.split()
    if not words:
        raise NotUnderstood("El mensaje está vacío.")
    return words


def _plain(word: str) -> str:
    """The word without accents and in small letters."""
    parts = unicodedata.normalize("NFD", word.rstrip(_AROUND).lower())
    return "".join(sign for sign in parts if unicodedata.category(sign) != "Mn")


def _confirmation(words: list[str]) -> Confirmation:
    code = words[0].upper() if len(words) == 1 else ""
    if not _CODE.fullmatch(code):
        raise NotUnderstood(f"Para confirmar escribe SI y el código de {CODE_LENGTH} signos, por ejemplo SI 7KX2PM.")
    return Confirmation(code)


def _judged(name: str, form: _Form, words: list[str]) -> tuple[str, ...]:
    forms = (*form.needs, *form.may)
    if len(words) < len(form.needs):
        raise NotUnderstood(f"A la orden {name} le falta algo. Escribe ayuda para ver cómo va.")
    if len(words) > len(forms):
        raise NotUnderstood(f"A la orden {name} le sobran palabras, y no adivino. Escribe ayuda para ver cómo va.")
    if not all(form.fullmatch(word) for form, word in zip(forms, words, strict=False)):
        raise NotUnderstood(f"Lo que sigue a {name} no es un nombre válido. Escribe ayuda para ver cómo va.")
    if name == LOGS and len(words) > 1 and not 1 <= int(words[1]) <= MOST_LINES:
        raise NotUnderstood(f"Puedo mostrar de 1 a {MOST_LINES} líneas.")
    return tuple("all" if name == BACKUP and word in _ALL else word for word in words)


def line(command: Command) -> list[str]:
    """The words of `smos` for a command, without the options that say whether it acts. Values stand behind `--`."""
    first = command.first
    if command.name == SALES:
        return ["daily", *([] if first == YESTERDAY else ["--date=today"])]
    if command.name == LOGS:
        lines = command.words[1] if len(command.words) > 1 else str(USUAL_LINES)
        return ["logs", "--", first, lines]
    found: Mapping[str, list[str]] = {
        STATUS: ["status", "--", *command.words],
        TENANTS: ["tenant", "list"],
        TENANT: ["tenant", "show", "--", first],
        BACKUPS: ["backups"],
        SUSPEND: ["tenant", "suspend", "--reason=panel", "--", first],
        RESUME: ["tenant", "resume", "--", first],
        BACKUP: ["backup", "--", first or "all"],
    }
    return list(found[command.name])
