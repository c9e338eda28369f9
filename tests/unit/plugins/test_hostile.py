"""No answer of a provider, however bad, gives anything but one clear error in time: over a real connection, for every client."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import transport
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Http, Policy
from support import hostile
from unit.plugins import hostile_calls
from unit.plugins.hostile_calls import CLIENTS, NOT_HTTP, PAIRS, Sandbox, sandbox

__all__ = ["sandbox"]  # a fixture

POLICY = Policy(connect=1.0, read=0.3, attempts=2, backoff=0.01, backoff_max=0.02, patience=0.5, total=0.5)
BUSY_S = 30  # what a busy machine may add; what is wrong here goes on for ever
STATES = {"invalid", "insufficient", "unreachable", "missing"}
# What costs time or memory; the transport is tried with all of it, of each client only the check
HEAVY = ("ten megabytes of text", "a body without end", "a drip in the body", "a day to wait")
TRANSPORTS_OWN = {
    way for way in hostile.WAYS if any(word in way for word in ("megabytes", "end", "drip", "silence", "wait"))
}
LIGHT = [way for way in hostile.WAYS if way not in TRANSPORTS_OWN]


@pytest.fixture(autouse=True)
def _smaller_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MAX_BODY", 12_000_000)


def outcome(call: Callable[[Any], Any], client: Any) -> Any:
    """What the call gives, or its error; anything but an ApiError is a defect."""
    try:
        return call(client)
    except ApiError as exc:
        return exc


def test_every_client_stands_in_the_list_of_the_hostile_tests() -> None:
    assert hostile_calls.present() - NOT_HTTP == set(CLIENTS)


def survives(way: str, name: str, calls: tuple[str, ...]) -> None:
    """Each call against a server of this way gives one error, or a state, in time and without a secret."""
    case = CLIENTS[name]
    with hostile.serving(hostile.WAYS[way]) as server:
        for called in calls:
            client = case.connect(name, server.url, POLICY)
            started = time.monotonic()
            result = outcome(case.calls[called], client)
            took = time.monotonic() - started
            if called == "check":
                assert isinstance(result, dict), result
                # Data of a strange shape may pass where a check does not look at them
                allowed = STATES | ({"valid"} if way.startswith(("JSON", "wrong types")) else set())
                assert result["state"] in allowed, (called, result)
                assert isinstance(result["message"], str)
                assert result["message"]
            text = f"{result!r} {getattr(result, 'where', '')}"
            assert not any(secret in text for secret in case.secrets()), called
            # A call may consist of several requests, some of them for what the first one lacked
            assert took < 5 * POLICY.whole + BUSY_S, (called, took)
        assert not any(host.startswith("localhost") for host in server.hosts)


@pytest.mark.parametrize("name", list(CLIENTS))
@pytest.mark.parametrize("way", LIGHT)
def test_a_client_survives_whatever_is_answered(way: str, name: str) -> None:
    survives(way, name, tuple(CLIENTS[name].calls))


@pytest.mark.parametrize("name", [name for name, client in CLIENTS.items() if "check" in client.calls])
@pytest.mark.parametrize("way", HEAVY)
def test_a_check_survives_what_is_slow_or_without_measure(way: str, name: str) -> None:
    survives(way, name, ("check",))


@pytest.mark.parametrize("way", list(hostile.WAYS))
def test_one_request_ends_in_time_whatever_comes(way: str) -> None:
    with hostile.serving(hostile.WAYS[way]) as server:
        http = Http(server.url, {"Authorization": "Bearer secret-token"}, ("secret-token",), POLICY)
        started = time.monotonic()
        result = outcome(lambda each: each.request("GET", "/x"), http)
        took = time.monotonic() - started
        assert took < POLICY.whole + BUSY_S, took
        if isinstance(result, ApiError):
            assert result.message
            assert len(result.message) < 600
            assert result.where == f"GET {server.url}/x"
            assert "secret-token" not in f"{result} {result.where}"


@pytest.mark.parametrize("way", [way for way in hostile.WAYS if "drip" in way or way == "silence"])
def test_a_slow_write_ends_in_time_too_and_is_unanswered(way: str) -> None:
    with hostile.serving(hostile.WAYS[way]) as server:
        started = time.monotonic()
        result = outcome(lambda http: http.request("POST", "/x", json={}), Http(server.url, policy=POLICY))
        assert result.kind == "unanswered"
        assert time.monotonic() - started < POLICY.whole + BUSY_S
        started = time.monotonic()
        result = outcome(lambda http: http.create("/x", {}, find=lambda: None), Http(server.url, policy=POLICY))
        assert result.kind == "unanswered"
        assert time.monotonic() - started < 2 * POLICY.whole + BUSY_S


@pytest.mark.parametrize(
    "token", ["two\nlines", "carriage\rreturn", "ends with a space ", "ünïcode", "smart\u201cquote", "nul\0"]
)
def test_a_token_that_no_header_can_carry_is_told_without_showing_it(token: str) -> None:
    http = Http("http://127.0.0.1:9", {"Authorization": f"Bearer {token}"}, (token,), POLICY)
    result = outcome(lambda each: each.request("GET", "/x"), http)
    assert result.kind == "refused"
    assert not any(part in result.message for part in (token, repr(token)[1:-1]))


@pytest.mark.parametrize(("name", "called"), PAIRS)
def test_the_list_of_calls_works_against_the_sandbox(name: str, called: str, sandbox: Sandbox) -> None:
    """Else the tests above and beside would ask nothing."""
    client = sandbox(name)
    result = outcome(CLIENTS[name].calls[called], client)
    if called == "check":
        assert result["state"] == "valid", result
    assert not isinstance(result, ApiError) or result.kind == "missing" or result.code == "PGRST205", result
