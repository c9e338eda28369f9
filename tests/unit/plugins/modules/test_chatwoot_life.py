# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The life of an account in the sandbox's Chatwoot, both versions: suspension, limits, WhatsApp inbox, tokens, exports."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.filter import chatwoot as wishes
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import chatwoot as api
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.exports import chatwoot as exports
from ansible_collections.smartercl.smarteros.plugins.modules import chatwoot_accounts
from smos.sandbox import chatwoot
from unit.plugins.wire import CUT, LOST, Sent, Wire, once, run_module, wired
from unit.sandbox.driver import Driver

TOKEN = "sandbox-chatwoot-token"
OPERATOR = "operator@example.com"
RUT = "76086428-5"
NUMBER = {"phone_number": "+56900000077", "phone_number_id": "123456", "business_account_id": "654321"}
SECRETS = {"whatsapp_tokens": {"acme": "sandbox-whatsapp-acme"}, "whatsapp_app_secrets": {"acme": "planted-app-secret"}}


class World:
    """One Chatwoot and the tenant's status, as runs leave it."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.status: dict[str, Any] = {}

    @property
    def connection(self) -> dict[str, str]:
        return {"url": self.wire.base_url, "platform_token": TOKEN, "operator_email": OPERATOR}

    def tenant(self, **more: Any) -> dict[str, Any]:
        return {
            "id": RUT,
            "name": "Acme",
            "slug": "acme",
            "domain": "acme.example.com",
            "locale": {"language": "es"},
            "owner": {"name": "Ana", "email": "ana@example.com"},
            "services": {"chatwoot": {"enabled": True}},
            "limits": {"users": 5},
            "features": {"whatsapp_inbox": True},
            "whatsapp": {},
            "wish": "active",
            "status": self.status,
            **more,
        }

    def run(self, check: bool = False, options: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """One run of the module; remembers what it answers."""
        wire_options = {**self.connection, "concurrency": 1, "accounts": wishes.accounts([self.tenant(**more)])}
        answer = run_module(chatwoot_accounts, check, **wire_options, **(options or {}))
        (row,) = answer["results"]
        if not check and row["state"] != "failed":
            before = self.status.get("services", {}).get("chatwoot", {}).get("ref", {})
            ref = {} if row["state"] == "absent" else {**before, **row["ref"]}
            self.status = {"services": {"chatwoot": {"state": row["state"], "ref": ref}}}
        assert isinstance(row, dict)
        return row

    def account(self) -> dict[str, Any]:
        number = self.status["services"]["chatwoot"]["ref"]["account_id"]
        found = self.wire.driver.ok("GET", f"/platform/api/v1/accounts/{number}", headers={"api_access_token": TOKEN})
        assert isinstance(found, dict)
        return found

    def inside(self, method: str, path: str, body: Any = None) -> Any:
        """A call of the account API as the tenant's administrator."""
        ref, head = self.status["services"]["chatwoot"]["ref"], {"api_access_token": TOKEN}
        user = self.wire.driver.ok("GET", f"/platform/api/v1/users/{ref['user_id']}", headers=head)
        path, _mark, query = path.partition("?")
        wanted = dict(part.split("=") for part in query.split("&")) if query else {}
        token = {"api_access_token": user["access_token"], "content-type": "application/json"}
        return self.wire.driver.ok(method, f"/api/v1/accounts/{ref['account_id']}{path}", body, headers=token, **wanted)

    @property
    def numbers(self) -> list[dict[str, Any]]:
        rows = self.inside("GET", "/inboxes")["payload"]
        return [row for row in rows if row["channel_type"] == "Channel::Whatsapp"]


@pytest.fixture(params=["3.13.0", "4.14.0"])
def world(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(wired(lambda: Driver(chatwoot.provider(request.param), {}, TOKEN), monkeypatch))


def whats(row: dict[str, Any]) -> list[str]:
    return [f"{change['action']} {change['what'].split(' of account')[0]}" for change in row["changes"]]


@pytest.mark.parametrize("wish", ["suspended", "deleted"])
def test_a_tenant_away_is_locked_out_and_comes_back_whole(world: World, wish: str) -> None:
    made = world.run()
    gone = world.run(wish=wish)
    assert (gone["state"], world.account()["status"]) == ("suspended", "suspended")
    assert gone["changes"][0]["after"] == {"status": "suspended"}
    world.wire.sent.clear()
    assert (world.run(wish=wish)["changes"], world.wire.writes) == ([], [])
    back = world.run()
    assert (back["state"], world.account()["status"]) == ("ready", "active")
    assert [change["after"] for change in back["changes"]] == [{"status": "active"}]
    assert world.status["services"]["chatwoot"]["ref"] == made["ref"]
    assert world.run()["changes"] == []


def test_a_service_switched_off_is_suspended_and_a_purged_tenant_is_gone(world: World) -> None:
    world.run()
    off = world.run(services={"chatwoot": {"enabled": False}})
    assert (off["state"], world.account()["status"]) == ("suspended", "suspended")
    gone = world.run(wish="purged")
    assert (gone["state"], whats(gone)) == ("absent", ["delete account Acme (76086428-5)"])
    assert world.run(wish="purged")["changes"] == []


def test_check_mode_foretells_suspension_and_return(world: World) -> None:
    world.run()
    for wish in ("suspended", "active"):
        foretold = world.run(check=True, wish=wish)
        assert world.run(wish=wish)["changes"] == foretold["changes"] != []


def test_opening_a_suspended_account_by_hand_is_noticed(world: World) -> None:
    world.run()
    world.run(wish="suspended")
    number = world.account()["id"]
    head = {"api_access_token": TOKEN, "content-type": "application/json"}
    world.wire.driver.ok("PATCH", f"/platform/api/v1/accounts/{number}", {"status": "active"}, headers=head)
    assert whats(world.run(wish="suspended")) == ["update account Acme (76086428-5)"]
    assert world.account()["status"] == "suspended"


NEW = {"name": "Nora", "email": "nora@example.com"}


def members(world: World) -> set[str]:
    """Who is in the account, without the operator."""
    ref, head = world.status["services"]["chatwoot"]["ref"], {"api_access_token": TOKEN}
    seats = world.wire.driver.ok("GET", f"/platform/api/v1/accounts/{ref['account_id']}/account_users", headers=head)
    users = [world.wire.driver.ok("GET", f"/platform/api/v1/users/{row['user_id']}", headers=head) for row in seats]
    return {str(user["email"]) for user in users} - {OPERATOR}


def test_another_owner_comes_in_and_then_the_former_one_goes(world: World) -> None:
    old = world.run()["ref"]["user_id"]
    foretold = world.run(check=True, owner=NEW)
    world.wire.sent.clear()
    done = world.run(owner=NEW)
    assert foretold["changes"] == done["changes"]
    assert whats(done)[-2:] == ["create administrator nora@example.com", "delete user ana@example.com"]
    assert done["changes"][-1]["before"] == {"email": "ana@example.com", "role": "administrator"}
    seats = [each for each in world.wire.writes if each.path.endswith("/account_users")]
    assert [(each.method, each.json["user_id"] == old) for each in seats] == [("POST", False), ("DELETE", True)]
    assert (members(world), done["usage"]) == ({"nora@example.com"}, {"users": 1})
    assert done["ref"]["user_id"] != old
    head = {"api_access_token": TOKEN}
    assert world.wire.driver.ok("GET", f"/platform/api/v1/users/{old}", headers=head)["email"] == "ana@example.com"
    world.wire.sent.clear()
    assert (world.run(owner=NEW)["changes"], world.wire.writes) == ([], [])


def test_the_earlier_owner_comes_back_as_the_same_user(world: World) -> None:
    old = world.run()["ref"]["user_id"]
    world.run(owner=NEW)
    back = world.run()
    assert (back["ref"]["user_id"], members(world)) == (old, {"ana@example.com"})
    assert world.run()["changes"] == []


def test_what_the_owners_brought_along_stays(world: World) -> None:
    world.run()
    clerk = {"name": "Cleo", "email": "cleo@example.com", "role": "agent"}
    world.inside("POST", "/agents", clerk)
    world.run(owner=NEW)
    there = {row["email"] for row in world.inside("GET", "/agents")}
    assert there == {OPERATOR, "nora@example.com", "cleo@example.com"}


@pytest.mark.parametrize("kind", [CUT, (500, {"error": "no"})], ids=["cut", "refused"])
def test_a_former_owner_who_cannot_be_taken_out_fails_the_tenant_and_the_next_run_does_it(
    world: World, kind: Any
) -> None:
    old = world.run()["ref"]["user_id"]
    world.wire.trouble = lambda each: kind if each.method == "DELETE" else None
    failed = world.run(owner=NEW)
    assert (failed["state"], "user_id" in failed["ref"]) == ("failed", False)
    assert "user ana@example.com of account Acme (76086428-5) could not be taken out of it" in failed["message"]
    assert whats(failed)[-1] == "create administrator nora@example.com"
    assert members(world) == {"ana@example.com", "nora@example.com"}
    assert world.status["services"]["chatwoot"]["ref"]["user_id"] == old
    assert "user_id" not in world.run(check=True, owner=NEW, wish="suspended")["ref"]
    world.wire.trouble = lambda _each: None
    done = world.run(owner=NEW)
    assert whats(done) == ["delete user ana@example.com"]
    assert (done["ref"]["user_id"] != old, members(world)) == (True, {"nora@example.com"})


def test_an_owner_replaced_while_the_tenant_was_away_is_out_when_it_comes_back(world: World) -> None:
    world.run()
    world.run(wish="suspended")
    world.run(wish="suspended", owner=NEW)
    world.run(owner=NEW)
    assert members(world) == {"nora@example.com"}
    assert world.run(owner=NEW)["changes"] == []


def test_the_operator_is_never_taken_out(world: World) -> None:
    world.run(owner={"name": "SmarterOS", "email": OPERATOR})
    assert world.run(owner=NEW)["state"] == "ready"
    assert (members(world), world.run(owner=NEW)["changes"]) == ({"nora@example.com"}, [])


def test_the_plans_limit_is_given_to_chatwoot_and_follows_the_plan(world: World) -> None:
    world.run()
    assert world.account()["limits"] == {"agents": 6}  # one for the operator
    for limit, kept in ((10, {"agents": 11}), (None, {})):
        changed = world.run(limits={"users": limit})
        assert (whats(changed), world.account()["limits"]) == (["update account Acme (76086428-5)"], kept)
        world.wire.sent.clear()
        assert (world.run(limits={"users": limit})["changes"], world.wire.writes) == ([], [])


def test_users_are_counted_without_the_operator(world: World) -> None:
    foretold, made = world.run(check=True), world.run()
    assert foretold["usage"] == made["usage"] == {"users": 1}
    for number in range(2):
        world.inside("POST", "/agents", {"name": "Beto", "email": f"b{number}@example.com", "role": "agent"})
    row = world.run(limits={"users": 2})
    assert (row["usage"], row["state"]) == ({"users": 3}, "ready")
    assert "3 users, and the plan allows 2" in row["message"]
    assert api.connect(world.connection).usage([world.tenant()]) == {RUT: {"users": 3}}


def test_a_number_gets_an_inbox_with_its_own_token(world: World) -> None:
    foretold = world.run(check=True, options=SECRETS, whatsapp=NUMBER)
    made = world.run(options=SECRETS, whatsapp=NUMBER)
    assert foretold["changes"] == made["changes"]
    assert whats(made)[-1] == "create WhatsApp inbox +56900000077"
    (inbox,) = world.numbers
    config = inbox["provider_config"]
    assert (inbox["provider"], inbox["name"]) == ("whatsapp_cloud", "WhatsApp Acme")
    assert {key: config[key] for key in ("api_key", "app_secret")} == {
        "api_key": "sandbox-whatsapp-acme",
        "app_secret": "planted-app-secret",
    }
    assert made["ref"]["whatsapp_inbox_id"] == inbox["id"]
    world.wire.sent.clear()
    assert (world.run(options=SECRETS, whatsapp=NUMBER)["changes"], world.wire.writes) == ([], [])


def test_a_new_token_replaces_the_settings_without_losing_any(world: World) -> None:
    world.run(options=SECRETS, whatsapp=NUMBER)
    before = world.numbers[0]["provider_config"]["webhook_verify_token"]
    new = {**SECRETS, "whatsapp_tokens": {"acme": "sandbox-whatsapp-renewed"}}
    row = world.run(options=new, whatsapp=NUMBER)
    assert row["changes"][0]["after"] == {"api_key": "as configured"}
    config = world.numbers[0]["provider_config"]
    assert (config["api_key"], config["webhook_verify_token"]) == ("sandbox-whatsapp-renewed", before)
    shown = json.dumps(row)
    assert not [secret for secret in (before, "renewed", "planted-app-secret") if secret in shown]


def test_without_a_token_the_tenant_is_ready_and_told_which_variable_is_missing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = world.run(whatsapp=NUMBER)
    assert (row["state"], world.numbers) == ("ready", [])
    assert "WHATSAPP_TOKEN_ACME, WHATSAPP_APP_SECRET_ACME" in row["message"]
    monkeypatch.setenv("WHATSAPP_TOKEN_ACME", "sandbox-whatsapp-acme")
    monkeypatch.setenv("WHATSAPP_APP_SECRET_ACME", "planted-app-secret")
    assert whats(world.run(whatsapp=NUMBER)) == ["create WhatsApp inbox +56900000077"]


def test_a_plan_without_the_feature_has_no_whatsapp_inbox(world: World) -> None:
    row = world.run(options=SECRETS, whatsapp=NUMBER, features={"whatsapp_inbox": False})
    assert (row["message"], world.numbers) == ("", [])


def test_what_meta_or_another_account_refuses_is_told(world: World) -> None:
    bad = {**SECRETS, "whatsapp_tokens": {"acme": "planted-wrong-token"}}
    row = world.run(options=bad, whatsapp=NUMBER)
    assert row["state"] == "failed"
    assert "Invalid Credentials" in row["message"]
    assert "planted-wrong-token" not in json.dumps(row)
    other = World(world.wire)
    other.run(options=SECRETS, whatsapp=NUMBER, id="12345678-5", slug="acme")
    row = world.run(options=SECRETS, whatsapp=NUMBER)
    assert "in use in another account" in row["message"]


@pytest.mark.parametrize("trouble", [LOST, CUT])
def test_a_whatsapp_inbox_is_made_once_whatever_is_lost(world: World, trouble: str) -> None:
    world.run()
    world.wire.trouble = once(lambda each: each.method == "POST" and each.path.endswith("/inboxes"), trouble)
    assert world.run(options=SECRETS, whatsapp=NUMBER)["state"] == "ready"
    assert len(world.numbers) == 1


@pytest.mark.parametrize(
    ("token", "state", "words"),
    [
        (TOKEN, "valid", "accepted"),
        ("sandbox-chatwoot-limited", "insufficient", "personal token of a user, operator@smarteros.example.com"),
        ("sandbox-chatwoot-bot", "insufficient", "agent bot"),
        ("something-else", "invalid", "Platform Apps"),
    ],
)
def test_each_kind_of_token_is_told_apart(world: World, token: str, state: str, words: str) -> None:
    verdict = api.connect({**world.connection, "platform_token": token}).check()
    assert verdict["state"] == state
    assert words in verdict["message"]
    assert world.wire.writes == []


def hostile(place: str, answer: tuple[int, Any], each: Sent) -> Any:
    return answer if place in each.path and each.method == "GET" else None


@pytest.mark.parametrize(
    "answer", [(200, "<html>"), (200, [1, 2]), (200, {"id": "x"}), (200, {"payload": 7}), (200, None)]
)
def test_a_hostile_answer_is_one_clear_error(world: World, answer: tuple[int, Any]) -> None:
    world.run()
    for place in ("/accounts/", "/profile", "/agents", "/inboxes", "/users/"):
        world.wire.trouble = partial(hostile, place, answer)
        options = {**world.connection, "accounts": wishes.accounts([world.tenant(limits={"users": 9})])}
        found = run_module(chatwoot_accounts, False, **options, concurrency=1)
        assert "Traceback" not in json.dumps(found)


def talk(world: World, count: int = 1) -> None:
    """Some people who wrote to the shop's API inbox."""
    inbox = world.inside("POST", "/inboxes", {"name": "Shop", "channel": {"type": "api", "webhook_url": ""}})["id"]
    for number in range(count):
        named = {"email": f"c{number}@example.com"} if number % 2 else {"phone_number": f"+5690000{number:04d}"}
        contact = world.inside("POST", "/contacts", {"inbox_id": inbox, "name": f"Carla {number}", **named})
        who = contact["payload"]["contact"]["id"]
        wish = {"source_id": f"s{number}", "inbox_id": inbox, "contact_id": who}
        conversation = world.inside("POST", "/conversations", wish)["id"]
        for turn in range(25):
            kind = "incoming" if turn % 2 == 0 else "outgoing"
            body = {"content": f"{number}.{turn}", "message_type": kind}
            world.inside("POST", f"/conversations/{conversation}/messages", body)
        world.inside("POST", f"/conversations/{conversation}/toggle_status", {"status": "resolved"})


def said(files: dict[str, bytes]) -> list[tuple[Any, ...]]:
    rows = json.loads(files["conversations.json"])
    return sorted(
        (row["contact"]["name"], row["status"], [(each["type"], each["content"]) for each in row["messages"]])
        for row in rows
    )


def test_an_export_holds_everything_and_comes_back_elsewhere(world: World) -> None:
    world.run()
    talk(world, 30)  # two pages of contacts and of conversations
    files = exports.collect(world.connection, world.tenant())
    assert exports.collect(world.connection, world.tenant()) == files
    assert (len(json.loads(files["contacts.json"])), len(said(files))) == (30, 30)
    assert [turn[1] for turn in said(files)[0][2]] == [f"0.{turn}" for turn in range(25)]
    assert "token" not in files["contacts.json"].decode() + files["conversations.json"].decode()
    world.run(wish="purged")
    world.run()
    told = exports.bring_back(world.connection, world.tenant(), files)
    assert told[0] == "30 contacts created"
    assert told[1].startswith("30 conversations and 750 messages brought back")
    assert said(exports.collect(world.connection, world.tenant())) == said(files)
    assert exports.bring_back(world.connection, world.tenant(), files) == []


def test_a_suspended_account_is_exported_and_stays_suspended(world: World) -> None:
    world.run()
    talk(world)
    world.run(wish="suspended")
    files = exports.collect(world.connection, world.tenant())
    assert (len(said(files)), world.account()["status"]) == (1, "suspended")


def test_coming_back_midway_goes_on_where_it_stopped(world: World) -> None:
    world.run()
    talk(world, 3)
    files = exports.collect(world.connection, world.tenant())
    world.run(wish="purged")
    world.run()
    posts = [0]

    def trouble(each: Any) -> Any:
        posts[0] += each.method == "POST" and each.path.endswith("/messages")
        return (422, {"error": "no"}) if posts[0] == 30 else None

    world.wire.trouble = trouble
    with pytest.raises(ApiError):
        exports.bring_back(world.connection, world.tenant(), files)
    world.wire.trouble = once(lambda each: each.path.endswith("/messages") and each.method == "POST", LOST)
    exports.bring_back(world.connection, world.tenant(), files)
    assert said(exports.collect(world.connection, world.tenant())) == said(files)


def test_a_tenant_without_an_account_has_nothing_to_export(world: World) -> None:
    assert exports.collect(world.connection, world.tenant()) == {}
    with pytest.raises(ApiError, match="no account"):
        exports.bring_back(world.connection, world.tenant(), {"contacts.json": b"[]"})
