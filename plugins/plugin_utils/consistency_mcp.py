# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Rules of the files about MCP that no schema can express."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.smartercl.smarteros.plugins.plugin_utils.mistakes import Place, shown

Row = tuple[str, Place, str, str, str]
"""The file's kind, the place in it, the rule, what was found, what to do."""

_CLIENTS, _SERVERS = "mcp_clients", "mcp_servers"


def broken(documents: dict[str, Any]) -> Iterator[Row]:
    """All that is broken; the documents have passed their schemas before."""
    known = documents["environments"]["environments"]
    yield from _default(documents[_CLIENTS])
    for name, client in documents[_CLIENTS]["clients"].items():
        yield from _client(name, client, known)
    yield from _no_token_twice(documents[_CLIENTS]["clients"])
    for name, server in documents[_SERVERS]["servers"].items():
        if (server.get("url") is None) == (server.get("package") is None):
            rule = "A server has either an address or a package."
            found = "It has neither." if server.get("url") is None else "It has both."
            yield _SERVERS, ("servers", name), rule, found, "Give url or package."


def _default(document: dict[str, Any]) -> Iterator[Row]:
    name = document["default"]
    client = document["clients"].get(name)
    if client is None:
        message = f"{shown(name)} is unknown."
        yield _CLIENTS, ("default",), "The default is one of the clients.", message, "Name one of them."
    elif client["scopes"] != ["read"]:
        message = f"{name} has {', '.join(client['scopes'])}."
        yield _CLIENTS, ("default",), "Who gives no name may only read.", message, "Name a client with scope read."


def _client(name: str, client: dict[str, Any], known: dict[str, Any]) -> Iterator[Row]:
    for position, environment in enumerate(client["environments"]):
        if environment not in known:
            place = ("clients", name, "environments", position)
            rule, message = "A reference names an environment that exists.", f"{shown(environment)} is unknown."
            yield _CLIENTS, place, rule, message, f"Known: {', '.join(known)}."
    token = client.get("token")
    if token is not None and len([one for one in token.values() if one is not None]) != 1:
        rule = "A token is named by its variable or by its SHA-256."
        yield _CLIENTS, ("clients", name, "token"), rule, "It has both, or none.", "Keep one."


def _no_token_twice(clients: dict[str, Any]) -> Iterator[Row]:
    taken: dict[tuple[str, str], str] = {}
    for name, client in clients.items():
        for kind, value in (client.get("token") or {}).items():
            other = taken.setdefault((kind, str(value)), name)
            if value is not None and other != name:
                rule, message = "A token belongs to one client.", f"{other} has it already."
                yield _CLIENTS, ("clients", name, "token", kind), rule, message, "Give each client its own."
