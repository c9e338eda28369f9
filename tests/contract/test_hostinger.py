"""Every request of the Hostinger client and every answer of the sandbox fits Hostinger's own OpenAPI file.

The file tells success, 401, 422 and 500; that 403, 404 and 409 exist is known from Hostinger's own clients.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from openapi_core import OpenAPI
from openapi_core.testing import MockRequest, MockResponse

from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import hostinger as api
from ansible_collections.smartercl.smarteros.plugins.modules import (
    hostinger_dns_records,
    hostinger_firewall,
    hostinger_snapshot,
    hostinger_vps_info,
)
from unit.plugins.wire import Sent, Wire, run_module, wired
from unit.sandbox.driver import hostinger

SHARED = Path(os.environ.get("SMOS_SHARED") or Path(__file__).parents[2].parent / "shared")
CONTRACTS = SHARED / "contracts" / "hostinger"
FULL, ADDED = CONTRACTS / "openapi-1.42.5.vps-dns.json", CONTRACTS / "openapi-additions-1.54.1.json"
HOST, TOKEN, ADDRESS = "https://developers.hostinger.com", "sandbox-hostinger-token", "203.0.113.10"
UNTOLD = (403, 404, 409)  # statuses that the file leaves out

pytestmark = pytest.mark.skipif(
    not (FULL.is_file() and ADDED.is_file()),
    reason=f"no contracts of Hostinger in {CONTRACTS}: set SMOS_SHARED to the reference material",
)


@cache
def contract() -> OpenAPI:
    """The file with what was added since; a field that no schema knows is a mistake of ours."""
    document: dict[str, Any] = json.loads(FULL.read_text())
    for path, methods in json.loads(ADDED.read_text())["paths"].items():
        document["paths"].setdefault(path, {}).update(methods)
    return OpenAPI.from_dict(_closed(document))


def _closed(value: Any) -> Any:
    if isinstance(value, list):
        return [_closed(each) for each in value]
    if not isinstance(value, dict):
        return value
    # The file itself has a default that its own type forbids
    closed = {key: _closed(each) for key, each in value.items() if (key, each) != ("default", None)}
    if closed.get("nullable") and "oneOf" in closed:  # which its own parts would forbid to be null
        closed["oneOf"] = [*closed["oneOf"], {"type": "object", "nullable": True, "maxProperties": 0}]
    if closed.get("type") == "object" and closed.get("properties") and not set(closed["properties"]) & {"field_1"}:
        closed["additionalProperties"] = False
    return closed


def check(sent: Sent, status: int, body: Any) -> None:
    """The request, and where the file knows its status the answer."""
    content = None if sent.json is None else json.dumps(sent.json).encode()
    request = MockRequest(
        HOST,
        sent.method.lower(),
        sent.path,
        args={key: str(value) for key, value in sent.params.items()},
        headers={"Authorization": f"Bearer {TOKEN}"},
        data=content,
        content_type="application/json",
    )
    contract().validate_request(request)
    if status not in UNTOLD:
        answer = MockResponse(json.dumps(body).encode(), status_code=status, content_type="application/json")
        contract().validate_response(request, answer)


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    """Every request and answer is held against the contract as it passes."""
    wire = wired(hostinger, monkeypatch)
    plain = wire.driver.send

    def send(method: str, path: str, body: Any = None, headers: Any = None, **query: Any) -> Any:
        reply = plain(method, path, body, **({"headers": headers} if headers else {}), **query)
        check(Sent(method, path, query, body), reply.status, reply.body)
        return reply

    wire.driver.send = send  # type: ignore[method-assign]  # the place where both pass
    return wire


def run(wire: Wire, module: Any, **more: Any) -> dict[str, Any]:
    if "poll" in module.OPTIONS:
        more = {"poll": 0, **more}
    return run_module(module, url=wire.base_url, token=TOKEN, **more)


def test_every_exchange_of_a_firewalls_life_fits(wire: Wire) -> None:
    rules = [{"protocol": name, "port": "any"} for name in api.PROTOCOLS]
    rules += [{"protocol": "TCP", "port": "1024:2048", "source": "203.0.113.0/24"}]
    for each in (rules, rules[:4], rules[:4]):
        answer = run(wire, hostinger_firewall, name="smarteros", machine=ADDRESS, rules=each)
        assert "failed" not in answer, answer


def test_every_exchange_of_a_snapshots_life_fits(wire: Wire) -> None:
    for state in ("absent", "present", "present", "absent"):
        assert "failed" not in run(wire, hostinger_snapshot, machine=ADDRESS, state=state)
    assert run(wire, hostinger_snapshot, machine="fails.example.com")["failed"]


def test_every_exchange_about_records_and_machines_fits(wire: Wire) -> None:
    records: list[dict[str, Any]] = [
        {"name": "@", "type": "TXT", "values": ['a "text"']},
        {"name": "app", "type": "A", "values": [ADDRESS], "ttl": 300},
        {"name": "www", "type": "CNAME", "values": ["app.example.com"]},
        {"name": "@", "type": "A", "values": [ADDRESS], "solo": True},
    ]
    for each in (records, [{**record, "state": "absent", "solo": False} for record in records]):
        answer = run(wire, hostinger_dns_records, zone="example.com", records=each)
        assert "failed" not in answer, answer
    refused = run(wire, hostinger_dns_records, zone="example.com", records=[{**records[1], "values": ["nonsense"]}])
    assert refused["failed"]
    assert "failed" not in run(wire, hostinger_vps_info, machine=ADDRESS)


def test_every_exchange_of_a_token_check_fits(wire: Wire) -> None:
    for token in (TOKEN, "wrong", "sandbox-hostinger-limited"):
        api.connect({"url": wire.base_url, "token": token}).check()
