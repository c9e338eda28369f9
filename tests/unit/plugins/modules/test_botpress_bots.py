"""The module over the sandbox's Botpress: what users rely on in every run, the first, the second and the one after a kill."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.filter import botpress as wishes
from ansible_collections.smartercl.smarteros.plugins.module_utils import transport
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import botpress as api
from ansible_collections.smartercl.smarteros.plugins.module_utils.services.botpress_archive import unpack
from ansible_collections.smartercl.smarteros.plugins.modules import botpress_bots as module
from smos.sandbox.botpress_archive import pack
from unit.plugins.wire import CUT, LOST, Sent, Wire, once, run_module, wired
from unit.sandbox.driver import botpress

SPECS = Path(__file__).parents[4] / "specs" / "bots"
TOKEN = "sandbox-botpress-token"
EMAIL = "operator@smarterbot.cl"
SERVER = {"authorization": f"Bearer {TOKEN}"}
FILE = "/data/global/botpress.config.json"


class Killed(BaseException):
    """The process ends here, like with kill -9."""


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    return wired(botpress, monkeypatch)


def rut(n: int) -> str:
    return f"{10000000 + n}-5"


def item(n: int = 0, **more: Any) -> dict[str, Any]:
    base = {"tenant": rut(n), "slug": f"shop{n}", "name": f"Shop {n}", "template": "ecommerce", "limit": 2}
    return {**base, "values": {"domain": f"shop{n}.example.com", "currency": "CLP"}, **more}


def run(wire: Wire, *items: dict[str, Any], check: bool = False, **options: Any) -> dict[str, Any]:
    base = {"url": wire.base_url, "email": EMAIL, "password": TOKEN, "templates": str(SPECS)}
    return run_module(module, check=check, bots=list(items), **{**base, **options})


def one(answer: dict[str, Any]) -> dict[str, Any]:
    (row,) = answer["results"]
    return dict(row)


def client(wire: Wire) -> api.Botpress:
    return api.connect({"url": wire.base_url, "email": EMAIL, "password": TOKEN})


def writes(wire: Wire) -> list[str]:
    """What was asked that changes something, by the last word of its path."""
    verbs = [sent.path.rsplit("/", 1)[1] for sent in wire.writes]
    return [verb for verb in verbs if verb in ("import", "config", "delete", "bots")]


def test_a_tenant_gets_its_bot_once(wire: Wire) -> None:
    row = one(run(wire, item()))
    assert (row["state"], row["created"], row["ref"], row["usage"]) == ("ready", True, {"bot_id": "shop0"}, {"bots": 1})
    assert row["url"].endswith("/botpress/api/v1/bots/shop0")
    assert [change["action"] for change in row["changes"]] == ["create"]
    made = client(wire).bots()["shop0"]
    assert (made.name, made.tenant, made.language, made.secured) == ("Shop 0 (shop0)", rut(0), "es", True)
    wire.sent.clear()
    again = run(wire, item())
    assert (again["changed"], writes(wire), again["requests"]) == (False, [], 3)


def test_check_mode_foretells_the_run_and_writes_nothing(wire: Wire) -> None:
    run(wire, item(1), item(2), item(3))
    changed = [item(0), item(1, template="services"), item(2, state="suspended"), item(3, state="absent")]
    wire.sent.clear()
    foretold = run(wire, *changed, check=True)
    assert writes(wire) == []
    done = run(wire, *changed)
    for key in ("changed", "diff", "results"):
        assert foretold[key] == done[key], key


def test_a_thousand_tenants_unchanged_cost_three_requests(wire: Wire) -> None:
    items = [item(n) for n in range(30)]
    run(wire, *items)
    wire.sent.clear()
    assert run(wire, *items)["requests"] == 3


def test_a_bot_is_replaced_when_its_template_or_a_value_changed_and_only_then(wire: Wire) -> None:
    run(wire, item())
    by_hand = pack({**unpack(client(wire).export("shop0")), "flows/mine.flow.json": b"{}"})
    client(wire).replace("shop0", by_hand)
    client(wire).configure(
        "shop0", {"name": "Shop 0 (shop0)", "disabled": False, "defaultLanguage": "es", "languages": ["es"]}
    )
    assert not run(wire, item())["changed"]
    assert "flows/mine.flow.json" in unpack(client(wire).export("shop0"))
    row = one(run(wire, item(values={"domain": "new.example.com", "currency": "CLP"})))
    assert list(row["changes"][0]["after"]) == ["content"]
    assert "flows/mine.flow.json" not in unpack(client(wire).export("shop0"))
    assert not row["created"]


DRIFTS: dict[str, dict[str, Any]] = {
    "another name": {"name": "Mine"},
    "no mark": {"description": "mine"},
    "switched off": {"disabled": True},
    "private": {"private": True},
}


@pytest.mark.parametrize("what", DRIFTS)
def test_settings_that_people_changed_are_told_and_brought_back(wire: Wire, what: str) -> None:
    run(wire, item())
    client(wire).configure("shop0", {"disabled": False, "defaultLanguage": "es", "languages": ["es"], **DRIFTS[what]})
    wire.sent.clear()
    row = one(run(wire, item()))
    assert list(row["changes"][0]["after"]) == list(DRIFTS[what])
    assert writes(wire) == ["config"]
    assert not run(wire, item())["changed"]


def test_a_bot_whose_converse_was_opened_is_closed_and_keeps_what_people_made(wire: Wire) -> None:
    run(wire, item())
    files = unpack(client(wire).export("shop0"))
    config = {**json.loads(files["bot.config.json"]), "converse": {"timeout": "20s"}, "name": "Shop 0"}
    opened = {**files, "bot.config.json": json.dumps(config).encode(), "flows/mine.flow.json": b"{}"}
    client(wire).replace("shop0", pack(opened))
    row = one(run(wire, item()))
    assert row["changes"][0]["before"] == {"converse_closed": False}
    after = unpack(client(wire).export("shop0"))
    assert json.loads(after["bot.config.json"])["converse"] == {"timeout": "20s", "enableUnsecuredEndpoint": False}
    assert "flows/mine.flow.json" in after
    assert not run(wire, item())["changed"]


def test_a_bot_that_was_deleted_by_hand_is_made_again(wire: Wire) -> None:
    run(wire, item())
    client(wire).delete("shop0")
    assert one(run(wire, item()))["created"]


def test_a_suspended_bot_keeps_everything_and_comes_back(wire: Wire) -> None:
    run(wire, item())
    before = unpack(client(wire).export("shop0"))
    row = one(run(wire, item(state="suspended", values={}, slug="", template="")))
    assert (row["state"], row["usage"], client(wire).bots()["shop0"].disabled) == ("suspended", {"bots": 1}, True)
    assert not run(wire, item(state="suspended"))["changed"]
    wire.sent.clear()
    assert one(run(wire, item()))["state"] == "ready"
    assert writes(wire) == ["config"]
    assert unpack(client(wire).export("shop0")) == before


def test_what_is_removed_is_ours_only(wire: Wire) -> None:
    run(wire, item(0), item(1))
    answer = run(wire, item(0, state="absent"), item(2, state="absent"))
    assert [row["state"] for row in answer["results"]] == ["absent", "absent"]
    assert [row["changed"] for row in answer["results"]] == [True, False]
    assert set(client(wire).bots()) == {"house-bot", "shop1"}
    assert not run(wire, item(0, state="absent"))["changed"]


def test_a_bot_of_others_fails_its_tenant_alone(wire: Wire) -> None:
    answer = run(wire, item(0, slug="house-bot"), item(1))
    assert [row["state"] for row in answer["results"]] == ["failed", "ready"]
    assert "does not bear the tenant's mark" in answer["results"][0]["message"]
    run(wire, item(1, slug="house-bot", state="absent"))
    assert "house-bot" in client(wire).bots()


@pytest.mark.parametrize(("limit", "state"), [(0, "failed"), (1, "ready"), (None, "ready")])
def test_the_plan_says_how_many_bots_a_tenant_has(wire: Wire, limit: int | None, state: str) -> None:
    row = one(run(wire, item(limit=limit)))
    assert row["state"] == state
    assert ("the plan allows 0 bots" in row["message"]) == (limit == 0)


def test_bots_made_by_hand_count_when_they_bear_the_mark(wire: Wire) -> None:
    config = {"name": "x", "description": f"smarteros:{rut(0)}", "defaultLanguage": "es", "languages": ["es"]}
    client(wire).create("extra", pack({"bot.config.json": json.dumps(config).encode()}), lambda bot: False)
    row = one(run(wire, item(limit=1)))
    assert (row["state"], "there are: extra" in row["message"]) == ("failed", True)
    assert one(run(wire, item(limit=2)))["usage"] == {"bots": 2}
    lowered = one(run(wire, item(limit=1)))
    assert (lowered["state"], lowered["changed"]) == ("ready", False)
    assert "the plan allows 1 bots and 2 are wished; there are: extra, shop0" in lowered["message"]


def test_a_tenant_without_the_service_is_disabled_without_a_request(wire: Wire) -> None:
    row = one(run(wire, item(state="disabled", reason="no bot wished")))
    assert (row["state"], row["message"], wire.sent) == ("disabled", "no bot wished", [])


@pytest.mark.parametrize("trouble", [LOST, CUT])
@pytest.mark.parametrize("step", ["import", "config", "delete"])
def test_an_answer_that_is_lost_does_no_harm(wire: Wire, trouble: str, step: str) -> None:
    goal: dict[str, Any] = {"import": {}, "config": {"state": "suspended"}, "delete": {"state": "absent"}}[step]
    if goal:
        run(wire, item())
    wire.trouble = once(lambda sent: sent.path.endswith(f"/{step}"), trouble)
    assert one(run(wire, item(**goal)))["state"] in ("ready", "suspended", "absent")
    assert not run(wire, item(**goal))["changed"]


@pytest.mark.parametrize("after", [False, True], ids=["before it", "after it"])
@pytest.mark.parametrize("number", range(3))
def test_a_run_that_is_killed_at_any_request_is_finished_by_the_next(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, number: int, after: bool
) -> None:
    count = [0]
    whole = wire.send

    def send(*args: Any) -> Any:
        count[0] += 1
        if count[0] - 1 == number and not after:
            raise Killed
        answer = whole(*args)
        if count[0] - 1 == number:
            raise Killed
        return answer

    with monkeypatch.context() as dying:
        dying.setattr(transport.Http, "_send", send)
        with pytest.raises(Killed):
            run(wire, item(), concurrency=1)
    assert one(run(wire, item()))["state"] == "ready"
    assert set(client(wire).bots()) == {"house-bot", "shop0"}
    assert not run(wire, item())["changed"]


def test_converse_that_answers_without_a_token_is_told(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smos.sandbox.botpress._setting", lambda config, default: True)  # a server that ignores it
    row = one(run(wire, item()))
    assert (row["state"], row["message"]) == ("ready", api.OPEN)


def test_a_refused_import_fails_its_tenant_and_the_next_run_goes_on(wire: Wire) -> None:
    refusal = (400, {"message": "[Archive] Error", "errorCode": None})
    wire.trouble = lambda sent: refusal if sent.path.endswith("/shop0/import") else None
    answer = run(wire, item(0), item(1))
    assert [row["state"] for row in answer["results"]] == ["failed", "ready"]
    assert answer["results"][0]["error"]["what"] == "bot shop0"
    assert answer["results"][0]["changes"] == []
    wire.trouble = lambda sent: None
    assert run(wire, item(0), item(1))["results"][0]["created"]


@pytest.mark.parametrize(
    "options",
    [
        {"password": "wrong-password"},
        {"url": "ftp://example.com"},
        {"templates": "/nowhere"},
        {"bots": [item(template="../../etc")]},
    ],
)
def test_what_cannot_be_used_at_all_fails_the_task_untouched(wire: Wire, options: dict[str, Any]) -> None:
    base = {"url": wire.base_url, "email": EMAIL, "password": TOKEN, "templates": str(SPECS), "bots": [item()]}
    answer = run_module(module, **{**base, **options})
    assert (answer["failed"], answer["exit_code"], writes(wire)) == (True, 3, [])
    assert set(answer["errors"][0]) == {"what", "where", "why", "next"}
    assert "wrong-password" not in str(answer["errors"]) + answer["msg"]


def test_a_value_that_botpress_would_run_fails_its_tenant_alone(wire: Wire) -> None:
    answer = run(wire, item(0, name="{{event}}"), item(1))
    assert [row["state"] for row in answer["results"]] == ["failed", "ready"]


def test_a_present_bot_needs_slug_and_template(wire: Wire) -> None:
    assert run(wire, {"tenant": rut(0)})["failed"]


def test_a_tenant_stands_in_the_list_once(wire: Wire) -> None:
    answer = run(wire, item(0), item(0))
    assert (answer["failed"], wire.sent) == (True, [])


def test_no_bots_mean_no_requests(wire: Wire) -> None:
    answer = run(wire)
    assert (answer["changed"], answer["results"], wire.sent) == (False, [], [])


def test_password_and_token_are_never_shown(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOTPRESS_PASSWORD", TOKEN)
    tokens: list[str] = []

    def trouble(sent: Sent) -> Any:
        return (400, {"message": f"refused {TOKEN} {tokens}"}) if sent.path.endswith("/import") else None

    wire.trouble = trouble
    answer = run_module(module, url=wire.base_url, email=EMAIL, templates=str(SPECS), bots=[item()])
    assert answer["results"][0]["state"] == "failed"
    assert TOKEN not in str(answer)


def tenant(**more: Any) -> dict[str, Any]:
    base = {"id": rut(0), "slug": "acme", "name": "Acme", "domain": "acme.example.com", "template": "default"}
    plan = {"industry": "commerce", "limits": {"bots": 2}, "locale": {"currency": "CLP"}}
    return {**base, **plan, "services": {"botpress": {"enabled": True}}, "status": {}, **more}


@pytest.mark.parametrize(
    ("more", "template"),
    [
        ({}, "ecommerce"),
        ({"template": "services"}, "services"),
        ({"industry": "services"}, "services"),
        ({"template": "ecommerce", "industry": "services"}, "ecommerce"),
        ({"industry": "mining"}, "ecommerce"),
    ],
)
def test_the_template_is_the_tenants_else_its_industrys_else_the_default(more: dict[str, Any], template: str) -> None:
    assert wishes.bots([tenant(**more)])[0]["template"] == template


@pytest.mark.parametrize(
    ("more", "override", "states"),
    [
        ({}, "", ["present"]),
        ({"wish": "suspended"}, "", ["suspended"]),
        ({"wish": "deleted"}, "", ["suspended"]),
        ({"wish": "purged"}, "", ["absent"]),
        ({"wish": "suspended"}, "present", ["present"]),
        ({"services": {"botpress": {"enabled": False}}}, "", []),
        ({"services": {"botpress": {"enabled": False}}}, "absent", ["absent"]),
        (
            {"services": {"botpress": {"enabled": False}}, "status": {"services": {"botpress": {"state": "ready"}}}},
            "",
            ["suspended"],
        ),
    ],
)
def test_where_a_tenant_is_in_its_life_decides(more: dict[str, Any], override: str, states: list[str]) -> None:
    assert [row["state"] for row in wishes.bots([tenant(**more)], state=override)] == states


def test_items_have_only_options_that_the_module_knows() -> None:
    (row,) = wishes.bots([tenant(custom_domain="shop.example.com", limits={"bots": None})])
    assert set(row) <= set(module.BOT)
    assert set(row["values"]) <= set(module.BOT["values"]["options"])
    assert (row["values"]["domain"], row["limit"]) == ("shop.example.com", None)


def test_archives_of_the_sandbox_and_ours_understand_each_other() -> None:
    assert unpack(pack({"a/b.json": b"{}"})) == {"a/b.json": b"{}"}
    assert io.BytesIO(pack({})).read(2) == b"\x1f\x8b"
