"""Every request that the n8n client sends fits the OpenAPI files of n8n 1.64 and of 2.41."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import n8n as api
from ansible_collections.smartercl.smarteros.plugins.modules import n8n_workflows as module
from unit.plugins.wire import Sent, Wire, run_module, wired
from unit.sandbox.driver import n8n

SHARED = Path(os.environ.get("SMOS_SHARED") or Path(__file__).parents[2].parent / "shared")
CONTRACTS = SHARED / "contracts" / "n8n"
FILES = {version: CONTRACTS / f"openapi-{version}.yml" for version in ("1.64.0", "2.41.3")}
SPECS = Path(__file__).parents[2] / "specs" / "workflows"
KEY, RUT = "sandbox-n8n-token", "76086428-5"
ONLY_IN_2 = re.compile(r".*/unarchive")  # an archive is new in 2.x; the client asks for it only when it saw one

pytestmark = pytest.mark.skipif(
    not all(path.is_file() for path in FILES.values()),
    reason=f"no OpenAPI files of n8n in {CONTRACTS}: set SMOS_SHARED to the reference material",
)


@cache
def document(version: str) -> dict[str, Any]:
    found: dict[str, Any] = _for_requests(yaml.load(FILES[version].read_text(), yaml.CSafeLoader))
    return found


def _for_requests(value: Any) -> Any:
    """OpenAPI 3.0 as JSON Schema for what is sent: nullable becomes a type, and what is read-only must not be there."""
    if isinstance(value, list):
        return [_for_requests(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("readOnly") is True:
        return {"not": {}}
    changed = {key: _for_requests(item) for key, item in value.items()}
    if value.get("nullable") is True and isinstance(value.get("type"), str):
        changed["type"] = [value["type"], "null"]
    return changed


def operation_of(version: str, sent: Sent) -> tuple[str, dict[str, Any], list[dict[str, Any]]]:
    """Path template, operation and parameters."""
    path = sent.path.removeprefix("/api/v1")
    for template, methods in document(version)["paths"].items():
        if re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", template), path) and sent.method.lower() in methods:
            operation = methods[sent.method.lower()]
            return template, operation, [*methods.get("parameters", []), *operation.get("parameters", [])]
    raise AssertionError(f"n8n {version} has no {sent.method} {path}")


def resolved(version: str, part: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in part:
        return part
    found: Any = document(version)
    for step in part["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return dict(found)


def check(version: str, sent: Sent) -> None:
    template, operation, parameters = operation_of(version, sent)
    known = {each["name"]: each for each in (resolved(version, each) for each in parameters) if each["in"] == "query"}
    for name, value in sent.params.items():
        assert name in known, f"{template} takes no {name}"
        fits(version, value, known[name]["schema"], f"{template}?{name}")
    body = operation.get("requestBody")
    assert sent.json is None or body, f"{template} takes no body"
    if sent.json is not None:
        schema = resolved(version, body or {})["content"]["application/json"]["schema"]
        fits(version, sent.json, schema, f"{sent.method} {template}")
    else:
        assert not (body and resolved(version, body).get("required")), f"{template} needs a body"


def fits(version: str, value: Any, schema: dict[str, Any], where: str) -> None:
    whole = {**document(version), **schema}
    errors = sorted(Draft202012Validator(whole).iter_errors(value), key=str)
    assert not errors, [f"{where} {error.json_path}: {error.message}" for error in errors]


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    return wired(n8n, monkeypatch)


def run(wire: Wire, **more: Any) -> dict[str, Any]:
    templates = sorted(path.stem for path in SPECS.glob("*.json"))
    row = {"tenant": RUT, "slug": "acme", "templates": templates, "values": {"timezone": "America/Santiago"}, **more}
    answer = run_module(module, url=wire.base_url, api_key=KEY, templates=str(SPECS), workflows=[row])
    assert answer["results"][0]["state"] != "failed", answer
    return answer


@pytest.mark.parametrize("version", FILES)
def test_every_request_of_a_workflows_life_fits(wire: Wire, version: str) -> None:
    client = api.connect({"url": wire.base_url, "api_key": KEY})
    run(wire)
    mine = next(each for each in client.workflows() if each.name.endswith("Shopify orders"))
    # as people leave a workflow behind: a setting of theirs, a credential, a node of theirs
    nodes = [{**node, "credentials": {"httpHeaderAuth": {"id": "1", "name": "mine"}}} for node in mine.nodes]
    settings = {"executionTimeout": 60, "timezone": "UTC"}
    client.update(mine, {"name": mine.name, "nodes": nodes, "connections": {}, "settings": settings})
    assert run(wire)["changed"]
    run(wire, state="suspended")
    run(wire, state="absent")
    client.check()
    client.claimed([{"id": RUT}])
    client.workflows("Some name")
    client.failures(datetime(2026, 11, 22, 3, tzinfo=UTC), datetime(2026, 11, 23, 3, tzinfo=UTC))
    methods = {(sent.method, sent.path.rsplit("/", 1)[-1]) for sent in wire.sent}
    assert {
        ("POST", "workflows"),
        ("POST", "tags"),
        ("PUT", "tags"),
        ("POST", "activate"),
        ("POST", "deactivate"),
    } <= methods
    assert {sent.method for sent in wire.sent} == {"GET", "POST", "PUT", "DELETE"}
    for sent in wire.sent:
        if not ONLY_IN_2.fullmatch(sent.path):
            check(version, sent)


def test_bringing_a_workflow_back_from_the_archive_fits_2_x() -> None:
    check("2.41.3", Sent("POST", "/api/v1/workflows/abc/unarchive", {}, None))
