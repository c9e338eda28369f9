"""Supabase: what the client sends to the Management API, and what the sandbox answers, fits the published description.

The data and storage APIs have no description; for them, real exchanges that Supabase recorded stand in.
"""

from __future__ import annotations

import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from openapi_core import Config, OpenAPI
from openapi_core.exceptions import OpenAPIError
from openapi_core.testing import MockRequest, MockResponse

from smos.sandbox.supabase import PROVIDER, REF
from unit.plugins.supabase_world import BUCKET, TOKEN, World, item, reader
from unit.plugins.wire import Sent
from unit.sandbox.driver import Driver

SHARED = Path(os.environ.get("SMOS_SHARED") or Path(__file__).parents[2].parent / "shared")
CONTRACTS = SHARED / "contracts" / "supabase"
DESCRIPTION = CONTRACTS / "management-openapi-2026-05-22.json"
RECORDED = CONTRACTS / "recorded-responses-2026-06.json"
HOST = "https://api.supabase.com"

pytestmark = pytest.mark.skipif(
    not (DESCRIPTION.is_file() and RECORDED.is_file()),
    reason=f"no contracts of Supabase in {CONTRACTS}: set SMOS_SHARED to the reference material",
)


@cache
def description() -> OpenAPI:
    """The description as it is, with the one server that it means; its schemas are sound, the document breaks some rules."""
    unchecked = Config(spec_validator_cls=None)  # type: ignore[arg-type]  # None turns the check of the document off
    return OpenAPI.from_dict({**json.loads(DESCRIPTION.read_text()), "servers": [{"url": HOST}]}, unchecked)


def faults(method: str, path: str, body: Any, status: int | None = None, answer: Any = None) -> list[str]:
    """What the description has against a request and, where ``status`` is given, against its answer."""
    data = b"" if body is None else json.dumps(body).encode()
    request = MockRequest(HOST, method.lower(), path, data=data, headers={"Authorization": "Bearer x"})
    found: list[str] = []
    try:
        description().validate_request(request)
        if status is not None:
            response = MockResponse(json.dumps(answer).encode(), status, content_type="application/json")
            description().validate_response(request, response)
    except OpenAPIError as error:
        found.append(f"{method} {path}: {error}: {error.__cause__}")
    return found


@cache
def exchanges() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(RECORDED.read_text())["exchanges"]
    return found


def recorded(method: str, path: str, status: int = 200) -> dict[str, Any]:
    """One recorded exchange."""
    for each in exchanges():
        request = each["request"]
        if (request["method"], request["path"], each["response"]["status"]) == (method, path, status):
            return each
    raise AssertionError(f"nothing recorded for {method} {path} {status}")


def shape(value: Any) -> Any:
    """The keys and kinds of a body; a list is told by its first element, and what may be null by nothing."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return None if value is None else type(value).__name__


def fits(mine: Any, theirs: Any) -> bool:
    """Whether two shapes agree; null agrees with everything."""
    if mine is None or theirs is None:
        return True
    if isinstance(mine, dict) and isinstance(theirs, dict):
        return set(mine) == set(theirs) and all(fits(mine[key], theirs[key]) for key in mine)
    if isinstance(mine, list) and isinstance(theirs, list):
        return not mine or not theirs or fits(mine[0], theirs[0])
    return bool(mine == theirs)


@pytest.fixture
def api() -> Driver:
    return Driver(PROVIDER, {"apikey": TOKEN, "authorization": f"Bearer {TOKEN}"}, TOKEN)


def test_every_management_request_of_a_tenants_life_fits_and_so_does_its_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(monkeypatch)
    answers: list[tuple[Sent, int, Any]] = []
    plain = world.wire.driver.send

    def listening(method: str, path: str, body: Any = None, **options: Any) -> Any:
        reply = plain(method, path, body, **options)
        answers.append((Sent(method, path, {}, body), reply.status, reply.body))
        return reply

    monkeypatch.setattr(world.wire.driver, "send", listening)
    world.migrate()
    world.buckets(BUCKET)
    for state in ("present", "suspended", "absent"):
        world.rows(item(1, state=state))
        world.readers(reader(1, state=state))
    client = world.client()
    client.check()
    client.usage([{"id": "1-9"}])
    world.client(project="").check()
    managed = [each for each in answers if each[0].path.startswith("/v1/")]
    # Codes of refusals are not in the description; a table that is not there is told with 400
    good = [each for each in managed if each[1] < 400]
    assert {(sent.method, sent.path.replace(REF, "{ref}")) for sent, _status, _body in good} == {
        ("GET", "/v1/projects"),
        ("GET", "/v1/projects/{ref}"),
        ("POST", "/v1/projects/{ref}/database/query"),
        ("POST", "/v1/projects/{ref}/database/query/read-only"),
    }
    for sent, _status, _body in managed:
        assert faults(sent.method, sent.path, sent.json) == []
    for sent, status, body in good:
        assert faults(sent.method, sent.path, sent.json, status, body) == []


@pytest.mark.parametrize("path", ["/v1/projects", f"/v1/projects/{REF}", "/v1/organizations"])
def test_what_the_sandbox_answers_to_reads_fits(api: Driver, path: str) -> None:
    reply = api.send("GET", path)
    assert faults("GET", path, None, reply.status, reply.body) == []
    theirs = recorded("GET", re.sub(REF, "__PROJECT_REF__", path))
    assert fits(shape(reply.body), shape(theirs["response"]["body"]))
    limits = {name for name in theirs["response"]["headers"] if name.startswith("x-ratelimit")}
    assert limits <= set(reply.headers)


def test_buckets_of_the_management_api_fit(api: Driver) -> None:
    api.ok("POST", "/storage/v1/bucket", {"name": "my-bucket"})
    path = f"/v1/projects/{REF}/storage/buckets"
    reply = api.send("GET", path)
    assert faults("GET", path, None, reply.status, reply.body) == []


def test_a_query_is_answered_as_it_was_recorded(api: Driver) -> None:
    theirs = recorded("POST", "/v1/projects/__PROJECT_REF__/database/query", 201)
    reply = api.send("POST", f"/v1/projects/{REF}/database/query", theirs["request"]["body"])
    assert (reply.status, reply.body) == (201, theirs["response"]["body"])


def test_a_bucket_is_made_and_listed_as_it_was_recorded(api: Driver) -> None:
    theirs = recorded("POST", "/storage/v1/bucket")
    reply = api.send("POST", "/storage/v1/bucket", theirs["request"]["body"])
    assert (reply.status, reply.body) == (theirs["response"]["status"], theirs["response"]["body"])
    listed = api.send("GET", "/storage/v1/bucket")
    assert fits(shape(listed.body), shape(recorded("GET", "/storage/v1/bucket")["response"]["body"]))


def test_what_the_client_sends_to_storage_has_the_fields_that_were_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    world.buckets(BUCKET)
    sent = next(each for each in world.wire.sent if each.method == "POST")
    assert sent.path == "/storage/v1/bucket"
    assert set(recorded("POST", "/storage/v1/bucket")["request"]["body"]) <= set(sent.json)


def test_refusals_have_the_envelope_that_was_recorded(api: Driver) -> None:
    theirs = next(each for each in exchanges() if each["response"]["status"] == 400)["response"]["body"]
    refused = [
        api.send("GET", "/v1/projects/" + "b" * 20),
        api.send("GET", "/v1/nowhere"),
        api.send("GET", "/v1/projects", headers={}),
        api.send("POST", f"/v1/projects/{REF}/database/query", {"query": "select now()"}),
    ]
    for reply in refused:
        assert reply.status >= 400
        assert set(theirs) <= set(reply.body)
