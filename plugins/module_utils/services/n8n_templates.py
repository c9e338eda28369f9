# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Workflow templates: JSON files as n8n exports them, with ``__SMOS_<NAME>__`` where a tenant's values go.

Rendering is structural: a token is replaced inside the strings of the parsed JSON, so a value can never change
the structure. n8n takes a string that begins with ``=`` for a program; values never get into one.
"""

from __future__ import annotations

import json
import os
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.n8n import (
    WEBHOOK,
    Hook,
    hooks,
    node_id,
    webhook_id,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError

VALUES = ("rut", "slug", "name", "domain", "timezone", "currency", "language", "country", "odoo_url", "chatwoot_url")
TITLE_MAX = 128 - len("12345678-5 ")  # n8n takes names of 128 characters
_TOKEN = re.compile(r"__SMOS_([A-Z0-9_]+?)__")
_TEMPLATE = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


@dataclass(frozen=True)
class Template:
    """A template file; ``name`` is the file's name without its ending, ``tokens`` the values that it needs.

    ``filled`` holds the ids of the lists and mappings inside that a value goes into: the others are shared by all tenants.
    """

    name: str
    title: str
    nodes: t.Sequence[t.Mapping[str, t.Any]]
    connections: t.Mapping[str, t.Any]
    settings: t.Mapping[str, t.Any]
    tokens: frozenset[str]
    filled: frozenset[int]


@dataclass(frozen=True)
class Wish:
    """A template filled in for one tenant: one workflow as it should be."""

    tenant: str
    template: str
    name: str
    nodes: t.Sequence[t.Mapping[str, t.Any]]
    connections: t.Mapping[str, t.Any]
    settings: t.Mapping[str, t.Any]
    hooks: frozenset[Hook]


def load(folder: str, names: t.Iterable[str]) -> dict[str, Template]:
    """The templates of these names. Raises ApiError that names the file for whatever is wrong with one."""
    return {name: _load(folder, name) for name in sorted(set(names))}


def render(template: Template, tenant: str, values: t.Mapping[str, str]) -> Wish:
    """The workflow of one tenant. Raises ApiError for a value that is missing or that n8n would run as a program."""
    missing = sorted(name for name in template.tokens if not values.get(name))
    if missing:
        raise ApiError(f"the template {template.name} needs {', '.join(missing)}")
    name = f"{tenant} {template.title}"
    nodes = [_node(node, name, values, template.filled) for node in template.nodes]
    connections = _filled(template.connections, values, template.filled)
    settings = _filled(template.settings, values, template.filled)
    return Wish(tenant, template.name, name, nodes, connections, settings, hooks(nodes))


def _node(
    node: t.Mapping[str, t.Any], workflow: str, values: t.Mapping[str, str], places: frozenset[int]
) -> dict[str, t.Any]:
    made: dict[str, t.Any] = {**_filled(node, values, places)}
    made["id"] = node_id(workflow, str(node["name"]))
    if made["type"] == WEBHOOK:
        made["webhookId"] = webhook_id(made["parameters"]["path"])
    return made


def _load(folder: str, name: str) -> Template:
    path = os.path.join(folder, f"{name}.json")
    if not _TEMPLATE.fullmatch(name):
        raise ApiError(f"workflow template {name!r}: a name is made of a-z, 0-9 and single hyphens", where=folder)
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
        return _template(name, document)
    except OSError as exc:
        raise ApiError(f"no workflow template {name!r}: {exc.strerror}", errors.MISSING, where=path) from None
    except ValueError as exc:
        raise ApiError(f"workflow template {name!r}: {exc}", where=path) from None


def _template(name: str, document: t.Any) -> Template:
    """Judge a parsed template. Raises ValueError."""
    part: dict[str, t.Any] = {"settings": {}, **document} if isinstance(document, dict) else {}
    title: t.Any = part.get("name")
    nodes: t.Any = part.get("nodes")
    connections: t.Any = part.get("connections")
    settings: t.Any = part.get("settings")
    short = isinstance(title, str) and 1 <= len(title) <= TITLE_MAX
    _judge(short, f"name must be a text of 1 to {TITLE_MAX} characters")
    _judge(isinstance(nodes, list) and nodes, "nodes must be a list with at least one node")
    _judge(isinstance(connections, dict) and isinstance(settings, dict), "connections and settings must be mappings")
    whole = all(isinstance(node, dict) and {"name", "type", "parameters"} <= set(node) for node in nodes)
    _judge(whole, "every node needs name, type and parameters")
    _judge(len({node["name"] for node in nodes}) == len(nodes), "two nodes have the same name")
    _judge_paths(name, nodes)
    tokens = frozenset(_tokens(title, [nodes, connections, settings]))
    return Template(
        name, title, nodes, connections, settings, tokens, frozenset(_places([nodes, connections, settings]))
    )


def _judge(good: object, why: str) -> None:
    if not good:
        raise ValueError(why)


def _judge_paths(name: str, nodes: t.Sequence[t.Mapping[str, t.Any]]) -> None:
    for node in nodes:
        path = node["parameters"].get("path") if node["type"] == WEBHOOK else None
        good = node["type"] != WEBHOOK or path == f"__SMOS_RUT__/{name}"
        _judge(good, f"node {node['name']!r}: the webhook path must be __SMOS_RUT__/{name}")


def _tokens(title: str, parts: t.Sequence[t.Any]) -> set[str]:
    """The values that a template names. Raises ValueError for unknown ones and for misplaced ones."""
    found: set[str] = set()
    for text, is_key in [(title, True), *(leaf for part in parts for leaf in _strings(part))]:
        names = _TOKEN.findall(text)
        if "__SMOS_" in _TOKEN.sub("", text) or (is_key and names):
            raise ValueError(f"a placeholder is misspelt or misplaced in {text[:80]!r}")
        unknown = [each for each in names if each.lower() not in VALUES]
        if unknown:
            raise ValueError(f"unknown placeholder __SMOS_{unknown[0]}__ (there are: {', '.join(VALUES)})")
        if names and text.startswith("="):
            raise ValueError(
                f"a placeholder must not stand in an expression: {text[:80]!r}; put it in a field of its own"
            )
        found |= {each.lower() for each in names}
    return found


def _strings(part: t.Any) -> t.Iterator[tuple[str, bool]]:
    """Every string of a JSON value, and whether it is a key."""
    if isinstance(part, str):
        yield part, False
    elif isinstance(part, list):
        for item in part:
            yield from _strings(item)
    elif isinstance(part, dict):
        for key, item in part.items():
            yield key, True
            yield from _strings(item)


def _places(part: t.Any) -> t.Iterator[int]:
    """The ids of this list or mapping and of all inside it, where there is a placeholder inside."""
    if isinstance(part, (list, dict)) and "__SMOS_" in json.dumps(part):
        yield id(part)
        for item in part.values() if isinstance(part, dict) else part:
            yield from _places(item)


def _filled(part: t.Any, values: t.Mapping[str, str], places: frozenset[int]) -> t.Any:
    if isinstance(part, (list, dict)) and id(part) not in places:
        return part
    if isinstance(part, list):
        return [_filled(item, values, places) for item in part]
    if isinstance(part, dict):
        return {key: _filled(item, values, places) for key, item in part.items()}
    if not isinstance(part, str) or "__SMOS_" not in part:
        return part
    text = _TOKEN.sub(lambda found: values[found.group(1).lower()], part)
    if text.startswith("="):
        raise ApiError("a value that begins with '=' would be run by n8n as an expression")
    return text
