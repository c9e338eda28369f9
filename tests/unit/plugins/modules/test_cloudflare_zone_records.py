"""The promises of cloudflare_zone_records, kept against the sandbox's Cloudflare."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.services import cloudflare_zone_records as service
from ansible_collections.smartercl.smarteros.plugins.modules import cloudflare_zone_records as module
from smos.sandbox.cloudflare import LIMITED, ZONE_ID
from unit.plugins.wire import CUT, LOST, Sent, Wire, once, run_module, wired
from unit.sandbox.driver import cloudflare

ZONE, TOKEN, MARK = "smarterbot.cl", "sandbox-cloudflare-token", "smarteros:system"
RECORDS = f"/zones/{ZONE_ID}/dns_records"
WISHED: list[dict[str, Any]] = [
    {"type": "A", "name": "@", "content": "203.0.113.10", "proxied": True},
    {"type": "AAAA", "name": "@", "content": "2001:DB8:0::10", "proxied": True},
    {"type": "A", "name": "traefik", "content": "203.0.113.10", "ttl": 300},
    {"type": "CNAME", "name": "Docs", "content": "Pages.example.net."},
    {"type": "MX", "name": "send", "content": "mx.example.net", "priority": 10},
    {"type": "TXT", "name": "mail2026._domainkey", "content": f"v=DKIM1; k=rsa; p={'A' * 400}"},
    {"type": "TXT", "name": "note", "content": 'say "hi" \\ there'},
    {"type": "CAA", "name": "@", "content": "0 ISSUE letsencrypt.org"},
    {"type": "CAA", "name": "@", "content": '128 iodef "mailto:ana@example.com"'},
    {"type": "SRV", "name": "_sip._tcp", "content": "10 5 5060 Sip.example.net"},
]


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    return wired(cloudflare, monkeypatch)


def run(wire: Wire, records: list[dict[str, Any]], check: bool = False, **more: Any) -> dict[str, Any]:
    return run_module(module, check, **{"url": wire.base_url, "token": TOKEN, "zone": ZONE, "records": records, **more})


def zone(wire: Wire) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = wire.driver.ok("GET", RECORDS, per_page=5000)["result"]
    return rows


def marked(wire: Wire) -> set[tuple[str, str]]:
    return {(row["type"], row["name"].removesuffix(f".{ZONE}")) for row in zone(wire) if row["comment"] == MARK}


def add(wire: Wire, **row: Any) -> None:
    wire.driver.ok("POST", RECORDS, {"ttl": 1, **row})


def test_every_type_is_made_once_and_in_one_transaction(wire: Wire) -> None:
    before = zone(wire)
    foretold = run(wire, WISHED, check=True)
    assert (wire.writes, zone(wire)) == ([], before)
    done = run(wire, WISHED)
    assert (foretold["changes"], foretold["diff"]) == (done["changes"], done["diff"])
    assert (len(wire.writes), len(done["changes"]), done["others"]) == (1, len(WISHED), len(before))
    assert {(row["service"], row["tenant"], row["action"]) for row in done["changes"]} == {
        ("cloudflare", None, "create")
    }
    assert len(done["diff"]["after"]) == len(WISHED)
    again = run(wire, WISHED)
    assert (again["changed"], again["changes"], again["kept"], len(wire.writes)) == (False, [], len(WISHED), 1)
    assert [row for row in zone(wire) if row["comment"] != MARK] == before


def test_what_differs_is_changed_and_what_is_ours_no_more_goes(wire: Wire) -> None:
    run(wire, WISHED)
    add(wire, type="CNAME", name="acme", content=f"app.{ZONE}", comment="smarteros:12345678-5")
    others = [row for row in zone(wire) if row["comment"] != MARK]
    changed = [dict(each) for each in WISHED]
    changed[4]["priority"] = 20
    changed[3] = {"type": "A", "name": "docs", "content": "192.0.2.5"}  # another type: replaced at once
    stays = run(wire, changed[:-1])
    assert sorted(row["action"] for row in stays["changes"]) == ["create", "delete", "update"]
    assert ("SRV", "_sip._tcp") in marked(wire)
    gone = run(wire, changed[:-1], prune=True)
    assert [(row["action"], row["what"]) for row in gone["changes"]] == [("delete", f"DNS SRV _sip._tcp.{ZONE}")]
    assert [row for row in zone(wire) if row["comment"] != MARK] == others


def test_as_long_as_one_is_in_the_way_nothing_is_touched(wire: Wire, tmp_path: Path) -> None:
    add(wire, type="A", name="traefik", content="192.0.2.1")
    add(wire, type="CNAME", name="docs", content="a.example.net", comment="smarteros:12345678-5")
    before = zone(wire)
    failed = run(wire, WISHED, adopt=False, prune=True, export_dir=str(tmp_path))
    assert (failed["failed"], failed["exit_code"], zone(wire)) == (True, 4, before)
    assert (wire.writes, list(tmp_path.iterdir())) == ([], [])
    assert {row["record"] for row in failed["refused"]} == {f"A traefik.{ZONE}", f"CNAME docs.{ZONE}"}
    assert {row["what"] for row in failed["errors"]} == {f"DNS A traefik.{ZONE}", f"DNS CNAME docs.{ZONE}"}
    (row,) = [row for row in failed["refused"] if row["record"].startswith("A")]
    assert (row["there"]["content"], row["wanted"]["content"]) == ("192.0.2.1", "203.0.113.10")
    adopting = run(wire, WISHED, adopt=True)
    assert [row["record"] for row in adopting["refused"]] == [f"CNAME docs.{ZONE}"]
    assert "belongs to tenant 12345678-5" in adopting["errors"][0]["why"]


def test_the_zone_is_kept_before_the_first_change_and_the_newest_stay(wire: Wire, tmp_path: Path) -> None:
    before = zone(wire)
    folder = tmp_path / "zones" / "sandbox"
    assert run(wire, WISHED, check=True, export_dir=str(folder))["export"] == ""
    assert not folder.exists()
    first = run(wire, WISHED, export_dir=str(folder), run="20261123-120000-abcd")
    path = Path(first["export"])
    assert path.name == f"{ZONE}-20261123-120000-abcd.json"
    kept = json.loads(path.read_text())
    assert sorted(row["id"] for row in kept["records"]) == sorted(row["id"] for row in before)
    assert path.stat().st_mode & 0o077 == 0
    assert run(wire, WISHED, export_dir=str(folder), run="20261123-120001-abcd")["export"] == ""
    for number in range(service.KEPT + 3):
        service.export(folder, ZONE, f"run{number:02d}", [])
    (folder / "other.example-1.json").write_text("{}")
    again = service.export(folder, ZONE, f"run{service.KEPT + 2}", [])
    assert again.name.endswith("-2.json")
    names = sorted(each.name for each in folder.glob(f"{ZONE}-*.json"))
    assert (len(names), path.exists(), again.exists()) == (service.KEPT, False, True)
    assert (folder / "other.example-1.json").exists()


def test_a_zone_that_cannot_be_kept_is_not_changed(wire: Wire, tmp_path: Path) -> None:
    (tmp_path / "zones").write_text("in the way")
    failed = run(wire, WISHED, export_dir=str(tmp_path / "zones"))
    assert (failed["exit_code"], wire.writes) == (3, [])
    assert failed["errors"][0]["where"].endswith("zones")


@pytest.mark.parametrize(
    ("records", "words"),
    [
        ([{"type": "A", "name": "x", "content": "nonsense", "source": "specs/infra/dns.yml: records[0]"}], "not an IP"),
        ([{"type": "TXT", "name": "@", "content": each} for each in ("v=spf1 -all", "v=spf1 mx -all")], "two SPF"),
        ([WISHED[3], {"type": "A", "name": "docs", "content": "192.0.2.1"}], "beside"),
    ],
)
def test_wishes_that_cannot_be_are_refused_before_anything_is_asked(
    wire: Wire, records: list[dict[str, Any]], words: str
) -> None:
    failed = run(wire, records)
    assert (failed["exit_code"], wire.sent) == (2, [])
    assert words in failed["errors"][0]["why"]
    assert failed["errors"][0]["where"] == records[0].get("source", "")


def test_a_zone_out_of_sight_and_a_token_that_may_not_write_touch_nothing(wire: Wire) -> None:
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"zone": "example.org"}, "no zone example.org"),
        ({"token": "wrong"}, "Authentication error"),
        ({"token": LIMITED}, "DNS Write"),
    )
    for more, words in cases:
        failed = run(wire, WISHED, **more)
        assert (failed["exit_code"], wire.writes) == (3, [])
        assert words in failed["errors"][0]["why"]
        assert LIMITED not in json.dumps(failed)


@pytest.mark.parametrize("trouble", [LOST, CUT])
def test_a_lost_answer_is_looked_after_and_nothing_is_made_twice(wire: Wire, trouble: str) -> None:
    wire.trouble = once(lambda sent: sent.method == "POST", trouble)
    done = run(wire, WISHED)
    assert (len(done["changes"]), len(marked(wire))) == (
        len(WISHED),
        len({(r["type"], r["name"].lower()) for r in WISHED}),
    )
    assert run(wire, WISHED)["changed"] is False


def test_a_failure_half_way_tells_what_was_done_and_the_next_run_goes_on(wire: Wire) -> None:
    many = [{"type": "A", "name": f"n{n:04d}", "content": "203.0.113.10"} for n in range(450)]
    batches: list[int] = []

    def trouble(sent: Sent) -> Any:
        if sent.method == "POST":
            batches.append(len(sent.json["posts"]))
            if len(batches) == 2:
                return 400, {"success": False, "errors": [{"code": 1004, "message": "no more"}], "result": None}
        return None

    wire.trouble = trouble
    failed = run(wire, many)
    assert (failed["failed"], failed["exit_code"], len(failed["changes"])) == (True, 1, 200)
    assert "no more" in failed["errors"][0]["why"]
    wire.trouble = lambda _sent: None
    again = run(wire, many)
    assert (len(again["changes"]), run(wire, many)["changed"]) == (250, False)


def test_somebody_who_was_quicker_is_seen(wire: Wire) -> None:
    """Between reading and writing a record of ours appears by hand: it is refused, and what was done by then is told."""

    def trouble(sent: Sent) -> Any:
        if sent.method == "POST":
            wire.trouble = lambda _sent: None
            add(wire, type="CNAME", name="docs", content="a.example.net")
        return None

    wire.trouble = trouble
    failed = run(wire, WISHED)
    assert (failed["exit_code"], failed["changes"], marked(wire)) == (1, [], set())
    assert "CNAME a.example.net" in failed["errors"][0]["why"]
