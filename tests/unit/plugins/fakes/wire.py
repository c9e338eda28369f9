# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""A provider in memory behind the real HTTP policy: only the sending of a request is replaced."""

from __future__ import annotations

import copy
import json
import threading
import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Answer, Http


class Killed(BaseException):
    """The process ends here, like with kill -9: nothing of ours catches it."""


class Request(t.NamedTuple):
    """One request as it was sent."""

    method: str
    path: str
    body: t.Any
    headers: t.Mapping[str, str]


class Wire:
    """Carries requests to :meth:`handle` and answers back, or loses them on purpose.

    ``die_before``/``die_after``: number of the request (from 0) at which the process dies, before or after the provider
    has carried it out. ``lose``: decides by request whether its answer is lost once it was carried out.
    """

    def __init__(self) -> None:
        self.log: list[Request] = []
        self.die_before = -1
        self.die_after = -1
        self.lose: t.Callable[[Request], bool] = lambda _request: False
        self._lock = threading.Lock()

    def handle(self, request: Request) -> tuple[int, t.Any]:
        """Status and body of the provider's answer."""
        raise NotImplementedError

    def writes(self, request: Request) -> bool:
        """Whether this request can change something."""
        raise NotImplementedError

    @property
    def written(self) -> list[Request]:
        """The requests so far that could change something."""
        return [request for request in self.log if self.writes(request)]

    def http(self, **options: t.Any) -> Http:
        """An Http whose requests come here, and which never sleeps."""
        http = Http("http://192.0.2.1", sleep=lambda _seconds: None, **options)
        http._send = lambda *args: self.send(http, *args)  # type: ignore[method-assign]  # the edge that is faked
        return http

    def send(
        self, http: Http, method: str, path: str, params: t.Any, body: t.Any, headers: t.Any, where: str
    ) -> Answer:
        """Stands in for ``Http._send``."""
        with self._lock:
            http.sent += 1
            request = Request(method, path, json.loads(json.dumps(body)), dict(headers or {}))
            number = len(self.log)
            self.log.append(request)
            if number == self.die_before:
                raise Killed
            status, answer = self.handle(request)
            if number == self.die_after:
                raise Killed
            if self.lose(request):
                raise ApiError("no answer within 30 s", errors.UNANSWERED, where=where)
            return Answer(status, {}, copy.deepcopy(answer))

    def survive(self) -> None:
        """The next process starts: an empty log, and no more deaths."""
        self.log.clear()
        self.die_before = self.die_after = -1
        self.lose = lambda _request: False


def losing_once(matches: t.Callable[[Request], bool]) -> t.Callable[[Request], bool]:
    """For :attr:`Wire.lose`: the answer to the first request that matches is lost."""
    spent: list[Request] = []

    def lose(request: Request) -> bool:
        if spent or not matches(request):
            return False
        spent.append(request)
        return True

    return lose
