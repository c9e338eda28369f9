# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Do the same pure work on many things with all processors, by forking this process for a moment."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

Thing = TypeVar("Thing")
Result = TypeVar("Result")

_WORTH_IT = 1000
"""Things from which on a share for another processor pays for the fork (some 20 ms)."""
_MOST = 8


def mapped(work: Callable[[Thing], Result], things: Sequence[Thing]) -> list[Result]:
    """The results of ``work`` for each thing, in their order.

    Forks only where that is safe (one thread) and pays. A child that comes to grief costs time, never a result: its
    share is done here, and an exception in ``work`` so comes from here.
    """
    shares = _shares(things)
    with no_collection():
        children = [_Child(work, share) for share in shares[1:]]
        try:
            results = [work(thing) for thing in shares[0]]
            for share, child in zip(shares[1:], children, strict=True):
                done = child.results()
                results += [work(thing) for thing in share] if done is None else done
        finally:
            for child in children:
                child.end()
    return results


def _shares(things: Sequence[Thing]) -> list[Sequence[Thing]]:
    processors = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    )  # Linux; elsewhere forks are risky
    if threading.active_count() > 1:
        processors = 1
    count = max(1, min(processors, _MOST, len(things) // _WORTH_IT))
    size = -(-len(things) // count) or 1
    return [things[start : start + size] for start in range(0, len(things), size)] or [things]


@contextmanager
def no_collection() -> Iterator[None]:
    """Make many small values without the collector looking at all of them again and again; it takes a fifth of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class _Child:
    """A copy of this process that works on one share and sends the results through a pipe."""

    def __init__(self, work: Callable[[Any], Any], share: Sequence[Any]) -> None:
        self._pipe, out = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            code = 1
            try:
                os.close(self._pipe)
                signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback of ours beside the parent's
                with open(out, "wb") as file:
                    pickle.dump([work(thing) for thing in share], file, pickle.HIGHEST_PROTOCOL)
                code = 0
            finally:
                os._exit(code)  # past every exit handler: those are the parent's
        os.close(out)

    def results(self) -> list[Any] | None:
        """What the child made of its share; None when it failed."""
        with open(self._pipe, "rb", closefd=False) as file:
            data = file.read()
        return pickle.loads(data) if self._gone() == 0 else None  # noqa: S301  # from our own child

    def end(self) -> None:
        """Free what the child holds; stops it where it is still at work."""
        os.close(self._pipe)
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            self._gone()

    def _gone(self) -> int:
        pid, self._pid = self._pid, 0
        try:
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        except ChildProcessError:  # somebody else waited for it
            return 1
