# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Chatwoot's reports, as far as the summary of an account goes: it counts events that are noted as they happen."""

from __future__ import annotations

from typing import Any

from smos.sandbox import chatwoot_store as store
from smos.sandbox.chatwoot_account import entitled
from smos.sandbox.chatwoot_store import Row
from smos.sandbox.provider import Call, Reply

RESOLVED, FIRST_RESPONSE = "conversation_resolved", "first_response"


def note(call: Call, conversation: Row, name: str) -> None:
    """Something happened to a conversation; what counts is how long after its beginning, in seconds."""
    call.db.execute(
        "INSERT INTO chatwoot_event (account_id, conversation_id, name, value, created_at) VALUES (?, ?, ?, ?, ?)",
        (conversation["account_id"], conversation["id"], name, call.now - conversation["created_at"], call.now),
    )


def note_first(call: Call, conversation: Row, name: str) -> None:
    """The same, once for each conversation."""
    sql = "SELECT 1 FROM chatwoot_event WHERE conversation_id = ? AND name = ?"
    if call.db.execute(sql, (conversation["id"], name)).fetchone() is None:
        note(call, conversation, name)


def summary(call: Call) -> Reply:
    """The figures of an account in a span of time, and those of the span before it; for administrators."""
    account = entitled(call)
    since, until = _moment(call, "since"), _moment(call, "until")
    now = _figures(call, account, since, until)
    return Reply(200, {**now, "previous": _figures(call, account, since - (until - since), since)})


def _moment(call: Call, name: str) -> float:
    try:
        return float(call.query[name])
    except (KeyError, ValueError):
        raise store.crash() from None


def _figures(call: Call, account: Row, since: float, until: float) -> dict[str, Any]:
    span = (account["id"], since, until)
    between = "account_id = ? AND created_at >= ? AND created_at < ?"
    opened = call.db.execute(f"SELECT count(*) FROM chatwoot_conversation WHERE {between}", span).fetchone()[0]
    events = f"FROM chatwoot_event WHERE {between} AND name = ?"
    resolved, took = call.db.execute(f"SELECT count(*), avg(value) {events}", (*span, RESOLVED)).fetchone()
    answered = call.db.execute(f"SELECT avg(value) {events}", (*span, FIRST_RESPONSE)).fetchone()[0]
    messages = call.db.execute(
        "SELECT coalesce(sum(m.type = 0), 0), coalesce(sum(m.type = 1), 0) FROM chatwoot_message m"
        " JOIN chatwoot_conversation c ON c.id = m.conversation_id"
        " WHERE c.account_id = ? AND m.created_at >= ? AND m.created_at < ?",
        span,
    ).fetchone()
    return {
        "conversations_count": opened,
        "incoming_messages_count": messages[0],
        "outgoing_messages_count": messages[1],
        "avg_first_response_time": _average(answered),
        "avg_resolution_time": _average(took),
        "resolutions_count": resolved,
        "reply_time": 0,
    }


def _average(seconds: float | None) -> str:
    """A decimal number as Rails writes it, a text; zero where there was nothing."""
    return f"{seconds or 0:.1f}"
