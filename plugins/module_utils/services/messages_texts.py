# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The messages of ``specs/messages``: read, checked, and filled in for one person. Pure but for reading the files."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field, replace
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.whatsapp_cloud import Template
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError

YAML_IMPORT_ERROR: ImportError | None = None
try:
    import yaml
except ImportError as exc:
    YAML_IMPORT_ERROR = exc

DEFAULT_LANGUAGE = "es"
NOTE = "admin_note"
KINDS = ("welcome", "suspended", "resumed", "deleted", NOTE)
PLACES = frozenset({"owner", "tenant", "slug", "domain", "url", "email", "date", "environment"})
NOTE_PLACES = frozenset({"environment", "event", "count", "names", "list"})
DAILY, DAILY_OWNER = "daily", "daily_owner"
DIGESTS = (DAILY, DAILY_OWNER)  # a folder of an earlier release has none of these
DIGEST_PLACES = frozenset({"environment", "date", "summary", "url", "owner", "tenant", "list"})
_PLACE = re.compile(r"\{([a-z_]+)\}")
_NUMBER = re.compile(r"\{\{(\d+)\}\}")


@dataclass(frozen=True)
class Text:
    """A message in one language: WhatsApp template, plain text, subject and body of a mail, places still open.

    The note to the admin also has a word for each kind of ``events``, and ``more`` for names that are left out. Digests
    are made of ``parts``, whose places are theirs. ``template_body`` is what Meta approved, its numbers taken out.
    """

    template: Template
    text: str
    subject: str
    body: str
    events: t.Mapping[str, str] = field(default_factory=dict)
    more: str = ""
    parts: t.Mapping[str, str] = field(default_factory=dict)
    template_body: str = ""

    def filled(self, values: t.Mapping[str, str]) -> Text:
        """The message for one person."""
        parameters = tuple(_filled(each, values) for each in self.template.parameters)
        template = Template(self.template.name, self.template.language, parameters)
        return replace(
            self,
            template=template,
            text=_filled(self.text, values),
            subject=_filled(self.subject, values),
            body=_filled(self.body, values),
            more=_filled(self.more, values),
        )


Texts = t.Mapping[str, t.Mapping[str, Text]]
"""By kind and language."""


def load(folder: Path) -> dict[str, dict[str, Text]]:
    """Read every kind of message. Raises ApiError that names the file and what is wrong with it."""
    return {kind: read(folder, kind) for kind in KINDS}


def read(folder: Path, kind: str) -> dict[str, Text]:
    """Read one kind of message, by language. Raises ApiError that names the file and what is wrong with it."""
    if YAML_IMPORT_ERROR is not None:
        raise ApiError(
            "messages are YAML files: the Python package PyYAML is needed", errors.INVALID, where=str(folder)
        )
    places = {NOTE: NOTE_PLACES, DAILY: DIGEST_PLACES, DAILY_OWNER: DIGEST_PLACES}
    return _languages(folder / f"{kind}.yml", places.get(kind, PLACES))


def chosen(texts: Texts, kind: str, language: str) -> Text:
    """The message in the language that fits best: ``es_CL``, else ``es``, else the default."""
    known = texts[kind]
    for name in (language, language.partition("_")[0], DEFAULT_LANGUAGE):
        if name in known:
            return known[name]
    return next(iter(known.values()))


def _languages(path: Path, places: t.Collection[str]) -> dict[str, Text]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as exc:
        raise _wrong(path, f"cannot be read: {type(exc).__name__}") from None
    except yaml.YAMLError as exc:
        raise _wrong(path, f"is not YAML: {' '.join(str(exc).split())}") from None
    languages = document.get("languages") if isinstance(document, dict) else None
    if not isinstance(languages, dict) or not languages:
        raise _wrong(path, "has no languages")
    return {str(name): _text(path, f"languages.{name}", block, places) for name, block in languages.items()}


def _text(path: Path, where: str, block: t.Any, places: t.Collection[str]) -> Text:
    whatsapp, mail = _mapping(path, where, block, "whatsapp"), _mapping(path, where, block, "email")
    parameters = whatsapp.get("parameters") or []
    if not isinstance(parameters, list) or not all(isinstance(each, str) for each in parameters):
        raise _wrong(path, f"{where}.whatsapp.parameters: must be a list of texts")
    template = Template(
        _line(path, f"{where}.whatsapp.template", whatsapp.get("template")),
        _line(path, f"{where}.whatsapp.language", whatsapp.get("language")),
        tuple(parameters),
    )
    count = max((int(each) for each in _NUMBER.findall(str(whatsapp.get("body") or ""))), default=0)
    if whatsapp.get("body") and count != len(parameters):
        raise _wrong(path, f"{where}.whatsapp: the body has {count} places, and there are {len(parameters)} parameters")
    found = Text(
        template,
        _line(path, f"{where}.text", block.get("text")),
        _line(path, f"{where}.email.subject", mail.get("subject")),
        _line(path, f"{where}.email.body", mail.get("body")),
        _events(path, where, block.get("events")),
        str(block.get("more") or ""),
        _parts(path, where, block.get("parts")),
        _NUMBER.sub("", str(whatsapp.get("body") or "")),
    )
    for text in (*parameters, found.text, found.subject, found.body, found.more):
        unknown = sorted(set(_PLACE.findall(text)) - set(places))
        if unknown:
            raise _wrong(path, f"{where}: {{{unknown[0]}}} is none of {', '.join(sorted(places))}")
    return found


def _events(path: Path, where: str, given: t.Any) -> dict[str, str]:
    if given is None:
        return {}
    if not isinstance(given, dict) or not set(given) <= set(KINDS):
        raise _wrong(path, f"{where}.events: must be a mapping of {', '.join(KINDS)}")
    return {str(kind): str(word) for kind, word in given.items()}


def _parts(path: Path, where: str, given: t.Any) -> dict[str, str]:
    if given is None:
        return {}
    if not isinstance(given, dict) or not all(isinstance(each, str) for each in given.values()):
        raise _wrong(path, f"{where}.parts: must be a mapping of texts")
    return {str(name): " ".join(each.split()) for name, each in given.items()}


def _mapping(path: Path, where: str, block: t.Any, key: str) -> dict[str, t.Any]:
    inner = block.get(key) if isinstance(block, dict) else None
    if not isinstance(inner, dict):
        raise _wrong(path, f"{where}.{key}: is missing")
    return inner


def _line(path: Path, where: str, value: t.Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _wrong(path, f"{where}: must be a text")
    return value


def _filled(text: str, values: t.Mapping[str, str]) -> str:
    # One pass: what a tenant is called is never looked through for places
    return _PLACE.sub(lambda match: values.get(match[1], ""), text)


def _wrong(path: Path, why: str) -> ApiError:
    return ApiError(f"{path.name} {why}", errors.INVALID, where=str(path))
