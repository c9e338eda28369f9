"""The promises of cloudflare_dns_records, kept against the sandbox's Cloudflare."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.modules import cloudflare_dns_records as module
from smos.sandbox.cloudflare import ZONE_ID
from unit.plugins.wire import CUT, LOST, Sent, Wire, once, run_module, wired
from unit.sandbox.driver import cloudflare

ZONE = "smarterbot.cl"
TOKEN = "sandbox-cloudflare-token"
RECORDS = f"/zones/{ZONE_ID}/dns_records"
BATCH = f"{RECORDS}/batch"


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    return wired(cloudflare, monkeypatch)


def rut(n: int) -> str:
    return f"{10000000 + n}-5"


def item(n: int, **more: Any) -> dict[str, Any]:
    row = {"tenant": rut(n), "name": f"t{n}.{ZONE}", "type": "CNAME", "content": f"app.{ZONE}", "proxied": True}
    return {**row, **more}


def run(wire: Wire, *records: dict[str, Any], check: bool = False, **more: Any) -> dict[str, Any]:
    return run_module(
        module, check, **{"url": wire.base_url, "token": TOKEN, "zone": ZONE, "records": list(records), **more}
    )


def zone(wire: Wire) -> dict[str, tuple[str, str]]:
    rows = wire.driver.ok("GET", RECORDS, per_page=5000)["result"]
    ours = [row for row in rows if "smarteros:" in (row["comment"] or "") or row["name"].startswith("t")]
    assert len({(row["type"], row["name"]) for row in ours}) == len(ours), "a record is there twice"
    return {row["name"].split(".")[0]: (row["type"], row["content"]) for row in ours}


def states(answer: dict[str, Any]) -> dict[str, str]:
    return {row["tenant"]: row["state"] for row in answer["results"]}


def add(wire: Wire, **fields: Any) -> None:
    wire.driver.ok("POST", RECORDS, {"type": "CNAME", "content": f"app.{ZONE}", "ttl": 1, **fields})


def is_batch(sent: Sent) -> bool:
    return sent.path == BATCH


SITUATION = (
    item(0),
    item(1, type="A", content="192.0.2.1"),
    item(2, content="new.example.com"),
    item(3),
    item(4, state="absent"),
    item(5, content="app.example.com", proxied=False, ttl=300),
)


def prepare(wire: Wire) -> None:
    add(wire, name=f"t1.{ZONE}", comment=f"smarteros:{rut(1)}")
    add(wire, name=f"t2.{ZONE}", comment=f"smarteros:{rut(2)}", proxied=True)
    add(wire, name=f"t3.{ZONE}", comment="made by hand")
    add(wire, name=f"t4.{ZONE}", comment=f"smarteros:{rut(4)}")
    add(wire, name=f"old.{ZONE}", comment=f"smarteros:{rut(0)}")


@pytest.mark.parametrize("prune", [False, True])
def test_check_mode_foretells_the_run_and_writes_nothing(wire: Wire, prune: bool) -> None:
    prepare(wire)
    before = zone(wire)
    foretold = run(wire, *SITUATION, check=True, prune=prune)
    assert wire.writes == []
    assert zone(wire) == before

    done = run(wire, *SITUATION, prune=prune)
    told = [(row["state"], row["created"], row["changes"]) for row in foretold["results"]]
    assert told == [(row["state"], row["created"], row["changes"]) for row in done["results"]]
    assert (foretold["changed"], foretold["diff"]) == (done["changed"], done["diff"]) == (True, done["diff"])


def test_a_second_run_changes_nothing_and_only_reads(wire: Wire) -> None:
    prepare(wire)
    first = run(wire, *SITUATION)
    wire.sent.clear()
    second = run(wire, *SITUATION)
    assert (second["changed"], second["diff"], second["requests"]) == (False, {"before": {}, "after": {}}, 2)
    assert [row["ref"] for row in second["results"]] == [row["ref"] for row in first["results"]]
    assert wire.writes == []


def test_one_tenants_conflict_spares_the_others(wire: Wire) -> None:
    prepare(wire)
    answer = run(wire, *SITUATION)
    assert states(answer) == {rut(3): "failed", rut(4): "absent", **{rut(n): "ready" for n in (0, 1, 2, 5)}}
    failed = answer["results"][3]
    assert "does not bear our mark" in failed["error"]["why"]
    assert (failed["changed"], failed["changes"], failed["created"]) == (False, [], False)
    assert zone(wire)["t1"] == ("A", "192.0.2.1")
    assert zone(wire)["t3"] == ("CNAME", f"app.{ZONE}")
    assert "t4" not in zone(wire)


def test_a_type_change_is_one_transaction(wire: Wire) -> None:
    prepare(wire)
    run(wire, SITUATION[1])
    (batch,) = wire.writes
    assert (len(batch.json["deletes"]), len(batch.json["posts"])) == (1, 1)


def test_what_is_made_bears_the_tenants_mark(wire: Wire) -> None:
    run(wire, item(0))
    assert wire.writes[0].json["posts"][0]["comment"] == f"smarteros:{rut(0)}"


def test_an_update_leaves_the_comment_alone(wire: Wire) -> None:
    add(wire, name=f"t2.{ZONE}", comment=f"smarteros:{rut(2)} and a note")
    run(wire, item(2, content="new.example.com"))
    rows = wire.driver.ok("GET", RECORDS, per_page=5000)["result"]
    assert [row["comment"] for row in rows if row["name"] == f"t2.{ZONE}"] == [f"smarteros:{rut(2)} and a note"]


def test_a_thousand_tenants_need_seven_requests_then_two(wire: Wire) -> None:
    items = [item(n) for n in range(1000)]
    assert run(wire, *items)["requests"] == 7
    assert [len(sent.json["posts"]) for sent in wire.writes] == [200] * 5
    assert run(wire, *items)["requests"] == 2


def test_one_bad_record_of_a_thousand_fails_alone(wire: Wire) -> None:
    items = [item(n) for n in range(300)]
    items[77] = item(77, content="not a host name", proxied=False)
    answer = run(wire, *items)
    assert [tenant for tenant, state in states(answer).items() if state == "failed"] == [rut(77)]
    assert len(zone(wire)) == 299
    assert answer["requests"] < 25
    assert answer["results"][77]["error"]["next"].startswith("Correct what the provider names")


@pytest.mark.parametrize("trouble", [LOST, CUT])
def test_a_batch_without_answer_is_looked_for_before_it_is_sent_again(wire: Wire, trouble: str) -> None:
    wire.trouble = once(is_batch, trouble)
    answer = run(wire, *[item(n) for n in range(5)])
    assert set(states(answer).values()) == {"ready"}
    assert all(row["changed"] and row["created"] and row["ref"] for row in answer["results"])
    assert len(wire.writes) == (1 if trouble == LOST else 2)
    assert len(zone(wire)) == 5


def test_a_record_made_since_the_listing_is_found_again(wire: Wire) -> None:
    def meddle(sent: Sent) -> None:
        if is_batch(sent) and not made:
            made.append(1)
            add(wire, name=f"t1.{ZONE}", comment=f"smarteros:{rut(1)}", proxied=True)
            add(wire, name=f"t2.{ZONE}", type="A", content="192.0.2.1")

    made: list[int] = []
    wire.trouble = meddle
    answer = run(wire, *[item(n) for n in range(4)])
    assert states(answer) == {rut(0): "ready", rut(1): "ready", rut(2): "failed", rut(3): "ready"}
    assert answer["results"][1]["ref"]


def test_a_conflict_that_we_cannot_see_fails_its_tenant_only(wire: Wire) -> None:
    body = {
        "success": False,
        "errors": [{"code": 81058, "message": "An identical record already exists."}],
        "result": None,
    }

    def trouble(sent: Sent) -> Any:
        names = [post["name"] for post in (sent.json or {}).get("posts", [])]
        return (400, body) if f"t2.{ZONE}" in names else None

    wire.trouble = trouble
    answer = run(wire, *[item(n) for n in range(4)])
    assert [tenant for tenant, state in states(answer).items() if state == "failed"] == [rut(2)]


def test_a_provider_that_stays_away_midway_fails_the_tenants_and_not_the_task(wire: Wire) -> None:
    wire.trouble = lambda sent: CUT if is_batch(sent) else None
    answer = run(wire, item(0))
    assert (answer.get("failed"), states(answer)) == (None, {rut(0): "failed"})
    assert answer["results"][0]["error"]["next"].startswith("Run the same command again")


@pytest.mark.parametrize("options", [{"token": "wrong-token-1"}, {"zone": "example.com"}, {"url": "ftp://example.com"}])
def test_what_cannot_be_used_at_all_fails_the_task_untouched(wire: Wire, options: dict[str, Any]) -> None:
    answer = run(wire, item(0), **options)
    assert (answer["failed"], answer["exit_code"], wire.writes) == (True, 3, [])
    assert set(answer["errors"][0]) == {"what", "where", "why", "next"}
    assert "wrong-token-1" not in str(answer["errors"]) + answer["msg"]


def test_no_records_mean_no_requests(wire: Wire) -> None:
    answer = run(wire)
    assert (answer["changed"], answer["results"], answer["requests"], wire.sent) == (False, [], 0, [])


def test_the_token_may_come_from_the_environment_and_is_never_shown(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", TOKEN)
    answer = run_module(module, url=wire.base_url, zone=ZONE, records=[item(0)])
    assert answer["changed"]
    assert TOKEN not in str(answer)


def test_a_provider_that_repeats_the_token_does_not_get_it_into_our_answer(wire: Wire) -> None:
    body = {"success": False, "errors": [{"code": 9005, "message": f"bad Bearer {TOKEN}"}], "result": None}
    wire.trouble = lambda sent: (400, body) if is_batch(sent) else None
    answer = run(wire, item(0))
    assert TOKEN not in str(answer)
    assert "***" in answer["results"][0]["message"]


def test_a_suspended_tenants_record_leads_elsewhere_and_comes_back(wire: Wire) -> None:
    run(wire, item(0))
    suspended = item(0, state="suspended", content=f"suspended.{ZONE}")
    foretold = run(wire, suspended, check=True)
    done = run(wire, suspended)
    assert foretold["results"][0]["changes"] == done["results"][0]["changes"] != []
    assert (states(done), zone(wire)["t0"]) == ({rut(0): "suspended"}, ("CNAME", f"suspended.{ZONE}"))
    assert run(wire, suspended)["changed"] is False
    assert states(run(wire, item(0))) == {rut(0): "ready"}
    assert zone(wire)["t0"] == ("CNAME", f"app.{ZONE}")


def test_a_token_that_may_only_read_fails_every_tenant_that_needs_a_change(wire: Wire) -> None:
    run(wire, item(0))
    answer = run(wire, item(0), item(1), token="sandbox-cloudflare-limited")
    assert states(answer) == {rut(0): "ready", rut(1): "failed"}
