"""The Vercel client against the sandbox's Vercel: tokens, teams, errors, pages."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import vercel as api
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Answer
from smos.sandbox.vercel_wire import PROJECT_TOKEN, TEAM
from unit.plugins.wire import CUT, Wire, wired
from unit.sandbox.driver_vercel import TOKEN, vercel


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    return wired(vercel, monkeypatch)


def client(wire: Wire, token: str = TOKEN, **more: str) -> api.Vercel:
    connection = {"url": wire.base_url, "token": token, "team": TEAM, "project": "smarteros-app", **more}
    return api.connect(connection)


def test_a_good_token_is_valid_and_tells_whose_it_is_and_when_it_ends(wire: Wire) -> None:
    verdict = client(wire).check()
    assert (verdict["state"], verdict["account"]) == ("valid", "smarteros-sandbox")
    assert (verdict["expires"], verdict["missing_scopes"]) == ("2028-01-01T00:00:00Z", [])
    assert wire.writes == []


@pytest.mark.parametrize("project", ["smarteros-app", PROJECT_TOKEN])
def test_a_token_for_one_project_is_valid_though_it_may_not_ask_for_the_user(wire: Wire, project: str) -> None:
    verdict = client(wire, "sandbox-vercel-project", project=project).check()
    assert (verdict["state"], verdict["account"], verdict["expires"]) == ("valid", "a token for one project", "")


@pytest.mark.parametrize(
    ("token", "more", "state", "lacking"),
    [
        ("wrong", {}, "invalid", []),
        ("sandbox-vercel-limited", {}, "insufficient", ["the domains of smarteros-app"]),
        ("sandbox-vercel-project", {"project": "blog"}, "insufficient", [f"project blog of team {TEAM}"]),
        (TOKEN, {"project": "nothing"}, "insufficient", [f"project nothing of team {TEAM}"]),
        (TOKEN, {"team": "strangers"}, "insufficient", ["project smarteros-app of team strangers"]),
        (TOKEN, {"team": ""}, "insufficient", ["project smarteros-app"]),
        (TOKEN, {"project": ""}, "valid", []),
    ],
)
def test_each_kind_of_token_gets_its_verdict(
    wire: Wire, token: str, more: dict[str, str], state: str, lacking: list[str]
) -> None:
    verdict = client(wire, token, **more).check()
    assert (verdict["state"], verdict["missing_scopes"]) == (state, lacking)
    assert verdict["message"]
    assert "wrong" not in str(verdict)


@pytest.mark.parametrize("answer", [CUT, (500, {}), (503, "down")])
@pytest.mark.parametrize("path", ["/v2/user", "/v5/user/tokens/current", "/v9/projects/smarteros-app"])
def test_what_cannot_be_reached_is_told_so_and_never_raised(wire: Wire, path: str, answer: Any) -> None:
    wire.trouble = lambda sent: answer if sent.path == path else None
    assert client(wire).check()["state"] == "unreachable"


@pytest.mark.parametrize("answer", [(200, []), (200, "<html>"), (200, {"user": []}), (302, {}), (410, {"error": {}})])
def test_senseless_answers_to_a_check_are_told_and_never_raised(wire: Wire, answer: Any) -> None:
    wire.trouble = lambda sent: answer
    assert client(wire).check()["state"] in ("invalid", "valid", "insufficient")


@pytest.mark.parametrize("expires", [None, "soon", True, -1, 10**18, {"a": 1}])
def test_an_end_that_is_no_moment_is_none(wire: Wire, expires: Any) -> None:
    body = {"token": {"expiresAt": expires}}
    wire.trouble = lambda sent: (200, body) if "tokens" in sent.path else None
    assert client(wire).check()["expires"] == ""


@pytest.mark.parametrize(
    ("status", "error", "kind", "code"),
    [
        (403, {"code": "forbidden", "invalidToken": True}, errors.REFUSED, "invalid_token"),
        (403, {"code": "forbidden", "missingToken": True}, errors.REFUSED, "missing_token"),
        (403, {"code": "team_unauthorized"}, errors.REFUSED, "team_unauthorized"),
        (402, {"code": "payment_required"}, errors.INVALID, "payment_required"),
        (404, {"code": "not_found"}, errors.MISSING, "not_found"),
        (409, {"code": "domain_already_in_use"}, errors.CONFLICT, "domain_already_in_use"),
        (410, {"code": "gone"}, errors.INVALID, "gone"),
        (429, {"code": "rate_limited"}, errors.THROTTLED, "rate_limited"),
    ],
)
def test_an_error_tells_vercels_words_code_and_request(
    wire: Wire, status: int, error: dict[str, Any], kind: str, code: str
) -> None:
    answer = Answer(status, {"x-vercel-id": "iad1::abc"}, {"error": {**error, "message": f"no {TOKEN}"}})
    found = client(wire).http.error(answer, "GET x")
    assert (found.kind, found.code, found.status) == (kind, code, status)
    assert found.message == f"no *** (Vercel error {error['code']}, request iad1::abc)"


def test_a_list_without_an_end_is_told(wire: Wire) -> None:
    wire.trouble = lambda sent: (200, {"domains": [], "pagination": {"next": 7}})
    with pytest.raises(ApiError, match="circles"):
        client(wire).domains()


@pytest.mark.parametrize(
    ("name", "normal"),
    [("ACME.Example.com.", "acme.example.com"), ("ñandú.cl", "xn--and-6ma2c.cl"), ("a.co", "a.co")],
)
def test_a_name_has_one_spelling(name: str, normal: str) -> None:
    assert api.normal_name(name) == normal


@pytest.mark.parametrize(
    "name", ["", "localhost", "a b.cl", "https://a.cl", "a..cl", "-a.cl", "a" * 64 + ".cl", "192.0.2.1"]
)
def test_what_is_no_domain_is_refused(name: str) -> None:
    with pytest.raises(ApiError):
        api.normal_name(name)


def test_a_domain_bound_to_a_branch_is_claimed_and_a_free_one_is_not(wire: Wire) -> None:
    body = {"name": "acme.smarterbot.cl", "gitBranch": "test"}
    wire.driver.ok("POST", "/v10/projects/smarteros-app/domains", body)
    tenants = [
        {"id": f"{n}-9", "domain": f"{slug}.smarterbot.cl", "custom_domain": None}
        for n, slug in enumerate(("acme", "b"))
    ]
    assert client(wire).claimed(tenants) == {"0-9": "acme.smarterbot.cl shows test of project smarteros-app"}
    assert client(wire).claimed([]) == {}
