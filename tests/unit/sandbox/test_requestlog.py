"""The request log: every request is there, no secret is, and it stays small."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smos.sandbox import cloudflare as cf
from smos.sandbox.masking import MASK, Masker
from smos.sandbox.requestlog import Entry, RequestLog
from unit.sandbox.driver import Driver, cloudflare, n8n

TOKEN = "sandbox-odoo-token"
RECORDS = f"/zones/{cf.ZONE_ID}/dns_records"


def masked(body: Any, provider: str = "chatwoot", operation: str = "users.create", tokens: tuple[str, ...] = ()) -> str:
    found = Masker(tokens).body(provider, operation, json.dumps(body).encode())
    assert found is not None
    return found


@pytest.mark.parametrize(
    "body",
    [
        {"password": "PLANTED"},
        {"user": {"new_password": "PLANTED", "name": "Ana"}},
        {"a": [{"access_token": {"deep": ["PLANTED"]}}]},
        {"api_key": "PLANTED"},
        {"apiKey": "PLANTED"},
        {"Authorization": "PLANTED"},
        {"headers": {"parameters": [{"name": "X-Api-Key", "value": "PLANTED"}]}},
        {"key": "webhook.secret", "value": "PLANTED"},
        {"text": "Authorization: Bearer PLANTED-and-more"},
        {"url": "https://user:PLANTED@example.com/"},
        {"url": "https://example.com/hook?api_access_token=PLANTED&x=1"},
        {"code": 12, "smtp_pass": "PLANTED"},
    ],
)
def test_secrets_are_masked_by_their_name_wherever_they_stand(body: Any) -> None:
    assert "PLANTED" not in masked(body)


def test_secrets_in_queries_are_masked_as_well() -> None:
    query = {"api_access_token": "PLANTED", "next": "https://example.com/?token=PLANTED", "page": "2"}
    shown = json.loads(Masker(()).query(query))
    assert shown == {"api_access_token": MASK, "next": f"https://example.com/?token={MASK}", "page": "2"}


def rpc(service: str, method: str, *args: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": "call", "params": {"service": service, "method": method, "args": list(args)}}


@pytest.mark.parametrize(
    "body",
    [
        rpc("common", "authenticate", "db", "login", "PLANTED", {}),
        rpc("common", "login", "db", "login", "PLANTED"),
        rpc("object", "execute_kw", "db", 2, "PLANTED", "res.users", "search", [[]], {}),
        rpc("object", "execute_kw", "db", 2, "x", "res.users", "create", [{"login": "a", "password": "PLANTED"}]),
        rpc("object", "execute", "db", 2, "x", "res.users", "change_password", "PLANTED", "PLANTED"),
        rpc("object", "execute_kw", "db", 2, "x", "ir.config_parameter", "set_param", ["mail.secret", "PLANTED"]),
        rpc("db", "create_database", "PLANTED", "name", False, "es_CL", "PLANTED"),
        rpc("db", "change_admin_password", "PLANTED", "PLANTED"),
        rpc("db", "drop", "PLANTED", "name"),
    ],
)
def test_odoo_passwords_are_masked_by_their_place(body: dict[str, Any]) -> None:
    shown = masked(body, "odoo", "any")
    assert "PLANTED" not in shown
    assert len(json.loads(shown)["params"]["args"]) == len(body["params"]["args"])


def test_what_is_no_secret_stays_readable() -> None:
    body = rpc("object", "execute_kw", "db", 2, "x", "res.company", "create", [{"name": "Acme", "vat": "76086428-5"}])
    shown = json.loads(masked(body, "odoo", "any"))
    assert shown["params"]["args"][5] == [{"name": "Acme", "vat": "76086428-5"}]
    assert json.loads(masked({"name": "acme", "ttl": 300, "proxied": True, "comment": None})) == {
        "name": "acme",
        "ttl": 300,
        "proxied": True,
        "comment": None,
    }


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=8), st.text(max_size=20))
def test_an_accepted_token_is_found_in_any_text(token: str, around: str) -> None:
    mask = Masker([token])
    shown = mask.body("n8n", "workflows.create", json.dumps({"note": f"{around}{token}{around}"}).encode())
    assert shown is not None
    assert token not in json.loads(shown)["note"].replace(MASK, "")


def test_credentials_of_n8n_are_masked_as_a_whole() -> None:
    api = n8n()
    api.ok("POST", "/api/v1/credentials", {"name": "a", "type": "httpHeaderAuth", "data": {"value": "PLANTED"}})
    logged = api.engine.log.find()["requests"][0]
    assert logged["body"] == {"name": "a", "type": "httpHeaderAuth", "data": {"value": MASK}}


def test_no_byte_of_a_secret_reaches_the_file() -> None:
    api = cloudflare()
    token = "sandbox-cloudflare-token"
    api.send("GET", f"/zones/{token}", q=token)
    api.send("POST", RECORDS, {"type": "TXT", "name": "x", "ttl": 1, "content": f"k={token}"})
    api.send("POST", RECORDS, f"not json {token}".encode())
    api.engine.log.flush()
    rows = api.engine.state.db.execute("SELECT * FROM sandbox_requests").fetchall()
    assert len(rows) == 3
    assert all(token not in str(value) for row in rows for value in tuple(row))


def test_each_request_is_logged_with_operation_outcome_and_whether_it_writes() -> None:
    api = cloudflare()
    api.send("GET", RECORDS, name="x")
    api.send("POST", RECORDS, {"type": "A"})
    api.send("GET", "/nowhere")
    api.engine.faults.add({"kind": "reset"})
    api.outcome("DELETE", f"{RECORDS}/1")
    found = api.engine.log.find()
    shown = [(row["operation"], row["status"], row["write"], row["fault"]) for row in found["requests"]]
    assert shown == [
        ("dns_records.list", 200, False, ""),
        ("dns_records.create", 400, True, ""),
        ("unknown", 404, False, ""),
        ("dns_records.delete", 0, True, "reset"),
    ]
    assert found["requests"][0]["query"] == {"name": "x"}
    assert (found["matching"], found["last"]) == (4, 4)


def test_the_log_is_searched_by_provider_operation_writes_and_place() -> None:
    api = cloudflare()
    for _ in range(3):
        api.send("GET", "/zones")
        api.send("POST", RECORDS, {})
    log = api.engine.log
    assert [row["id"] for row in log.find(writes=True)["requests"]] == [2, 4, 6]
    assert [row["id"] for row in log.find(since=4)["requests"]] == [5, 6]
    assert [row["id"] for row in log.find(limit=2)["requests"]] == [5, 6]
    assert log.find(operation="zones.*", limit=0)["matching"] == 3
    assert log.find(provider="odoo")["requests"] == []
    log.clear()
    assert log.find() == {"requests": [], "matching": 0, "last": 6}


def test_only_the_newest_requests_are_kept() -> None:
    api = cloudflare()
    log = RequestLog(api.engine.state.db, Masker(()), keep=10)
    for number in range(35):
        log.add(Entry(float(number), "toy", "x", "GET", "/", {}, b"", 200, 0.1, False, ""))
        log.flush()
    found = log.find(limit=1000)
    assert found["last"] == 35
    assert found["matching"] < 20
    assert found["requests"][-1]["at"] == 34.0


def test_a_very_large_body_is_counted_and_not_kept() -> None:
    api: Driver = cloudflare()
    api.send("POST", RECORDS, {"comment": "x" * 300_000})
    assert "not kept" in api.engine.log.find()["requests"][0]["body"]
