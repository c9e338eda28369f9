# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Dokploy's first administrator and API key, as its own pages make them. Source: recorded answers of 0.30.2."""

from __future__ import annotations

import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils.bootstrap.shape import (
    KEY_NAME,
    Browser,
    Room,
    Trouble,
    words,
)

PRODUCT = "Dokploy"
PORT = 3000
HEALTH = "/api/trpc/settings.health"  # the one that asks the database, and needs no key
SIGN_UP_S = 300.0  # it looks up its public address first: 140 s were measured where there was no internet
PASSWORD_NAME = "dokploy_admin_password"  # noqa: S105 - the name of a secret


def secure(room: Room) -> None:
    """Sign up where nobody has, and see to a key that works."""
    browser = Browser(room, PRODUCT, room.params["port"])
    browser.until(lambda: browser.ask("GET", HEALTH).status == 200, "it did not become healthy with its database")
    if key_works(browser, room.params["api_key"]):
        return
    known = _sign_in(browser, room.params)  # says as well whether there is anybody; writes nothing but a session
    if not known:
        room.outcome.change("create", "administrator", None, {"email": room.params["email"]})
    room.outcome.change("create", "API key", None, {"name": KEY_NAME})
    if room.check_mode:
        return
    if not known:
        _sign_up(browser, room.params)
    room.outcome.facts["api_key"] = _new_key(browser)


def key_works(browser: Browser, key: str) -> bool:
    """Whether this key is good. It is 401 as well while the database is down, which is why health was asked first."""
    return browser.with_key("/api/user.get", "X-API-KEY", key) is not None


def _sign_in(browser: Browser, params: t.Mapping[str, t.Any]) -> bool:
    """Whether the administrator exists with this password. The cookie stays in the browser."""
    path = "/api/auth/sign-in/email"
    refused: list[bool] = []

    def asked() -> bool:
        answer = browser.ask("POST", path, {"email": params["email"], "password": params["password"]})
        if answer.status == 429:
            return False
        if answer.status not in (200, 401):
            raise Trouble(browser.refusal("POST", path, answer))
        if (answer.json() or {}).get("twoFactorRedirect"):
            raise Trouble(
                "its administrator has a second factor, which no machine has", "Make a key by hand and keep it"
            )
        refused.append(answer.status == 401)
        return True

    browser.until(asked, "it refused to be asked so often")
    return not refused[-1]


def _sign_up(browser: Browser, params: t.Mapping[str, t.Any]) -> None:
    path = "/api/auth/sign-up/email"
    user = {"email": params["email"], "name": params["first_name"], "lastName": params["last_name"]}
    answer = browser.ask("POST", path, {**user, "password": params["password"]}, SIGN_UP_S)
    if answer.status in (400, 422) and "already" in words(answer):
        who = "another administrator than" if answer.status == 400 else "another password for"
        raise Trouble(
            f"it has {who} {params['email']}", f"Sign in with that one's, or set the password to {PASSWORD_NAME} there"
        )
    if answer.status >= 400:
        raise Trouble(browser.refusal("POST", path, answer))


def _new_key(browser: Browser) -> str:
    """A key under our name, of the first organisation, without a limit: the default one is used up by five calls."""
    organisations = browser.good("GET", "/api/organization.all") or []
    if not organisations:
        raise Trouble("its administrator belongs to no organisation")
    mine = browser.good("GET", "/api/user.get") or {}
    for each in (mine.get("user") or {}).get("apiKeys") or ():
        if each.get("name") == KEY_NAME:  # of a run that died before it could keep it
            browser.good("POST", "/api/user.deleteApiKey", {"apiKeyId": each["id"]})
    wish = {"name": KEY_NAME, "metadata": {"organizationId": organisations[0]["id"]}, "rateLimitEnabled": False}
    key = str(browser.good("POST", "/api/user.createApiKey", wish)["key"])
    browser.cookies.clear()
    if not key_works(browser, key):
        raise Trouble("it made an API key and does not accept it")
    return key
