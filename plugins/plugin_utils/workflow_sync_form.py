# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""A workflow as a file in git: readable, the same for the same workflow, without what n8n makes anew and without secrets.

A file has ``name``, ``active``, ``tags``, ``nodes`` (by name, without ids), ``connections`` and ``settings``. Credentials are there
by type and name, other workflows by name (``workflow:Daily report``). Versions, times, static data, pinned data and ids
of the instance are not.
"""

from __future__ import annotations

import hashlib
import json
import re
import typing as t
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.n8n import RESTING_TAG, Workflow
from ansible_collections.smartercl.smarteros.plugins.module_utils.exports.n8n import NODE_KEYS
from ansible_collections.smartercl.smarteros.plugins.module_utils.services.n8n import KNOWN_SETTINGS
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.workflow_sync_secrets import Known, masked

KEYS = ("name", "active", "tags", "nodes", "connections", "settings")
OTHER = "workflow:"  # in front of the name of another workflow, where n8n has its id
REFERS = ("workflowId", "errorWorkflow")
LARGEST = 5_000_000  # bytes; a workflow of a hundred nodes has a hundred thousand
_KEPT = (*(key for key in NODE_KEYS if key not in ("id", "parameters")), "credentials", "parameters")
_UNFIT = re.compile(r"[^a-z0-9]+")
_STEM = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")

Document = dict[str, t.Any]


class BadFile(Exception):
    """A file that is no workflow; the message says why and never quotes it."""


@dataclass(frozen=True)
class Shown:
    """A workflow of n8n as a file would have it. ``hidden``: places of what looks like a secret, with the node in front."""

    workflow: Workflow
    document: Document
    sum: str
    hidden: Sequence[str]


def shown(workflow: Workflow, names: Mapping[str, str], known: Known) -> Shown:
    """A workflow of n8n in the form of a file. ``names``: of the workflows that other ones may refer to, by id."""
    hidden: list[str] = []
    nodes = sorted((_node(node, names, known, hidden) for node in workflow.nodes), key=lambda node: str(node["name"]))
    rests = RESTING_TAG in workflow.tags  # switched off with its tenant: that is no trait of the workflow
    settings = {key: workflow.settings[key] for key in sorted(KNOWN_SETTINGS) if workflow.settings.get(key) is not None}
    document: Document = {
        "name": workflow.name,
        "active": workflow.active or rests,
        "tags": sorted(tag for tag in workflow.tags if tag != RESTING_TAG),
        "nodes": nodes,
        "connections": _tidy(workflow.connections),
        "settings": _named(settings, names),
    }
    return Shown(workflow, document, sum_of(document), hidden)


def text_of(document: Mapping[str, t.Any]) -> str:
    """The content of a file."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def sum_of(document: Mapping[str, t.Any]) -> str:
    """Sixteen characters that are the same for what n8n takes for the same: its editor adds and drops what is empty."""
    compared = {key: document[key] for key in KEYS}
    plain = json.dumps(_without_empty(_tidy(compared)), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(plain.encode()).hexdigest()[:16]


def read(path: Path) -> Document:
    """A file's workflow, in the form that `shown` gives. Raises BadFile and OSError."""
    if not _STEM.fullmatch(path.stem):
        raise BadFile("the name of a file is made of a-z, 0-9 and single hyphens")
    return parsed(path.read_bytes())


def parsed(raw: bytes) -> Document:
    """The content of a file as a workflow. Raises BadFile."""
    if len(raw) > LARGEST:
        raise BadFile(f"it has more than {LARGEST} bytes")
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError) as exc:
        line = f" (line {exc.lineno})" if isinstance(exc, json.JSONDecodeError) else ""
        marks = ": it has the marks of a merge that was not ended" if b"\n<<<<<<< " in b"\n" + raw else ""
        raise BadFile(f"it is no JSON{line}{marks}") from None
    if not isinstance(found, dict) or set(found) - set(KEYS):
        odd = ", ".join(sorted(set(found) - set(KEYS))[:3]) if isinstance(found, dict) else "it is no object"
        raise BadFile(f"only {', '.join(KEYS)} are known: {odd}")
    return _judged({"active": False, "tags": [], "connections": {}, "settings": {}, **found})


def _judged(document: Document) -> Document:
    name, nodes, tags = document.get("name"), document.get("nodes"), document["tags"]
    if not isinstance(name, str) or not 1 <= len(name) <= 128:
        raise BadFile("name must be a text of 1 to 128 characters")
    if not isinstance(document["active"], bool):
        raise BadFile("active must be true or false")
    if not isinstance(tags, list) or not all(isinstance(tag, str) and 1 <= len(tag) <= 24 for tag in tags):
        raise BadFile("tags must be a list of texts of 1 to 24 characters")
    if not isinstance(nodes, list) or not all(_is_node(node) for node in nodes):
        raise BadFile("nodes must be a list, and each needs name, type and parameters, and no id")
    if len({node["name"] for node in nodes}) != len(nodes):
        raise BadFile("two nodes have the same name")
    if not isinstance(document["connections"], dict) or not isinstance(document["settings"], dict):
        raise BadFile("connections and settings must be objects")
    unknown = sorted(set(document["settings"]) - set(KNOWN_SETTINGS))
    if unknown:
        raise BadFile(f"not every version of n8n takes these settings: {', '.join(unknown[:3])}")
    tidied = [{key: _tidy(node[key]) for key in _KEPT if _is_said(node, key)} for node in nodes]
    return {
        **{key: document[key] for key in KEYS},
        "tags": sorted(set(tags)),
        "nodes": sorted(tidied, key=lambda node: str(node["name"])),
        "connections": _tidy(document["connections"]),
        "settings": _tidy(document["settings"]),
    }


def _is_said(node: Mapping[str, t.Any], key: str) -> bool:
    """Whether a node says something there that is not what n8n takes anyway."""
    return key in node and node[key] is not None and node[key] is not False and node[key] != ""


def _is_node(node: t.Any) -> bool:
    return (
        isinstance(node, dict)
        and {"name", "type", "parameters"} <= set(node) <= set(_KEPT)
        and isinstance(node["name"], str)
        and isinstance(node["parameters"], dict)
        and isinstance(node.get("credentials", {}), dict)
    )


def stem_for(name: str, taken: Collection[str]) -> str:
    """The name of a new file, without its ending: the workflow's in plain letters."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    stem = _UNFIT.sub("-", plain).strip("-")[:80].strip("-") or "workflow"
    return next(each for each in (stem, *(f"{stem}-{n}" for n in range(2, len(taken) + 3))) if each not in taken)


def differing(before: Document, after: Document) -> tuple[Document, Document]:
    """What of two documents differs, for a report: names of nodes with short sums, connections as a sum."""
    pair = [_reported(each) for each in (before, after)]
    keys = [key for key in pair[0] if pair[0][key] != pair[1][key]]
    first, second = ({key: each[key] for key in keys} for each in pair)
    if "nodes" in first:
        names = [n for n in {**first["nodes"], **second["nodes"]} if first["nodes"].get(n) != second["nodes"].get(n)]
        first, second = (
            {**each, "nodes": {n: each["nodes"][n] for n in names if n in each["nodes"]}} for each in (first, second)
        )
    return first, second


def _reported(document: Document) -> Document:
    parts = {str(node["name"]): _short(node) for node in document["nodes"]}
    own = {key: document[key] for key in ("name", "active", "tags", "settings")}
    return {**own, "nodes": parts, "connections": _short(document["connections"])}


def _short(value: t.Any) -> str:
    plain = json.dumps(_without_empty(_tidy(value)), sort_keys=True)
    return hashlib.sha256(plain.encode()).hexdigest()[:12]


def _node(node: Mapping[str, t.Any], names: Mapping[str, str], known: Known, hidden: list[str]) -> Document:
    kept: Document = {key: _tidy(node[key]) for key in _KEPT if _is_said(node, key)}
    parameters, places = masked(_named(_tidy(node.get("parameters") or {}), names), known)
    hidden += [f"{node.get('name')}: {place}" for place in places]
    notes, found = masked({"notes": kept["notes"]} if "notes" in kept else {}, known)
    hidden += [f"{node.get('name')}: {place}" for place in found]
    kept.update(name=str(node.get("name")), type=str(node.get("type")), **notes)
    made = {**kept, "credentials": _credentials(node.get("credentials")), "parameters": parameters}
    return {key: made[key] for key in _KEPT if key in made and (key != "credentials" or made[key])}


def _credentials(value: t.Any) -> Document:
    """By type: the name alone. Very old nodes have the name in place of the object."""
    rows = sorted(value.items()) if isinstance(value, dict) else ()
    return {kind: {"name": str(each.get("name") if isinstance(each, dict) else each)} for kind, each in rows}


def _named(value: t.Any, names: Mapping[str, str]) -> t.Any:
    """The value with names in place of the ids of other workflows."""
    if isinstance(value, list):
        return [_named(item, names) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: _refers(item, names) if key in REFERS else _named(item, names) for key, item in value.items()}


def _refers(value: t.Any, names: Mapping[str, str]) -> t.Any:
    if isinstance(value, dict) and value.get("__rl"):
        kept = {key: item for key, item in value.items() if key not in ("cachedResultUrl", "cachedResultName")}
        return {**kept, "value": _refers(value.get("value"), names)}
    return f"{OTHER}{names[value]}" if isinstance(value, str) and value in names else value


def with_ids(value: t.Any, ids: Mapping[str, str]) -> t.Any:
    """The value with ids in place of the names of other workflows. Raises LookupError with a name that n8n has not."""
    if isinstance(value, list):
        return [with_ids(item, ids) for item in value]
    if isinstance(value, dict):
        return {key: with_ids(item, ids) for key, item in value.items()}
    if isinstance(value, str) and value.startswith(OTHER):
        name = value.removeprefix(OTHER)
        if name not in ids:
            raise LookupError(name)
        return ids[name]
    return value


def others_in(value: t.Any) -> set[str]:
    """The names of other workflows that a document refers to."""
    if isinstance(value, (list, dict)):
        items = value.values() if isinstance(value, dict) else value
        return {name for item in items for name in others_in(item)}
    return {value.removeprefix(OTHER)} if isinstance(value, str) and value.startswith(OTHER) else set()


def _tidy(value: t.Any) -> t.Any:
    """Keys in order, and 2.0 written as 2: servers differ in both."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, (list, tuple)):
        return [_tidy(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _tidy(value[key]) for key in sorted(value)}
    return value


def _without_empty(value: t.Any) -> t.Any:
    if isinstance(value, dict):
        kept = {key: _without_empty(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item is not None and item not in ({}, [])}
    if isinstance(value, list):
        items = [_without_empty(item) for item in value]
        while items and items[-1] in (None, [], {}):
            items.pop()
        return items
    return value
