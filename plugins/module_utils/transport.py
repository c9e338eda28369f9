# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The one HTTP policy of all clients: time-outs, repeats, rate limits, sizes, and errors without secrets."""

from __future__ import annotations

import email.utils
import json as jsonlib
import os
import random
import re
import threading
import time
import typing as t
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError

REQUESTS_IMPORT_ERROR: ImportError | None = None
try:
    import requests
    from requests.adapters import HTTPAdapter
    from requests.utils import get_environ_proxies
except ImportError as exc:  # the module tells it with missing_required_lib
    REQUESTS_IMPORT_ERROR = exc

MAX_BODY = 64 * 1024 * 1024  # bytes of one answer; the longest honest list page is about 5 MB
MAX_SHOWN = 300  # characters of a provider's text in a message
REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE", "PATCH"})
_RATELIMIT = re.compile(r"\br=(\d+)\b.*?\bt=(\d+)\b")
_PASSING = frozenset({errors.UNREACHABLE, errors.SERVER, errors.UNANSWERED})  # may go away by itself
_KINDS: t.Mapping[int, str] = {401: errors.REFUSED, 403: errors.REFUSED, 404: errors.MISSING, 409: errors.CONFLICT}


@dataclass(frozen=True)
class Answer:
    """A provider's answer; ``body`` is the parsed JSON (None when empty)."""

    status: int
    headers: t.Mapping[str, str]
    body: t.Any


@dataclass(frozen=True)
class Policy:
    """How patient we are. Times in seconds."""

    connect: float = 5.0
    read: float = 30.0
    attempts: int = 5
    backoff: float = 0.25  # first pause; doubles, with jitter, up to backoff_max
    backoff_max: float = 8.0
    patience: float = 330.0  # in all for rate limits: Cloudflare blocks for five minutes


@dataclass
class _Gate:
    """Holds back every thread of one client while the provider asks for a pause."""

    clock: t.Callable[[], float]
    sleep: t.Callable[[float], None]
    until: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def hold(self, seconds: float) -> None:
        with self.lock:
            self.until = max(self.until, self.clock() + seconds)

    def wait(self) -> None:
        pause = self.until - self.clock()
        if pause > 0:
            self.sleep(pause)


class Http:
    """Sends requests to one provider. Safe to use from many threads.

    ``secrets`` are strings that must never be shown; they are cut out of every message.
    """

    def __init__(
        self,
        base_url: str,
        headers: t.Mapping[str, str] | None = None,
        secrets: t.Iterable[str] = (),
        policy: Policy | None = None,
        sleep: t.Callable[[float], None] = time.sleep,
        clock: t.Callable[[], float] = time.monotonic,
    ) -> None:
        self.base_url = _base(base_url)
        self.sent = 0
        self._headers = dict(headers or {})
        self._secrets = tuple(sorted((s for s in secrets if len(s) >= 4), key=len, reverse=True))
        self._policy = policy or Policy()
        self._sleep = sleep
        self._clock = clock
        self._gate = _Gate(clock, sleep)
        self._local = threading.local()
        self._count = threading.Lock()
        self._proxies = get_environ_proxies(self.base_url, no_proxy=None)
        self._verify: bool | str = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True

    def request(
        self,
        method: str,
        path: str,
        params: t.Mapping[str, t.Any] | None = None,
        json: t.Any = None,
        headers: t.Mapping[str, str] | None = None,
        repeat: bool | None = None,
    ) -> Answer:
        """Send one request and give the answer of a success (2xx).

        ``repeat`` says that sending it twice does no harm; by default that is so for every method but POST.
        A POST is sent again only when it surely was not carried out (no connection, 429).

        Raises ApiError: for a POST whose fate is unknown with the kind ``unanswered``.
        """
        safe = method in REPEATABLE if repeat is None else repeat
        where = f"{method} {self.base_url}{path}"
        failures = refusals = 0
        waited = 0.0
        while True:
            self._gate.wait()
            try:
                answer = self._send(method, path, params, json, headers, where)
                if answer.status < 400:
                    return answer
                failure = self.error(answer, where)
            except ApiError as exc:
                failure = exc
            if failure.kind == errors.THROTTLED:  # it was not carried out: no failure, only a pause
                refusals += 1
                pause = max(_retry_after(answer.headers), self._pause(refusals))
                waited += pause
                if waited > self._policy.patience:
                    raise failure
                self._gate.hold(pause)
                continue
            if failure.kind not in _PASSING:
                raise failure
            if failure.kind != errors.UNREACHABLE and not safe:
                raise ApiError(failure.message, errors.UNANSWERED, failure.status, failure.code, where)
            failures += 1
            if failures == self._policy.attempts:
                raise failure
            self._sleep(self._pause(failures))

    def create(
        self, path: str, json: t.Any, find: t.Callable[[], t.Any], headers: t.Mapping[str, str] | None = None
    ) -> t.Any:
        """POST something that must exist exactly once, and give the body of the answer.

        When the fate of the POST is unknown, ``find`` looks for the thing: what it gives (not None) is the
        result, and only when it finds nothing the POST is sent again.
        """
        for attempt in range(self._policy.attempts):
            try:
                return self.request("POST", path, json=json, headers=headers).body
            except ApiError as exc:
                if exc.kind != errors.UNANSWERED or attempt + 1 == self._policy.attempts:
                    raise
            # A moment for a slow server to finish what we no longer wait for
            self._sleep(self._pause(attempt))
            found = find()
            if found is not None:
                return found
        raise AssertionError("the loop above returns or raises")

    def error(self, answer: Answer, where: str) -> ApiError:
        """The error for an answer of 400 and above, with the provider's own words, shortened and without secrets."""
        kind = _KINDS.get(answer.status)
        if kind is None:
            kind = errors.SERVER if answer.status >= 500 else errors.INVALID
        if answer.status == 429:
            kind = errors.THROTTLED
        return ApiError(f"HTTP {answer.status}: {self.shown(answer.body)}", kind, answer.status, where=where)

    def hide(self, secret: str) -> None:
        """Cut this text, too, out of every message from now on (a token that the provider has just told)."""
        with self._count:
            if len(secret) >= 4 and secret not in self._secrets:
                self._secrets = tuple(sorted((*self._secrets, secret), key=len, reverse=True))

    def shown(self, text: t.Any) -> str:
        """A provider's text fit for a message: one line, shortened, secrets cut out."""
        words = text if isinstance(text, str) else str(text)
        for secret in self._secrets:
            words = words.replace(secret, "***")
        words = " ".join("".join(c if c.isprintable() else " " for c in words).split())
        return words if len(words) <= MAX_SHOWN else words[:MAX_SHOWN] + "…"

    def _pause(self, attempt: int) -> float:
        full = min(self._policy.backoff * 2.0**attempt, self._policy.backoff_max)
        return full * random.uniform(0.5, 1.0)  # noqa: S311  # jitter, not cryptography

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            session.trust_env = False  # a ~/.netrc must never replace our token
            session.proxies = dict(self._proxies)
            # requests looks at the file system for every request where this is a path
            session.verify = self._verify if self.base_url.startswith("https:") else True
            session.headers.update({"Accept": "application/json", "User-Agent": "smarteros", **self._headers})
            adapter = HTTPAdapter(pool_connections=1, pool_maxsize=1, max_retries=0)
            session.mount("http://", adapter)
            session.mount("https://", adapter)
        return session

    def _send(
        self,
        method: str,
        path: str,
        params: t.Mapping[str, t.Any] | None,
        json: t.Any,
        headers: t.Mapping[str, str] | None,
        where: str,
    ) -> Answer:
        with self._count:
            self.sent += 1
        deadline = self._clock() + self._policy.connect + 2 * self._policy.read
        try:
            response = self._session().request(
                method,
                self.base_url + path,
                params=dict(params) if params else None,
                json=json,
                headers=dict(headers) if headers else None,
                timeout=(self._policy.connect, self._policy.read),
                allow_redirects=False,  # a redirect would carry the token elsewhere
                stream=True,
            )
            with response:
                raw = self._body(response, deadline, where)
        except requests.RequestException as exc:
            raise self._no_answer(exc, where) from None
        if 300 <= response.status_code < 400:
            raise ApiError(
                f"HTTP {response.status_code}: the address answers with a redirect",
                errors.INVALID,
                response.status_code,
                where=where,
            )
        self._mind_limit(response.headers)
        return Answer(response.status_code, response.headers, self._parsed(raw, response, where))

    def _body(self, response: requests.Response, deadline: float, where: str) -> bytes:
        parts: list[bytes] = []
        size = 0
        for part in response.iter_content(262144):
            parts.append(part)
            size += len(part)
            if size > MAX_BODY:
                raise ApiError(f"the answer is larger than {MAX_BODY} bytes", errors.INVALID, where=where)
            if self._clock() > deadline:
                raise ApiError("the answer came too slowly to be read in time", errors.UNANSWERED, where=where)
        return b"".join(parts)

    def _parsed(self, raw: bytes, response: requests.Response, where: str) -> t.Any:
        if not raw.strip():
            return None
        try:
            return jsonlib.loads(raw)
        except ValueError:
            text = raw[: MAX_SHOWN * 4].decode("utf-8", "replace")
            if response.status_code >= 400:
                return text
            kind = response.headers.get("Content-Type", "no content type")
            raise ApiError(
                f"expected JSON, got {kind}: {self.shown(text)}", errors.INVALID, response.status_code, where=where
            ) from None

    def _no_answer(self, exc: requests.RequestException, where: str) -> ApiError:
        if isinstance(exc, requests.exceptions.SSLError):
            return ApiError(f"TLS failed: {self.shown(exc)}", errors.UNREACHABLE, where=where)
        if isinstance(exc, requests.ConnectTimeout):
            return ApiError(f"no connection within {self._policy.connect:g} s", errors.UNREACHABLE, where=where)
        if isinstance(exc, requests.ConnectionError) and _never_sent(exc):
            return ApiError("no connection (refused, or the name does not resolve)", errors.UNREACHABLE, where=where)
        if isinstance(exc, requests.Timeout):
            return ApiError(f"no answer within {self._policy.read:g} s", errors.UNANSWERED, where=where)
        if isinstance(exc, (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
            return ApiError("the connection broke before the answer was complete", errors.UNANSWERED, where=where)
        return ApiError(f"the request could not be sent: {self.shown(exc)}", errors.INVALID, where=where)

    def _mind_limit(self, headers: t.Mapping[str, str]) -> None:
        # Cloudflare and others tell the rest of the window: "default";r=<left>;t=<seconds>
        found = _RATELIMIT.search(headers.get("Ratelimit", ""))
        if found and int(found.group(1)) == 0:
            self._gate.hold(min(float(found.group(2)), self._policy.patience))


def _base(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ApiError(f"not an http(s) address: {url!r}", errors.INVALID)
    if parts.username or parts.password:
        raise ApiError("an address must not carry a user name or password", errors.INVALID, where=parts.hostname)
    return url.rstrip("/")


def _never_sent(exc: BaseException) -> bool:
    """Whether the connection was never made, so that the server cannot have seen the request."""
    text = repr(exc)
    return "NewConnectionError" in text or "NameResolutionError" in text


def _retry_after(headers: t.Mapping[str, str]) -> float:
    value = headers.get("Retry-After", "").strip()
    if value.isdigit():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return 0.0
