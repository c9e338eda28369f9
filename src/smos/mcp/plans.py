"""Tokens of plans: who was shown what would happen may have exactly that done, once and soon."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

LIFETIME_S = 600
MOST = 1000  # plans that wait; the oldest is forgotten first


class PlanRefused(Exception):
    """The token does not allow this call; the message says why and what to do."""


@dataclass(frozen=True)
class _Plan:
    bound_to: str
    until: float


@dataclass
class Plans:
    """The plans that wait for their call. They are kept in memory: with the process they end."""

    clock: Callable[[], float] = time.monotonic
    _waiting: dict[str, _Plan] = field(default_factory=dict)

    def issue(self, client: str, env: str, tool: str, arguments: Mapping[str, Any]) -> str:
        """A token for this call by this client. Only its hash is kept."""
        now = self.clock()
        self._waiting = {key: plan for key, plan in self._waiting.items() if plan.until > now}
        while len(self._waiting) >= MOST:
            del self._waiting[next(iter(self._waiting))]
        token = secrets.token_urlsafe(24)
        self._waiting[_hash(token)] = _Plan(_bound(client, env, tool, arguments), now + LIFETIME_S)
        return token

    def redeem(self, token: str, client: str, env: str, tool: str, arguments: Mapping[str, Any]) -> None:
        """Use a token up. Raises PlanRefused; a token that was shown for another call is used up as well."""
        plan = self._waiting.pop(_hash(token), None)
        again = "call the tool without plan_token to see a new plan"
        if plan is None:
            raise PlanRefused(f"the plan_token is not known or was used before; {again}")
        if plan.until <= self.clock():
            raise PlanRefused(f"the plan_token is older than {LIFETIME_S // 60} minutes; {again}")
        if not hmac.compare_digest(plan.bound_to, _bound(client, env, tool, arguments)):
            raise PlanRefused(f"the plan_token belongs to another client, tool or arguments; {again}")


def _bound(client: str, env: str, tool: str, arguments: Mapping[str, Any]) -> str:
    return _hash(json.dumps([client, env, tool, arguments], sort_keys=True))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()
