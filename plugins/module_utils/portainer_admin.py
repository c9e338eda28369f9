# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Portainer's administrator. Source: portainer/portainer, release 2.21 (api/http/handler/users, auth, status)."""

from __future__ import annotations

import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils.bootstrap.shape import Browser, Room, Trouble, words

PRODUCT = "Portainer"
PORT = 9000
EXISTS = "/api/users/admin/check"  # 204 where there is an administrator, 404 where there is none
LEAST_PASSWORD = 12  # characters; it refuses shorter ones
PASSWORD_NAME = "portainer_admin_password"  # noqa: S105 - the name of a secret


def secure(room: Room) -> None:
    """Make the administrator where there is none, and know that it is ours."""
    if len(room.params["password"]) < LEAST_PASSWORD:
        raise Trouble(f"{PASSWORD_NAME} has less than the {LEAST_PASSWORD} characters that it asks for")
    browser = Browser(room, PRODUCT, room.params["port"])
    found: list[int] = []

    def ready() -> bool:
        found.append(browser.ask("GET", EXISTS).status)
        return found[-1] in (204, 404)

    browser.until(ready, "it did not finish starting")
    if found[-1] == 404:
        room.outcome.change("create", "administrator", None, {"login": room.params["login"]})
        if room.check_mode:
            return
        browser.good("POST", "/api/users/admin/init", _who(room.params))
    answer = browser.ask("POST", "/api/auth", _who(room.params))
    if answer.status >= 400 or not (answer.json() or {}).get("jwt"):
        raise Trouble(
            f"{room.params['login']} cannot sign in with the password that is kept ({PASSWORD_NAME}): {words(answer)}",
            "Set that password in Portainer again: one who was there before us must not stay its administrator",
        )


def _who(params: t.Mapping[str, t.Any]) -> dict[str, str]:
    return {"Username": params["login"], "Password": params["password"]}
