# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Chatwoot's Platform API and account API (3.13 to 4.x): accounts, their members and inboxes, in our words.

The platform token reads only what it made, and before 4.x it cannot list accounts. An operator user that belongs to
every account is the second way to find them, and the way to the account API.
"""

from __future__ import annotations

import secrets
import threading
import typing as t
from dataclasses import dataclass, field
from functools import partial

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.reconcile import run_all
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Http, Policy

PLATFORM = "/platform/api/v1"
ACCOUNT = "/api/v1"
FOREIGN = "foreign"  # ApiError.code: the thing is there and was not made with our platform token
ADMINISTRATOR = "administrator"
WEB_WIDGET, WHATSAPP = "Channel::WebWidget", "Channel::Whatsapp"
CLOUD = "whatsapp_cloud"  # without it Chatwoot takes another provider
_HEADER = "api_access_token"
_SECRET_CONFIG = ("api_key", "app_secret", "webhook_verify_token", "verification_pin")
_FOR_BOTS = "not authorized for bots"
USAGE_AT_ONCE = 8
_MOST_ADMINS = 5  # of an account, among whom the operator is looked for

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
    agents: int | None = None  # how many users it may have, the operator among them; None is unlimited
    id: int = field(default=0, compare=False)
    others: t.Mapping[str, t.Any] = field(default_factory=dict, compare=False)  # custom attributes that are not ours
    limits: t.Mapping[str, t.Any] = field(default_factory=dict, compare=False)  # limits that are not ours


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
    """An inbox. ``channel`` is Chatwoot's name of its kind; ``config`` (WhatsApp) holds secrets and is never shown."""

    id: int
    name: str
    website_url: str = ""
    channel: str = WEB_WIDGET
    phone_number: str = ""
    provider: str = ""
    config: t.Mapping[str, t.Any] = field(default_factory=dict, repr=False, compare=False)


class ChatwootClient:
    """One installation. Safe to use from many threads once :meth:`act_as` was called."""

    def __init__(self, http: Http, platform_token: str, operator_email: str = "") -> None:
        self.http = http
        self.operator_email = operator_email
        self._platform = {_HEADER: platform_token}
        self._operator: dict[str, str] = {}
        self._users: dict[str, int] = {}
        self._user_locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    # --- what the preflight asks

    def check(self) -> dict[str, t.Any]:
        """Whether the address is a Chatwoot and the token one of a platform app. Reads only, never raises ApiError."""
        try:
            self.probe()
        except ApiError as exc:
            if exc.status == 401:
                return self._other_kind(exc)
            state = "insufficient" if exc.status == 403 else "unreachable"
            return {"state": state, "account": "", "message": exc.message}
        return {"state": "valid", "account": "platform app", "message": "the platform token is accepted"}

    def _other_kind(self, refusal: ApiError) -> dict[str, t.Any]:
        """What kind of token it is that the Platform API does not take: Chatwoot has three, all of the same form."""
        lacking = {"state": "insufficient", "missing_scopes": ["platform app"]}
        advice = "make the token of a platform app (Super Admin, Platform Apps)"
        try:
            row = self._get(f"{ACCOUNT}/profile", self._platform)
        except ApiError as exc:
            if _FOR_BOTS in exc.message:
                return {**lacking, "account": "agent bot", "message": f"this is the token of an agent bot: {advice}"}
            if exc.status != 401:
                return {"state": "unreachable", "account": "", "message": exc.message}
            return {"state": "invalid", "account": "", "message": f"{refusal.message}: {advice}"}
        who = self.http.shown(row.get("email") or "somebody") if isinstance(row, dict) else "somebody"
        return {**lacking, "account": who, "message": f"this is the personal token of a user, {who}: {advice}"}

    def usage(self, tenants: t.Iterable[t.Mapping[str, t.Any]]) -> dict[str, dict[str, int]]:
        """How many users each merged tenant's account has, without the operator; one request per tenant and a few."""
        numbers = {tenant["id"]: number for tenant in tenants for number in [_known_account(tenant)] if number}
        links = run_all({rut: partial(self.links, number) for rut, number in numbers.items()}, USAGE_AT_ONCE)
        found = {rut: users for rut, users in links.items() if not isinstance(users, ApiError)}
        operator = next(filter(None, (self._operator_among(users) for users in list(found.values())[:_MOST_ADMINS])), 0)
        return {rut: {"users": len([user for user in users if user != operator])} for rut, users in found.items()}

    def _operator_among(self, users: t.Mapping[int, str]) -> int:
        """The operator's id, if he is one of the oldest administrators; 0 when not."""
        admins = sorted(user for user, role in users.items() if role == ADMINISTRATOR)[:_MOST_ADMINS]
        return next((user for user in admins if self.operator_email and self.token_of(user, self.operator_email)), 0)

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
        raise ApiError("this is not a Chatwoot", errors.INVALID, 200, where=self._where("GET", "/accounts/0"))

    # --- the operator

    def act_as(self, token: str) -> None:
        """Use the operator's token for the account API from now on."""
        self.http.hide(token)
        self._operator = {_HEADER: token}

    @property
    def operator_headers(self) -> dict[str, str]:
        """What a request as the operator bears, once :meth:`act_as` was called."""
        return dict(self._operator)

    def token_of(self, user: int, email: str = "") -> str:
        """The token of this user, if he is ours to read and has this address (or any); else an empty text."""
        try:
            row = self._get(f"{PLATFORM}/users/{user}", self._platform)
        except ApiError as exc:
            if exc.kind in (errors.MISSING, errors.INVALID) or exc.code == FOREIGN:
                return ""
            raise
        known = mapping(row, self._where("GET", f"/users/{user}"))
        return str(known.get("access_token") or "") if not email or _same(known.get("email"), email) else ""

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
        where = f"GET {self.http.base_url}{ACCOUNT}/profile"
        row = mapping(self._get(f"{ACCOUNT}/profile", self._operator), where)
        seats = [_seat(each, where) for each in rows(row.get("accounts"), where)]
        return number_of(row, "id", where), {seat.id: seat for seat in seats}

    # --- accounts

    def accounts(self) -> dict[int, Account] | None:
        """All accounts that our token made, by id; None where this Chatwoot cannot list them (before 4.x)."""
        where = self._where("GET", "/accounts")
        try:
            # Never repeated: some releases answer 500 for ever when one of the accounts is gone
            found = self.http.request("GET", f"{PLATFORM}/accounts", headers=self._platform, repeat=False).body
        except ApiError as exc:
            if exc.kind in (errors.MISSING, errors.INVALID, errors.UNANSWERED):
                return None
            raise
        if not isinstance(found, list):
            return None
        return {account.id: account for account in (_account(row, where) for row in rows(found, where))}

    def account(self, number: int) -> Account | None:
        """One account; None where there is none. Raises ApiError with the code ``foreign`` when it is not ours."""
        where = self._where("GET", f"/accounts/{number}")
        try:
            return _account(self._get(f"{PLATFORM}/accounts/{number}", self._platform), where)
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
        return number_of(row, "id", self._where("POST", "/accounts"))

    def change_account(self, number: int, account: Account, names: t.AbstractSet[str]) -> None:
        """Write the named fields of an account; the same values twice do no harm."""
        body = {key: value for key, value in _body(account).items() if key in names}
        if names & {"tenant", "slug"}:
            body["custom_attributes"] = _body(account)["custom_attributes"]
        if "agents" in names:
            body["limits"] = _body(account)["limits"]
        row = self._send("PATCH", f"{PLATFORM}/accounts/{number}", body, self._platform)
        told = row.get("status") if isinstance(row, dict) else None
        if "status" in names and told not in (None, account.status):
            why = f"the account is still {told}: this Chatwoot does not change the status of accounts (needs 3.13)"
            raise ApiError(why, errors.INVALID, 200, where=self._where("PATCH", f"/accounts/{number}"))

    def delete_account(self, number: int) -> None:
        """Delete an account with all that it holds; Chatwoot does it in the background. Gone already is as good."""
        self._gone(f"{PLATFORM}/accounts/{number}")

    # --- what an account holds

    def links(self, number: int) -> dict[int, str]:
        """Role by user id, as the Platform API tells it."""
        where = self._where("GET", f"/accounts/{number}/account_users")
        found = rows(self._get(f"{PLATFORM}/accounts/{number}/account_users", self._platform), where)
        return {number_of(row, "user_id", where): str(row.get("role") or "") for row in found}

    def link(self, number: int, user: int) -> None:
        """Make a user administrator of an account; doing it twice does no harm."""
        body = {"user_id": user, "role": ADMINISTRATOR}
        self._send("POST", f"{PLATFORM}/accounts/{number}/account_users", body, self._platform, repeat=True)

    def unlink(self, number: int, user: int) -> None:
        """Take a user out of an account; the user himself stays, and one who is not in it is as good."""
        self._send("DELETE", f"{PLATFORM}/accounts/{number}/account_users", {"user_id": user}, self._platform)

    def user(self, name: str, email: str, tenant: str) -> int:
        """Find or make a user by address; his id. The password is random and thrown away: he sets his own by mail.

        One that is made bears the tenant as a custom attribute.
        """
        key = email.lower()
        with self._lock:
            lock = self._user_locks.setdefault(key, threading.Lock())
        with lock:  # two tenants with one owner ask at the same moment
            if key not in self._users:
                made = self._find_or_make_user(name, email, {"tenant": tenant})
                self._users[key] = number_of(made, "id", self._where("POST", "/users"))
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
            where = self._where("GET", f"/users/{user}")
            known = mapping(row, where)
            elsewhere = [each for each in rows(known.get("accounts"), where) if number_of(each, "id", where) != number]
            if mapping(known.get("custom_attributes") or {}, where).get("tenant") == tenant and not elsewhere:
                found.append(user)
        return found

    def delete_user(self, user: int) -> None:
        """Delete a user. Gone already is as good."""
        self._gone(f"{PLATFORM}/users/{user}")

    def members(self, number: int) -> list[Member]:
        """The users of an account with their addresses, as the operator sees them."""
        path = f"{ACCOUNT}/accounts/{number}/agents"
        where = f"GET {self.http.base_url}{path}"
        return [_member(row, where) for row in rows(self._get(path, self._operator), where)]

    def inboxes(self, number: int) -> list[Inbox]:
        """The inboxes of an account, of every kind. The secrets of WhatsApp ones are kept out of every message."""
        path = f"{ACCOUNT}/accounts/{number}/inboxes"
        where = f"GET {self.http.base_url}{path}"
        answer = self._get(path, self._operator)
        found = [
            _inbox(row, where) for row in rows(answer.get("payload") if isinstance(answer, dict) else answer, where)
        ]
        for inbox in found:
            for key in _SECRET_CONFIG:
                self.http.hide(str(inbox.config.get(key) or ""))
        return found

    def create_inbox(self, number: int, inbox: Inbox) -> int:
        """Create a website inbox and give its id; when the answer is lost, the one of that name is looked for."""

        def find() -> Row | None:
            same = [each for each in self.inboxes(number) if (each.channel, each.name) == (WEB_WIDGET, inbox.name)]
            return {"id": same[0].id} if same else None

        body = {"name": inbox.name, "channel": {"type": "web_widget", "website_url": inbox.website_url}}
        path = f"{ACCOUNT}/accounts/{number}/inboxes"
        row = self._told(lambda: self.http.create(path, body, find, headers=self._operator))
        return number_of(row, "id", f"POST {self.http.base_url}{path}")

    def create_number(self, number: int, inbox: Inbox) -> int:
        """Create a WhatsApp inbox and give its id; its telephone number is its key. Chatwoot asks Meta meanwhile.

        Raises ApiError ``conflict`` when the number is in use elsewhere in the installation.
        """

        def find() -> Row | None:
            same = [each for each in self.inboxes(number) if each.phone_number == inbox.phone_number]
            return {"id": same[0].id} if same else None

        path = f"{ACCOUNT}/accounts/{number}/inboxes"
        body = {
            "name": inbox.name,
            "channel": {"type": "whatsapp", "phone_number": inbox.phone_number, **_cloud(inbox)},
        }
        try:
            row = self._told(lambda: self.http.create(path, body, find, headers=self._operator))
        except ApiError as exc:
            if exc.status == 422 and "taken" in exc.message.lower():
                why = (
                    f"{inbox.phone_number} is in use in another account of this Chatwoot, or was until a moment ago"
                    " (it deletes in the background: try again in some minutes)"
                )
                raise ApiError(why, errors.CONFLICT, 422, where=exc.where) from None
            raise
        return number_of(row, "id", f"POST {self.http.base_url}{path}")

    def change_number(self, number: int, inbox: Inbox) -> None:
        """Give a WhatsApp inbox its settings; Chatwoot replaces them whole, so what is not ours goes along."""
        path = f"{ACCOUNT}/accounts/{number}/inboxes/{inbox.id}"
        self._send("PATCH", path, {"channel": _cloud(inbox)}, self._operator)

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
    """The client for ``url`` and ``platform_token``; ``operator_email`` tells the operator from a tenant's own users."""
    token = connection["platform_token"]
    http = Http(connection["url"], secrets=(token,), policy=policy)
    return ChatwootClient(http, token, connection.get("operator_email") or "")


def strong_password() -> str:
    """A password that nobody will know; Chatwoot wants upper and lower case, a digit and a sign."""
    return f"{secrets.token_urlsafe(24)}aA1!"


def _same(left: t.Any, right: str) -> bool:
    return isinstance(left, str) and left.lower() == right.lower()


def rows(value: t.Any, where: str) -> list[Row]:
    """A list of objects; nothing counts as an empty one. Raises ApiError for anything else."""
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise ApiError("the answer is no list of objects", errors.INVALID, 200, where=where)
    return value


def mapping(value: t.Any, where: str) -> Row:
    """An object. Raises ApiError for anything else."""
    if not isinstance(value, dict):
        raise ApiError("the answer is no object", errors.INVALID, 200, where=where)
    return value


def number_of(value: t.Any, key: str, where: str) -> int:
    """A whole number in an object. Raises ApiError where there is none."""
    found = mapping(value, where).get(key)
    if isinstance(found, bool) or not isinstance(found, (int, str)) or not str(found).isdigit():
        raise ApiError(f"the answer has no {key}", errors.INVALID, 200, where=where)
    return int(found)


def _known_account(tenant: t.Mapping[str, t.Any]) -> int:
    seen = (tenant["status"].get("services") or {}).get("chatwoot") or {}
    return int((seen.get("ref") or {}).get("account_id") or 0)


def _body(account: Account) -> Row:
    return {
        "name": account.name,
        "locale": account.locale,
        "domain": account.domain,
        "support_email": account.support_email,
        "status": account.status,
        "limits": {**account.limits, **({} if account.agents is None else {"agents": account.agents})},
        "custom_attributes": {**account.others, "tenant": account.tenant, "slug": account.slug},
    }


def _account(row: Row, where: str) -> Account:
    own = mapping(row, where).get("custom_attributes") or {}
    own = mapping(own, where)
    limits = row.get("limits") if isinstance(row.get("limits"), dict) else {}
    agents = (limits or {}).get("agents")
    return Account(
        name=str(row.get("name") or ""),
        locale=str(row.get("locale") or ""),
        domain=str(row.get("domain") or ""),
        support_email=str(row.get("support_email") or ""),
        status=str(row.get("status") or "active"),
        tenant=str(own.get("tenant") or ""),
        slug=str(own.get("slug") or ""),
        agents=int(str(agents)) if str(agents or "").isdigit() else None,
        id=number_of(row, "id", where),
        others={key: value for key, value in own.items() if key not in ("tenant", "slug")},
        limits={key: value for key, value in (limits or {}).items() if key != "agents"},
    )


def _seat(row: Row, where: str) -> Seat:
    number = number_of(row, "id", where)
    return Seat(number, str(row.get("name") or ""), str(row.get("role") or ""), str(row.get("status") or ""))


def _member(row: Row, where: str) -> Member:
    return Member(number_of(row, "id", where), str(row.get("email") or ""), str(row.get("role") or ""))


def _inbox(row: Row, where: str) -> Inbox:
    config = row.get("provider_config")
    return Inbox(
        id=number_of(row, "id", where),
        name=str(row.get("name") or ""),
        website_url=str(row.get("website_url") or ""),
        channel=str(row.get("channel_type") or ""),
        phone_number=str(row.get("phone_number") or ""),
        provider=str(row.get("provider") or ""),
        config=config if isinstance(config, dict) else {},
    )


def _cloud(inbox: Inbox) -> Row:
    return {"provider": CLOUD, "provider_config": dict(inbox.config)}
