"""Every request that the Vercel clients send fits Vercel's own description, with the version of each endpoint."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import vercel as api
from ansible_collections.smartercl.smarteros.plugins.modules import vercel_domains, vercel_projects
from contract import vercel_openapi as contract
from smos.sandbox.vercel_wire import TEAM
from unit.plugins.wire import LOST, Sent, Wire, once, run_module, wired
from unit.sandbox.driver_vercel import TOKEN, vercel

pytestmark = contract.needed


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    return wired(vercel, monkeypatch)


def check(wire: Wire) -> None:
    """Everything sent so far is in the description; all but the check of the token in the newest client as well."""
    known = {(method, re.sub(r"\{[^}]+\}", "[^/]+", path)) for method, path in contract.newest()}
    for sent in wire.sent:
        if sent.path.endswith(contract.UNDESCRIBED):
            continue
        assert contract.faults(sent.method, sent.path, sent.params, sent.json) == []
        if not sent.path.startswith(("/v5/user/tokens", "/v2/teams")):
            assert any(sent.method == method and re.fullmatch(path, sent.path) for method, path in known), sent


def teams(wire: Wire) -> set[Any]:
    return {sent.params.get("teamId") for sent in wire.sent if "/user" not in sent.path}


def test_every_request_of_the_domains_fits(wire: Wire) -> None:
    wire.trouble = once(lambda sent: sent.method == "POST", LOST)
    common: dict[str, Any] = {
        "url": wire.base_url,
        "token": TOKEN,
        "team": TEAM,
        "project": "smarteros-app",
        "suspension_host": "s.example.com",
    }
    known = {"acme.smarterbot.cl": "ok", "gone.example.com": "ok"}
    lives: tuple[dict[str, Any], ...] = (
        {"state": "present", "domains": ["acme.smarterbot.cl", "shop.example.com"]},
        {"state": "suspended", "domains": ["acme.smarterbot.cl"], "known": {"shop.example.com": "unverified"}},
        {"state": "present", "domains": ["acme.smarterbot.cl", "gone.example.com"], "known": known},
        {"state": "absent", "domains": ["acme.smarterbot.cl"], "known": known},
    )
    for life in lives:
        answer = run_module(vercel_domains, **common, domains=[{"tenant": "1-9", **life}])
        assert answer["results"][0]["state"] in ("ready", "suspended", "absent"), answer
    assert {sent.method for sent in wire.sent} == {"GET", "POST", "PATCH", "DELETE"}
    assert teams(wire) == {TEAM}
    check(wire)


def test_every_request_of_the_projects_fits(wire: Wire) -> None:
    common: dict[str, Any] = {"url": wire.base_url, "token": TOKEN, "team": TEAM}
    variables: list[dict[str, Any]] = [
        {"key": "A", "value": "1", "type": "plain"},
        {"key": "B", "value": "2"},
        {"key": "C", "value": "3", "type": "encrypted", "targets": ["preview"], "branch": "main"},
    ]
    lives: tuple[dict[str, Any], ...] = (
        {"framework": "nextjs", "git": "github:smartercl/app", "environment": variables},
        {"framework": "", "build_command": "make", "git": "gitlab:smartercl/app", "paused": True},
        {"paused": False, "environment": [{**variables[0], "targets": ["production"]}], "prune": True},
    )
    for life in lives:
        answer = run_module(vercel_projects, **common, projects=[{"name": "shop", **life}])
        assert answer["results"][0]["state"] != "failed", answer
    assert {sent.method for sent in wire.sent} == {"GET", "POST", "PATCH", "DELETE"}
    assert teams(wire) == {TEAM}
    check(wire)


def test_every_request_of_a_token_check_fits(wire: Wire) -> None:
    connection = {"url": wire.base_url, "token": TOKEN, "team": TEAM, "project": "smarteros-app"}
    client = api.connect(connection)
    assert client.check()["state"] == "valid"
    client.claimed([{"id": "1-9", "domain": "acme.smarterbot.cl", "custom_domain": None}])
    assert api.connect({**connection, "project": ""}).check()["state"] == "valid"
    assert teams(wire) == {TEAM}
    check(wire)


def test_the_team_may_be_named_by_its_slug(wire: Wire) -> None:
    def slug(sent: Sent) -> Any:
        return sent.params.get("slug")

    connection = {"url": wire.base_url, "token": TOKEN, "team": "smarteros-sandbox", "project": "smarteros-app"}
    assert api.connect(connection).check()["state"] == "valid"
    assert {slug(sent) for sent in wire.sent if "/user" not in sent.path} == {"smarteros-sandbox"}
