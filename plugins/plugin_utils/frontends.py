# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""From the specs to what the module ``vercel_deployments`` is given: refs, domains, settings, values of variables."""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Mapping, Sequence

from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.releases import Release
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.specs import Specs

FRONTEND = "frontend"
SETTINGS = ("framework", "build_command", "install_command", "output_directory", "root_directory")
_WHERE = "specs/frontends/registry.yml"

Row = dict[str, str]
Document = Mapping[str, t.Any]
Value = Callable[[str], str]
"""Gives the value of a name; an empty text where there is none."""


def chosen(document: Document, release: Release, services: Sequence[str]) -> tuple[dict[str, t.Any], list[Row]]:
    """The frontends that are meant, by id, and why that cannot be. Without names: all for which the release has a ref."""
    known: dict[str, t.Any] = document["frontends"]
    if not services:
        return {name: each for name, each in known.items() if release.frontends.get(name)}, []
    wrong = []
    for name in services:
        if name not in known:
            wrong.append(row(name, "no frontend has this id", _WHERE, f"Choose from {', '.join(known)}"))
        elif not release.frontends.get(name):
            following = "Add it under frontends of the release"
            wrong.append(
                row(name, f"release {release.version} names no ref for it", "specs/smos-version.yml", following)
            )
    return {name: known[name] for name in services if name in known}, wrong


def items(
    frontends: Document, release: Release, specs: Specs, variable: Value, secret: Value
) -> tuple[list[dict[str, t.Any]], list[Row]]:
    """An item of the module for each frontend, and what they lack, all at once."""
    found, lacking = [], []
    for name, frontend in frontends.items():
        environment, missing = _environment(name, frontend, variable, secret)
        lacking += missing
        entry = specs.service(name) or {}
        found.append(
            {
                "service": name,
                "project": frontend["project"],
                "adopt": bool(frontend.get("adopt")),
                "git": frontend["repository"],
                "ref": release.frontends[name],
                "domain": f"{entry.get('host') or name}.{specs.zone}",
                "path": (entry.get("health") or {}).get("path") or "/",
                # What is not named is for Vercel to detect, also where somebody has set it by hand
                **{key: str(frontend.get(key) or "") for key in SETTINGS},
                "environment": environment,
            }
        )
    return found, lacking


def _environment(
    name: str, frontend: Document, variable: Value, secret: Value
) -> tuple[list[dict[str, t.Any]], list[Row]]:
    made, lacking = [], []
    for key, each in (frontend.get("environment") or {}).items():
        source, value = _value(each, variable, secret)
        if value:
            public = bool(each.get("public")) or source == "value"
            targets = list(each.get("targets") or ("production", "preview"))
            kind = "plain" if public else "sensitive"
            made.append({"key": key, "value": value, "type": kind, "targets": targets})
        elif not each.get("optional"):
            named = each[source]
            following = f"smos secrets set {named}" if source == "secret" else f"Give the inventory's {named} a value"
            lacking.append(row(f"frontend {name}", f"{key} has no value: {source} {named} is empty", _WHERE, following))
    return made, lacking


def _value(each: Document, variable: Value, secret: Value) -> tuple[str, str]:
    """Where the value of a variable comes from, and the value."""
    if each.get("secret"):
        return "secret", secret(each["secret"])
    if each.get("variable"):
        return "variable", variable(each["variable"])
    return "value", str(each.get("value") or "")
