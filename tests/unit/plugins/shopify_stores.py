"""Puts the sandbox's Shopify where the network would be; each store has an address of its own there."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors, transport
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import shopify_tokens
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Answer
from smos.sandbox.shopify import PROVIDER
from unit.plugins.wire import CUT, LOST, OneThread
from unit.sandbox.driver import Driver

URL = "http://127.0.0.1:8321/shopify/{shop}"
TOKEN, LIMITED = "sandbox-shopify-token", "sandbox-shopify-limited"
CLIENT_ID = "sandbox-shopify-client"
APP: dict[str, Any] = {"client_id": CLIENT_ID, "client_secret": TOKEN}
GRAPHQL = "/admin/api/2026-10/graphql.json"
GRANT = "/admin/oauth/access_token"


@dataclass(frozen=True)
class Sent:
    """A request as it went out: to which store, which operation (``SmosStore`` …, or ``grant``), with what."""

    store: str
    path: str
    operation: str
    json: Any
    token: str

    @property
    def writes(self) -> bool:
        return self.operation != "grant" and self.json["query"].startswith("mutation")


Trouble = Callable[[Sent], Any]


def driver() -> Driver:
    return Driver(PROVIDER, {"x-shopify-access-token": TOKEN}, TOKEN)


class Stores:
    """Carries requests to the sandbox; ``trouble(sent)`` may give LOST, CUT, or (status, body) instead of the answer."""

    def __init__(self) -> None:
        self.driver = OneThread(driver)
        self.sent: list[Sent] = []
        self.slept: list[float] = []
        self.trouble: Trouble = lambda _sent: None

    @property
    def writes(self) -> list[Sent]:
        return [each for each in self.sent if each.writes]

    @property
    def operations(self) -> list[str]:
        return [each.operation for each in self.sent]

    def send(self, client: Any, _method: str, path: str, json: Any, headers: Any, where: str) -> Answer:
        client.sent += 1
        store = urlsplit(client.base_url).path.rsplit("/", 1)[-1]
        token = (headers or {}).get("X-Shopify-Access-Token", "")
        name = "grant" if path == GRANT else json["query"].split("(")[0].split("{")[0].split()[1]
        sent = Sent(store, path, name, json, token)
        self.sent.append(sent)
        wrong = self.trouble(sent)
        if wrong == CUT:
            raise ApiError("the connection broke", errors.UNANSWERED, where=where)
        if isinstance(wrong, tuple):
            return Answer(wrong[0], {}, wrong[1])
        names = {key.lower(): value for key, value in (headers or {}).items()}
        reply = self.driver.send("POST", f"/{store}{path}", json, headers=names)
        if wrong == LOST:
            raise ApiError("no answer within 30 s", errors.UNANSWERED, where=where)
        return Answer(reply.status, reply.headers, reply.body)

    def ask(self, store: str, query: str, **variables: Any) -> Any:
        """What a person's own GraphQL gives; it must be carried out."""
        body = self.driver.ok("POST", f"/{store}{GRAPHQL}", {"query": query, "variables": variables})
        assert "errors" not in body, body
        return body["data"]

    def subscribe(self, store: str, topic: str, uri: str, **more: Any) -> str:
        """A subscription made by hand; gives its id."""
        query = (
            "mutation M($t: WebhookSubscriptionTopic!, $w: WebhookSubscriptionInput!) { webhookSubscriptionCreate"
            "(topic: $t, webhookSubscription: $w) { webhookSubscription { id } userErrors { message } } }"
        )
        made = self.ask(store, query, t=topic, w={"uri": uri, **more})["webhookSubscriptionCreate"]
        assert made["userErrors"] == []
        found: str = made["webhookSubscription"]["id"]
        return found

    def drop(self, webhook_id: str, store: str) -> None:
        """What Shopify does after eight failed deliveries."""
        query = "mutation M($i: ID!) { webhookSubscriptionDelete(id: $i) { deletedWebhookSubscriptionId } }"
        self.ask(store, query, i=webhook_id)

    def webhooks(self, store: str) -> dict[str, str]:
        """uri by topic; one per topic."""
        nodes = self.ask(store, "{ webhookSubscriptions(first: 100) { nodes { topic uri } } }")["webhookSubscriptions"]
        assert len({node["topic"] for node in nodes["nodes"]}) == len(nodes["nodes"]), nodes
        return {node["topic"]: node["uri"] for node in nodes["nodes"]}

    def mark(self, store: str, **values: str) -> None:
        """Metafields of our namespace, written by hand."""
        owner = self.ask(store, "{ shop { id } }")["shop"]["id"]
        rows = [
            {"ownerId": owner, "namespace": "smarteros", "key": key, "value": value, "type": "single_line_text_field"}
            for key, value in values.items()
        ]
        query = "mutation M($m: [MetafieldsSetInput!]!) { metafieldsSet(metafields: $m) { userErrors { message } } }"
        assert self.ask(store, query, m=rows)["metafieldsSet"]["userErrors"] == []

    def marks(self, store: str) -> dict[str, str]:
        query = '{ shop { metafields(first: 50, namespace: "smarteros") { nodes { key value } } } }'
        return {row["key"]: row["value"] for row in self.ask(store, query)["shop"]["metafields"]["nodes"]}


def once(matches: Callable[[Sent], bool], what: Any) -> Trouble:
    """Trouble for the first request that matches."""
    left = [what]
    return lambda sent: left.pop() if left and matches(sent) else None


def wired(monkeypatch: pytest.MonkeyPatch) -> Stores:
    """Every client of this test talks to the sandbox's stores; time passes only in ``slept``."""
    stores = Stores()

    def send(self: Any, method: str, path: str, _params: Any, json: Any, headers: Any, where: str) -> Answer:
        return stores.send(self, method, path, jsonlib.loads(jsonlib.dumps(json)), headers, where)

    def pass_time(seconds: float) -> None:
        stores.slept.append(seconds)
        clock[0] += seconds

    clock = [0.0]
    original = transport.Http.__init__

    def made(self: Any, *args: Any, **options: Any) -> None:
        original(self, *args, **{**options, "sleep": pass_time, "clock": lambda: clock[0]})

    monkeypatch.setattr(shopify_tokens, "MEMORY", shopify_tokens.Memory())
    monkeypatch.setattr(transport.Http, "__init__", made)
    monkeypatch.setattr(transport.Http, "_send", send)
    monkeypatch.setattr(transport.Http, "_pause", lambda self, attempt: 0.0)
    return stores
