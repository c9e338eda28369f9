"""The promises of vercel_domains, kept against the sandbox's Vercel."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.modules import vercel_domains as module
from smos.sandbox.vercel_wire import TEAM
from unit.plugins.wire import CUT, LOST, Sent, Wire, once, run_module, wired
from unit.sandbox.driver_vercel import TOKEN, vercel

PROJECT = "/v9/projects/smarteros-app"
HOST = "suspended.smarterbot.cl"
ACME, SHOP = "acme.smarterbot.cl", "shop.example.com"


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    return wired(vercel, monkeypatch)


def item(n: int = 0, *names: str, **more: Any) -> dict[str, Any]:
    return {"tenant": f"{10000000 + n}-5", "domains": list(names) or [f"t{n}.smarterbot.cl"], **more}


def run(wire: Wire, *items: dict[str, Any], check: bool = False, **more: Any) -> dict[str, Any]:
    common = {"url": wire.base_url, "token": TOKEN, "team": TEAM, "project": "smarteros-app", "suspension_host": HOST}
    return run_module(module, check, **common, domains=list(items), **more)


def again(answer: dict[str, Any], *items: dict[str, Any]) -> list[dict[str, Any]]:
    """The items with what the last answer told to remember, as the role passes it on."""
    refs = {row["tenant"]: row["ref"].get("domains", {}) for row in answer["results"]}
    return [{**each, "known": refs.get(each["tenant"], {})} for each in items]


def there(wire: Wire) -> dict[str, str | None]:
    """The project's domains, and where they redirect to; without the house's own."""
    rows = wire.driver.ok("GET", f"{PROJECT}/domains", limit=100)["domains"]
    return {row["name"]: row["redirect"] for row in rows if row["name"] != "app.smarterbot.cl"}


def add(wire: Wire, name: str, project: str = "smarteros-app", **more: Any) -> Any:
    return wire.driver.ok("POST", f"/v10/projects/{project}/domains", {"name": name, **more})


def situation(wire: Wire) -> tuple[dict[str, Any], ...]:
    add(wire, "t1.smarterbot.cl", redirect=HOST, redirectStatusCode=307)
    add(wire, "t2.smarterbot.cl")
    add(wire, "t3.smarterbot.cl")
    add(wire, "old.example.com")
    add(wire, "by-hand.example.com")
    return (
        item(0, "t0.smarterbot.cl", SHOP),
        item(1),
        item(2, state="suspended"),
        item(3, known={"t3.smarterbot.cl": "ok", "old.example.com": "ok"}),
        item(4, "t4.smarterbot.cl", "taken.example.com"),
        item(5, state="absent", known={"t5.smarterbot.cl": "ok"}),
        item(6, state="disabled", reason="no shop"),
    )


def test_check_mode_foretells_the_run_and_writes_nothing(wire: Wire) -> None:
    items = situation(wire)[:4]
    before = there(wire)
    foretold = run(wire, *items, check=True)
    assert (wire.writes, there(wire)) == ([], before)
    done = run(wire, *items)
    for key in ("state", "created", "changes"):
        assert [row[key] for row in foretold["results"]] == [row[key] for row in done["results"]]
    assert (foretold["diff"], foretold["changed"]) == (done["diff"], True)


def test_a_second_run_changes_nothing_and_asks_for_the_list_alone(wire: Wire) -> None:
    items = [item(n) for n in range(5)]
    first = run(wire, *items)
    wire.sent.clear()
    second = run(wire, *again(first, *items))
    assert (second["changed"], second["requests"], wire.writes) == (False, 1, [])
    assert [row["ref"] for row in second["results"]] == [row["ref"] for row in first["results"]]


def test_many_tenants_cost_a_page_for_every_hundred(wire: Wire) -> None:
    names = [f"t{n}.smarterbot.cl" for n in range(250)]
    for name in names:
        add(wire, name)
    items = [item(n, name, known={name: "ok"}) for n, name in enumerate(names)]
    assert run(wire, *items)["requests"] == 3


def test_every_tenant_gets_what_its_state_asks_for(wire: Wire) -> None:
    answer = run(wire, *situation(wire))
    states = [row["state"] for row in answer["results"]]
    assert states == ["ready", "ready", "suspended", "ready", "failed", "absent", "disabled"]
    assert there(wire) == {
        "t0.smarterbot.cl": None,
        SHOP: None,
        "t1.smarterbot.cl": None,
        "t2.smarterbot.cl": HOST,
        "t3.smarterbot.cl": None,
        "t4.smarterbot.cl": None,
        "by-hand.example.com": None,
    }
    assert answer["results"][6]["message"] == "no shop"


def test_a_domain_of_another_project_is_told_as_such_and_what_was_done_is_remembered(wire: Wire) -> None:
    (row,) = run(wire, item(4, "t4.smarterbot.cl", "taken.example.com"))["results"]
    assert "taken.example.com belongs to another Vercel project or account" in row["error"]["why"]
    assert row["ref"]["domains"] == {"t4.smarterbot.cl": "ok"}
    assert [each["what"] for each in row["changes"]] == ["Vercel domain t4.smarterbot.cl"]


def test_ownership_and_dns_are_told_apart_and_fail_nobody(wire: Wire) -> None:
    wish = item(0, ACME, SHOP)
    first = run(wire, wish)
    (row,) = first["results"]
    proof = next(each for each in wire.driver.ok("GET", f"{PROJECT}/domains/{SHOP}")["verification"])
    assert (row["state"], row["ref"]["domains"]) == ("ready", {ACME: "ok", SHOP: "unverified"})
    assert f'TXT _vercel.example.com "{proof["value"]}"' in row["message"]
    assert f"CNAME {SHOP} -> d1d4fc829fe7bc7c.vercel-dns-017.com" in row["message"]

    wire.driver.ok("POST", "/_dns", {"name": "_vercel.example.com", "type": "TXT", "value": proof["value"]})
    second = run(wire, *again(first, wish))
    (row,) = second["results"]
    assert row["ref"]["domains"][SHOP] == "dns"
    assert f"{SHOP} is verified, but its DNS does not lead to Vercel" in row["message"]
    assert "TXT" not in row["message"]

    wire.driver.ok("POST", "/_dns", {"name": SHOP, "type": "CNAME", "value": "cname.vercel-dns.com"})
    third = run(wire, *again(second, wish))
    (row,) = third["results"]
    assert (row["ref"]["domains"][SHOP], row["message"], third["changed"]) == ("ok", "", False)


def test_the_top_of_a_zone_is_told_an_address_since_no_cname_can_stand_there(wire: Wire) -> None:
    (row,) = run(wire, item(0, ACME, "example.com"))["results"]
    assert "A example.com -> 216.198.79.1" in row["message"]
    assert "CNAME" not in row["message"]


def test_a_record_that_the_same_run_makes_later_is_not_called_missing(wire: Wire) -> None:
    wrong = {"misconfigured": True, "recommendedCNAME": [{"rank": 1, "value": "x.example.com"}]}
    wire.trouble = lambda sent: (200, wrong) if sent.path.endswith("/config") else None
    wish = item(0, ACME, late=[ACME])
    first = run(wire, wish)
    assert (first["results"][0]["message"], first["results"][0]["ref"]["domains"]) == ("", {ACME: "dns"})
    second = run(wire, *again(first, wish))
    assert "its DNS does not lead to Vercel" in second["results"][0]["message"]


def test_a_life_from_suspension_to_the_end(wire: Wire) -> None:
    wish = item(0, ACME, SHOP)
    answer = run(wire, wish)
    for state, wanted in (
        ("suspended", {ACME: HOST, SHOP: HOST}),
        ("present", {ACME: None, SHOP: None}),
        ("absent", {}),
        ("present", {ACME: None, SHOP: None}),
    ):
        items = again(answer, {**wish, "state": state})
        answer = run(wire, *items)
        assert there(wire) == wanted
        assert run(wire, *again(answer, {**wish, "state": state}))["changed"] is False


def test_a_suspended_tenant_gets_no_new_domain(wire: Wire) -> None:
    answer = run(wire, item(0, state="suspended"))
    assert (answer["changed"], answer["results"][0]["state"], there(wire)) == (False, "suspended", {})


def test_what_someone_changed_by_hand_is_closed(wire: Wire) -> None:
    wish = item(0, ACME)
    answer = run(wire, wish)
    wire.driver.ok("PATCH", f"{PROJECT}/domains/{ACME}", {"redirect": "evil.example.com", "redirectStatusCode": 308})
    foretold = run(wire, *again(answer, wish), check=True)
    assert foretold["results"][0]["changes"] == [
        {
            "action": "update",
            "what": f"Vercel domain {ACME}",
            "before": {"redirect": "evil.example.com (308)"},
            "after": {"redirect": "none"},
        }
    ]
    run(wire, *again(answer, wish))
    wire.driver.ok("PATCH", f"{PROJECT}/domains/{ACME}", {"gitBranch": "test"})
    assert run(wire, *again(answer, wish))["diff"]["before"] == {
        f"Vercel domain {ACME}": {"branch": "test", "redirect": "none"}
    }
    wire.driver.ok("DELETE", f"{PROJECT}/domains/{ACME}")
    run(wire, *again(answer, wish))
    assert there(wire) == {ACME: None}


def test_a_custom_domain_that_left_the_specs_is_removed_and_no_other_one(wire: Wire) -> None:
    add(wire, "by-hand.example.com")
    answer = run(wire, item(0, ACME, SHOP))
    run(wire, *again(answer, item(0, ACME, "new.example.com")))
    assert there(wire) == {"by-hand.example.com": None, ACME: None, "new.example.com": None}


def test_a_custom_domain_that_went_to_another_tenant_of_the_run_stays(wire: Wire) -> None:
    first = run(wire, item(0, ACME, SHOP))
    items = again(first, item(0, ACME), item(1, "t1.smarterbot.cl", SHOP))
    answer = run(wire, *items)
    assert SHOP in there(wire)
    assert [row["ref"]["domains"].keys() for row in answer["results"]] == [{ACME}, {"t1.smarterbot.cl", SHOP}]


def test_a_domain_that_two_tenants_wish_for_fails_both(wire: Wire) -> None:
    answer = run(wire, item(0, ACME, SHOP), item(1, "t1.smarterbot.cl", SHOP), item(2))
    assert [row["state"] for row in answer["results"]] == ["failed", "failed", "ready"]
    assert "wished by tenant 10000001-5 as well" in answer["results"][0]["error"]["why"]


@pytest.mark.parametrize("name", ["not a name", "https://shop.example.com", "example", HOST])
def test_what_can_be_no_domain_fails_its_tenant_alone(wire: Wire, name: str) -> None:
    answer = run(wire, item(0, ACME, name), item(1))
    assert [row["state"] for row in answer["results"]] == ["failed", "ready"]
    assert there(wire) == {"t1.smarterbot.cl": None}


def test_names_are_compared_in_one_spelling(wire: Wire) -> None:
    run(wire, item(0, "ACME.smarterbot.cl.", "ñandú.example.com"))
    assert set(there(wire)) == {ACME, "xn--and-6ma2c.example.com"}
    assert run(wire, item(0, ACME, "ñandú.example.com"), check=True)["changed"] is False


@pytest.mark.parametrize("what", [LOST, CUT])
@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
def test_a_lost_answer_makes_nothing_twice_and_fails_nobody(wire: Wire, method: str, what: str) -> None:
    items = situation(wire)[:4]
    wire.trouble = once(lambda sent: sent.method == method, what)
    answer = run(wire, *items)
    assert {row["state"] for row in answer["results"]} == {"ready", "suspended"}
    assert there(wire)["t0.smarterbot.cl"] is None


def test_a_domain_that_someone_added_meanwhile_is_taken_as_it_is(wire: Wire) -> None:
    def meanwhile(sent: Sent) -> Any:
        if sent.method == "POST" and ACME not in there(wire):
            add(wire, ACME, redirect="other.example.com")
        return None

    wire.trouble = meanwhile
    (row,) = run(wire, item(0, ACME))["results"]
    assert (row["state"], there(wire)) == ("ready", {ACME: None})


def test_a_domain_between_two_pages_is_looked_at_and_not_added_again(wire: Wire) -> None:
    first = run(wire, item(0, ACME))
    rows = wire.driver.ok("GET", f"{PROJECT}/domains")
    lacking = {**rows, "domains": [row for row in rows["domains"] if row["name"] != ACME]}
    wire.trouble = lambda sent: (200, lacking) if sent.path == f"{PROJECT}/domains" else None
    answer = run(wire, *again(first, item(0, ACME)))
    assert (answer["changed"], answer["requests"]) == (False, 2)


def test_a_refused_token_touches_nothing(wire: Wire) -> None:
    common: dict[str, Any] = {
        "url": wire.base_url,
        "team": TEAM,
        "project": "smarteros-app",
        "suspension_host": HOST,
        "domains": [item()],
    }
    answer = run_module(module, token="wrong-token", **common)
    assert (answer["failed"], answer["exit_code"], wire.writes) == (True, 3, [])
    assert "wrong-token" not in str(answer["errors"])


HOSTILE = [
    (200, "<html>"),
    (200, []),
    (200, {"domains": "x"}),
    (200, {"domains": [1], "pagination": {}}),
    (200, {"domains": [{"name": 7}], "pagination": {"next": None}}),
    (200, {"domains": [], "pagination": {"next": "soon"}}),
    (200, {"domains": [], "pagination": {"next": 5}}),
    (418, {"error": "teapot"}),
    (500, {"error": {"message": 7}}),
]


@pytest.mark.parametrize("answer", HOSTILE, ids=lambda each: str(each)[:40])
def test_a_senseless_list_is_one_clear_error(wire: Wire, answer: Any) -> None:
    wire.trouble = lambda sent: answer
    found = run(wire, item())
    assert (found["failed"], found["exit_code"]) == (True, 3)
    assert found["msg"].startswith("Vercel cannot be used: ")


@pytest.mark.parametrize("answer", [(200, []), (200, {"name": None}), (200, None)])
def test_a_senseless_answer_to_an_addition_fails_its_tenant(wire: Wire, answer: Any) -> None:
    wire.trouble = once(lambda sent: sent.method == "POST", answer)
    (row,) = run(wire, item())["results"]
    assert row["state"] == "failed"


@pytest.mark.parametrize("answer", [(200, []), (403, {"error": {"code": "forbidden"}}), (200, {"misconfigured": "no"})])
def test_a_senseless_or_refused_state_of_dns_fails_nobody(wire: Wire, answer: Any) -> None:
    wire.trouble = lambda sent: answer if sent.path.endswith("/config") else None
    (row,) = run(wire, item())["results"]
    assert (row["state"], row["ref"]["domains"]) == ("ready", {"t0.smarterbot.cl": "dns"})
    assert "t0.smarterbot.cl" in row["message"]


class Killed(BaseException):
    """The process ends here, as with kill -9."""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", range(4))
def test_a_run_that_dies_at_any_write_is_completed_by_the_next_one(wire: Wire, number: int, when: str) -> None:
    add(wire, ACME, redirect=HOST, redirectStatusCode=307)
    add(wire, "old.example.com")
    wish = item(0, ACME, SHOP, "two.example.com", known={"old.example.com": "ok", ACME: "ok"})

    def die(sent: Sent) -> Any:
        if len(wire.writes) == number + 1 and sent is wire.writes[-1]:
            if when == "after":
                wire.driver.send(sent.method, sent.path, sent.json)
            raise Killed
        return None

    wire.trouble = die
    with pytest.raises(Killed):
        run(wire, wish)
    wire.trouble = lambda sent: None
    assert run(wire, wish)["results"][0]["state"] == "ready"
    assert there(wire) == {ACME: None, SHOP: None, "two.example.com": None}
    assert run(wire, wish)["changed"] is False
