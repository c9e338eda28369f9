"""The promises of the modules for Hostinger, kept against the sandbox's Hostinger."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import hostinger as api
from ansible_collections.smartercl.smarteros.plugins.modules import (
    hostinger_dns_records,
    hostinger_firewall,
    hostinger_snapshot,
    hostinger_vps_info,
)
from unit.plugins.wire import CUT, LOST, Sent, Wire, once, run_module, wired
from unit.sandbox.driver import hostinger

TOKEN = "sandbox-hostinger-token"
ADDRESS, FAILING = "203.0.113.10", "fails.example.com"
MACHINE = "/api/vps/v1/virtual-machines/1268054"
FIREWALLS = "/api/vps/v1/firewall"
ZONE = "/api/dns/v1/zones/example.com"
RULES = [
    {"protocol": "SSH"},
    {"protocol": "tcp", "port": "80"},
    {"protocol": "TCP", "port": "443", "source": "203.0.113.0/24"},
    {"protocol": "UDP", "port": "1024-2048"},
]


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    return wired(hostinger, monkeypatch)


def run(wire: Wire, module: Any, check: bool = False, **more: Any) -> dict[str, Any]:
    if "wait_timeout" in module.OPTIONS:
        more = {"poll": 0, "wait_timeout": 60, **more}
    return run_module(module, check, url=wire.base_url, token=TOKEN, **more)


def firewall(wire: Wire, check: bool = False, **more: Any) -> dict[str, Any]:
    return run(wire, hostinger_firewall, check, **{"name": "smarteros", "machine": ADDRESS, "rules": RULES, **more})


def snapshot(wire: Wire, check: bool = False, **more: Any) -> dict[str, Any]:
    return run(wire, hostinger_snapshot, check, **{"machine": ADDRESS, **more})


def dns(wire: Wire, *records: dict[str, Any], check: bool = False, **more: Any) -> dict[str, Any]:
    return run(wire, hostinger_dns_records, check, **{"zone": "example.com", "records": list(records), **more})


def named(wire: Wire, name: str = "smarteros") -> dict[str, Any]:
    (found,) = [row for row in wire.driver.ok("GET", FIREWALLS)["data"] if row["name"] == name]
    row: dict[str, Any] = found
    return row


def sets(wire: Wire) -> dict[tuple[str, str], list[str]]:
    rows = wire.driver.ok("GET", ZONE)
    return {(row["type"], row["name"]): [each["content"] for each in row["records"]] for row in rows}


def same(foretold: dict[str, Any], done: dict[str, Any]) -> bool:
    keys = ("changed", "changes", "diff")
    return [foretold[key] for key in keys] == [done[key] for key in keys]


# --- machines


@pytest.mark.parametrize("one", ["1268054", "vps.smarterbot.cl", ADDRESS])
def test_a_machine_is_found_by_id_host_name_or_address(wire: Wire, one: str) -> None:
    (row,) = run(wire, hostinger_vps_info, machine=one)["machines"]
    assert (row["id"], row["ipv4"], row["memory_mb"], row["snapshot"]) == (1268054, [ADDRESS], 8192, {})
    assert wire.writes == []


def test_all_machines_are_told_without_a_name_and_an_unknown_one_is_an_error(wire: Wire) -> None:
    assert len(run(wire, hostinger_vps_info)["machines"]) == 2
    answer = run(wire, hostinger_vps_info, machine="203.0.113.99")
    assert (answer["failed"], answer["exit_code"]) == (True, 3)
    assert "203.0.113.99" in answer["errors"][0]["why"]


# --- firewall


def test_a_firewall_is_made_filled_activated_and_synced_in_this_order(wire: Wire) -> None:
    answer = firewall(wire)
    assert answer["changed"], answer
    assert [sent.path.split("firewall")[-1].split("/")[-2:][0] for sent in wire.writes] == [
        "",
        "65225",
        "activate",
        "sync",
    ]
    assert wire.driver.ok("GET", MACHINE)["firewall_group_id"] == named(wire)["id"]
    assert answer["firewall"] == {"name": "smarteros", "id": 65225, "synced": True}
    assert next(rule["protocol"] + rule["port"] for rule in named(wire)["rules"]) == "TCP22"


def test_check_mode_foretells_the_firewall_and_writes_nothing(wire: Wire) -> None:
    foretold = firewall(wire, check=True)
    assert wire.writes == []
    assert same(foretold, firewall(wire))
    wire.sent.clear()
    assert firewall(wire)["changes"] == []
    assert wire.writes == []


def test_rules_changed_by_hand_are_drift_and_synced_to_the_machine(wire: Wire) -> None:
    firewall(wire)
    number = named(wire)["id"]
    by_hand = {"protocol": "TCP", "port": "5432", "source": "any", "source_detail": "any"}
    wire.driver.ok("POST", f"{FIREWALLS}/{number}/rules", by_hand)
    wire.driver.ok("DELETE", f"{FIREWALLS}/{number}/rules/{named(wire)['rules'][1]['id']}")
    foretold = firewall(wire, check=True)
    answer = firewall(wire)
    assert sorted(change["action"] for change in answer["changes"]) == ["create", "delete"]
    assert same(foretold, answer)
    assert named(wire)["is_synced"] is True
    assert len(named(wire)["rules"]) == 4


def test_rules_that_no_machine_has_yet_are_synced(wire: Wire) -> None:
    """What a run leaves that died between writing the rules and syncing them."""
    firewall(wire)
    number = named(wire)["id"]
    rules = [
        {key: rule[key] for key in ("protocol", "port", "source", "source_detail")} for rule in named(wire)["rules"]
    ]
    wire.driver.ok("PUT", f"{FIREWALLS}/{number}/rules", {"rules": rules})
    assert named(wire)["is_synced"] is False
    answer = firewall(wire)
    assert [change["after"] for change in answer["changes"]] == [{"synced": True}]
    assert named(wire)["is_synced"] is True


def test_another_active_firewall_gives_way_and_is_not_changed(wire: Wire) -> None:
    wire.driver.ok("POST", f"{FIREWALLS}/65224/activate/1268054")
    foretold_too_early = firewall(wire, check=True)
    assert {"firewall": None} in [change["before"] for change in foretold_too_early["changes"]]
    before = named(wire, "made by hand")
    answer = firewall(wire)
    assert {"firewall": "made by hand"} in [change["before"] for change in answer["changes"]]
    assert named(wire, "made by hand") == before


def test_it_is_refused_to_lock_ssh_out(wire: Wire) -> None:
    answer = firewall(wire, rules=[{"protocol": "TCP", "port": "443"}])
    assert (answer["failed"], answer["exit_code"], wire.writes) == (True, 3, [])
    assert "port 22" in answer["msg"]
    assert firewall(wire, rules=[{"protocol": "TCP", "port": "20:30"}])["changed"]


@pytest.mark.parametrize(
    "rule",
    [{"protocol": "SMTP"}, {"protocol": "TCP", "port": "0"}, {"protocol": "TCP", "port": "22", "source": "home"}],
)
def test_a_rule_that_makes_no_sense_is_refused_before_anything_is_sent(wire: Wire, rule: dict[str, str]) -> None:
    answer = firewall(wire, rules=[*RULES, rule])
    assert (answer["failed"], answer["exit_code"], wire.sent) == (True, 3, [])


def test_an_action_that_ends_with_an_error_is_told_as_such(wire: Wire) -> None:
    answer = firewall(wire, machine=FAILING)
    assert (answer["failed"], answer["exit_code"]) == (True, 1)
    assert "ended with an error" in answer["errors"][0]["why"]
    assert answer["changed"] is True, "the firewall and its rules were made"


def test_an_action_that_never_ends_is_not_waited_for_for_ever(wire: Wire) -> None:
    stuck = {"id": 1, "name": "firewall_activate", "state": "delayed"}
    wire.trouble = lambda sent: (200, stuck) if "/actions/" in sent.path else None
    answer = firewall(wire, wait_timeout=0.2, poll=0.01)
    assert answer["failed"]
    assert "has not ended after 0.2 s" in answer["msg"]


def test_a_lost_answer_makes_no_second_firewall(wire: Wire) -> None:
    for trouble in (LOST, CUT):
        wire.trouble = once(lambda sent: (sent.method, sent.path) == ("POST", FIREWALLS), trouble)
        assert firewall(wire, name=f"fw {trouble}")["changed"]
        assert named(wire, f"fw {trouble}")


def test_two_firewalls_of_one_name_are_a_conflict(wire: Wire) -> None:
    for _ in range(2):
        wire.driver.ok("POST", FIREWALLS, {"name": "smarteros"})
    answer = firewall(wire)
    assert (answer["failed"], answer["exit_code"], wire.writes) == (True, 3, [])


def test_the_fifty_first_firewall_is_found_too(wire: Wire) -> None:
    for number in range(60):
        wire.driver.ok("POST", FIREWALLS, {"name": f"number {number}"})
    wire.driver.ok("POST", FIREWALLS, {"name": "smarteros"})
    assert [change["what"] for change in firewall(wire, check=True)["changes"]].count("firewall smarteros") == 0


# --- snapshot


def test_a_snapshot_is_made_once_and_its_end_waited_for(wire: Wire) -> None:
    foretold = snapshot(wire, check=True)
    assert wire.writes == []
    answer = snapshot(wire)
    assert same(foretold, answer)
    assert answer["snapshot"]["id"] == wire.driver.ok("GET", f"{MACHINE}/snapshot")["id"]
    assert "will replace it" in answer["message"]
    assert snapshot(wire)["changed"] is False


def test_an_older_snapshot_is_replaced_only_when_that_is_allowed_and_it_is_told(wire: Wire) -> None:
    old = {"id": 7, "restore_time": 1800, "created_at": "2026-01-01T00:00:00Z", "expires_at": "2026-01-21T00:00:00Z"}
    wire.trouble = once(lambda sent: sent.path == f"{MACHINE}/snapshot", (200, old))
    refused = snapshot(wire)
    assert (refused["failed"], refused["exit_code"], wire.writes) == (True, 3, [])
    assert "2026-01-01T00:00:00Z would be replaced" in refused["errors"][0]["why"]

    wire.trouble = once(lambda sent: sent.path == f"{MACHINE}/snapshot", (200, old))
    answer = snapshot(wire, replace=True)
    assert answer["replaced"] == old["created_at"]
    assert "replaces that of 2026-01-01" in answer["message"]
    assert any("replaces that of 2026-01-01" in str(each) for each in answer["warnings"])


def test_a_snapshot_under_way_for_a_run_that_died_is_waited_for(wire: Wire) -> None:
    wire.driver.ok("POST", f"{MACHINE}/snapshot")
    answer = snapshot(wire)
    assert (answer["changed"], wire.writes) == (False, [])
    assert answer["snapshot"]


@pytest.mark.parametrize(("trouble", "posts"), [(LOST, 1), (CUT, 2)])
def test_a_lost_answer_makes_no_second_snapshot(wire: Wire, trouble: str, posts: int) -> None:
    wire.trouble = once(lambda sent: sent.method == "POST", trouble)
    assert snapshot(wire)["changed"]
    assert [sent.method for sent in wire.writes] == ["POST"] * posts


def test_a_snapshot_can_be_taken_away(wire: Wire) -> None:
    assert snapshot(wire, state="absent")["changed"] is False
    snapshot(wire)
    assert snapshot(wire, state="absent")["changed"] is True
    assert wire.driver.send("GET", f"{MACHINE}/snapshot").status == 404


def test_a_snapshot_that_fails_is_told(wire: Wire) -> None:
    answer = snapshot(wire, machine=FAILING)
    assert (answer["failed"], answer["exit_code"], answer["changed"]) == (True, 1, False)


# --- DNS


def test_a_value_is_added_and_those_of_others_stay(wire: Wire) -> None:
    before = sets(wire)
    wish = ({"name": "@", "type": "TXT", "values": ["ours=1"]}, {"name": "app", "type": "A", "values": [ADDRESS]})
    foretold = dns(wire, *wish, check=True)
    assert [sent.path for sent in wire.writes] == [f"{ZONE}/validate"]
    answer = dns(wire, *wish)
    assert same(foretold, answer)
    after = sets(wire)
    assert after[("TXT", "@")] == [*before[("TXT", "@")], "ours=1"]
    assert after[("A", "app")] == [ADDRESS]
    assert {key: after[key] for key in before if key != ("TXT", "@")} == {
        key: before[key] for key in before if key != ("TXT", "@")
    }
    assert answer["snapshot_id"] == 1
    assert dns(wire, *wish)["changed"] is False


def test_a_set_that_is_ours_alone_loses_every_other_value(wire: Wire) -> None:
    answer = dns(wire, {"name": "@", "type": "A", "values": [ADDRESS], "solo": True})
    assert sets(wire)[("A", "@")] == [ADDRESS]
    assert answer["diff"]["before"] == {"A @": {"values": ["203.0.113.7"], "ttl": 14400}}


def test_values_are_taken_away_one_by_one_and_the_set_with_the_last(wire: Wire) -> None:
    one = {"name": "@", "type": "TXT", "values": ["site-verification=abc"], "state": "absent"}
    dns(wire, one)
    assert sets(wire)[("TXT", "@")] == ["v=spf1 include:mail.example.net ~all"]
    dns(wire, {"name": "@", "type": "MX", "values": ["10 mail.example.net"], "state": "absent"})
    assert ("MX", "@") not in sets(wire)
    assert dns(wire, one)["changed"] is False


def test_a_record_that_is_switched_off_is_never_lost(wire: Wire) -> None:
    before = sets(wire)
    added = dns(wire, {"name": "old", "type": "A", "values": [ADDRESS]})
    assert added["changed"]
    assert sets(wire)[("A", "old")] == ["203.0.113.8", ADDRESS]
    answer = dns(wire, {"name": "old", "type": "A", "values": [ADDRESS], "state": "absent"})
    assert (answer["failed"], answer["exit_code"]) == (True, 3)
    assert "switched off" in answer["msg"]
    assert sets(wire)[("A", "@")] == before[("A", "@")]


def test_a_zone_that_is_served_elsewhere_is_refused_unless_forced(wire: Wire) -> None:
    wish = {"name": "app", "type": "A", "values": [ADDRESS]}
    answer = dns(wire, wish, zone="smarterbot.cl")
    assert (answer["failed"], answer["exit_code"], wire.writes) == (True, 3, [])
    assert "ana.ns.example.net" in answer["msg"]
    unknown = dns(wire, wish, zone="example.net")
    assert "does not hold" in unknown["msg"]
    forced = dns(wire, wish, zone="smarterbot.cl", force=True)
    assert forced["changed"]
    assert forced["warnings"]


def test_what_hostinger_does_not_accept_is_told_before_anything_is_written(wire: Wire) -> None:
    before = sets(wire)
    good, bad = (
        {"name": "app", "type": "A", "values": [ADDRESS]},
        {"name": "b", "type": "AAAA", "values": ["no address"]},
    )
    answer = dns(wire, good, bad)
    assert (answer["failed"], answer["exit_code"]) == (True, 3)
    assert "not valid for a record of type AAAA" in answer["msg"]
    assert sets(wire) == before


@pytest.mark.parametrize("trouble", [LOST, CUT])
def test_a_lost_answer_adds_no_value_twice(wire: Wire, trouble: str) -> None:
    wire.trouble = once(lambda sent: sent.method == "PUT", trouble)
    assert dns(wire, {"name": "@", "type": "TXT", "values": ["ours=1"]})["changed"]
    assert sets(wire)[("TXT", "@")].count("ours=1") == 1


# --- token


@pytest.mark.parametrize(
    ("token", "state"),
    [(TOKEN, "valid"), ("sandbox-hostinger-limited", "insufficient"), ("other", "invalid"), ("", "invalid")],
)
def test_the_token_check_tells_each_kind_of_token(wire: Wire, token: str, state: str) -> None:
    verdict = api.connect({"url": wire.base_url, "token": token}).check()
    assert verdict["state"] == state
    assert verdict["message"]
    assert wire.writes == []


@pytest.mark.parametrize("module", [hostinger_vps_info, hostinger_firewall, hostinger_snapshot, hostinger_dns_records])
def test_a_refused_token_ends_the_module_untouched(wire: Wire, module: Any) -> None:
    needed: dict[Any, dict[str, Any]] = {
        hostinger_firewall: {"name": "x", "rules": RULES},
        hostinger_snapshot: {"machine": ADDRESS},
        hostinger_dns_records: {"zone": "example.com", "records": []},
    }
    answer = run_module(module, url=wire.base_url, token="wrong-token", **needed.get(module, {}))
    assert (answer["failed"], answer["exit_code"]) == (True, 3)
    assert "Unauthenticated" in answer["errors"][0]["why"]
    assert "correlation id" in answer["errors"][0]["why"]
    assert "wrong-token" not in str(answer)


def is_write(sent: Sent) -> bool:
    return sent.method != "GET"


def test_a_run_that_dies_before_or_after_any_write_is_finished_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    for kill_at in range(4):
        for after in (False, True):
            wire = wired(hostinger, monkeypatch)
            count = [0]

            def die(
                sent: Sent, wire: Wire = wire, count: list[int] = count, at: int = kill_at, late: bool = after
            ) -> Any:
                if not is_write(sent):
                    return None
                count[0] += 1
                if count[0] - 1 != at:
                    return None
                if late:
                    wire.driver.send(sent.method, sent.path, sent.json)
                raise Killed

            wire.trouble = die
            with pytest.raises(Killed):
                firewall_in_process(wire)
            wire.trouble = lambda _sent: None
            assert "failed" not in firewall(wire)
            assert firewall(wire)["changes"] == []
            assert named(wire)["is_synced"] is True


def firewall_in_process(wire: Wire) -> None:
    """As the module does it, without the exit handling of Ansible's test helper around a process that dies."""
    from ansible_collections.smartercl.smarteros.plugins.module_utils.bulk import InProcess

    params = {
        "url": wire.base_url,
        "token": TOKEN,
        "timeout": 5.0,
        "name": "smarteros",
        "machine": ADDRESS,
        "rules": [{"port": "any", "source": "any", **rule} for rule in RULES],
        "ssh_port": 22,
        "poll": 0.0,
        "wait_timeout": 5.0,
    }
    hostinger_firewall.work(InProcess(params, check_mode=False))
