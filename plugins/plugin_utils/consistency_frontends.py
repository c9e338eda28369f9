# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Rules between the frontends, the catalogue, the release, the zone and the secrets that no schema can express."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.smartercl.smarteros.plugins.plugin_utils.mistakes import Place, shown

FRONTEND = "frontend"
_SOURCES = ("value", "variable", "secret")

Row = tuple[str, Place, str, str, str]
"""The file's kind, the place in it, the rule, what was found, what to do."""


def broken(documents: dict[str, Any]) -> Iterator[Row]:
    """All that is broken; the documents have passed their schemas before."""
    frontends: dict[str, Any] = documents["frontends"]["frontends"]
    catalogue = {name: one for name, one in documents["services"]["services"].items() if one["kind"] == FRONTEND}
    yield from _both_know(frontends, catalogue)
    yield from _projects(frontends)
    for name, frontend in frontends.items():
        yield from _variables(name, frontend, documents["secrets"]["secrets"])
    yield from _names_in_the_zone(catalogue, documents["dns"])
    yield from _refs(documents["versions"], frontends)


def _both_know(frontends: dict[str, Any], catalogue: dict[str, Any]) -> Iterator[Row]:
    rule = "A frontend is in the service catalogue, and what is a frontend there has its project."
    for name in sorted(set(frontends) - set(catalogue)):
        message = f"{shown(name)} is no frontend of services/registry.yml."
        yield "frontends", ("frontends", name), rule, message, "Add it there, or take it out."
    for name in sorted(set(catalogue) - set(frontends)):
        message = f"{name} is not in frontends/registry.yml."
        yield "services", ("services", name), rule, message, "Add it there."


def _projects(frontends: dict[str, Any]) -> Iterator[Row]:
    taken: dict[str, str] = {}
    for name, frontend in frontends.items():
        other = taken.setdefault(frontend["project"], name)
        place = ("frontends", name, "project")
        if other != name:
            message = f"{other} has {shown(frontend['project'])} already."
            yield "frontends", place, "A project belongs to one frontend.", message, "Give another name."
        if "---" in frontend["project"]:
            rule = "Vercel takes no name with three hyphens in a row."
            yield "frontends", place, rule, f"{shown(frontend['project'])} has them.", "Give another name."


def _variables(name: str, frontend: dict[str, Any], secrets: dict[str, Any]) -> Iterator[Row]:
    for key, variable in (frontend.get("environment") or {}).items():
        place = ("frontends", name, "environment", key)
        named = [source for source in _SOURCES if variable.get(source) is not None]
        if len(named) != 1:
            found = " and ".join(named) or "none of them"
            rule = "A variable has one of value, variable and secret."
            yield "frontends", place, rule, f"It has {found}.", "Keep one."
        if variable.get("secret") and variable["secret"] not in secrets:
            message = f"{shown(variable['secret'])} is unknown."
            yield (
                "frontends",
                (*place, "secret"),
                "A reference names a secret that exists.",
                message,
                "See secrets.yml.",
            )
        if variable.get("secret") and variable.get("public"):
            rule = "A secret is never public."
            yield "frontends", (*place, "public"), rule, f"{key} is.", "Take public out."
        hidden = not variable.get("public") and variable.get("value") is None
        if hidden and "development" in (variable.get("targets") or ()):
            rule = "Vercel keeps no unreadable variable for development."
            yield "frontends", (*place, "targets"), rule, f"{key} is meant for it.", "Take development out."


def _names_in_the_zone(catalogue: dict[str, Any], dns: dict[str, Any]) -> Iterator[Row]:
    """A frontend without a record of its own would be led to the machine by the wildcard."""
    leading = {record["name"] for record in dns["records"] if record["type"] == "CNAME"}
    taken = {record["name"] for record in dns["records"]}
    for name, service in catalogue.items():
        place, host = ("services", name, "host"), service.get("host")
        if not host:
            yield "services", place[:2], "A frontend has a host name.", f"{name} has none.", "Add host."
        elif host not in leading and (host in taken or not dns.get("frontend_record")):
            rule = "The host name of a frontend has a CNAME in infra/dns.yml, or the one of frontend_record."
            yield "services", place, rule, f"{shown(host)} has none.", "Add the record."


def _refs(versions: dict[str, Any], frontends: dict[str, Any]) -> Iterator[Row]:
    named = versions.get("frontends") or {}
    for name in named:
        if name not in frontends:
            rule, message = "A release names frontends that exist.", f"{shown(name)} is unknown."
            yield "versions", ("frontends", name), rule, message, f"Known: {', '.join(frontends)}."
    for name in frontends if named else ():
        if name not in named:
            rule = "The release names a ref for each frontend."
            yield "versions", ("frontends",), rule, f"There is none for {name}.", "Add it."
