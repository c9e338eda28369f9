"""Every answer of the sandbox's Cloudflare fits Cloudflare's own schemas.

Two sources: the schemas of the current SDK (results and request bodies) and the last published OpenAPI file (the
envelopes around them). Where they differ the SDK is the newer one.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from smos.sandbox import cloudflare_settings
from smos.sandbox.cloudflare import ACCOUNT, ZONE_ID, ZONE_NAME
from unit.sandbox.driver import Driver, cloudflare

SHARED = Path(os.environ.get("SMOS_SHARED") or Path(__file__).parents[2].parent / "shared")
CONTRACTS = SHARED / "contracts" / "cloudflare"
SDK, OPENAPI = CONTRACTS / "sdk-5.9.0-dns-zones.schemas.json", CONTRACTS / "openapi-2024-08-06.cut.json"
RECORDS = f"/zones/{ZONE_ID}/dns_records"
MARK = "smarteros:12345678-5"

BODIES: dict[str, dict[str, Any]] = {
    "ARecord": {"type": "A", "name": "acme", "content": "192.0.2.1", "ttl": 1, "proxied": True, "comment": MARK},
    "AAAARecord": {"type": "AAAA", "name": "acme", "content": "2001:db8::1", "ttl": 300},
    "CNAMERecord": {"type": "CNAME", "name": "shop", "content": "app.smarterbot.cl", "ttl": 1, "comment": MARK},
    "TXTRecord": {"type": "TXT", "name": "acme", "content": "hello", "ttl": 3600},
    "MXRecord": {"type": "MX", "name": "acme", "content": "mail.example.com", "ttl": 1, "priority": 10},
}
# The cut of the SDK has these in batches only
STRUCTURED: dict[str, dict[str, Any]] = {
    "CAARecord": {
        "type": "CAA",
        "name": "acme",
        "ttl": 1,
        "data": {"flags": 0, "tag": "issue", "value": "ca.example.net"},
        "comment": "smarteros:system",
    },
    "SRVRecord": {
        "type": "SRV",
        "name": "_sip._tcp.acme",
        "ttl": 300,
        "data": {"priority": 10, "weight": 5, "port": 5060, "target": "sip.example.net"},
    },
}
pytestmark = pytest.mark.skipif(
    not (SDK.is_file() and OPENAPI.is_file()),
    reason=f"no contracts of Cloudflare in {CONTRACTS}: set SMOS_SHARED to the reference material",
)


@cache
def sdk() -> dict[str, Any]:
    operations: dict[str, Any] = json.loads(SDK.read_text())["operations"]
    return operations


@cache
def openapi() -> dict[str, Any]:
    """The OpenAPI file as JSON Schema: ``nullable`` becomes a type."""
    document: dict[str, Any] = _nullable(json.loads(OPENAPI.read_text()))
    return document


def _nullable(value: Any) -> Any:
    if isinstance(value, list):
        return [_nullable(item) for item in value]
    if not isinstance(value, dict):
        return value
    changed = {key: _nullable(item) for key, item in value.items()}
    if value.get("nullable") is True and isinstance(value.get("type"), str):
        changed["type"] = [value["type"], "null"]
    return changed


def check(value: Any, schema: dict[str, Any]) -> None:
    errors = sorted(Draft202012Validator(schema).iter_errors(value), key=str)
    assert not errors, [f"{error.json_path}: {error.message}" for error in errors]


def check_answer(body: Any, path: str, method: str, status: str = "200") -> None:
    """The whole answer against the OpenAPI file, which (other than the SDK) does not know that a comment can be null."""
    results = body["result"] if isinstance(body["result"], list) else [body["result"]]
    for result in results:
        if result.get("comment", "") is None:
            del result["comment"]
    document = openapi()
    responses = document["paths"][path][method]["responses"]
    schema = next(value for key, value in responses.items() if key.lower() == status.lower())
    check(body, {**document, **schema["content"]["application/json"]["schema"]})


@pytest.fixture
def api() -> Driver:
    return cloudflare()


def test_both_token_checks_fit(api: Driver) -> None:
    user = api.ok("GET", "/user/tokens/verify")
    check(user["result"], sdk()["user_token_verify"]["result"])
    check_answer(user, "/user/tokens/verify", "get")
    owned = {"authorization": "Bearer cfat_sandbox"}
    account = api.ok("GET", f"/accounts/{ACCOUNT['id']}/tokens/verify", headers=owned)
    check(account["result"], sdk()["account_token_verify"]["result"])


def test_zones_fit(api: Driver) -> None:
    zones = api.ok("GET", "/zones", name=ZONE_NAME)
    assert zones["result"]
    for zone in zones["result"]:
        check(zone, sdk()["zones_list"]["result"])
    check_answer(zones, "/zones", "get")
    check_answer(api.ok("GET", f"/zones/{ZONE_ID}"), "/zones/{zone_id}", "get")


@pytest.mark.parametrize("kind", list(BODIES))
def test_a_record_fits_in_each_answer_it_comes_in(api: Driver, kind: str) -> None:
    body = BODIES[kind]
    check(body, sdk()["records_create"]["body"][kind])
    schema = sdk()["record_object"]["result"][kind]
    one = "/zones/{zone_id}/dns_records/{dns_record_id}"
    created = api.ok("POST", RECORDS, body)
    path = f"{RECORDS}/{created['result']['id']}"
    answers = (
        (created, RECORDS.replace(ZONE_ID, "{zone_id}"), "post"),
        (api.ok("GET", path), one, "get"),
        (api.ok("PATCH", path, {"ttl": 600}), one, "patch"),
        (api.ok("PUT", path, {**body, "ttl": 900}), one, "put"),
    )
    for answer, template, method in answers:
        check(answer["result"], schema)
        assert set(answer["result"]) >= {"comment", "proxied", "settings", "tags"}
        check_answer(answer, template, method)
    deleted = api.ok("DELETE", path)
    check(deleted["result"], sdk()["record_delete"]["result"])
    check_answer(deleted, one, "delete")


@pytest.mark.parametrize("kind", list(STRUCTURED))
def test_a_record_with_parts_fits_in_each_answer_it_comes_in(api: Driver, kind: str) -> None:
    body = STRUCTURED[kind]
    check({"posts": [body]}, sdk()["records_batch"]["body"])
    batch = api.ok("POST", f"{RECORDS}/batch", {"posts": [body]})["result"]
    check(batch, sdk()["records_batch"]["result"])
    (made,) = batch["posts"]
    path, one = f"{RECORDS}/{made['id']}", "/zones/{zone_id}/dns_records/{dns_record_id}"
    check_answer(api.ok("PATCH", path, {"comment": MARK}), one, "patch")
    got = api.ok("GET", path)
    assert (got["result"]["data"], got["result"]["comment"]) == (body["data"], MARK)
    check_answer(got, one, "get")


def test_a_list_of_records_fits(api: Driver) -> None:
    for body in BODIES.values():
        api.ok("POST", RECORDS, body)
    answer = api.ok("GET", RECORDS, per_page=5000, comment__startswith="smarteros:")
    assert len(answer["result"]) == 2
    check_answer(answer, "/zones/{zone_id}/dns_records", "get")
    everything = api.ok("GET", RECORDS)
    for record in everything["result"]:
        check(record, sdk()["record_object"]["result"][f"{record['type']}Record"])
    check_answer(everything, "/zones/{zone_id}/dns_records", "get")


def test_a_batch_fits_both_ways(api: Driver) -> None:
    ids = [api.ok("POST", RECORDS, BODIES[kind])["result"]["id"] for kind in ("ARecord", "MXRecord", "TXTRecord")]
    body = {
        "deletes": [{"id": ids[0]}],
        "patches": [{**BODIES["MXRecord"], "id": ids[1], "priority": 20}],
        "puts": [{**BODIES["TXTRecord"], "id": ids[2], "content": "other"}],
        "posts": [BODIES["CNAMERecord"]],
    }
    check(body, sdk()["records_batch"]["body"])
    result = api.ok("POST", f"{RECORDS}/batch", body)["result"]
    check(result, sdk()["records_batch"]["result"])
    assert [len(result[part]) for part in ("deletes", "patches", "puts", "posts")] == [1, 1, 1, 1]


def test_every_refusal_has_the_failure_envelope(api: Driver) -> None:
    api.ok("POST", RECORDS, BODIES["ARecord"])
    one = f"{RECORDS}/{'0' * 31}f"
    failure = {**openapi(), "$ref": "#/components/schemas/dns-records_api-response-common-failure"}
    refused = [
        api.send("POST", RECORDS, BODIES["ARecord"]),
        api.send("POST", RECORDS, {**BODIES["CNAMERecord"], "name": "acme"}),
        api.send("POST", RECORDS, b"{not json"),
        api.send("POST", RECORDS, {"type": "A"}),
        api.send("POST", f"{RECORDS}/batch", {"deletes": [{"id": "x"}]}),
        api.send("GET", one),
        api.send("GET", "/zones/nonsense/dns_records"),
        api.send("GET", "/nowhere"),
        api.send("PUT", "/zones"),
        api.send("GET", RECORDS, headers={}),
        api.send("GET", RECORDS, headers={"authorization": "Bearer wrong"}),
        api.send("GET", "/user/tokens/verify", headers={"authorization": "Bearer wrong"}),
    ]
    for kind in ("429", "500", "503"):
        api.engine.faults.add({"kind": kind})
        refused.append(api.send("GET", "/zones"))
    for reply in refused:
        assert reply.status >= 400
        check(reply.body, failure)


@pytest.mark.parametrize("name", sorted(set(cloudflare_settings.VALUES) - {"ssl_automatic_mode", "http2"}))
def test_settings_take_the_values_that_cloudflare_names(name: str) -> None:
    """Two are newer than that file, or have no schema of their own there."""
    known = openapi()["components"]["schemas"][f"zones_{name}_value"]["enum"]
    assert set(cloudflare_settings.VALUES[name]) <= set(known)
    answer = cloudflare().ok("GET", f"/zones/{ZONE_ID}/settings/{name}")["result"]
    assert set(answer) == {"id", "value", "editable", "modified_on"}
