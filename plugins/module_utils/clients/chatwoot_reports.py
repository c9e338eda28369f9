# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Chatwoot's summary of an account's day, as the operator may read it."""

from __future__ import annotations

import math
import typing as t
from dataclasses import dataclass
from datetime import datetime

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.chatwoot import (
    ADMINISTRATOR,
    ChatwootClient,
    mapping,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError

_LOOKED_AT = 3  # accounts through which the operator is looked for, and administrators of each


@dataclass(frozen=True)
class Talks:
    """Conversations of a span of time; ``first_response_s`` is None where nobody was answered."""

    opened: int
    resolved: int
    first_response_s: float | None


def enter(client: ChatwootClient, accounts: t.Sequence[int]) -> None:
    """Act as the operator, who is an administrator of each of these accounts. Reads only; raises ApiError."""
    for number in accounts[:_LOOKED_AT]:
        try:
            links = client.links(number)
        except ApiError as exc:
            if exc.kind not in (errors.MISSING, errors.CONFLICT):
                raise
            continue
        for user in sorted(user for user, role in links.items() if role == ADMINISTRATOR)[:_LOOKED_AT]:
            token = client.token_of(user, client.operator_email)
            if token:
                client.act_as(token)
                return
    raise ApiError(
        "the operator is no administrator of the accounts; `smos tenant apply` makes him one", errors.MISSING
    )


def talks(client: ChatwootClient, number: int, start: datetime, end: datetime) -> Talks:
    """The figures of one account from ``start`` until before ``end``. Raises ApiError."""
    path = f"/api/v2/accounts/{number}/reports/summary"
    query = {"type": "account", "since": str(int(start.timestamp())), "until": str(int(end.timestamp()))}
    where = f"GET {client.http.base_url}{path}"
    row = mapping(client.http.request("GET", path, params=query, headers=client.operator_headers).body, where)
    seconds = _number(row, "avg_first_response_time", where)
    return Talks(
        int(_number(row, "conversations_count", where)), int(_number(row, "resolutions_count", where)), seconds or None
    )


def _number(row: t.Mapping[str, t.Any], key: str, where: str) -> float:
    """A number, which Chatwoot also writes as a text; nothing is 0."""
    value = row.get(key)
    try:
        found = float(value or 0) if not isinstance(value, bool) else math.nan
    except (TypeError, ValueError):
        found = math.nan
    if key not in row or not math.isfinite(found) or found < 0:
        raise ApiError(f"the report has no {key}", errors.INVALID, 200, where=where)
    return found
