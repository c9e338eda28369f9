# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The tenants' leases on the machine, as the controller takes them: for workers that share no folder of locks."""

from __future__ import annotations

import json
import time
import typing as t
from collections.abc import Callable, Collection, Mapping, Sequence

from ansible.errors import AnsibleError

from ansible_collections.smartercl.smarteros.plugins.plugin_utils.locks import LEASE_S, Acquired, Holder, holder

MODULE = "smartercl.smarteros.tenant_lease"
Ask = Callable[[dict[str, t.Any]], Mapping[str, t.Any]]
"""Has the module of that name run on the machine with these arguments, and gives its result."""


_UNSAID = {**dict.fromkeys(("holder", "host", "boot", "pids", "started", "run", "reason"), ""), "pid": 0}


class LeaseError(Exception):
    """The leases cannot be worked with: the machine cannot be reached, or refuses. ``row`` tells what, where, why, next."""

    def __init__(self, machine: str, why: str) -> None:
        super().__init__(f"{machine}: {why}")
        self.why = why
        following = (
            "Check the address in the inventory, the SSH key and that the machine is up; then run the same command again. Where one "
            "worker alone works on tenants, its own locks are enough: see smos_lock_machine in docs/schedulers.md"
        )
        self.row = {"what": "leases on tenants", "where": machine, "why": why, "next": following}


class Leases:
    """The leases of one environment on one machine. Methods raise LeaseError."""

    def __init__(self, ask: Ask, environment: str, machine: str, folder: str = "") -> None:
        self.machine = machine
        self._ask_module = ask
        self._always = {"environment": environment, **({"folder": folder} if folder else {})}

    def acquire(
        self,
        keys: Sequence[str],
        run: str,
        reason: str,
        pid: int,
        *,
        lease_s: float = LEASE_S,
        wait_s: float = 0.0,
    ) -> Acquired:
        """Take all of these at once; what the run holds already begins its lease anew.

        One call, and a second one only where another run is in the way: then it is seen whether its process is gone, and waited.
        """
        mine = {"run": run, "holder": holder(run, reason, pid), "lease": lease_s}
        got = self._taken(self._ask(state="taken", tenants=list(keys), **mine))
        dead = sorted({there.run for there in got.refused.values() if there.is_dead()})
        if got.refused and (dead or wait_s > 0):
            more = self._taken(
                self._ask(state="taken", tenants=list(got.refused), take_over=dead, wait=max(wait_s, 0.0), **mine)
            )
            got = Acquired((), more.refused, {**got.taken_over, **more.taken_over})
        return Acquired(tuple(key for key in keys if key not in got.refused), got.refused, got.taken_over)

    def renew(self, run: str, keys: Collection[str], lease_s: float = LEASE_S) -> list[str]:
        """Begin the run's leases anew; gives those of these that it does not hold any more."""
        answer = self._ask(state="renewed", run=run, tenants=list(keys), lease=lease_s)
        return [str(key) for key in answer.get("lost") or []]

    def release(self, run: str, keys: Collection[str] = ()) -> None:
        """Give back what the run holds (of these; all where there are none)."""
        self._ask(state="released", run=run, tenants=list(keys))

    def _ask(self, **arguments: t.Any) -> Mapping[str, t.Any]:
        try:
            answer = self._ask_module({**self._always, **arguments})
        except AnsibleError as exc:  # it cannot be reached
            raise LeaseError(self.machine, " ".join(str(exc).split())) from exc
        if answer.get("failed") or answer.get("unreachable"):
            said = answer.get("module_stderr") or "it failed without a message"
            raise LeaseError(self.machine, " ".join(str(answer.get("msg") or said).split()))
        return answer

    @staticmethod
    def _taken(answer: Mapping[str, t.Any]) -> Acquired:
        refused = {str(each["tenant"]): _here(each) for each in answer.get("refused") or []}
        over = {str(each["tenant"]): _here(each) for each in answer.get("taken_over") or []}
        return Acquired((), refused, over)


def _here(told: Mapping[str, t.Any]) -> Holder:
    """A lease in the time of this machine's clock. Who took it by hand may have said little of himself."""
    now = time.time()
    times = {"taken_at": now - float(told["age_s"]), "expires_at": now + float(told["left_s"])}
    return Holder.from_json(json.dumps({**_UNSAID, **told, **times}).encode())


def refusal(what: str, machine: str, there: Holder) -> dict[str, str]:
    """The error for what another run has."""
    why = (
        f"run {there.run} of {there.holder} has been working on it for {there.age_s:.0f} s ({there.reason}); without a sign of "
        f"life its lease ends in {max(there.left_s, 0):.0f} s"
    )
    following = "Wait for that run to end, then run the same command again"
    return {"what": what, "where": f"lease on {machine}", "why": why, "next": following}
