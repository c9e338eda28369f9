# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Bring one tenant's data back: who is meant and what the registry knows of it is found here, the work is done on the machine."""

from __future__ import annotations

import secrets
import typing as t
from datetime import datetime

from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import identify
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import (
    INVALID,
    REFUSED,
    RegistryAction,
    Setting,
    Stop,
)
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.inventory_cache import Entry

MODULE = "smartercl.smarteros.backup_tenant"
REASON = "restore"


class ActionModule(RegistryAction):
    """One module call on the machine, under the tenant's lock."""

    _requires_connection = True
    argument_spec: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "backup": {"type": "str", "required": True},
        "tenant": {"type": "str", "required": True},
        "services": {"type": "list", "elements": "str", "default": []},
        "source": {"type": "str", "default": ""},
        "safety": {"type": "bool", "default": True},
        "run": {"type": "str", "default": ""},
    }

    def work(self, args: dict[str, t.Any], setting: Setting, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """See the documentation of the module of the same name."""
        entry = _meant(args["tenant"], setting)
        given = {**args, "tenant": entry.rut, "slug": entry.slug, "refs": refs_of(entry.merged)}
        run = args["run"] or setting.run or f"{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        if not setting.check_mode:
            self._lock(entry, run, setting)
        try:
            given["run"] = run
            result: dict[str, t.Any] = self._execute_module(module_name=MODULE, module_args=given, task_vars=task_vars)
        finally:
            setting.locks.release(run, [entry.rut])
        result.pop("invocation", None)
        return result

    def _lock(self, entry: Entry, run: str, setting: Setting) -> None:
        """Nobody writes to the tenant meanwhile. Raises Stop."""
        got = setting.locks.acquire([entry.rut], run, REASON, setting.pid)
        for holder in got.taken_over.values():
            self.warn(
                f"tenant {entry.slug}: the lock of run {holder.run} was left behind by {holder.holder}; taken over"
            )
        for holder in got.refused.values():
            why = (
                f"run {holder.run} of {holder.holder} has been working on it for {holder.age_s:.0f} s ({holder.reason})"
            )
            following = "Wait for that run to end, then run the same command again"
            raise Stop(REFUSED, [row(f"tenant {entry.slug} ({entry.rut})", why, "lock", following)])


def refs_of(merged: t.Mapping[str, t.Any]) -> dict[str, dict[str, t.Any]]:
    """What the registry knows of a tenant, by service."""
    seen = merged["status"].get("services") or {}
    return {name: dict(each.get("ref") or {}) for name, each in seen.items() if each.get("ref")}


def _meant(identifier: str, setting: Setting) -> Entry:
    try:
        return identify.tenants(setting.root, setting.environment, [identifier])[0]
    except identify.NoSuchTenant as exc:
        raise Stop(INVALID, [row(f"tenant {identifier}", str(exc), "registry", "See `smos tenant list`")]) from exc
