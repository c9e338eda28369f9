# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Which tenant a person means: a RUT in any usual spelling, or a slug."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.module_utils import rut
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import inventory_cache
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.inventory_cache import Entry
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.mistakes import SpecError


class NoSuchTenant(Exception):
    """No tenant of the environment has this RUT or slug; ``identifier`` is what was asked for."""

    def __init__(self, identifier: str, env: str) -> None:
        super().__init__(f"no tenant of environment {env} has this RUT or slug")
        self.identifier = identifier


def tenants(root: Path, env: str, identifiers: Sequence[str]) -> list[Entry]:
    """The registry's entries, in the order in which they were named.

    Raises NoSuchTenant, and SpecError for one whose file has mistakes (or where the specs themselves are broken).
    """
    ruts = {name: _canonical(name) for name in identifiers}
    by_rut = inventory_cache.load_ruts(root, env, [rut for rut in ruts.values() if rut])
    by_slug = inventory_cache.load_some(root, env, [name for name in identifiers if ruts[name] not in by_rut])
    return [_here(name, by_rut.get(ruts[name]) or by_slug.get(name), ruts[name], root, env) for name in identifiers]


def _here(name: str, entry: Entry | None, canonical: str, root: Path, env: str) -> Entry:
    if entry is not None and entry.lives_here:
        return entry
    # What has mistakes is in no index: only now is it worth reading every file
    for other in inventory_cache.load_all(root, env) if entry is None else ():
        if other.mistakes and (other.rut == canonical or other.slug == name):
            raise SpecError(other.mistakes)
    raise NoSuchTenant(name, env)


def _canonical(name: str) -> str:
    """The canonical RUT; empty where it is none."""
    try:
        return rut.parse(name).canonical
    except rut.RutError:
        return ""
