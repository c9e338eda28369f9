"""The promises of vercel_deployments, kept against the sandbox's Vercel."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import web_look
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import vercel_projects as projects
from ansible_collections.smartercl.smarteros.plugins.modules import vercel_deployments as module
from smos.sandbox.vercel_wire import TEAM
from unit.plugins.wire import LOST, Sent, Wire, once, run_module, wired
from unit.sandbox.driver_vercel import TOKEN, vercel

SECRET = "planted-value-55d1"
HEALTH = "https://{host}{path}"


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    monkeypatch.setattr(projects, "_BUSY_S", 0.0)
    made = wired(vercel, monkeypatch)
    monkeypatch.setattr(web_look, "ask", lambda url, _timeout, _headers: look(made, url))
    return made


def look(wire: Wire, url: str) -> web_look.Page:
    """The page as the sandbox's Vercel would serve it."""
    reply = wire.driver.send("GET", f"/_web/{url.removeprefix('https://')}", headers={})
    return web_look.Page(reply.status, "" if reply.status < 400 else f"HTTP {reply.status}")


def body(wire: Wire, host: str) -> str:
    return str(wire.driver.send("GET", f"/_web/{host}", headers={}).body)


def frontend(service: str, ref: str = "v0.2.0", **more: Any) -> dict[str, Any]:
    item = {"service": service, "project": f"smarteros-{service}", "git": f"github:smartercl/{service}", "ref": ref}
    return {**item, "domain": f"{service}.smarterbot.cl", "framework": "nextjs", **more}


def run(wire: Wire, *frontends: dict[str, Any], check: bool = False, **more: Any) -> dict[str, Any]:
    options = {"environment": "sandbox", "release": "0.2.0", "poll": 0, "health_timeout": 0, **more}
    return run_module(module, check, url=wire.base_url, token=TOKEN, team=TEAM, frontends=list(frontends), **options)


def by_name(answer: dict[str, Any]) -> dict[str, Any]:
    return {row["service"]: row for row in answer["results"]}


APP = frontend("app", adopt=True, environment=[{"key": "KEY", "value": SECRET}])
DOCS = frontend("docs")


def test_frontends_are_deployed_as_foretold_and_a_second_run_changes_nothing(wire: Wire) -> None:
    foretold = run(wire, APP, DOCS, check=True)
    assert wire.writes == []
    done = run(wire, APP, DOCS)
    assert (foretold["changes"], foretold["diff"]) == (done["changes"], done["diff"])
    assert {row["state"] for row in foretold["results"]} == {"pending"}
    assert {row["state"] for row in done["results"]} == {"ready"}
    assert [row["ref"] for row in done["results"]] == ["v0.2.0", "v0.2.0"]
    assert body(wire, "docs.smarterbot.cl") == "smarteros-docs v0.2.0"
    assert wire.driver.ok("GET", "/v9/projects/smarteros-docs")["autoAssignCustomDomains"] is False
    assert SECRET not in str(done)
    wire.sent.clear()
    again = run(wire, APP, DOCS)
    assert (again["changed"], again["changes"], wire.writes) == (False, [], [])
    assert again["requests"] == 10


def test_a_ref_that_is_built_already_is_promoted_and_not_built_again(wire: Wire) -> None:
    for ref in ("v0.1.0", "v0.2.0"):
        run(wire, frontend("docs", ref))
    wire.sent.clear()
    done = run(wire, frontend("docs", "v0.1.0"))
    assert [each.path.split("/")[-2] for each in wire.writes] == ["promote"]
    (change,) = done["changes"]
    assert (change["before"]["ref"], change["after"]["ref"]) == ("v0.2.0", "v0.1.0")
    assert change["after"]["by"] == "the build that is there"


def test_another_value_of_a_variable_is_built_in(wire: Wire) -> None:
    run(wire, frontend("docs", environment=[{"key": "KEY", "value": SECRET}]))
    wire.sent.clear()
    done = run(wire, frontend("docs", environment=[{"key": "KEY", "value": f"{SECRET}-new"}]))
    assert [change["what"] for change in done["changes"]] == [
        "Vercel project smarteros-docs, variable KEY (preview, production)",
        "frontend docs",
    ]
    assert any(each.path == "/v13/deployments" for each in wire.writes)
    assert SECRET not in str(done)
    assert run(wire, frontend("docs", environment=[{"key": "KEY", "value": f"{SECRET}-new"}]))["changed"] is False


def test_a_build_that_fails_tells_its_last_lines_and_leaves_what_runs(wire: Wire) -> None:
    environment = [{"key": "KEY", "value": SECRET, "type": "encrypted"}]
    before = run(wire, frontend("docs", environment=environment))["results"][0]["deployment"]
    failed = run(wire, frontend("docs", "v0.3.0-broken", environment=environment), APP)
    rows = by_name(failed)
    assert (failed["failed"], failed["exit_code"], rows["app"]["state"]) == (True, 1, "ready")
    assert (rows["docs"]["state"], rows["docs"]["changed"], rows["docs"]["deployment"]) == ("failed", False, before)
    assert rows["docs"]["log"][-1] == 'Error: Command "npm run build" exited with 1'
    assert "using KEY=***" in rows["docs"]["log"]  # the build printed it
    assert rows["docs"]["log"][-1] in failed["errors"][0]["why"]
    assert SECRET not in str(failed)
    assert body(wire, "docs.smarterbot.cl") == "smarteros-docs v0.2.0"


def test_a_build_that_takes_too_long_goes_on_and_is_waited_for_by_the_next_run(wire: Wire) -> None:
    answer = run(wire, frontend("docs", "v0.3.0-slow"), wait_timeout=-1)
    assert (answer["failed"], answer["exit_code"]) == (True, 1)
    assert "has not ended" in answer["errors"][0]["why"]
    assert "the same command again waits for it" in answer["errors"][0]["next"]
    wire.sent.clear()
    done = run(wire, frontend("docs", "v0.3.0-slow"))
    assert done["changes"][-1]["after"]["by"] == "the build that is under way"
    assert not [each for each in wire.writes if each.path == "/v13/deployments"]
    assert body(wire, "docs.smarterbot.cl") == "smarteros-docs v0.3.0-slow"


def test_a_ref_that_is_in_no_repository_is_refused(wire: Wire) -> None:
    run(wire, DOCS)
    refused = run(wire, frontend("docs", "v0.3.0-nowhere"))
    assert (refused["exit_code"], refused["changed"]) == (2, False)
    assert "Vercel finds no v0.3.0-nowhere in github:smartercl/docs" in refused["msg"]
    assert run(wire, DOCS)["changed"] is False


def test_what_does_not_answer_is_never_promoted(wire: Wire) -> None:
    run(wire, DOCS)
    wire.sent.clear()
    failed = run(wire, frontend("docs", "v0.3.0-sick"))
    assert (failed["exit_code"], failed["changed"]) == (1, False)
    assert "the new build does not answer: HTTP 503" in failed["msg"]
    assert not [each for each in wire.writes if "/promote/" in each.path]
    assert body(wire, "docs.smarterbot.cl") == "smarteros-docs v0.2.0"


def test_a_domain_that_does_not_answer_after_the_promotion_is_rolled_back(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(wire, DOCS)

    def ill(url: str, _timeout: float, _headers: Any) -> web_look.Page:
        return web_look.Page(500, "HTTP 500") if "docs.smarterbot.cl" in url else look(wire, url)

    monkeypatch.setattr(web_look, "ask", ill)
    failed = run(wire, frontend("docs", "v0.3.0"))
    (row,) = failed["results"]
    assert (failed["exit_code"], row["rolled_back"], row["changed"], row["ref"]) == (1, True, False, "v0.2.0")
    assert "Production is back at v0.2.0" in failed["errors"][0]["next"]
    assert body(wire, "docs.smarterbot.cl") == "smarteros-docs v0.2.0"


def test_a_protected_build_is_looked_at_after_its_promotion(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    def guarded(url: str, _timeout: float, headers: Any) -> web_look.Page:
        closed = "vercel.app" in url and not headers
        return web_look.Page(401, "HTTP 401", protected=True) if closed else look(wire, url)

    monkeypatch.setattr(web_look, "ask", guarded)
    done = run(wire, DOCS)
    assert "set vercel_bypass" in done["results"][0]["message"]
    assert "sign-in" not in run(wire, frontend("docs", "v0.3.0"), bypass="s3cret-bypass")["results"][0]["message"]


def test_back_goes_by_vercels_own_call_and_builds_nothing(wire: Wire) -> None:
    for ref, release in (("v0.1.0", "0.1.0"), ("v0.2.0", "0.2.0")):
        run(wire, frontend("docs", ref), release=release)
    wire.sent.clear()
    old = frontend("docs", "v0.1.0", environment=[{"key": "NEW", "value": "x"}])
    foretold = run(wire, old, check=True, state="back", release="0.1.0")
    assert wire.writes == []
    done = run(wire, old, state="back", release="0.1.0")
    assert done["changes"] == foretold["changes"]
    assert [re.sub("dpl_.*|prj_[^/]*", "…", each.path) for each in wire.writes] == ["/v1/projects/…/rollback/…"]
    (row,) = done["results"]
    assert (row["state"], row["rolled_back"], row["ref"], row["before"]["ref"]) == ("ready", False, "v0.1.0", "v0.2.0")
    assert body(wire, "docs.smarterbot.cl") == "smarteros-docs v0.1.0"
    assert run(wire, old, state="back", release="0.1.0")["changed"] is False
    forth = run(wire, DOCS)  # the way forth again is a promotion
    assert [change["after"]["by"] for change in forth["changes"]] == ["the build that is there"]


def test_back_to_what_was_never_deployed_is_refused(wire: Wire) -> None:
    run(wire, DOCS)
    refused = run(wire, frontend("docs", "v0.1.0"), frontend("mkt", "v0.1.0"), state="back", release="0.1.0")
    assert (refused["exit_code"], len(refused["errors"])) == (4, 2)
    assert "--release 0.1.0" in refused["errors"][0]["next"]


def test_a_project_that_is_not_ours_is_refused_before_anything_is_touched(wire: Wire) -> None:
    refused = run(wire, DOCS, frontend("app"))
    assert (refused["exit_code"], wire.writes) == (4, [])
    assert "exists and does not bear our mark" in refused["msg"]
    run(wire, DOCS)
    other = run(wire, frontend("docs", adopt=True), environment="staging")
    assert (other["exit_code"], "bears the mark of sandbox/docs" in other["msg"]) == (4, True)
    docs = wire.driver.ok("GET", "/v9/projects/smarteros-docs")
    wire.driver.ok("POST", f"/v1/projects/{docs['id']}/pause")
    paused = run(wire, DOCS)
    assert (paused["exit_code"], "is paused and serves nothing" in paused["msg"]) == (4, True)


def test_a_run_that_died_once_its_project_was_made_is_gone_on_with(wire: Wire) -> None:
    wire.trouble = lambda sent: (500, {}) if sent.path.endswith("/env") and sent.method == "POST" else None
    assert run(wire, DOCS)["results"][0]["state"] == "failed"
    assert wire.driver.ok("GET", "/v9/projects/smarteros-docs")["name"] == "smarteros-docs"
    wire.trouble = lambda _sent: None
    assert run(wire, DOCS)["results"][0]["state"] == "ready"
    assert run(wire, DOCS)["changed"] is False


def test_an_answer_that_got_lost_makes_no_second_build(wire: Wire) -> None:
    wire.trouble = once(lambda sent: sent.path == "/v13/deployments", LOST)
    assert run(wire, DOCS)["results"][0]["state"] == "ready"
    listed = wire.driver.ok("GET", "/v7/deployments", projectId="smarteros-docs")["deployments"]
    assert len(listed) == 1
    wire.trouble = once(lambda sent: "/promote/" in sent.path, LOST)
    assert run(wire, frontend("docs", "v0.3.0"))["results"][0]["ref"] == "v0.3.0"


def test_too_many_requests_only_slow_it_down(wire: Wire) -> None:
    answer = {"error": {"code": "rate_limited", "message": "Too many requests"}}
    wire.trouble = once(lambda sent: sent.path.startswith("/v13/deployments/dpl_"), (429, answer))
    assert run(wire, DOCS)["results"][0]["state"] == "ready"


def test_where_vercel_refuses_the_token_nothing_is_attempted(wire: Wire) -> None:
    answer = run_module(
        module, url=wire.base_url, token="wrong", team=TEAM, environment="sandbox", frontends=[APP, DOCS]
    )
    assert (answer["exit_code"], len(answer["errors"])) == (3, 1)
    one = once(lambda sent: sent.path == "/v9/projects/smarteros-docs", (500, {"error": {"message": "x"}}))
    wire.trouble = lambda sent: (
        (500, {"error": {"message": "x"}}) if sent.path.endswith("smarteros-docs") else one(sent)
    )
    partly = run(wire, APP, DOCS)
    assert (partly["exit_code"], wire.writes) == (3, [])
    assert [row["what"] for row in partly["errors"]] == ["frontend docs"]


def test_a_domain_that_is_not_verified_is_told_with_its_record(wire: Wire) -> None:
    foreign = frontend("docs", domain="docs.example.com")
    done = run(wire, foreign)
    (row,) = done["results"]
    assert row["state"] == "ready"
    assert "docs.example.com is not verified; missing in DNS: TXT _vercel.example.com" in row["message"]
    assert "was not looked at" in row["message"]
    wire.sent.clear()
    again = run(wire, foreign)  # the domain shows nothing yet; the last promotion tells what would be shown
    assert (again["changed"], [each.path.rpartition("/")[2] for each in wire.writes]) == (False, ["verify"])
    assert "is not verified" in again["results"][0]["message"]
    proof = wire.driver.ok("GET", "/v9/projects/smarteros-docs/domains/docs.example.com")["verification"][0]
    for record in (
        {"name": proof["domain"], "type": "TXT", "value": proof["value"]},
        {"name": "docs.example.com", "type": "CNAME", "value": "cname.vercel-dns.com"},
    ):
        wire.driver.ok("POST", "/_dns", record)
    proven = run(wire, foreign)
    assert (proven["changed"], proven["results"][0]["message"]) == (False, "")
    wire.sent.clear()
    assert (run(wire, foreign)["changed"], wire.writes) == (False, [])


def test_a_move_that_failed_is_told(wire: Wire) -> None:
    run(wire, DOCS)

    def failing(sent: Sent) -> Any:
        if (
            sent.path.startswith("/v9/projects/prj_")
            and sent.method == "GET"
            and any("/promote/" in s.path for s in wire.sent)
        ):
            found = wire.driver.ok("GET", "/v9/projects/smarteros-docs")
            return 200, {**found, "lastAliasRequest": {**found["lastAliasRequest"], "jobStatus": "failed"}}
        return None

    wire.sent.clear()
    wire.trouble = failing
    failed = run(wire, frontend("docs", "v0.3.0"))
    assert "Vercel's promote ended as failed" in failed["msg"]
