# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""A time limit for a whole answer.

The read time-out of `requests` begins anew with every byte, so a server that sends one byte now and then is never too
slow for it, neither in the headers nor in the body. Here every read from the connection is given only what is left.
"""

from __future__ import annotations

import functools
import http.client
import io
import socket
import time
import typing as t

try:
    from requests.adapters import HTTPAdapter
except ImportError:  # told by transport.py
    HTTPAdapter = object  # type: ignore[assignment,misc]  # only so that this file can be read without requests


class Watch:
    """How long a read may still take. One per session, hence per thread; set before each request."""

    def __init__(self, clock: t.Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._read = 30.0
        self._ends = float("inf")

    def set(self, read: float, ends: float) -> None:
        """From now on: at most ``read`` seconds between two bytes, and all of them before ``ends``."""
        self._read, self._ends = read, ends

    def left(self) -> float:
        """Seconds that the next read may take; raises TimeoutError when there are none left."""
        rest = self._ends - self._clock()
        if rest <= 0:
            raise socket.timeout("the time for the whole answer is over")
        return min(self._read, rest)


class TimedReads(io.RawIOBase):
    """What comes from a socket, each read limited by the watch."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, watch: Watch) -> None:
        self._raw, self._sock, self._watch = raw, sock, watch

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: t.Any) -> int | None:
        """As io.RawIOBase says; raises TimeoutError when the time is over."""
        self._sock.settimeout(self._watch.left())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        """Let go of the socket."""
        self._raw.close()
        super().close()


class TimedResponse(http.client.HTTPResponse):
    """An answer whose headers and body are read in time or not at all."""

    def __init__(self, watch: Watch, sock: socket.socket, *args: t.Any, **options: t.Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp: t.Any = io.BufferedReader(TimedReads(self.fp.detach(), sock, watch))


class TimedAdapter(HTTPAdapter):
    """Sends the requests of one session; see :class:`Watch`."""

    def __init__(self, watch: Watch, **options: t.Any) -> None:
        self._watch = watch
        self._timed: dict[type, type] = {}
        super().__init__(**options)

    def get_connection_with_tls_context(self, *args: t.Any, **options: t.Any) -> t.Any:
        """The pool as always, with connections whose answers are timed."""
        pool: t.Any = super().get_connection_with_tls_context(*args, **options)
        plain = pool.ConnectionCls
        if plain not in self._timed.values():
            if plain not in self._timed:
                # staticmethod: a partial in a class is a method from Python 3.14 on
                answer = staticmethod(functools.partial(TimedResponse, self._watch))
                self._timed[plain] = type(plain.__name__, (plain,), {"response_class": answer})
            pool.ConnectionCls = self._timed[plain]
        return pool
