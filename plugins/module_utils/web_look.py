# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""A look at a public page, as a visitor would have it: the certificate counts, and no redirect is followed."""

from __future__ import annotations

import contextlib
import time
import typing as t
from dataclasses import dataclass

with contextlib.suppress(ImportError):  # modules tell it with missing_required_lib, by `transport`
    import requests
    from requests.utils import get_environ_proxies

LONGEST_S = 15.0  # that one look waits for an answer
PAUSE_S = 1.0


@dataclass(frozen=True)
class Page:
    """What came back. ``status`` is 0 where nothing did; ``protected`` says that Vercel itself asked for a sign-in."""

    status: int
    why: str = ""
    protected: bool = False

    @property
    def well(self) -> bool:
        """Whether a visitor gets something: a page, or the way to one."""
        return 200 <= self.status < 400 and not self.protected


def ask(url: str, timeout_s: float, headers: t.Mapping[str, str]) -> Page:
    """Look once; never raises."""
    session = requests.Session()
    session.trust_env = False  # a ~/.netrc is nobody's business here
    session.proxies = dict(get_environ_proxies(url, no_proxy=None))
    try:
        with session.get(
            url, headers={"User-Agent": "smarteros", **headers}, timeout=timeout_s, allow_redirects=False, stream=True
        ) as answer:
            protected = _is_protected(answer.status_code, answer.headers)
            why = "" if answer.status_code < 400 else f"HTTP {answer.status_code}"
            return Page(answer.status_code, why, protected)
    except requests.RequestException as exc:
        return Page(0, _plain(exc))
    finally:
        session.close()


def wait(
    url: str,
    timeout_s: float,
    headers: t.Mapping[str, str],
    sleep: t.Callable[[float], None] = time.sleep,
    clock: t.Callable[[], float] = time.monotonic,
) -> Page:
    """Look again and again until a visitor gets something or the time is over; gives what was seen last."""
    ends = clock() + timeout_s
    while True:
        found = ask(url, min(LONGEST_S, max(1.0, timeout_s)), headers)
        if found.well or found.protected or clock() + PAUSE_S > ends:
            return found
        sleep(PAUSE_S)


def _is_protected(status: int, headers: t.Mapping[str, str]) -> bool:
    """Vercel's Deployment Protection: 401 with a nonce for its sign-in, or the way there."""
    if status == 401:
        return "_vercel_sso_nonce" in headers.get("Set-Cookie", "")
    return 300 <= status < 400 and headers.get("Location", "").startswith("https://vercel.com/sso")


def _plain(exc: Exception) -> str:
    """Why there was no answer, in a line."""
    if isinstance(exc, requests.Timeout):
        return "no answer in time"
    if isinstance(exc, requests.exceptions.SSLError):
        return "the certificate is not good"
    return "no connection (refused, or the name does not resolve)"
