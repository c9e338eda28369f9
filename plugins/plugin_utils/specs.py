# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Load the specs: read, judge, and give what the runs need as one value.

``load`` reads the files that every run leans on; what only some jobs need (machines, network, backup, monitoring,
secrets' names, decisions) is judged by ``rules.judge_specs`` and read by those jobs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import consistency
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.documents import (
    DocumentError,
    line_of,
    lines,
    read,
)
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.documents import (
    load as load_document,
)
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.mistakes import ARGUMENT, Mistake, Place, SpecError
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.schema import key_of, schema

__all__ = ["ARGUMENT", "CORE", "REST", "Mistake", "Reader", "SpecError", "Specs", "load"]

CORE = ("versions", "environments", "services", "tenants", "templates", "dns")
"""Kinds of files that every run leans on, besides the index."""
REST = (
    "decisions",
    "secrets",
    "vps",
    "network",
    "backup",
    "monitoring",
    "frontends",
    "mcp_clients",
    "mcp_servers",
    "schedulers",
)
"""Kinds of files that single jobs lean on."""

_PLACES: dict[str, Place] = {
    "versions": ("versions",),
    "decisions": ("decisions",),
    "environments": ("environments",),
    "services": ("services",),
    "frontends": ("frontends",),
    "schedulers": ("schedulers",),
    "secrets": ("secrets",),
    "vps": ("infra", "vps"),
    "network": ("infra", "network"),
    "dns": ("infra", "dns"),
    "backup": ("infra", "backup"),
    "monitoring": ("infra", "monitoring"),
    "mcp_clients": ("mcp", "clients"),
    "mcp_servers": ("mcp", "servers"),
    "tenants": ("tenants", "registry"),
    "templates": ("tenants", "template"),
}
"""Where the index names the file of a kind, below ``files``."""

_USUAL = {
    "frontends": "frontends/registry.yml",
    "schedulers": "schedulers.yml",
    "mcp": {"clients": "mcp/clients.yml", "servers": "mcp/servers.yml"},
}
"""Where a file is that the index of an earlier release does not name."""

_TENANT = "tenant"
_ON_THE_MACHINE = ("infrastructure", "backend")


@dataclass(frozen=True)
class Specs:
    """The specs as runs use them. Everything in it is shared: read it, do not change it."""

    root: Path
    index: dict[str, Any]
    versions: dict[str, Any]
    registry: dict[str, Any]
    """``tenants/registry.yml``: zone, plans, naming, reserved slugs, retention."""
    templates: dict[str, dict[str, Any]]
    """By name, each laid over ``default``."""
    services: tuple[dict[str, Any], ...]
    """The catalogue in the order of its file; each entry has its ``id``."""
    deployment: dict[str, Any]
    environments: dict[str, dict[str, Any]]
    dns: dict[str, Any]
    cache: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)
    """Where merging keeps what is the same for many tenants."""

    @cached_property
    def zone(self) -> str:
        """The DNS zone that tenants' domains lie in."""
        return str(self.registry["zone"])

    @cached_property
    def plans(self) -> dict[str, dict[str, Any]]:
        """The plans by name."""
        return dict(self.registry["plans"])

    @cached_property
    def limits(self) -> dict[str, dict[str, int | None]]:
        """The limits by plan; None is unlimited."""
        return {name: plan["limits"] for name, plan in self.plans.items()}

    @cached_property
    def features(self) -> frozenset[str]:
        """All feature flags."""
        return frozenset(flag for plan in self.plans.values() for flag in plan["features"])

    @cached_property
    def template(self) -> dict[str, Any]:
        """The default template."""
        return self.templates["default"]

    @cached_property
    def reserved_slugs(self) -> frozenset[str]:
        """Slugs that belong to the system."""
        return frozenset(self.registry["reserved_slugs"])

    @cached_property
    def tenants_folder(self) -> Path:
        """The folder of the tenants' files."""
        return self.root / str(self.index["files"]["tenants"]["folder"])

    @cached_property
    def machine_services(self) -> list[dict[str, Any]]:
        """The catalogue entries of what runs on the machine."""
        return [service for service in self.services if service["kind"] in _ON_THE_MACHINE]

    @cached_property
    def health_questions(self) -> dict[str, dict[str, str]]:
        """Host and path of each service on the machine that answers through the reverse proxy, by its id."""
        return {
            entry["id"]: {"host": f"{entry['host']}.{self.zone}", "path": entry["health"]["path"]}
            for entry in self.machine_services
            if entry.get("host") and (entry.get("health") or {}).get("path")
        }

    @cached_property
    def tenant_service_ids(self) -> tuple[str, ...]:
        """The ids of ``tenant_services()``."""
        return tuple(str(service["id"]) for service in self.tenant_services())

    def tenant_services(self) -> list[dict[str, Any]]:
        """Give the catalogue entries that have a tenant entry, in the order in which a tenant gets them."""
        with_entry = [service for service in self.services if _TENANT in service.get("entries", ())]
        return sorted(with_entry, key=lambda service: int(service.get("provisioning") or 0))

    def waves(self, services: Iterable[str]) -> list[list[str]]:
        """Group services of tenants by their place in the order: those of one group are worked on at the same time."""
        wanted = set(services)
        groups: dict[int, list[str]] = {}
        for service in self.tenant_services():
            if service["id"] in wanted:
                groups.setdefault(int(service.get("provisioning") or 0), []).append(service["id"])
        return list(groups.values())

    def service(self, name: str) -> dict[str, Any] | None:
        """Give one catalogue entry."""
        return next((service for service in self.services if service["id"] == name), None)

    def rut_policy(self, env: str) -> str:
        """Say what a wrong check digit means in an environment: ``warn`` or ``strict`` (also where it is not known)."""
        return str(self.environments.get(env, {}).get("rut_policy", "strict"))


class Reader:
    """Reads the files of a spec folder and gathers what is wrong with them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.documents: dict[str, Any] = {}
        self.mistakes: list[Mistake] = []
        self._files: dict[str, Path] = {"index": root / "index.yml"}

    def take(self, kinds: Iterable[str]) -> None:
        """Read and judge files by their schemas; the index comes first."""
        if "index" not in self.documents and not self._taken("index"):
            return
        files = self.documents["index"]["files"]
        for kind in kinds:
            named: Any = {**_USUAL, **files}
            for step in _PLACES[kind]:
                named = named[step]
            self._files[kind] = self.root / str(named)
            self._taken(kind)

    def check(self, broken: Iterable[consistency.Broken]) -> None:
        """Add broken rules between files."""
        for kind, place, rule, message, what_next in broken:
            mistake = Mistake("", 0, key_of(place), rule, message, what_next)
            self.mistakes += located([(place, mistake)], self._files[kind], self.shown(self._files[kind]))

    def has(self, kinds: Iterable[str]) -> bool:
        """Say whether these files were read and keep to their schemas."""
        return all(kind in self.documents for kind in kinds)

    def shown(self, path: Path) -> str:
        """Give the name of a file as messages have it: from the folder of the specs on."""
        return shown_path(path, self.root)

    def specs(self) -> Specs:
        """Make the value; the core files must be there and sound."""
        documents = self.documents
        catalogue = documents["services"]
        default = documents["templates"]["templates"]["default"]
        return Specs(
            root=self.root,
            index=documents["index"],
            versions=documents["versions"],
            registry=documents["tenants"],
            templates={name: _overlaid(default, one) for name, one in documents["templates"]["templates"].items()},
            services=tuple({"id": name, **service} for name, service in catalogue["services"].items()),
            deployment=catalogue["deployment"],
            environments=documents["environments"]["environments"],
            dns=documents["dns"],
        )

    def _taken(self, kind: str) -> bool:
        path = self._files[kind]
        try:
            document = load_document(path, self.shown(path))
        except DocumentError as error:
            self.mistakes.append(error.mistake)
            return False
        judge = schema(kind)
        if not judge.accepts(document):
            self.mistakes += located(judge.mistakes(document), path, self.shown(path))
            return False
        self.documents[kind] = document
        return True


def load(root: Path) -> Specs:
    """Load the specs of a folder.

    :raises SpecError: with every mistake in the files that runs lean on
    :raises LibraryMissing: when the validator is not installed
    """
    reader = Reader(Path(root))
    reader.take(CORE)
    if reader.has(CORE):
        reader.check(consistency.core(reader.documents))
    if reader.mistakes:
        raise SpecError(reader.mistakes)
    return reader.specs()


def located(found: Iterable[tuple[Place, Mistake]], path: Path | None, name: str) -> list[Mistake]:
    """Add file and line to mistakes. The file is read again for that, which only happens when there are mistakes."""
    found = list(found)
    known: dict[Place, int] = {}
    if found and path is not None:
        try:
            known = lines(read(path))
        except DocumentError:
            known = {}
    return [
        Mistake(name, line_of(known, place) if known else 0, one.key, one.rule, one.message, one.next)
        for place, one in found
    ]


def shown_path(path: Path, root: Path) -> str:
    """Give a path as messages have it: from the folder of the specs on, or whole when it lies elsewhere."""
    try:
        return str(Path(root.resolve().name) / path.resolve().relative_to(root.resolve()))
    except ValueError:
        return str(path)


def _overlaid(default: dict[str, Any], template: dict[str, Any]) -> dict[str, Any]:
    """Lay a template over the default one; mappings are laid over each other one level deep."""
    result = dict(default)
    for key, value in template.items():
        if isinstance(value, dict):
            result[key] = {**(default.get(key) or {}), **{name: one for name, one in value.items() if one is not None}}
        elif value is not None:
            result[key] = value
    return result
