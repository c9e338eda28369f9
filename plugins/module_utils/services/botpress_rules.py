# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What the files of a bot must be like for Botpress 12 to import, mount and run it. Pure.

Followed from botpress/v12: ``core/bots/bot-service.ts``, ``core/dialog/utils/validator.ts``, ``common/validation.ts``.
"""

from __future__ import annotations

import re
import typing as t

LANGUAGE = "es"  # the Community edition allows one language per bot
FLOW, VIEW, ELEMENTS, QNA, INTENT = ".flow.json", ".ui.json", "content-elements/", "qna/", "intents/"
_SAY = re.compile(r"say #!(\S+)")
_ACTION = re.compile(r"builtin/[A-Za-z]+ \{.*\}")
_PLACES = re.compile(
    r"bot\.config\.json|flows/[\w/-]+\.(?:flow|ui)\.json|(?:content-elements|qna|intents)/[\w-]+\.json"
)

Files = t.Mapping[str, t.Any]


def mistakes(files: Files) -> list[str]:
    """What is wrong with the parsed files of a bot (path -> data), each told with its file; empty when all is well."""
    wrong = [f"{path}: a bot's template has no such file" for path in files if not _PLACES.fullmatch(path)]
    shapes = {path: list if path.startswith(ELEMENTS) else dict for path in files}
    wrong += [f"{path}: expected another shape" for path, kind in shapes.items() if not isinstance(files[path], kind)]
    if wrong:
        return wrong
    wrong += [f"bot.config.json: {why}" for why in _settings(files.get("bot.config.json") or {})]
    wrong += [f"flows/{name}{FLOW} is missing" for name in ("main", "error") if f"flows/{name}{FLOW}" not in files]
    elements = _elements(files, wrong)
    for path, data in files.items():
        if path.endswith(FLOW):
            wrong += [f"{path}: {why}" for why in _flow(data, files, elements)]
        elif path.startswith(QNA):
            wrong += [f"{path}: {why}" for why in _question(path, data)]
    return wrong


def _settings(settings: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    languages = settings.get("languages")
    if settings.get("defaultLanguage") != LANGUAGE or languages != [LANGUAGE]:
        yield f"defaultLanguage and languages must be {LANGUAGE} alone"
    if (settings.get("converse") or {}).get("enableUnsecuredEndpoint") is not False:
        yield "converse.enableUnsecuredEndpoint must be false: else anybody may talk to the bot"
    if not (settings.get("imports") or {}).get("contentTypes"):
        yield "imports.contentTypes must list the content types that the bot uses"
    if settings.get("messaging"):
        yield "messaging must not be there: channels hold secrets"


def _elements(files: Files, wrong: list[str]) -> frozenset[str]:
    """The ids of all content elements; appends to ``wrong`` what is the matter with one."""
    found: list[str] = []
    for path, rows in files.items():
        if not path.startswith(ELEMENTS):
            continue
        kind = path[len(ELEMENTS) : -len(".json")]
        for row in rows:
            ident = str(row.get("id")) if isinstance(row, dict) else ""
            form = row.get("formData") if isinstance(row, dict) else None
            good = (
                ident.startswith(f"{kind}-")
                and isinstance(form, dict)
                and any(k.endswith(f"${LANGUAGE}") for k in form)
            )
            if not good or ident in found:
                wrong.append(f"{path}: element {ident!r} must have an id of its own and texts in {LANGUAGE}")
            found.append(ident)
        if kind not in (files["bot.config.json"].get("imports") or {}).get("contentTypes", ()):
            wrong.append(f"{path}: {kind} is not among imports.contentTypes")
    return frozenset(found)


def _flow(flow: t.Mapping[str, t.Any], files: Files, elements: t.Collection[str]) -> t.Iterator[str]:
    nodes = [node for node in flow.get("nodes") or [] if isinstance(node, dict)]
    names = [node.get("name") for node in nodes]
    if not str(flow.get("version", "")).startswith("0."):
        yield "version must begin with 0."
    if flow.get("startNode") not in names:
        yield "startNode must name a node"
    if len(set(names)) != len(names) or len({str(node.get("id")) for node in nodes}) != len(nodes):
        yield "two nodes have the same name or id"
    for node in nodes:
        if not isinstance(node.get("id"), str) or len(node["id"]) <= 3:
            yield f"node {node.get('name')}: its id needs more than three characters"
        yield from _node(node, names, files, elements)


def _node(
    node: t.Mapping[str, t.Any], names: t.Collection[t.Any], files: Files, elements: t.Collection[str]
) -> t.Iterator[str]:
    name = node.get("name")
    for step in node.get("onEnter") or []:
        said = _SAY.fullmatch(str(step))
        if not (said and said.group(1) in elements) and not _ACTION.fullmatch(str(step)):
            yield f"node {name}: {step!r} says nothing that is there, and is no built-in action"
    following = node.get("next") or []
    for each in following:
        target = str(each.get("node"))
        if target not in names and target != "END" and f"flows/{target}" not in files:
            yield f"node {name}: leads to {target!r}, which is not there"
    if not following or following[-1].get("condition") != "true":
        yield f"node {name}: its last transition must be `true`, or the talk ends there"


def _question(path: str, item: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    found = item.get("data")
    data: dict[str, t.Any] = found if isinstance(found, dict) else {}
    if path != f"{QNA}{item.get('id')}.json":
        yield "its id must be the name of the file"
    for key in ("questions", "answers"):
        texts = (data.get(key) or {}).get(LANGUAGE)
        if not texts or not all(isinstance(text, str) for text in texts):
            yield f"{key} must have texts in {LANGUAGE}"
    if not isinstance(data.get("contexts"), list):
        yield "contexts must be a list"
