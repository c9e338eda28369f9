"""Every client, how to reach it in the sandbox, and what of it a hostile provider is asked with: the check and main reads."""

from __future__ import annotations

import importlib
import pkgutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import clients, transport
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Answer, Policy
from unit.plugins.wire import OneThread
from unit.sandbox.driver import Driver

HOST = "http://127.0.0.1:8321"

PACKAGE = clients.__name__
NOT_HTTP = frozenset({"mail"})  # speaks SMTP; its own tests are hostile to it
STORE = "acme.myshopify.com"
TENANT: dict[str, Any] = {
    "id": "76086428-5",
    "slug": "acme",
    "name": "Acme Corp",
    "domain": "acme.smarterbot.cl",
    "custom_domain": "shop.example.com",
    "owner": {"name": "Ana Pérez", "email": "ana@example.com", "phone": "+56900000000"},
    "shopify": {"store": STORE},
    "whatsapp": {},
    "limits": {},
    "status": {"services": {"chatwoot": {"ref": {"account_id": 1}}, "odoo": {"ref": {"company_id": 1}}}},
    "wish": "active",
}
Call = Callable[[Any], Any]


@dataclass(frozen=True)
class Client:
    """``connection`` with ``{base}`` for the address of the sandbox; ``calls`` by name; ``provider``: the sandbox's name."""

    provider: str
    connection: Mapping[str, Any]
    calls: Mapping[str, Call]

    def connect(self, module: str, base: str, policy: Policy) -> Any:
        """A client of this module for a server at ``base``."""
        filled = {
            key: value.replace("{base}", base) if isinstance(value, str) else value
            for key, value in self.connection.items()
        }
        return importlib.import_module(f"{PACKAGE}.{module}").connect(filled, policy)

    def secrets(self) -> list[str]:
        """The texts that must never be shown."""
        names = ("token", "secret", "key", "password")
        return [v for k, v in self.connection.items() if isinstance(v, str) and k.endswith(names) and "{" not in v]


def _check(client: Any) -> Any:
    return client.check()


def _claimed(client: Any) -> Any:
    return client.claimed([TENANT])


def _usage(client: Any) -> Any:
    return client.usage([TENANT])


def _dns(client: Any) -> Any:
    from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.hostinger_dns import Zone

    zone = Zone(client.http, "example.com")
    return zone.sets(), zone.name_servers(), zone.snapshots()


def _chatwoot_account(client: Any) -> Any:
    client.act_as(client.make_operator("Operator", OPERATOR))
    body = client.http.request("POST", "/platform/api/v1/accounts", json={"name": "Acme"}, headers=PLATFORM).body
    number = body["id"] if isinstance(body, dict) and isinstance(body.get("id"), int) else 1
    client.link(number, client.profile()[0])
    return client.account(number), client.links(number), client.inboxes(number), client.members(number)


def _dokploy_compose(client: Any) -> Any:
    projects = client.projects()
    project = projects[0] if projects else client.create_project("smarteros", "ours")
    place = next(iter(project.environments.values()))[0]
    if not project.composes:
        client.create_compose({"environmentId": place}, "web", "docker-compose", "ours")
        project = client.projects()[0]
    number = project.composes[0][1]
    if not client.deployments(number):
        client.deploy(number, "title", ())
    return client.compose(number), client.deployments(number), client.queued(number, "title")


def _vercel_build(client: Any) -> Any:
    found = client.find("smarteros-app", lambda each: bool(each.id))
    standing = client.standing("smarteros-app")
    if found is None and standing is not None:
        linked = replace(standing, project=replace(standing.project, git="github:smartercl/app"))
        found = client.create(linked, "v1.0.0", {"smarteros": "x"}, lambda: None)
    ident = found.id if found is not None else "dpl_x"
    return client.deployment(ident), client.log(ident, 5)


OPERATOR = "operator@smarterbot.cl"
PLATFORM = {"api_access_token": "sandbox-chatwoot-token"}
VERCEL = {
    "url": "{base}/vercel",
    "token": "sandbox-vercel-token",
    "team": "smarteros-sandbox",
    "project": "smarteros-app",
}
WHATSAPP = {
    "url": "{base}/whatsapp/v23.0",
    "token": "sandbox-whatsapp-token",
    "phone_number_id": "100000000000002",
    "business_account_id": "100000000000001",
}
CLIENTS: dict[str, Client] = {
    "cloudflare": Client(
        "cloudflare",
        {"url": "{base}/cloudflare/client/v4", "token": "sandbox-cloudflare-token", "zone": "smarterbot.cl"},
        {"check": _check, "claimed": _claimed, "records": lambda c: c.records()},
    ),
    "odoo": Client(
        "odoo",
        {"url": "{base}/odoo", "database": "smarteros", "login": "smarteros", "secret": "sandbox-odoo-token"},
        {
            "check": _check,
            "claimed": _claimed,
            "catalogue": lambda c: c.catalogue(["CL"], ["CLP"], ["account"]),
            "companies": lambda c: c.records("res.company", [], ["name", "vat"]),
            "users": lambda c: c.users(["ana@example.com"]),
            "groups": lambda c: (c.groups(["base.group_user"]), c.languages()),
        },
    ),
    "chatwoot": Client(
        "chatwoot",
        {
            "url": "{base}/chatwoot",
            "platform_token": "sandbox-chatwoot-token",
            "operator_email": OPERATOR,
        },
        {
            "check": _check,
            "accounts": lambda c: c.accounts(),
            "operator": lambda c: (c.act_as(c.make_operator("Operator", OPERATOR)), c.profile()),
            "account": _chatwoot_account,
            "usage": _usage,
        },
    ),
    "n8n": Client(
        "n8n",
        {"url": "{base}/n8n", "api_key": "sandbox-n8n-token"},
        {
            "check": _check,
            "claimed": _claimed,
            "usage": _usage,
            "workflows": lambda c: c.workflows(),
            "tags": lambda c: c.tags(),
        },
    ),
    "hostinger": Client(
        "hostinger",
        {"url": "{base}/hostinger", "token": "sandbox-hostinger-token"},
        {
            "check": _check,
            "firewalls": lambda c: c.firewalls(),
            "snapshot": lambda c: c.snapshot(c.machine("1268054")),
            "dns": _dns,
        },
    ),
    "dokploy": Client(
        "dokploy",
        {"url": "{base}/dokploy", "api_key": "sandbox-dokploy-token"},
        {
            "check": _check,
            "projects": lambda c: c.projects(),
            "compose": _dokploy_compose,
            "deployments": lambda c: (c.deployments("unknown"), c.queued("unknown", "x")),
            "log": lambda c: c.log("unknown"),
        },
    ),
    "shopify": Client(
        "shopify",
        {
            "url": "{base}/shopify/{shop}",
            "client_id": "sandbox-shopify-client",
            "client_secret": "sandbox-shopify-token",
            "tokens": {},
            "stores": {"acme": STORE},
            "default_store": "{slug}.myshopify.com",
        },
        {
            "check": _check,
            "claimed": _claimed,
            "webhooks": lambda c: c.with_store(STORE, "acme", lambda store: store.webhooks()),
        },
    ),
    "supabase": Client(
        "supabase",
        {
            "url": "{base}/supabase",
            "secret_key": "sandbox-supabase-token",
            "management_url": "{base}/supabase",
            "access_token": "sandbox-supabase-token",
            "project": "sandboxsandboxsandbo",
        },
        {
            "check": _check,
            "claimed": _claimed,
            "rows": lambda c: c.rows("tenants", ["id"]),
            "buckets": lambda c: c.buckets(),
            "files": lambda c: c.files("documents", "76086428-5"),
        },
    ),
    "vercel": Client(
        "vercel",
        VERCEL,
        {"check": _check, "claimed": _claimed, "domains": lambda c: c.domains(), "dns": lambda c: c.dns("example.com")},
    ),
    "vercel_projects": Client(
        "vercel",
        VERCEL,
        {"find": lambda c: c.find("smarteros-app"), "variables": lambda c: c.variables("smarteros-app")},
    ),
    "vercel_deployments": Client(
        "vercel",
        VERCEL,
        {
            "standing": lambda c: c.standing("smarteros-app"),
            "live": lambda c: c.live("app.smarterbot.cl"),
            "find": lambda c: c.find("smarteros-app", lambda each: each.ended and each.state != "READY"),
            "build": _vercel_build,
        },
    ),
    "botpress": Client(
        "botpress",
        {"url": "{base}/botpress", "email": "operator@smarterbot.cl", "password": "sandbox-botpress-token"},
        {"check": _check, "claimed": _claimed, "usage": _usage, "bots": lambda c: c.bots()},
    ),
    "metabase": Client(
        "metabase",
        {"url": "{base}/metabase", "api_key": "sandbox-metabase-token"},
        {
            "check": _check,
            "claimed": _claimed,
            "groups": lambda c: (c.groups(), c.me()),
            "collections": lambda c: (c.collections(), c.archived_collections(), c.items(1, "card")),
            "databases": lambda c: c.databases(),
            "access": lambda c: c.access(),
            "queries": lambda c: c.queries(1),
            "cards": lambda c: (c.cards(), c.dashboards()),
        },
    ),
    "whatsapp": Client("whatsapp", WHATSAPP, {"check": _check, "claimed": _claimed}),
    "whatsapp_cloud": Client("whatsapp", WHATSAPP, {"check": _check, "probe": lambda c: c.probe()}),
}
PAIRS = [(module, call) for module, client in CLIENTS.items() for call in client.calls]


def present() -> set[str]:
    """The modules of clients that can be connected."""
    names = {info.name for info in pkgutil.iter_modules(clients.__path__)}
    return {name for name in names if hasattr(importlib.import_module(f"{PACKAGE}.{name}"), "connect")}


class Sandbox:
    """Gives clients whose requests the sandbox answers in this process; ``change(number, answer)`` may spoil answers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.change: Callable[[int, Answer], Answer] = lambda _number, answer: answer
        self._drivers: dict[str, OneThread] = {}
        self._lock = threading.Lock()
        self._number = 0

        def send(http: Any, *args: Any) -> Answer:
            return self._send(http, *args)

        monkeypatch.setattr(transport.Http, "_send", send)
        monkeypatch.setattr(transport.Http, "_pause", lambda _http, _attempt: 0.0)
        monkeypatch.setattr(time, "sleep", lambda _seconds: None)

    def __call__(self, module: str) -> Any:
        """A new client of this module."""
        self._number = 0
        return CLIENTS[module].connect(module, HOST, Policy(attempts=2, patience=1.0))

    def _send(self, http: Any, method: str, path: str, params: Any, json: Any, headers: Any, where: str) -> Answer:
        address = http.base_url.removeprefix(HOST)
        names = {key.lower(): value for key, value in {**http._headers, **(headers or {})}.items()}
        with self._lock:  # clients ask from many threads
            http.sent += 1
            number, self._number = self._number, self._number + 1
            driver = self._driver(address.split("/")[1])
            below = (address + path).removeprefix(driver.provider.base)
            reply = driver.send(method, below, json, headers=names, **dict(params or {}))
        return self.change(number, Answer(reply.status, reply.headers, reply.body))

    def _driver(self, name: str) -> OneThread:
        if name not in self._drivers:
            provider = importlib.import_module(f"smos.sandbox.{name}").PROVIDER
            self._drivers[name] = OneThread(lambda: Driver(provider, {}, f"sandbox-{name}-token"))
        return self._drivers[name]


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """The sandbox's providers in this process."""
    return Sandbox(monkeypatch)
