# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Look at all providers at once, read-only: is the token good, and is what new tenants need still free?"""

from __future__ import annotations

import importlib
import typing as t
from dataclasses import dataclass, field

from ansible_collections.smartercl.smarteros.plugins.module_utils import (
    errors,
    lifecycle,
    reconcile,
    tokens,
    transport,
    verdicts,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import limits

CLIENTS = "ansible_collections.smartercl.smarteros.plugins.module_utils.clients"
ErrorRow = dict[str, str]


class Client(t.Protocol):
    """What every client offers for a preflight."""

    def check(self) -> dict[str, str]:
        """State (valid, invalid, insufficient, unreachable), account and message of the token."""

    def claimed(self, wishes: t.Sequence[t.Mapping[str, t.Any]]) -> dict[str, str]:
        """By tenant id: why something that this new tenant needs is not free."""


@dataclass(frozen=True)
class Provider:
    """A provider by its service id, and how to reach it (url, token …)."""

    service: str
    connection: t.Mapping[str, str] = field(repr=False)
    optional: bool = False
    """Whether tenants can do without it as long as nothing but its address is configured."""

    names: t.Mapping[str, str] = field(default_factory=dict)
    """By variable: what a person has to set in the environment, where that has a name of its own."""

    @property
    def verdict(self) -> verdicts.Verdict | None:
        """What needs no request to be said: something is missing or cannot be right; None when it has to be asked."""
        return verdicts.unsent(verdicts.Asked(self.service, self.connection, self.names))

    @property
    def is_left_out(self) -> bool:
        """Whether it is optional and not configured."""
        return self.optional and tokens.unconfigured(self.connection)


@dataclass(frozen=True)
class Findings:
    """``states`` by service; ``unusable`` rows for the operator; ``taken`` by tenant id; ``unconfigured``: why, by the
    optional services that tenants do without."""

    states: dict[str, dict[str, str]]
    unusable: list[ErrorRow]
    taken: dict[str, ErrorRow]
    unconfigured: dict[str, str]


def look(providers: t.Sequence[Provider], tenants: t.Sequence[dict[str, t.Any]], timeout: float) -> Findings:
    """Ask every provider at the same time; ``timeout`` in seconds for each answer."""
    fresh = [tenant for tenant in tenants if not tenant["status"].get("services")]
    policy = transport.Policy(connect=min(5.0, timeout), read=timeout, total=2 * timeout, attempts=3)
    unconfigured = {each.service: each.verdict.message for each in providers if each.is_left_out and each.verdict}
    providers = [each for each in providers if not each.is_left_out]
    unsent = _unsent(providers)
    if unsent:
        return Findings(unsent, [row for each in providers for row in _unusable(each, unsent)], {}, unconfigured)
    answers = reconcile.run_all(
        {each.service: _job(each, fresh, policy) for each in providers}, concurrency=len(providers)
    )
    states: dict[str, dict[str, str]] = {}
    unusable: list[ErrorRow] = []
    taken: dict[str, ErrorRow] = {}
    for provider in providers:
        answer = answers[provider.service]
        if isinstance(answer, ApiError):
            unusable.append(answer.as_dict(provider.service))
            continue
        states[provider.service], claims = answer
        unusable.extend(_unusable(provider, states))
        for tenant, why in claims.items():
            taken.setdefault(tenant, _row(f"tenant {tenant}", provider, why, errors.NEXT_STEP[errors.CONFLICT]))
    return Findings(states, unusable, taken, unconfigured)


def _job(
    provider: Provider, fresh: t.Sequence[dict[str, t.Any]], policy: transport.Policy
) -> t.Callable[[], tuple[dict[str, str], dict[str, str]]]:
    def job() -> tuple[dict[str, str], dict[str, str]]:
        client = _client(provider, policy)
        state = client.check()
        wishes = [tenant for tenant in fresh if lifecycle.state_of(tenant, provider.service) == lifecycle.PRESENT]
        return state, client.claimed(wishes) if wishes and state["state"] == "valid" else {}

    return job


def usage(providers: t.Sequence[Provider], tenants: t.Sequence[dict[str, t.Any]]) -> dict[str, dict[str, int]]:
    """By tenant id: how much of its plan's limits it uses now, as the providers say. Raises ApiError."""
    clients = {each.service: _client(each, transport.Policy()) for each in providers if each.verdict is None}
    asked = {service: client for service, client in clients.items() if hasattr(client, "usage")}
    jobs = {service: lambda client=client: client.usage(tenants) for service, client in asked.items()}
    found: dict[str, list[t.Mapping[str, int]]] = {}
    for answer in reconcile.run_all(jobs, concurrency=len(jobs)).values():
        if isinstance(answer, ApiError):
            raise answer
        for tenant, counts in answer.items():
            found.setdefault(tenant, []).append(counts)
    return {tenant: limits.together(counts) for tenant, counts in found.items()}


def _client(provider: Provider, policy: transport.Policy) -> Client:
    module: t.Any = importlib.import_module(f"{CLIENTS}.{provider.service}")
    client: Client = module.connect(provider.connection, policy)
    return client


def _unsent(providers: t.Sequence[Provider]) -> dict[str, dict[str, t.Any]]:
    """By service: the verdicts that need no request. What is missing or cannot be right is told of all at once, before
    anybody is contacted."""
    found = {each.service: each.verdict for each in providers}
    return {service: verdict.as_dict() for service, verdict in found.items() if verdict is not None}


def _unusable(provider: Provider, states: t.Mapping[str, t.Mapping[str, str]]) -> list[ErrorRow]:
    state = states.get(provider.service, {"state": "valid"})
    if state["state"] == "valid":
        return []
    following = tokens.next_step(provider.service, state["state"])
    return [_row(provider.service, provider, f"{state['state']}: {state['message']}", following)]


def _row(what: str, provider: Provider, why: str, following: str) -> ErrorRow:
    url = provider.connection.get("url", "")
    where = "" if tokens.flaw(provider.service, "url", url) else url  # who knows what was put there instead
    return errors.row(what, why, where, following)
