"""Puts a provider of the sandbox where the network would be: clients and modules run whole, and nothing leaves the process."""

from __future__ import annotations

import contextlib
import io
import json as jsonlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors, transport
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Answer
from smos.sandbox.provider import Reply
from unit.sandbox.driver import Driver

LOST = "lost"  # the provider does it, the answer is lost
CUT = "cut"  # the connection breaks before the provider does anything


@dataclass(frozen=True)
class Sent:
    """A request as it went out."""

    method: str
    path: str
    params: dict[str, Any]
    json: Any


EMPTY: dict[str, Any] = {"created": False, "ref": {}, "url": "", "message": "", "changes": [], "error": None}

Trouble = Callable[[Sent], Any]


class OneThread:
    """A driver that lives in a thread of its own, because its SQLite does; clients call from many."""

    def __init__(self, make: Callable[[], Driver]) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1)
        self._driver = self._pool.submit(make).result()
        self.provider = self._driver.provider

    def send(self, *args: Any, **options: Any) -> Reply:
        return self._pool.submit(self._driver.send, *args, **options).result()

    def ok(self, *args: Any, **options: Any) -> Any:
        return self._pool.submit(self._driver.ok, *args, **options).result()


class Wire:
    """Carries requests to the driver; ``trouble(sent)`` may give LOST, CUT, or (status, body) instead of the answer."""

    def __init__(self, driver: OneThread) -> None:
        self.driver = driver
        self.sent: list[Sent] = []
        self.trouble: Trouble = lambda _sent: None

    @property
    def writes(self) -> list[Sent]:
        """The requests that were not mere reads."""
        return [each for each in self.sent if each.method != "GET"]

    @property
    def base_url(self) -> str:
        return "http://127.0.0.1:8321" + self.driver.provider.base

    def send(self, client: Any, method: str, path: str, params: Any, json: Any, headers: Any, where: str) -> Answer:
        client.sent += 1
        sent = Sent(method, path, dict(params or {}), json)
        self.sent.append(sent)
        wrong = self.trouble(sent)
        if wrong == CUT:
            raise ApiError("the connection broke", errors.UNANSWERED, where=where)
        if isinstance(wrong, tuple):
            return Answer(wrong[0], {}, wrong[1])
        names = {key.lower(): value for key, value in {**client._headers, **(headers or {})}.items()}
        reply = self.driver.send(method, path, json, headers=names, **sent.params)
        if wrong == LOST:
            raise ApiError("no answer within 30 s", errors.UNANSWERED, where=where)
        return Answer(reply.status, reply.headers, reply.body)


def wired(make: Callable[[], Driver], monkeypatch: pytest.MonkeyPatch) -> Wire:
    """Every client of this test talks to the driver, and nobody waits."""
    wire = Wire(OneThread(make))

    def send(self: Any, *args: Any) -> Answer:
        return wire.send(self, *args)

    monkeypatch.setattr(transport.Http, "_send", send)
    monkeypatch.setattr(transport.Http, "_pause", lambda self, attempt: 0.0)
    return wire


def once(matches: Callable[[Sent], bool], what: Any) -> Trouble:
    """Trouble for the first request that matches."""
    left = [what]

    def trouble(sent: Sent) -> Any:
        return left.pop() if left and matches(sent) else None

    return trouble


def run_module(module: ModuleType, check: bool = False, **arguments: Any) -> dict[str, Any]:
    """What the module answers to Ansible."""
    out = io.StringIO()
    options = {**arguments, "_ansible_check_mode": check, "_ansible_diff": True}
    with patch_module_args(options), contextlib.redirect_stdout(out), pytest.raises(SystemExit):
        module.main()
    answer: dict[str, Any] = jsonlib.loads(out.getvalue())
    if "results" in answer:  # what is empty is left out of an answer
        answer["results"] = [{**EMPTY, **row} for row in answer["results"]]
    return answer
