"""What a provider of the sandbox is made of: calls in, replies out, operations between.

A provider file (``cloudflare.py``, ``odoo.py`` ...) holds one module constant ``PROVIDER = Provider(...)``
and pure handlers over SQLite. Routing, authentication, faults, transactions and the request log are the
application's (``app.py``), so a handler reads like the provider's own documentation.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Reply:
    """An answer of a provider.

    ``body`` is anything JSON can hold; a ``str`` is sent as plain text, ``bytes`` as they are, ``None`` as an empty body.
    A status of 400 or more rolls back what the handler wrote; ``rollback=True`` does so at any status, for
    protocols that tell their errors with HTTP 200.
    """

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    rollback: bool = False


@dataclass(frozen=True)
class Call:
    """One request as a handler sees it, inside one database transaction of its own.

    ``path`` starts below the provider's base (``/zones``); ``params`` are the path's parameters, always text;
    ``query`` holds the last value of each query parameter; ``headers`` have lower-case names; ``body`` is the parsed
    JSON, or ``None`` when there was none (or none that could be read), ``raw`` its bytes as they came; ``db`` has
    ``row_factory = sqlite3.Row``;
    ``now`` is in seconds since 1970; ``base_url`` is the provider's full address without a slash at the end
    (``http://127.0.0.1:8321/cloudflare/client/v4``).
    """

    method: str
    path: str
    params: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any
    db: sqlite3.Connection
    now: float
    base_url: str
    raw: bytes = b""


@dataclass(frozen=True)
class Operation:
    """One method on one path.

    ``path`` is a Starlette template below the provider's base (``/accounts/{id:int}``); ``name`` is what faults and
    the request log call it (``accounts.create``); ``writes`` says whether a call can change the provider's state.
    """

    method: str
    path: str
    name: str
    handler: Callable[[Call], Reply]
    writes: bool


@dataclass(frozen=True)
class Throttle:
    """A rate limit over a fixed window: ``requests`` per ``seconds``, all callers together.

    ``headers(left, reset_seconds)`` gives the headers that each answer carries; the refusal itself is
    the provider's ``fault_reply(429, ...)`` plus ``Retry-After``.
    """

    requests: int
    seconds: float
    headers: Callable[[int, int], Mapping[str, str]] = lambda _left, _reset: NOTHING


@dataclass(frozen=True)
class Provider:
    """One emulated provider.

    ``name``: short lower-case name, also the prefix of its tables. ``base``: where its API starts
    (``/cloudflare/client/v4``). ``schema``: DDL, ``CREATE TABLE IF NOT EXISTS`` only.
    ``authenticate(call, accepted tokens)`` gives ``None`` when the call may pass, else the refusal.
    ``seed(connection)`` fills an empty state and must change nothing in a state that is already there.
    ``name_of``/``writes_of`` tell a finer operation name and whether this very call writes, for protocols with
    one address (Odoo's JSON-RPC). ``fault_reply(status, message)`` wraps an injected fault, a rate limit or an
    unknown path (404) in the provider's own envelope.
    """

    name: str
    base: str
    schema: str
    operations: tuple[Operation, ...]
    authenticate: Callable[[Call, frozenset[str]], Reply | None]
    seed: Callable[[sqlite3.Connection], None]
    fault_reply: Callable[[int, str], Reply]
    name_of: Callable[[Call, Operation], str] | None = None
    writes_of: Callable[[Call, Operation], bool] | None = None
    throttle: Throttle | None = None
