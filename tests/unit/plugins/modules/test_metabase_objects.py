"""The promises of metabase_objects, kept against the sandbox's Metabase."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import metabase as api
from ansible_collections.smartercl.smarteros.plugins.modules import metabase_objects as module
from unit.plugins.wire import CUT, LOST, Sent, Wire, once, run_module, wired
from unit.sandbox.driver import metabase

KEY, MASTER = "sandbox-metabase-token", "an-obviously-fake-master-secret"
SPECS = Path(__file__).parents[4] / "specs" / "dashboards"
ACME = {"tenant": "76086428-5", "name": "Acme Corp", "slug": "acme-corp"}
BETA = {"tenant": "12345678-5", "name": "Beta", "slug": "beta"}
SESSION = {"x-metabase-session": "sandbox-metabase-session"}


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    return wired(metabase, monkeypatch)


def run(wire: Wire, *objects: dict[str, Any], check: bool = False, **more: Any) -> dict[str, Any]:
    arguments = {
        "url": wire.base_url,
        "api_key": KEY,
        "dashboards": str(SPECS),
        "reader_host": "db.example.com",
        "master_secret": MASTER,
        **more,
    }
    return run_module(module, check, objects=list(objects), **arguments)


def rows(wire: Wire, path: str, **query: Any) -> Any:
    answer = wire.driver.ok("GET", path, **query)
    return answer["data"] if isinstance(answer, dict) and "data" in answer else answer


def ours(wire: Wire, path: str, tenant: dict[str, Any] = ACME) -> list[dict[str, Any]]:
    return [row for row in rows(wire, path) if tenant["tenant"] in f"{row['name']} {row.get('description')}"]


def access(wire: Wire) -> dict[str, Any]:
    groups: dict[str, Any] = wire.driver.ok("GET", "/api/collection/graph")["groups"]
    return groups


def without_ids(wire: Wire) -> str:
    """Everything that Metabase holds, as a text to compare."""
    paths = ("collection/tree", "permissions/group", "database", "card", "dashboard", "collection/graph")
    return json.dumps([wire.driver.ok("GET", f"/api/{path}") for path in paths], sort_keys=True)


def test_a_tenant_gets_collection_group_connection_and_dashboards(wire: Wire) -> None:
    result = run(wire, ACME)["results"][0]
    assert (result["state"], result["created"]) == ("ready", True)
    assert sorted(result["ref"]) == ["collection_id", "database_id", "group_id"]
    (collection,), (group,), (database,) = (
        ours(wire, f"/api/{path}") for path in ("collection/tree", "permissions/group", "database")
    )
    assert (collection["name"], collection["description"]) == ("Acme Corp (76086428-5)", "smarteros:76086428-5")
    assert group["name"] == "Acme Corp (smarteros:76086428-5)"
    assert database["details"]["user"] == "tenant_acme_corp_reader"
    dashboards = rows(wire, "/api/dashboard")
    assert sorted(row["name"] for row in dashboards) == ["Actividad", "Resumen"]
    layout = wire.driver.ok("GET", f"/api/dashboard/{dashboards[0]['id']}")["dashcards"]
    assert [card["row"] for card in layout] == [0, 0, 6]


def test_nobody_but_the_tenants_group_may_open_its_collection(wire: Wire) -> None:
    answer = run(wire, ACME, BETA)
    groups = access(wire)
    assert "1" not in groups  # All Users
    for result in answer["results"]:
        ref = result["ref"]
        assert groups[str(ref["group_id"])] == {str(ref["collection_id"]): "read"}


def test_nobody_may_write_queries_for_a_tenants_connection(wire: Wire) -> None:
    run(wire, ACME)
    run(wire, BETA)
    graph = wire.driver.ok("GET", "/api/permissions/graph")["groups"]
    levels = [rights.get("create-queries") for group, each in graph.items() if group != "2" for rights in each.values()]
    assert levels == [None] * len(levels)
    assert levels


def test_a_second_run_changes_nothing_and_reads_little(wire: Wire) -> None:
    run(wire, ACME, BETA)
    wire.sent.clear()
    again = run(wire, ACME, BETA)
    assert (again["changed"], wire.writes) == (False, [])
    many = [{"tenant": f"{number}-0", "name": "X", "slug": f"x{number}", "state": "absent"} for number in range(20)]
    assert run(wire, ACME, BETA, *many)["requests"] <= 10


@pytest.mark.parametrize("state", ["present", "suspended", "absent"])
def test_check_mode_foretells_the_run_and_writes_nothing(wire: Wire, state: str) -> None:
    if state != "present":
        run(wire, ACME, BETA)
        wire.sent.clear()
    foretold = run(wire, {**ACME, "state": state}, BETA, check=True)
    assert wire.writes == []
    done = run(wire, {**ACME, "state": state}, BETA)
    assert foretold["diff"] == done["diff"]
    for early, late in zip(foretold["results"], done["results"], strict=True):
        assert {key: early[key] for key in ("state", "created", "changes")} == {
            key: late[key] for key in ("state", "created", "changes")
        }


def test_suspending_closes_the_collection_and_resuming_opens_it(wire: Wire) -> None:
    ref = run(wire, ACME)["results"][0]["ref"]
    before = rows(wire, "/api/card")
    suspended = run(wire, {**ACME, "state": "suspended"})["results"][0]
    assert (suspended["state"], len(suspended["changes"])) == ("suspended", 1)
    assert str(ref["group_id"]) not in access(wire)
    assert rows(wire, "/api/card") == before
    assert not run(wire, {**ACME, "state": "suspended"})["changed"]
    assert run(wire, ACME)["results"][0]["state"] == "ready"
    assert access(wire)[str(ref["group_id"])] == {str(ref["collection_id"]): "read"}


def test_absent_leaves_nothing_of_the_tenant_and_all_of_the_others(wire: Wire) -> None:
    run(wire, BETA)
    wire.driver.ok("POST", "/api/collection", {"name": "Acme Corp (76086428-5)"})
    before = without_ids(wire)
    run(wire, ACME)
    gone = run(wire, {**ACME, "state": "absent"})["results"][0]
    assert gone["state"] == "absent"
    graph = json.loads(before)
    assert json.loads(without_ids(wire))[:5] == graph[:5]
    assert rows(wire, "/api/collection", archived="true")[1:] == []
    assert not run(wire, {**ACME, "state": "absent"})["changed"]


def test_a_tenant_that_was_never_there_is_absent_when_suspended(wire: Wire) -> None:
    result = run(wire, {**ACME, "state": "suspended"})["results"][0]
    assert (result["state"], result["changed"]) == ("absent", False)


def test_a_disabled_tenant_costs_no_request(wire: Wire) -> None:
    answer = run(wire, {**ACME, "state": "disabled", "reason": "not bought"})
    assert (answer["requests"], answer["results"][0]["state"]) == (0, "disabled")
    assert answer["results"][0]["message"] == "not bought"


def test_without_a_readers_host_there_is_no_connection_and_the_message_says_so(wire: Wire) -> None:
    result = run(wire, ACME, reader_host="", master_secret="")["results"][0]
    assert result["state"] == "ready"
    assert "metabase_reader_host" in result["message"]
    assert rows(wire, "/api/database") == rows(wire, "/api/dashboard") == []
    assert run(wire, ACME)["results"][0]["state"] == "ready"
    assert [len(rows(wire, f"/api/{path}")) for path in ("database", "dashboard", "card")] == [1, 2, 8]
    test_nobody_may_write_queries_for_a_tenants_connection(wire)


def test_a_master_secret_is_needed_with_a_readers_host(wire: Wire) -> None:
    answer = run(wire, ACME, master_secret="short")
    assert (answer["failed"], answer["exit_code"]) == (True, 3)
    assert wire.sent == []


def test_another_master_secret_brings_another_password(wire: Wire) -> None:
    run(wire, ACME)
    (change,) = run(wire, ACME, master_secret="another-obviously-fake-secret")["results"][0]["changes"]
    assert change["after"] == {"password": "as derived"}
    assert not run(wire, ACME, master_secret="another-obviously-fake-secret")["changed"]


def test_passwords_and_keys_are_never_shown(wire: Wire) -> None:
    answers = [run(wire, ACME, check=True), run(wire, ACME), run(wire, ACME, api_key="mb_planted-wrong-key")]
    password = next(
        sent.json["details"]["password"] for sent in wire.sent if (sent.method, sent.path) == ("POST", "/api/database")
    )
    for secret in (KEY, MASTER, password, "mb_planted-wrong-key"):
        assert secret not in json.dumps(answers)


def test_a_renamed_tenant_keeps_what_it_has(wire: Wire) -> None:
    ref = run(wire, ACME)["results"][0]["ref"]
    result = run(wire, {**ACME, "name": "Acme Chile"})["results"][0]
    assert result["ref"] == ref
    assert [ours(wire, f"/api/{path}")[0]["name"] for path in ("collection/tree", "permissions/group", "database")] == [
        "Acme Chile (76086428-5)",
        "Acme Chile (smarteros:76086428-5)",
        "Acme Chile (smarteros:76086428-5)",
    ]


def by_hand(wire: Wire, ref: dict[str, int], what: str) -> None:
    """Somebody changes something in the browser."""
    send = wire.driver.ok
    card, dashboard = (
        next(row["id"] for row in rows(wire, f"/api/{path}") if row["collection_id"] == ref["collection_id"])
        for path in ("card", "dashboard")
    )
    graph = {"revision": send("GET", "/api/collection/graph")["revision"]}
    queries = {"revision": send("GET", "/api/permissions/graph")["revision"]}
    group, collection, database = (str(ref[f"{name}_id"]) for name in ("group", "collection", "database"))
    other = send("POST", "/api/collection", {"name": "Finance"})["id"]
    native = {"create-queries": "query-builder-and-native"}
    sql = {"type": "native", "database": ref["database_id"], "native": {"query": "SELECT 2"}}
    moves: dict[str, tuple[str, str, Any]] = {
        "opened to all": ("PUT", "/api/collection/graph", {**graph, "groups": {"1": {collection: "read"}}}),
        "let into another": ("PUT", "/api/collection/graph", {**graph, "groups": {group: {str(other): "read"}}}),
        "may write": ("PUT", "/api/collection/graph", {**graph, "groups": {group: {collection: "write"}}}),
        "queries for all": ("PUT", "/api/permissions/graph", {**queries, "groups": {"1": {database: native}}}),
        "queries": ("PUT", "/api/permissions/graph", {**queries, "groups": {group: {database: native}}}),
        "question": ("PUT", f"/api/card/{card}", {"dataset_query": sql}),
        "question gone": ("DELETE", f"/api/card/{card}", None),
        "dashboard gone": ("DELETE", f"/api/dashboard/{dashboard}", None),
        "dashboard archived": ("PUT", f"/api/dashboard/{dashboard}", {"archived": True}),
        "layout": ("PUT", f"/api/dashboard/{dashboard}", {"dashcards": []}),
        "collection renamed": ("PUT", f"/api/collection/{collection}", {"name": "Mine"}),
        "collection archived": ("PUT", f"/api/collection/{collection}", {"archived": True}),
        "connection moved": (
            "PUT",
            f"/api/database/{database}",
            {"details": {"host": "other.example.com", "dbname": "x", "user": "admin", "password": "p"}},
        ),
        "connection gone": ("DELETE", f"/api/database/{database}", None),
        "group gone": ("DELETE", f"/api/permissions/group/{group}", None),
    }
    send(*moves[what], headers=SESSION)


DRIFTS = [
    "opened to all",
    "let into another",
    "may write",
    "queries for all",
    "queries",
    "question",
    "question gone",
    "dashboard gone",
    "dashboard archived",
    "layout",
    "collection renamed",
    "collection archived",
    "connection moved",
    "connection gone",
    "group gone",
]


@pytest.mark.parametrize("what", DRIFTS)
def test_what_people_change_is_told_and_closed(wire: Wire, what: str) -> None:
    ref = run(wire, ACME, BETA)["results"][0]["ref"]
    by_hand(wire, ref, what)
    foretold = run(wire, ACME, BETA, check=True)["results"]
    done = run(wire, ACME, BETA)["results"]
    assert done[0]["state"] == "ready", done[0]["message"]
    assert done[0]["changes"]
    assert [row["changes"] for row in foretold] == [row["changes"] for row in done]
    assert not run(wire, ACME, BETA)["changed"]
    graph = access(wire)
    assert "1" not in graph
    assert graph[str(done[0]["ref"]["group_id"])] == {str(done[0]["ref"]["collection_id"]): "read"}


def test_a_dashboard_of_the_same_name_that_is_not_ours_is_left_alone(wire: Wire) -> None:
    ref = run(wire, ACME, reader_host="")["results"][0]["ref"]
    wire.driver.ok("POST", "/api/dashboard", {"name": "Resumen", "collection_id": ref["collection_id"]})
    acme, beta = run(wire, ACME, BETA)["results"]
    assert (acme["state"], beta["state"]) == ("failed", "ready")
    assert "does not bear our mark" in acme["message"]


def test_a_refused_connection_fails_its_tenant_and_names_the_field(wire: Wire) -> None:
    wire.trouble = once(
        lambda sent: (sent.method, sent.path) == ("POST", "/api/database"),
        (400, {"message": "Hmm, we couldn't connect", "errors": {"host": "check your host settings"}}),
    )
    acme, beta = run(wire, ACME, BETA)["results"]
    assert (acme["state"], beta["state"]) == ("failed", "ready")
    assert "host: check your host settings" in acme["message"]
    assert run(wire, ACME, BETA)["results"][0]["state"] == "ready"


@pytest.mark.parametrize("others", [2, 31], ids=lambda count: f"{count} others were faster")
def test_somebody_elses_change_of_permissions_is_not_overwritten_but_waited_for(wire: Wire, others: int) -> None:
    run(wire, BETA)
    moved: list[int] = []

    def meddle(sent: Sent) -> Any:
        if (sent.method, sent.path) == ("PUT", "/api/collection/graph") and len(moved) < others:
            moved.append(1)
            revision = wire.driver.ok("GET", "/api/collection/graph")["revision"]
            wire.driver.ok("PUT", "/api/collection/graph", {"revision": revision, "groups": {}})
        return None

    wire.trouble = meddle
    assert run(wire, ACME)["results"][0]["state"] == "ready"
    assert len(moved) == others
    wire.trouble = lambda _sent: None
    assert not run(wire, ACME, BETA)["changed"]


WRITES = [
    ("POST", "/api/permissions/group"),
    ("POST", "/api/collection"),
    ("POST", "/api/database"),
    ("POST", "/api/card"),
    ("POST", "/api/dashboard"),
    ("PUT", "/api/dashboard/1"),
    ("PUT", "/api/collection/graph"),
]


@pytest.mark.parametrize("write", WRITES, ids=" ".join)
@pytest.mark.parametrize("trouble", [LOST, CUT])
def test_a_lost_answer_brings_nothing_twice(wire: Wire, write: tuple[str, str], trouble: str) -> None:
    wire.trouble = once(lambda sent: (sent.method, sent.path) == write, trouble)
    assert run(wire, ACME)["results"][0]["state"] == "ready"
    wire.trouble = lambda _sent: None
    assert not run(wire, ACME)["changed"]
    assert [len(ours(wire, f"/api/{path}")) for path in ("collection/tree", "permissions/group", "database")] == [
        1,
        1,
        1,
    ]
    assert (len(rows(wire, "/api/dashboard")), len(rows(wire, "/api/card"))) == (2, 8)


SYSTEM: dict[str, Any] = {
    "audience": "system",
    "reader_host": "postgresql",
    "reader_database": "smarteros",
    "reader_schema": "health",
    "reader_user": "smarteros_reader",
    "reader_password": "an-obviously-fake-password",
    "master_secret": "",
}
OURS = {"tenant": "system", "name": "SmarterOS", "slug": "system"}


def test_the_founders_dashboards_are_made_once_and_tenants_cannot_see_them(wire: Wire) -> None:
    run(wire, ACME)
    foretold = run(wire, OURS, check=True, **SYSTEM)
    done = run(wire, OURS, **SYSTEM)
    assert foretold["diff"] == done["diff"]
    ref = done["results"][0]["ref"]
    (database,) = (row for row in rows(wire, "/api/database") if row["id"] == ref["database_id"])
    assert (database["details"]["user"], database["details"]["schema-filters-patterns"]) == (
        "smarteros_reader",
        "health",
    )
    mine = [row for row in rows(wire, "/api/dashboard") if row["collection_id"] == ref["collection_id"]]
    assert sorted(row["name"] for row in mine) == ["Sales", "Service Performance", "System Health", "Tenant Analytics"]
    assert {str(ref["collection_id"])} == {
        place for group, places in access(wire).items() if group == str(ref["group_id"]) for place in places
    }
    others = [places for group, places in access(wire).items() if group not in ("2", str(ref["group_id"]))]
    assert all(str(ref["collection_id"]) not in places for places in others)
    test_nobody_may_write_queries_for_a_tenants_connection(wire)
    wire.sent.clear()
    assert not run(wire, OURS, **SYSTEM)["changed"]
    assert not run(wire, ACME)["changed"]
    assert wire.writes == []


def test_a_tenant_that_was_let_into_the_founders_collection_is_shut_out(wire: Wire) -> None:
    tenant = run(wire, ACME)["results"][0]["ref"]
    ref = run(wire, OURS, **SYSTEM)["results"][0]["ref"]
    graph = {"revision": wire.driver.ok("GET", "/api/collection/graph")["revision"]}
    opened = {str(tenant["group_id"]): {str(ref["collection_id"]): "read"}, "1": {str(ref["collection_id"]): "read"}}
    wire.driver.ok("PUT", "/api/collection/graph", {**graph, "groups": opened})
    assert run(wire, OURS, **SYSTEM)["changed"]
    assert str(ref["collection_id"]) not in access(wire)[str(tenant["group_id"])]
    assert "1" not in access(wire)


def test_what_no_file_describes_any_more_goes_into_the_trash_and_what_people_made_stays(
    wire: Wire, tmp_path: Path
) -> None:
    for path in SPECS.glob("*.yml"):
        (tmp_path / path.name).write_text(path.read_text())
    ref = run(wire, OURS, **SYSTEM, dashboards=str(tmp_path))["results"][0]["ref"]
    by_people = {"name": "Mine", "collection_id": ref["collection_id"]}
    wire.driver.ok("POST", "/api/dashboard", by_people)
    (tmp_path / "sales.yml").unlink()
    changes = run(wire, OURS, **SYSTEM, dashboards=str(tmp_path))["results"][0]["changes"]
    assert {change["what"].split()[0] for change in changes} == {"dashboard", "question"}
    assert all(change["after"] == {"archived": True} for change in changes)
    assert "Mine" in [row["name"] for row in rows(wire, "/api/dashboard")]
    assert [row["name"] for row in wire.driver.ok("GET", "/api/dashboard", f="archived")] == ["Sales"]
    assert not run(wire, OURS, **SYSTEM, dashboards=str(tmp_path))["changed"]


def test_another_password_of_the_founders_role_is_written_and_never_shown(wire: Wire) -> None:
    run(wire, OURS, **SYSTEM)
    answer = run(wire, OURS, **{**SYSTEM, "reader_password": "another-obviously-fake-one"})
    (change,) = answer["results"][0]["changes"]
    assert change["after"] == {"password": "as derived"}
    assert "obviously-fake" not in json.dumps(answer)


@pytest.mark.parametrize("check", [True, False], ids=["foretold", "done"])
def test_what_fails_for_the_founder_fails_the_task(wire: Wire, check: bool) -> None:
    ref = run(wire, OURS, **{**SYSTEM, "reader_host": ""})["results"][0]["ref"]
    wire.driver.ok("POST", "/api/dashboard", {"name": "Sales", "collection_id": ref["collection_id"]})
    answer = run(wire, OURS, check=check, **SYSTEM)
    assert (answer["failed"], answer["exit_code"], answer["changed"]) == (True, 1, False)
    assert "does not bear our mark" in answer["errors"][0]["why"]


def test_a_connection_that_is_refused_is_told(wire: Wire) -> None:
    answer = run(wire, OURS, **{**SYSTEM, "reader_host": "unreachable.example.com"})
    assert answer["failed"]
    assert "check your host settings" in answer["msg"]
    assert not run(wire, OURS, **SYSTEM).get("failed")
    assert not run(wire, OURS, **SYSTEM)["changed"]


MIXED = [
    ([ACME], SYSTEM, "one entry, whose tenant is system"),
    ([OURS, ACME], SYSTEM, "one entry, whose tenant is system"),
    ([OURS], {}, "is no tenant"),
    ([OURS], {**SYSTEM, "reader_password": "short"}, "at least 16 characters"),
    ([OURS], {**SYSTEM, "reader_user": ""}, "name of its read-only role"),
]


@pytest.mark.parametrize(("objects", "options", "words"), MIXED, ids=[each[2] for each in MIXED])
def test_the_system_and_tenants_are_never_mixed_up(wire: Wire, objects: Any, options: Any, words: str) -> None:
    answer = run(wire, *objects, **options)
    assert answer["failed"]
    assert words in json.dumps(answer)
    assert wire.sent == []


class Killed(Exception):
    """The run dies here."""


def test_a_run_that_dies_after_any_write_is_completed_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    fresh = wired(metabase, monkeypatch)
    run(fresh, ACME)
    total = len(fresh.writes)
    for deadly in range(total):
        wire = wired(metabase, monkeypatch)
        count = iter(range(total + 1))

        def die(sent: Sent, count: Any = count, deadly: int = deadly, wire: Wire = wire) -> Any:
            if sent.method != "GET" and next(count) == deadly:
                wire.driver.send(sent.method, sent.path, sent.json, headers={"x-api-key": KEY}, **sent.params)
                raise Killed
            return None

        wire.trouble = die
        with pytest.raises(Killed):
            run(wire, ACME, concurrency=1)
        wire.trouble = lambda _sent: None
        assert run(wire, ACME)["results"][0]["state"] == "ready"
        assert not run(wire, ACME)["changed"]
        assert (len(rows(wire, "/api/database")), len(rows(wire, "/api/card"))) == (1, 8)
        assert "1" not in access(wire)


def test_the_first_connections_are_never_open_to_the_groups_of_others(wire: Wire) -> None:
    """A group that may do everything with the only connection would get as much with the next one."""
    levels: list[Any] = []

    def watch(sent: Sent) -> Any:
        if (sent.method, sent.path) == ("POST", "/api/database"):
            graph = wire.driver.ok("GET", "/api/permissions/graph")["groups"]
            levels.extend(r.get("create-queries") for g, each in graph.items() if g != "2" for r in each.values())
        return None

    run(wire, ACME, BETA, reader_host="")
    wire.trouble = watch
    gamma = {"tenant": "11111111-1", "name": "Gamma", "slug": "gamma"}
    run(wire, ACME, BETA, gamma, concurrency=1)
    assert levels
    assert set(levels) == {None}


def test_a_key_that_is_no_administrators_stops_everything_at_once(wire: Wire) -> None:
    answer = run(wire, ACME, api_key="sandbox-metabase-limited")
    assert (answer["failed"], answer["exit_code"]) == (True, 3)
    assert wire.writes == []


CHECKS = [
    (KEY, "valid", "Metabase v0.63.5"),
    ("sandbox-metabase-limited", "insufficient", "Administrators"),
    ("mb_wrong", "invalid", "Unauthenticated"),
    ("0a1b2c3d-0000-4000-8000-0123456789ab", "invalid", "session"),
]


@pytest.mark.parametrize(("key", "state", "words"), CHECKS, ids=[each[1] + " " + each[2] for each in CHECKS])
def test_check_tells_every_kind_of_key_apart(wire: Wire, key: str, state: str, words: str) -> None:
    verdict = api.connect({"url": wire.base_url, "api_key": key}).check()
    assert (verdict["state"], words in verdict["message"]) == (state, True), verdict
    assert wire.writes == []


HOSTILE = ["<html>", [], {}, [1], [{"id": "x"}], {"data": "x"}, {"groups": [], "revision": "x"}, None, 7]


@pytest.mark.parametrize("answer", HOSTILE, ids=repr)
def test_a_hostile_answer_is_one_clear_error(wire: Wire, answer: Any) -> None:
    wire.trouble = lambda sent: (200, answer) if sent.path != "/api/user/current" else None
    result = run(wire, ACME)
    assert result.get("failed") or all(row["state"] in ("failed", "ready") for row in result["results"])
    verdict = api.connect({"url": wire.base_url, "api_key": KEY}).check()
    assert verdict["state"] in ("valid", "unreachable")
