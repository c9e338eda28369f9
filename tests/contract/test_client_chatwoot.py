# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Every request that the Chatwoot client sends fits the published API descriptions of 3.13.0 and 4.14.0."""

from __future__ import annotations

import json
import os
import re
import typing as t
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import jsonschema_rs
import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import chatwoot_reports
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import chatwoot as service
from ansible_collections.smartercl.smarteros.plugins.module_utils.services.chatwoot import Operator, Wish
from ansible_collections.smartercl.smarteros.tests.unit.plugins.fakes.chatwoot import FakeChatwoot
from ansible_collections.smartercl.smarteros.tests.unit.plugins.fakes.wire import Request

SHARED = Path(os.environ.get("SMOS_SHARED") or Path(__file__).parents[2].parent / "shared")
CONTRACTS = SHARED / "contracts" / "chatwoot"
# The servers have it since 4.x, no description does
UNDESCRIBED = {("GET", "/platform/api/v1/accounts")}

pytestmark = pytest.mark.skipif(
    not CONTRACTS.is_dir(),
    reason=f"no API descriptions of Chatwoot at {CONTRACTS}: set SMOS_SHARED to the reference material",
)


def sent() -> list[Request]:
    """One request of every kind that the client knows: a whole life of an account, seen and unseen."""
    server = FakeChatwoot()
    wish = Wish(
        tenant="76086428-5",
        name="Acme",
        slug="acme",
        domain="acme.example.com",
        locale="es",
        support_email="ana@example.com",
        admin_name="Ana",
        admin_email="ana@example.com",
        website_url="https://acme.example.com",
    )
    moved = replace(wish, domain="new.example.com", website_url="https://new.example.com", name="Acme Two")
    notes: dict[str, t.Any] = {}
    for each in (wish, wish, moved, replace(moved, state="suspended"), moved, replace(moved, state="absent")):
        client = server.client()
        known = replace(each, account_id=notes.get("account_id"))
        seen = service.observe(client, [known], Operator("Op", "op@example.com"), write=True, concurrency=1)
        (result,) = service.carry_out(client, [known], seen, lambda _tenant, ref: notes.update(ref), concurrency=1)
        assert result.error is None
    server.client().check()
    return server.log


class Contract:
    """One published description."""

    def __init__(self, version: str) -> None:
        self.document = json.loads((CONTRACTS / f"swagger-{version}.json").read_text(encoding="utf-8"))
        self.paths = [
            (re.compile(re.sub(r"\\\{\w+\\\}", r"[^/]+", re.escape(path.rstrip("/")))), item)
            for path, item in self.document["paths"].items()
        ]

    def operation(self, request: Request) -> dict[str, t.Any] | None:
        """The description of this call; a path may stand there twice, with and without a slash at the end."""
        for pattern, item in self.paths:
            if pattern.fullmatch(request.path) and request.method.lower() in item:
                return t.cast("dict[str, t.Any]", item[request.method.lower()])
        return None

    def mistakes(self, request: Request) -> list[str]:
        """What is wrong with a request, in words."""
        operation = self.operation(request)
        if operation is None:
            known = (request.method, request.path) in UNDESCRIBED
            return [] if known else [f"{request.method} {request.path} is not described"]
        schema = self._body_schema(operation)
        if schema is None:
            return [] if request.body is None else [f"{request.method} {request.path} takes no body"]
        # References point into the whole document, which therefore goes along
        whole = {**self.document, **schema}
        found = jsonschema_rs.validator_for(whole).iter_errors(request.body or {})
        unknown = set(request.body or {}) - set(self._resolved(schema).get("properties", {}))
        return [error.message for error in found] + [
            f"{name} is not described" for name in unknown & {"user_id", "role"}
        ]

    def _body_schema(self, operation: dict[str, t.Any]) -> dict[str, t.Any] | None:
        if "requestBody" in operation:
            content = self._resolved(operation["requestBody"])["content"]
            return t.cast("dict[str, t.Any]", content["application/json"]["schema"])
        bodies = [
            each["schema"] for each in map(self._resolved, operation.get("parameters", [])) if each.get("in") == "body"
        ]
        return bodies[0] if bodies else None

    def _resolved(self, node: dict[str, t.Any]) -> dict[str, t.Any]:
        while "$ref" in node:
            target: t.Any = self.document
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            node = target
        return node


@pytest.mark.parametrize("version", ["3.13.0", "4.14.0"])
def test_every_request_fits_the_description(version: str) -> None:
    contract = Contract(version)
    requests = sent()
    kinds = {
        (request.method, re.sub(r"\d+", "N", request.path.removeprefix("/platform/api/v1"))) for request in requests
    }
    assert len(kinds) >= 13, sorted(kinds)
    mistakes = {f"{request.method} {request.path}": contract.mistakes(request) for request in requests}
    assert {where: found for where, found in mistakes.items() if found} == {}


@pytest.mark.parametrize("version", ["3.13.0", "4.14.0"])
def test_the_check_itself_sees_a_wrong_body_and_a_wrong_path(version: str) -> None:
    contract = Contract(version)
    wrong = Request("POST", "/platform/api/v1/accounts/1/account_users", {"user_id": "one", "role": 7}, {})
    assert contract.mistakes(wrong)
    assert contract.mistakes(Request("POST", "/platform/api/v1/nothing", {}, {}))


@pytest.mark.parametrize("version", ["3.13.0", "4.14.0"])
def test_the_report_of_a_day_is_asked_for_and_understood_as_described(version: str) -> None:
    contract, seen = Contract(version), []

    class Described(FakeChatwoot):
        def handle(self, request: Request) -> tuple[int, t.Any]:
            seen.append(request)
            return 200, {name: "7" if "time" in name else 7 for name in figures}

    named = contract.document.get("definitions") or contract.document["components"]["schemas"]
    figures = [name for name in named["account_summary"]["properties"] if name != "previous"]
    client = Described().client()
    client.act_as("operator-token")
    start, end = datetime(2026, 11, 22, 3, tzinfo=UTC), datetime(2026, 11, 23, 3, tzinfo=UTC)
    assert chatwoot_reports.talks(client, 3, start, end) == chatwoot_reports.Talks(7, 7, 7.0)
    assert [contract.mistakes(request) for request in seen] == [[]]
    described = next(each for pattern, each in contract.paths if pattern.fullmatch(seen[0].path))["parameters"]
    assert {"type", "since", "until"} <= {contract._resolved(each).get("name") for each in described}
