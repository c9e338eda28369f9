# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What can go wrong between us and a provider, in words for the operator."""

from __future__ import annotations

import typing as t

# What each kind means for the caller:
UNREACHABLE = "unreachable"  # no connection: nothing was sent
REFUSED = "refused"  # 401 or 403: the token is not good (enough)
INVALID = "invalid"  # the provider does not accept what we sent, or we do not understand its answer
CONFLICT = "conflict"  # something of that name exists and is not ours to change
MISSING = "missing"  # 404: no such thing
THROTTLED = "throttled"  # 429 for longer than we are willing to wait
SERVER = "server"  # 5xx, again and again
UNANSWERED = "unanswered"  # a write was sent and no usable answer came: it may have happened

NEXT_STEP: t.Mapping[str, str] = {
    UNREACHABLE: "Check the address and that the service is up, then run the same command again",
    REFUSED: "Check the token and its permissions, then run the same command again",
    INVALID: "Correct what the provider names, then run the same command again",
    CONFLICT: "Rename or remove the existing one by hand, or choose another name",
    MISSING: "Check the address and the name, then run the same command again",
    THROTTLED: "Wait for the time that the provider names, then run the same command again",
    SERVER: "Look at the service's own log; run the same command again when it is healthy",
    UNANSWERED: "Run the same command again: it looks for what was made before it makes anything",
}


def row(what: str, why: str, where: str = "", following: str = "") -> dict[str, str]:
    """An error as the command line reports it: what failed, where, why, and what to do next."""
    return {"what": what, "where": where, "why": why, "next": following}


class ApiError(Exception):
    """A call to a provider that did not succeed.

    ``status`` is the HTTP status (0 when there was none), ``code`` the provider's own error code,
    ``where`` the method and the address without its query. None of them ever holds a secret.
    """

    def __init__(self, message: str, kind: str = INVALID, status: int = 0, code: str = "", where: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind
        self.status = status
        self.code = code
        self.where = where

    def as_dict(self, what: str) -> dict[str, str]:
        """The error as the command line reports it: what failed, where, why, and what to do next."""
        return row(what, self.message, self.where, NEXT_STEP[self.kind])
