# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What the sandbox was given to send to people: WhatsApp messages and mail, one list in the order of time."""

from __future__ import annotations

from typing import Any

from smos.sandbox.state import State

PROVIDERS = ("whatsapp", "smtp")
_QUERIES = {
    "whatsapp": """
        SELECT 'whatsapp' AS provider, at, recipient AS recipients, id, template, language, '' AS subject, text
        FROM whatsapp_messages""",
    "smtp": """
        SELECT 'smtp' AS provider, at, recipients, message_id AS id, '' AS template, '' AS language, subject, text
        FROM smtp_messages""",
}


def find(state: State, provider: str = "", limit: int = 100) -> dict[str, Any]:
    """The newest messages, oldest first: ``{"messages": [...], "matching": int}``; of one provider when it is named.

    Each has ``provider, at, to, id, template, language, subject, text``. Raises ValueError for an unknown provider.
    """
    if provider not in ("", *PROVIDERS):
        raise ValueError(f"provider: {provider!r} is none of {', '.join(PROVIDERS)}")
    there = {each.name for each in state.providers}
    wanted = [_QUERIES[name] for name in PROVIDERS if name in there and provider in ("", name)]
    if not wanted:
        return {"messages": [], "matching": 0}
    every = " UNION ALL ".join(wanted)
    matching = int(state.db.execute(f"SELECT count(*) FROM ({every})").fetchone()[0])
    rows = state.db.execute(f"SELECT * FROM ({every}) ORDER BY at DESC LIMIT ?", (limit,)).fetchall()
    shown = [{("to" if key == "recipients" else key): row[key] for key in row.keys()} for row in reversed(rows)]  # noqa: SIM118  # a Row iterates over its values
    return {"messages": shown, "matching": matching}
