# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""So much of Chatwoot as provisioning touches, in memory. It lists accounts only when told to be a 4.x."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.chatwoot import ChatwootClient
from ansible_collections.smartercl.smarteros.tests.unit.plugins.fakes.wire import Request, Wire

TOKEN = "planted-platform-token"
Row = dict[str, t.Any]
_PLATFORM_ACCOUNT = re.compile(r"/platform/api/v1/accounts/(\d+)(/account_users)?$")
_IN_ACCOUNT = re.compile(r"/api/v1/accounts/(\d+)/(agents|inboxes)(?:/(\d+))?$")


class FakeChatwoot(Wire):
    """``accounts``, ``users`` and ``inboxes`` by id; ``links`` role by (account, user). Account 1 is not ours."""

    def __init__(self, lists: bool = False) -> None:
        super().__init__()
        self.lists = lists
        self.accounts: dict[int, Row] = {1: {"id": 1, "name": "Operator's own", "status": "active", "foreign": True}}
        self.users: dict[int, Row] = {}
        self.inboxes: dict[int, Row] = {}
        self.links: dict[tuple[int, int], str] = {}
        self.refuse: t.Callable[[Request], tuple[int, t.Any] | None] = lambda _request: None
        self._next = 2

    def client(self, token: str = TOKEN) -> ChatwootClient:
        """A client of this Chatwoot that never sleeps."""
        return ChatwootClient(self.http(secrets=(token,)), token)

    def of(self, tenant: str) -> list[Row]:
        """The accounts of a tenant."""
        return [each for each in self.accounts.values() if each.get("custom_attributes", {}).get("tenant") == tenant]

    def state(self) -> dict[str, t.Any]:
        """Everything, for comparing."""
        return {"accounts": self.accounts, "inboxes": self.inboxes, "links": self.links, "users": self.users}

    def counts(self) -> dict[str, int]:
        """How many there are of everything."""
        return {
            "accounts": len(self.accounts),
            "inboxes": len(self.inboxes),
            "users": len(self.users),
            "links": len(self.links),
        }

    def writes(self, request: Request) -> bool:
        return request.method != "GET"

    def handle(self, request: Request) -> tuple[int, t.Any]:
        refusal = self.refuse(request)
        if refusal is not None:
            return refusal
        token = request.headers.get("api_access_token")
        if request.path.startswith("/platform/"):
            return self._platform(request) if token == TOKEN else (401, {"error": "Invalid access_token"})
        user = next((each for each in self.users.values() if each["access_token"] == token), None)
        if user is None:
            return 401, {"error": "Invalid Access Token"}
        if request.path == "/api/v1/profile":
            return 200, self._shown_user(user)
        found = _IN_ACCOUNT.match(request.path)
        return (
            self._in_account(request, int(found[1]), found[2], found[3], user)
            if found
            else (404, {"error": "Not Found"})
        )

    def _platform(self, request: Request) -> tuple[int, t.Any]:
        body, found = request.body, _PLATFORM_ACCOUNT.match(request.path)
        if request.path == "/platform/api/v1/users":
            return 200, self._user(body)
        if request.path.startswith("/platform/api/v1/users/"):
            user = self.users.get(int(request.path.rpartition("/")[2]))
            if user and request.method == "DELETE":
                del self.users[user["id"]]
                return 200, None
            return (200, self._shown_user(user)) if user else (404, {"error": "Resource could not be found"})
        if request.path == "/platform/api/v1/accounts":
            if request.method == "POST":
                self.accounts[self._next] = {"id": self._next, "status": "active", **body}
                self._next += 1
                return 200, self.accounts[self._next - 1]
            ours = [each for each in self.accounts.values() if not each.get("foreign")]
            return (200, ours) if self.lists else (404, {"status": 404, "error": "Not Found"})
        account = self.accounts.get(int(found[1])) if found else None
        if account is None:
            return 404, {"error": "Resource could not be found"}
        if account.get("foreign"):
            return 401, {"error": "Non permissible resource"}
        return self._platform_account(request, account, bool(found and found[2]))

    def _platform_account(self, request: Request, account: Row, users: bool) -> tuple[int, t.Any]:
        number = account["id"]
        if users and request.method == "POST":
            self.links[(number, request.body["user_id"])] = request.body["role"]
            return 200, {"account_id": number, **request.body}
        if users:
            links = {user: role for (where, user), role in self.links.items() if where == number}
            return 200, [{"account_id": number, "user_id": user, "role": role} for user, role in links.items()]
        if request.method == "PATCH":
            account.update(request.body)
        if request.method == "DELETE":
            del self.accounts[number]
            self.inboxes = {key: each for key, each in self.inboxes.items() if each["account"] != number}
            self.links = {key: role for key, role in self.links.items() if key[0] != number}
            return 200, None
        return 200, account

    def _in_account(self, request: Request, number: int, what: str, inbox: str | None, user: Row) -> tuple[int, t.Any]:
        if self.links.get((number, user["id"])) != "administrator":
            return 401, {"error": "You are not authorized to access this account"}
        if self.accounts[number]["status"] == "suspended":
            return 401, {"error": "Account is suspended"}
        if what == "agents":
            links = {each: role for (where, each), role in self.links.items() if where == number}
            return 200, [{**self.users[each], "role": role, "access_token": None} for each, role in links.items()]
        if inbox:
            self.inboxes[int(inbox)].update(request.body["channel"])
            return 200, self.inboxes[int(inbox)]
        if request.method == "POST":
            channel = request.body["channel"]
            row = {"id": len(self.inboxes) + 1, "account": number, "name": request.body["name"]}
            row |= {"channel_type": "Channel::WebWidget", "website_url": channel["website_url"]}
            self.inboxes[row["id"]] = row
            return 200, row
        return 200, {"payload": [each for each in self.inboxes.values() if each["account"] == number]}

    def _user(self, body: Row) -> Row:
        known = next((each for each in self.users.values() if each["email"] == body["email"].lower()), None)
        if known is None:
            number = max(self.users, default=0) + 1
            known = {
                "id": number,
                "name": body["name"],
                "email": body["email"].lower(),
                "access_token": f"personal-token-{number}",
                "custom_attributes": body.get("custom_attributes", {}),
            }
            self.users[number] = known
        return self._shown_user(known)

    def _shown_user(self, user: Row) -> Row:
        seats = [
            {
                "id": number,
                "name": self.accounts[number]["name"],
                "role": role,
                "status": self.accounts[number]["status"],
            }
            for (number, each), role in self.links.items()
            if each == user["id"]
        ]
        return {**user, "accounts": seats}
