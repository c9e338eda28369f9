# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Hold the run's tenants on the machine, too: against workers whose specs, and so locks, lie elsewhere."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import leases
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import (
    FAILED,
    REFUSED,
    RegistryAction,
    Setting,
    Stop,
)

LEASE_PER_TENANT_S = 0.5  # as for the locks beside the registry, which see
Row = dict[str, t.Any]


class ActionModule(RegistryAction):
    """Takes the leases where the run has none yet, or renews them when a third is over. Sets the fact smos_lease."""

    _requires_connection = True
    argument_spec: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "tenants": {"type": "list", "elements": "str", "required": True},
        "reason": {"type": "str", "default": "apply"},
        "wait": {"type": "float", "default": 0.0},
        "lease": {"type": "float", "default": 900.0},
        "folder": {"type": "path", "default": ""},
    }

    def work(self, args: dict[str, t.Any], setting: Setting, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """See the documentation of the module of the same name."""
        facts = task_vars["ansible_facts"]
        lease = facts.get("smos_lease") or {}
        if setting.check_mode or (lease and time.time() < lease["renewed_at"] + lease["lease_s"] / 3):
            return {"changed": False}
        there = self.machine_leases(setting, task_vars, args["folder"])
        locked = facts.get("smos_locked") or []
        slugs = {each["id"]: each["slug"] for each in setting.tenants(args["tenants"], task_vars)}
        names = {key: f"tenant {slug} ({key})" for key, slug in slugs.items() if key not in locked}
        if lease:
            return self._renewed(there, names, dict(lease), setting, facts)
        lease_s = max(args["lease"], len(names) * LEASE_PER_TENANT_S)
        got = there.acquire(list(names), setting.run, args["reason"], setting.pid, lease_s=lease_s, wait_s=args["wait"])
        for key, former in got.taken_over.items():
            self.warn(
                f"{names[key]}: the lease of run {former.run} on {there.machine} was left behind by {former.holder}; taken over"
            )
        errors = {key: leases.refusal(names[key], there.machine, other) for key, other in got.refused.items()}
        if errors and len(errors) == len(names):
            there.release(setting.run)
            raise Stop(REFUSED, list(errors.values()))
        taken = {"machine": there.machine, "lease_s": lease_s, "renewed_at": time.time(), "folder": args["folder"]}
        return self._without(errors, taken, facts)

    def _renewed(
        self,
        there: leases.Leases,
        names: t.Mapping[str, str],
        lease: Row,
        setting: Setting,
        facts: t.Mapping[str, t.Any],
    ) -> Row:
        """Go on with those that the run still holds."""
        try:
            lost = there.renew(setting.run, list(names), lease["lease_s"])
        except leases.LeaseError as exc:
            left = lease["renewed_at"] + lease["lease_s"] - time.time()
            if left <= 0:
                raise Stop(FAILED, [exc.row]) from exc
            self.warn(f"the leases on {there.machine} could not be renewed and end in {left:.0f} s: {exc.why}")
            return {"changed": False}
        errors = {key: _lost(names[key], there.machine) for key in lost}
        return self._without(errors, {**lease, "renewed_at": time.time()}, facts)

    def _without(self, errors: dict[str, dict[str, str]], lease: Row, facts: t.Mapping[str, t.Any]) -> Row:
        """The result, by which these tenants take no part any more."""
        for error in errors.values():
            self.warn(f"{error['what']}: {error['why']}")
        gone = {name: [*dict.fromkeys([*(facts.get(name) or []), *errors])] for name in ("smos_failed", "smos_locked")}
        return {"changed": False, "errors": list(errors.values()), "ansible_facts": {**gone, "smos_lease": lease}}


def _lost(what: str, machine: str) -> dict[str, str]:
    why = "this run was without a sign of life for so long that its lease was over, and lost it to another run"
    return {
        "what": what,
        "where": f"lease on {machine}",
        "why": why,
        "next": "Wait for the other run to end, then run the same command again",
    }
