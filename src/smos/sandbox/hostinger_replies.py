"""Hostinger's ways to answer: errors, validation, pages."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from smos.sandbox.provider import Call, Reply

PER_PAGE = 50
Row = TypeVar("Row")


class Refused(Exception):
    """A call that Hostinger refuses."""

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self.reply = reply


def failure(status: int, message: str) -> Reply:
    """The body of every refusal."""
    return Reply(status, {"message": message, "correlation_id": str(uuid.uuid4())})


def unprocessable(wrong: Mapping[str, Sequence[str]]) -> Reply:
    """422, with what is wrong by field; the message is the first text and how many more there are."""
    texts = [text for each in wrong.values() for text in each]
    more = f" (and {len(texts) - 1} more errors)" if len(texts) > 1 else ""
    reply = failure(422, f"{texts[0]}{more}")
    reply.body["errors"] = {name: list(each) for name, each in wrong.items()}
    return reply


def found(row: Row | None) -> Row:
    """The row, or 404 where there is none."""
    if row is None:
        raise Refused(failure(404, "Not Found"))
    return row


def paged(call: Call, rows: Sequence[Any]) -> Reply:
    """One page of a list."""
    text = call.query.get("page", "1")
    page = max(1, int(text)) if text.isdecimal() else 1
    shown = list(rows[(page - 1) * PER_PAGE : page * PER_PAGE])
    return Reply(200, {"data": shown, "meta": {"current_page": page, "per_page": PER_PAGE, "total": len(rows)}})
