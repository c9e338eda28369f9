# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Bot templates: folders in the layout of an exported bot, with ``__SMOS_<NAME>__`` where a tenant's values go.

A value only ever becomes part of a text: never of a flow, whose conditions Botpress runs as programs. What is
derived is added here: the place of each node on the studio's canvas, and the intents that belong to questions.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.owner import mark
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import botpress_rules

CONFIG = "bot.config.json"
VALUES = ("rut", "slug", "name", "domain", "timezone", "currency", "language", "country")
NAME_MAX = 50  # characters that Botpress takes for a bot's name when it is changed
OWN = ("name", "description", "disabled")  # of the settings: said anew for every tenant, and changed without an import
KEY = "smarteros"  # our own part of the settings; Botpress keeps it, and no form of its shows it
_TOKEN = re.compile(r"__SMOS_([A-Z0-9_]+?)__")
_ID = re.compile(r"[A-Za-z0-9]+[A-Za-z0-9_-]+[A-Za-z0-9]+")
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


@dataclass(frozen=True)
class Template:
    """A template folder. ``files``: path -> JSON text with placeholders; ``settings``: those of ``bot.config.json``."""

    name: str
    files: t.Mapping[str, str]
    settings: str
    tokens: frozenset[str]


@dataclass(frozen=True)
class Bot:
    """A template filled in for one tenant: the bot as it should be. ``name`` is the one that Botpress will show."""

    id: str
    tenant: str
    template: str
    name: str
    description: str
    language: str
    content: str  # fingerprint of everything but the settings that are changed without an import
    files: t.Mapping[str, str]
    settings: str

    def archive_files(self) -> dict[str, bytes]:
        """The files of the archive: path -> content."""
        settings = json.loads(self.settings)
        # Botpress adds " (<id>)" to the name of every bot that it imports, unless the name is the id
        suffix = f" ({self.id})"
        name = self.name.removesuffix(suffix)
        own = {"id": self.id, "name": name, "description": self.description, "disabled": False}
        ours = {KEY: {"tenant": self.tenant, "template": self.template, "content": self.content}}
        files = {**self.files, CONFIG: dumped({**own, **settings, **ours})}
        return {path: text.encode() for path, text in sorted(files.items())}


def load(folder: str, names: t.Iterable[str]) -> dict[str, Template]:
    """The templates of these names. Raises ApiError that names the file for whatever is wrong with one."""
    return {name: _load(folder, name) for name in sorted(set(names))}


def render(template: Template, tenant: str, slug: str, values: t.Mapping[str, t.Any]) -> Bot:
    """The bot of one tenant. Raises ApiError for a value that is missing or that Botpress would run as a program."""
    if not _ID.fullmatch(slug) or len(slug) > NAME_MAX:
        raise ApiError(f"{slug!r} cannot be the id of a bot: 3 to {NAME_MAX} letters, digits, - and _")
    given = {**values, "rut": tenant, "slug": slug}
    name = str(given.get("name") or slug)
    _judge_values(template, given, name)

    def filled(text: str) -> str:
        return _TOKEN.sub(lambda found: json.dumps(given[found.group(1).lower()], ensure_ascii=False)[1:-1], text)

    files = {path: filled(text) for path, text in template.files.items()}
    settings = filled(template.settings)
    return Bot(
        id=slug,
        tenant=tenant,
        template=template.name,
        name=shown_name(name, slug),
        description=f"{mark(tenant)} {template.name}",
        language=botpress_rules.LANGUAGE,
        content=_sum({**files, CONFIG: settings}),
        files=files,
        settings=settings,
    )


def shown_name(name: str, bot: str) -> str:
    """The name that an imported bot gets: Botpress appends the id. Long names are cut to what it takes."""
    if name == bot:
        return name
    return f"{name[: NAME_MAX - len(bot) - 3].rstrip()} ({bot})"


def dumped(data: t.Any) -> str:
    """Data as the JSON text of a file."""
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _judge_values(template: Template, given: t.Mapping[str, t.Any], name: str) -> None:
    missing = sorted(each for each in template.tokens if not isinstance(given.get(each), str) or not given[each])
    if missing:
        raise ApiError(f"the bot template {template.name} needs {', '.join(missing)}")
    for each in (name, *(given[token] for token in template.tokens)):
        # Botpress fills {{…}} in texts, and %NAME% in settings from the environment of its server
        if "{{" in each or re.search(r"%\w+%", each):
            raise ApiError(f"Botpress would take a part of {each[:80]!r} for a placeholder of its own")


def _load(folder: str, name: str) -> Template:
    where = os.path.join(folder, name)
    if not _NAME.fullmatch(name):
        raise ApiError(f"bot template {name!r}: a name is made of a-z, 0-9 and single hyphens", where=folder)
    if not os.path.isfile(os.path.join(where, CONFIG)):
        raise ApiError(f"no bot template {name!r}: there is no {CONFIG} in its folder", errors.MISSING, where=where)
    try:
        parts = {path: _parsed(os.path.join(where, path)) for path in _paths(where)}
    except OSError as exc:
        raise ApiError(f"bot template {name!r}: {exc.strerror}", where=where) from None
    wrong = botpress_rules.mistakes(parts)
    if wrong:
        raise ApiError(f"bot template {name!r}: {wrong[0]}", where=where)
    settings = {key: value for key, value in parts.pop(CONFIG).items() if key not in OWN}
    files = {path: dumped(data) for path, data in {**parts, **_derived(parts)}.items()}
    return Template(name, files, dumped(settings), frozenset(_tokens(name, {**files, CONFIG: dumped(settings)})))


def _paths(where: str) -> t.Iterator[str]:
    for parent, folders, names in os.walk(where):
        folders.sort()
        for name in sorted(names):
            yield os.path.relpath(os.path.join(parent, name), where).replace(os.sep, "/")


def _parsed(path: str) -> t.Any:
    with open(path, encoding="utf-8") as file:
        try:
            return json.load(file)
        except ValueError as exc:
            raise ApiError(f"bot template: {exc}", where=path) from None


def _tokens(name: str, files: t.Mapping[str, str]) -> set[str]:
    """The values that the texts name; raises ApiError for unknown ones and for those in a program."""
    found: set[str] = set()
    for path, text in files.items():
        names = {each.lower() for each in _TOKEN.findall(text)}
        wrong = (
            sorted(names - set(VALUES)) or (names and path.startswith("flows/")) or "__SMOS_" in _TOKEN.sub("", text)
        )
        if wrong:
            raise ApiError(f"bot template {name!r}: {path} has an unknown, misspelt or misplaced placeholder")
        found |= names
    return found


def _derived(parts: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The files that follow from others: a view of every flow, an intent for every question."""
    made: dict[str, t.Any] = {}
    for path, data in parts.items():
        if path.startswith("flows/"):
            places = [
                {"id": node["id"], "position": {"x": 100 + 320 * (n % 4), "y": 100 + 220 * (n // 4)}}
                for n, node in enumerate(data["nodes"])
            ]
            made[path.replace(".flow.json", ".ui.json")] = {"nodes": places, "links": []}
        elif path.startswith("qna/"):
            intent = f"__qna__{data['id']}"
            asked, contexts = data["data"]["questions"], data["data"]["contexts"]
            made[f"intents/{intent}.json"] = {
                "name": intent,
                "entities": [],
                "contexts": contexts,
                "utterances": asked,
                "slots": [],
            }
    return made


def _sum(files: t.Mapping[str, str]) -> str:
    total = hashlib.sha256()
    for path in sorted(files):
        total.update(f"{path}\n{len(files[path])}\n{files[path]}".encode())
    return total.hexdigest()[:16]
