"""What the parts of the sandbox's Vercel share: ids, refusals, moments, fields of bodies."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from smos.sandbox.provider import Call

PERSONAL = "sandboxUser0000000000001"
TEAM, TEAM_SLUG = "team_sandbox0000000000000001", "smarteros-sandbox"
SEEDED, PROJECT_TOKEN = "smarteros-app", "prj_sandbox0000000000000001"  # name and id of the house's project
ELSEWHERE, ELSEWHERE_ID = "blog", "prj_sandbox0000000000000002"


class Refused(Exception):
    """A call that Vercel refuses: HTTP status, code, message, and further fields of the error."""

    def __init__(self, status: int, code: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status, self.code, self.more = status, code, more


def invalid(message: str) -> Refused:
    """A body or query that does not fit."""
    return Refused(400, "bad_request", f"Invalid request: {message}")


def stamp(day: str) -> int:
    """The start of a day as Vercel counts time: milliseconds since 1970."""
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() * 1000)


def moment(call: Call, table: str) -> int:
    """Now, and later than any row of the table: pages are cut at moments, so no two rows may share one."""
    latest: int = call.db.execute(f"SELECT coalesce(max(created), 0) FROM {table}").fetchone()[0]
    return max(int(call.now * 1000), latest + 1)


def project_of(call: Call, named: str | None = None) -> sqlite3.Row:
    """The project that the call names, within its account; the personal account has none."""
    wanted = call.params["project"] if named is None else named
    row: sqlite3.Row | None = None
    if call.query.get("teamId") or call.query.get("slug"):
        row = call.db.execute("SELECT * FROM vercel_projects WHERE id = ? OR name = ?", (wanted, wanted)).fetchone()
    if row is None:
        raise Refused(404, "not_found", "Project not found.")
    return row


def body_of(call: Call, known: Collection[str] | None = None) -> dict[str, Any]:
    """The body as an object; with ``known``, no other fields."""
    if not isinstance(call.body, dict):
        raise invalid("the body should be an object.")
    for name in call.body if known is not None else ():
        if name not in (known or ()):
            raise invalid(f"should NOT have additional property `{name}`.")
    return call.body


def text(body: Mapping[str, Any], name: str, most: int = 10_000, null: bool = False) -> str | None:
    """A text of the body; None where it is absent (or null, where that is allowed)."""
    value = body.get(name)
    if value is None and (null or name not in body):
        return None
    if not isinstance(value, str):
        raise invalid(f"`{name}` should be string.")
    if len(value) > most:
        raise invalid(f"`{name}` should NOT be longer than {most} characters.")
    return value


def number(query: Mapping[str, str], name: str) -> int | None:
    """A whole number of the query; None where it is absent."""
    if name not in query:
        return None
    try:
        return int(float(query[name]))
    except (ValueError, OverflowError):
        raise invalid(f"`{name}` should be number.") from None


def limit_of(query: Mapping[str, str]) -> int:
    """How many rows a page shall have: 1 to 100, 20 unless told."""
    limit = number(query, "limit")
    if limit is not None and not 1 <= limit <= 100:
        raise invalid("`limit` should be between 1 and 100.")
    return 20 if limit is None else limit
