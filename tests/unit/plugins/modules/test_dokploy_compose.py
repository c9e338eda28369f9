"""The promises of dokploy_compose, kept against the sandbox's Dokploy."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.bulk import Ended, InProcess
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import dokploy as api
from ansible_collections.smartercl.smarteros.plugins.modules import dokploy_compose as module
from unit.plugins.wire import CUT, LOST, Sent, Wire, once, run_module, wired
from unit.sandbox.driver import dokploy

KEY = "sandbox-dokploy-token"
SECRET = "s3cret-database-password"
FILE = "services:\n  web:\n    image: example/web:1.0\n"
WISH: dict[str, Any] = {
    "project": "smarteros",
    "name": "n8n",
    "compose": FILE,
    "env": {"PASSWORD": SECRET, "MODE": "a b"},
}


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    return wired(dokploy, monkeypatch)


def run(wire: Wire, check: bool = False, **more: Any) -> dict[str, Any]:
    options = {"url": wire.base_url, "api_key": KEY, "poll": 0, "wait_timeout": 60, **WISH, **more}
    return run_module(module, check, **options)


def compose(wire: Wire, name: str = "n8n") -> dict[str, Any]:
    projects = wire.driver.ok("GET", "/api/project.all")
    rows = [row for each in projects for place in each["environments"] for row in place["compose"]]
    (found,) = [row for row in rows if row["name"] == name]
    whole: dict[str, Any] = wire.driver.ok("GET", "/api/compose.one", composeId=found["composeId"])
    return whole


def same(foretold: dict[str, Any], done: dict[str, Any]) -> bool:
    keys = ("changed", "changes", "diff")
    return [foretold[key] for key in keys] == [done[key] for key in keys]


def paths(wire: Wire) -> list[str]:
    return [sent.path.removeprefix("/api/") for sent in wire.writes]


def test_project_compose_and_deployment_are_made_and_the_end_is_waited_for(wire: Wire) -> None:
    foretold = run(wire, check=True)
    assert wire.writes == []
    answer = run(wire)
    assert "failed" not in answer, answer
    assert same(foretold, answer)
    assert paths(wire) == ["project.create", "compose.create", "compose.update", "compose.deploy"]
    there = compose(wire)
    assert (there["composeFile"], there["sourceType"], there["composeStatus"]) == (FILE, "raw", "done")
    assert there["env"] == f"MODE='a b'\nPASSWORD={SECRET}"
    assert there["description"] == "smarteros:compose:smarteros/production/n8n"
    assert [row["status"] for row in there["deployments"]] == ["done"]
    assert answer["deployed"] is True
    assert answer["ref"]["app_name"] == there["appName"]
    assert SECRET not in str(answer)


def test_a_second_run_only_reads(wire: Wire) -> None:
    run(wire)
    wire.sent.clear()
    answer = run(wire)
    assert (answer["changed"], answer["changes"], wire.writes, answer["deployed"]) == (False, [], [], True)


@pytest.mark.parametrize(
    "change", [{"compose": FILE.replace("1.0", "1.1")}, {"env": {"PASSWORD": "other-password", "MODE": "a b"}}]
)
def test_what_differs_is_updated_and_deployed_without_telling_values(wire: Wire, change: dict[str, Any]) -> None:
    run(wire)
    wire.sent.clear()
    foretold = run(wire, check=True, **change)
    answer = run(wire, **change)
    assert same(foretold, answer)
    assert paths(wire) == ["compose.update", "compose.deploy"]
    assert not any(secret in str(answer) for secret in (SECRET, "other-password"))


def test_what_was_changed_by_hand_is_put_right(wire: Wire) -> None:
    run(wire)
    number = compose(wire)["composeId"]
    wire.driver.ok("POST", "/api/compose.update", {"composeId": number, "env": "PASSWORD=by-hand"})
    answer = run(wire)
    (update, deployment) = answer["changes"]
    assert update["after"]["other_values"] == ["PASSWORD"]
    assert deployment["before"] == {"last": "done, this"}
    assert SECRET in compose(wire)["env"]


def test_a_deployment_by_hand_is_followed_by_ours(wire: Wire) -> None:
    run(wire)
    wire.driver.ok("POST", "/api/compose.deploy", {"composeId": compose(wire)["composeId"]})
    for _ in range(3):
        compose(wire)
    wire.sent.clear()
    assert run(wire)["deployed"] is True
    assert paths(wire) == ["compose.deploy"]


def test_a_failed_deployment_is_told_with_the_end_of_its_log_and_without_secrets(wire: Wire) -> None:
    answer = run(wire, compose="services: {web: {image: fails.example/web}}")
    assert (answer["failed"], answer["exit_code"], answer["changed"]) == (True, 1, True)
    why = answer["errors"][0]["why"]
    assert "manifest for fails.example not found" in why
    assert "status error" in why
    assert SECRET not in str(answer)
    again = run(wire, compose="services: {web: {image: fails.example/web}}")
    assert [change["before"] for change in again["changes"]] == []
    assert again["failed"]


@pytest.mark.parametrize(
    ("text", "status"), [("services: [", "error"), ("services: {web: {image: cancelled.example}}", "cancelled")]
)
def test_each_bad_end_is_an_error(wire: Wire, text: str, status: str) -> None:
    answer = run(wire, compose=text)
    assert answer["failed"]
    assert f"status {status}" in answer["msg"]


def test_a_compose_made_by_hand_is_taken_over_only_when_told_so(wire: Wire) -> None:
    made = wire.driver.ok("POST", "/api/project.create", {"name": "smarteros"})
    place = made["environment"]["environmentId"]
    wire.driver.ok("POST", "/api/compose.create", {"name": "n8n", "environmentId": place})
    answer = run(wire)
    assert (answer["failed"], answer["exit_code"], wire.writes) == (True, 3, [])
    assert "does not bear our mark" in answer["msg"]
    assert run(wire, adopt=True)["deployed"] is True
    assert run(wire)["changed"] is False


def test_names_that_are_there_twice_are_a_conflict(wire: Wire) -> None:
    for _ in range(2):
        wire.driver.ok("POST", "/api/project.create", {"name": "smarteros"})
    answer = run(wire)
    assert (answer["failed"], answer["exit_code"], wire.writes) == (True, 3, [])
    assert "2 projects named smarteros" in answer["msg"]


def test_another_environment_is_made(wire: Wire) -> None:
    assert run(wire, environment="staging")["deployed"] is True
    assert run(wire, environment="staging")["changed"] is False
    assert "environment.create" in paths(wire)


def test_a_compose_is_taken_away_and_its_volumes_stay(wire: Wire) -> None:
    run(wire)
    wire.sent.clear()
    foretold = run(wire, check=True, state="absent", compose=None)
    answer = run(wire, state="absent", compose=None)
    assert same(foretold, answer)
    assert wire.writes[0].json["deleteVolumes"] is False
    assert run(wire, state="absent", compose=None)["changed"] is False


@pytest.mark.parametrize("trouble", [LOST, CUT])
@pytest.mark.parametrize("at", ["project.create", "compose.create", "compose.update", "compose.deploy"])
def test_a_lost_answer_makes_nothing_twice(wire: Wire, trouble: str, at: str) -> None:
    wire.trouble = once(lambda sent: sent.path.endswith(at), trouble)
    assert run(wire)["deployed"] is True
    assert len(wire.driver.ok("GET", "/api/project.all")) == 1
    assert len(compose(wire)["deployments"]) == 1


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(4))
def test_a_run_that_dies_at_any_write_is_finished_by_the_next(wire: Wire, at: int, late: bool) -> None:
    count = [0]

    def die(sent: Sent) -> Any:
        if sent.method == "GET":
            return None
        count[0] += 1
        if count[0] - 1 == at:
            if late:
                wire.driver.send(sent.method, sent.path, sent.json)
            raise Killed
        return None

    wire.trouble = die
    defaults = {name: option.get("default") for name, option in module.OPTIONS.items()}
    params = {
        **defaults,
        "timeout": 5.0,
        "url": wire.base_url,
        "api_key": KEY,
        "poll": 0.0,
        "wait_timeout": 5.0,
        **WISH,
    }
    with pytest.raises((Killed, Ended)):
        module.work(InProcess(params, check_mode=False))
    wire.trouble = lambda _sent: None
    assert run(wire)["deployed"] is True
    assert run(wire)["changed"] is False
    assert len(wire.driver.ok("GET", "/api/project.all")) == 1
    assert len(compose(wire)["deployments"]) == 1


def test_an_update_that_does_not_arrive_is_noticed(wire: Wire) -> None:
    """Dokploy answers an unknown id, and whatever it ignores, with 200."""
    run(wire)
    wire.trouble = lambda sent: (200, None) if sent.path.endswith("compose.update") else None
    answer = run(wire, compose=FILE + "# more\n")
    assert "is not as it was sent" in answer["msg"]


def old_dokploy(sent: Sent) -> Any:
    """As 0.9 answers: no environments, no queue list, no logs; a compose belongs to a project."""
    if sent.path.endswith(("queueList", "readLogs", "user.get")):
        return (404, {"message": "Not found"})
    return None


def test_a_version_without_environments_works_too(wire: Wire) -> None:
    projects: list[dict[str, Any]] = []
    composes: dict[str, dict[str, Any]] = {}
    rows: list[dict[str, Any]] = []

    def answer(sent: Sent) -> Any:
        body, name = sent.json or {}, sent.path.removeprefix("/api/")
        if name == "settings.getDokployVersion":
            return (200, "v0.9.0")
        if name == "project.all":
            return (200, [{**each, "compose": list(composes.values())} for each in projects])
        if name == "project.create":
            projects.append({"projectId": "p1", **body})
            return (200, projects[-1])
        if name == "compose.create":
            assert body["projectId"] == "p1"
            composes["c1"] = {"composeId": "c1", "appName": "n8n-x", "composePath": "./docker-compose.yml", **body}
            return (200, composes["c1"])
        if name == "compose.update":
            composes["c1"].update(body)
            return (200, composes["c1"])
        if name == "compose.one":
            return (200, composes["c1"])
        if name == "compose.deploy":
            rows.insert(0, {"deploymentId": f"d{len(rows)}", "status": "done", **body})
            return (200, True)
        if name == "deployment.allByCompose":
            return (200, rows)
        return old_dokploy(sent)

    wire.trouble = answer
    assert run(wire)["deployed"] is True
    assert run(wire)["changed"] is False


# --- the key


@pytest.mark.parametrize(
    ("key", "state"), [(KEY, "valid"), ("sandbox-dokploy-limited", "insufficient"), ("other", "invalid")]
)
def test_the_key_check_tells_each_kind_of_key(wire: Wire, key: str, state: str) -> None:
    verdict = api.connect({"url": f"{wire.base_url}/", "api_key": key}).check()
    assert verdict["state"] == state
    assert wire.writes == []
    if state == "insufficient":
        assert verdict["missing_scopes"] == ["canCreateProjects", "canCreateServices"]
    if state == "invalid":
        assert "limit" in verdict["message"]


def test_the_expiry_of_the_key_is_told_where_it_is_known(wire: Wire) -> None:
    keys = [{"start": "other-", "expiresAt": None}, {"start": KEY[:6], "expiresAt": "2027-01-01T00:00:00.000Z"}]
    member = {"role": "owner", "user": {"email": "ana@example.com", "apiKeys": keys}}
    wire.trouble = lambda sent: (200, member) if sent.path.endswith("user.get") else None
    verdict = api.connect({"url": wire.base_url, "api_key": KEY}).check()
    assert (verdict["account"], verdict["expires"]) == ("ana@example.com (owner)", "2027-01-01T00:00:00.000Z")


def test_a_key_is_not_called_bad_while_the_database_is_down(wire: Wire) -> None:
    def down(sent: Sent) -> Any:
        status = 500 if sent.path.endswith("trpc/settings.health") else 401
        return (status, {"message": "Unauthorized"})

    wire.trouble = down
    verdict = api.connect({"url": wire.base_url, "api_key": KEY}).check()
    assert verdict["state"] == "unreachable"
    assert "database" in verdict["message"]


def test_a_failed_query_is_told_without_its_values(wire: Wire) -> None:
    text = f"Error adding: Failed query: insert into compose values ($1)\nparams: {SECRET}"
    wire.trouble = lambda sent: (400, {"message": text}) if sent.path.endswith("compose.update") else None
    answer = run(wire)
    assert "Error adding (HTTP 400)" in answer["msg"]
    assert SECRET not in str(answer)


@pytest.mark.parametrize("env", [{"A": "two\nlines"}, {"not a name": "x"}])
def test_an_environment_that_no_line_can_carry_is_refused(wire: Wire, env: dict[str, str]) -> None:
    answer = run(wire, env=env)
    assert (answer["failed"], answer["exit_code"], wire.sent) == (True, 3, [])
