# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What requests do to the spec of a registered tenant."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import changes

NOW = "2026-11-22T15:26:43Z"
LONG_AGO = "2026-09-01T00:00:00Z"
SPEC: dict[str, Any] = {
    "rut": "12345678-5",
    "name": "Acme Corp",
    "slug": "acme",
    "plan": "starter",
    "owner": {"email": "ana@example.com"},
}


def stepped(
    spec: dict[str, Any], job: str, wish: dict[str, Any] | None = None, env: str = "production"
) -> dict[str, Any]:
    return changes.changed(spec, job, wish or {}, env, NOW, restorable_days=30)


def of_state(state: str, since: str = NOW) -> dict[str, Any]:
    return {**SPEC, "lifecycle": {"production": {"state": state, "since": since}}}


def test_an_update_touches_only_what_it_names() -> None:
    found = stepped(SPEC, "update", {"plan": "free", "phone": "+56912345678", "without": ["n8n"]})
    assert found == {
        **SPEC,
        "plan": "free",
        "owner": {"email": "ana@example.com", "phone": "+56912345678"},
        "services": {"n8n": {"enabled": False}},
    }
    assert SPEC["plan"] == "starter"


def test_an_empty_text_takes_an_optional_value_away() -> None:
    spec = {**SPEC, "custom_domain": "shop.example.com", "shopify": {"store": "acme.myshopify.com"}}
    assert stepped(spec, "update", {"custom_domain": "", "shopify_store": "", "email": ""}) == {
        key: value for key, value in SPEC.items() if key != "owner"
    }


def test_a_service_is_switched_on_again() -> None:
    off = stepped(SPEC, "update", {"without": ["n8n"]})
    assert stepped(off, "update", {"with": ["n8n"]})["services"] == {"n8n": {"enabled": True}}


@pytest.mark.parametrize("job", ["suspend", "delete", "purge"])
def test_a_step_of_life_is_of_one_environment_and_says_since_when(job: str) -> None:
    found = stepped(SPEC, job, {"reason": "unpaid"})
    state = {"suspend": "suspended", "delete": "deleted", "purge": "purged"}[job]
    assert found["lifecycle"] == {"production": {"state": state, "since": NOW, "reason": "unpaid"}}
    assert stepped(found, job, {"reason": "again"}) == found


@pytest.mark.parametrize(("job", "state"), [("resume", "suspended"), ("restore", "deleted")])
def test_a_step_back_leaves_no_trace(job: str, state: str) -> None:
    assert stepped(of_state(state), job) == SPEC


@pytest.mark.parametrize(
    ("job", "state"),
    [
        ("update", "deleted"),
        ("suspend", "deleted"),
        ("resume", "deleted"),
        ("resume", "purged"),
        ("restore", "purged"),
        ("restore", "suspended"),
        ("delete", "purged"),
    ],
)
def test_a_step_that_cannot_be_taken_says_what_can(job: str, state: str) -> None:
    with pytest.raises(changes.NotPossible) as refused:
        stepped(of_state(state), job)
    assert state in refused.value.why


def test_a_tenant_comes_back_only_within_the_days_of_the_registry() -> None:
    with pytest.raises(changes.NotPossible, match="30 days"):
        stepped(of_state("deleted", LONG_AGO), "restore")


@pytest.mark.parametrize(
    ("state", "since", "due"),
    [
        ("deleted", "2026-08-24T15:26:42Z", True),
        ("deleted", "2026-08-24T15:26:44Z", False),
        ("suspended", LONG_AGO, False),
        ("purged", NOW, True),
    ],
)
def test_data_are_due_to_go_after_ninety_days(state: str, since: str, due: bool) -> None:
    assert changes.is_due(of_state(state, since), "production", NOW, 90) is due
    assert changes.is_due(of_state(state, since), "staging", NOW, 90) is False


def test_overlaying_touches_only_what_differs() -> None:
    class Watched(dict[str, Any]):
        def __init__(self, **values: Any) -> None:
            self.touched: list[str] = []
            super().__init__(**values)

        def __setitem__(self, key: str, value: Any) -> None:
            self.touched.append(key)
            super().__setitem__(key, value)

    live = Watched(a=1, b={"c": 2, "d": 3}, gone=4)
    changes.overlaid(live, {"a": 1, "b": {"c": 2, "d": 5}, "new": 6})
    assert live == {"a": 1, "b": {"c": 2, "d": 5}, "new": 6}
    assert live.touched == ["new"]
