"""Every request for deployments fits Vercel's own description, and so does every answer of the sandbox."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import web_look
from ansible_collections.smartercl.smarteros.plugins.modules import vercel_deployments
from contract import vercel_openapi as contract
from smos.sandbox.vercel_wire import TEAM
from unit.plugins.wire import Wire, run_module, wired
from unit.sandbox.driver_vercel import TOKEN, TeamDriver, vercel

pytestmark = contract.needed
GIT = {"type": "github", "org": "smartercl", "repo": "app", "ref": "v0.2.0"}
# Newer than the description: the list moved on to another version, the rollback was described nowhere
MOVED = {"/v7/deployments": "/v6/deployments"}
NEWER = re.compile(r"/v1/projects/[^/]+/rollback/[^/]+")


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    monkeypatch.setattr(web_look, "ask", lambda _url, _timeout, _headers: web_look.Page(200))
    return wired(vercel, monkeypatch)


def deploy(wire: Wire, ref: str, git: str = "github:smartercl/docs", **more: Any) -> dict[str, Any]:
    item = {"service": "docs", "project": "smarteros-docs", "git": git, "ref": ref, "domain": "docs.smarterbot.cl"}
    options = {"environment": "sandbox", "release": "0.2.0", "poll": 0, **more}
    return run_module(vercel_deployments, url=wire.base_url, token=TOKEN, team=TEAM, frontends=[item], **options)


def check(wire: Wire) -> None:
    """Each request is in the description, or newer than it; all are in the newest client, but the link, which is nowhere."""
    known = {(method, re.sub(r"\{[^}]+\}", "[^/]+", path)) for method, path in contract.newest()}
    for sent in wire.sent:
        if sent.path.endswith(contract.UNDESCRIBED):
            continue
        assert any(sent.method == method and re.fullmatch(path, sent.path) for method, path in known), sent
        if not NEWER.fullmatch(sent.path):
            path = MOVED.get(sent.path, sent.path)
            assert contract.faults(sent.method, path, sent.params, sent.json) == []
        assert sent.params["teamId"] == TEAM


def test_every_request_of_a_deploy_and_of_its_way_back_fits(wire: Wire) -> None:
    for ref in ("v0.1.0", "v0.2.0", "v0.3.0-broken"):
        deploy(wire, ref)
    assert deploy(wire, "v0.1.0", state="back")["results"][0]["ref"] == "v0.1.0"
    sent = {re.sub("(prj|dpl)_[^/]+", "ID", f"{each.method} {each.path}") for each in wire.sent}
    assert {
        "POST /v11/projects",
        "PATCH /v9/projects/ID",
        "GET /v4/aliases/docs.smarterbot.cl",
        "GET /v7/deployments",
        "POST /v13/deployments",
        "GET /v13/deployments/ID",
        "GET /v3/deployments/ID/events",
        "POST /v10/projects/ID/promote/ID",
        "POST /v1/projects/ID/rollback/ID",
    } <= sent
    check(wire)


@pytest.mark.parametrize("host", ["gitlab", "bitbucket"])
def test_each_host_of_repositories_is_named_in_its_own_way(wire: Wire, host: str) -> None:
    assert deploy(wire, "v0.2.0", f"{host}:smartercl/docs")["results"][0]["state"] == "ready"
    check(wire)


def sound(api: TeamDriver, method: str, path: str, body: Any = None, **query: Any) -> Any:
    """The body of a good answer, after both ways were held against the description."""
    reply = api.send(method, path, body, **query)
    assert reply.status < 400, reply.body
    assert contract.faults(method, path, query, body, reply.status, reply.body) == []
    return reply.body


def test_the_sandboxs_answers_fit(wire: Wire) -> None:
    api = vercel()
    wish = {"name": "smarteros-app", "target": "production", "gitSource": GIT, "meta": {"a": "b"}}
    made = sound(api, "POST", "/v13/deployments", wish, forceNew="1", skipAutoDetectionConfirmation="1")
    one = f"/v13/deployments/{made['id']}"
    states = [made["readyState"], *(sound(api, "GET", one)["readyState"] for _look in range(2))]
    assert states == ["QUEUED", "BUILDING", "READY"]
    assert sound(api, "GET", one)["readySubstate"] == "PROMOTED"  # by itself, as long as the project says nothing else
    query = {"projectId": "smarteros-app", "target": "production", "limit": 1}
    assert sound(api, "GET", "/v6/deployments", **query)["deployments"][0]["uid"] == made["id"]
    (shown,) = sound(api, "GET", "/v4/aliases/app.smarterbot.cl")
    assert shown["deploymentId"] == made["id"]
    broken = sound(api, "POST", "/v13/deployments", {**wish, "gitSource": {**GIT, "ref": "v1.0-broken"}})
    ended = [sound(api, "GET", f"/v13/deployments/{broken['id']}") for _look in range(2)][-1]
    assert (ended["readyState"], ended["errorCode"]) == ("ERROR", "BUILD_FAILED")
    said = sound(api, "GET", f"/v3/deployments/{broken['id']}/events", builds=1, direction="backward", limit=2)
    assert [each["payload"]["text"].split(":")[0] for each in said] == ["Error", "Type error"]
    sound(api, "PATCH", "/v9/projects/smarteros-app", {"autoAssignCustomDomains": False})
    staged = sound(api, "POST", "/v13/deployments", {**wish, "gitSource": {**GIT, "ref": "v1.1.0"}})
    for _look in range(2):
        sound(api, "GET", f"/v13/deployments/{staged['id']}")
    assert sound(api, "GET", f"/v13/deployments/{staged['id']}")["readySubstate"] == "STAGED"
    sound(api, "POST", f"/v10/projects/smarteros-app/promote/{staged['id']}")
    moves = [sound(api, "GET", "/v9/projects/smarteros-app")["lastAliasRequest"]["jobStatus"] for _look in range(2)]
    assert moves == ["in-progress", "succeeded"]
    sound(api, "GET", "/v1/projects/smarteros-app/promote/aliases", failedOnly="true")


def test_what_vercel_refuses_is_refused() -> None:
    api = vercel()
    wish = {"name": "smarteros-app", "target": "production", "gitSource": GIT}
    made = api.ok("POST", "/v13/deployments", wish)["id"]
    refused = [
        api.send("POST", "/v13/deployments", {**wish, "gitSource": {**GIT, "ref": "v1.0-nowhere"}}),
        api.send("POST", "/v13/deployments", {**wish, "colour": "red"}),
        api.send("POST", f"/v10/projects/smarteros-app/promote/{made}"),
        api.send("GET", "/v13/deployments/dpl_none"),
        api.send("GET", "/v4/aliases/nobody.example.com"),
        api.send("GET", f"/v13/deployments/{made}", headers={"authorization": "Bearer wrong"}),
    ]
    assert [(each.status, each.body["error"]["code"]) for each in refused] == [
        (400, "incorrect_git_source_info"),
        (400, "bad_request"),
        (400, "bad_request"),
        (404, "not_found"),
        (404, "not_found"),
        (403, "forbidden"),
    ]
    for _look in range(2):
        api.ok("GET", f"/v13/deployments/{made}")
    staged = api.send("POST", f"/v1/projects/blog/rollback/{made}")
    assert staged.status == 404
    api.ok("POST", f"/v10/projects/smarteros-app/promote/{made}")
    assert api.send("POST", f"/v10/projects/smarteros-app/promote/{made}").status == 409
