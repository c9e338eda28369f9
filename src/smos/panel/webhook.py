# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What Meta's webhook says: the messages in it. Everything else that it may tell (deliveries, templates, …) is passed over."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

OBJECT, FIELD, TEXT = "whatsapp_business_account", "messages", "text"
MOST = 100  # messages of one call; Meta sends them one by one
_ID = re.compile(r"[!-~]{1,256}")
_NUMBER = re.compile(r"[1-9][0-9]{6,14}")
_MOMENT = re.compile(r"[0-9]{1,12}")
_NODE = re.compile(r"[0-9]{1,32}")
_KIND = re.compile(r"[a-z_]{1,40}")


class Malformed(ValueError):
    """A body that is none of Meta's; the message says why and quotes nothing of it."""


@dataclass(frozen=True)
class Message:
    """One message. ``to`` is the id of the number that it was sent to; ``text`` is None where it is no text."""

    id: str
    sender: str
    to: str
    at: int
    kind: str
    text: str | None


def messages(body: bytes) -> list[Message]:
    """The messages of a webhook's body, in their order. Raises Malformed, and then none of them counts."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise Malformed("it is no JSON") from None
    if not isinstance(document, dict) or document.get("object") != OBJECT:
        raise Malformed("it is no event of a WhatsApp account")
    found = []
    for value in _values(document):
        for row in _list(value, "messages", required=False):
            found.append(_message(row, _mapping(value.get("metadata"), "metadata")))
            if len(found) > MOST:
                raise Malformed(f"it has more than {MOST} messages")
    return found


def _values(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for entry in _list(document, "entry"):
        for change in _list(_mapping(entry, "entry"), "changes"):
            if _mapping(change, "change").get("field") == FIELD:
                yield _mapping(change.get("value"), "value")


def _message(row: Any, metadata: Mapping[str, Any]) -> Message:
    message = _mapping(row, "message")
    kind = _text(message, "type", _KIND)
    text = _mapping(message.get("text"), "text").get("body") if kind == TEXT else None
    if kind == TEXT and not isinstance(text, str):
        raise Malformed("the text of a message is no text")
    return Message(
        id=_text(message, "id", _ID),
        sender=_text(message, "from", _NUMBER),
        to=_text(metadata, "phone_number_id", _NODE),
        at=int(_text(message, "timestamp", _MOMENT)),
        kind=kind,
        text=text,
    )


def _text(row: Mapping[str, Any], key: str, form: re.Pattern[str]) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not form.fullmatch(value):
        raise Malformed(f"{key} of a message is not what it should be")
    return value


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Malformed(f"{what} is no object")
    return value


def _list(row: Mapping[str, Any], key: str, *, required: bool = True) -> list[Any]:
    value = row.get(key, None if required else [])
    if not isinstance(value, list):
        raise Malformed(f"{key} is no list")
    return value
