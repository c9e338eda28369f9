# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What the admin reads: that a job of the backups fails, goes on failing, or works again; or what a person says. Pure."""

from __future__ import annotations

import re
import time
import typing as t
from dataclasses import dataclass

FAILED, REMINDED, RECOVERED = "failed", "still_failing", "recovered"
SAID = "said"  # by a person, and told as it stands
SPANISH = "es"
MAX_MESSAGE = 300  # characters; more is in the machine's own log

_JOBS: t.Mapping[str, t.Mapping[str, str]] = {
    "es": {
        "backup": "el respaldo",
        "copy": "la copia remota del respaldo",
        "check": "la revisión de los respaldos",
        "drill": "el simulacro de restauración",
        "wal": "el archivo continuo de PostgreSQL",
        "wal base": "la copia completa de PostgreSQL",
    },
    "en": {
        "backup": "the backup",
        "copy": "the remote copy of the backup",
        "check": "the check of the backups",
        "drill": "the restore drill",
        "wal": "the archive of PostgreSQL",
        "wal base": "the full copy of PostgreSQL",
    },
}
# Told in one line each: a template of WhatsApp takes no line breaks
_LINES: t.Mapping[str, t.Mapping[str, str]] = {
    "es": {
        FAILED: "falló {job}: {message}",
        REMINDED: "sigue fallando {job} desde el {since}: {message}",
        RECOVERED: "volvió a funcionar {job}, que fallaba desde el {since}",
        SAID: "{message}",
    },
    "en": {
        FAILED: "{job} failed: {message}",
        REMINDED: "{job} has been failing since {since}: {message}",
        RECOVERED: "{job} works again; it had failed since {since}",
        SAID: "{message}",
    },
}
_SUBJECTS: t.Mapping[str, t.Mapping[str, str]] = {
    "es": {
        FAILED: "falló {job}",
        REMINDED: "sigue fallando {job}",
        RECOVERED: "volvió a funcionar {job}",
        SAID: "aviso",
    },
    "en": {FAILED: "{job} failed", REMINDED: "{job} keeps failing", RECOVERED: "{job} works again", SAID: "notice"},
}
_PLACES: t.Mapping[str, str] = {"es": "SmarterOS, ambiente {where}", "en": "SmarterOS, environment {where}"}
_NEXT: t.Mapping[str, str] = {
    "es": "Revisa el estado con: smos status --env {environment}",
    "en": "Look at the state with: smos status --env {environment}",
}
_UNSAID: t.Mapping[str, str] = {"es": "sin más detalle", "en": "no reason was given"}

_TRACE = "Traceback (most recent call last):"
_LOGIN = re.compile(r"(://)[^/\s:@]*:[^/\s@]*@")
_NAMED = re.compile(
    r"(?i)([\w-]*(?:passw|passphrase|secret|token|api[_-]?key|access[_-]?key|authorization)[\w-]*[\"']?\s*[=:]\s*)"
    r"(?:(?:bearer|basic)\s+)?[^\s,;]+"
)
_CHANGING = re.compile(
    r"\b(?:\d{8}-\d{6}(?:-[0-9a-f]{4})?|[0-9a-f]{8,64}|\d[\d.,:-]*)\s?(?:[KMGT]i?B|bytes|%|ms|s|min|h)?(?!\w)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class News:
    """What there is to tell of a job. ``since`` is when it began to fail."""

    what: str  # FAILED, REMINDED, RECOVERED or SAID
    job: str
    message: str
    since: float
    environment: str
    zone: str = ""


@dataclass(frozen=True)
class Words:
    """The same news at three lengths: for a subject, for one line, for a letter."""

    subject: str
    line: str
    body: str
    parameters: tuple[str, ...] = ()  # of a WhatsApp template with other places than the environment and the line


def words(news: News, language: str = SPANISH) -> Words:
    """What a person reads; Spanish where the language is not known."""
    tongue = language if language in _LINES else SPANISH
    places = {
        "job": _JOBS[tongue].get(news.job, news.job),
        "message": news.message or _UNSAID[tongue],
        "since": moment(news.since),
        "environment": news.environment,
        "where": f"{news.environment} ({news.zone})" if news.zone else news.environment,
    }
    place = _PLACES[tongue].format_map(places)
    line = _LINES[tongue][news.what].format_map(places)
    subject = _SUBJECTS[tongue][news.what].format_map(places)
    body = f"{place}\n\n{line[:1].upper()}{line[1:]}\n\n{_NEXT[tongue].format_map(places)}\n"
    return Words(f"SmarterOS {news.environment}: {subject}", line, body)


def moment(at: float) -> str:
    """A moment as a person reads it; the machine's clock is in UTC wherever it stands."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at))


def plain(message: str) -> str:
    """A message fit to leave the machine: one short line, no stack trace, nothing that looks like a secret."""
    before, trace, after = message.partition(_TRACE)
    lines = [line for line in after.splitlines() if line.strip()]
    text = f"{before} {lines[-1] if lines else ''}" if trace else message
    text = _LOGIN.sub(r"\1***@", text)
    text = _NAMED.sub(r"\1***", text)
    text = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return text if len(text) <= MAX_MESSAGE else text[: MAX_MESSAGE - 1] + "…"


def kind_of(message: str) -> str:
    """What a message is about, without what differs each time: numbers, sizes, times and ids."""
    return " ".join(_CHANGING.sub("#", message).lower().split())
