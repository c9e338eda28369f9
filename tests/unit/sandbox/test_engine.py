"""The engine: routing, transactions, unreadable bodies, mistakes in a provider, and a state that outlives it."""

from __future__ import annotations

import logging
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from smos.sandbox.engine import Engine, Request
from smos.sandbox.provider import Call, Operation, Provider, Reply
from smos.sandbox.state import State

SCHEMA = "CREATE TABLE IF NOT EXISTS toy_things (name TEXT PRIMARY KEY)"


def keep(call: Call) -> Reply:
    """Writes first, then ends as the body says."""
    call.db.execute("INSERT INTO toy_things VALUES (?)", (call.body["name"],))
    if call.body.get("break"):
        raise RuntimeError(f"quoting {call.body['name']}")
    return Reply(call.body.get("status", 200), {"ok": True}, rollback=call.body.get("rollback", False))


def seed(db: sqlite3.Connection) -> None:
    db.execute("INSERT INTO toy_things VALUES ('seeded')")


TOY = Provider(
    name="toy",
    base="/toy/v1",
    schema=SCHEMA,
    operations=(
        Operation("POST", "/things", "things.create", keep, True),
        Operation("GET", "/things/{id:int}", "things.get", lambda call: Reply(200, dict(call.params)), False),
        Operation("GET", "/address", "address", lambda call: Reply(200, call.base_url), False),
    ),
    authenticate=lambda call, tokens: None if call.headers.get("key") in tokens else Reply(401, {"error": "no"}),
    seed=seed,
    fault_reply=lambda status, message: Reply(status, {"toy": message}),
)


def engine(path: Path | str = ":memory:", provider: Provider = TOY) -> Engine:
    return Engine(State(path, (provider,)), {"toy": frozenset({"k"})})


def send(to: Engine, method: str, path: str, raw: bytes = b"", **headers: str) -> Reply:
    kept = {"key": "k", "content-type": "application/json", **headers}
    reply = to.handle(Request(method, path, "", kept, raw, "http://127.0.0.1:1")).reply
    assert reply is not None
    return reply


def names(to: Engine) -> set[str]:
    return {row["name"] for row in to.state.db.execute("SELECT name FROM toy_things")}


def test_a_good_call_is_committed_and_a_refused_or_broken_one_leaves_nothing(caplog: pytest.LogCaptureFixture) -> None:
    toy = engine()
    assert send(toy, "POST", "/toy/v1/things", b'{"name": "a"}').status == 200
    assert send(toy, "POST", "/toy/v1/things", b'{"name": "b", "status": 409}').status == 409
    assert send(toy, "POST", "/toy/v1/things", b'{"name": "c", "rollback": true}').status == 200
    with caplog.at_level(logging.ERROR):
        assert send(toy, "POST", "/toy/v1/things", b'{"name": "planted-secret", "break": true}').status == 500
    assert names(toy) == {"seeded", "a"}
    assert "RuntimeError" in caplog.text
    assert "planted-secret" not in caplog.text


def test_paths_give_their_parameters_as_text_and_unknown_ones_the_providers_envelope() -> None:
    toy = engine()
    assert send(toy, "GET", "/toy/v1/things/12").body == {"id": "12"}
    assert send(toy, "GET", "/toy/v1/address").body == "http://127.0.0.1:1/toy/v1"
    for path in ("/toy/v1/things/x", "/toy/v1/", "/toy/v1", "/toy", "/toy/v1things"):
        assert (send(toy, "GET", path).status, send(toy, "GET", path).body) == (404, {"toy": "not found"})
    assert send(toy, "PUT", "/toy/v1/things").status == 405
    assert send(toy, "GET", "/unheard/of").status == 404


@pytest.mark.parametrize("raw", [b"{", b"\xff", b"[" * 100_000, b'{"a": 1} x'])
def test_a_body_that_is_no_json_is_refused_before_the_handler(raw: bytes) -> None:
    toy = engine()
    assert send(toy, "POST", "/toy/v1/things", raw).status == 400
    assert send(toy, "POST", "/toy/v1/things", raw, key="wrong").status == 401


def test_a_lone_surrogate_cannot_bring_the_sandbox_down() -> None:
    toy = engine()
    assert send(toy, "POST", "/toy/v1/things", rb'{"name": "\ud800"}').status == 500
    toy.log.flush()
    assert send(toy, "POST", "/toy/v1/things", b'{"name": "fine"}').status == 200


def test_state_survives_and_reset_brings_the_seed_back(tmp_path: Path) -> None:
    first = engine(tmp_path / "state.db")
    send(first, "POST", "/toy/v1/things", b'{"name": "a"}')
    first.state.close()
    second = engine(tmp_path / "state.db")
    assert names(second) == {"seeded", "a"}
    second.reset()
    assert names(second) == {"seeded"}


def test_tables_of_another_version_start_anew(tmp_path: Path) -> None:
    engine(tmp_path / "state.db").state.close()
    changed = replace(
        TOY, schema=SCHEMA.replace("name TEXT PRIMARY KEY", "name TEXT PRIMARY KEY, size INTEGER"), seed=lambda db: None
    )
    assert names(engine(tmp_path / "state.db", changed)) == set()


@pytest.mark.parametrize(
    "settings", [{"latency_ms": -1}, {"latency_ms": True}, {"rate_limits": 1}, {"n8n_version": "3"}, {"other": 1}]
)
def test_a_setting_without_sense_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        engine().configure(settings)
