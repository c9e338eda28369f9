# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Questions that a browser would ask: HTTPS through the reverse proxy of this machine, by the name of a service.

The certificate is looked at, not trusted: that a service answers and that its certificate is good are two findings.
"""

from __future__ import annotations

import functools
import http.client
import json
import socket
import ssl
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

MOST_AT_ONCE = 16
MOST_BYTES = 100_000
HTTPS = 443


@dataclass(frozen=True)
class Question:
    """What is asked: ``host`` is the public name, ``address`` where the proxy listens."""

    host: str
    path: str = "/"
    address: str = "127.0.0.1"
    port: int = HTTPS


@dataclass(frozen=True)
class Probe:
    """What came back. ``status`` is 0 and ``why`` says more where nothing did; ``certificate`` is the DER that was shown."""

    status: int
    latency_ms: float
    text: str = ""
    why: str = ""
    certificate: bytes = b""

    @property
    def answers(self) -> bool:
        """Whether it is an answer of the service, and a good one."""
        return 200 <= self.status < 400


class _Bounded(ssl.SSLSocket):
    """A socket whose reads end together: a server that sends a byte now and then keeps nobody longer than silence would."""

    ends = 0.0  # by the monotonic clock

    def recv_into(self, *given: t.Any, **more: t.Any) -> int:
        """As of every socket. Raises TimeoutError when the time of all reads is over."""
        left = self.ends - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer takes too long")
        self.settimeout(left)
        return super().recv_into(*given, **more)


def ask(question: Question, timeout_s: float) -> Probe:
    """Ask once; never raises. Takes about ``timeout_s`` at most, beside what resolving a name takes."""
    began = time.monotonic()
    ends = began + timeout_s
    shown = b""
    try:
        plain = socket.create_connection((question.address, question.port), timeout_s)
        plain.settimeout(max(0.001, ends - time.monotonic()))
        with _context().wrap_socket(plain, server_hostname=question.host) as secure:
            t.cast("_Bounded", secure).ends = ends
            shown = secure.getpeercert(binary_form=True) or b""
            connection = http.client.HTTPConnection(question.host, timeout=timeout_s)
            connection.sock = secure
            connection.request("GET", question.path, headers={"Host": question.host, "User-Agent": "smarteros"})
            answer = connection.getresponse()
            text = answer.read(MOST_BYTES).decode(errors="replace")
    except (OSError, http.client.HTTPException) as exc:
        return Probe(0, _since(began), why=str(exc) or type(exc).__name__, certificate=shown)
    return Probe(answer.status, _since(began), text, "" if answer.status < 400 else f"HTTP {answer.status}", shown)


@functools.lru_cache(maxsize=1)
def _context() -> ssl.SSLContext:
    """One for all questions: to make it takes longer than to ask."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.sslsocket_class = _Bounded
    return context


def ask_all(questions: t.Mapping[str, Question], timeout_s: float, at_once: int = MOST_AT_ONCE) -> dict[str, Probe]:
    """Ask all at the same time, or as many as may be; answers by the questions' names."""
    if not questions:
        return {}
    with ThreadPoolExecutor(min(at_once, len(questions))) as pool:
        return dict(zip(questions, pool.map(lambda each: ask(each, timeout_s), questions.values())))


def wait(question: Question, timeout_s: float, pause_s: float = 0.5) -> Probe:
    """Ask again and again until it answers or the time is over; gives the last answer."""
    until = time.monotonic() + timeout_s
    while True:
        found = ask(question, min(10.0, timeout_s))
        if found.answers or time.monotonic() > until:
            return found
        time.sleep(pause_s)


def what_is_wrong(service: str, probe: Probe) -> str:
    """Why an answer is not good enough; empty where it is. Some services answer 200 while a part of them is down."""
    if not probe.answers:
        return probe.why or f"HTTP {probe.status}"
    parts = _PARTS.get(service)
    return parts(_body(probe.text)) if parts else ""


def _body(text: str) -> dict[str, t.Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _chatwoot(body: t.Mapping[str, t.Any]) -> str:
    ill = [name for name in ("queue_services", "data_services") if body.get(name, "ok") != "ok"]
    return f"{' and '.join(ill)} failing" if ill else ""


def _botpress(body: t.Mapping[str, t.Any]) -> str:
    # `nlu` is down on purpose: no utterance of a customer leaves the machine
    ill = [name for name in ("botpress", "database", "messaging") if body.get(name, "up") != "up"]
    return f"{' and '.join(ill)} down" if ill else ""


_PARTS: t.Mapping[str, t.Callable[[t.Mapping[str, t.Any]], str]] = {"chatwoot": _chatwoot, "botpress": _botpress}


def _since(began: float) -> float:
    return round((time.monotonic() - began) * 1000, 1)
