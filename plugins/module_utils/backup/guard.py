# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What keeps a backup from doing harm: a disk that it would fill, and a dump that lost most of what it had."""

from __future__ import annotations

import typing as t

GIB = 1 << 30
LEAST_FREE = GIB
TIMES = 2  # the last backup's growth must fit so many times
FIRST_SHARE = 2  # the first backup: half of the data, which is compressed


def needed(added: int | None, data: int) -> int:
    """Bytes that must be free. ``added``: what the last backup added (None: there was none), ``data``: what there is to save."""
    return max(LEAST_FREE, data // FIRST_SHARE if added is None else TIMES * added)


def enough_space(free: int, added: int | None, data: int = 0) -> str:
    """Why a backup must not begin, with these bytes free where the repository is; empty where it may."""
    wanted = needed(added, data)
    if free >= wanted:
        return ""
    reason = "half of the data" if added is None else "twice what the last backup added"
    if wanted == LEAST_FREE:
        reason = "the least that a machine needs"
    return f"{size(free)} are free where the backups are kept, and {size(wanted)} must be ({reason})"


def room(free: int, added: int | None, data: t.Callable[[], int]) -> str:
    """Why a backup must not begin, with these bytes free; empty where it may. ``data`` is asked only where that matters.

    What is enough for a first backup is enough for any: the first one adds everything, and the next does not do so again.
    """
    if added is not None and not enough_space(free, added):
        return ""
    return enough_space(free, None, data())


def shrunk(before: int, now: int, floor_percent: int) -> bool:
    """Whether what is there now is less than that share of what there was."""
    return before > 0 and now * 100 < before * floor_percent


def size(count: float) -> str:
    """A number of bytes, for people."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
