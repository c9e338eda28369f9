# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Chatwoot's Platform API and account API (3.13 to 4.x): accounts, their members and website inboxes, in our words.

The platform token reads only what it made, and before 4.x it cannot list accounts. An operator user that belongs to
every account is the second way to find them, and the way to the account API.
"""

from __future__ import annotations

import secrets
import threading
import typing as t
from dataclasses import dataclass, field

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Http, Policy

PLATFORM = "/platform/api/v1"
ACCOUNT = "/api/v1"
FOREIGN = "foreign"  # ApiError.code: the thing is there and was not made with our platform token
ADMINISTRATOR = "administrator"
WEB_WIDGET = "Channel::WebWidget"
_HEADER = "api_access_token"

Row = dict[str, t.Any]


@dataclass(frozen=True)
class Account:
    """A tenant's account. ``tenant`` (a RUT) and ``slug`` live in its custom attributes; ``status`` is active or suspended."""

    name: str
    locale: str
    domain: str
    support_email: str
    status: str
    tenant: str
    slug: str
    id: int = field(default=0, compare=False)
    others: t.Mapping[str, t.Any] = field(default_factory=dict, compare=False)  # custom attributes that are not ours


@dataclass(frozen=True)
class Seat:
    """An account as the operator's profile lists it: a name, his role in it, and its status where Chatwoot tells it."""

    id: int
    name: str
    role: str
    status: str


@dataclass(frozen=True)
class Member:
    """A user of an account."""

    id: int
    email: str
    role: str


@dataclass(frozen=True)
class Inbox:
    """A website inbox."""

    id: int
    name: str
    website_url: str


class ChatwootClient:
    """One installation. Safe to use from many threads once :meth:`act_as` was called."""

    def __init__(self, http: Http, platform_token: str) -> None:
        self.http = http
        self._platform = {_HEADER: platform_token}
        self._operator: dict[str, str] = {}
        self._users: dict[str, int] = {}
        self._user_locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    # --- what the preflight asks

    def check(self) -> dict[str, str]:
        """Whether the address is a Chatwoot and the token one of a platform app. Reads only, never raises."""
        try:
            self.probe()
        except ApiError as exc:
            state = {401: "invalid", 403: "insufficient"}.get(exc.status, "unreachable")
            return {"state": state, "account": "", "message": exc.message}
        return {"state": "valid", "account": "platform app", "message": "the platform token is accepted"}

    def claimed(self, _wishes: t.Iterable[t.Mapping[str, t.Any]]) -> dict[str, str]:
        """Nothing can be taken: Chatwoot's account names need not be unique."""
        return {}

    def probe(self) -> None:
        """Ask for an account that cannot exist. Raises ApiError unless the token is good."""
        try:
            # The token is judged before the account is looked for, so a good one gets 404
            self._get(f"{PLATFORM}/accounts/0", self._platform)
        except ApiError as exc:
            if exc.code == FOREIGN or (exc.kind == errors.MISSING and "could not be found" in exc.message.lower()):
                return
            if exc.kind == errors.MISSING:
                raise ApiError(f"this is not a Chatwoot: {exc.message}", errors.MISSING, 404, where=exc.where) from None
            raise

    # --- the operator

    def act_as(self, token: str) -> None:
        """Use the operator's token for the account API from now on."""
        self.http.hide(token)
        self._operator = {_HEADER: token}

    @property
    def has_operator(self) -> bool:
        """Whether the account API can be used."""
        return bool(self._operator)

    def token_of(self, user: int, email: str) -> str:
        """The token of this user, if he has this address and is ours to read; else an empty text."""
        try:
            row = self._get(f"{PLATFORM}/users/{user}", self._platform)
        except ApiError as exc:
            if exc.kind in (errors.MISSING, errors.INVALID) or exc.code == FOREIGN:
                return ""
            raise
        return str(row.get("access_token") or "") if _same(row.get("email"), email) else ""

    def make_operator(self, name: str, email: str) -> str:
        """Find or make the operator; his token."""
        row = self._find_or_make_user(name, email)
        token = str(row.get("access_token") or "")
        if not token:
            raise ApiError(
                "Chatwoot does not tell the operator's token", errors.INVALID, 200, where=self._where("POST", "/users")
            )
        return token

    def profile(self) -> tuple[int, dict[int, Seat]]:
        """The operator's id, and the accounts that he belongs to by id; one request."""
        row = self._get(f"{ACCOUNT}/profile", self._operator)
        seats = [_seat(each) for each in row.get("accounts") or []]
        return int(row["id"]), {seat.id: seat for seat in seats}

    # --- accounts

    def accounts(self) -> dict[int, Account] | None:
        """All accounts that our token made, by id; None where this Chatwoot cannot list them (before 4.x)."""
        try:
            # Never repeated: some releases answer 500 for ever when one of the accounts is gone
            rows = self.http.request("GET", f"{PLATFORM}/accounts", headers=self._platform, repeat=False).body
        except ApiError as exc:
            if exc.kind in (errors.MISSING, errors.INVALID, errors.UNANSWERED):
                return None
            raise
        if not isinstance(rows, list):
            return None
        return {account.id: account for account in map(_account, rows)}

    def account(self, number: int) -> Account | None:
        """One account; None where there is none. Raises ApiError with the code ``foreign`` when it is not ours."""
        try:
            return _account(self._get(f"{PLATFORM}/accounts/{number}", self._platform))
        except ApiError as exc:
            if exc.kind == errors.MISSING:
                return None
            raise

    def create_account(self, account: Account, find: t.Callable[[], Account | None]) -> int:
        """Create an account and give its id. Nothing at Chatwoot is unique: ``find`` looks for it when the answer is lost."""

        def found() -> Row | None:
            seen = find()
            return None if seen is None else {"id": seen.id}

        row = self._told(
            lambda: self.http.create(f"{PLATFORM}/accounts", _body(account), found, headers=self._platform)
        )
        return int(row["id"])

    def change_account(self, number: int, account: Account, names: t.AbstractSet[str]) -> None:
        """Write the named fields of an account; the same values twice do no harm."""
        body = {key: value for key, value in _body(account).items() if key in names}
        if names & {"tenant", "slug"}:
            body["custom_attributes"] = _body(account)["custom_attributes"]
        self._send("PATCH", f"{PLATFORM}/accounts/{number}", body, self._platform)

    def delete_account(self, number: int) -> None:
        """Delete an account with all that it holds; Chatwoot does it in the background. Gone already is as good."""
        self._gone(f"{PLATFORM}/accounts/{number}")

    # --- what an account holds

    def links(self, number: int) -> dict[int, str]:
        """Role by user id, as the Platform API tells it."""
        rows = self._get(f"{PLATFORM}/accounts/{number}/account_users", self._platform)
        return {int(row["user_id"]): str(row["role"]) for row in rows or []}

    def link(self, number: int, user: int) -> None:
        """Make a user administrator of an account; doing it twice does no harm."""
        body = {"user_id": user, "role": ADMINISTRATOR}
        self._send("POST", f"{PLATFORM}/accounts/{number}/account_users", body, self._platform, repeat=True)

    def user(self, name: str, email: str, tenant: str) -> int:
        """Find or make a user by address; his id. The password is random and thrown away: he sets his own by mail.

        One that is made bears the tenant as a custom attribute.
        """
        key = email.lower()
        with self._lock:
            lock = self._user_locks.setdefault(key, threading.Lock())
        with lock:  # two tenants with one owner ask at the same moment
            if key not in self._users:
                self._users[key] = int(self._find_or_make_user(name, email, {"tenant": tenant})["id"])
            return self._users[key]

    def made_for(self, tenant: str, number: int) -> list[int]:
        """Users of an account who were made for this tenant and belong to no other account."""
        found = []
        for user in self.links(number):
            try:
                row = self._get(f"{PLATFORM}/users/{user}", self._platform)
            except ApiError as exc:
                if exc.kind in (errors.REFUSED, errors.MISSING):  # not one that we made
                    continue
                raise
            elsewhere = [each for each in row.get("accounts") or [] if int(each["id"]) != number]
            if (row.get("custom_attributes") or {}).get("tenant") == tenant and not elsewhere:
                found.append(user)
        return found

    def delete_user(self, user: int) -> None:
        """Delete a user. Gone already is as good."""
        self._gone(f"{PLATFORM}/users/{user}")

    def members(self, number: int) -> list[Member]:
        """The users of an account with their addresses, as the operator sees them."""
        rows = self._get(f"{ACCOUNT}/accounts/{number}/agents", self._operator)
        return [Member(int(row["id"]), str(row.get("email") or ""), str(row.get("role") or "")) for row in rows or []]

    def inboxes(self, number: int) -> list[Inbox]:
        """The website inboxes of an account."""
        answer = self._get(f"{ACCOUNT}/accounts/{number}/inboxes", self._operator)
        rows = answer.get("payload") or [] if isinstance(answer, dict) else answer or []
        return [_inbox(row) for row in rows if row.get("channel_type") == WEB_WIDGET]

    def create_inbox(self, number: int, inbox: Inbox) -> int:
        """Create a website inbox and give its id; when the answer is lost, the one of that name is looked for."""

        def find() -> Row | None:
            same = [each for each in self.inboxes(number) if each.name == inbox.name]
            return {"id": same[0].id} if same else None

        body = {"name": inbox.name, "channel": {"type": "web_widget", "website_url": inbox.website_url}}
        path = f"{ACCOUNT}/accounts/{number}/inboxes"
        row = self._told(lambda: self.http.create(path, body, find, headers=self._operator))
        return int(row["id"])

    def change_inbox(self, number: int, inbox: int, website_url: str) -> None:
        """Move a website inbox to another address."""
        body = {"channel": {"website_url": website_url}}
        self._send("PATCH", f"{ACCOUNT}/accounts/{number}/inboxes/{inbox}", body, self._operator)

    # --- inside

    def _find_or_make_user(self, name: str, email: str, attributes: t.Mapping[str, str] | None = None) -> Row:
        # Chatwoot gives the existing user of that address, its password unchanged: sending it twice does no harm
        password = strong_password()
        self.http.hide(password)
        body = {"name": name, "email": email, "password": password, "custom_attributes": dict(attributes or {})}
        row = self._send("POST", f"{PLATFORM}/users", body, self._platform, repeat=True)
        if not isinstance(row, dict) or "id" not in row:
            raise ApiError(
                "Chatwoot answers without the user's id", errors.INVALID, 200, where=self._where("POST", "/users")
            )
        return row

    def _gone(self, path: str) -> None:
        try:
            self._send("DELETE", path, None, self._platform)
        except ApiError as exc:
            if exc.kind != errors.MISSING:
                raise

    def _get(self, path: str, headers: t.Mapping[str, str]) -> t.Any:
        return self._send("GET", path, None, headers)

    def _send(
        self, method: str, path: str, body: t.Any, headers: t.Mapping[str, str], repeat: bool | None = None
    ) -> t.Any:
        return self._told(lambda: self.http.request(method, path, json=body, headers=headers, repeat=repeat).body)

    def _told(self, send: t.Callable[[], t.Any]) -> t.Any:
        """Tell the two meanings of 401 apart."""
        try:
            return send()
        except ApiError as exc:
            if exc.status == 401 and "non permissible" in exc.message.lower():
                why = "it was not made with this platform token (Non permissible resource)"
                raise ApiError(why, errors.CONFLICT, 401, FOREIGN, exc.where) from None
            raise

    def _where(self, method: str, path: str) -> str:
        return f"{method} {self.http.base_url}{PLATFORM}{path}"


def connect(connection: t.Mapping[str, str], policy: Policy | None = None) -> ChatwootClient:
    """The client for ``url`` and ``platform_token``."""
    token = connection["platform_token"]
    return ChatwootClient(Http(connection["url"], secrets=(token,), policy=policy), token)


def strong_password() -> str:
    """A password that nobody will know; Chatwoot wants upper and lower case, a digit and a sign."""
    return f"{secrets.token_urlsafe(24)}aA1!"


def _same(left: t.Any, right: str) -> bool:
    return isinstance(left, str) and left.lower() == right.lower()


def _body(account: Account) -> Row:
    return {
        "name": account.name,
        "locale": account.locale,
        "domain": account.domain,
        "support_email": account.support_email,
        "status": account.status,
        "custom_attributes": {**account.others, "tenant": account.tenant, "slug": account.slug},
    }


def _account(row: Row) -> Account:
    own = row.get("custom_attributes") or {}
    return Account(
        name=str(row.get("name") or ""),
        locale=str(row.get("locale") or ""),
        domain=str(row.get("domain") or ""),
        support_email=str(row.get("support_email") or ""),
        status=str(row.get("status") or "active"),
        tenant=str(own.get("tenant") or ""),
        slug=str(own.get("slug") or ""),
        id=int(row["id"]),
        others={key: value for key, value in own.items() if key not in ("tenant", "slug")},
    )


def _seat(row: Row) -> Seat:
    return Seat(int(row["id"]), str(row.get("name") or ""), str(row.get("role") or ""), str(row.get("status") or ""))


def _inbox(row: Row) -> Inbox:
    return Inbox(int(row["id"]), str(row.get("name") or ""), str(row.get("website_url") or ""))
