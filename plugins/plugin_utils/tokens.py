# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Where the providers of the catalogue are and which tokens they get, from the variables of a play."""

from __future__ import annotations

import json
import re
import typing as t
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.module_utils import tokens, verdicts
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import inventory_cache
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.specs import Specs
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.tagless import plain

Service = Mapping[str, t.Any]
"""An entry of the catalogue."""
Variables = Mapping[str, t.Any]
Template = Callable[[t.Any], t.Any]
_FROM_ENVIRONMENT = re.compile(
    r"lookup\(\s*'(?:ansible\.builtin\.env|smartercl\.smarteros\.environment)',\s*'([A-Za-z0-9_]+)'"
)


class UnknownProvider(Exception):
    """A service was named that cannot be asked; the message says which, ``known`` which can."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(name)
        self.known = known


def testable(specs: Specs) -> dict[str, dict[str, t.Any]]:
    """The catalogue's services that have a connection and a client, in the order of the catalogue."""
    with_connection = (service for service in specs.services if service.get("connection"))
    return {each["id"]: each for each in with_connection if verdicts.client_module(each["id"]) is not None}


def providers(
    specs: Specs, environment: str, only: Sequence[str], variables: Variables, template: Template
) -> list[dict[str, t.Any]]:
    """Whom to ask, as the module `token_check` takes it; ``only`` by service id, none means all.

    Raises UnknownProvider.
    """
    known = testable(specs)
    for name in only:
        if name not in known:
            raise UnknownProvider(name, list(known))
    chosen = [known[name] for name in dict.fromkeys(only)] or list(known.values())
    return [
        {
            "provider": service["id"],
            "connection": _with_tenants(service, connection, specs.root, environment),
            "names": names_of(service, variables),
            "optional": bool(service.get("optional")) and not only,
        }
        for service in chosen
        for connection in [connection_of(service, variables, template)]
    ]


def connection_of(service: Service, variables: Variables, template: Template) -> dict[str, t.Any]:
    """The variables that the catalogue names for a service, without its name in front.

    Values are texts, or mappings down to texts; what is not set is an empty text.
    """
    return {bare(service["id"], name): _value(name, variables, template) for name in service["connection"]}


def bare(service: str, variable: str) -> str:
    """A variable without the service's name in front."""
    return variable.removeprefix(f"{service}_")


def names_of(service: Service, variables: Variables) -> dict[str, str]:
    """By variable: those of the environment that the inventory takes it from, for messages."""
    found = {bare(service["id"], name): _taken_from(name, variables) for name in service["connection"]}
    return {name: ", ".join(taken) for name, taken in found.items() if taken}


def _taken_from(name: str, variables: Variables, deep: int = 3) -> list[str]:
    """The variables of the environment in a variable's definition, and in the definitions of those that it uses."""
    text = str(variables.get(name, ""))
    found = _FROM_ENVIRONMENT.findall(text)
    used = re.findall(r"\b[a-z]\w*_\w+", text) if deep and "{{" in text else []
    for each in used:
        if each != name and each in variables:
            found += _taken_from(each, variables, deep - 1)
    return list(dict.fromkeys(found))


def _value(name: str, variables: Variables, template: Template) -> t.Any:
    value = plain(template(variables.get(name, "")))
    if isinstance(value, str) and value.startswith("{"):  # a mapping, as its text
        value = _parsed(value)
    if isinstance(value, dict):
        return value
    return "" if value is None or isinstance(value, (list, bool)) else str(value)


def _parsed(text: str) -> t.Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _with_tenants(service: Service, connection: tokens.Connection, root: Path, environment: str) -> tokens.Connection:
    """The connection with what the tenants add to it (their stores), where the client knows how (`with_tenants`)."""
    client = verdicts.client_module(service["id"])
    if not hasattr(client, "with_tenants") or tokens.unconfigured(connection):
        return connection
    entries = inventory_cache.load_all(root, environment)
    tenants = [each.merged for each in entries if each.lives_here and each.row.valid]
    added: tokens.Connection = t.cast(t.Any, client).with_tenants(connection, tenants)
    return added
