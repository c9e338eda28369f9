# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The one HTTP policy of all clients: time-outs, repeats, rate limits, sizes, and errors without secrets."""

from __future__ import annotations

import email.utils
import http.client
import json as jsonlib
import math
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
from ansible_collections.smartercl.smarteros.plugins.module_utils.timed_adapter import TimedAdapter, Watch

REQUESTS_IMPORT_ERROR: ImportError | None = None
try:
    import requests
    from requests.utils import get_environ_proxies
except ImportError as exc:  # the module tells it with missing_required_lib
    REQUESTS_IMPORT_ERROR = exc

MAX_BODY = 64 * 1024 * 1024  # bytes of one answer; the longest honest list page is about 5 MB
MAX_PAGES = 10_000  # of one list; the longest honest one, ten years of conversations, has about 2,000
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
    total: float | None = None  # one call with its repeats, without the pauses of rate limits; see `whole`

    @property
    def whole(self) -> float:
        """Seconds for one call in all; unless told otherwise, enough to wait in vain for an answer twice."""
        return self.connect + 2 * self.read if self.total is None else self.total


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

    def wait(self) -> float:
        """Sleep as long as asked; gives the seconds."""
        pause = max(0.0, self.until - self.clock())
        if pause:
            self.sleep(pause)
        return pause


class Pages:
    """Minds the pages of one list: a provider that never comes to an end must not keep us for ever."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._seen: set[str] = set()
        self._count = 0

    def turn(self, cursor: object = None) -> None:
        """Call this before each page is asked for, with its cursor or address (None where pages have numbers).

        Raises ApiError when this cursor was there before, or when there are more than ``MAX_PAGES``.
        """
        self._count += 1
        if self._count > MAX_PAGES:
            raise ApiError(f"the list does not end after {MAX_PAGES} pages", errors.INVALID, where=self._where)
        if cursor is None:
            return
        if str(cursor) in self._seen:
            raise ApiError("the list goes round in circles: a page names one that we had", where=self._where)
        self._seen.add(str(cursor))


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

        ``json`` is data, or bytes that are sent as they are (``headers`` then say what they are).
        ``repeat`` says that sending it twice does no harm; by default that is so for every method but POST.
        A POST is sent again only when it surely was not carried out (no connection, 429).

        Raises ApiError: for a POST whose fate is unknown with the kind ``unanswered``.
        """
        safe = method in REPEATABLE if repeat is None else repeat
        where = f"{method} {self.base_url}{path}"
        failures = refusals = 0
        waited = 0.0
        ends = self._clock() + self._policy.whole
        while True:
            ends += self._gate.wait()
            self._local.ends = ends
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
            pause = self._pause(failures)
            if failures == self._policy.attempts or self._clock() + pause >= ends:
                raise failure
            self._sleep(pause)

    def create(
        self,
        path: str,
        json: t.Any,
        find: t.Callable[[], t.Any],
        headers: t.Mapping[str, str] | None = None,
        params: t.Mapping[str, t.Any] | None = None,
    ) -> t.Any:
        """POST something that must exist exactly once, and give the body of the answer.

        When the fate of the POST is unknown, ``find`` looks for the thing: what it gives (not None) is the
        result, and only when it finds nothing the POST is sent again.
        """
        ends = self._clock() + self._policy.whole
        for attempt in range(self._policy.attempts):
            try:
                return self.request("POST", path, params, json, headers).body
            except ApiError as exc:
                if exc.kind != errors.UNANSWERED or attempt + 1 == self._policy.attempts:
                    raise
                failure = exc
            # A moment for a slow server to finish what we no longer wait for
            self._sleep(self._pause(attempt))
            found = find()
            if found is not None:
                return found
            if self._clock() >= ends:
                raise failure
        raise AssertionError("the loop above returns or raises")

    def pages(self, path: str) -> Pages:
        """A guard for reading the list at this path page by page; see :class:`Pages`."""
        return Pages(f"GET {self.base_url}{path}")

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
        words = " ".join("".join(c if c.isprintable() else " " for c in words).split()) or ("…" if words else "")
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
            watch = self._local.watch = Watch(self._clock)
            adapter = TimedAdapter(watch, pool_connections=1, pool_maxsize=1, max_retries=0)
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
        self._mind_headers({**self._headers, **(headers or {})}, where)
        session = self._session()
        ends: float = self._local.ends  # when, on our clock, the last byte of the answer must be there
        self._local.watch.set(self._policy.read, ends)
        left = max(0.001, ends - self._clock())
        try:
            response = session.request(
                method,
                self.base_url + path,
                params=dict(params) if params else None,
                json=None if isinstance(json, bytes) else json,
                data=json if isinstance(json, bytes) else None,
                headers=dict(headers) if headers else None,
                timeout=(min(self._policy.connect, left), min(self._policy.read, left)),
                allow_redirects=False,  # a redirect would carry the token elsewhere
                stream=True,
            )
            with response:
                raw = self._body(response, where)
        except requests.RequestException as exc:
            if self._clock() >= ends:
                why = f"the answer was not complete within {self._policy.whole:g} s"
                raise ApiError(why, errors.UNANSWERED, where=where) from None
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

    def _body(self, response: requests.Response, where: str) -> bytes:
        parts: list[bytes] = []
        size = 0
        for part in response.iter_content(262144):
            parts.append(part)
            size += len(part)
            if size > MAX_BODY:
                raise ApiError(f"the answer is larger than {MAX_BODY} bytes", errors.INVALID, where=where)
        return b"".join(parts)

    @staticmethod
    def _mind_headers(headers: t.Mapping[str, str], where: str) -> None:
        """A token with a line end or a letter beyond Latin-1 is told as such; the library's errors would quote it."""
        for name, value in headers.items():
            if value == "Bearer ":
                raise ApiError("the token is empty", errors.REFUSED, where=where)
            if not value.isascii() or not value.isprintable() or value != value.strip():
                why = f"the value for the header {name} has a line end, a space at its end or a special character"
                raise ApiError(f"{why}: copy the token again", errors.REFUSED, where=where)

    def _parsed(self, raw: bytes, response: requests.Response, where: str) -> t.Any:
        if not raw.strip():
            return None
        try:
            return jsonlib.loads(raw, parse_constant=_no_number, parse_float=_number)
        except (ValueError, RecursionError):  # the latter: nested a thousand levels deep
            text = raw[: MAX_SHOWN * 4].decode("utf-8", "replace")
            if response.status_code >= 400:
                return text
            kind = response.headers.get("Content-Type", "no content type")
            raise ApiError(
                f"expected JSON, got {kind}: {self.shown(text)}", errors.INVALID, response.status_code, where=where
            ) from None

    def _no_answer(self, exc: requests.RequestException, where: str) -> ApiError:
        if _no_http(exc):
            return ApiError("the answer is no proper HTTP, or its headers are too large", errors.INVALID, where=where)
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


def _no_http(exc: BaseException) -> bool:
    """Whether an answer came that http.client does not take: a line or a number of headers beyond all measure."""
    causes = [arg for arg in exc.args if isinstance(arg, BaseException)]
    if any(isinstance(each, http.client.HTTPException) for each in causes):
        return not any(
            isinstance(each, (http.client.RemoteDisconnected, http.client.IncompleteRead)) for each in causes
        )
    return any(_no_http(each) for each in causes)


def _number(text: str) -> float:
    """A finite number: `1e999` would come as infinite, and break every int() after it."""
    value = float(text)
    return value if math.isfinite(value) else _no_number(text)


def _no_number(text: str) -> t.NoReturn:
    raise ValueError(f"not a number of JSON: {text[:20]}")


def _retry_after(headers: t.Mapping[str, str]) -> float:
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0
