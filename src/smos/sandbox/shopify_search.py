# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Shopify's search syntax as far as looking for orders of a day needs it: bounds of `processed_at`, joined by AND."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

from smos.sandbox.shopify_graphql import GraphQLError

_TERM = re.compile(r"(processed_at|created_at):(>=|<=|>|<)'?([^'\s]+)'?")


def matcher(query: str) -> Callable[[str], bool]:
    """Whether an order's moment (ISO 8601) fits. Raises GraphQLError for what the sandbox does not know."""
    bounds: list[tuple[str, datetime]] = []
    for term in re.split(r"\s+(?:AND\s+)?", query.strip()):
        found = _TERM.fullmatch(term)
        if term and found is None:
            raise GraphQLError(f"The sandbox does not know the search term {term!r}", "BAD_REQUEST", ["orders"])
        if found is not None:
            bounds.append((found.group(2), _moment(found.group(3))))
    return lambda text: all(_holds(_moment(text), sign, bound) for sign, bound in bounds)


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise GraphQLError(f"Invalid timestamp {text!r}", "BAD_REQUEST", ["orders"]) from None


def _holds(moment: datetime, sign: str, bound: datetime) -> bool:
    holds = {">=": moment >= bound, "<=": moment <= bound, ">": moment > bound, "<": moment < bound}
    return holds[sign]
