"""The sandbox's n8n: tags, workflows, activation, webhooks and credentials as the real public API has them."""

from __future__ import annotations

from typing import Any

import pytest

from unit.sandbox.driver import Driver, n8n

API = "/api/v1"
HOOK = {
    "id": "n1",
    "name": "In",
    "type": "n8n-nodes-base.webhook",
    "typeVersion": 2,
    "position": [0, 0],
    "webhookId": "5b1f1c1e-0000-4000-8000-000000000001",
    "parameters": {"path": "acme/lead", "httpMethod": "POST"},
}
SETTER = {"name": "Set", "type": "n8n-nodes-base.set", "typeVersion": 3, "position": [200, 0], "parameters": {}}


@pytest.fixture
def api() -> Driver:
    return n8n()


def flow(**fields: Any) -> dict[str, Any]:
    return {"name": "acme: leads", "nodes": [HOOK, SETTER], "connections": {}, "settings": {}, **fields}


def made(api: Driver, **fields: Any) -> str:
    return str(api.ok("POST", f"{API}/workflows", flow(**fields))["id"])


def tag(api: Driver, name: str) -> str:
    return str(api.ok("POST", f"{API}/tags", {"name": name})["id"])


def refused(api: Driver, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, str]:
    reply = api.send(method, path, body, **options)
    return reply.status, reply.body["message"]


def test_the_key_is_demanded_by_the_api_and_not_by_health_checks(api: Driver) -> None:
    assert refused(api, "GET", f"{API}/tags", headers={}) == (401, "'X-N8N-API-KEY' header required")
    assert refused(api, "GET", f"{API}/tags", headers={"x-n8n-api-key": "no"}) == (401, "unauthorized")
    assert api.ok("GET", "/healthz", headers={}) == {"status": "ok"}
    assert api.ok("GET", "/healthz/readiness", headers={}) == {"status": "ok"}


def test_a_tag_name_is_unique_trimmed_and_at_most_24_characters(api: Driver) -> None:
    first = api.send("POST", f"{API}/tags", {"name": " tenant:acme "})
    assert (first.status, first.body["name"]) == (201, "tenant:acme")
    assert refused(api, "POST", f"{API}/tags", {"name": "tenant:acme"}) == (409, "Tag already exists")
    assert api.send("POST", f"{API}/tags", {"name": "x" * 24}).status == 201
    assert api.send("POST", f"{API}/tags", {"name": "x" * 25}).status == 409
    api.engine.configure({"n8n_version": "2"})
    assert refused(api, "POST", f"{API}/tags", {"name": "x" * 25})[0] == 400
    assert refused(api, "POST", f"{API}/tags", {"name": "a", "id": "b"}) == (400, "request/body/id is read-only")


def test_lists_are_read_with_the_cursor_to_the_end(api: Driver) -> None:
    for number in range(6):
        tag(api, f"t{number}")
    names, cursor, pages = [], "", 0
    while cursor is not None:
        page = api.ok("GET", f"{API}/tags", limit=3, **({"cursor": cursor} if cursor else {}))
        names += [item["name"] for item in page["data"]]
        cursor, pages = page["nextCursor"], pages + 1
    assert names == ["house", *(f"t{number}" for number in range(6))]
    assert pages == 3
    assert refused(api, "GET", f"{API}/tags", limit=251)[0] == 400
    assert refused(api, "GET", f"{API}/tags", cursor="%%%") == (400, "An invalid cursor was provided")


def test_a_tag_is_renamed_and_deleted_with_its_uses(api: Driver) -> None:
    number, workflow = tag(api, "one"), made(api)
    tag(api, "two")
    api.ok("PUT", f"{API}/workflows/{workflow}/tags", [{"id": number}])
    assert api.send("PUT", f"{API}/tags/{number}", {"name": "two"}).status == 409
    assert api.ok("PUT", f"{API}/tags/{number}", {"name": "three"})["name"] == "three"
    api.ok("DELETE", f"{API}/tags/{number}")
    assert api.ok("GET", f"{API}/workflows/{workflow}/tags") == []
    assert refused(api, "GET", f"{API}/tags/{number}") == (404, "Not Found")


def test_a_workflow_is_created_inactive_and_duplicates_are_allowed(api: Driver) -> None:
    first, second = made(api), made(api)
    assert first != second
    kept = api.ok("GET", f"{API}/workflows/{first}")
    assert kept["active"] is False
    assert kept["nodes"][1]["id"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"name": "x", "nodes": [], "connections": {}}, "request/body must have required property 'settings'"),
        (flow(active=True), "request/body/active is read-only"),
        (flow(id="abc"), "request/body/id is read-only"),
        (flow(tags=[]), "request/body/tags is read-only"),
        (flow(versionId="x"), "request/body must NOT have additional properties"),
        (flow(pinData={}), "request/body must NOT have additional properties"),
        (flow(settings={"callerPolicy": "any"}), "request/body/settings must NOT have additional properties"),
        (flow(nodes=[{**HOOK, "color": 1}]), "request/body/nodes/0 must NOT have additional properties"),
        (flow(nodes="x"), "request/body/nodes must be array"),
        (flow(name=""), "Workflow name must be 1 to 128 characters long."),
        (flow(name="x" * 129), "Workflow name must be 1 to 128 characters long."),
        ([], "request/body must be object"),
        (None, "request/body must be object"),
    ],
)
def test_a_body_that_the_real_validator_refuses_is_refused_in_its_words(api: Driver, body: Any, message: str) -> None:
    assert refused(api, "POST", f"{API}/workflows", body) == (400, message)
    assert len(api.ok("GET", f"{API}/workflows")["data"]) == 1


def test_what_was_read_cannot_be_sent_back_as_it_is(api: Driver) -> None:
    workflow = made(api)
    read = api.ok("GET", f"{API}/workflows/{workflow}")
    assert refused(api, "PUT", f"{API}/workflows/{workflow}", read)[0] == 400


def test_workflows_are_filtered_by_name_part_activity_and_tags(api: Driver) -> None:
    one, two = made(api), made(api, name="beta: leads")
    mark, other = tag(api, "tenant:acme"), tag(api, "empty")
    api.ok("PUT", f"{API}/workflows/{one}/tags", [{"id": mark}])
    api.ok("POST", f"{API}/workflows/{one}/activate")

    def ids(**query: Any) -> list[str]:
        return [item["id"] for item in api.ok("GET", f"{API}/workflows", **query)["data"]]

    assert ids(name="LEADS") == [one, two]
    assert ids(active="true") == [one]
    assert ids(tags="tenant:acme") == [one]
    assert ids(tags="tenant:acme,empty") == []
    assert ids(tags="tenant:acme,unknown") == [one]
    assert ids(tags="unknown") == []
    api.ok("PUT", f"{API}/workflows/{one}/tags", [{"id": mark}, {"id": other}])
    assert ids(tags="tenant:acme,empty") == [one]
    assert refused(api, "GET", f"{API}/workflows", active="yes")[0] == 400


def test_tags_of_a_workflow_are_replaced_as_a_whole(api: Driver) -> None:
    workflow, one, two = made(api), tag(api, "one"), tag(api, "two")
    path = f"{API}/workflows/{workflow}/tags"
    api.ok("PUT", path, [{"id": one}])
    assert [item["id"] for item in api.ok("PUT", path, [{"id": two}])] == [two]
    assert refused(api, "PUT", path, [{"id": one}, {"id": "nope"}]) == (404, "Some tags not found")
    assert [item["id"] for item in api.ok("GET", path)] == [two]


@pytest.mark.parametrize(("version", "status"), [("1", 400), ("2", 409)])
def test_a_webhook_path_belongs_to_one_active_workflow(api: Driver, version: str, status: int) -> None:
    api.engine.configure({"n8n_version": version})
    one, two = made(api), made(api)
    api.ok("POST", f"{API}/workflows/{one}/activate")
    code, message = refused(api, "POST", f"{API}/workflows/{two}/activate")
    assert code == status
    assert message
    assert api.ok("GET", f"{API}/workflows/{two}")["active"] is False
    api.ok("POST", f"{API}/workflows/{one}/deactivate")
    assert api.ok("POST", f"{API}/workflows/{two}/activate")["active"] is True


def test_a_workflow_that_nothing_starts_cannot_be_activated(api: Driver) -> None:
    by_hand = {**SETTER, "type": "n8n-nodes-base.manualTrigger"}
    for nodes in ([], [SETTER], [by_hand], [{**HOOK, "disabled": True}]):
        code, message = refused(api, "POST", f"{API}/workflows/{made(api, nodes=nodes)}/activate")
        assert code == 400
        assert "has no node to start the workflow" in message
    scheduled = {**SETTER, "type": "n8n-nodes-base.scheduleTrigger"}
    assert api.ok("POST", f"{API}/workflows/{made(api, nodes=[scheduled])}/activate")["active"] is True


def test_a_webhook_answers_while_its_workflow_is_active(api: Driver) -> None:
    workflow = made(api)
    assert api.send("POST", "/webhook/acme/lead", {}, headers={}).status == 404
    api.ok("POST", f"{API}/workflows/{workflow}/activate")
    assert api.send("POST", "/webhook/acme/lead", {}, headers={}).status == 200
    assert "POST" in refused(api, "GET", "/webhook/acme/lead", headers={})[1]
    moved = {**HOOK, "parameters": {"path": "acme/other", "httpMethod": "POST"}}
    api.ok("PUT", f"{API}/workflows/{workflow}", flow(nodes=[moved]))
    assert api.send("POST", "/webhook/acme/lead", {}, headers={}).status == 404
    assert api.send("POST", "/webhook/acme/other", {}, headers={}).status == 200
    api.ok("DELETE", f"{API}/workflows/{workflow}")
    assert api.send("POST", "/webhook/acme/other", {}, headers={}).status == 404


def test_a_webhook_node_without_an_id_lives_below_its_workflow_on_1_x(api: Driver) -> None:
    bare = {key: value for key, value in HOOK.items() if key != "webhookId"}
    workflow = made(api, nodes=[bare])
    api.ok("POST", f"{API}/workflows/{workflow}/activate")
    assert api.send("POST", "/webhook/acme/lead", {}, headers={}).status == 404
    assert api.send("POST", f"/webhook/{workflow}/in/acme/lead", {}, headers={}).status == 200


def test_credentials_are_made_and_deleted_and_their_data_is_never_kept(api: Driver) -> None:
    body = {"name": "acme", "type": "httpHeaderAuth", "data": {"name": "X", "value": "planted-secret"}}
    one = api.ok("POST", f"{API}/credentials", body)
    assert "data" not in one
    assert "planted-secret" not in "".join(api.engine.state.db.iterdump())
    assert api.send("POST", f"{API}/credentials", {**body, "type": "no such"}).status == 400
    assert refused(api, "POST", f"{API}/credentials", {"name": "x"})[0] == 400
    api.ok("DELETE", f"{API}/credentials/{one['id']}")
    assert refused(api, "DELETE", f"{API}/credentials/{one['id']}") == (404, "Not Found")
    assert api.send("GET", f"{API}/credentials").status == 405


def executed(api: Driver, *states: str) -> None:
    sql = "INSERT INTO n8n_executions (workflow_id, status, mode, started) VALUES ('x', ?, 'webhook', '2026-11-22T15:00:00.000Z')"
    api.engine.state.db.executemany(sql, [(state,) for state in states])


def test_executions_are_listed_from_the_newest_and_a_crash_is_an_error(api: Driver) -> None:
    assert api.ok("GET", f"{API}/executions", workflowId="x") == {"data": [], "nextCursor": None}
    executed(api, "error", "success", "crashed", "error")
    first = api.ok("GET", f"{API}/executions", status="error", limit=2)
    rest = api.ok("GET", f"{API}/executions", status="error", limit=2, cursor=first["nextCursor"])
    assert [[row["id"] for row in page["data"]] for page in (first, rest)] == [[4, 3], [1]]
    assert rest["nextCursor"] is None
    assert api.ok("GET", f"{API}/executions", workflowId="y")["data"] == []
    assert refused(api, "GET", f"{API}/executions", status="crashed")[0] == 400  # known since 2.x
    assert refused(api, "GET", f"{API}/executions", cursor="x")[0] == 400
