# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What Chatwoot holds of a tenant: contacts, and conversations with their messages.

Chatwoot has no way to put a message where and when it was. What is brought back goes into an inbox of its own, of the
kind API, in the old order, with the old times as an attribute; attachments are named in the export and not part of it.
"""

from __future__ import annotations

import json
import typing as t
from datetime import datetime, timezone
from functools import partial
from urllib.parse import unquote, urlsplit

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import chatwoot
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.chatwoot import Account, ChatwootClient, Row
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.chatwoot_talk import Talk, entered
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.owner import mark
from ansible_collections.smartercl.smarteros.plugins.module_utils.reconcile import run_all
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Policy

CONTACTS, CONVERSATIONS = "contacts.json", "conversations.json"
INBOX = "Conversaciones importadas"
ORIGIN = "smarteros_conversation"  # attribute of a conversation that was brought back: its number in the export
AT_ONCE = 8
_TYPES = ("incoming", "outgoing", "activity", "template")
_SAID = frozenset({"incoming", "outgoing", "template"})  # activities are Chatwoot's own remarks
_STATUSES = frozenset({"open", "resolved", "pending"})
_CONTACT = ("name", "email", "phone_number", "identifier")
_ATTRIBUTES = ("custom_attributes", "additional_attributes")


def collect(
    connection: t.Mapping[str, str], tenant: t.Mapping[str, t.Any], policy: Policy | None = None
) -> dict[str, bytes]:
    """``contacts.json`` and ``conversations.json``, sorted by id, without tokens; nothing where there is no account.

    A suspended account is opened while it is read.
    """
    client = chatwoot.connect(connection, policy)
    account = _account(client, tenant)
    if account is None:
        return {}
    with entered(client, account) as talk:
        inboxes = {row.get("id"): str(row.get("name") or "") for row in talk.inboxes()}
        contacts = [_contact(row) for row in talk.contacts()]
        conversations = talk.conversations()
        messages = run_all({row["id"]: partial(talk.messages, row["id"]) for row in conversations}, AT_ONCE)
    told = [_conversation(row, inboxes, _given(messages[row["id"]])) for row in conversations]
    return {CONTACTS: _json(contacts), CONVERSATIONS: _json(told)}


def bring_back(
    connection: t.Mapping[str, str],
    tenant: t.Mapping[str, t.Any],
    files: t.Mapping[str, bytes],
    policy: Policy | None = None,
) -> list[str]:
    """Create the contacts and conversations of an export that are not there yet; says how many of each.

    Contacts are known by identifier, address or number, conversations by the number that they had.
    """
    client = chatwoot.connect(connection, policy)
    account = _account(client, tenant)
    contacts, conversations = _read(files, CONTACTS), _read(files, CONVERSATIONS)
    if account is None:
        raise ApiError("the tenant has no account to bring contacts and conversations back into", errors.MISSING)
    if not contacts and not conversations:
        return []
    with entered(client, account) as talk:
        return _Return(talk, str(tenant["id"])).of(contacts, conversations)


class _Return:
    """Brings contacts and conversations back into one account."""

    def __init__(self, talk: Talk, rut: str) -> None:
        self.talk = talk
        self.rut = rut
        self.known: dict[str, int] = {}
        self.contacts = self.conversations = self.messages = 0

    def of(self, contacts: t.Sequence[Row], conversations: t.Sequence[Row]) -> list[str]:
        """Do it, and tell what was created."""
        for row in self.talk.contacts():
            self._learn(row, int(row["id"]))
        strangers = [each.get("contact") for each in conversations]
        everybody = [*contacts, *(row for row in strangers if isinstance(row, dict))]
        numbers = {str(row.get("id")): self._contact(row) for row in everybody}
        if conversations:
            self._talks(conversations, numbers)
        return self._told()

    def _contact(self, row: Row) -> int:
        there = next((self.known[key] for key in self._keys(row) if key in self.known), 0)
        if there:
            return there
        wish = {key: row[key] for key in _CONTACT if row.get(key)}
        wish.setdefault("identifier", self._identifier(row))
        wish.update({key: row[key] for key in _ATTRIBUTES if isinstance(row.get(key), dict) and row[key]})
        number = self.talk.create_contact(wish, lambda: self._found(wish))
        self.contacts += 1
        self._learn(wish, number)
        self._learn(row, number)
        return number

    def _found(self, wish: Row) -> Row | None:
        return next((row for row in self.talk.contacts() if row.get("identifier") == wish["identifier"]), None)

    def _identifier(self, row: Row) -> str:
        """What a contact is found by that had no identifier of its own."""
        return str(row.get("identifier") or f"{mark(self.rut)}:{row.get('id')}")

    def _keys(self, row: Row) -> list[str]:
        named = [f"{key}:{str(row[key]).lower()}" for key in ("identifier", "email", "phone_number") if row.get(key)]
        return [*named, f"identifier:{self._identifier(row).lower()}"]

    def _learn(self, row: Row, number: int) -> None:
        self.known.update(dict.fromkeys(self._keys(row), number))

    def _talks(self, conversations: t.Sequence[Row], numbers: t.Mapping[str, int]) -> None:
        inbox = self.talk.create_inbox(INBOX) if (here := self._inbox()) == 0 else here
        there = {_origin(row): int(row["id"]) for row in self.talk.conversations(inbox) if _origin(row)}
        for each in sorted(conversations, key=lambda row: str(row.get("id")).zfill(12)):
            contact = each.get("contact")
            who = numbers.get(str(contact.get("id"))) if isinstance(contact, dict) else None
            if who is not None:
                self._conversation(each, who, inbox, there)

    def _inbox(self) -> int:
        named = [row for row in self.talk.inboxes() if row.get("name") == INBOX]
        return int(named[0]["id"]) if named else 0

    def _conversation(self, row: Row, contact: int, inbox: int, there: t.Mapping[str, int]) -> None:
        origin = str(row.get("id"))
        number = there.get(origin, 0)
        status = row.get("status") if row.get("status") in _STATUSES else "open"
        if not number:
            attributes = {**(row.get("custom_attributes") or {}), ORIGIN: origin}
            wish = {"source_id": f"smarteros-{origin}", "inbox_id": inbox, "contact_id": contact, "status": status}
            number = self.talk.create_conversation(
                {**wish, "custom_attributes": attributes},
                lambda: next((each for each in self.talk.conversations(inbox) if _origin(each) == origin), None),
            )
            self.conversations += 1
        if self._say(number, [each for each in row.get("messages") or [] if each.get("type") in _SAID]):
            self.talk.set_status(number, str(status))  # an incoming message opens a resolved one

    def _say(self, number: int, messages: t.Sequence[Row]) -> int:
        """Add the messages that are not there yet; how many."""
        wanted = [each for each in messages if each.get("content")]
        done = len(self._said(number))
        for place, each in enumerate(wanted[done:], start=done):
            wish = {
                "content": each["content"],
                "message_type": "incoming" if each["type"] == "incoming" else "outgoing",
                "private": bool(each.get("private")),
                "content_attributes": {"external_created_at": _seconds(each.get("at"))},
            }
            self.talk.create_message(number, wish, partial(self._at, number, place))
            self.messages += 1
        return len(wanted) - done

    def _said(self, number: int) -> list[Row]:
        return [row for row in self.talk.messages(number) if _type(row) in _SAID]

    def _at(self, number: int, place: int) -> Row | None:
        said = self._said(number)
        return said[place] if len(said) > place else None

    def _told(self) -> list[str]:
        told = [f"{self.contacts} contacts created"] if self.contacts else []
        if self.conversations or self.messages:
            told.append(
                f"{self.conversations} conversations and {self.messages} messages brought back into the inbox «{INBOX}»;"
                " Chatwoot gives them new dates and keeps the old ones as an attribute, attachments are not part"
            )
        return told


def _account(client: ChatwootClient, tenant: t.Mapping[str, t.Any]) -> Account | None:
    """The tenant's account, by the id that was written down or by the list; never somebody else's."""
    seen = (tenant["status"].get("services") or {}).get("chatwoot") or {}
    number = int((seen.get("ref") or {}).get("account_id") or 0)
    account = client.account(number) if number else None
    if account is not None and account.tenant == tenant["id"]:
        return account
    listed = client.accounts() or {}
    return next((each for _id, each in sorted(listed.items()) if each.tenant == tenant["id"]), None)


def _given(found: list[Row] | ApiError) -> list[Row]:
    if isinstance(found, ApiError):
        raise found
    return found


def _contact(row: Row) -> Row:
    kept = {key: row.get(key) for key in ("id", *_CONTACT)}
    return {**kept, **{key: row.get(key) or {} for key in _ATTRIBUTES}}


def _conversation(row: Row, inboxes: t.Mapping[t.Any, str], messages: t.Sequence[Row]) -> Row:
    meta = row.get("meta") if isinstance(row.get("meta"), dict) else {}
    sender = (meta or {}).get("sender")
    labels = row.get("labels")
    return {
        "id": row.get("id"),
        "inbox": inboxes.get(row.get("inbox_id"), ""),
        "channel": (meta or {}).get("channel") or "",
        "status": row.get("status"),
        "labels": sorted(map(str, labels)) if isinstance(labels, list) else [],
        "custom_attributes": row.get("custom_attributes") or {},
        "contact": _contact(sender) if isinstance(sender, dict) else None,
        "messages": [_message(each) for each in messages],
    }


def _message(row: Row) -> Row:
    sender = row.get("sender")
    attachments = row.get("attachments")
    kept = {
        "id": row.get("id"),
        "at": _moment(row.get("created_at")),
        "type": _type(row),
        "private": bool(row.get("private")),
        "sender": str(sender.get("name") or "") if isinstance(sender, dict) else "",
        "content": row.get("content") or "",
    }
    named = (
        [_attachment(each) for each in attachments if isinstance(each, dict)] if isinstance(attachments, list) else []
    )
    return {**kept, "attachments": named} if named else kept


def _attachment(row: Row) -> Row:
    """What it was; its address is not kept, since it lets everybody in who knows it."""
    name = unquote(urlsplit(str(row.get("data_url") or "")).path.rpartition("/")[2])
    return {"name": name, "type": row.get("file_type"), "bytes": row.get("file_size")}


def _type(row: Row) -> str:
    kind = row.get("message_type")
    if isinstance(kind, int) and 0 <= kind < len(_TYPES):
        return _TYPES[kind]
    return str(kind or "")


def _origin(row: Row) -> str:
    own = row.get("custom_attributes")
    return str(own.get(ORIGIN) or "") if isinstance(own, dict) else ""


def _moment(seconds: t.Any) -> str:
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        return ""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _seconds(moment: t.Any) -> int | None:
    try:
        return int(datetime.strptime(str(moment), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc).timestamp())
    except ValueError:
        return None


def _read(files: t.Mapping[str, bytes], name: str) -> list[Row]:
    try:
        found = json.loads(files.get(name, b"[]"))
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise ApiError(f"{name} of the export is not readable", errors.INVALID)
    return found


def _json(data: t.Any) -> bytes:
    return (json.dumps(data, indent=2, ensure_ascii=False, sort_keys=True) + "\n").encode()
