"""Metabase: every request of the client, and every operation of the sandbox, is in Metabase's own OpenAPI file."""

from __future__ import annotations

import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import metabase as api
from ansible_collections.smartercl.smarteros.plugins.modules import metabase_objects as module
from smos.sandbox.metabase import PROVIDER
from unit.plugins.wire import LOST, Sent, Wire, once, run_module, wired
from unit.sandbox.driver import metabase

SHARED = Path(os.environ.get("SMOS_SHARED") or Path(__file__).parents[2].parent / "shared")
FILE = SHARED / "contracts" / "metabase" / "openapi-oss-subset.json"
SPECS = Path(__file__).parents[2] / "specs" / "dashboards"
KEY = "sandbox-metabase-token"
ACME = {"tenant": "76086428-5", "name": "Acme Corp", "slug": "acme"}
UNDESCRIBED = frozenset({"/api/health"})
PAGING = frozenset({"limit", "offset"})  # every list may have them; the file names them nowhere

pytestmark = pytest.mark.skipif(
    not FILE.is_file(), reason=f"no OpenAPI file of Metabase at {FILE}: set SMOS_SHARED to the reference material"
)


@cache
def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text())
    return found


def operation_of(method: str, path: str) -> dict[str, Any]:
    """The operation of an address, whatever the file calls its parameters; a plain path before a template."""
    for template, methods in sorted(document()["paths"].items(), key=lambda entry: "{" in entry[0]):
        if re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", template), path) and method.lower() in methods:
            found: dict[str, Any] = methods[method.lower()]
            return found
    raise AssertionError(f"Metabase has no {method} {path}")


def fits(value: Any, schema: dict[str, Any], where: str) -> None:
    whole = {"components": document()["components"], **schema}
    wrong = sorted(Draft202012Validator(whole).iter_errors(value), key=str)
    assert not wrong, [f"{where} {error.json_path}: {error.message}" for error in wrong]


def check(sent: Sent) -> None:
    where = f"{sent.method} {sent.path}"
    operation = operation_of(sent.method, sent.path)
    known = {each["name"]: each["schema"] for each in operation.get("parameters", []) if each["in"] == "query"}
    for name, value in sent.params.items():
        assert name in known or name in PAGING, f"{where} takes no {name}"
        if name in known:
            plain = {"true": True, "false": False}.get(value, value)
            fits([plain] if _wants_list(known[name]) else plain, known[name], f"{where}?{name}")
    body = operation.get("requestBody")
    assert (sent.json is None) or body, f"{where} takes no body"
    if sent.json is not None:
        schema = (body or {})["content"]["application/json"]["schema"]
        unknown = set(sent.json) - set(schema.get("properties") or sent.json)
        assert not unknown, f"{where} knows no {unknown}"
        fits(sent.json, _with_defaults_optional(schema), where)


def _wants_list(schema: dict[str, Any]) -> bool:
    """A parameter that may be repeated is taken alone, too."""
    return any(each.get("type") == "array" for each in schema.get("oneOf", []))


def _with_defaults_optional(schema: dict[str, Any]) -> dict[str, Any]:
    """The file lists what has a default as required; Metabase fills it in."""
    properties = schema.get("properties") or {}
    needed = [name for name in schema.get("required", []) if "default" not in properties.get(name, {})]
    return {**schema, "required": needed}


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    return wired(metabase, monkeypatch)


def run(wire: Wire, **more: Any) -> dict[str, Any]:
    options: dict[str, Any] = {"reader_host": "db.example.com", "master_secret": "an-obviously-fake-master-secret"}
    answer = run_module(
        module, url=wire.base_url, api_key=KEY, dashboards=str(SPECS), objects=[{**ACME, **more}], **options
    )
    assert answer["results"][0]["state"] != "failed", answer
    return answer


SYSTEM: dict[str, Any] = {
    "audience": "system",
    "reader_host": "postgresql",
    "reader_database": "smarteros",
    "reader_schema": "health",
    "reader_user": "smarteros_reader",
    "reader_password": "an-obviously-fake-password",
    "objects": [{"tenant": "system", "name": "SmarterOS", "slug": "system"}],
}


def test_every_request_for_the_founders_dashboards_fits(wire: Wire, tmp_path: Path) -> None:
    for path in SPECS.glob("*.yml"):
        (tmp_path / path.name).write_text(path.read_text())
    options: dict[str, Any] = {"url": wire.base_url, "api_key": KEY, "dashboards": str(tmp_path), **SYSTEM}
    assert run_module(module, **options)["changed"]
    assert not run_module(module, **options)["changed"]
    (tmp_path / "sales.yml").unlink()
    assert run_module(module, **options)["changed"]
    assert len(wire.driver.ok("GET", "/api/dashboard")) == 3
    assert len(wire.driver.ok("GET", "/api/dashboard", f="archived")) == 1
    for sent in wire.sent:
        check(sent)


def test_every_request_of_a_tenants_life_fits(wire: Wire) -> None:
    ref = run(wire)["results"][0]["ref"]
    by_hand = len(wire.sent)
    wire.driver.ok("PUT", f"/api/collection/{ref['collection_id']}", {"name": "Mine", "archived": True})
    wire.driver.ok("DELETE", f"/api/database/{ref['database_id']}")
    run(wire)
    run(wire, name="Acme Chile")
    run(wire, state="suspended")
    wire.trouble = once(lambda sent: (sent.method, sent.path) == ("POST", "/api/card"), LOST)
    run(wire)
    run(wire, state="absent")
    wire.trouble = once(lambda sent: (sent.method, sent.path) == ("POST", "/api/dashboard"), LOST)
    run(wire)
    client = api.connect({"url": wire.base_url, "api_key": KEY})
    client.check()
    assert by_hand < len(wire.sent)
    for sent in wire.sent:
        check(sent)
    paths = {(sent.method, re.sub(r"\d+", "{id}", sent.path)) for sent in wire.sent}
    assert {
        ("GET", "/api/collection/{id}/items"),
        ("DELETE", "/api/collection/{id}"),
        ("PUT", "/api/permissions/graph"),
        ("PUT", "/api/permissions/group/{id}"),
        ("GET", "/api/session/properties"),
    } <= paths


@pytest.mark.parametrize("operation", PROVIDER.operations, ids=lambda each: each.name)
def test_every_operation_of_the_sandbox_is_one_of_metabase(operation: Any) -> None:
    if operation.path not in UNDESCRIBED:
        operation_of(operation.method, re.sub(r"\{\w+:int\}", "1", operation.path))


BODIES = [
    ("POST", "/api/collection", {"description": "no name"}),
    ("POST", "/api/collection", {"name": ""}),
    ("POST", "/api/permissions/group", {}),
    ("POST", "/api/database", {"name": "x", "engine": "postgres"}),
    ("POST", "/api/card", {"name": "x", "display": "table", "visualization_settings": {}}),
    ("POST", "/api/dashboard", {"name": ""}),
    ("POST", "/api/permissions/membership", {"group_id": 0, "user_id": 1}),
    ("PUT", "/api/collection/graph", {"revision": 0}),
]


@pytest.mark.parametrize(("method", "path", "body"), BODIES, ids=[f"{each[1]} {each[2]}" for each in BODIES])
def test_the_sandbox_refuses_what_the_file_refuses(method: str, path: str, body: Any) -> None:
    schema = operation_of(method, path)["requestBody"]["content"]["application/json"]["schema"]
    whole = {"components": document()["components"], **_with_defaults_optional(schema)}
    assert list(Draft202012Validator(whole).iter_errors(body))
    answer = metabase().send(method, path, body)
    assert (answer.status, "errors" in answer.body) == (400, True)
