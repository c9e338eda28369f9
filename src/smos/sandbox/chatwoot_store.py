# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What Chatwoot keeps, and how its answers show it: accounts, users, memberships, inboxes, webhooks, talk.

Where the real server answers ``null`` against its own published schema (a user without an account has no ``account_id``
and no ``role``), the key is left out here.
"""

from __future__ import annotations

import json
import re
import secrets
import sqlite3
import time
from collections.abc import Mapping
from typing import Any

from smos.sandbox.passwords import hashed
from smos.sandbox.provider import Call

Row = Mapping[str, Any]

SCHEMA = """
CREATE TABLE IF NOT EXISTS chatwoot_account (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, locale TEXT NOT NULL, domain TEXT, support_email TEXT,
    status TEXT NOT NULL, features TEXT NOT NULL, limits TEXT NOT NULL, custom_attributes TEXT NOT NULL,
    created_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS chatwoot_user (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, display_name TEXT, email TEXT NOT NULL UNIQUE,
    password TEXT NOT NULL, access_token TEXT NOT NULL UNIQUE, pubsub_token TEXT NOT NULL,
    custom_attributes TEXT NOT NULL, created_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS chatwoot_member (
    id INTEGER PRIMARY KEY AUTOINCREMENT, account_id INTEGER NOT NULL, user_id INTEGER NOT NULL, role TEXT NOT NULL,
    inviter_id INTEGER, availability TEXT NOT NULL, auto_offline INTEGER NOT NULL, created_at REAL NOT NULL,
    updated_at REAL NOT NULL, UNIQUE (account_id, user_id));
CREATE INDEX IF NOT EXISTS chatwoot_member_user ON chatwoot_member (user_id);
CREATE TABLE IF NOT EXISTS chatwoot_inbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT, account_id INTEGER NOT NULL, name TEXT NOT NULL, channel TEXT NOT NULL,
    settings TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS chatwoot_inbox_account ON chatwoot_inbox (account_id);
CREATE TABLE IF NOT EXISTS chatwoot_webhook (
    id INTEGER PRIMARY KEY AUTOINCREMENT, account_id INTEGER NOT NULL, url TEXT NOT NULL, name TEXT, inbox_id INTEGER,
    subscriptions TEXT NOT NULL, UNIQUE (account_id, url));
CREATE TABLE IF NOT EXISTS chatwoot_contact (
    id INTEGER PRIMARY KEY AUTOINCREMENT, account_id INTEGER NOT NULL, name TEXT NOT NULL, email TEXT,
    phone_number TEXT, identifier TEXT, custom_attributes TEXT NOT NULL, additional_attributes TEXT NOT NULL,
    created_at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS chatwoot_contact_account ON chatwoot_contact (account_id);
CREATE TABLE IF NOT EXISTS chatwoot_conversation (
    id INTEGER PRIMARY KEY AUTOINCREMENT, account_id INTEGER NOT NULL, display INTEGER NOT NULL,
    inbox_id INTEGER NOT NULL, contact_id INTEGER NOT NULL, status TEXT NOT NULL, custom_attributes TEXT NOT NULL,
    additional_attributes TEXT NOT NULL, created_at REAL NOT NULL, UNIQUE (account_id, display));
CREATE TABLE IF NOT EXISTS chatwoot_message (
    id INTEGER PRIMARY KEY AUTOINCREMENT, conversation_id INTEGER NOT NULL, type INTEGER NOT NULL, content TEXT NOT NULL,
    private INTEGER NOT NULL, content_attributes TEXT NOT NULL, sender TEXT NOT NULL, created_at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS chatwoot_message_conversation ON chatwoot_message (conversation_id);
CREATE TABLE IF NOT EXISTS chatwoot_event (
    id INTEGER PRIMARY KEY AUTOINCREMENT, account_id INTEGER NOT NULL, conversation_id INTEGER NOT NULL,
    name TEXT NOT NULL, value REAL NOT NULL, created_at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS chatwoot_event_account ON chatwoot_event (account_id, created_at);
CREATE TABLE IF NOT EXISTS chatwoot_permission (
    app TEXT NOT NULL, kind TEXT NOT NULL, object_id INTEGER NOT NULL, PRIMARY KEY (app, kind, object_id)) WITHOUT ROWID;
"""

ROLES = ("agent", "administrator")
CHANNELS: Mapping[str, str] = {
    "web_widget": "Channel::WebWidget",
    "api": "Channel::Api",
    "whatsapp": "Channel::Whatsapp",
}
AVAILABILITIES = ("online", "offline", "busy")
_LOCALES = """
    ar az bg ca cs da de el en es et fa fi fr he hi hr hu hy id is it ja ka ko lt lv ml ms ne nl no pl pt pt_BR ro ru
    sh sk sl sq sr sv ta th tl tr uk ur ur_IN vi zh zh_CN zh_TW
"""
_ON = """
    inbound_emails channel_email channel_facebook channel_twitter help_center agent_bots macros agent_management
    team_management inbox_management labels custom_attributes automations canned_responses integrations voice_recorder
    channel_website campaigns reports crm auto_resolve_conversations
"""
_OFF = """
    ip_lookup disable_branding email_continuity_on_api_channel mobile_v2 custom_reply_email custom_reply_domain
    audit_logs response_bot message_reply_to insert_article_in_reply inbox_view sla help_center_embedding_search
    linear_integration captain_integration custom_roles
"""
LOCALES = frozenset(_LOCALES.split())
# Feature name → whether it is on in a new account.
FEATURES: Mapping[str, bool] = {**dict.fromkeys(_ON.split(), True), **dict.fromkeys(_OFF.split(), False)}
# Of an account's custom attributes the account API shows these only; the Platform API shows all.
_SHOWN_ATTRIBUTES = ("plan_name", "subscribed_quantity", "subscription_status", "subscription_ends_on")
_SHOWN_IF_SET = ("industry", "company_size", "timezone", "logo", "onboarding_step")
_SYMBOL = re.compile(r"[^A-Za-z0-9\s]")
_BIGGEST_ID = 2**62


class Problem(Exception):
    """An answer that is no success: an HTTP status and a JSON body."""

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        super().__init__(str(status))
        self.status = status
        self.body = dict(body)


def not_found() -> Problem:
    return Problem(404, {"error": "Resource could not be found"})


def unauthorized(message: str) -> Problem:
    return Problem(401, {"error": message})


def invalid(message: str, *attributes: str) -> Problem:
    """A record that fails its validation."""
    return Problem(422, {"message": message, "attributes": list(attributes)})


def crash() -> Problem:
    """What Rails answers to an exception nobody handles."""
    return Problem(500, {"status": 500, "error": "Internal Server Error"})


def new_token() -> str:
    """24 random characters, as Rails makes them."""
    return secrets.token_hex(12)


def fields(call: Call, wrapper: str = "") -> dict[str, Any]:
    """The parameters of a request: the JSON object, or what it has under the record's name (Rails takes both)."""
    body = call.body if isinstance(call.body, dict) else {}
    inner = body.get(wrapper)
    return dict(inner) if isinstance(inner, dict) else dict(body)


def text(value: Any) -> str | None:
    """A parameter for a text column: numbers become text, lists and objects are not permitted."""
    if value is None or isinstance(value, dict | list):
        return None
    return value if isinstance(value, str) else json.dumps(value)


def mapping(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, dict) else {}


def number(value: Any) -> int:
    """An id from a path, a query or a body; 0, which no record has, for anything else."""
    try:
        found = int(value)
    except (TypeError, ValueError):
        return 0
    return found if 0 < found < _BIGGEST_ID else 0


# -- reading -----------------------------------------------------------------------------------------------------


def account(db: sqlite3.Connection, account_id: Any) -> Row:
    """An account; 404 where there is none."""
    row: Row | None = db.execute("SELECT * FROM chatwoot_account WHERE id = ?", (number(account_id),)).fetchone()
    if row is None:
        raise not_found()
    return row


def user(db: sqlite3.Connection, user_id: Any) -> Row:
    """A user; 404 where there is none."""
    row: Row | None = db.execute("SELECT * FROM chatwoot_user WHERE id = ?", (number(user_id),)).fetchone()
    if row is None:
        raise not_found()
    return row


def user_by_email(db: sqlite3.Connection, email: str | None) -> Row | None:
    """E-mails are kept in lower case."""
    found: Row | None = db.execute(
        "SELECT * FROM chatwoot_user WHERE email = ?", ((email or "").strip().lower(),)
    ).fetchone()
    return found


def member(db: sqlite3.Connection, account_id: int, user_id: int) -> Row | None:
    """A user's membership in an account."""
    found: Row | None = db.execute(
        "SELECT * FROM chatwoot_member WHERE account_id = ? AND user_id = ?", (account_id, user_id)
    ).fetchone()
    return found


# -- writing -----------------------------------------------------------------------------------------------------


def add_user(call: Call, values: Mapping[str, Any]) -> int:
    """A new, confirmed user from ``name``, ``email``, ``password``, …; gives the id."""
    email = (text(values.get("email")) or "").strip().lower()
    check_email(email)
    password = text(values.get("password")) or ""
    check_password(password)
    cursor = call.db.execute(
        "INSERT INTO chatwoot_user (name, display_name, email, password, access_token, pubsub_token, custom_attributes,"
        " created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            text(values.get("name")) or "",
            text(values.get("display_name")),
            email,
            hashed(password),
            new_token(),
            new_token(),
            json.dumps(mapping(values.get("custom_attributes"))),
            call.now,
        ),
    )
    return int(cursor.lastrowid or 0)


def check_email(email: str) -> None:
    """A plausible address."""
    if not email:
        raise invalid("Email can't be blank", "email")
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", email):
        raise invalid("Email is not an email", "email")


def check_password(password: str) -> None:
    """6 to 128 characters with an upper-case and a lower-case letter, a digit and a symbol."""
    wrong = [
        complaint
        for broken, complaint in (
            (not password, "Password can't be blank"),
            (0 < len(password) < 6, "Password is too short (minimum is 6 characters)"),
            (len(password) > 128, "Password is too long (maximum is 128 characters)"),
            (not re.search(r"[A-Z]", password), "Password must contain at least 1 uppercase character (A-Z)"),
            (not re.search(r"[a-z]", password), "Password must contain at least 1 lowercase character (a-z)"),
            (not re.search(r"\d", password), "Password must contain at least 1 number (0-9)"),
            (not _SYMBOL.search(password), "Password must contain at least 1 special character"),
        )
        if broken
    ]
    if wrong:
        raise invalid(", ".join(wrong), "password")


def put_member(call: Call, account_id: int, user_id: int, values: Mapping[str, Any]) -> Row:
    """Make a user a member of an account, or change what he is there; unknown roles make Chatwoot crash."""
    old = member(call.db, account_id, user_id)
    role = values.get("role") or (old["role"] if old else "agent")
    availability = values.get("availability") or (old["availability"] if old else "online")
    if role not in ROLES or availability not in AVAILABILITIES:
        raise crash()
    offline = values.get("auto_offline", bool(old["auto_offline"]) if old else True)
    call.db.execute(
        "INSERT INTO chatwoot_member (account_id, user_id, role, inviter_id, availability, auto_offline, created_at,"
        " updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7) ON CONFLICT (account_id, user_id) DO UPDATE SET"
        " role = ?3, availability = ?5, auto_offline = ?6, updated_at = ?7",
        (account_id, user_id, role, values.get("inviter_id"), availability, int(bool(offline)), call.now),
    )
    return member(call.db, account_id, user_id) or {}


def remove_user(db: sqlite3.Connection, user_id: int) -> None:
    """Delete a user and his memberships (Chatwoot does it in a background job; here it is done at once)."""
    db.execute("DELETE FROM chatwoot_member WHERE user_id = ?", (user_id,))
    db.execute("DELETE FROM chatwoot_user WHERE id = ?", (user_id,))
    forget_permissions(db, "user", user_id)


def forget_permissions(db: sqlite3.Connection, kind: str, object_id: int) -> None:
    """What is gone can be seen by nobody."""
    db.execute("DELETE FROM chatwoot_permission WHERE kind = ? AND object_id = ?", (kind, object_id))


# -- what the answers show ---------------------------------------------------------------------------------------


def iso(at: float) -> str:
    """A time as Rails writes it in JSON."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{int(at * 1000) % 1000:03d}Z"


def enabled(row: Row) -> dict[str, bool]:
    """The features of an account that are on."""
    return {name: True for name, on in json.loads(row["features"]).items() if on}


def shown_platform_account(row: Row) -> dict[str, Any]:
    """An account as the Platform API shows it."""
    return {
        "id": row["id"],
        "name": row["name"],
        "locale": row["locale"],
        "domain": row["domain"],
        "support_email": row["support_email"],
        "enabled_features": enabled(row),
        "custom_attributes": json.loads(row["custom_attributes"]),
        "limits": json.loads(row["limits"]),
        "status": row["status"],
    }


def shown_account(row: Row, version: str) -> dict[str, Any]:
    """An account as its members see it; of the custom attributes only those that Chatwoot itself uses."""
    shown: dict[str, Any] = {
        "id": row["id"],
        "name": row["name"],
        "locale": row["locale"],
        "status": row["status"],
        "created_at": iso(row["created_at"]),
        "features": enabled(row),
        "settings": {},
        "cache_keys": {"label": "0000000000", "inbox": "0000000000", "team": "0000000000"},
        "latest_chatwoot_version": version,
    }
    shown.update({name: row[name] for name in ("domain", "support_email") if row[name] is not None})
    attributes = json.loads(row["custom_attributes"])
    if attributes:
        shown["custom_attributes"] = {name: attributes.get(name) for name in _SHOWN_ATTRIBUTES}
        shown["custom_attributes"].update({name: attributes[name] for name in _SHOWN_IF_SET if attributes.get(name)})
    return shown


def shown_user(db: sqlite3.Connection, row: Row) -> dict[str, Any]:
    """A user with the accounts he is a member of, his personal access token included."""
    memberships = db.execute(
        "SELECT m.*, a.name, a.status FROM chatwoot_member m JOIN chatwoot_account a ON a.id = m.account_id"
        " WHERE m.user_id = ? ORDER BY m.id",
        (row["id"],),
    ).fetchall()
    shown: dict[str, Any] = {
        "id": row["id"],
        "access_token": row["access_token"],
        "available_name": row["display_name"] or row["name"],
        "avatar_url": "",
        "confirmed": True,
        "display_name": row["display_name"] or "",
        "email": row["email"],
        "message_signature": None,
        "name": row["name"],
        "provider": "email",
        "pubsub_token": row["pubsub_token"],
        "type": None,
        "ui_settings": {},
        "uid": row["email"],
        "accounts": [_shown_membership(one) for one in memberships],
    }
    if memberships:
        first = memberships[0]
        shown.update(account_id=first["account_id"], role=first["role"], inviter_id=first["inviter_id"])
    attributes = json.loads(row["custom_attributes"])
    if attributes:
        shown["custom_attributes"] = attributes
    return shown


def _shown_membership(row: Row) -> dict[str, Any]:
    return {
        "id": row["account_id"],
        "name": row["name"],
        "status": row["status"],
        "active_at": None,
        "role": row["role"],
        "permissions": [row["role"]],
        "availability": row["availability"],
        "availability_status": row["availability"],
        "auto_offline": bool(row["auto_offline"]),
    }


def shown_member(row: Row) -> dict[str, Any]:
    """A membership as the Platform API shows it."""
    return {
        "id": row["id"],
        "account_id": row["account_id"],
        "user_id": row["user_id"],
        "role": row["role"],
        "inviter_id": row["inviter_id"],
        "active_at": None,
        "availability": row["availability"],
        "auto_offline": bool(row["auto_offline"]),
        "created_at": iso(row["created_at"]),
        "updated_at": iso(row["updated_at"]),
    }
