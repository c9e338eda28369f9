# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Find what this run created for tenants that failed, service by service, last one first."""

from __future__ import annotations

import typing as t

from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import RegistryAction, Setting


class ActionModule(RegistryAction):
    """Reads the registry only."""

    argument_spec: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "tenants": {"type": "list", "elements": "str", "required": True},
    }

    def work(self, args: dict[str, t.Any], setting: Setting, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """See the documentation of the module of the same name."""
        failed = set(task_vars["ansible_facts"].get("smos_failed") or [])
        concerned = {host: entry for host, entry in setting.entries(args["tenants"]).items() if entry.rut in failed}
        services = []
        for service in reversed(task_vars["ansible_facts"].get("smos_services") or []):
            hosts = [host for host, entry in concerned.items() if _is_of(setting.run, entry.merged["status"], service)]
            if hosts:
                services.append({"service": service, "tenants": hosts})
        return {"changed": False, "services": services, "undone": [entry.rut for entry in concerned.values()]}


def _is_of(run: str, block: dict[str, t.Any], service: str) -> bool:
    """Whether a run made a tenant's part in a service.

    Of a tenant that the run itself registered everything is, also where a failure left in the dark what was made.
    """
    seen = (block.get("services") or {}).get(service)
    return seen is not None and run in (seen.get("created_by"), block.get("registered_by"))
