"""Every request that the Cloudflare client sends fits Cloudflare's own schemas and operations."""

from __future__ import annotations

import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import cloudflare as api
from ansible_collections.smartercl.smarteros.plugins.modules import cloudflare_dns_records as module
from ansible_collections.smartercl.smarteros.plugins.modules import cloudflare_zone_records as zone_module
from unit.plugins.wire import Sent, Wire, run_module, wired
from unit.sandbox.driver import cloudflare

SHARED = Path(os.environ.get("SMOS_SHARED") or Path(__file__).parents[2].parent / "shared")
CONTRACTS = SHARED / "contracts" / "cloudflare"
SDK, OPERATIONS = CONTRACTS / "sdk-5.9.0-dns-zones.schemas.json", CONTRACTS / "cf-cli-0.0.5.operations.json"
ZONE, TOKEN = "smarterbot.cl", "sandbox-cloudflare-token"
# The four operations that the client needs, and no other
USED = {
    "zones get-zones",
    "zones list",
    "dns records list",
    "dns records batch",
    "user tokens verify",
    "accounts tokens verify",
}

pytestmark = pytest.mark.skipif(
    not (SDK.is_file() and OPERATIONS.is_file()),
    reason=f"no contracts of Cloudflare in {CONTRACTS}: set SMOS_SHARED to the reference material",
)


@cache
def operations() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(OPERATIONS.read_text())["schemas"]
    return found


@cache
def batch_schema() -> dict[str, Any]:
    """The body of a batch; a key that no record type knows is a mistake of ours."""
    schema: dict[str, Any] = json.loads(SDK.read_text())["operations"]["records_batch"]["body"]
    for definition in schema["$defs"].values():
        if definition.get("type") == "object" and "properties" in definition:
            definition["additionalProperties"] = False
    return {**schema, "additionalProperties": False}


def operation_of(sent: Sent) -> dict[str, Any]:
    for name, operation in operations().items():
        pattern = re.sub(r"\{[^}]+\}", "[^/]+", operation["path"])
        if name in USED and operation["httpMethod"] == sent.method and re.fullmatch(pattern, sent.path):
            found: dict[str, Any] = operation
            return found
    raise AssertionError(f"Cloudflare has no {sent.method} {sent.path}")


def check(sent: Sent) -> None:
    operation = operation_of(sent)
    known = {parameter["name"] for parameter in operation["queryParams"]}
    assert set(sent.params) <= known, (operation["path"], sent.params)
    assert (sent.json is not None) == operation["hasRequestBody"]
    if sent.json is not None:
        errors = sorted(Draft202012Validator(batch_schema()).iter_errors(sent.json), key=str)
        assert not errors, [f"{error.json_path}: {error.message}" for error in errors]


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    return wired(cloudflare, monkeypatch)


def item(n: int, **more: Any) -> dict[str, Any]:
    row = {
        "tenant": f"{10000000 + n}-5",
        "name": f"t{n}.{ZONE}",
        "type": "CNAME",
        "content": f"app.{ZONE}",
        "proxied": True,
    }
    return {**row, **more}


def test_every_request_of_a_records_life_fits(wire: Wire) -> None:
    kinds = {"A": "192.0.2.1", "AAAA": "2001:db8::1", "TXT": 'a "text" ' * 60}
    first = [item(0), *(item(n, type=kind, content=content) for n, (kind, content) in enumerate(kinds.items(), 1))]
    second = [item(0, content="new.example.com", ttl=300, proxied=False), item(1), item(2, state="absent")]
    for records in (first, second):
        answer = run_module(module, url=wire.base_url, token=TOKEN, zone=ZONE, records=records, prune=True)
        assert {row["state"] for row in answer["results"]} <= {"ready", "absent"}, answer
    kinds_sent = {kind for sent in wire.sent if sent.json for kind in sent.json}
    assert kinds_sent == {"posts", "patches", "deletes"}
    for sent in wire.sent:
        check(sent)


def test_every_request_for_the_systems_own_records_fits(wire: Wire) -> None:
    records: list[dict[str, Any]] = [
        {"type": "A", "name": "@", "content": "203.0.113.10", "proxied": True},
        {"type": "MX", "name": "send", "content": "mx.example.net", "priority": 10},
        {"type": "TXT", "name": "_dmarc", "content": "v=DMARC1; p=none"},
        {"type": "CAA", "name": "@", "content": '0 issue "ca.example.net"'},
        {"type": "SRV", "name": "_sip._tcp", "content": "10 5 5060 sip.example.net"},
        {"type": "A", "name": "blog", "content": "203.0.113.10"},
    ]
    settings: dict[str, Any] = {"url": wire.base_url, "token": TOKEN, "zone": ZONE, "adopt": True, "prune": True}
    for wished in (records, [{**each, "ttl": 300, "proxied": False} for each in records[:-2]]):
        answer = run_module(zone_module, records=wished, **settings)
        assert answer["changed"], answer
    kinds_sent = {kind for sent in wire.sent if sent.json for kind in sent.json}
    assert kinds_sent == {"posts", "patches", "deletes"}
    for sent in wire.sent:
        check(sent)


def test_every_request_of_a_token_check_fits(wire: Wire) -> None:
    refused = (401, {"success": False, "errors": [{"code": 1000, "message": "Invalid API Token"}], "result": None})
    wire.trouble = lambda sent: refused if sent.path == "/user/tokens/verify" else None
    client = api.connect({"url": wire.base_url, "token": TOKEN, "zone": ZONE})
    client.check()
    client.claimed([{"id": "1-9", "slug": "acme"}])
    assert any("/accounts/" in sent.path for sent in wire.sent)
    for sent in wire.sent:
        check(sent)
