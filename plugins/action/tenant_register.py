# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Write requested tenants into the registry, and mark what is about to be worked on as pending."""

from __future__ import annotations

import typing as t
from functools import partial

from ansible_collections.smartercl.smarteros.plugins.module_utils.bulk import DISABLED
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import (
    clashes,
    inventory_cache,
    locks,
    requested,
    status,
)
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import (
    REFUSED,
    RegistryAction,
    Setting,
    Stop,
)
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.changes import overlaid

REGISTRATION = "registration"  # the lock under which new tenants are written
PATIENCE_S = 10.0
REMARK = """yaml-language-server: $schema=../../schemas/tenant.json
The wish is in `spec` (edit it); what runs have seen is in `status` (leave it to them)."""


class ActionModule(RegistryAction):
    """A tenant that is what it shall be stays as it is: a run without a change writes nothing."""

    argument_spec: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "tenants": {"type": "list", "elements": "str", "required": True},
    }

    def work(self, args: dict[str, t.Any], setting: Setting, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """See the documentation of the module of the same name."""
        entries = setting.entries(args["tenants"])
        clashes.refuse_stand_ins(args["tenants"], entries, task_vars["hostvars"])
        barred = task_vars["ansible_facts"].get("smos_failed") or []
        new = {name: requested.document(name, task_vars) for name in args["tenants"] if name not in entries}
        wanted = {name: requested.document(name, task_vars) for name in requested.changed_names(task_vars)}
        edited = {
            name: document
            for name, document in wanted.items()
            if name in entries
            and entries[name].rut not in barred
            and document["spec"] != t.cast(t.Any, entries[name].document)["spec"]
        }
        changes = [self._registered(document) for document in new.values()]
        changes += [self._edited(entries[name], document["spec"]) for name, document in edited.items()]
        if not setting.check_mode:
            if new:
                self._create(list(new.values()), setting)
            for document in edited.values():
                wanted = document["spec"]
                setting.registry.edit_spec(wanted["rut"], partial(overlaid, wanted=wanted))
            self._mark(setting, args["tenants"], set(new), task_vars["ansible_facts"])
        return {"changed": bool(changes), "changes": changes, "diff": [_diff(change) for change in changes]}

    @staticmethod
    def _create(documents: list[dict[str, t.Any]], setting: Setting) -> None:
        """Write new tenants. Two runs may have judged the same slug free for two tenants: the second is refused here."""
        got = setting.locks.acquire([REGISTRATION], setting.run, "register", setting.pid, wait_s=PATIENCE_S)
        try:
            if got.refused:
                raise Stop(REFUSED, [_busy(got.refused[REGISTRATION])])
            entries = inventory_cache.load_all(setting.root, setting.environment)
            for document in documents:
                clashes.refuse(document["spec"], entries)
                setting.registry.create(document["spec"]["rut"], document, REMARK)
        finally:
            setting.locks.release(setting.run, [REGISTRATION])

    @staticmethod
    def _mark(setting: Setting, names: list[str], new: set[str], facts: t.Mapping[str, t.Any]) -> None:
        """Set tenants that are not what they shall be to pending, and say which services the environment is without."""
        barred, without = facts.get("smos_failed") or [], facts.get("smos_unconfigured") or {}
        blocks = []
        for name, entry in setting.entries(names).items():
            before = block = entry.merged["status"]
            if entry.rut in barred:
                continue
            if before.get("phase") not in (entry.merged["wish"], "pending"):
                block = status.with_phase(block, "pending", setting.run)
                if name in new:
                    block["registered_by"] = setting.run
            for service, why in without.items():
                answer = {"state": DISABLED, "message": why, "ref": {}, "url": "", "created": False}
                block = status.with_service(block, service, answer, setting.run)
            if block != before:
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

    @staticmethod
    def _edited(entry: inventory_cache.Entry, wanted: dict[str, t.Any]) -> dict[str, t.Any]:
        known = t.cast(t.Any, entry.document)["spec"]
        keys = [key for key in {**known, **wanted} if known.get(key) != wanted.get(key)]
        return {
            "service": "registry",
            "tenant": entry.rut,
            "action": "update",
            "what": f"tenant {known['name']} ({entry.rut})",
            "before": {key: known.get(key) for key in keys},
            "after": {key: _timeless(key, wanted.get(key)) for key in keys},
        }


def _timeless(key: str, value: t.Any) -> t.Any:
    """A value without the moment, which a prediction cannot know."""
    if key != "lifecycle" or not value:
        return value
    return {env: {name: one for name, one in step.items() if name != "since"} for env, step in value.items()}


def _busy(holder: locks.Holder) -> dict[str, str]:
    why = f"run {holder.run} of {holder.holder} has been writing into it for {holder.age_s:.0f} s"
    return {"what": "the registry", "where": "lock", "why": why, "next": "Run the same command again"}


def _diff(change: dict[str, t.Any]) -> dict[str, t.Any]:
    before = {change["what"]: change["before"]} if change["before"] is not None else {}
    return {"before": before, "after": {change["what"]: change["after"]}}
