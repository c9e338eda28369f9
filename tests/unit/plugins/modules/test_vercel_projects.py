"""The promises of vercel_projects, kept against the sandbox's Vercel."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import vercel_projects as api
from ansible_collections.smartercl.smarteros.plugins.modules import vercel_projects as module
from smos.sandbox.vercel_wire import TEAM
from unit.plugins.wire import CUT, LOST, Sent, Wire, once, run_module, wired
from unit.sandbox.driver_vercel import TOKEN, vercel

ENV = "/v10/projects/shop/env"
SECRET = "planted-value-55d1"


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    monkeypatch.setattr(api, "_BUSY_S", 0.0)
    return wired(vercel, monkeypatch)


def run(wire: Wire, *projects: dict[str, Any], check: bool = False) -> dict[str, Any]:
    return run_module(module, check, url=wire.base_url, token=TOKEN, team=TEAM, projects=list(projects))


def variable(key: str, value: str = SECRET, **more: Any) -> dict[str, Any]:
    return {"key": key, "value": value, **more}


def shop(*environment: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": "shop", "environment": list(environment), **more}


def variables(wire: Wire) -> dict[str, Any]:
    rows = wire.driver.ok("GET", ENV)["envs"]
    return {f"{row['key']} {'+'.join(row['target'])}": row for row in rows}


WHOLE = shop(
    variable("A", type="plain"),
    variable("B"),
    variable("C", type="encrypted", targets=["development"]),
    variable("D", targets=["preview"], branch="test"),
    framework="nextjs",
    git="github:smartercl/app",
    build_command="make",
)


def test_a_project_is_made_whole_and_a_second_run_changes_nothing(wire: Wire) -> None:
    foretold = run(wire, WHOLE, check=True)
    assert wire.writes == []
    done = run(wire, WHOLE)
    assert (foretold["results"], foretold["diff"]) == (done["results"], done["diff"])
    assert (done["results"][0]["created"], done["results"][0]["state"]) == (True, "ready")
    assert list(variables(wire)) == ["A production+preview", "B production+preview", "C development", "D preview"]
    assert wire.driver.ok("GET", "/v9/projects/shop")["link"]["repo"] == "app"
    wire.sent.clear()
    again = run(wire, WHOLE)
    assert (again["changed"], again["requests"], wire.writes) == (False, 2, [])


def test_no_value_of_a_variable_is_ever_told(wire: Wire) -> None:
    run(wire, WHOLE)
    changed = run(wire, shop(variable("A", f"{SECRET}-new", type="plain"), variable("B", f"{SECRET}-new")))
    assert changed["changed"]
    assert SECRET not in str(changed)
    assert changed["results"][0]["message"] == "changed variables apply to the next deployment"


def test_a_changed_value_is_noticed_without_reading_it_back(wire: Wire) -> None:
    run(wire, WHOLE)
    wire.sent.clear()
    answer = run(wire, shop(variable("B", "new")))
    (change,) = answer["results"][0]["changes"]
    assert change["what"] == "Vercel project shop, variable B (preview, production)"
    assert change["before"]["value"] != change["after"]["value"]
    assert not any("decrypt" in sent.params or "/v1/projects/shop/env/" in sent.path for sent in wire.sent)
    assert len(wire.writes) == 1


def test_what_someone_changed_by_hand_in_a_plain_variable_or_its_comment_is_closed(wire: Wire) -> None:
    run(wire, WHOLE)
    for key, field in (("A production+preview", "value"), ("B production+preview", "comment")):
        row = variables(wire)[key]
        wire.driver.ok("PATCH", f"/v9/projects/shop/env/{row['id']}", {field: "by hand"})
    assert len(run(wire, WHOLE)["results"][0]["changes"]) == 2
    assert run(wire, WHOLE)["changed"] is False


def test_a_variable_of_other_targets_is_edited_and_not_made_beside(wire: Wire) -> None:
    run(wire, shop(variable("A", targets=["production"])))
    before = next(iter(variables(wire).values()))["id"]
    run(wire, shop(variable("A", targets=["production", "preview"])))
    found = variables(wire)
    assert (list(found), next(iter(found.values()))["id"]) == (["A production+preview"], before)


def test_two_variables_where_one_is_wished_become_one(wire: Wire) -> None:
    run(wire, shop(variable("A", targets=["production"]), variable("A", targets=["preview"])))
    run(wire, shop(variable("A")))
    assert list(variables(wire)) == ["A production+preview"]
    assert run(wire, shop(variable("A")))["changed"] is False


def test_a_sensitive_variable_that_shall_be_readable_is_made_anew(wire: Wire) -> None:
    run(wire, shop(variable("A")))
    assert run(wire, shop(variable("A", type="plain")))["results"][0]["state"] == "ready"
    assert variables(wire)["A production+preview"]["value"] == SECRET


def test_pruning_takes_our_variables_only(wire: Wire) -> None:
    run(wire, WHOLE)
    wire.driver.ok("POST", ENV, {"key": "HAND", "value": "1", "type": "plain", "target": ["production"]})
    run(wire, shop(variable("A", type="plain"), prune=True))
    assert list(variables(wire)) == ["A production+preview", "HAND production"]


def test_an_answer_201_with_failures_is_a_failure(wire: Wire) -> None:
    answer = run(wire, shop(variable("AWS_REGION"), variable("B")), {"name": "other"})
    first, second = answer["results"]
    assert (first["state"], second["state"]) == ("failed", "ready")
    assert "AWS_REGION" in first["error"]["why"]
    assert "RESERVED_ENV_VARIABLE" in first["error"]["why"]


def test_a_variable_that_came_meanwhile_is_overwritten(wire: Wire) -> None:
    run(wire, shop())

    def meanwhile(sent: Sent) -> Any:
        if sent.method == "POST" and "A production" not in variables(wire):
            wire.driver.ok("POST", ENV, {"key": "A", "value": "1", "type": "plain", "target": ["production"]})
        return None

    wire.trouble = meanwhile
    assert run(wire, shop(variable("A")))["results"][0]["state"] == "ready"
    assert list(variables(wire)) == ["A production+preview"]


def test_a_write_waits_while_another_one_is_under_way(wire: Wire) -> None:
    busy = {"error": {"code": "bad_request", "message": "an ongoing update is already happening"}}
    run(wire, shop())
    wire.trouble = once(lambda sent: sent.method == "POST", (400, busy))
    assert run(wire, shop(variable("A")))["results"][0]["state"] == "ready"


def test_settings_git_and_pause_are_changed_and_what_is_not_named_stays(wire: Wire) -> None:
    run(wire, WHOLE)
    change = {"name": "shop", "framework": "", "git": "gitlab:smartercl/other", "paused": True}
    answer = run(wire, change)
    assert answer["results"][0]["state"] == "suspended"
    found = wire.driver.ok("GET", "/v9/projects/shop")
    assert (found["framework"], found["buildCommand"], found["paused"]) == (None, "make", True)
    assert (found["link"]["type"], found["link"]["projectName"]) == ("gitlab", "other")
    assert run(wire, change)["changed"] is False
    run(wire, {"name": "shop", "git": "", "paused": False})
    found = wire.driver.ok("GET", "/v9/projects/shop")
    assert ("link" in found, "paused" in found) == (False, False)


@pytest.mark.parametrize("what", [LOST, CUT])
@pytest.mark.parametrize("number", range(4))
def test_a_lost_answer_makes_nothing_twice(wire: Wire, number: int, what: str) -> None:
    run(wire, {"name": "first"})
    wire.sent.clear()

    def trouble(sent: Sent) -> Any:
        return what if len(wire.writes) == number + 1 and sent is wire.writes[-1] and sent.method != "GET" else None

    wire.trouble = trouble
    assert run(wire, WHOLE)["results"][0]["state"] == "ready"
    wire.trouble = lambda sent: None
    assert run(wire, WHOLE)["changed"] is False


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "Shop"},
        {"name": "a---b"},
        {"name": "shop", "git": "smartercl/app"},
        shop(variable("A", targets=["development"])),
        shop(variable("A", branch="test")),
        shop(variable("A"), variable("A", targets=["preview"])),
    ],
)
def test_what_vercel_would_refuse_is_told_before_anything_is_sent(wire: Wire, wrong: dict[str, Any]) -> None:
    answer = run(wire, wrong)
    assert (answer["results"][0]["state"], wire.sent) == ("failed", [])


def test_the_same_name_twice_is_refused(wire: Wire) -> None:
    assert run(wire, {"name": "shop"}, {"name": "shop"})["failed"]


def test_a_refused_token_touches_nothing(wire: Wire) -> None:
    answer = run_module(module, url=wire.base_url, token="wrong-token", team=TEAM, projects=[{"name": "shop"}])
    assert (answer["failed"], answer["exit_code"], wire.writes) == (True, 3, [])
    assert "wrong-token" not in str(answer["errors"])


@pytest.mark.parametrize("body", ["<html>", [], {"id": 7}, {"id": "p", "name": []}])
def test_a_senseless_project_is_one_clear_error(wire: Wire, body: Any) -> None:
    wire.trouble = lambda sent: (200, body)
    assert run(wire, {"name": "shop"})["msg"].startswith("Vercel cannot be used: ")


@pytest.mark.parametrize("body", ["<html>", [], {"envs": 1}, {"envs": [7]}, {"envs": [{"key": "A"}]}])
def test_senseless_variables_fail_their_project(wire: Wire, body: Any) -> None:
    run(wire, {"name": "shop"}, {"name": "other"})
    wire.trouble = lambda sent: (200, body) if sent.path.endswith("/env") else None
    answer = run(wire, shop(variable("A")), {"name": "other"})
    assert [row["state"] for row in answer["results"]] == ["failed", "ready"]
