# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Bulk modules without a process of their own, where they run on the controller anyway.

They talk to providers over the network, and tenants are hosts with a local connection. Packing a module, starting
Python and reading Ansible's module library costs 0.35 s a call, which is longer than most calls take.
"""

from __future__ import annotations

import json
import typing as t

from ansible.module_utils.basic import missing_required_lib
from ansible.plugins.action import ActionBase

from ansible_collections.smartercl.smarteros.plugins.module_utils import bulk, lifeline, transport
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import as_text
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.tagless import plain

ORDER = "order"
"""Key of a result that says, as a JSON text, what shall be done instead of what was done."""


class BulkModule(t.Protocol):
    """What a bulk module's file offers."""

    OPTIONS: dict[str, dict[str, t.Any]]

    def work(self, module: bulk.Caller) -> None:
        """Read, plan, apply unless in check mode, report to the caller."""


def carried_out(module: BulkModule, arguments: dict[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """The result of a bulk module that is called in this process."""
    try:
        module.work(bulk.InProcess(arguments, check_mode))
    except bulk.Ended as end:
        return end.result
    return {}


class BulkAction(ActionBase):
    """Calls the module in this process, or as a module where the task asks for another place or setting.

    Where the play sets ``smos_orders``, the call is only taken down: ``tenant_carry_out`` makes the calls of several
    services at the same time, which tasks one after the other could not.
    """

    TRANSFERS_FILES = False
    module: t.ClassVar[t.Any]
    shared: t.ClassVar[dict[str, dict[str, t.Any]]] = bulk.OPTIONS
    """Options that the module has beside its own."""

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Called by Ansible."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        self._task.args.update(as_text.items_of(self._task.args, self.module.OPTIONS))
        if self._needs_a_process():
            result.update(self._execute_module(task_vars=task_vars, wrap_async=bool(self._task.async_val)))
            return result
        module = t.cast(BulkModule, self.module)
        _valid, args = self.validate_argument_spec(argument_spec={**self.shared, **module.OPTIONS})
        if transport.REQUESTS_IMPORT_ERROR is not None:
            return {**result, "failed": True, "msg": missing_required_lib("requests")}
        if (task_vars or {}).get("smos_orders"):
            order = json.dumps({"module": type(self).__module__.rpartition(".")[2], "arguments": args})
            return {**result, ORDER: order, "_ansible_no_log": True}  # there are secrets among the arguments
        lifeline.hold()
        return {**result, **carried_out(module, plain(args), bool(self._task.check_mode))}

    def _needs_a_process(self) -> bool:
        elsewhere = getattr(self._connection, "transport", "") != "local" or self._play_context.become
        return bool(elsewhere or self._task.async_val or any(self._task.environment or []))
