# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Botpress's first user. Source: botpress/v12, tags v12.26.0 and v12.31.10.

The server makes it at its first start from the environment; this makes sure, and does it where that did not happen.
"""

from __future__ import annotations

import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils.bootstrap.shape import Browser, Room, Trouble

PRODUCT = "Botpress"
PORT = 3000
AUTH = "/api/v2/admin/auth"


def secure(room: Room) -> None:
    """See to it that the first user exists and is ours."""
    browser = Browser(room, PRODUCT, room.params["port"])
    free = _free(browser)
    if free:
        room.outcome.change("create", "first user", None, {"email": room.params["email"]})
        if room.check_mode:
            return
        browser.good("POST", f"{AUTH}/register/basic/default", _who(room.params))
    answer = browser.ask("POST", f"{AUTH}/login/basic/default", _who(room.params))
    if answer.status >= 400 or not ((answer.json() or {}).get("payload") or {}):
        raise Trouble(
            f"{room.params['email']} cannot sign in with the password that is kept (botpress_password)",
            "Set that password in Botpress again: one who signed up before us must not stay its administrator",
        )


def _free(browser: Browser) -> bool:
    """Whether the next visitor would become the administrator. While it starts, it answers 503 with a page."""
    found: list[bool] = []

    def ready() -> bool:
        answer = browser.ask("GET", f"{AUTH}/config")
        body = answer.json()
        if answer.status != 200 or not isinstance(body, dict):
            return False
        found.append(bool((body.get("payload") or {}).get("isFirstUser")))
        return True

    browser.until(ready, "it did not finish starting")
    return found[-1]


def _who(params: t.Mapping[str, t.Any]) -> dict[str, str]:
    return {"email": params["email"], "password": params["password"]}
