# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""All providers are asked at once, and whatever they say becomes a verdict."""

from __future__ import annotations

import datetime
import threading
import time
import types
import typing as t

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors, transport, verdicts
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError

TOKEN = "planted-token-1"
CONNECTION = {"url": "https://x.example.com", "token": TOKEN}
POLICY = transport.Policy()
PATIENCE_S = 120.0
Check = t.Callable[[], t.Mapping[str, t.Any]]


def client(check: Check, **more: t.Any) -> types.SimpleNamespace:
    """The module of a client whose check does this."""
    return types.SimpleNamespace(connect=lambda _connection, _policy: types.SimpleNamespace(check=check), **more)


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> dict[str, types.SimpleNamespace]:
    """The clients that there are, by service."""
    there: dict[str, types.SimpleNamespace] = {}
    monkeypatch.setattr(verdicts, "client_module", there.get)
    return there


def says(**answer: t.Any) -> Check:
    return lambda: {"state": "valid", "account": "", "message": "", **answer}


def fails(failure: Exception) -> Check:
    def check() -> t.Mapping[str, t.Any]:
        raise failure

    return check


def test_what_the_provider_says_is_the_verdict(clients: dict[str, types.SimpleNamespace]) -> None:
    clients["n8n"] = client(says(account="ana", expires="2099-01-01", missing_scopes=["a"], message="fine"))
    (verdict,) = verdicts.judge([verdicts.Asked("n8n", CONNECTION)], PATIENCE_S).values()
    assert verdict.as_dict() == {
        "state": "valid",
        "account": "ana",
        "expires": "2099-01-01",
        "missing_scopes": ["a"],
        "message": "fine",
    }


@pytest.mark.parametrize(
    ("failure", "state"),
    [
        (ApiError("no", errors.REFUSED), "invalid"),
        (ApiError("what?", errors.INVALID), "invalid"),
        (ApiError("no connection", errors.UNREACHABLE), "unreachable"),
        (ApiError("slowly", errors.THROTTLED), "unreachable"),
        (ApiError("broken", errors.SERVER), "unreachable"),
        (AttributeError("'list' object has no attribute 'get'"), "unreachable"),
        (KeyError("id"), "unreachable"),
        (RecursionError(), "unreachable"),
        (TypeError(), "unreachable"),
    ],
)
def test_whatever_a_provider_does_becomes_a_verdict(
    clients: dict[str, types.SimpleNamespace], failure: Exception, state: str
) -> None:
    clients["n8n"] = client(fails(failure))
    assert verdicts.ask("n8n", CONNECTION, POLICY).state == state


@pytest.mark.parametrize("answer", [{}, {"state": "fine"}, {"state": None}])
def test_a_client_that_says_no_state_is_no_verdict(
    clients: dict[str, types.SimpleNamespace], answer: dict[str, t.Any]
) -> None:
    clients["n8n"] = client(lambda: answer)
    assert verdicts.ask("n8n", CONNECTION, POLICY).state == "unreachable"


def test_a_token_that_a_provider_repeats_is_not_shown(clients: dict[str, types.SimpleNamespace]) -> None:
    clients["n8n"] = client(says(account=f"of {TOKEN}", message=f"heard {TOKEN}"))
    verdict = verdicts.ask("n8n", CONNECTION, POLICY)
    assert (verdict.account, verdict.message) == ("of ***", "heard ***")


def test_all_are_asked_at_the_same_time(clients: dict[str, types.SimpleNamespace]) -> None:
    names = [f"service{number}" for number in range(12)]
    all_asked = threading.Barrier(len(names))

    def together() -> t.Mapping[str, t.Any]:
        all_asked.wait(30)  # fails where one is asked after the other
        return says()()

    clients.update({name: client(together) for name in names})
    found = verdicts.judge([verdicts.Asked(name, CONNECTION) for name in names], PATIENCE_S)
    assert list(found) == names
    assert {verdict.state for verdict in found.values()} == {"valid"}


def test_a_provider_that_hangs_is_given_up_on_and_keeps_nobody_else(clients: dict[str, types.SimpleNamespace]) -> None:
    enough = threading.Event()
    clients["slow"] = client(lambda: {"waited": enough.wait(PATIENCE_S)})
    clients["n8n"] = client(says())
    began = time.monotonic()
    found = verdicts.judge([verdicts.Asked("slow", CONNECTION), verdicts.Asked("n8n", CONNECTION)], 1)
    enough.set()
    assert time.monotonic() - began < PATIENCE_S / 2
    assert (found["slow"].state, found["n8n"].state) == ("unreachable", "valid")


def test_what_is_missing_or_cannot_be_right_is_never_sent(clients: dict[str, types.SimpleNamespace]) -> None:
    clients["n8n"] = clients["odoo"] = client(fails(AssertionError("it was sent")))
    asked = [
        verdicts.Asked("n8n", {"url": "https://x.example.com", "api_key": ""}, names={"api_key": "N8N_API_KEY"}),
        verdicts.Asked("odoo", {**CONNECTION, "secret": " spaced"}),
    ]
    found = verdicts.judge(asked, PATIENCE_S)
    assert found["n8n"].state == "missing"
    assert found["n8n"].message == "not set: n8n_api_key (N8N_API_KEY)"
    assert found["odoo"].state == "invalid"
    assert found["odoo"].message.startswith("odoo_secret has white space")


def test_a_client_whose_variables_stand_in_for_each_other_says_what_is_lacking(
    clients: dict[str, types.SimpleNamespace],
) -> None:
    clients["shopify"] = client(says(), lacking=lambda connection: [] if connection["tokens"] else ["client_id"])
    both = {"url": "https://{shop}", "client_id": "", "tokens": {"acme": "x"}}
    assert verdicts.judge([verdicts.Asked("shopify", both)], PATIENCE_S)["shopify"].state == "valid"
    none = {**both, "tokens": {}}
    assert verdicts.judge([verdicts.Asked("shopify", none)], PATIENCE_S)["shopify"].state == "missing"


def test_a_client_that_cannot_tell_what_is_lacking_says_why(clients: dict[str, types.SimpleNamespace]) -> None:
    def lacking(_connection: t.Mapping[str, t.Any]) -> list[str]:
        raise ApiError(f"tokens: {TOKEN} is no mapping")

    clients["shopify"] = client(says(), lacking=lacking)
    verdict = verdicts.judge([verdicts.Asked("shopify", CONNECTION)], PATIENCE_S)["shopify"]
    assert (verdict.state, verdict.message) == ("invalid", "tokens: *** is no mapping")


@pytest.mark.parametrize(("days", "says_so"), [(1, True), (14, True), (15, False), (300, False)])
def test_a_valid_token_that_ends_soon_says_so(
    clients: dict[str, types.SimpleNamespace], days: int, says_so: bool
) -> None:
    end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days, hours=1)
    clients["n8n"] = client(says(expires=end.isoformat(), message="fine"))
    assert ("expires" in verdicts.ask("n8n", CONNECTION, POLICY).message) is says_so


def test_every_client_of_this_collection_is_found_and_others_are_not() -> None:
    assert verdicts.client_module("n8n") is not None
    assert verdicts.client_module("no_such_service") is None
