# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Who works in tenants' companies in Odoo: counted, closed together, and opened again.

A login that we close gets a tag on its contact in the same write, so that only those are opened again that we closed.
"""

from __future__ import annotations

import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.odoo import CLOSED_TAG, PAGE, OdooClient, User
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError

_TAGS = "res.partner.category"


def closing_tag(client: OdooClient) -> int:
    """The id of the tag that closed logins bear; 0 when there is none yet."""
    rows = client.records(_TAGS, [["name", "=", CLOSED_TAG]], ["name"])
    return int(rows[0]["id"]) if rows else 0


def make_closing_tag(client: OdooClient) -> int:
    """The id of the tag, made when it is not there."""

    def find() -> int | None:
        return closing_tag(client) or None

    made = find() or client.write(_TAGS, "create", [{"name": CLOSED_TAG}], find=find)
    if not isinstance(made, int):
        raise ApiError("Odoo answers without the tag's id", errors.INVALID, 200)
    return made


def people(client: OdooClient, companies: t.Sequence[int]) -> list[User]:
    """The internal users of these companies, archived ones too; one request for a thousand companies or users."""
    found: dict[int, User] = {}
    for start in range(0, len(companies), PAGE):
        some = list(companies[start : start + PAGE])
        for user in client.users_where([["share", "=", False], ["company_ids", "in", some]]):
            found[user.id] = user
    return list(found.values())


def close(client: OdooClient, users: t.Sequence[int], tag: int) -> None:
    """Archive these users and tag them, in one write; doing it twice does no harm."""
    client.write("res.users", "write", [list(users), {"active": False, "category_id": [[4, tag]]}], repeat=True)


def reopen(client: OdooClient, users: t.Sequence[int], tag: int) -> None:
    """Bring these users back and take the tag away, in one write; doing it twice does no harm."""
    client.write("res.users", "write", [list(users), {"active": True, "category_id": [[3, tag]]}], repeat=True)


def forget(client: OdooClient, user: int, tag: int) -> None:
    """Archive a user who goes for good: without the tag, nobody opens him again."""
    values: dict[str, t.Any] = {"active": False}
    if tag:
        values["category_id"] = [[3, tag]]
    client.change_user(user, values)
