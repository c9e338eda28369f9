# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Chatwoot's account API with a user's personal token: profile, account, inboxes, agents, webhooks."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from smos.sandbox import chatwoot_store as store
from smos.sandbox import chatwoot_whatsapp
from smos.sandbox.chatwoot_platform import token_of
from smos.sandbox.chatwoot_store import Row
from smos.sandbox.provider import Call, Reply

LIMITED = "sandbox-chatwoot-limited"
# Names of website and API inboxes: no symbol at either end, none of / \ < > @ inside.
_INBOX_NAME = re.compile(r"^\b[^/\\<>@]*\b$", re.MULTILINE)
_HTTP_URL = re.compile(r"https?://[^\s/]+\S*")
SUBSCRIPTIONS = (
    "conversation_status_changed",
    "conversation_updated",
    "conversation_created",
    "contact_created",
    "contact_updated",
    "message_created",
    "message_updated",
    "webwidget_triggered",
)
_INBOX_DEFAULTS: Mapping[str, Any] = {
    "greeting_enabled": False,
    "greeting_message": "",
    "working_hours_enabled": False,
    "enable_email_collect": True,
    "csat_survey_enabled": False,
    "enable_auto_assignment": True,
    "auto_assignment_config": {},
    "out_of_office_message": None,
    "timezone": "UTC",
    "allow_messages_after_resolved": True,
    "lock_to_single_conversation": False,
    "sender_name_type": "friendly",
    "business_name": None,
}
_WIDGET_DEFAULTS: Mapping[str, Any] = {
    "widget_color": "#1f93ff",
    "welcome_title": "",
    "welcome_tagline": "",
    "hmac_mandatory": False,
    "selected_feature_flags": ["attachments", "emoji_picker", "end_conversation"],
    "reply_time": "in_a_few_minutes",
    "pre_chat_form_enabled": False,
    "pre_chat_form_options": {},
    "continuity_via_email": True,
}


_EDITABLE: Mapping[str, tuple[str, ...]] = {
    "web_widget": ("website_url", *_WIDGET_DEFAULTS),
    "api": ("webhook_url", "hmac_mandatory"),
    "whatsapp": ("provider", "provider_config"),
}


# -- who calls ---------------------------------------------------------------------------------------------------


def caller(call: Call) -> Row | None:
    """The user behind the token of a request; the token that lacks the platform's rights is the first user's own."""
    if token_of(call) == LIMITED:
        found: Row | None = call.db.execute("SELECT * FROM chatwoot_user ORDER BY id LIMIT 1").fetchone()
        return found
    row: Row | None = call.db.execute(
        "SELECT * FROM chatwoot_user WHERE access_token = ?", (token_of(call),)
    ).fetchone()
    return row


def _member(call: Call, *, administrator: bool = True) -> tuple[Row, Row]:
    """The account of the path and the calling user, who must be a member (and an administrator) of it."""
    account, user = store.account(call.db, call.params["account_id"]), caller(call)
    if account["status"] != "active":
        raise store.unauthorized("Account is suspended")
    membership = store.member(call.db, account["id"], user["id"]) if user else None
    if user is None or membership is None:
        raise store.unauthorized("You are not authorized to access this account")
    if administrator and membership["role"] != "administrator":
        raise store.unauthorized("You are not authorized to do this action")
    return account, user


def entitled(call: Call, *, administrator: bool = True) -> Row:
    """The account of the path, whose member (or administrator) the caller must be."""
    return _member(call, administrator=administrator)[0]


def profile(call: Call) -> Reply:
    """The calling user with all accounts he is a member of, suspended ones included."""
    user = caller(call)
    if user is None:
        raise store.unauthorized("Invalid Access Token")
    return Reply(200, store.shown_user(call.db, user))


# -- account -----------------------------------------------------------------------------------------------------


def show_account(version: str) -> Any:
    """The handler for a server of this version."""

    def handler(call: Call) -> Reply:
        return Reply(200, store.shown_account(_member(call, administrator=False)[0], version))

    return handler


def update_account(version: str) -> Any:
    """The handler for a server of this version: name, locale, domain and support address."""

    def handler(call: Call) -> Reply:
        account, _user = _member(call)
        given = store.fields(call)
        columns = {
            name: store.text(given[name]) for name in ("name", "locale", "domain", "support_email") if name in given
        }
        if "name" in columns and not (columns["name"] or "").strip():
            raise store.invalid("Name can't be blank", "name")
        if columns.get("locale", "en") not in store.LOCALES:
            raise store.crash()
        for name, value in columns.items():
            call.db.execute(f"UPDATE chatwoot_account SET {name} = ? WHERE id = ?", (value, account["id"]))
        return Reply(200, store.shown_account(store.account(call.db, account["id"]), version))

    return handler


# -- inboxes -----------------------------------------------------------------------------------------------------


def list_inboxes(call: Call) -> Reply:
    """All inboxes by name; no pages. Agents see them all too, unlike in Chatwoot, where they see their own."""
    account, _user = _member(call, administrator=False)
    rows = call.db.execute(
        "SELECT * FROM chatwoot_inbox WHERE account_id = ? ORDER BY lower(name), id", (account["id"],)
    )
    return Reply(200, {"payload": [_shown_inbox(call, row) for row in rows]})


def show_inbox(call: Call) -> Reply:
    account, _user = _member(call, administrator=False)
    return Reply(200, _shown_inbox(call, _inbox(call, account)))


def create_inbox(call: Call) -> Reply:
    """A website widget, an API channel, or a WhatsApp number, for which Chatwoot asks Meta first."""
    account, _user = _member(call)
    given = store.fields(call)
    channel = given.get("channel")
    if not isinstance(channel, dict):
        raise store.crash()
    settings = {**_INBOX_DEFAULTS, **_known(given, _INBOX_DEFAULTS), **_channel(call, channel)}
    name = _inbox_name(given.get("name"))
    cursor = call.db.execute(
        "INSERT INTO chatwoot_inbox (account_id, name, channel, settings) VALUES (?, ?, ?, ?)",
        (account["id"], name, channel["type"], json.dumps(settings)),
    )
    return Reply(200, _shown_inbox(call, _by_id(call, "inbox", account, cursor.lastrowid)))


def update_inbox(call: Call) -> Reply:
    """Change what is given, the channel's own settings too; the channel's type stays."""
    account, _user = _member(call)
    row, given = _inbox(call, account), store.fields(call)
    settings = json.loads(row["settings"])
    settings.update(_known(given, _INBOX_DEFAULTS))
    changes = _known(store.mapping(given.get("channel")), _EDITABLE[row["channel"]])
    settings.update(changes)
    if "provider_config" in changes:
        chatwoot_whatsapp.check(settings)
    name = _inbox_name(given["name"]) if "name" in given else row["name"]
    call.db.execute(
        "UPDATE chatwoot_inbox SET name = ?, settings = ? WHERE id = ?", (name, json.dumps(settings), row["id"])
    )
    return Reply(200, _shown_inbox(call, _inbox(call, account)))


def delete_inbox(call: Call) -> Reply:
    """Chatwoot deletes in the background; here it is gone with the answer."""
    account, _user = _member(call)
    call.db.execute("DELETE FROM chatwoot_inbox WHERE id = ?", (_inbox(call, account)["id"],))
    return Reply(200, {"message": "Your inbox deletion request will be processed in some time."})


def _inbox(call: Call, account: Row) -> Row:
    return _by_id(call, "inbox", account, call.params["id"])


def _by_id(call: Call, table: str, account: Row, record_id: Any) -> Row:
    row: Row | None = call.db.execute(
        f"SELECT * FROM chatwoot_{table} WHERE id = ? AND account_id = ?", (store.number(record_id), account["id"])
    ).fetchone()
    if row is None:
        raise store.not_found()
    return row


def _known(given: Mapping[str, Any], names: Any) -> dict[str, Any]:
    return {name: given[name] for name in names if name in given}


def _inbox_name(value: Any) -> str:
    name = store.text(value) or ""
    if not name.strip():
        raise store.invalid("Name can't be blank", "name")
    if not _INBOX_NAME.search(name):
        raise store.invalid(
            "Name should not start or end with symbols, and it should not have < > / \\ @ characters.", "name"
        )
    return name


def _channel(call: Call, channel: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that the channel brings, with its tokens."""
    if channel.get("type") == "web_widget":
        if not channel.get("website_url"):
            raise store.invalid("Website url can't be blank", "website_url")
        own = _known(channel, ("website_url", *_WIDGET_DEFAULTS))
        return {**_WIDGET_DEFAULTS, **own, "website_token": store.new_token(), "hmac_token": store.new_token()}
    if channel.get("type") == "api":
        own = _known(channel, ("webhook_url", "hmac_mandatory", "additional_attributes"))
        tokens = {"inbox_identifier": store.new_token(), "hmac_token": store.new_token()}
        return {"webhook_url": "", "hmac_mandatory": False, "additional_attributes": {}, **own, **tokens}
    if channel.get("type") == "whatsapp":
        return chatwoot_whatsapp.channel(call, channel)
    raise store.invalid("Channel must exist", "channel")


def _shown_inbox(call: Call, row: Row) -> dict[str, Any]:
    settings = json.loads(row["settings"])
    shown = {
        "id": row["id"],
        "avatar_url": "",
        "channel_id": row["id"],
        "name": row["name"],
        "channel_type": store.CHANNELS[row["channel"]],
        "callback_webhook_url": None,
        "provider": None,
        "working_hours": _WORKING_HOURS,
        **settings,
    }
    if row["channel"] == "web_widget":
        shown["web_widget_script"] = _script(call.base_url, settings["website_token"])
    return shown


_WORKING_HOURS = [
    {
        "day_of_week": day,
        "closed_all_day": day in (0, 6),
        "open_hour": None if day in (0, 6) else 9,
        "open_minutes": None if day in (0, 6) else 0,
        "close_hour": None if day in (0, 6) else 17,
        "close_minutes": None if day in (0, 6) else 0,
        "open_all_day": False,
    }
    for day in range(7)
]


def _script(base_url: str, token: str) -> str:
    """What a shop pastes into its pages."""
    return (
        f'\n<script>\n  (function(d) {{ var s = d.createElement("script"); s.src = "{base_url}/packs/js/sdk.js";\n'
        f'    s.onload = function() {{ window.chatwootSDK.run({{websiteToken: "{token}", baseUrl: "{base_url}"}}) }};\n'
        "    d.head.appendChild(s); })(document);\n</script>\n"
    )


# -- agents ------------------------------------------------------------------------------------------------------

_AGENTS = "SELECT u.*, m.role, m.availability, m.auto_offline, m.account_id FROM chatwoot_member m JOIN chatwoot_user u"


def list_agents(call: Call) -> Reply:
    account, _user = _member(call, administrator=False)
    rows = call.db.execute(
        f"{_AGENTS} ON u.id = m.user_id WHERE m.account_id = ? ORDER BY lower(u.name)", (account["id"],)
    )
    return Reply(200, [_shown_agent(row) for row in rows])


def create_agent(call: Call) -> Reply:
    """Invite somebody; a user with that e-mail is taken as he is. A member already: 422."""
    account, inviter = _member(call)
    given = store.fields(call, "agent")
    known = store.user_by_email(call.db, store.text(given.get("email")))
    if known and store.member(call.db, account["id"], known["id"]):
        raise store.invalid("User has already been taken", "user_id")
    user_id = known["id"] if known else store.add_user(call, {**given, "password": f"1!aA{store.new_token()}"})
    values = {**_known(given, ("role", "availability", "auto_offline")), "inviter_id": inviter["id"]}
    store.put_member(call, account["id"], user_id, values)
    return Reply(200, _shown_agent(_agent(call, account, user_id)))


def update_agent(call: Call) -> Reply:
    account, _user = _member(call)
    agent, given = _agent(call, account, call.params["id"]), store.fields(call, "agent")
    if store.text(given.get("name")):
        call.db.execute("UPDATE chatwoot_user SET name = ? WHERE id = ?", (store.text(given["name"]), agent["id"]))
    store.put_member(call, account["id"], agent["id"], _known(given, ("role", "availability", "auto_offline")))
    return Reply(200, _shown_agent(_agent(call, account, agent["id"])))


def delete_agent(call: Call) -> Reply:
    """Take an agent out; a user who is then in no account at all is deleted."""
    account, _user = _member(call)
    agent = _agent(call, account, call.params["id"])
    call.db.execute("DELETE FROM chatwoot_member WHERE account_id = ? AND user_id = ?", (account["id"], agent["id"]))
    if call.db.execute("SELECT 1 FROM chatwoot_member WHERE user_id = ?", (agent["id"],)).fetchone() is None:
        store.remove_user(call.db, agent["id"])
    return Reply(200)


def _agent(call: Call, account: Row, user_id: Any) -> Row:
    row: Row | None = call.db.execute(
        f"{_AGENTS} ON u.id = m.user_id WHERE m.account_id = ? AND m.user_id = ?",
        (account["id"], store.number(user_id)),
    ).fetchone()
    if row is None:
        raise store.not_found()
    return row


def _shown_agent(row: Row) -> dict[str, Any]:
    shown = {
        "id": row["id"],
        "account_id": row["account_id"],
        "availability_status": "offline",  # derived from presence: nobody has the sandbox open
        "auto_offline": bool(row["auto_offline"]),
        "confirmed": True,
        "email": row["email"],
        "available_name": row["display_name"] or row["name"],
        "name": row["name"],
        "role": row["role"],
        "thumbnail": "",
    }
    attributes = json.loads(row["custom_attributes"])
    return {**shown, "custom_attributes": attributes} if attributes else shown


# -- webhooks ----------------------------------------------------------------------------------------------------


def list_webhooks(call: Call) -> Reply:
    account, _user = _member(call)
    rows = call.db.execute("SELECT * FROM chatwoot_webhook WHERE account_id = ? ORDER BY id", (account["id"],))
    return Reply(200, {"payload": {"webhooks": [_shown_webhook(row) for row in rows]}})


def create_webhook(call: Call) -> Reply:
    """A webhook of the account; its address is unique there."""
    account, _user = _member(call)
    given = store.fields(call, "webhook")
    url, events = _webhook_values(call, account, 0, {"subscriptions": list(SUBSCRIPTIONS), **given})
    cursor = call.db.execute(
        "INSERT INTO chatwoot_webhook (account_id, url, name, inbox_id, subscriptions) VALUES (?, ?, ?, ?, ?)",
        (
            account["id"],
            url,
            store.text(given.get("name")),
            store.number(given.get("inbox_id")) or None,
            json.dumps(events),
        ),
    )
    row = _by_id(call, "webhook", account, cursor.lastrowid)
    return Reply(200, {"payload": {"webhook": _shown_webhook(row)}})


def update_webhook(call: Call) -> Reply:
    account, _user = _member(call)
    row, given = _by_id(call, "webhook", account, call.params["id"]), store.fields(call, "webhook")
    before = {"url": row["url"], "subscriptions": json.loads(row["subscriptions"]), "name": row["name"]}
    url, events = _webhook_values(call, account, row["id"], {**before, **given})
    call.db.execute(
        "UPDATE chatwoot_webhook SET url = ?, subscriptions = ?, name = ? WHERE id = ?",
        (url, json.dumps(events), store.text({**before, **given}["name"]), row["id"]),
    )
    return Reply(200, {"payload": {"webhook": _shown_webhook(_by_id(call, "webhook", account, row["id"]))}})


def delete_webhook(call: Call) -> Reply:
    account, _user = _member(call)
    call.db.execute(
        "DELETE FROM chatwoot_webhook WHERE id = ?", (_by_id(call, "webhook", account, call.params["id"])["id"],)
    )
    return Reply(200)


def _webhook_values(call: Call, account: Row, own_id: int, given: Mapping[str, Any]) -> tuple[str, list[str]]:
    url, events = store.text(given.get("url")) or "", given.get("subscriptions")
    if not _HTTP_URL.fullmatch(url):
        raise store.invalid("Url is invalid", "url")
    sql = "SELECT id FROM chatwoot_webhook WHERE account_id = ? AND url = ? AND id != ?"
    if call.db.execute(sql, (account["id"], url, own_id)).fetchone():
        raise store.invalid("Url has already been taken", "url")
    if not isinstance(events, list) or not events or not set(map(str, events)) <= set(SUBSCRIPTIONS):
        raise store.invalid("Subscriptions Invalid events", "subscriptions")
    return url, events


def _shown_webhook(row: Row) -> dict[str, Any]:
    shown = {
        "id": row["id"],
        "url": row["url"],
        "account_id": row["account_id"],
        "subscriptions": json.loads(row["subscriptions"]),
    }
    return {**shown, "name": row["name"]} if row["name"] else shown
