# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Before anything is written: can every provider be used, is what new tenants need free, and do plans suffice?"""

from __future__ import annotations

import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils import lifecycle
from ansible_collections.smartercl.smarteros.plugins.module_utils.tokens import unconfigured as is_unconfigured
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import limits, preflight, requested, tokens
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import (
    INVALID,
    REFUSED,
    UNUSABLE,
    RegistryAction,
    Setting,
    Stop,
)

Row = dict[str, t.Any]


class ActionModule(RegistryAction):
    """Reads only. One unusable provider stops the run; something taken fails its own tenant."""

    argument_spec: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "tenants": {"type": "list", "elements": "str", "required": True},
        "timeout": {"type": "float", "default": 10.0},
    }

    def work(self, args: dict[str, t.Any], setting: Setting, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """See the documentation of the module of the same name."""
        facts = task_vars["ansible_facts"]
        gone = set(facts.get("smos_failed") or [])
        tenants = [each for each in setting.tenants(args["tenants"], task_vars) if each["id"] not in gone]
        providers = [
            self._provider(service, tenants, setting, task_vars)
            for service in setting.specs.tenant_services()
            if any(lifecycle.concerns(each, service["id"]) for each in tenants)
        ]
        found = preflight.look(providers, tenants, timeout=args["timeout"])
        if found.unusable:
            raise Stop(UNUSABLE, found.unusable)
        if found.taken and len(found.taken) == len(tenants):
            raise Stop(INVALID, list(found.taken.values()))
        self._refuse_what_does_not_fit(tenants, providers, setting, task_vars)
        for error in found.taken.values():
            self.warn(f"{error['what']}: {error['why']}")
        return self._result(found, gone, facts, setting)

    def _provider(
        self, service: Row, tenants: list[Row], setting: Setting, task_vars: dict[str, t.Any]
    ) -> preflight.Provider:
        connection = self.connection_of(service["id"], setting, task_vars)
        return preflight.Provider(
            service["id"],
            connection,
            # Who needs it is only asked where it is not configured: that takes a look at every tenant's file
            optional=is_unconfigured(connection) and _can_be_missed(service, tenants, setting),
            names=tokens.names_of(service, task_vars),
        )

    def _result(self, found: preflight.Findings, gone: set[str], facts: t.Any, setting: Setting) -> Row:
        services = [name for name in facts.get("smos_services") or [] if name not in found.unconfigured]
        why = {tenant: f"{error['what']}: {error['why']}" for tenant, error in found.taken.items()}
        return {
            "changed": False,
            "providers": found.states,
            "unconfigured": found.unconfigured,
            "errors": list(found.taken.values()),
            "ansible_facts": {
                "smos_failed": [*gone, *found.taken],
                "smos_taken": why,
                "smos_services": services,
                "smos_waves": setting.specs.waves(services),
                "smos_unconfigured": found.unconfigured,
            },
        }

    @staticmethod
    def _refuse_what_does_not_fit(
        tenants: list[Row], providers: list[preflight.Provider], setting: Setting, task_vars: dict[str, t.Any]
    ) -> None:
        """Raise Stop when a plan would allow less than a tenant uses now; asks the providers, not our memory."""
        asked = requested.changed_names(task_vars)
        entries = setting.entries([each["slug"] for each in tenants if each["slug"] in asked])
        narrowed = [
            each
            for each in tenants
            if each["slug"] in entries and limits.narrowed(entries[each["slug"]].merged["limits"], each["limits"])
        ]
        if not narrowed:
            return
        used = preflight.usage(providers, narrowed)
        rows = [
            _too_small(tenant, limit, count, allowed)
            for tenant in narrowed
            for limit, (count, allowed) in limits.exceeded(used.get(tenant["id"], {}), tenant["limits"]).items()
        ]
        if rows:
            raise Stop(REFUSED, rows)


def _can_be_missed(service: Row, tenants: list[Row], setting: Setting) -> bool:
    """Whether tenants do without a service that is not configured: nobody asks for it by name, nobody has it yet."""
    if not service.get("optional"):
        return False
    entries = setting.entries([each["slug"] for each in tenants])
    for tenant in tenants:
        entry = entries.get(tenant["slug"])
        spec = ((entry.document if entry else None) or {}).get("spec") or {}
        named = ((spec.get("services") or {}).get(service["id"]) or {}).get("enabled")
        if named or lifecycle.is_made(tenant, service["id"]):
            return False
    return True


def _too_small(tenant: Row, limit: str, count: int, allowed: int) -> dict[str, str]:
    return {
        "what": f"tenant {tenant['slug']} ({tenant['id']})",
        "where": f"plan {tenant['plan']}",
        "why": f"{limit}: {count} in use, {allowed} allowed",
        "next": f"Take {count - allowed} of them away first, or choose a larger plan",
    }
