# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Bring the data of an archive back into a tenant that stands again."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.module_utils import transport
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError, row
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import archive, portable
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import (
    FAILED,
    INVALID,
    RegistryAction,
    Setting,
    Stop,
)


class ActionModule(RegistryAction):
    """Services in provisioning order; what is there already stays and is not made twice."""

    argument_spec: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "tenants": {"type": "list", "elements": "str", "required": True},
        "archive": {"type": "path", "required": True},
    }

    def work(self, args: dict[str, t.Any], setting: Setting, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """See the documentation of the module of the same name."""
        if setting.check_mode:
            return {"changed": False, "brought": []}
        try:
            found = archive.read(Path(args["archive"]))
        except archive.ArchiveError as exc:
            raise Stop(INVALID, [row("archive", str(exc), args["archive"], "Give a whole archive")]) from exc
        failed = task_vars["ansible_facts"].get("smos_failed") or []
        tenants = [
            each for each in setting.tenants(args["tenants"], task_vars) if each["id"] == found.manifest["tenant"]
        ]
        brought: list[str] = []
        for tenant in tenants:
            if tenant["id"] not in failed:
                brought += self._brought(tenant, found, setting, task_vars)
        return {"changed": bool(brought), "brought": brought}

    def _brought(
        self, tenant: dict[str, t.Any], found: archive.Archive, setting: Setting, task_vars: dict[str, t.Any]
    ) -> list[str]:
        done: list[str] = []
        for service in portable.held(tenant, task_vars["ansible_facts"].get("smos_services") or []):
            files = found.of(service)
            exporter = portable.exporter(service)
            if not files or exporter is None:
                continue
            try:
                connection = self.connection_of(service, setting, task_vars)
                done += exporter.bring_back(connection, tenant, files, transport.Policy())
            except ApiError as exc:
                so_far = f"; brought back before it: {'; '.join(done)}" if done else ""
                error = exc.as_dict(f"{service} of tenant {tenant['slug']} ({tenant['id']})")
                raise Stop(FAILED, [{**error, "why": f"{exc.message}{so_far}"}]) from exc
        return done
