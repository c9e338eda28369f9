# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The common HTTP policy with the error bodies and rate limits of Supabase's three APIs."""

from __future__ import annotations

import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Answer, Http

MISSING_TABLE = frozenset({"42P01", "PGRST205"})  # no such table, or the data API has not heard of it yet
NO_GRANT = "42501"
_KINDS: t.Mapping[str, str] = {
    "23505": errors.CONFLICT,
    "23503": errors.CONFLICT,
    NO_GRANT: errors.REFUSED,
    "42P01": errors.MISSING,
    "PGRST205": errors.MISSING,
    "PGRST202": errors.MISSING,
    "PGRST106": errors.MISSING,
    "PGRST301": errors.REFUSED,
    "PGRST302": errors.REFUSED,
    "PGRST303": errors.REFUSED,
}
_LONGEST_PAUSE = 120.0  # seconds; the management API's window is a minute


class Lacking(ApiError):
    """Refused for missing permissions, which ``scopes`` names."""

    def __init__(self, message: str, status: int, where: str, scopes: t.Sequence[str]) -> None:
        super().__init__(message, errors.REFUSED, status, where=where)
        self.scopes = tuple(scopes)


class SupabaseHttp(Http):
    """One of the APIs: management ``{message, missing_permissions}``, PostgREST ``{code, message, details, hint}``,
    storage ``{statusCode, error, code, message}`` (whose HTTP status is 400 whatever happened)."""

    def error(self, answer: Answer, where: str) -> ApiError:
        """The provider's own words, with the kind that its code or its inner status means."""
        plain = super().error(answer, where)
        body = answer.body
        if not isinstance(body, dict) or plain.kind == errors.THROTTLED:
            return plain
        code = body["code"] if isinstance(body.get("code"), str) else ""
        message = self.shown(body.get("message") or body.get("error") or plain.message)
        scopes = body.get("missing_permissions")
        if plain.kind == errors.REFUSED and isinstance(scopes, list) and scopes:
            names = [self.shown(scope) for scope in scopes]
            return Lacking(f"{message} (missing permissions: {', '.join(names)})", answer.status, where, names)
        inner = body.get("statusCode")
        status = int(inner) if isinstance(inner, str) and inner.isdigit() and len(inner) == 3 else answer.status
        kind = _KINDS.get(code) or (
            super().error(Answer(status, {}, body), where).kind if status >= 400 else plain.kind
        )
        told = f"{code}, HTTP {answer.status}" if code else f"HTTP {answer.status}"
        return ApiError(f"{message} ({told})", kind, answer.status, code, where)

    def _mind_limit(self, headers: t.Mapping[str, str]) -> None:
        # Every management answer tells the rest of the window; the reset is in seconds, not a moment.
        super()._mind_limit(headers)
        left, reset = header(headers, "x-ratelimit-remaining"), header(headers, "x-ratelimit-reset")
        if left == "0" and reset.isdigit():
            self._gate.hold(min(float(reset), _LONGEST_PAUSE))


def header(headers: t.Mapping[str, str], name: str) -> str:
    """A header's value whatever the case of its name; empty where it is missing."""
    if name in headers:
        return headers[name]
    return next((value for key, value in headers.items() if key.lower() == name), "")
