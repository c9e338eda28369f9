# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What a tenant owns at each service, taken out and brought back: one file per service in ``module_utils/exports``."""

from __future__ import annotations

import importlib
import importlib.util
import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils import reconcile, transport
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError

EXPORTS = "ansible_collections.smartercl.smarteros.plugins.module_utils.exports"
Tenant = t.Mapping[str, t.Any]
Connections = t.Mapping[str, t.Mapping[str, str]]


class Exporter(t.Protocol):
    """What a file of ``module_utils/exports`` offers. Both raise ApiError."""

    def collect(self, connection: t.Mapping[str, str], tenant: Tenant, policy: transport.Policy) -> dict[str, bytes]:
        """The files of a tenant by name; no secrets among them."""

    def bring_back(
        self, connection: t.Mapping[str, str], tenant: Tenant, files: t.Mapping[str, bytes], policy: transport.Policy
    ) -> list[str]:
        """What was made of the files, in sentences; nothing that is there already is made again."""


def exporter(service: str) -> Exporter | None:
    """The service's exporter; None when a tenant owns nothing there that is worth keeping."""
    name = f"{EXPORTS}.{service}"
    try:
        return t.cast(Exporter, importlib.import_module(name))
    except ModuleNotFoundError as exc:
        if exc.name != name:
            raise
        return None


def held(tenant: Tenant, services: t.Iterable[str]) -> list[str]:
    """The services, of these, in which the tenant has something that an export takes along."""
    seen = tenant["status"].get("services") or {}
    there = [name for name in services if seen.get(name, {}).get("state", "absent") not in ("absent", "disabled")]
    return [name for name in there if exporter(name) is not None]


def collected(tenant: Tenant, services: t.Sequence[str], connections: Connections) -> dict[str, bytes]:
    """The files of all services, each in a folder of its name. Raises ApiError that names the service."""
    jobs = {
        name: lambda name=name: t.cast(Exporter, exporter(name)).collect(connections[name], tenant, transport.Policy())
        for name in services
    }
    files: dict[str, bytes] = {}
    for name, answer in reconcile.run_all(jobs, concurrency=len(jobs)).items():
        if isinstance(answer, ApiError):
            raise ApiError(f"{name}: {answer.message}", answer.kind, answer.status, answer.code, answer.where)
        files.update({f"{name}/{file}": data for file, data in answer.items()})
    return files
