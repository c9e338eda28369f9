# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Shopify's way of answering: refusals inside a 200, costs in points, errors as text, as list or as mapping."""

from __future__ import annotations

import math
import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Answer, Http

THROTTLED, DENIED, INTERNAL = "THROTTLED", "ACCESS_DENIED", "INTERNAL_SERVER_ERROR"
# What the token endpoint says of an application (its ``error`` field), in words that help
GRANT_ERRORS: t.Mapping[str, str] = {
    "invalid_client": "the client secret is wrong, or the app is not installed in this store",
    "app_not_installed": "the app is not installed in this store",
    "shop_not_permitted": "the store belongs to another organization than the app: it needs a token of its own",
    "application_cannot_be_found": "Shopify knows no app with this client id",
}
_STATUS: t.Mapping[int, tuple[str, str]] = {
    401: (errors.REFUSED, "Shopify does not know the token: wrong, revoked, or of another store or provider"),
    402: (errors.INVALID, "the store is frozen because its Shopify bill is not paid"),
    403: (errors.REFUSED, "the token has no access to this store's Admin API"),
    404: (errors.MISSING, "there is no such store, or it does not serve this API version"),
    423: (errors.INVALID, "the store is locked by Shopify"),
}


class ShopifyHttp(Http):
    """The common HTTP policy for one store, obeying its bucket of points as well.

    A refusal in a 200 becomes the status that it would have elsewhere, so that one policy holds for all: THROTTLED
    becomes 429 with the computed wait, an error inside Shopify becomes 500.
    """

    def _send(
        self,
        method: str,
        path: str,
        params: t.Mapping[str, t.Any] | None,
        json: t.Any,
        headers: t.Mapping[str, str] | None,
        where: str,
    ) -> Answer:
        answer = super()._send(method, path, params, json, headers, where)
        if answer.status != 200 or not isinstance(answer.body, dict):
            return answer
        codes = [code_of(row) for row in rows_of(answer.body.get("errors"))]
        asked, available, rate = _cost(answer.body)
        if THROTTLED in codes:
            # Whole seconds, as the header has them; there is no such header in Shopify's own answer
            wait = max(1, math.ceil((asked - available) / rate)) if rate else 1
            return Answer(429, {"Retry-After": str(wait)}, answer.body)
        if INTERNAL in codes and not answer.body.get("data"):
            return Answer(500, answer.headers, answer.body)
        if rate and available < asked:  # another one like this would be refused: ask when the bucket has it again
            self._gate.hold(min((asked - available) / rate, self._policy.patience))
        return answer

    def error(self, answer: Answer, where: str) -> ApiError:
        """What Shopify says, and what it means; ``errors`` may be a text, a list or a mapping."""
        plain = super().error(answer, where)
        kind, meaning = _STATUS.get(answer.status, (plain.kind, ""))
        body = answer.body if isinstance(answer.body, dict) else {}
        grant = body.get("error")
        if isinstance(grant, str):
            more = GRANT_ERRORS.get(grant) or body.get("error_description") or "the token was not given"
            kind = errors.REFUSED if answer.status < 500 else kind
            return ApiError(self.shown(f"{more} (Shopify: {grant})"), kind, answer.status, self.shown(grant), where)
        told = body.get("errors")
        rows = rows_of(told)
        words = self.shown(rows[0].get("message") if rows else told) if told else ""
        message = "; ".join(part for part in (meaning, words) if part) or plain.message
        code = code_of(rows[0]) if rows else ""
        return ApiError(f"{message} (HTTP {answer.status})", kind, answer.status, self.shown(code), where)


def rows_of(value: t.Any) -> list[t.Mapping[str, t.Any]]:
    """The mappings of a list; whatever else it is gives none."""
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def code_of(error: t.Mapping[str, t.Any]) -> str:
    """``extensions.code`` of an error of the top level; empty without one."""
    extensions = error.get("extensions")
    return str(extensions.get("code") or "") if isinstance(extensions, dict) else ""


def _cost(body: t.Mapping[str, t.Any]) -> tuple[float, float, float]:
    """(points asked for, points available now, points restored per second); zeros where the answer does not tell."""
    found: t.Any = body
    for key in ("extensions", "cost"):
        found = found.get(key) if isinstance(found, dict) else None
    status = found.get("throttleStatus") if isinstance(found, dict) else None
    if not isinstance(found, dict) or not isinstance(status, dict):
        return 0.0, 0.0, 0.0
    asked, available = _points(found.get("requestedQueryCost")), _points(status.get("currentlyAvailable"))
    return asked, available, _points(status.get("restoreRate"))


def _points(value: t.Any) -> float:
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return max(0.0, float(value)) if good else 0.0
