"""The real servers answer as themselves, so that a failure elsewhere is not their set-up's."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from real.n8n import N8n
from real.odoo11 import Odoo11


def _api(server: N8n, path: str, key: str | None = None) -> requests.Response:
    return requests.get(f"{server.url}/api/v1{path}", headers={"X-N8N-API-KEY": key or server.api_key}, timeout=60)


def test_n8n_1_64_answers_its_api_with_the_key_and_refuses_another(real_n8n: N8n) -> None:
    assert "data" in _api(real_n8n, "/workflows").json()
    assert _api(real_n8n, "/workflows", "wrong").status_code == 401
    settings = requests.get(f"{real_n8n.url}/rest/settings", timeout=60).json()["data"]
    assert settings["versionCli"] == real_n8n.version == "1.64.3"


@pytest.mark.second_tier
def test_n8n_2_41_answers_its_api_with_the_key_and_refuses_another(real_n8n_2: N8n) -> None:
    assert "data" in _api(real_n8n_2, "/workflows").json()
    assert _api(real_n8n_2, "/workflows", "wrong").status_code == 401


@pytest.mark.second_tier
def test_odoo_11_protocol_signs_in_and_lists_companies(real_odoo11: Odoo11) -> None:
    server = real_odoo11
    uid = _odoo(server, "common", "authenticate", server.database, server.login, server.password, {})
    assert isinstance(uid, int)
    signed_in = (server.database, uid, server.password)
    companies = _odoo(
        server, "object", "execute_kw", *signed_in, "res.company", "search_read", [[]], {"fields": ["name"]}
    )
    assert 1 in [company["id"] for company in companies]


def _odoo(server: Odoo11, service: str, method: str, *args: object) -> Any:
    call = {
        "jsonrpc": "2.0",
        "method": "call",
        "id": 1,
        "params": {"service": service, "method": method, "args": list(args)},
    }
    answer = requests.post(f"{server.url}/jsonrpc", json=call, timeout=60).json()
    assert "error" not in answer, answer["error"]["data"]["message"]
    return answer["result"]
