# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Before anything is written: can every provider be used, and is what new tenants need still free?"""

from __future__ import annotations

import typing as t

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import preflight
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import (
    INVALID,
    UNUSABLE,
    RegistryAction,
    Setting,
    Stop,
)


class ActionModule(RegistryAction):
    """Reads only. One unusable provider stops the run; something taken fails its own tenant."""

    argument_spec: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "tenants": {"type": "list", "elements": "str", "required": True},
        "timeout": {"type": "float", "default": 10.0},
    }

    def work(self, args: dict[str, t.Any], setting: Setting, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """See the documentation of the module of the same name."""
        gone = set(task_vars["ansible_facts"].get("smos_failed") or [])
        tenants = [each for each in setting.tenants(args["tenants"], task_vars) if each["id"] not in gone]
        providers = [
            preflight.Provider(service["id"], self._reached(service, task_vars))
            for service in setting.specs.tenant_services()
            if any(each["services"][service["id"]]["enabled"] for each in tenants)
        ]
        found = preflight.look(providers, tenants, timeout=args["timeout"])
        if found.unusable:
            raise Stop(UNUSABLE, found.unusable)
        if found.taken and len(found.taken) == len(tenants):
            raise Stop(INVALID, list(found.taken.values()))
        for error in found.taken.values():
            self.warn(f"{error['what']}: {error['why']}")
        why = {tenant: f"{error['what']}: {error['why']}" for tenant, error in found.taken.items()}
        facts = {"smos_failed": [*gone, *found.taken], "smos_taken": why}
        return {
            "changed": False,
            "providers": found.states,
            "errors": list(found.taken.values()),
            "ansible_facts": facts,
        }

    def _reached(self, service: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, str]:
        """The role variables that say where the provider is, without the role's name: url, token …"""
        prefix = f"{service['id']}_"
        values = {name: self._templar.template(task_vars.get(name, "")) for name in service["connection"]}
        return {name[len(prefix) :]: str(value) for name, value in values.items()}
