# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The module reports every provider, and fails when one counts."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import bulk, verdicts
from ansible_collections.smartercl.smarteros.plugins.modules import token_check

URL = "https://x.example.com"


def asked(name: str, optional: bool = False, **connection: t.Any) -> dict[str, t.Any]:
    given = {"url": URL, "token": "good-token", **connection}
    return {"provider": name, "connection": given, "names": {}, "optional": optional}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., dict[str, t.Any]]:
    """Runs the module; what the providers say is given by name, and they are valid otherwise."""

    def work(*providers: dict[str, t.Any], **states: str) -> dict[str, t.Any]:
        def ask(service: str, _connection: t.Any, _policy: t.Any) -> verdicts.Verdict:
            return verdicts.Verdict(states.get(service, "valid"), message="said so", missing_scopes=["x:read"])

        monkeypatch.setattr(verdicts, "ask", ask)
        try:
            token_check.work(bulk.InProcess({"providers": list(providers), "timeout": 60.0}, check_mode=False))
        except bulk.Ended as end:
            return end.result
        raise AssertionError("it did not end")

    return work


def test_all_valid_is_well(run: t.Callable[..., dict[str, t.Any]]) -> None:
    result = run(asked("n8n"), asked("odoo"))
    assert not result.get("failed")
    assert result["changed"] is False
    assert result["summary"] == ["n8n: valid. said so", "odoo: valid. said so"]


@pytest.mark.parametrize("state", ["invalid", "insufficient", "unreachable"])
def test_one_that_is_not_valid_fails_with_3_after_all_were_asked(
    run: t.Callable[..., dict[str, t.Any]], state: str
) -> None:
    result = run(asked("n8n", optional=True), asked("odoo"), n8n=state)
    assert (result["failed"], result["exit_code"]) == (True, 3)
    assert result["providers"]["odoo"]["state"] == "valid"
    (row,) = result["errors"]
    assert (row["what"], row["where"]) == ("n8n", URL)
    assert state in row["why"]
    assert "docs/tokens.md#n8n" in row["next"]


def test_all_missing_ones_are_listed_at_once(run: t.Callable[..., dict[str, t.Any]]) -> None:
    result = run(asked("n8n", token=""), asked("odoo", token=""))
    assert [row["what"] for row in result["errors"]] == ["n8n", "odoo"]


def test_an_optional_one_may_be_missing(run: t.Callable[..., dict[str, t.Any]]) -> None:
    result = run(asked("n8n", optional=True, token=""), asked("odoo"))
    assert not result.get("failed")
    assert result["providers"]["n8n"]["state"] == "missing"


def test_an_optional_one_that_is_set_in_part_fails(run: t.Callable[..., dict[str, t.Any]]) -> None:
    result = run(asked("n8n", optional=True, token="", team="a-team"))
    assert [row["what"] for row in result["errors"]] == ["n8n"]


def test_a_token_in_the_place_of_the_address_is_not_shown(run: t.Callable[..., dict[str, t.Any]]) -> None:
    result = run(asked("n8n", url="planted-token-2"))
    assert "planted-token-2" not in str(result)
    assert result["errors"][0]["where"] == ""
