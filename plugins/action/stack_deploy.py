# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Hand the module of the same name what the controller knows of a stack: its file, its secrets, its configs."""

from __future__ import annotations

import json
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.smartercl.smarteros.plugins.plugin_utils.tagless import plain

MODULE = "smartercl.smarteros.stack_deploy"


class ActionModule(ActionBase):
    """Fills in the arguments from what deploy_open found out (smos_opened), so that no secret passes through a template."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Called by Ansible."""
        variables = task_vars or {}
        result: dict[str, t.Any] = super().run(tmp, variables)
        args = {name: plain(value) for name, value in self._task.args.items()}
        stacks = json.loads(plain((variables.get("smos_opened") or {}).get("stacks") or "{}"))
        stack = stacks.get(args.get("service"))
        if stack is None and "compose" not in args:
            raise AnsibleActionFail(
                f"service {args.get('service')!r} has no stack in this deploy; it knows {sorted(stacks)}"
            )
        restored = plain((variables.get("ansible_facts") or {}).get("smos_restored") or [])
        if args.get("service") in restored:
            args.setdefault("back", False)  # what ran before does not start on older data
        whole = {**{name: each for name, each in (stack or {}).items() if name != "plan"}, **args}
        result.update(self._execute_module(module_name=MODULE, module_args=whole, task_vars=variables))
        result["service"] = args.get("service")
        (result.get("invocation") or {}).pop("module_args", None)  # a stack file in every log helps nobody
        return result
