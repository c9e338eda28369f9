# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Look at all providers at once, read-only: is the token good, and is what new tenants need still free?"""

from __future__ import annotations

import importlib
import typing as t
from dataclasses import dataclass, field

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors, reconcile, transport
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError

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


@dataclass(frozen=True)
class Findings:
    """``states`` by service; ``unusable`` rows for the operator; ``taken`` by tenant id."""

    states: dict[str, dict[str, str]]
    unusable: list[ErrorRow]
    taken: dict[str, ErrorRow]


def look(providers: t.Sequence[Provider], tenants: t.Sequence[dict[str, t.Any]], timeout: float) -> Findings:
    """Ask every provider at the same time; ``timeout`` in seconds for each answer."""
    fresh = [tenant for tenant in tenants if not tenant["status"].get("services")]
    policy = transport.Policy(connect=min(5.0, timeout), read=timeout, attempts=3)
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
        unusable.extend(_unusable(provider, states[provider.service]))
        for tenant, why in claims.items():
            taken.setdefault(tenant, _row(f"tenant {tenant}", provider, why, errors.NEXT_STEP[errors.CONFLICT]))
    return Findings(states, unusable, taken)


def _job(
    provider: Provider, fresh: t.Sequence[dict[str, t.Any]], policy: transport.Policy
) -> t.Callable[[], tuple[dict[str, str], dict[str, str]]]:
    def job() -> tuple[dict[str, str], dict[str, str]]:
        missing = [name for name, value in provider.connection.items() if not value]
        if missing:
            return {"state": "missing", "account": "", "message": f"not set: {', '.join(missing)}"}, {}
        client: Client = importlib.import_module(f"{CLIENTS}.{provider.service}").connect(provider.connection, policy)
        state = client.check()
        wishes = [tenant for tenant in fresh if tenant["services"][provider.service]["enabled"]]
        return state, client.claimed(wishes) if wishes and state["state"] == "valid" else {}

    return job


def _unusable(provider: Provider, state: t.Mapping[str, str]) -> list[ErrorRow]:
    if state["state"] == "valid":
        return []
    kind = errors.UNREACHABLE if state["state"] == "unreachable" else errors.REFUSED
    return [_row(provider.service, provider, f"{state['state']}: {state['message']}", errors.NEXT_STEP[kind])]


def _row(what: str, provider: Provider, why: str, following: str) -> ErrorRow:
    return {"what": what, "where": provider.connection.get("url", ""), "why": why, "next": following}
