# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Open a run on tenants: give it an id, lock its tenants, and say which services take part."""

from __future__ import annotations

import secrets
import typing as t
from datetime import datetime

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import clashes, locks, requested
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import REFUSED, RegistryAction, Setting, Stop

LEASE_PER_TENANT_S = 0.5  # leases are renewed between services, and one service of thousands of tenants takes minutes


class ActionModule(RegistryAction):
    """Sets the facts smos_run, smos_services, smos_waves, smos_failed and smos_locked (ids that are another run's)."""

    argument_spec: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "tenants": {"type": "list", "elements": "str", "required": True},
        "reason": {"type": "str", "required": True},
        "wait": {"type": "float", "default": 0.0},
        "lease": {"type": "float", "default": 900.0},
    }

    def work(self, args: dict[str, t.Any], setting: Setting, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """See the documentation of the module of the same name."""
        clashes.refuse_stand_ins(args["tenants"], setting.entries(args["tenants"]), task_vars["hostvars"])
        run = setting.run or f"{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        refused = {} if setting.check_mode else self._lock(args, setting, run, task_vars)
        services = list(setting.specs.tenant_service_ids)
        facts = {
            "smos_run": run,
            "smos_services": services,
            "smos_waves": setting.specs.waves(services),
            "smos_failed": [*refused],
            "smos_locked": [*refused],
            "smos_ordered": [],
        }
        return {"changed": False, "errors": list(refused.values()), "ansible_facts": facts}

    def _lock(
        self, args: dict[str, t.Any], setting: Setting, run: str, task_vars: dict[str, t.Any]
    ) -> dict[str, dict[str, str]]:
        """Lock the tenants; gives those that another run holds or has changed, with the error that tells of it."""
        slugs = {tenant["id"]: tenant["slug"] for tenant in setting.tenants(args["tenants"], task_vars)}
        store = setting.locks
        lease = max(args["lease"], len(slugs) * LEASE_PER_TENANT_S)
        got = store.acquire(list(slugs), run, args["reason"], setting.pid, lease_s=lease, wait_s=args["wait"])
        for key, holder in got.taken_over.items():
            self.warn(f"tenant {key}: the lock of run {holder.run} was left behind by {holder.holder}; taken over")
        errors = {key: _refusal(slugs[key], key, holder) for key, holder in got.refused.items()}
        ids = {slug: key for key, slug in slugs.items()}
        mine = [name for name in args["tenants"] if ids.get(name) not in errors]
        late = requested.outdated(mine, setting.entries(mine), task_vars)
        errors.update({ids[name]: _too_late(name, ids[name], why) for name, why in late.items()})
        if errors and len(errors) == len(slugs):
            store.release(run)
            raise Stop(REFUSED, list(errors.values()))
        for error in errors.values():
            self.warn(f"{error['what']}: {error['why']}")
        return errors


def _refusal(slug: str, key: str, holder: locks.Holder) -> dict[str, str]:
    return {
        "what": f"tenant {slug} ({key})",
        "where": "lock",
        "why": f"run {holder.run} of {holder.holder} has been working on it for {holder.age_s:.0f} s ({holder.reason})",
        "next": "Wait for that run to end, then run the same command again",
    }


def _too_late(slug: str, key: str, why: str) -> dict[str, str]:
    return {
        "what": f"tenant {slug} ({key})",
        "where": "registry",
        "why": f"{why}; nothing was touched",
        "next": "Look at it with `smos tenant show`, then run the same command again if it is still wanted",
    }
