# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What n8n holds of a tenant: its workflows, those made by people too."""

from __future__ import annotations

import json
import re
import typing as t
import unicodedata

from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import n8n as api
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.n8n import Workflow, our_tags
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.services.n8n import KNOWN_SETTINGS
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Policy

MASK = "***"
NODE_KEYS = (
    *("id", "name", "type", "typeVersion", "position", "disabled", "webhookId", "parameters", "notes", "notesInFlow"),
    *("onError", "continueOnFail", "executeOnce", "alwaysOutputData", "retryOnFail", "maxTries", "waitBetweenTries"),
)
_SECRET = re.compile(
    r"passw|secret|token|api[_-]?key|authori[sz]ation|private_?key|access_?key|credential|cookie", re.IGNORECASE
)
_UNFIT = re.compile(r"[^a-z0-9]+")


def collect(
    connection: t.Mapping[str, str], tenant: t.Mapping[str, t.Any], policy: Policy | None = None
) -> dict[str, bytes]:
    """The workflows that bear the tenant's tag, one file each: ``workflows/<name>.json``.

    Without ids of n8n, times, pinned data, static data and credentials; what looks like a secret is masked.
    """
    rows = _own(api.connect(connection, policy), str(tenant["id"]))
    files: dict[str, bytes] = {}
    for row in rows:
        name = _file_name(row.name, files)
        files[name] = (json.dumps(_shown(row), indent=2, ensure_ascii=False) + "\n").encode()
    return dict(sorted(files.items()))


def bring_back(
    connection: t.Mapping[str, str],
    tenant: t.Mapping[str, t.Any],
    files: t.Mapping[str, bytes],
    policy: Policy | None = None,
) -> list[str]:
    """Make the workflows of an export that the tenant lacks by name; gives a sentence for each.

    They come inactive, because their credentials are no part of an export. Those that templates make are there already.
    """
    client = api.connect(connection, policy)
    rut = str(tenant["id"])
    there = {row.name: row for row in _own(client, rut)}
    done: list[str] = []
    tags: dict[str, str] = {}
    for name, raw in sorted(files.items()):
        wished = _read(name, raw)
        if wished["name"] in there:
            continue
        made = _left_behind(client, wished) or client.create(wished)
        tags = tags or {tag: client.create_tag(tag) for tag in our_tags(rut)}
        client.set_tags(made, {**made.tags, **tags}.values())
        done.append(f"workflow {wished['name']} made, inactive: choose its credentials and activate it")
    return done


def _own(client: api.N8n, rut: str) -> list[Workflow]:
    rows = client.workflows(tag=our_tags(rut)[1])
    return sorted((row for row in rows if not row.archived), key=lambda row: (row.name, row.id))


def _left_behind(client: api.N8n, wished: t.Mapping[str, t.Any]) -> Workflow | None:
    """The workflow that a run made and had no time to tag: it has the very ids of the nodes and no tag yet."""
    ids = {node.get("id") for node in wished["nodes"]}
    for row in client.workflows(str(wished["name"])):
        if not row.tags and {node.get("id") for node in row.nodes} == ids:
            return row
    return None


def _shown(row: Workflow) -> dict[str, t.Any]:
    nodes = [{key: _masked(node[key]) for key in NODE_KEYS if key in node} for node in row.nodes]
    return {
        "name": row.name,
        "active": row.active,
        "tags": sorted(row.tags),
        "nodes": sorted(nodes, key=lambda node: str(node.get("name"))),
        "connections": row.connections,
        "settings": {key: row.settings[key] for key in sorted(KNOWN_SETTINGS) if key in row.settings},
    }


def _masked(value: t.Any) -> t.Any:
    """The value without what looks like a secret: by its key, or as a pair ``{"name": "Authorization", "value": …}``."""
    if isinstance(value, list):
        return [_masked(item) for item in value]
    if not isinstance(value, dict):
        return value
    named = _SECRET.search(str(value.get("name", value.get("key", "")))) and "value" in value
    return {
        key: MASK if (named and key == "value") or (_SECRET.search(str(key)) and _plain(item)) else _masked(item)
        for key, item in value.items()
    }


def _plain(value: t.Any) -> bool:
    """Whether it is a text that says something itself: an expression only says where n8n takes it from."""
    return isinstance(value, str) and bool(value) and not value.startswith("=")


def _file_name(name: str, taken: t.Container[str]) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    stem = _UNFIT.sub("-", plain).strip("-")[:80] or "workflow"
    names = (f"workflows/{stem}{n}.json" for n in ("", *(f"-{n}" for n in range(2, 10000))))
    return next(each for each in names if each not in taken)


def _read(name: str, raw: bytes) -> dict[str, t.Any]:
    """A file of an export as the body that makes the workflow."""
    try:
        data = json.loads(raw)
    except ValueError:
        data = None
    if (
        not isinstance(data, dict)
        or not isinstance(data.get("nodes"), list)
        or not data.get("name")
        or not data["nodes"]
    ):
        raise ApiError(f"the export's file {name[:80]!r} is no workflow")
    return {key: data.get(key) or {} for key in ("name", "nodes", "connections", "settings")}
