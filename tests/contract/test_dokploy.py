"""Requests of the Dokploy client against Dokploy's own OpenAPI file; answers of the sandbox against recorded ones.

The file types the requests only, so the recorded exchanges of the same version say what an answer looks like.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from jsonschema import Draft202012Validator

from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import dokploy as api
from ansible_collections.smartercl.smarteros.plugins.modules import dokploy_compose as module
from unit.plugins.wire import Sent, Wire, run_module, wired
from unit.sandbox.driver import Driver, dokploy

SHARED = Path(os.environ.get("SMOS_SHARED") or Path(__file__).parents[2].parent / "shared")
CONTRACTS = SHARED / "contracts" / "dokploy"
OPENAPI, RECORDED = CONTRACTS / "openapi-0.30.2.json", CONTRACTS / "recorded-0.30.2.json"
KEY = "sandbox-dokploy-token"
FILE = "services:\n  web:\n    image: example/web:1.0\n"
UNTYPED = {"/trpc/settings.health"}  # the panel's own; not in the file

pytestmark = pytest.mark.skipif(
    not (OPENAPI.is_file() and RECORDED.is_file()),
    reason=f"no contracts of Dokploy in {CONTRACTS}: set SMOS_SHARED to the reference material",
)


@cache
def openapi() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(OPENAPI.read_text())
    return document


@cache
def recorded() -> list[dict[str, Any]]:
    exchanges: list[dict[str, Any]] = json.loads(RECORDED.read_text())["exchanges"]
    return exchanges


def check_request(sent: Sent) -> None:
    """Path, method, query names and body; a body field that the procedure does not know is a mistake of ours."""
    path = sent.path.removeprefix("/api")
    if path in UNTYPED:
        return
    operation = openapi()["paths"][path][sent.method.lower()]
    known = {parameter["name"]: parameter for parameter in operation.get("parameters", ())}
    assert set(sent.params) <= set(known), (path, sent.params)
    assert {name for name, each in known.items() if each.get("required")} <= set(sent.params), path
    assert (sent.json is not None) == ("requestBody" in operation), path
    if sent.json is not None:
        schema = {**operation["requestBody"]["content"]["application/json"]["schema"], "additionalProperties": False}
        errors = sorted(Draft202012Validator({**openapi(), **schema}).iter_errors(sent.json), key=str)
        assert not errors, [f"{error.json_path}: {error.message}" for error in errors]


def answers(method: str, path: str, status: int) -> list[Any]:
    """The recorded bodies of this procedure and status."""
    return [
        each["response"]["body"]
        for each in recorded()
        if (each["request"]["method"], urlsplit(each["request"]["path"]).path) == (method, path)
        and each["response"]["status"] == status
    ]


def kind(value: Any) -> str:
    return "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else type(value).__name__


def alike(shown: Any, real: list[Any], at: str) -> None:
    """Every field that the sandbox shows was seen in a real answer, with one of the types that it had there."""
    kinds = {kind(each) for each in real} - {"NoneType"}  # what was only seen empty may hold anything
    assert shown is None or not kinds or kind(shown) in kinds, (at, shown, real[:2])
    if isinstance(shown, dict):
        for key, value in shown.items():
            seen = [each[key] for each in real if isinstance(each, dict) and key in each]
            assert seen, f"{at}.{key} was never seen"
            alike(value, seen, f"{at}.{key}")
    if isinstance(shown, list):
        rows = [row for each in real if isinstance(each, list) for row in each]
        for row in shown if rows else []:
            alike(row, rows, f"{at}[]")


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    return wired(dokploy, monkeypatch)


def test_every_request_of_a_composes_life_fits(wire: Wire) -> None:
    wish: dict[str, Any] = {
        "url": wire.base_url,
        "api_key": KEY,
        "poll": 0,
        "project": "smarteros",
        "name": "web",
        "compose": FILE,
    }
    for more in (
        {"env": {"A": "b"}},
        {"environment": "staging", "kind": "stack"},
        {"compose": FILE + "# more\n"},
        {"compose": "services: {web: {image: fails.example/x}}"},
        {"state": "absent"},
    ):
        run_module(module, **{**wish, **more})
    api.connect({"url": wire.base_url, "api_key": KEY}).check()
    assert {"/api/compose.delete", "/api/deployment.readLogs"} <= {sent.path for sent in wire.sent}
    for sent in wire.sent:
        check_request(sent)


def test_the_sandbox_answers_as_the_real_one_did() -> None:
    there = dokploy()
    project = ask(there, "POST", "project.create", {"name": "tenant-a", "description": "Example tenant"})
    place = project["environment"]["environmentId"]
    parent = {"projectId": project["project"]["projectId"]}
    ask(there, "POST", "environment.create", {"name": "staging", "description": "x", **parent})
    made = ask(there, "POST", "compose.create", {"name": "web", "environmentId": place, "appName": "web"})
    number = {"composeId": made["composeId"]}
    ask(there, "POST", "compose.update", {**number, "sourceType": "raw", "composeFile": FILE, "env": "A=b"})
    ask(there, "GET", "deployment.allByCompose", **number)
    ask(there, "POST", "compose.deploy", {**number, "title": "Release 1"})
    ask(there, "GET", "deployment.queueList")
    for _ in range(3):
        rows = ask(there, "GET", "deployment.allByCompose", **number)
    assert rows[0]["status"] == "done"
    ask(there, "GET", "deployment.readLogs", deploymentId=rows[0]["deploymentId"])
    ask(there, "GET", "compose.one", **number)
    ask(there, "GET", "project.all")
    ask(there, "GET", "environment.byProjectId", **parent)
    ask(there, "GET", "settings.getDokployVersion")
    ask(there, "GET", "health")
    ask(there, "GET", "trpc/settings.health")
    ask(there, "POST", "compose.delete", {**number, "deleteVolumes": False})


def ask(there: Driver, method: str, procedure: str, body: Any = None, **query: Any) -> Any:
    """The answer, once it has been compared."""
    answer = there.ok(method, f"/api/{procedure}", body, **query)
    alike(answer, answers(method, f"/api/{procedure}", 200), procedure)
    return answer


@pytest.mark.parametrize(
    ("method", "procedure", "body", "status"),
    [
        ("POST", "project.create", {"description": "x"}, 400),
        ("POST", "environment.create", {"name": "production", "projectId": "x"}, 400),
        ("POST", "environment.create", {"name": "x", "projectId": "unknown-id-0000000001"}, 400),
        ("POST", "compose.create", {"name": "web"}, 400),
        ("POST", "compose.create", {"name": "web", "environmentId": "unknown-id-0000000001"}, 404),
        ("POST", "compose.update", {"composeId": "x", "sourceType": "ftp"}, 400),
        ("POST", "compose.deploy", {"composeId": "unknown-id-0000000001"}, 404),
        ("POST", "compose.delete", {"composeId": "unknown-id-0000000001", "deleteVolumes": False}, 404),
        ("GET", "project.create", None, 404),
    ],
)
def test_the_sandbox_refuses_as_the_real_one_did(method: str, procedure: str, body: Any, status: int) -> None:
    reply = dokploy().send(method, f"/api/{procedure}", body)
    assert reply.status == status
    real = answers(method, f"/api/{procedure}", status) or answers("GET", "/api/project.nothing", 404)
    assert reply.body["code"] in {each["code"] for each in real if isinstance(each, dict)}
    messages = [each["message"].split("\n")[0][:40] for each in real if isinstance(each, dict)]
    assert reply.body["message"][:40] in messages


@pytest.mark.parametrize("headers", [{}, {"x-api-key": "wrong"}, {"authorization": f"Bearer {KEY}"}])
def test_a_key_is_refused_as_the_real_one_refuses_it(headers: dict[str, str]) -> None:
    reply = dokploy().send("GET", "/api/project.all", headers=headers)
    assert [reply.body] == answers("GET", "/api/project.all", 401)[:1]


def test_an_unknown_compose_is_updated_without_a_word() -> None:
    reply = dokploy().send("POST", "/api/compose.update", {"composeId": "unknown", "sourceType": "raw"})
    assert (reply.status, reply.body) == (200, None)
