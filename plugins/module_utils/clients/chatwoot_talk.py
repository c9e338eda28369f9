# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Contacts, conversations and messages of one Chatwoot account, through the account API of one of its administrators."""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import replace

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.chatwoot import (
    ACCOUNT,
    ADMINISTRATOR,
    Account,
    ChatwootClient,
    Row,
    mapping,
    number_of,
    rows,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Pages

API_INBOX = "Channel::Api"


class Talk:
    """What people said in one account. Raises ApiError; safe to use from many threads."""

    def __init__(self, client: ChatwootClient, account: int, token: str) -> None:
        self._http = client.http
        self._base = f"{ACCOUNT}/accounts/{account}"
        self._headers = {"api_access_token": token}
        client.http.hide(token)

    def contacts(self) -> list[Row]:
        """All contacts that have an address, a number or an identifier; reads every page."""

        def page(number: int) -> tuple[list[Row], int]:
            body, where = self._get("/contacts", {"page": number, "sort": "name", "include_contact_inboxes": "false"})
            meta = mapping(body.get("meta") or {}, where)
            return rows(body.get("payload"), where), number_of(meta, "count", where) if "count" in meta else 0

        return self._pages("/contacts", page)

    def conversations(self, inbox: int = 0) -> list[Row]:
        """All conversations of any status, or those of an inbox; reads every page."""

        def page(number: int) -> tuple[list[Row], int]:
            wanted: dict[str, t.Any] = {"status": "all", "page": number, **({"inbox_id": inbox} if inbox else {})}
            body, where = self._get("/conversations", wanted)
            data = mapping(body.get("data"), where)
            meta = mapping(data.get("meta") or {}, where)
            return rows(data.get("payload"), where), number_of(meta, "all_count", where) if "all_count" in meta else 0

        return self._pages("/conversations", page)

    def messages(self, conversation: int) -> list[Row]:
        """All messages of a conversation, oldest first."""
        path = f"/conversations/{conversation}/messages"
        found: dict[int, Row] = {}
        pages, before = Pages(self._where("GET", path)), 0
        while True:
            pages.turn(before)
            body, where = self._get(path, {"before": before} if before else {})
            page = {number_of(row, "id", where): row for row in rows(body.get("payload"), where)}
            if not page.keys() - found.keys():
                return [found[number] for number in sorted(found)]
            found.update(page)
            before = min(page)

    def inboxes(self) -> list[Row]:
        """All inboxes."""
        body, where = self._get("/inboxes", {})
        return rows(body.get("payload"), where)

    def create_inbox(self, name: str) -> int:
        """An inbox of the kind API, the only one that takes incoming messages from us; its id. Found again by its name."""

        def find() -> Row | None:
            same = [row for row in self.inboxes() if (row.get("channel_type"), row.get("name")) == (API_INBOX, name)]
            return same[0] if same else None

        return self._made("/inboxes", {"name": name, "channel": {"type": "api", "webhook_url": ""}}, find)

    def create_contact(self, contact: Row, find: t.Callable[[], Row | None]) -> int:
        """A contact; its id. ``find`` looks for it when the answer is lost."""
        body = self._http.create(f"{self._base}/contacts", contact, find, headers=self._headers)
        where = self._where("POST", "/contacts")
        found = mapping(body, where)
        payload = found.get("payload") or {}
        # The published description makes it a list; the servers answer with an object
        inner = mapping(payload[0] if isinstance(payload, list) else payload, where)
        return number_of(inner.get("contact") or inner or found, "id", where)

    def create_conversation(self, conversation: Row, find: t.Callable[[], Row | None]) -> int:
        """A conversation; its number in the account."""
        return self._made("/conversations", conversation, find)

    def create_message(self, conversation: int, message: Row, find: t.Callable[[], Row | None]) -> int:
        """A message at the end of a conversation; its id."""
        return self._made(f"/conversations/{conversation}/messages", message, find)

    def set_status(self, conversation: int, status: str) -> None:
        """Open, resolve or park a conversation; doing it twice does no harm."""
        path = f"{self._base}/conversations/{conversation}/toggle_status"
        self._http.request("POST", path, json={"status": status}, headers=self._headers, repeat=True)

    # --- inside

    def _made(self, path: str, body: Row, find: t.Callable[[], Row | None]) -> int:
        row = self._http.create(f"{self._base}{path}", body, find, headers=self._headers)
        return number_of(row, "id", self._where("POST", path))

    def _get(self, path: str, params: t.Mapping[str, t.Any]) -> tuple[Row, str]:
        where = self._where("GET", path)
        body = self._http.request("GET", f"{self._base}{path}", params=params, headers=self._headers).body
        return mapping(body, where), where

    def _pages(self, path: str, page: t.Callable[[int], tuple[list[Row], int]]) -> list[Row]:
        """All rows by id: pages move under our eyes when something new comes."""
        where = self._where("GET", path)
        found: dict[int, Row] = {}
        pages, number = Pages(where), 1
        while True:
            pages.turn()
            part, count = page(number)
            fresh = {number_of(row, "id", where): row for row in part}
            news = fresh.keys() - found.keys()
            found.update(fresh)
            if not part or not news or (count and len(found) >= count):
                return [found[key] for key in sorted(found)]
            number += 1

    def _where(self, method: str, path: str) -> str:
        return f"{method} {self._http.base_url}{self._base}{path}"


@contextlib.contextmanager
def entered(client: ChatwootClient, account: Account) -> t.Iterator[Talk]:
    """The talk of an account. A suspended one lets nobody read, so it is opened for as long as this takes.

    Dying meanwhile leaves it open; the next run closes it. Raises ApiError when no administrator's token is ours to read.
    """
    token = _administrator(client, account)
    if account.status == "active":
        yield Talk(client, account.id, token)
        return
    client.change_account(account.id, replace(account, status="active"), {"status"})
    try:
        yield Talk(client, account.id, token)
    finally:
        client.change_account(account.id, account, {"status"})


def _administrator(client: ChatwootClient, account: Account) -> str:
    admins = sorted(user for user, role in client.links(account.id).items() if role == ADMINISTRATOR)
    for user in admins:
        token = client.token_of(user)
        if token:
            return token
    why = f"account {account.id} has no administrator whose token this platform app may read"
    raise ApiError(why, errors.CONFLICT, where=f"GET {client.http.base_url}/platform/api/v1/users")
