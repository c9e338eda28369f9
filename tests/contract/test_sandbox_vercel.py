"""Every answer of the sandbox's Vercel fits Vercel's own description, and so does what the tests send it."""

from __future__ import annotations

from typing import Any

import pytest

from contract import vercel_openapi as contract
from unit.sandbox.driver_vercel import TeamDriver, vercel

pytestmark = contract.needed
ONE = "/v9/projects/smarteros-app"
DOMAINS = "/v10/projects/smarteros-app/domains"
ENV = "/v10/projects/smarteros-app/env"
TEXT = {"key": "A", "value": "1", "type": "plain", "target": ["production"]}


@pytest.fixture
def api() -> TeamDriver:
    return vercel()


def sound(api: TeamDriver, method: str, path: str, body: Any = None, **query: Any) -> Any:
    """The body of a good answer, after both ways were held against the description."""
    reply = api.send(method, path, body, **query)
    assert reply.status < 400, reply.body
    assert contract.faults(method, path, query, body, reply.status, reply.body) == []
    return reply.body


def test_what_tells_of_user_team_and_token_fits(api: TeamDriver) -> None:
    team = sound(api, "GET", "/v2/user")["user"]["defaultTeamId"]
    sound(api, "GET", f"/v2/teams/{team}")
    sound(api, "GET", "/v5/user/tokens/current")


def test_a_projects_life_fits(api: TeamDriver) -> None:
    git = {"type": "github", "repo": "smartercl/app"}
    made = sound(api, "POST", "/v11/projects", {"name": "shop", "framework": "nextjs", "gitRepository": git})
    assert (made["link"]["org"], made["link"]["repo"]) == ("smartercl", "app")
    sound(api, "PATCH", "/v9/projects/shop", {"buildCommand": "make", "framework": None})
    sound(api, "POST", f"/v1/projects/{made['id']}/pause")
    assert sound(api, "GET", "/v9/projects/shop")["paused"] is True
    sound(api, "POST", f"/v1/projects/{made['id']}/unpause")
    sound(api, "DELETE", "/v9/projects/shop")


@pytest.mark.parametrize("kind", ["github", "gitlab", "bitbucket"])
def test_a_link_to_each_host_fits(api: TeamDriver, kind: str) -> None:
    api.ok("POST", f"{ONE}/link", {"type": kind, "repo": "smartercl/app"})
    assert sound(api, "GET", ONE)["link"]["type"] == kind


def test_pages_of_projects_are_named_by_a_text(api: TeamDriver) -> None:
    first = sound(api, "GET", "/v10/projects", limit="1")
    assert isinstance(first["pagination"]["next"], str)
    second = sound(api, "GET", "/v10/projects", limit="1", **{"from": first["pagination"]["next"]})
    names = [first["projects"][0]["name"], second["projects"][0]["name"]]
    assert (sorted(names), second["pagination"]["next"]) == (["blog", "smarteros-app"], None)


def test_a_domains_life_fits(api: TeamDriver) -> None:
    made = sound(api, "POST", DOMAINS, {"name": "shop.example.com"})
    assert (made["verified"], made["verification"][0]["domain"]) == (False, "_vercel.example.com")
    one = f"{ONE}/domains/shop.example.com"
    sound(api, "GET", one)
    redirect = {"redirect": "suspended.smarterbot.cl", "redirectStatusCode": 307}
    assert sound(api, "PATCH", one, redirect)["redirect"] == "suspended.smarterbot.cl"
    sound(api, "PATCH", one, {"redirect": None, "redirectStatusCode": None, "gitBranch": None})
    assert sound(api, "GET", "/v6/domains/shop.example.com/config", projectIdOrName="smarteros-app")["misconfigured"]
    proof = made["verification"][0]
    api.ok("POST", "/_dns", {"name": proof["domain"], "type": "TXT", "value": proof["value"]})
    assert sound(api, "POST", f"{one}/verify")["verified"] is True
    sound(api, "DELETE", one, {"removeRedirects": False})


def test_pages_of_domains_are_named_by_moments(api: TeamDriver) -> None:
    for n in range(25):
        api.ok("POST", DOMAINS, {"name": f"t{n}.smarterbot.cl"})
    path = f"{ONE}/domains"
    names: set[str] = set()
    until: dict[str, Any] = {}
    for _page in range(3):
        page = sound(api, "GET", path, limit=10, **until)
        names |= {each["name"] for each in page["domains"]}
        until = {"until": page["pagination"]["next"]}
    assert (len(names), until) == (26, {"until": None})


def test_variables_fit_in_each_way_they_come(api: TeamDriver) -> None:
    assert sound(api, "POST", ENV, TEXT)["created"]["key"] == "A"
    both = [{**TEXT, "key": "B", "type": "sensitive", "comment": "x"}, {**TEXT, "key": "C", "type": "encrypted"}]
    made = sound(api, "POST", ENV, both, upsert="true")["created"]
    listed = {each["key"]: each for each in sound(api, "GET", ENV)["envs"]}
    assert (listed["A"]["value"], listed["B"]["value"]) == ("1", "")
    assert listed["C"]["value"] != "1"
    sound(api, "GET", f"/v1/projects/smarteros-app/env/{made[1]['id']}")
    sound(api, "PATCH", f"{ONE}/env/{made[1]['id']}", {"target": ["preview"]})
    sound(api, "DELETE", "/v1/projects/smarteros-app/env", {"ids": [made[0]["id"]]})
    sound(api, "DELETE", f"{ONE}/env/{made[1]['id']}")


def test_a_bulk_is_answered_201_with_its_failures_inside(api: TeamDriver) -> None:
    api.ok("POST", ENV, TEXT)
    body = [{**TEXT, "key": "B"}, {**TEXT, "target": ["production", "preview"]}, {**TEXT, "key": "AWS_REGION"}]
    answer = sound(api, "POST", ENV, body, upsert="true")
    assert [each["key"] for each in answer["created"]] == ["B"]
    assert [each["error"]["code"] for each in answer["failed"]] == ["ENV_CONFLICT", "RESERVED_ENV_VARIABLE"]


def test_every_refusal_has_the_error_envelope(api: TeamDriver) -> None:
    api.ok("POST", DOMAINS, {"name": "acme.smarterbot.cl"})
    bearer = {"authorization": "Bearer {}"}
    refused = {
        (403, "forbidden"): [
            api.send("GET", "/v2/user", headers={}),
            api.send("GET", "/v2/user", headers={"authorization": "Bearer wrong"}),
            api.send("GET", ONE, slug="strangers"),
            api.send(
                "GET",
                f"{ONE}/domains",
                headers={"authorization": bearer["authorization"].format("sandbox-vercel-limited")},
            ),
            api.send(
                "GET", "/v2/user", headers={"authorization": bearer["authorization"].format("sandbox-vercel-project")}
            ),
        ],
        (404, "not_found"): [
            api.send("GET", "/v9/projects/nothing"),
            api.send("GET", f"{ONE}/domains/nothing.example.com"),
            api.send("GET", "/v1/nowhere"),
        ],
        (400, "domain_already_in_use"): [api.send("POST", DOMAINS, {"name": "acme.smarterbot.cl"})],
        (409, "domain_already_in_use"): [api.send("POST", DOMAINS, {"name": "taken.example.com"})],
        (409, "conflict"): [api.send("POST", "/v11/projects", {"name": "blog"})],
        (400, "bad_request"): [
            api.send("POST", "/v11/projects", {"name": "a---b"}),
            api.send("POST", "/v11/projects", {"name": "fine", "colour": "red"}),
            api.send("POST", DOMAINS, b"{not json"),
            api.send("PATCH", f"{ONE}/domains/acme.smarterbot.cl", {"redirect": "b.example.com", "gitBranch": "x"}),
        ],
    }
    assert refused[403, "forbidden"][0].body["error"]["missingToken"] is True
    assert refused[403, "forbidden"][1].body["error"]["invalidToken"] is True
    api.engine.faults.add({"kind": "429"})
    refused[429, "rate_limited"] = [api.send("GET", ONE)]
    assert refused[429, "rate_limited"][0].body["error"]["limit"]["remaining"] == 0
    for (status, code), replies in refused.items():
        for reply in replies:
            assert (reply.status, reply.body["error"]["code"]) == (status, code)
            assert reply.body["error"]["message"]
            assert reply.headers["x-vercel-id"]


def test_without_the_team_everything_looks_absent(api: TeamDriver) -> None:
    reply = super(TeamDriver, api).outcome("GET", ONE).reply
    assert reply is not None
    assert (reply.status, reply.body["error"]["code"]) == (404, "not_found")
