"""Every answer of the sandbox's Chatwoot fits the published API descriptions of 3.13.0 and 4.14.0."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from smos.sandbox import chatwoot
from smos.sandbox.engine import Engine, Request
from smos.sandbox.state import State

SHARED = Path(os.environ.get("SMOS_SHARED") or Path(__file__).parents[2].parent / "shared")
CONTRACTS = SHARED / "contracts" / "chatwoot"
VERSIONS = ("3.13.0", "4.14.0")
TOKEN = "sandbox-chatwoot-token"
PLATFORM = "/platform/api/v1"

# What the server really sends where a description is known to be wrong: the part that the described schema is about.
# (Chatwoot's own views wrap these lists; 4.14.0 corrected the first.)
WRAPPED = {
    ("3.13.0", "GET", "/inboxes"): ("payload",),
    ("3.13.0", "GET", "/webhooks"): ("payload", "webhooks"),
    ("4.14.0", "GET", "/webhooks"): ("payload", "webhooks"),
    ("3.13.0", "GET", "/contacts"): ("payload",),
    **{(version, method, "/webhooks"): ("payload", "webhook") for version in VERSIONS for method in ("POST", "PATCH")},
}
# Here a description contradicts the server's own view, and the other version's description: 4.14.0 has a list around the
# new contact, 3.13.0 tells the kind of a message as text.
MISTAKEN = {
    ("4.14.0", "POST", "/contacts"),
    ("3.13.0", "GET", "/conversations/1/messages"),
    ("3.13.0", "POST", "/conversations/1/messages"),
}
# Calls that the servers have and the descriptions do not.
UNDESCRIBED = {
    "health",
    "inboxes.delete",
    "platform.accounts.list",
    "platform.users.token",
    *("accounts.get", "accounts.update"),  # described since 4.x
}

pytestmark = pytest.mark.skipif(
    not CONTRACTS.is_dir(),
    reason=f"no API descriptions of Chatwoot at {CONTRACTS}: set SMOS_SHARED to the reference material",
)


class Contract:
    """One published description: which schema belongs to an answer."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.document = json.loads((CONTRACTS / f"swagger-{version}.json").read_text(encoding="utf-8"))
        self.paths = [
            (re.compile(re.sub(r"\{\w+\}", r"[^/]+", path.rstrip("/")) + "/?"), operations)
            # …/search goes before …/{id}
            for path, operations in sorted(self.document["paths"].items(), key=lambda item: item[0].count("{"))
        ]

    def described(self, method: str, path: str) -> dict[str, Any] | None:
        """The responses of an operation, None where it is not described."""
        for pattern, operations in self.paths:
            if pattern.fullmatch(path) and method.lower() in operations:
                responses = operations[method.lower()]["responses"]
                assert isinstance(responses, dict)
                return responses
        return None

    def check(self, method: str, path: str, status: int, body: Any) -> None:
        """Raise where an answer does not fit."""
        response = (self.described(method, path) or {}).get(str(status), {})
        schema = response.get("schema") or response.get("content", {}).get("application/json", {}).get("schema")
        mistaken = any(
            re.fullmatch(rf"/api/v1/accounts/\d+{end}", path)
            for *call, end in MISTAKEN
            if call == [self.version, method]
        )
        if schema is None or (mistaken and status == 200):
            return
        if status == 200:
            for key in self._wrapping(method, path):
                body = body[key]
        known = {name: self.document[name] for name in ("definitions", "components") if name in self.document}
        draft = jsonschema_rs.Draft4Validator if "definitions" in known else jsonschema_rs.Draft202012Validator
        draft({**schema, **known}).validate(body)

    def _wrapping(self, method: str, path: str) -> tuple[str, ...]:
        for (version, verb, end), keys in WRAPPED.items():
            item = r"/\d+" if method == "PATCH" else ""
            if (version, verb) == (self.version, method) and re.fullmatch(rf"/api/v1/accounts/\d+{end}{item}", path):
                return keys
        return ()


class Server:
    """The provider behind the sandbox's engine; each answer is held against the contract before it is used."""

    def __init__(self, version: str) -> None:
        self.contract = Contract(version)
        self.provider = chatwoot.provider(version)
        self.engine = Engine(State(":memory:", [self.provider]), {"chatwoot": frozenset({TOKEN})})
        self.done: set[str] = set()
        self.described: set[str] = set()

    def send(self, method: str, path: str, body: Any = None, token: str = TOKEN, *, status: int = 200) -> Any:
        raw = b"" if body is None else json.dumps(body).encode()
        headers = {"api_access_token": token, "content-type": "application/json"}
        path, _mark, query = path.partition("?")
        request = Request(method, f"/chatwoot{path}", query, headers, raw, "http://127.0.0.1:8321")
        reply = self.engine.handle(request).reply
        assert reply is not None
        assert reply.status == status, reply.body
        answer = json.loads(json.dumps(reply.body))
        self.contract.check(method, path, status, answer)
        if status == 200:
            name = self._operation(method, path)
            self.done.add(name)
            if self.contract.described(method, path):
                self.described.add(name)
        return answer

    def _operation(self, method: str, path: str) -> str:
        for operation in self.provider.operations:
            if operation.method == method and re.fullmatch(re.sub(r"\{[\w:]+\}", r"\\d+", operation.path), path):
                return operation.name
        raise AssertionError(f"no operation for {method} {path}")


def use_the_platform_api(server: Server) -> tuple[int, int, str]:
    """All calls of the Platform API; leaves an account with an administrator: (account, user, his token)."""
    account = server.send("POST", f"{PLATFORM}/accounts", {"name": "Acme", "locale": "es"})["id"]
    one = f"{PLATFORM}/accounts/{account}"
    attributes = {"tenant": "76086428-5", "slug": "acme"}
    server.send("PATCH", one, {"custom_attributes": attributes, "domain": "acme.example.com"})
    server.send("GET", one)
    server.send("GET", one, token="wrong", status=401)
    server.send("GET", f"{PLATFORM}/accounts/999", status=404)
    person = {
        "name": "Ana Pérez",
        "email": "ana@example.com",
        "password": "Secreta.1234",
        "custom_attributes": {"a": 1},
    }
    user = server.send("POST", f"{PLATFORM}/users", person)
    server.send("GET", f"{PLATFORM}/users/{user['id']}")
    server.send("PATCH", f"{PLATFORM}/users/{user['id']}", {"display_name": "Ana"})
    server.send("GET", f"{PLATFORM}/users/{user['id']}/login")
    server.send("POST", f"{one}/account_users", {"user_id": user["id"], "role": "administrator"})
    server.send("GET", f"{one}/account_users")
    other = server.send("POST", f"{PLATFORM}/users", {**person, "email": "bea@example.com"})["id"]
    server.send("POST", f"{one}/account_users", {"user_id": other, "role": "agent"})
    server.send("DELETE", f"{one}/account_users", {"user_id": other})
    server.send("DELETE", f"{PLATFORM}/users/{other}")
    gone = server.send("POST", f"{PLATFORM}/accounts", {"name": "Gone"})["id"]
    server.send("DELETE", f"{PLATFORM}/accounts/{gone}")
    return account, user["id"], user["access_token"]


def use_inboxes_agents_and_webhooks(server: Server, account: int, token: str) -> None:
    """All calls of the account API."""
    base = f"/api/v1/accounts/{account}"

    def send(method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
        return server.send(method, f"{base}{path}", body, token, status=status)

    server.send("GET", "/api/v1/profile", token=token)
    server.send("GET", "/api/v1/profile", token="wrong", status=401)
    send("GET", "")
    send("PATCH", "", {"name": "Acme SpA"})
    widget = {"name": "Acme", "channel": {"type": "web_widget", "website_url": "https://acme.example.com"}}
    inbox = send("POST", "/inboxes", widget)["id"]
    send("POST", "/inboxes/", {"name": "Bot", "channel": {"type": "api", "webhook_url": "https://n8n.example.com/x"}})
    send("GET", "/inboxes")
    send("GET", f"/inboxes/{inbox}")
    send("GET", f"/inboxes/{inbox}/")
    send("PATCH", f"/inboxes/{inbox}", {"name": "Shop", "enable_auto_assignment": False})
    send("GET", "/inboxes/999", status=404)
    send("DELETE", f"/inboxes/{inbox}")
    agent = send("POST", "/agents", {"name": "Beto", "email": "beto@example.com", "role": "agent"})["id"]
    send("GET", "/agents")
    send("PATCH", f"/agents/{agent}", {"role": "administrator"})
    send("DELETE", f"/agents/{agent}")
    send("DELETE", f"/agents/{agent}", status=404)
    hook = {"url": "https://n8n.example.com/webhook/76086428-5", "subscriptions": ["message_created"]}
    webhook = send("POST", "/webhooks", hook)["payload"]["webhook"]["id"]
    send("POST", "/webhooks", hook, status=422)
    send("GET", "/webhooks")
    send("PATCH", f"/webhooks/{webhook}", {**hook, "subscriptions": ["contact_created"]})
    send("DELETE", f"/webhooks/{webhook}")
    send("DELETE", f"/webhooks/{webhook}", status=404)


def talk(server: Server, account: int, token: str) -> None:
    """All calls about contacts, conversations and messages."""
    base = f"/api/v1/accounts/{account}"

    def send(method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
        return server.send(method, f"{base}{path}", body, token, status=status)

    inbox = send("POST", "/inboxes", {"name": "Old talk", "channel": {"type": "api", "webhook_url": ""}})["id"]
    person = {"inbox_id": inbox, "name": "Carla", "email": "carla@example.com", "phone_number": "+56900000002"}
    contact = send("POST", "/contacts", person)["payload"]["contact"]["id"]
    send("POST", "/contacts", person, status=422)
    send("GET", "/contacts")
    send("GET", "/contacts/search", status=422)
    assert len(send("GET", "/contacts/search?q=carla")["payload"]) == 1
    wish = {"source_id": "old-1", "inbox_id": inbox, "contact_id": contact, "status": "resolved"}
    conversation = send("POST", "/conversations", wish)["id"]
    send("GET", "/conversations")
    send("POST", f"/conversations/{conversation}/messages", {"content": "Hola", "message_type": "incoming"})
    send("POST", f"/conversations/{conversation}/messages", {"content": "¿En qué te ayudo?"})
    send("GET", f"/conversations/{conversation}/messages")
    send("POST", f"/conversations/{conversation}/toggle_status", {"status": "resolved"})
    report = f"/api/v2/accounts/{account}/reports/summary"
    seen = server.send("GET", f"{report}?type=account&since=1&until=4000000000", None, token)
    assert (seen["conversations_count"], seen["resolutions_count"], seen["incoming_messages_count"]) == (1, 1, 1)
    server.send("GET", f"{report}?since=1&until=2", None, "", status=401)
    cloud = {"api_key": "sandbox-whatsapp-token", "phone_number_id": "1", "business_account_id": "2"}
    number = {
        "type": "whatsapp",
        "phone_number": "+56900000003",
        "provider": "whatsapp_cloud",
        "provider_config": cloud,
    }
    send("POST", "/inboxes", {"name": "WhatsApp", "channel": number})
    send("POST", "/inboxes", {"name": "WhatsApp", "channel": number}, status=422)
    send("GET", "/inboxes")


@pytest.fixture(params=VERSIONS)
def server(request: pytest.FixtureRequest) -> Server:
    return Server(request.param)


def test_every_answer_fits_its_description_and_every_call_was_made(server: Server) -> None:
    account, user, token = use_the_platform_api(server)
    use_inboxes_agents_and_webhooks(server, account, token)
    talk(server, account, token)
    server.send("GET", "/api", token="")
    if server.contract.version.startswith("4"):
        server.send("GET", f"{PLATFORM}/accounts")
        server.send("POST", f"{PLATFORM}/users/{user}/token")
        server.send("GET", "/health", token="")
    offered = {operation.name for operation in server.provider.operations}
    assert server.done == offered
    assert offered - server.described <= UNDESCRIBED


def test_the_contract_check_would_find_a_wrong_answer() -> None:
    contract = Contract("3.13.0")
    with pytest.raises(jsonschema_rs.ValidationError):
        contract.check("GET", "/api/v1/profile", 200, {"id": "one"})
    with pytest.raises(KeyError):
        contract.check("GET", "/api/v1/accounts/1/inboxes", 200, {})
