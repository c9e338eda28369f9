# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Metabase's first administrator and API key, as its own setup page makes them.

Sources: Metabase's API description (0.58 to 0.60) and its source. A key is shown once, when it is made.
"""

from __future__ import annotations

import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils.bootstrap.shape import (
    KEY_NAME,
    Browser,
    Room,
    Trouble,
    words,
)

PRODUCT = "Metabase"
PORT = 3000
SETUP_S = 180.0  # it hashes, migrates and syncs in that one call
KEYS = "/api/api-key"
ADMINISTRATORS = "admin"  # the group's magic type; its name is translated in places


def secure(room: Room) -> None:
    """Set up the instance where nobody has, and see to a key that works."""
    browser = Browser(room, PRODUCT, room.params["port"])
    browser.until(lambda: browser.ask("GET", "/api/health").status == 200, "it did not become healthy")
    token = _setup_token(browser)
    if token:
        room.outcome.change("create", "administrator", None, {"email": room.params["email"]})
    elif key_works(browser, room.params["api_key"]):
        return
    room.outcome.change("create", "API key", None, {"name": KEY_NAME})
    if room.check_mode:
        return
    if token:
        _setup(browser, room.params, token)
    _login(browser, room.params)
    room.outcome.facts["api_key"] = _new_key(browser)


def _setup_token(browser: Browser) -> str:
    """The token of the setup page; empty once somebody has been there."""
    said = browser.good("GET", "/api/session/properties") or {}
    return "" if said.get("has-user-setup") else str(said.get("setup-token") or "")


def key_works(browser: Browser, key: str) -> bool:
    """Whether this key is one of an administrator."""
    answer = browser.with_key("/api/user/current", "X-API-KEY", key)
    return answer is not None and bool((answer.json() or {}).get("is_superuser"))


def _setup(browser: Browser, params: t.Mapping[str, t.Any], token: str) -> None:
    user = {
        "email": params["email"],
        "password": params["password"],
        "first_name": params["first_name"],
        "last_name": params["last_name"],
    }
    prefs = {"site_name": params["site_name"], "site_locale": params["locale"], "allow_tracking": False}
    answer = browser.ask("POST", "/api/setup", {"token": token, "user": user, "prefs": prefs}, SETUP_S)
    if answer.status == 403:
        return  # it is done: of two runs at once, or of a call whose answer was lost; the login tells by whom
    if answer.status >= 400:
        raise Trouble(browser.refusal("POST", "/api/setup", answer))


def _login(browser: Browser, params: t.Mapping[str, t.Any]) -> None:
    answer = browser.ask("POST", "/api/session", {"username": params["email"], "password": params["password"]})
    if answer.status in (400, 401):
        raise Trouble(
            f"{params['email']} cannot sign in with the password that is kept (metabase_admin_password): {words(answer)}",
            "Set that password in Metabase again; after too many attempts wait some minutes first",
        )
    if answer.status >= 400:
        raise Trouble(browser.refusal("POST", "/api/session", answer))
    browser.cookies.clear()
    browser.headers["X-Metabase-Session"] = str(answer.json()["id"])


def _new_key(browser: Browser) -> str:
    """A key under our name. One of that name is of a run that died before it could keep it: nobody knows it any more."""
    group = _administrators(browser)
    for each in browser.good("GET", KEYS):
        if each.get("name") == KEY_NAME:
            browser.good("DELETE", f"{KEYS}/{each['id']}")
    key = str(browser.good("POST", KEYS, {"name": KEY_NAME, "group_id": group})["unmasked_key"])
    del browser.headers["X-Metabase-Session"]
    if not key_works(browser, key):
        raise Trouble("it made an API key and does not accept it as an administrator's")
    return key


def _administrators(browser: Browser) -> int:
    groups = browser.good("GET", "/api/permissions/group")
    for each in groups:
        if each.get("magic_group_type") == ADMINISTRATORS or each.get("name") == "Administrators":
            return int(each["id"])
    raise Trouble("it has no group of administrators")
