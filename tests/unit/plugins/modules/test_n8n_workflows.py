"""The promises of n8n_workflows, kept against the sandbox's n8n."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.filter import n8n as wishes
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import n8n as api
from ansible_collections.smartercl.smarteros.plugins.modules import n8n_workflows as module
from unit.plugins.wire import CUT, LOST, Sent, Wire, once, run_module, wired
from unit.sandbox.driver import n8n

KEY = "sandbox-n8n-token"
SPECS = Path(__file__).parents[4] / "specs" / "workflows"
TEMPLATES = ["contacts-to-odoo", "shopify-orders", "chatwoot-router"]


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    return wired(n8n, monkeypatch)


def rut(n: int) -> str:
    return f"{10000000 + n}-5"


def item(n: int, **more: Any) -> dict[str, Any]:
    return {
        "tenant": rut(n),
        "slug": f"shop{n}",
        "templates": TEMPLATES,
        "values": {"timezone": "America/Santiago"},
        **more,
    }


def run(wire: Wire, *items: dict[str, Any], check: bool = False, **more: Any) -> dict[str, Any]:
    options = {"url": wire.base_url, "api_key": KEY, "templates": str(SPECS), "workflows": list(items), **more}
    return run_module(module, check, **options)


def client(wire: Wire) -> api.N8n:
    return api.connect({"url": wire.base_url, "api_key": KEY})


def held(wire: Wire) -> dict[str, tuple[bool, tuple[str, ...]]]:
    rows = client(wire).workflows()
    assert len({row.name for row in rows}) == len(rows), "a workflow is there twice"
    return {row.name: (row.active, tuple(sorted(row.tags))) for row in rows}


def states(answer: dict[str, Any]) -> list[str]:
    return [row["state"] for row in answer["results"]]


def complete(wire: Wire, n: int) -> bool:
    rows = {name: row for name, row in held(wire).items() if name.startswith(rut(n))}
    return list(rows.values()) == [(True, (f"rut:{rut(n)}", "smarteros"))] * len(TEMPLATES)


def by_hand(wire: Wire, name: str, path: str, active: bool = True) -> api.Workflow:
    node = {"name": "In", "type": api.WEBHOOK, "typeVersion": 2, "position": [0, 0], "webhookId": api.webhook_id(path)}
    node["parameters"] = {"path": path, "httpMethod": "POST"}
    made = client(wire).create({"name": name, "nodes": [node], "connections": {}, "settings": {}})
    if active:
        client(wire).switch(made, active=True)
    return made


SITUATION = (
    item(0),
    item(1),
    item(2, active=False),
    item(3),
    item(4, state="suspended"),
    item(5, state="absent"),
    item(6, values={}),
)


def prepare(wire: Wire) -> None:
    run(wire, *(item(n) for n in (1, 2, 4, 5)))
    broken = next(each for each in client(wire).workflows() if each.name == f"{rut(1)} Shopify orders")
    client(wire).set_tags(broken, [])
    client(wire).switch(broken, active=False)
    by_hand(wire, "By hand", f"{rut(3)}/shopify-orders")
    wire.sent.clear()


def test_check_mode_foretells_the_run_and_writes_nothing(wire: Wire) -> None:
    prepare(wire)
    before = held(wire)
    foretold = run(wire, *SITUATION, check=True)
    assert (wire.writes, held(wire)) == ([], before)

    done = run(wire, *SITUATION)
    told = [(row["tenant"], row["state"], row["created"], row["changes"]) for row in foretold["results"]]
    assert told == [(row["tenant"], row["state"], row["created"], row["changes"]) for row in done["results"]]
    assert (foretold["changed"], foretold["diff"]) == (True, done["diff"])
    assert states(done) == ["ready", "ready", "ready", "failed", "suspended", "absent", "failed"]


def test_a_second_run_changes_nothing_and_only_reads(wire: Wire) -> None:
    prepare(wire)
    first = run(wire, *SITUATION)
    wire.sent.clear()
    second = run(wire, *SITUATION)
    assert (second["changed"], second["diff"], wire.writes) == (False, {"before": {}, "after": {}}, [])
    assert [row["ref"] for row in second["results"]] == [row["ref"] for row in first["results"]]
    assert set(second["results"][0]["ref"]) == set(TEMPLATES)


def test_one_tenants_conflict_spares_the_others_and_what_is_in_the_way(wire: Wire) -> None:
    prepare(wire)
    answer = run(wire, *SITUATION)
    failed = answer["results"][3]
    assert f"{rut(3)}/shopify-orders" in failed["error"]["why"]
    assert (failed["changes"], failed["created"]) == ([], False)
    assert not [name for name in held(wire) if name.startswith(rut(3))]
    assert held(wire)["By hand"] == (True, ())
    assert complete(wire, 0)
    assert complete(wire, 1)


def test_a_thousand_workflows_of_a_hundred_tenants_are_read_once_per_page(wire: Wire) -> None:
    items = [item(n) for n in range(100)]
    first = run(wire, *items)
    assert set(states(first)) == {"ready"}
    # two lists; the common tag; per tenant a tag and three workflows of three requests each
    assert first["requests"] == 2 + 1 + 100 * (1 + 3 * 3)
    wire.sent.clear()
    second = run(wire, *items)
    assert (second["changed"], second["requests"]) == (False, 2)


@pytest.mark.parametrize("trouble", [LOST, CUT, (500, {"message": "oops"})], ids=["lost", "cut", "500"])
def test_any_write_may_get_no_answer_and_everything_exists_once(wire: Wire, trouble: Any) -> None:
    run(wire, item(0))
    for nth in range(len(wire.writes) - 1):  # the common tag is there by now
        n, seen = nth + 1, [0]

        def stumble(sent: Sent, nth: int = nth, seen: list[int] = seen) -> Any:
            seen[0] += sent.method != "GET"
            return trouble if sent.method != "GET" and seen[0] == nth + 1 else None

        wire.trouble = stumble
        answer = run(wire, item(n))
        wire.trouble = lambda sent: None
        assert states(answer) == ["ready"], (nth, answer["results"][0]["message"])
        assert complete(wire, n)


def test_a_run_may_die_after_any_write_and_the_next_one_completes_it(wire: Wire) -> None:
    class Killed(BaseException):
        """As sudden as a kill."""

    run(wire, item(0))
    for nth in range(len(wire.writes) - 1):  # the common tag is there by now
        n, seen = nth + 1, [0]

        def kill(sent: Sent, nth: int = nth, seen: list[int] = seen) -> None:
            seen[0] += sent.method != "GET"
            if seen[0] > nth:
                raise Killed

        wire.trouble = kill
        with pytest.raises(Killed):
            run(wire, item(n), concurrency=1)
        wire.trouble = lambda sent: None
        assert states(run(wire, item(n))) == ["ready"]
        assert complete(wire, n)
        assert run(wire, item(n))["changed"] is False


def test_a_failure_midway_tells_what_was_done(wire: Wire) -> None:
    wire.trouble = once(
        lambda sent: sent.path.endswith("/activate"), (400, {"message": "conflict with one of the webhooks"})
    )
    row = run(wire, item(0))["results"][0]
    assert (row["state"], row["created"], len(row["ref"])) == ("failed", True, 1)
    assert row["error"]["what"] == f"workflow {rut(0)} Contacts to Odoo"
    assert f"POST {rut(0)}/contacts-to-odoo" in row["error"]["why"]
    assert [(change["action"], change["after"]["active"]) for change in row["changes"]] == [("create", False)]
    assert states(run(wire, item(0))) == ["ready"]


def test_tags_that_people_added_stay(wire: Wire) -> None:
    run(wire, item(0))
    own = next(each for each in client(wire).workflows() if each.name == f"{rut(0)} Shopify orders")
    vip = client(wire).create_tag("vip")
    client(wire).set_tags(own, [vip, own.tags["smarteros"]])
    client(wire).set_tags(own, [vip])
    run(wire, item(0))
    assert held(wire)[own.name] == (True, (f"rut:{rut(0)}", "smarteros", "vip"))


def test_absent_takes_away_all_that_is_ours_and_nothing_else(wire: Wire) -> None:
    run(wire, item(0), item(1))
    by_hand(wire, f"{rut(0)} made by hand", "elsewhere")
    answer = run(wire, item(0, state="absent", templates=[]))
    assert states(answer) == ["absent"]
    assert [name for name in held(wire) if name.startswith(rut(0))] == [f"{rut(0)} made by hand"]
    assert complete(wire, 1)
    assert f"rut:{rut(0)}" not in client(wire).tags()


def test_suspended_workflows_wake_up_again(wire: Wire) -> None:
    run(wire, item(0))
    assert states(run(wire, item(0, state="suspended"))) == ["suspended"]
    assert {active for active, _ in held(wire).values()} == {False}
    assert states(run(wire, item(0))) == ["ready"]
    assert complete(wire, 0)


@pytest.mark.parametrize(
    "options",
    [
        {"api_key": "wrong-key-1"},
        {"url": "ftp://example.com"},
        {"templates": "/nowhere"},
        {"workflows": [{"tenant": "1-9", "templates": ["../../../etc/passwd"]}]},
    ],
)
def test_what_cannot_be_used_at_all_fails_the_task_untouched(wire: Wire, options: dict[str, Any]) -> None:
    answer = run_module(
        module, **{"url": wire.base_url, "api_key": KEY, "templates": str(SPECS), "workflows": [item(0)], **options}
    )
    assert (answer["failed"], answer["exit_code"], wire.writes) == (True, 3, [])
    assert set(answer["errors"][0]) == {"what", "where", "why", "next"}
    assert "wrong-key-1" not in str(answer["errors"]) + answer["msg"]


def test_an_unknown_placeholder_stops_everything_before_anything_is_asked(wire: Wire, tmp_path: Path) -> None:
    document = json.loads((SPECS / "shopify-orders.json").read_text())
    document["nodes"][1]["parameters"]["note"] = "__SMOS_PASSWORD__"
    (tmp_path / "shopify-orders.json").write_text(json.dumps(document))
    answer = run(wire, item(0, templates=["shopify-orders"]), templates=str(tmp_path))
    assert (answer["failed"], wire.sent) == (True, [])
    assert "__SMOS_PASSWORD__" in answer["msg"]


def test_an_unknown_value_is_refused(wire: Wire) -> None:
    answer = run(wire, item(0, values={"password": "x"}))
    assert (answer["failed"], wire.sent) == (True, [])


def test_a_tenant_stands_in_the_list_once(wire: Wire) -> None:
    answer = run(wire, item(0), item(0))
    assert (answer["failed"], wire.sent) == (True, [])


def test_no_workflows_mean_no_requests(wire: Wire) -> None:
    answer = run(wire)
    assert (answer["changed"], answer["results"], wire.sent) == (False, [], [])


def test_the_key_may_come_from_the_environment_and_is_never_shown(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("N8N_API_KEY", KEY)
    answer = run_module(module, url=wire.base_url, templates=str(SPECS), workflows=[item(0)])
    assert answer["changed"]
    assert KEY not in str(answer)


def test_a_server_that_repeats_the_key_does_not_get_it_into_our_answer(wire: Wire) -> None:
    wire.trouble = lambda sent: (400, {"message": f"bad key {KEY}"}) if sent.method == "PUT" else None
    answer = run(wire, item(0))
    assert KEY not in str(answer)
    assert "bad key ***" in answer["results"][0]["message"]


def tagged_by_hand(wire: Wire, name: str, *tags: str, active: bool = True) -> api.Workflow:
    made = by_hand(wire, name, f"hand/{name}", active)
    client(wire).set_tags(made, [client(wire).create_tag(tag) for tag in tags])
    return made


def row_of(answer: dict[str, Any]) -> dict[str, Any]:
    (row,) = answer["results"]
    return dict(row)


def test_the_result_says_how_many_workflows_the_tenant_has(wire: Wire) -> None:
    tagged_by_hand(wire, "mine", f"rut:{rut(0)}")
    foretold = row_of(run(wire, item(0), check=True))
    assert foretold["usage"] == row_of(run(wire, item(0)))["usage"] == {"workflows": 4}
    assert row_of(run(wire, item(0, state="suspended")))["usage"] == {"workflows": 4}
    assert client(wire).usage([{"id": rut(0)}]) == {rut(0): {"workflows": 4}}


def test_templates_beyond_the_plans_limit_are_refused_with_the_list(wire: Wire) -> None:
    row = row_of(run(wire, item(0, limit=2)))
    assert (row["state"], row["changes"], wire.writes) == ("failed", [], [])
    assert "the plan allows 2 workflows and there would be 3" in row["message"]
    assert "Not made: " in row["message"]
    assert row_of(run(wire, item(0, limit=3)))["state"] == "ready"


def test_workflows_made_by_hand_count_when_they_bear_the_tenants_tag(wire: Wire) -> None:
    tagged_by_hand(wire, "mine", f"rut:{rut(0)}")
    tagged_by_hand(wire, "other", f"rut:{rut(1)}")
    row = row_of(run(wire, item(0, limit=3)))
    assert (row["state"], "mine" in row["message"], "other" in row["message"]) == ("failed", True, False)
    assert row_of(run(wire, item(0, limit=4)))["state"] == "ready"


def test_a_limit_below_what_is_there_already_is_told_and_spoils_nothing(wire: Wire) -> None:
    run(wire, item(0))
    row = row_of(run(wire, item(0, limit=2)))
    assert (row["state"], row["changed"]) == ("ready", False)
    assert "the plan allows 2 workflows and there would be 3" in row["message"]
    assert row_of(run(wire, item(0, limit=None)))["message"] == ""


def test_workflows_that_people_made_rest_with_the_tenant_and_wake_with_it(wire: Wire) -> None:
    run(wire, item(0))
    ours = ("smarteros", f"rut:{rut(0)}")
    tagged_by_hand(wire, "busy", *ours)
    tagged_by_hand(wire, "idle", *ours, active=False)
    before = held(wire)
    run(wire, item(0, state="suspended"))
    assert not any(active for name, (active, tags) in held(wire).items() if ours[1] in tags)
    assert not run(wire, item(0, state="suspended"))["changed"]
    back = run(wire, item(0))
    assert held(wire) == before
    assert [change["what"] for change in row_of(back)["changes"]].count("workflow busy") == 1
    assert not run(wire, item(0))["changed"]


@pytest.mark.parametrize("number", range(4))
def test_a_run_that_dies_while_workflows_are_put_to_rest_is_finished_by_the_next(wire: Wire, number: int) -> None:
    run(wire, item(0))
    tagged_by_hand(wire, "busy", "smarteros", f"rut:{rut(0)}")
    before = held(wire)
    for goal in ({"state": "suspended"}, {}):
        left = [number]

        def trouble(sent: Sent, left: list[int] = left) -> Any:
            left[0] -= sent.method != "GET"
            return (400, {"message": "no more"}) if left[0] < 0 and sent.method != "GET" else None

        wire.trouble = trouble
        run(wire, item(0, **goal))
        wire.trouble = lambda sent: None
        run(wire, item(0, **goal))
        assert not run(wire, item(0, **goal))["changed"]
    assert held(wire) == before


def tenant(**more: Any) -> dict[str, Any]:
    base = {"id": rut(0), "slug": "acme", "name": "Acme", "domain": "acme.example.com", "limits": {"workflows": 5}}
    return {**base, "services": {"n8n": {"enabled": True}}, "status": {}, **more}


@pytest.mark.parametrize(
    ("more", "override", "states"),
    [
        ({}, "", ["present"]),
        ({"wish": "suspended"}, "", ["suspended"]),
        ({"wish": "deleted"}, "", ["suspended"]),
        ({"wish": "purged"}, "", ["absent"]),
        ({"wish": "deleted"}, "present", ["present"]),
        ({"services": {"n8n": {"enabled": False}}}, "", []),
        ({"services": {"n8n": {"enabled": False}}}, "absent", ["absent"]),
        (
            {"services": {"n8n": {"enabled": False}}, "status": {"services": {"n8n": {"state": "ready"}}}},
            "",
            ["suspended"],
        ),
    ],
)
def test_where_a_tenant_is_in_its_life_decides(more: dict[str, Any], override: str, states: list[str]) -> None:
    rows = wishes.workflows([tenant(**more)], TEMPLATES, state=override)
    assert [row["state"] for row in rows] == states
    assert all(set(row) <= set(module.WORKFLOW) and row["limit"] == 5 for row in rows)
