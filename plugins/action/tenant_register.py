# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Write requested tenants into the registry, and mark what is about to be worked on as pending."""

from __future__ import annotations

import typing as t

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import clashes, inventory_cache, locks, status
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import (
    LOCKED,
    RegistryAction,
    Setting,
    Stop,
    plain,
)

REGISTRATION = "registration"  # the lock under which new tenants are written
PATIENCE_S = 10.0
REMARK = """yaml-language-server: $schema=../../schemas/tenant.json
The wish is in `spec` (edit it); what runs have seen is in `status` (leave it to them)."""


class ActionModule(RegistryAction):
    """A tenant that is active stays as it is: a run without a change writes nothing."""

    argument_spec: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "tenants": {"type": "list", "elements": "str", "required": True},
    }

    def work(self, args: dict[str, t.Any], setting: Setting, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """See the documentation of the module of the same name."""
        entries = setting.entries(args["tenants"])
        clashes.refuse_stand_ins(args["tenants"], entries, task_vars["hostvars"])
        requested = {name: self._requested(name, task_vars) for name in args["tenants"] if name not in entries}
        changes = [self._registered(document) for document in requested.values()]
        if not setting.check_mode:
            if requested:
                self._create(list(requested.values()), setting)
            locked = task_vars["ansible_facts"].get("smos_locked") or []
            self._mark_pending(setting, args["tenants"], new=set(requested), locked=locked)
        return {"changed": bool(changes), "changes": changes, "diff": [_diff(change) for change in changes]}

    def _requested(self, name: str, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        return t.cast("dict[str, t.Any]", plain(task_vars["hostvars"][name]["tenant_document"]))

    @staticmethod
    def _create(documents: list[dict[str, t.Any]], setting: Setting) -> None:
        """Write new tenants. Two runs may have judged the same slug free for two tenants: the second is refused here."""
        got = setting.locks.acquire([REGISTRATION], setting.run, "register", setting.pid, wait_s=PATIENCE_S)
        try:
            if got.refused:
                raise Stop(LOCKED, [_busy(got.refused[REGISTRATION])])
            entries = inventory_cache.load_all(setting.root, setting.environment)
            for document in documents:
                clashes.refuse(document["spec"], entries)
                setting.registry.create(document["spec"]["rut"], document, REMARK)
        finally:
            setting.locks.release(setting.run, [REGISTRATION])

    @staticmethod
    def _mark_pending(setting: Setting, names: list[str], new: set[str], locked: list[str]) -> None:
        blocks = []
        for name, entry in setting.entries(names).items():
            before = entry.merged["status"]
            if entry.rut not in locked and before.get("phase") not in ("active", "pending"):
                block = status.with_phase(before, "pending", setting.run)
                if name in new:
                    block["registered_by"] = setting.run
                blocks.append((entry.rut, block))
        setting.write(blocks)

    @staticmethod
    def _registered(document: dict[str, t.Any]) -> dict[str, t.Any]:
        spec = document["spec"]
        what = f"tenant {spec['name']} ({spec['rut']})"
        return {
            "service": "registry",
            "tenant": spec["rut"],
            "action": "create",
            "what": what,
            "before": None,
            "after": {key: value for key, value in spec.items() if key != "created_at"},  # a prediction cannot know it
        }


def _busy(holder: locks.Holder) -> dict[str, str]:
    why = f"run {holder.run} of {holder.holder} has been writing into it for {holder.age_s:.0f} s"
    return {"what": "the registry", "where": "lock", "why": why, "next": "Run the same command again"}


def _diff(change: dict[str, t.Any]) -> dict[str, t.Any]:
    return {"before": {}, "after": {change["what"]: change["after"]}}
