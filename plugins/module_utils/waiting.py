# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Waiting for what a provider does in the background: to its real end, but not for ever."""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError

Seen = t.TypeVar("Seen")


@dataclass(frozen=True)
class Patience:
    """How long to wait, and how long between two looks. Times in seconds."""

    total: float = 600.0
    pause: float = 5.0
    sleep: t.Callable[[float], None] = time.sleep
    clock: t.Callable[[], float] = time.monotonic


def until(look: t.Callable[[], Seen], ended: t.Callable[[Seen], bool], patience: Patience, what: str) -> Seen:
    """Look again and again until it has ended, and give what was seen last.

    Raises ApiError ``unanswered`` when the time is over: it may still come to its end.
    """
    ends = patience.clock() + patience.total
    while True:
        seen = look()
        if ended(seen):
            return seen
        if patience.clock() + patience.pause > ends:
            raise ApiError(f"{what} has not ended after {patience.total:g} s", errors.UNANSWERED)
        patience.sleep(patience.pause)
