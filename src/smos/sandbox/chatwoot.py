# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Chatwoot as the sandbox plays it: the Platform API, the parts of the account API that provisioning uses, health.

It behaves as 3.13.0, where a platform token cannot list accounts. With ``SMOS_SANDBOX_CHATWOOT_VERSION`` set to a 4.x
version when the sandbox starts, the calls that came with 4.x are there too (list of accounts, a user's token, /health).
"""

from __future__ import annotations

import hmac
import json
import os
import sqlite3
import time
from collections.abc import Callable

from smos.sandbox import chatwoot_account as account
from smos.sandbox import chatwoot_platform as platform
from smos.sandbox import chatwoot_reports as reports
from smos.sandbox import chatwoot_talk as talk
from smos.sandbox.chatwoot_store import FEATURES, SCHEMA, Problem, iso, new_token
from smos.sandbox.provider import Call, Operation, Provider, Reply, Throttle

DEFAULT_VERSION = "3.13.0"
BOT = "sandbox-chatwoot-bot"  # the token of an agent bot: Chatwoot's third kind of token
PLATFORM = "/platform/api/v1"
ACCOUNT = "/api/v1/accounts/{account_id:int}"
REPORTS = "/api/v2/accounts/{account_id:int}/reports"
USERS = ("/api/v1/", "/api/v2/")  # what a user's own token is for
Handler = Callable[[Call], Reply]


def authenticate(call: Call, accepted: frozenset[str]) -> Reply | None:
    """A platform token for the Platform API, a user's personal token for the rest; health needs none."""
    token = platform.token_of(call)
    if call.path.startswith(PLATFORM):
        known = any(hmac.compare_digest(token.encode(), one.encode()) for one in accepted)
        return None if known else Reply(401, {"error": "Invalid access_token"})
    if call.path.startswith(USERS) and token == BOT:
        return Reply(401, {"error": "Access to this endpoint is not authorized for bots"})
    if call.path.startswith(USERS) and account.caller(call) is None:
        return Reply(401, {"error": "Invalid Access Token"})
    return None


def fault_reply(status: int, message: str) -> Reply:
    """Rails and its rate limiter in their own words."""
    if status == 429:
        return Reply(429, "Retry later\n")
    if status >= 500:
        return Reply(status, {"status": status, "error": "Internal Server Error"})
    if status in (404, 405):  # Rails knows no «method not allowed»
        return Reply(404, {"status": 404, "error": "Not Found"})
    return Reply(status, {"error": message})


def _answered(handler: Handler) -> Handler:
    """Turn a refusal into its answer."""

    def answered(call: Call) -> Reply:
        try:
            return handler(call)
        except Problem as problem:
            return Reply(problem.status, problem.body)

    return answered


def _health(version: str) -> Handler:
    def handler(call: Call) -> Reply:
        body = {"version": version, "timestamp": iso(call.now), "queue_services": "ok", "data_services": "ok"}
        return Reply(200, body)

    return handler


def _operation(method: str, path: str, name: str, handler: Handler) -> Operation:
    return Operation(method, path, name, _answered(handler), writes=method != "GET")


def _platform_operations() -> list[Operation]:
    accounts, one = f"{PLATFORM}/accounts", f"{PLATFORM}/accounts/{{account_id:int}}"
    users, user = f"{PLATFORM}/users", f"{PLATFORM}/users/{{id:int}}"
    return [
        _operation("POST", accounts, "platform.accounts.create", platform.create_account),
        _operation("GET", one, "platform.accounts.get", platform.show_account),
        _operation("PATCH", one, "platform.accounts.update", platform.update_account),
        _operation("DELETE", one, "platform.accounts.delete", platform.delete_account),
        _operation("GET", f"{one}/account_users", "platform.account_users.list", platform.list_members),
        _operation("POST", f"{one}/account_users", "platform.account_users.create", platform.put_member),
        _operation("DELETE", f"{one}/account_users", "platform.account_users.delete", platform.remove_member),
        _operation("POST", users, "platform.users.create", platform.create_user),
        _operation("GET", user, "platform.users.get", platform.show_user),
        _operation("PATCH", user, "platform.users.update", platform.update_user),
        _operation("DELETE", user, "platform.users.delete", platform.delete_user),
        _operation("GET", f"{user}/login", "platform.users.login", platform.login_link),
    ]


def _account_operations(version: str) -> list[Operation]:
    inbox, agent, webhook = (
        f"{ACCOUNT}/inboxes/{{id:int}}",
        f"{ACCOUNT}/agents/{{id:int}}",
        f"{ACCOUNT}/webhooks/{{id:int}}",
    )
    return [
        _operation("GET", "/api/v1/profile", "profile.get", account.profile),
        _operation("GET", ACCOUNT, "accounts.get", account.show_account(version)),
        _operation("PATCH", ACCOUNT, "accounts.update", account.update_account(version)),
        _operation("GET", f"{ACCOUNT}/inboxes", "inboxes.list", account.list_inboxes),
        _operation("POST", f"{ACCOUNT}/inboxes", "inboxes.create", account.create_inbox),
        _operation("GET", inbox, "inboxes.get", account.show_inbox),
        _operation("PATCH", inbox, "inboxes.update", account.update_inbox),
        _operation("DELETE", inbox, "inboxes.delete", account.delete_inbox),
        # the published description writes these two with a slash at the end; Rails takes both
        _operation("POST", f"{ACCOUNT}/inboxes/", "inboxes.create", account.create_inbox),
        _operation("GET", f"{inbox}/", "inboxes.get", account.show_inbox),
        *_talk_operations(),
        _operation("GET", f"{REPORTS}/summary", "reports.summary", reports.summary),
        _operation("GET", f"{ACCOUNT}/agents", "agents.list", account.list_agents),
        _operation("POST", f"{ACCOUNT}/agents", "agents.create", account.create_agent),
        _operation("PATCH", agent, "agents.update", account.update_agent),
        _operation("DELETE", agent, "agents.delete", account.delete_agent),
        _operation("GET", f"{ACCOUNT}/webhooks", "webhooks.list", account.list_webhooks),
        _operation("POST", f"{ACCOUNT}/webhooks", "webhooks.create", account.create_webhook),
        _operation("PATCH", webhook, "webhooks.update", account.update_webhook),
        _operation("DELETE", webhook, "webhooks.delete", account.delete_webhook),
    ]


def _talk_operations() -> list[Operation]:
    contacts, conversations = f"{ACCOUNT}/contacts", f"{ACCOUNT}/conversations"
    messages = f"{conversations}/{{id:int}}/messages"
    return [
        _operation("GET", contacts, "contacts.list", talk.list_contacts),
        _operation("GET", f"{contacts}/search", "contacts.search", talk.search_contacts),
        _operation("POST", contacts, "contacts.create", talk.create_contact),
        _operation("GET", conversations, "conversations.list", talk.list_conversations),
        _operation("POST", conversations, "conversations.create", talk.create_conversation),
        _operation("POST", f"{conversations}/{{id:int}}/toggle_status", "conversations.status", talk.toggle_status),
        _operation("GET", messages, "messages.list", talk.list_messages),
        _operation("POST", messages, "messages.create", talk.create_message),
    ]


def _since_4() -> list[Operation]:
    users = f"{PLATFORM}/users/{{id:int}}"
    return [
        _operation("GET", f"{PLATFORM}/accounts", "platform.accounts.list", platform.list_accounts),
        _operation("POST", f"{users}/token", "platform.users.token", platform.user_token),
        _operation("GET", "/health", "health", lambda _call: Reply(200, {"status": "woot"})),
    ]


def seed(db: sqlite3.Connection) -> None:
    """The operator's own account and super admin, made on the server: no platform token sees them."""
    if db.execute("SELECT 1 FROM chatwoot_account LIMIT 1").fetchone():
        return
    now, email = time.time(), "operator@smarteros.example.com"
    db.execute(
        "INSERT INTO chatwoot_account (name, locale, status, features, limits, custom_attributes, created_at)"
        " VALUES ('SmarterOS', 'es', 'active', ?, '{}', '{}', ?)",
        (json.dumps(dict(FEATURES)), now),
    )
    db.execute(
        "INSERT INTO chatwoot_user (name, email, password, access_token, pubsub_token, custom_attributes, created_at)"
        " VALUES ('Operator', ?, '', ?, ?, '{}', ?)",
        (email, new_token(), new_token(), now),
    )
    db.execute(
        "INSERT INTO chatwoot_member (account_id, user_id, role, availability, auto_offline, created_at, updated_at)"
        " VALUES (1, 1, 'administrator', 'online', 1, ?1, ?1)",
        (now,),
    )


def provider(version: str = DEFAULT_VERSION) -> Provider:
    """Chatwoot in a version; 4.x and newer have a few calls more."""
    major = version.partition(".")[0]
    newer = major.isdigit() and int(major) >= 4
    return Provider(
        name="chatwoot",
        base="/chatwoot",
        schema=SCHEMA,
        operations=(
            _operation("GET", "/api", "health", _health(version)),
            *_platform_operations(),
            *_account_operations(version),
            *(_since_4() if newer else []),
        ),
        authenticate=authenticate,
        seed=seed,
        fault_reply=fault_reply,
        throttle=Throttle(requests=3000, seconds=60.0),
    )


PROVIDER = provider(os.environ.get("SMOS_SANDBOX_CHATWOOT_VERSION") or DEFAULT_VERSION)
