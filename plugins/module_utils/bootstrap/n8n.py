# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""n8n's owner and API key, as its own setup page makes them; 1.6x to 2.x.

Sources: n8n's package (1.64.3, 2.41.1), and both run. A key is shown once, when it is made.
"""

from __future__ import annotations

import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils.bootstrap.shape import (
    KEY_NAME,
    Browser,
    Room,
    Trouble,
)

PRODUCT = "n8n"
PORT = 5678
BROWSER = "smarteros-bootstrap"  # n8n binds a session to the browser that says so at login
LABELS_OF_OLD = "My API Key"  # before 1.7x every key is called that, whatever one asks for
KEYS = "/rest/api-keys"
KEY_OF_OLD = "/rest/me/api-key"  # one key per user, before there was a list of them


def secure(room: Room) -> None:
    """Claim the instance where nobody has, and see to a key that works."""
    browser = Browser(room, PRODUCT, room.params["port"], {"browser-id": BROWSER})
    free = _free(browser)
    if free:
        room.outcome.change("create", "owner", None, {"email": room.params["email"]})
    if not free and key_works(browser, room.params["api_key"]):
        return
    room.outcome.change("create", "API key", None, {"label": KEY_NAME})
    if room.check_mode:
        return
    if free:
        _claim(browser, room.params)
    _login(browser, room.params)
    room.outcome.facts["api_key"] = _new_key(browser)


def _free(browser: Browser) -> bool:
    """Whether the next visitor would become the owner. While n8n starts, every path answers 200 with a plain text."""
    found: list[bool] = []

    def ready() -> bool:
        answer = browser.ask("GET", "/rest/settings")
        body = answer.json()
        if answer.status != 200 or not isinstance(body, dict):
            return False
        found.append(bool(body["data"]["userManagement"]["showSetupOnFirstLoad"]))
        return True

    browser.until(ready, "it did not finish starting")
    return found[-1]


def key_works(browser: Browser, key: str) -> bool:
    """Whether this key opens the public API."""
    return browser.with_key("/api/v1/workflows?limit=1", "X-N8N-API-KEY", key) is not None


def _claim(browser: Browser, params: t.Mapping[str, t.Any]) -> None:
    owner = {"email": params["email"], "firstName": params["first_name"], "lastName": params["last_name"]}
    answer = browser.ask("POST", "/rest/owner/setup", {**owner, "password": params["password"]})
    if answer.status >= 400:
        raise Trouble(browser.refusal("POST", "/rest/owner/setup", answer))


def _login(browser: Browser, params: t.Mapping[str, t.Any]) -> None:
    browser.cookies.clear()
    who = params["email"]
    # 1.x wants `email`, later ones the long name; each ignores the other
    answer = browser.ask(
        "POST", "/rest/login", {"emailOrLdapLoginId": who, "email": who, "password": params["password"]}
    )
    if answer.status == 401:
        raise Trouble(
            f"the owner {who} cannot sign in with the password that is kept (n8n_owner_password)",
            "Set that password in n8n again (and no second factor), or start anew with `n8n user-management:reset` in its container",
        )
    if answer.status >= 400:
        raise Trouble(browser.refusal("POST", "/rest/login", answer))


def _new_key(browser: Browser) -> str:
    """A key under our name. One of that name is of a run that died before it could keep it: nobody knows it any more."""
    listed = browser.ask("GET", f"{KEYS}?ownership=mine&label={KEY_NAME}")  # older ones list all of this user
    if listed.status == 404:
        key = str(browser.good("POST", KEY_OF_OLD)["data"]["apiKey"])
    else:
        if listed.status >= 400:
            raise Trouble(browser.refusal("GET", KEYS, listed))
        scopes = _scopes(browser)
        _remove_lost(browser, _rows(listed.json()["data"]), KEY_NAME if scopes else LABELS_OF_OLD)
        made = browser.good("POST", KEYS, {"label": KEY_NAME, "expiresAt": None, "scopes": scopes})["data"]
        key = str(made.get("rawApiKey") or made["apiKey"])
    if not key_works(browser, key):
        raise Trouble("it made an API key and does not accept it")
    return key


def _rows(data: t.Any) -> list[dict[str, t.Any]]:
    """The keys of a list; newer versions page it."""
    rows = data if isinstance(data, list) else data.get("items") or data.get("data") or []
    return [each for each in rows if isinstance(each, dict)]


def _remove_lost(browser: Browser, rows: t.Sequence[dict[str, t.Any]], label: str) -> None:
    for each in rows:
        if each.get("label") == label:
            browser.good("DELETE", f"{KEYS}/{each['id']}")


def _scopes(browser: Browser) -> list[str]:
    """All that the owner may do; versions without scopes answer something else."""
    answer = browser.ask("GET", f"{KEYS}/scopes")
    body = answer.json()
    data = body.get("data") if answer.status == 200 and isinstance(body, dict) else None
    return [str(each) for each in data] if isinstance(data, list) else []
