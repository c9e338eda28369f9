# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Close a run on tenants: decide each tenant's phase by what its services answered, and release the locks."""

from __future__ import annotations

import typing as t

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import inventory_cache, status
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import RegistryAction, Setting


class ActionModule(RegistryAction):
    """A tenant that this run registered and whose creation was undone to the last service leaves the registry."""

    argument_spec: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "tenants": {"type": "list", "elements": "str", "required": True},
        "worked": {"type": "bool", "default": True},
        "undone": {"type": "list", "elements": "str", "default": []},
    }

    def work(self, args: dict[str, t.Any], setting: Setting, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """See the documentation of the module of the same name."""
        if setting.check_mode:
            return {"changed": False, "settled": [], "not_ready": []}
        try:
            rows = self._decide(args, setting, task_vars) if args["worked"] else []
        finally:
            setting.locks.release(setting.run)
        not_ready = [row["host"] for row in rows if row["phase"] != "active"]
        return {"changed": any(row["changed"] for row in rows), "settled": rows, "not_ready": not_ready}

    def _decide(self, args: dict[str, t.Any], setting: Setting, task_vars: dict[str, t.Any]) -> list[dict[str, t.Any]]:
        services = task_vars["ansible_facts"].get("smos_services") or []
        locked = task_vars["ansible_facts"].get("smos_locked") or []
        taken = task_vars["ansible_facts"].get("smos_taken") or {}
        rows: list[dict[str, t.Any]] = []
        blocks = []
        for host, entry in setting.entries(args["tenants"]).items():
            if entry.rut in locked:  # its file is another run's to write
                rows.append({"host": host, "tenant": entry.rut, "phase": "locked", "reason": "", "changed": False})
                continue
            if entry.rut in args["undone"] and self._forget(entry, setting):
                rows.append({"host": host, "tenant": entry.rut, "phase": "absent", "reason": "undone", "changed": True})
                continue
            before = entry.merged["status"]
            wanted = [service for service in services if entry.merged["services"][service]["enabled"]]
            phase, reason = ("failed", taken[entry.rut]) if entry.rut in taken else status.settled(before, wanted)
            after = status.with_phase(before, phase, setting.run, reason)
            if after != before:
                blocks.append((entry.rut, after))
            rows.append(
                {"host": host, "tenant": entry.rut, "phase": phase, "reason": reason, "changed": after != before}
            )
        setting.write(blocks)
        return rows

    @staticmethod
    def _forget(entry: inventory_cache.Entry, setting: Setting) -> bool:
        """Take a tenant out of the registry when nothing of it is left anywhere and nobody else speaks of it."""
        block = entry.merged["status"]
        elsewhere = [env for env in (entry.document or {}).get("status", {}) if env != setting.environment]
        if block.get("services") or block.get("registered_by") != setting.run or elsewhere:
            return False
        setting.registry.remove(entry.rut)
        return True
