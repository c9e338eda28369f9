# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Close a run on tenants: decide each tenant's phase by what its services answered, and release the locks."""

from __future__ import annotations

import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils import lifecycle
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import drift, inventory_cache, leases, status
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import RegistryAction, Setting

Row = dict[str, t.Any]


class ActionModule(RegistryAction):
    """A tenant of which nothing is left leaves the registry: purged, or undone by the run that registered it."""

    _requires_connection = True
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
            decide = self._decide if args["worked"] else self._failed
            rows = decide(args, setting, task_vars["ansible_facts"])
        finally:
            setting.locks.release(setting.run)
            self._give_back(setting, task_vars)
        not_ready = [row["host"] for row in rows if row["phase"] in ("failed", "locked", "pending")]
        not_ready += [row["host"] for row in rows if row["host"] not in not_ready and row["tenant"] in args["undone"]]
        return {"changed": any(row["changed"] for row in rows), "settled": rows, "not_ready": not_ready}

    def _give_back(self, setting: Setting, task_vars: dict[str, t.Any]) -> None:
        """Give back the leases on the machine, where tenant_hold took some. What a tenant is does not depend on it."""
        lease = task_vars["ansible_facts"].get("smos_lease")
        if not lease:
            return
        there = self.machine_leases(setting, task_vars, lease["folder"])
        try:
            there.release(setting.run)
        except leases.LeaseError as exc:
            longest = lease["lease_s"]
            self.warn(
                f"the leases on {there.machine} were not given back, and end by themselves within {longest:.0f} s: {exc.why}"
            )

    def _decide(self, args: dict[str, t.Any], setting: Setting, facts: t.Mapping[str, t.Any]) -> list[Row]:
        locked, taken = facts.get("smos_locked") or [], facts.get("smos_taken") or {}
        rows: list[Row] = []
        blocks = []
        for host, entry in setting.entries(args["tenants"]).items():
            if entry.rut in locked:  # its file is another run's to write
                rows.append(_row(host, entry, "locked", "", changed=False))
                continue
            if entry.rut in args["undone"] and self._undone(entry, setting):
                rows.append(_row(host, entry, "absent", "undone", changed=True))
                continue
            phase, reason = _phase(entry, facts.get("smos_services") or [], taken)
            if phase == lifecycle.PURGED:
                self._forget(entry, setting)
                rows.append(_row(host, entry, phase, reason, changed=True))
                continue
            before = entry.merged["status"]
            applied = drift.fingerprint(entry.merged) if phase != "failed" else before.get("applied", "")
            after = status.with_phase(before, phase, setting.run, reason, applied)
            if after != before:
                blocks.append((entry.rut, after))
            rows.append(_row(host, entry, phase, reason, changed=after != before))
        setting.write(blocks)
        return rows

    @staticmethod
    def _failed(args: dict[str, t.Any], setting: Setting, facts: t.Mapping[str, t.Any]) -> list[Row]:
        """The tenants that a run without work on services failed for, as an export does; their files stay as they are."""
        taken = facts.get("smos_taken") or {}
        entries = setting.entries(args["tenants"]) if taken else {}
        return [
            _row(host, entry, "failed", taken[entry.rut], changed=False)
            for host, entry in entries.items()
            if entry.rut in taken
        ]

    @staticmethod
    def _undone(entry: inventory_cache.Entry, setting: Setting) -> bool:
        """Take a tenant out of the registry when nothing of it is left anywhere and nobody else speaks of it."""
        block = entry.merged["status"]
        elsewhere = [env for env in (entry.document or {}).get("status", {}) if env != setting.environment]
        if block.get("services") or block.get("registered_by") != setting.run or elsewhere:
            return False
        setting.registry.remove(entry.rut)
        return True

    @staticmethod
    def _forget(entry: inventory_cache.Entry, setting: Setting) -> None:
        """Take a purged tenant out of this environment, and out of the registry where it lives in no other one."""
        document = t.cast("dict[str, t.Any]", entry.document)
        others = set(document["spec"].get("environments") or []) | set(document.get("status") or {})
        if not others - {setting.environment}:
            setting.registry.remove(entry.rut)
            return
        # In this order a run that dies between the two leaves a tenant that can be purged again
        setting.registry.remove_status(entry.rut, setting.environment)
        setting.registry.edit_spec(entry.rut, lambda spec: _leave(spec, setting.environment))


def _phase(entry: inventory_cache.Entry, services: t.Sequence[str], taken: t.Mapping[str, str]) -> tuple[str, str]:
    merged = entry.merged
    if entry.rut in taken:
        return "failed", taken[entry.rut]
    seen = merged["status"].get("services") or {}
    concerned = [name for name in services if merged["services"][name]["enabled"] or name in seen]
    if merged["wish"] == lifecycle.ACTIVE:
        concerned = [name for name in concerned if merged["services"][name]["enabled"]]
    return status.settled(merged["status"], concerned, merged["wish"])


def _leave(spec: t.Any, environment: str) -> None:
    if environment in (spec.get("environments") or []):
        spec["environments"].remove(environment)
    (spec.get("lifecycle") or {}).pop(environment, None)
    if not spec.get("lifecycle"):
        spec.pop("lifecycle", None)


def _row(host: str, entry: inventory_cache.Entry, phase: str, reason: str, *, changed: bool) -> Row:
    return {"host": host, "tenant": entry.rut, "phase": phase, "reason": reason, "changed": changed}
