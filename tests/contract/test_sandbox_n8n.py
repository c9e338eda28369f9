"""Every answer of the sandbox's n8n fits n8n's own OpenAPI file, and every request in these tests does as well."""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from unit.sandbox.driver import Driver, n8n

SHARED = Path(os.environ.get("SMOS_SHARED") or Path(__file__).parents[2].parent / "shared")
FILES = {
    version: SHARED / "contracts" / "n8n" / f"openapi-{name}.yml"
    for version, name in (("1", "1.64.0"), ("2", "2.41.3"))
}
API = "/api/v1"
# The real server answers these although its own specification does not name them (the specification forbids more).
UNSAID_1 = frozenset({"meta", "pinData", "versionId", "triggerCount"})

pytestmark = pytest.mark.skipif(
    not all(path.is_file() for path in FILES.values()),
    reason=f"no OpenAPI files of n8n in {SHARED / 'contracts' / 'n8n'}: set SMOS_SHARED to the reference material",
)

HOOK = {
    "name": "In",
    "type": "n8n-nodes-base.webhook",
    "typeVersion": 2,
    "position": [0, 0],
    "webhookId": "5b1f1c1e-0000-4000-8000-000000000001",
    "parameters": {"path": "acme/lead", "httpMethod": "POST"},
}
FLOW = {"name": "acme: leads", "nodes": [HOOK], "connections": {}, "settings": {"executionOrder": "v1"}}


@cache
def openapi(version: str) -> dict[str, Any]:
    document: dict[str, Any] = _plain(yaml.load(FILES[version].read_text(), yaml.CSafeLoader))
    return document


def _plain(value: Any) -> Any:
    """OpenAPI 3.0 as JSON Schema: ``nullable`` becomes a type, what is only written is not demanded of answers."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    changed = {key: _plain(item) for key, item in value.items()}
    properties = value.get("properties")
    if isinstance(properties, dict) and isinstance(value.get("required"), list):
        hidden = {name for name, item in properties.items() if isinstance(item, dict) and item.get("writeOnly")}
        changed["required"] = [name for name in value["required"] if name not in hidden]
    if value.get("nullable") is True and isinstance(value.get("type"), str):
        changed["type"] = [value["type"], "null"]
    return changed


def operation_of(version: str, method: str, template: str) -> dict[str, Any]:
    """The operation, whatever the file calls the path's parameter (``{id}``, ``{tagId}``)."""
    wanted = template.replace("{id}", "{}")
    for path, operations in openapi(version)["paths"].items():
        if re.sub(r"\{\w+\}", "{}", path) == wanted and method.lower() in operations:
            found: dict[str, Any] = operations[method.lower()]
            return found
    raise KeyError(f"{method} {template}")


def check(value: Any, schema: dict[str, Any], version: str) -> None:
    errors = sorted(Draft202012Validator({**openapi(version), **schema}).iter_errors(value), key=str)
    assert not errors, [f"{error.json_path}: {error.message}" for error in errors]


def said(value: Any) -> Any:
    """An answer of 1.x without what the specification leaves out; it calls the id of an execution's workflow a number."""
    if isinstance(value, list):
        return [said(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "workflowId" in value:
        return {**value, "workflowId": int(value["workflowId"])}
    return {key: said(item) for key, item in value.items() if "nodes" not in value or key not in UNSAID_1}


class Checked:
    """Sends requests, and holds request and answer against the operation of the OpenAPI file."""

    def __init__(self, api: Driver, version: str) -> None:
        self.api, self.version = api, version
        api.engine.configure({"n8n_version": version})

    def __call__(self, method: str, template: str, body: Any = None, *, status: int = 200, **values: Any) -> Any:
        names = {key: value for key, value in values.items() if f"{{{key}}}" in template}
        query = {key: value for key, value in values.items() if key not in names}
        operation = operation_of(self.version, method, template)
        if body is not None and status < 400:
            check(body, operation["requestBody"]["content"]["application/json"]["schema"], self.version)
        reply = self.api.send(method, API + template.format(**names), body, **query)
        assert reply.status == status, reply.body
        assert str(status) in operation["responses"]
        content = operation["responses"][str(status)].get("content")
        if content:
            answer = said(reply.body) if self.version == "1" else reply.body
            check(answer, content["application/json"]["schema"], self.version)
        elif status >= 400:
            check(reply.body, {"$ref": "#/components/schemas/error"}, self.version)
        return reply.body


@pytest.fixture(params=list(FILES))
def call(request: pytest.FixtureRequest) -> Checked:
    return Checked(n8n(), request.param)


def test_tags_fit(call: Checked) -> None:
    made = call("POST", "/tags", {"name": "tenant:acme"}, status=201)
    call("POST", "/tags", {"name": "tenant:acme"}, status=409)
    call("GET", "/tags", limit=1)
    call("GET", "/tags/{id}", id=made["id"])
    call("PUT", "/tags/{id}", {"name": "other"}, id=made["id"])
    call("DELETE", "/tags/{id}", id=made["id"])
    call("GET", "/tags/{id}", id=made["id"], status=404)


def test_workflows_fit_through_their_whole_life(call: Checked) -> None:
    tag = call("POST", "/tags", {"name": "tenant:acme"}, status=201)["id"]
    one = call("POST", "/workflows", FLOW)["id"]
    call("PUT", "/workflows/{id}/tags", [{"id": tag}], id=one)
    call("GET", "/workflows/{id}/tags", id=one)
    call("POST", "/workflows/{id}/activate", id=one)
    listed = call("GET", "/workflows", tags="tenant:acme", active="true", name="leads", limit=250)
    assert [item["id"] for item in listed["data"]] == [one]
    call("GET", "/workflows", limit=1)
    call("PUT", "/workflows/{id}", {**FLOW, "name": "renamed"}, id=one)
    call("GET", "/workflows/{id}", id=one)
    call("POST", "/workflows/{id}/deactivate", id=one)
    call("DELETE", "/workflows/{id}", id=one)
    call("GET", "/workflows/{id}", id=one, status=404)


def test_refusals_of_workflows_fit(call: Checked) -> None:
    call("POST", "/workflows", {**FLOW, "active": True}, status=400)
    call("POST", "/workflows", {"name": "x"}, status=400)
    call("PUT", "/workflows/{id}", FLOW, id="nope", status=404)


def test_credentials_and_executions_fit(call: Checked) -> None:
    body = {"name": "acme", "type": "httpHeaderAuth", "data": {"name": "X-Key", "value": "test"}}
    made = call("POST", "/credentials", body)
    call("DELETE", "/credentials/{id}", id=made["id"])
    call.api.engine.state.db.execute(
        "INSERT INTO n8n_executions (workflow_id, status, mode, started, stopped)"
        " VALUES ('1', 'error', 'webhook', '2026-11-22T15:00:00.000Z', '2026-11-22T15:00:01.000Z')"
    )
    assert call("GET", "/executions", workflowId="1", limit=10)["data"]


def test_a_refused_key_has_the_error_shape(call: Checked) -> None:
    for headers in ({}, {"x-n8n-api-key": "wrong"}):
        reply = call.api.send("GET", f"{API}/tags", headers=headers)
        assert reply.status == 401
        check(reply.body, {"$ref": "#/components/schemas/error"}, call.version)
