# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Chatwoot's contacts, conversations and messages, as far as keeping them and bringing them back needs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from smos.sandbox import chatwoot_reports
from smos.sandbox import chatwoot_store as store
from smos.sandbox.chatwoot_account import caller, entitled
from smos.sandbox.chatwoot_store import Row
from smos.sandbox.provider import Call, Reply

CONTACTS_PAGE, CONVERSATIONS_PAGE, MESSAGES_PAGE = 15, 25, 20
STATUSES = ("open", "resolved", "pending", "snoozed")
TYPES = ("incoming", "outgoing", "activity", "template")
_PHONE = re.compile(r"\+[1-9]\d{1,14}")


# -- contacts ----------------------------------------------------------------------------------------------------


def list_contacts(call: Call) -> Reply:
    """Contacts by name; Chatwoot leaves out those that nobody knows anything of."""
    account = entitled(call, administrator=False)
    return _contacts_page(call, account, "", [])


def search_contacts(call: Call) -> Reply:
    """Contacts with a text in name, address, number or identifier."""
    account = entitled(call, administrator=False)
    text = call.query.get("q", "")
    if not text:
        raise store.Problem(422, {"error": "Specify search string with parameter q"})
    like = f"%{text}%"
    sql = " AND (name LIKE ? OR email LIKE ? OR phone_number LIKE ? OR identifier LIKE ?)"
    return _contacts_page(call, account, sql, [like] * 4)


def _contacts_page(call: Call, account: Row, condition: str, values: list[str]) -> Reply:
    page = max(store.number(call.query.get("page", "1")), 1)
    where = (
        "FROM chatwoot_contact WHERE account_id = ?"
        f" AND (email IS NOT NULL OR phone_number IS NOT NULL OR identifier IS NOT NULL){condition}"
    )
    count = call.db.execute(f"SELECT count(*) {where}", (account["id"], *values)).fetchone()[0]
    rows = call.db.execute(
        f"SELECT * {where} ORDER BY lower(name), id LIMIT ? OFFSET ?",
        (account["id"], *values, CONTACTS_PAGE, (page - 1) * CONTACTS_PAGE),
    )
    meta = {"count": count, "current_page": str(page)}
    return Reply(200, {"meta": meta, "payload": [_shown_contact(row) for row in rows]})


def create_contact(call: Call) -> Reply:
    """A new contact; address, number and identifier are unique in an account."""
    account, given = entitled(call), store.fields(call, "contact")
    values = {name: store.text(given.get(name)) or None for name in ("name", "email", "phone_number", "identifier")}
    values["email"] = values["email"].lower() if values["email"] else None
    if values["phone_number"] and not _PHONE.fullmatch(values["phone_number"]):
        raise store.invalid("Phone number should be in e164 format", "phone_number")
    for name in ("email", "phone_number", "identifier"):
        sql = f"SELECT 1 FROM chatwoot_contact WHERE account_id = ? AND {name} = ?"
        if values[name] and call.db.execute(sql, (account["id"], values[name])).fetchone():
            raise store.invalid(f"{name.replace('_', ' ').capitalize()} has already been taken", name)
    extra = [json.dumps(store.mapping(given.get(name))) for name in ("custom_attributes", "additional_attributes")]
    cursor = call.db.execute(
        "INSERT INTO chatwoot_contact (account_id, name, email, phone_number, identifier, custom_attributes,"
        " additional_attributes, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            account["id"],
            values["name"] or "",
            *(values[name] for name in ("email", "phone_number", "identifier")),
            *extra,
            call.now,
        ),
    )
    contact = _contact(call, account, cursor.lastrowid)
    inbox = _inbox_of(call, account, given.get("inbox_id")) if given.get("inbox_id") else None
    source = {} if inbox is None else {"source_id": store.new_token(), "inbox": {"id": inbox["id"]}}
    return Reply(200, {"payload": {"contact": _shown_contact(contact), "contact_inbox": source}})


def _contact(call: Call, account: Row, number: Any) -> Row:
    row: Row | None = call.db.execute(
        "SELECT * FROM chatwoot_contact WHERE account_id = ? AND id = ?", (account["id"], store.number(number))
    ).fetchone()
    if row is None:
        raise store.not_found()
    return row


def _shown_contact(row: Row) -> dict[str, Any]:
    return {
        "additional_attributes": json.loads(row["additional_attributes"]),
        "availability_status": "offline",
        "email": row["email"],
        "id": row["id"],
        "name": row["name"],
        "phone_number": row["phone_number"],
        "blocked": False,
        "identifier": row["identifier"],
        "thumbnail": "",
        "custom_attributes": json.loads(row["custom_attributes"]),
        "created_at": int(row["created_at"]),
        "contact_inboxes": [],
    }


def _inbox_of(call: Call, account: Row, number: Any) -> Row:
    row: Row | None = call.db.execute(
        "SELECT * FROM chatwoot_inbox WHERE account_id = ? AND id = ?", (account["id"], store.number(number))
    ).fetchone()
    if row is None:
        raise store.not_found()
    return row


# -- conversations -----------------------------------------------------------------------------------------------


def list_conversations(call: Call) -> Reply:
    """Conversations with the newest first; only the open ones unless a status is asked for."""
    account = entitled(call, administrator=False)
    page, status = max(store.number(call.query.get("page", "1")), 1), call.query.get("status", "open")
    inbox = store.number(call.query.get("inbox_id", "0"))
    where = "FROM chatwoot_conversation WHERE account_id = ? AND (? = 'all' OR status = ?) AND (? = 0 OR inbox_id = ?)"
    values = (account["id"], status, status, inbox, inbox)
    count = call.db.execute(f"SELECT count(*) {where}", values).fetchone()[0]
    rows = call.db.execute(
        f"SELECT * {where} ORDER BY display DESC LIMIT ? OFFSET ?",
        (*values, CONVERSATIONS_PAGE, (page - 1) * CONVERSATIONS_PAGE),
    ).fetchall()
    meta = {"mine_count": 0, "assigned_count": 0, "unassigned_count": count, "all_count": count}
    return Reply(200, {"data": {"meta": meta, "payload": [_shown_conversation(call, account, row) for row in rows]}})


def create_conversation(call: Call) -> Reply:
    """A new conversation of a contact in an inbox; its number counts within the account."""
    account, given = entitled(call), store.fields(call)
    inbox, contact = _inbox_of(call, account, given.get("inbox_id")), _contact(call, account, given.get("contact_id"))
    status = given.get("status") or "open"
    if status not in STATUSES:
        raise store.crash()
    sql = "SELECT coalesce(max(display), 0) + 1 FROM chatwoot_conversation WHERE account_id = ?"
    display = int(call.db.execute(sql, (account["id"],)).fetchone()[0])
    extra = [json.dumps(store.mapping(given.get(name))) for name in ("custom_attributes", "additional_attributes")]
    call.db.execute(
        "INSERT INTO chatwoot_conversation (account_id, display, inbox_id, contact_id, status, custom_attributes,"
        " additional_attributes, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (account["id"], display, inbox["id"], contact["id"], status, *extra, call.now),
    )
    return Reply(200, _shown_conversation(call, account, _conversation(call, account, display)))


def toggle_status(call: Call) -> Reply:
    """Give a conversation a status, or the other one of open and resolved."""
    account, given = entitled(call, administrator=False), store.fields(call)
    row = _conversation(call, account, call.params["id"])
    status = given.get("status") or ("open" if row["status"] == "resolved" else "resolved")
    if status not in STATUSES:
        raise store.crash()
    call.db.execute("UPDATE chatwoot_conversation SET status = ? WHERE id = ?", (status, row["id"]))
    if status == "resolved" and row["status"] != "resolved":
        chatwoot_reports.note(call, row, chatwoot_reports.RESOLVED)
    payload = {"success": True, "current_status": status, "conversation_id": row["display"]}
    return Reply(200, {"meta": {}, "payload": payload})


def _conversation(call: Call, account: Row, display: Any) -> Row:
    row: Row | None = call.db.execute(
        "SELECT * FROM chatwoot_conversation WHERE account_id = ? AND display = ?",
        (account["id"], store.number(display)),
    ).fetchone()
    if row is None:
        raise store.not_found()
    return row


def _shown_conversation(call: Call, account: Row, row: Row) -> dict[str, Any]:
    inbox = _inbox_of(call, account, row["inbox_id"])
    sender = _shown_contact(_contact(call, account, row["contact_id"]))
    return {
        "id": row["display"],
        "account_id": account["id"],
        "inbox_id": row["inbox_id"],
        "status": row["status"],
        "timestamp": int(row["created_at"]),
        "created_at": int(row["created_at"]),
        "unread_count": 0,
        "messages": [],
        "labels": [],
        "additional_attributes": json.loads(row["additional_attributes"]),
        "custom_attributes": json.loads(row["custom_attributes"]),
        "meta": {"sender": sender, "channel": store.CHANNELS[inbox["channel"]], "hmac_verified": False},
    }


# -- messages ----------------------------------------------------------------------------------------------------


def list_messages(call: Call) -> Reply:
    """The newest messages, or those before one, oldest first; 20 at once."""
    account = entitled(call, administrator=False)
    conversation = _conversation(call, account, call.params["id"])
    before = store.number(call.query.get("before", "0")) or 2**62
    rows = call.db.execute(
        "SELECT * FROM chatwoot_message WHERE conversation_id = ? AND id < ? ORDER BY id DESC LIMIT ?",
        (conversation["id"], before, MESSAGES_PAGE),
    ).fetchall()
    shown = [_shown_message(row, conversation) for row in reversed(rows)]
    meta = {"labels": [], "additional_attributes": json.loads(conversation["additional_attributes"])}
    return Reply(200, {"meta": meta, "payload": shown})


def create_message(call: Call) -> Reply:
    """A message; incoming ones only in inboxes of the kind API, as those of other kinds come from their channel."""
    account, given = entitled(call, administrator=False), store.fields(call)
    conversation = _conversation(call, account, call.params["id"])
    kind, content = given.get("message_type") or "outgoing", store.text(given.get("content"))
    if kind not in TYPES[:2]:
        raise store.crash()
    if kind == "incoming" and _inbox_of(call, account, conversation["inbox_id"])["channel"] != "api":
        raise store.Problem(422, {"error": "Incoming messages are only allowed in Api inboxes"})
    if not content:
        raise store.invalid("Content can't be blank", "content")
    attributes = store.mapping(given.get("content_attributes"))
    if given.get("external_created_at"):
        attributes["external_created_at"] = given["external_created_at"]
    user = caller(call) or {}
    sender = {"id": user["id"], "name": user["name"], "type": "user"} if kind == "outgoing" else {"type": "contact"}
    texts = (json.dumps(attributes), json.dumps(sender))
    cursor = call.db.execute(
        "INSERT INTO chatwoot_message (conversation_id, type, content, private, content_attributes, sender, created_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (conversation["id"], TYPES.index(kind), content, int(bool(given.get("private"))), *texts, call.now),
    )
    if kind == "outgoing" and not given.get("private"):
        chatwoot_reports.note_first(call, conversation, chatwoot_reports.FIRST_RESPONSE)
    if kind == "incoming":  # somebody who writes again opens what was resolved
        call.db.execute("UPDATE chatwoot_conversation SET status = 'open' WHERE id = ?", (conversation["id"],))
    row = call.db.execute("SELECT * FROM chatwoot_message WHERE id = ?", (cursor.lastrowid,)).fetchone()
    return Reply(200, _shown_message(row, conversation))


def _shown_message(row: Row, conversation: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "content": row["content"],
        "inbox_id": conversation["inbox_id"],
        "conversation_id": conversation["display"],
        "message_type": row["type"],
        "content_type": "text",
        "status": "sent",
        "content_attributes": json.loads(row["content_attributes"]),
        "created_at": int(row["created_at"]),
        "private": bool(row["private"]),
        "sender": json.loads(row["sender"]),
    }
