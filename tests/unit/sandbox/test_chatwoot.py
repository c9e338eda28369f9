"""The sandbox's Chatwoot: nothing is unique, tokens see only their own, and the account API asks who you are there."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest

from smos.sandbox import chatwoot, chatwoot_store
from smos.sandbox.engine import Engine, Request
from smos.sandbox.state import State

TOKEN, OTHER = "sandbox-chatwoot-token", "another-app"
PLATFORM = "/platform/api/v1"
PASSWORD = "Secreta.1234"


class Answer(NamedTuple):
    status: int
    body: Any


class Server:
    """The provider behind the sandbox's engine, in memory."""

    def __init__(self, version: str = "3.13.0") -> None:
        self.state = State(":memory:", [chatwoot.provider(version)])
        self.engine = Engine(self.state, {"chatwoot": frozenset({TOKEN, OTHER})})

    def send(
        self, method: str, path: str, body: Any = None, token: str = TOKEN, header: str = "api_access_token"
    ) -> Answer:
        raw = b"" if body is None else json.dumps(body).encode()
        headers = {header: token, "content-type": "application/json"}
        request = Request(method, f"/chatwoot{path}", "", headers, raw, "http://127.0.0.1:8321")
        reply = self.engine.handle(request).reply
        assert reply is not None
        return Answer(reply.status, reply.body)

    def account(self, name: str = "Acme", **values: Any) -> int:
        answer = self.send("POST", f"{PLATFORM}/accounts", {"name": name, **values})
        assert answer.status == 200
        return int(answer.body["id"])

    def user(self, email: str = "ana@example.com", **values: Any) -> Any:
        answer = self.send("POST", f"{PLATFORM}/users", {"name": "Ana", "email": email, "password": PASSWORD, **values})
        assert answer.status == 200
        return answer.body

    def join(self, account: int, user: int, role: str = "administrator") -> None:
        path = f"{PLATFORM}/accounts/{account}/account_users"
        assert self.send("POST", path, {"user_id": user, "role": role}).status == 200


@pytest.fixture
def server() -> Server:
    return Server()


class Inside(NamedTuple):
    """An account and its administrator."""

    server: Server
    account: int
    user: int
    token: str

    def send(self, method: str, path: str, body: Any = None) -> Answer:
        return self.server.send(method, f"/api/v1/accounts/{self.account}{path}", body, self.token)


@pytest.fixture
def inside(server: Server) -> Inside:
    account, user = server.account(), server.user()
    server.join(account, user["id"])
    return Inside(server, account, user["id"], user["access_token"])


# -- Platform API ------------------------------------------------------------------------------------------------


def test_the_same_account_twice_is_two_accounts(server: Server) -> None:
    first, second = server.account("Acme"), server.account("Acme")
    assert second == first + 1


def test_a_wrong_platform_token_is_refused(server: Server) -> None:
    refused = server.send("POST", f"{PLATFORM}/accounts", {"name": "Acme"}, token="wrong")
    assert refused == Answer(401, {"error": "Invalid access_token"})


def test_the_header_may_come_with_dashes(server: Server) -> None:
    path = f"{PLATFORM}/accounts/{server.account()}"
    assert server.send("GET", path, header="api-access-token").status == 200


def test_a_token_sees_only_what_it_made(server: Server) -> None:
    path, user = f"{PLATFORM}/accounts/{server.account()}", server.user()["id"]
    for method, where in (("GET", path), ("PATCH", path), ("DELETE", path), ("GET", f"{PLATFORM}/users/{user}")):
        assert server.send(method, where, {}, token=OTHER) == Answer(401, {"error": "Non permissible resource"})
    assert server.send("GET", f"{PLATFORM}/accounts/1") == Answer(401, {"error": "Non permissible resource"})
    assert server.send("GET", f"{PLATFORM}/accounts/999") == Answer(404, {"error": "Resource could not be found"})


@pytest.mark.parametrize("number", ["0", "99999999999999999999999"])
def test_an_impossible_id_is_not_found(server: Server, number: str) -> None:
    assert server.send("GET", f"{PLATFORM}/accounts/{number}").status == 404


def test_an_account_keeps_what_it_is_given(server: Server) -> None:
    wanted: dict[str, Any] = {
        "locale": "es",
        "domain": "acme.example.com",
        "support_email": "hola@example.com",
        "custom_attributes": {"tenant": "76086428-5"},
        "limits": {"agents": 5},
        "features": {"sla": True, "macros": False},
    }
    made = server.account(**wanted)
    shown = server.send("GET", f"{PLATFORM}/accounts/{made}").body
    features = wanted.pop("features")
    assert {name: shown[name] for name in wanted} == wanted
    assert shown["status"] == "active"
    assert {name: name in shown["enabled_features"] for name in ("sla", "macros")} == features


def test_attributes_are_replaced_whole_and_the_rest_stays(server: Server) -> None:
    made = server.account(locale="es", custom_attributes={"tenant": "1-9", "slug": "acme"})
    changed = server.send("PATCH", f"{PLATFORM}/accounts/{made}", {"custom_attributes": {"slug": "acme"}}).body
    assert (changed["custom_attributes"], changed["locale"], changed["name"]) == ({"slug": "acme"}, "es", "Acme")


@pytest.mark.parametrize("values", [{"features": {"nope": True}}, {"locale": "es_CL"}, {"status": "archived"}], ids=str)
def test_unknown_names_make_it_crash_and_leave_nothing(server: Server, values: dict[str, Any]) -> None:
    assert server.send("POST", f"{PLATFORM}/accounts", {"name": "Acme", **values}).status == 500
    assert server.send("GET", f"{PLATFORM}/accounts/2").status == 404


@pytest.mark.parametrize(
    "body", [{}, {"name": " "}, {"name": "x" * 256}, [], None], ids=["none", "blank", "long", "list", "empty"]
)
def test_an_account_needs_a_name(server: Server, body: Any) -> None:
    refused = server.send("POST", f"{PLATFORM}/accounts", body)
    assert (refused.status, refused.body["attributes"]) == (422, ["name"])


def test_a_deleted_account_is_gone_with_all_it_held(inside: Inside) -> None:
    inside.send("POST", "/webhooks", {"url": "https://n8n.example.com/hook"})
    deleted = inside.server.send("DELETE", f"{PLATFORM}/accounts/{inside.account}")
    assert deleted == Answer(200, None)
    assert inside.server.send("GET", f"{PLATFORM}/accounts/{inside.account}").status == 404
    assert inside.server.send("GET", "/api/v1/profile", token=inside.token).body["accounts"] == []


def test_an_existing_address_gives_that_user_unchanged(server: Server) -> None:
    first = server.user(name="Ana")
    again = server.user("ANA@example.com", name="Someone else", password="Otra.clave.1")
    assert (again["id"], again["name"], again["access_token"]) == (first["id"], "Ana", first["access_token"])


@pytest.mark.parametrize("password", ["", "Ab1!x", "abcdef1!", "ABCDEF1!", "Abcdefg!", "Abcdefg1", "Aa1!" + "x" * 125])
def test_weak_passwords_are_refused(server: Server, password: str) -> None:
    body = {"name": "Ana", "email": "ana@example.com", "password": password}
    refused = server.send("POST", f"{PLATFORM}/users", body)
    assert (refused.status, refused.body["attributes"]) == (422, ["password"])


def test_passwords_do_not_lie_in_the_state(server: Server) -> None:
    server.user()
    assert PASSWORD not in "\n".join(server.state.db.iterdump())


def test_a_user_can_be_changed_but_not_to_somebody_elses_address(server: Server) -> None:
    ana, bea = server.user()["id"], server.user("bea@example.com", custom_attributes={"a": 1})["id"]
    changed = server.send("PATCH", f"{PLATFORM}/users/{bea}", {"name": "Beatriz", "custom_attributes": {"b": 2}}).body
    assert (changed["name"], changed["custom_attributes"]) == ("Beatriz", {"a": 1, "b": 2})
    taken = server.send("PATCH", f"{PLATFORM}/users/{bea}", {"email": "Ana@example.com"})
    assert (taken.status, taken.body["attributes"]) == (422, ["email"])
    assert server.send("DELETE", f"{PLATFORM}/users/{ana}").status == 200
    assert server.send("GET", f"{PLATFORM}/users/{ana}").status == 404


def test_a_login_link_is_for_one_use(server: Server) -> None:
    path = f"{PLATFORM}/users/{server.user('ana+1@example.com')['id']}/login"
    one, two = (server.send("GET", path).body["url"] for _ in range(2))
    assert one.startswith("http://127.0.0.1:8321/chatwoot/app/login?email=ana%2B1%40example.com&sso_auth_token=")
    assert one != two


def test_joining_twice_changes_the_role_only(server: Server) -> None:
    account, user = server.account(), server.user()["id"]
    server.join(account, user, "agent")
    server.join(account, user, "administrator")
    path = f"{PLATFORM}/accounts/{account}/account_users"
    members = server.send("GET", path).body
    assert [(member["user_id"], member["role"]) for member in members] == [(user, "administrator")]
    assert server.send("DELETE", path, {"user_id": user}).status == 200
    assert server.send("DELETE", path, {"user_id": user}).status == 200
    assert server.send("GET", path).body == []


def test_only_users_that_exist_can_join_and_only_in_known_roles(server: Server) -> None:
    path = f"{PLATFORM}/accounts/{server.account()}/account_users"
    assert server.send("POST", path, {"user_id": 999, "role": "agent"}).status == 422
    assert server.send("POST", path, {"user_id": server.user()["id"], "role": "owner"}).status == 500


def test_listing_accounts_came_with_4_x(server: Server) -> None:
    assert server.send("GET", f"{PLATFORM}/accounts").status == 404
    newer = Server("4.14.0")
    made = [newer.account("One"), newer.account("Two")]
    newer.send("POST", f"{PLATFORM}/accounts", {"name": "Foreign"}, token=OTHER)
    assert [account["id"] for account in newer.send("GET", f"{PLATFORM}/accounts").body] == made
    assert newer.send("GET", "/health", token="").body == {"status": "woot"}
    user = newer.user()
    told = newer.send("POST", f"{PLATFORM}/users/{user['id']}/token").body
    assert told["access_token"] == user["access_token"]


# -- account API -------------------------------------------------------------------------------------------------


def test_the_profile_lists_the_accounts_of_a_user(inside: Inside) -> None:
    second = inside.server.account("Beta", status="suspended")
    inside.server.join(second, inside.user, "agent")
    profile = inside.server.send("GET", "/api/v1/profile", token=inside.token).body
    assert [
        (account["id"], account["name"], account["status"], account["role"]) for account in profile["accounts"]
    ] == [
        (inside.account, "Acme", "active", "administrator"),
        (second, "Beta", "suspended", "agent"),
    ]


@pytest.mark.parametrize("token", ["", "wrong", TOKEN])
def test_the_account_api_wants_a_users_token(server: Server, token: str) -> None:
    assert server.send("GET", "/api/v1/profile", token=token) == Answer(401, {"error": "Invalid Access Token"})


def test_strangers_agents_and_suspended_accounts_are_refused(inside: Inside) -> None:
    stranger, agent = inside.server.user("x@example.com"), inside.server.user("y@example.com")
    inside.server.join(inside.account, agent["id"], "agent")
    path = f"/api/v1/accounts/{inside.account}/webhooks"
    told = [inside.server.send("GET", path, token=user["access_token"]) for user in (stranger, agent)]
    assert told == [
        Answer(401, {"error": "You are not authorized to access this account"}),
        Answer(401, {"error": "You are not authorized to do this action"}),
    ]
    inside.server.send("PATCH", f"{PLATFORM}/accounts/{inside.account}", {"status": "suspended"})
    assert inside.send("GET", "/inboxes") == Answer(401, {"error": "Account is suspended"})
    assert inside.server.send("GET", "/api/v1/accounts/999/inboxes", token=inside.token).status == 404


def test_members_do_not_see_our_custom_attributes(inside: Inside) -> None:
    attributes = {"tenant": "76086428-5", "plan_name": "starter"}
    inside.server.send("PATCH", f"{PLATFORM}/accounts/{inside.account}", {"custom_attributes": attributes})
    shown = inside.send("GET", "").body
    assert shown["custom_attributes"]["plan_name"] == "starter"
    assert "tenant" not in shown["custom_attributes"]
    assert inside.send("PATCH", "", {"name": "Acme SpA"}).body["name"] == "Acme SpA"


def test_a_website_inbox_lives(inside: Inside) -> None:
    body = {"name": "Acme", "channel": {"type": "web_widget", "website_url": "https://acme.example.com"}}
    made = inside.send("POST", "/inboxes", body).body
    assert (made["channel_type"], len(made["website_token"])) == ("Channel::WebWidget", 24)
    assert made["website_token"] in made["web_widget_script"]
    path = f"/inboxes/{made['id']}"
    changed = inside.send("PATCH", path, {"name": "Shop", "channel": {"website_url": "https://shop.example.com"}}).body
    assert (changed["name"], changed["website_url"]) == ("Shop", "https://shop.example.com")
    assert changed["website_token"] == made["website_token"]
    assert [inbox["id"] for inbox in inside.send("GET", "/inboxes").body["payload"]] == [made["id"]]
    assert inside.send("DELETE", path).status == 200
    assert inside.send("GET", path).status == 404


def test_an_api_inbox_tells_its_identifier(inside: Inside) -> None:
    hook = "https://n8n.example.com/hook"
    made = inside.send("POST", "/inboxes", {"name": "Bot", "channel": {"type": "api", "webhook_url": hook}}).body
    assert (made["webhook_url"], len(made["inbox_identifier"]), len(made["hmac_token"])) == (hook, 24, 24)


@pytest.mark.parametrize("name", ["", "Acme (76086428-5)", "a/b", "<b>", "a@b", "-Acme"])
def test_names_of_inboxes_have_rules(inside: Inside, name: str) -> None:
    body = {"name": name, "channel": {"type": "web_widget", "website_url": "https://acme.example.com"}}
    refused = inside.send("POST", "/inboxes", body)
    assert (refused.status, refused.body["attributes"]) == (422, ["name"])


@pytest.mark.parametrize(
    ("channel", "status"), [({"type": "web_widget"}, 422), ({"type": "fax"}, 422), (None, 500), ("web_widget", 500)]
)
def test_an_inbox_needs_its_channel(inside: Inside, channel: Any, status: int) -> None:
    assert inside.send("POST", "/inboxes", {"name": "Acme", "channel": channel}).status == status
    assert inside.send("GET", "/inboxes").body == {"payload": []}


def test_inboxes_of_another_account_are_not_found(inside: Inside) -> None:
    made = inside.send("POST", "/inboxes", {"name": "Bot", "channel": {"type": "api"}}).body["id"]
    other = inside.server.account("Other")
    inside.server.join(other, inside.user)
    assert inside.server.send("GET", f"/api/v1/accounts/{other}/inboxes/{made}", token=inside.token).status == 404


def test_agents_come_and_go(inside: Inside) -> None:
    body = {"name": "Beto", "email": "beto@example.com", "role": "agent"}
    made = inside.send("POST", "/agents", body).body
    assert inside.send("POST", "/agents", {"agent": body}).status == 422
    assert inside.send("PATCH", f"/agents/{made['id']}", {"role": "administrator"}).body["role"] == "administrator"
    assert [agent["email"] for agent in inside.send("GET", "/agents").body] == ["ana@example.com", "beto@example.com"]
    assert inside.send("DELETE", f"/agents/{made['id']}").status == 200
    assert chatwoot_store.user_by_email(inside.server.state.db, "beto@example.com") is None
    assert inside.send("DELETE", f"/agents/{made['id']}").status == 404


def test_the_address_of_a_webhook_is_unique_in_its_account(inside: Inside) -> None:
    wanted = {"url": "https://n8n.example.com/hook", "subscriptions": ["message_created"]}
    made = inside.send("POST", "/webhooks", wanted).body["payload"]["webhook"]
    again = inside.send("POST", "/webhooks", {"webhook": wanted})
    assert (again.status, again.body["attributes"]) == (422, ["url"])
    changed = inside.send("PATCH", f"/webhooks/{made['id']}", {"subscriptions": ["contact_created"]})
    assert changed.body["payload"]["webhook"]["subscriptions"] == ["contact_created"]
    assert len(inside.send("GET", "/webhooks").body["payload"]["webhooks"]) == 1
    assert inside.send("DELETE", f"/webhooks/{made['id']}").status == 200
    assert inside.send("DELETE", f"/webhooks/{made['id']}").status == 404


@pytest.mark.parametrize("values", [{"url": "n8n"}, {}, {"subscriptions": ["nope"]}, {"subscriptions": []}], ids=str)
def test_webhooks_that_make_no_sense_are_refused(inside: Inside, values: dict[str, Any]) -> None:
    base = {"url": "https://n8n.example.com/hook"} if "subscriptions" in values else {}
    assert inside.send("POST", "/webhooks", {**base, **values}).status == 422


def test_health_needs_no_token(server: Server) -> None:
    body = server.send("GET", "/api", token="").body
    assert (body["version"], body["queue_services"], body["data_services"]) == ("3.13.0", "ok", "ok")
