# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What the tenants' shops did on one day, read from all providers at the same time."""

from __future__ import annotations

import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils.services import activity
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import daily_day
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import RegistryAction, Setting

GONE = ("deleted", "purged")


class ActionModule(RegistryAction):
    """Reads only; a provider or a shop that fails is told as unknown, never as a failure."""

    argument_spec: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "tenants": {"type": "list", "elements": "str", "required": True},
        "date": {"type": "str", "default": ""},
        "zone": {"type": "str", "default": "America/Santiago"},
        "concurrency": {"type": "int", "default": 8},
        "timeout": {"type": "float", "default": 10.0},
    }

    def work(self, args: dict[str, t.Any], setting: Setting, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """See the documentation of the module of the same name."""
        day = daily_day.judged(args["date"], args["zone"])
        tenants = [each for each in setting.tenants(args["tenants"], task_vars) if each["wish"] not in GONE]
        names = {activity.PROVIDER.get(name, name) for name in activity.READERS}
        connections = {name: self.connection_of(name, setting, task_vars) for name in sorted(names)}
        span = activity.Span(day.start, day.end, max(1, args["concurrency"]), args["timeout"])
        found = activity.read(connections, tenants, span)
        rows = [
            {
                **{key: each[key] for key in ("id", "slug", "name", "phase", "plan")},
                "services": found[each["id"]],
            }
            for each in tenants
        ]
        return {"changed": False, "activity": {**day.as_dict(), "tenants": rows}}
