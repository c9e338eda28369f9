# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Bring one tenant's data back: who is meant and what the registry knows of it is found here, the work is done on the machine."""

from __future__ import annotations

import secrets
import typing as t
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import identify, leases
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import (
    INVALID,
    REFUSED,
    UNUSABLE,
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
        given["run"] = run
        with self._alone(entry, run, setting, task_vars):
            result: dict[str, t.Any] = self._execute_module(module_name=MODULE, module_args=given, task_vars=task_vars)
        result.pop("invocation", None)
        return result

    @contextmanager
    def _alone(self, entry: Entry, run: str, setting: Setting, task_vars: dict[str, t.Any]) -> Iterator[None]:
        """Hold the tenant here, and on the machine where the environment's workers meet there. Raises Stop."""
        if setting.check_mode:
            yield
            return
        self._lock(entry, run, setting)
        try:
            if not self._meeting(task_vars):
                yield
                return
            folder = str(self._templar.template(task_vars.get("smos_lock_folder") or ""))
            there = self.machine_leases(setting, task_vars, folder)
            self._hold(entry, run, setting, there)
            try:
                yield
            finally:
                self._give_back(there, run, entry)
        finally:
            setting.locks.release(run, [entry.rut])

    def _meeting(self, task_vars: dict[str, t.Any]) -> str:
        """This machine, where the environment's workers meet on it; empty where they do not. Raises Stop."""
        named = str(self._templar.template(task_vars.get("smos_lock_machine") or ""))
        here = task_vars["inventory_hostname"]
        if named not in ("", here):
            why = f"it names {named}, and a tenant is restored on {here}: leases there would not be seen here"
            following = "Name the first machine of group vps, or none"
            raise Stop(UNUSABLE, [row("smos_lock_machine", why, "inventory", following)])
        return named

    def _hold(self, entry: Entry, run: str, setting: Setting, there: leases.Leases) -> None:
        """The module renews the lease for as long as it works. Raises Stop."""
        got = there.acquire([entry.rut], run, REASON, setting.pid)
        for former in got.taken_over.values():
            self.warn(
                f"tenant {entry.slug}: the lease of run {former.run} was left behind by {former.holder}; taken over"
            )
        for other in got.refused.values():
            raise Stop(REFUSED, [leases.refusal(f"tenant {entry.slug} ({entry.rut})", there.machine, other)])

    def _give_back(self, there: leases.Leases, run: str, entry: Entry) -> None:
        try:
            there.release(run, [entry.rut])
        except leases.LeaseError as exc:
            self.warn(f"the lease on {there.machine} was not given back, and ends by itself: {exc.why}")

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
