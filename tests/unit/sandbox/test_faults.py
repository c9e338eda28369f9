"""Faults on demand: which requests a rule hits, what it does to them, and that it is the same every time."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from smos.sandbox import cloudflare as cf
from smos.sandbox.engine import Engine
from smos.sandbox.faults import BadRule, FaultBook, parse_rule
from smos.sandbox.state import OWN_SCHEMA, State
from unit.sandbox.driver import Driver, cloudflare

RECORDS = f"/zones/{cf.ZONE_ID}/dns_records"
A = {"type": "A", "name": "acme", "content": "192.0.2.1", "ttl": 300}


@pytest.fixture
def api() -> Driver:
    return cloudflare()


def hits(rule: dict[str, Any], requests: int, operation: str = "zones.list") -> list[int]:
    """The numbers (from 1) of the requests that the rule hits."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.row_factory = sqlite3.Row
    db.executescript(OWN_SCHEMA)
    book = FaultBook(db)
    book.add(rule)
    return [number for number in range(1, requests + 1) if book.take("cloudflare", operation).rule is not None]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"kind": "500"}, [1]),
        ({"kind": "500", "times": 3}, [1, 2, 3]),
        ({"kind": "500", "times": "always"}, [1, 2, 3, 4, 5, 6, 7, 8]),
        ({"kind": "500", "times": 2, "after": 3}, [4, 5]),
        ({"kind": "500", "times": "always", "every": 3}, [3, 6]),
        ({"kind": "500", "times": 2, "every": 2, "after": 1}, [3, 5]),
        ({"kind": "500", "operation": "zones.*"}, [1]),
        ({"kind": "500", "operation": "dns_records.*"}, []),
        ({"kind": "500", "provider": "odoo"}, []),
    ],
)
def test_a_rule_hits_the_requests_it_names_and_no_other(rule: dict[str, Any], expected: list[int]) -> None:
    assert hits(rule, 8) == expected


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "nonsense"},
        {"kind": "200"},
        {"kind": "500", "times": 0},
        {"kind": "500", "times": "twice"},
        {"kind": "500", "after": -1},
        {"kind": "500", "every": 0},
        {"kind": "latency", "seconds": 3601},
        {"kind": "latency", "seconds": float("nan")},
        {"kind": "429", "retry_after": "soon"},
        {"kind": "500", "provider": ""},
        {"kind": "500", "colour": "red"},
    ],
)
def test_a_rule_without_sense_is_refused(rule: dict[str, Any]) -> None:
    with pytest.raises(BadRule):
        parse_rule(rule)


def test_a_status_fault_speaks_the_providers_envelope_and_touches_nothing(api: Driver) -> None:
    api.engine.faults.add({"operation": "dns_records.create", "kind": "429", "retry_after": 7})
    api.engine.faults.add({"operation": "dns_records.create", "kind": "status", "status": 503})
    first, second = api.send("POST", RECORDS, A), api.send("POST", RECORDS, A)
    assert (first.status, first.headers["retry-after"], first.body["success"]) == (429, "7", False)
    assert (second.status, second.body["success"]) == (503, False)
    assert api.ok("GET", RECORDS)["result_info"]["total_count"] == 4
    assert api.send("POST", RECORDS, A).status == 200


def test_a_reset_or_a_hang_before_the_call_does_nothing_and_answers_nothing(api: Driver) -> None:
    api.engine.faults.add({"kind": "reset"})
    api.engine.faults.add({"kind": "timeout_before", "seconds": 5})
    reset, hang = api.outcome("POST", RECORDS, A), api.outcome("POST", RECORDS, A)
    assert (reset.reply, reset.hang) == (None, 0)
    assert (hang.reply, hang.hang) == (None, 5)
    assert api.ok("GET", RECORDS)["result_info"]["total_count"] == 4


def test_a_time_out_after_commit_carries_the_call_out_and_answers_nothing(api: Driver) -> None:
    api.engine.faults.add({"operation": "dns_records.create", "kind": "timeout_after_commit"})
    outcome = api.outcome("POST", RECORDS, A)
    assert (outcome.reply, outcome.hang) == (None, 120)
    assert len(api.ok("GET", RECORDS, name="acme.smarterbot.cl")["result"]) == 1


def test_delays_add_up_and_come_with_the_real_answer(api: Driver) -> None:
    api.engine.configure({"latency_ms": 50})
    api.engine.faults.add({"kind": "latency", "seconds": 0.2})
    api.engine.faults.add({"kind": "latency", "seconds": 0.3})
    outcome = api.outcome("GET", "/zones")
    assert outcome.delay == pytest.approx(0.55)
    assert outcome.reply is not None
    assert api.outcome("GET", "/zones").delay == pytest.approx(0.05)


def test_rules_and_their_counts_survive_a_restart(tmp_path: Path) -> None:
    def engine() -> Engine:
        return Engine(State(tmp_path / "state.db", (cf.PROVIDER,)), {"cloudflare": frozenset({"t"})})

    first = engine()
    first.faults.add({"kind": "500", "times": 2})
    first.faults.take("cloudflare", "zones.list")
    first.state.close()
    second = engine()
    assert [(rule["seen"], rule["fired"]) for rule in second.faults.shown()] == [(1, 1)]
    assert second.faults.take("cloudflare", "zones.list").rule is not None
    assert second.faults.take("cloudflare", "zones.list").rule is None
    assert second.faults.clear() == 1
    assert not second.faults
