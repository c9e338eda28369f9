# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Ask every provider at the same time what its token is good for. Reads only."""

from __future__ import annotations

import datetime
import importlib
import threading
import time
import types
import typing as t
from dataclasses import asdict, dataclass, field, replace

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors, tokens, transport
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError

CLIENTS = "ansible_collections.smartercl.smarteros.plugins.module_utils.clients"
VALID, INVALID, MISSING, INSUFFICIENT, UNREACHABLE = "valid", "invalid", "missing", "insufficient", "unreachable"
STATES = (UNREACHABLE, INVALID, MISSING, INSUFFICIENT, VALID)
"""The worst first."""
SOON_DAYS = 14  # from then on a valid token's end is spoken of


@dataclass(frozen=True)
class Verdict:
    """What a token is good for. ``expires`` is an ISO date or time, or empty where it never ends or nobody knows."""

    state: str
    account: str = ""
    expires: str = ""
    missing_scopes: t.Sequence[str] = ()
    message: str = ""

    def as_dict(self) -> dict[str, t.Any]:
        """The verdict in the form of the command line's contract."""
        return {**asdict(self), "missing_scopes": list(self.missing_scopes)}


@dataclass(frozen=True)
class Asked:
    """A provider to ask. ``names`` says by variable what a person has to set, where that has a name of its own."""

    service: str
    connection: tokens.Connection = field(repr=False)
    names: t.Mapping[str, str] = field(default_factory=dict)


def client_module(service: str) -> types.ModuleType | None:
    """The module of the service's client; None where there is none."""
    name = f"{CLIENTS}.{service}"
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as exc:
        if exc.name != name:  # the client is there, and what it needs is not
            raise
        return None


def unsent(asked: Asked) -> Verdict | None:
    """The verdict that needs no request: something is missing, or cannot be right by its looks. None: ask the provider."""
    try:
        lacking = _lacking(asked)
    except ApiError as exc:  # a variable that is so wrong that the client cannot even tell what is missing
        why = tokens.scrubbed(exc.message, tokens.secrets_of(asked.connection))
        return Verdict(INVALID, message=why)
    if lacking:
        return Verdict(MISSING, message=f"not set: {', '.join(_shown(asked, key) for key in lacking)}")
    flaws = tokens.flaws(asked.service, asked.connection)
    if flaws:
        words = [f"{_shown(asked, key)} {why}" for key, why in flaws.items()]
        return Verdict(INVALID, message=f"{'; '.join(words)} (it was not sent anywhere)")
    return None


def judge(asked: t.Sequence[Asked], timeout: float) -> dict[str, Verdict]:
    """The verdicts by service, in the order of ``asked``. ``timeout`` is for one answer, in seconds.

    A provider whose answers take more than twice as long in all is given up on.
    """
    found = {each.service: unsent(each) for each in asked}
    policy = transport.Policy(connect=min(5.0, timeout), read=timeout, attempts=2, patience=timeout)
    jobs = {each.service: _job(each, policy) for each in asked if found[each.service] is None}
    limit = 2 * timeout
    answers = _at_once(jobs, limit)
    late = Verdict(UNREACHABLE, message=f"no complete answer within {limit:g} s")
    return {service: verdict or answers.get(service, late) for service, verdict in found.items()}


def _job(asked: Asked, policy: transport.Policy) -> t.Callable[[], Verdict]:
    return lambda: ask(asked.service, asked.connection, policy)


def ask(service: str, connection: tokens.Connection, policy: transport.Policy) -> Verdict:
    """What the provider itself says. Never raises for what a provider or a token can be."""
    module = client_module(service)
    if module is None:
        return Verdict(INVALID, message="there is no client for this service")
    secrets = tokens.secrets_of(connection)
    try:
        said = module.connect(connection, policy).check()
        verdict = _understood(said)
    except ApiError as exc:
        state = INVALID if exc.kind in (errors.REFUSED, errors.INVALID) else UNREACHABLE
        verdict = Verdict(state, message=exc.message)
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as exc:
        why = f"what answers there does not speak as {service} does ({type(exc).__name__})"
        verdict = Verdict(UNREACHABLE, message=why)
    verdict = replace(
        verdict,
        account=tokens.scrubbed(verdict.account, secrets),
        message=tokens.scrubbed(verdict.message, secrets),
        expires=verdict.expires or tokens.expiry(connection),
    )
    return _with_warning(verdict, datetime.datetime.now(datetime.timezone.utc))


def _lacking(asked: Asked) -> list[str]:
    """What is not set and has to be. A client whose variables may stand in for each other says so with ``lacking``."""
    own = getattr(client_module(asked.service), "lacking", None)
    if own is None or tokens.unconfigured(asked.connection):
        return tokens.lacking(asked.connection)
    return list(own(asked.connection))


def _shown(asked: Asked, key: str) -> str:
    """A variable as a person knows it: with the name that it has in the environment."""
    first, dot, rest = key.partition(".")
    variable = f"{asked.service}_{first}{dot}{rest}"
    return f"{variable} ({asked.names[first]})" if asked.names.get(first) else variable


def _understood(said: t.Mapping[str, t.Any]) -> Verdict:
    state = str(said.get("state"))
    if state not in STATES:
        raise ValueError(state)
    return Verdict(
        state,
        str(said.get("account") or ""),
        str(said.get("expires") or ""),
        [str(scope) for scope in said.get("missing_scopes") or []],
        str(said.get("message") or ""),
    )


def _with_warning(verdict: Verdict, now: datetime.datetime) -> Verdict:
    """A valid token that ends soon says so."""
    days = tokens.days_left(verdict.expires, now) if verdict.state == VALID and verdict.expires else None
    if days is None or days > SOON_DAYS:
        return verdict
    when = f"in {days} days" if days > 1 else "within two days"
    return replace(verdict, message=f"{verdict.message}; it expires {when}".lstrip("; "))


def _at_once(jobs: t.Mapping[str, t.Callable[[], Verdict]], limit: float) -> dict[str, Verdict]:
    """The results of those that end within ``limit`` seconds. A thread that hangs keeps nobody from going on."""
    found: dict[str, Verdict] = {}

    def run(name: str, job: t.Callable[[], Verdict]) -> None:
        found[name] = job()

    threads = [threading.Thread(target=run, args=item, daemon=True) for item in jobs.items()]
    for thread in threads:
        thread.start()
    ends = time.monotonic() + limit
    for thread in threads:
        thread.join(max(0.0, ends - time.monotonic()))
    return dict(found)
