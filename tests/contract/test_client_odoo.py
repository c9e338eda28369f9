# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The Odoo client handles every exchange that was recorded from a real Odoo 17."""

from __future__ import annotations

import contextlib
import json
import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.odoo import OdooClient
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.tests.unit.plugins.fakes.wire import Request, Wire

SHARED = Path(os.environ.get("SMOS_SHARED") or Path(__file__).parents[2].parent / "shared")
RECORDED = SHARED / "contracts" / "odoo" / "recorded-17.0.json"

pytestmark = pytest.mark.skipif(
    not RECORDED.is_file(), reason=f"no recorded exchanges at {RECORDED}: set SMOS_SHARED to the reference material"
)

KINDS = {
    "odoo.exceptions.AccessDenied": errors.REFUSED,
    "odoo.exceptions.AccessError": errors.REFUSED,
    "odoo.exceptions.MissingError": errors.MISSING,
    "psycopg2.OperationalError": errors.UNREACHABLE,
}


def exchanges() -> list[t.Any]:
    rows = json.loads(RECORDED.read_text(encoding="utf-8"))["exchanges"] if RECORDED.is_file() else []
    return [pytest.param(row, id=row["what"]) for row in rows]


class Replay(Wire):
    """Answers everything with one recorded answer."""

    def __init__(self, exchange: dict[str, t.Any]) -> None:
        super().__init__()
        self.exchange = exchange

    def writes(self, request: Request) -> bool:
        return False

    def handle(self, request: Request) -> tuple[int, t.Any]:
        return self.exchange["http_status"], self.exchange["response"]


def call(client: OdooClient, params: dict[str, t.Any]) -> t.Any:
    """Make the recorded call through the client, the way in which the client makes it."""
    args = params["args"]
    if params["method"] == "version":
        return client.version()
    if params["method"] == "authenticate":
        client.database, client.user, client._secret = args[:3]
        return client.sign_in()
    if params["method"] != "execute_kw" or len(args) < 6:
        return client._rpc(params["service"], params["method"], args, repeat=False)
    client.database, client._uid, client._secret = args[:3]
    return client.read(args[3], args[4], args[5], args[6] if len(args) > 6 else None)


@pytest.mark.parametrize("exchange", exchanges())
def test_the_client_understands_the_answer(exchange: dict[str, t.Any]) -> None:
    wire = Replay(exchange)
    client = OdooClient(wire.http(secrets=("S3creta.1234",)), "", "", "")
    response = exchange["response"]
    params = exchange["request"]["params"]
    if "error" not in response and response.get("result") is not False:
        result = call(client, params)
        assert result == (client.version() if params["method"] == "version" else response.get("result"))
        return
    with pytest.raises(ApiError) as caught:
        call(client, params)
    data = response.get("error", {}).get("data", {"name": "odoo.exceptions.AccessDenied", "message": ""})
    unique = "must be unique" in data["message"] or "same login" in data["message"]
    assert caught.value.kind == KINDS.get(data["name"], errors.CONFLICT if unique else errors.INVALID)
    assert caught.value.message
    assert "S3creta.1234" not in str(caught.value)


@pytest.mark.parametrize("exchange", exchanges())
def test_the_client_asks_in_the_recorded_shape(exchange: dict[str, t.Any]) -> None:
    wire = Replay(exchange)
    client = OdooClient(wire.http(), "", "", "")
    with contextlib.suppress(ApiError):
        call(client, exchange["request"]["params"])
    (request,) = wire.log[:1]
    recorded, sent = exchange["request"], request.body
    assert (request.method, request.path) == ("POST", "/jsonrpc")
    assert set(sent) == set(recorded)
    if recorded["params"]["method"] == "execute_kw" and len(recorded["params"]["args"]) == 7:
        sent["params"]["args"][6]["context"].pop("lang")  # so that texts come in English
        if not sent["params"]["args"][6]["context"]:
            del sent["params"]["args"][6]["context"]
    assert sent["params"] == recorded["params"]
