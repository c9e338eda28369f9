# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""A mail server that keeps everything and delivers nothing: what its mailbox looks like, and whom it refuses.

It speaks SMTP on a port of its own (``smtp_server.py``); over HTTP, under ``/smtp``, the mailbox can be read.
Addresses at ``bounce.example`` are refused for good, those at ``busy.example`` for now.
"""

from __future__ import annotations

import email
import email.policy
import sqlite3
import time
from collections.abc import Mapping
from typing import Any

from smos.sandbox.provider import Call, Operation, Provider, Reply

Row = Mapping[str, Any]
USER = "smarteros"
LIMITED = "sandbox-smtp-limited"  # may log in, may not send
REFUSED, BUSY = "@bounce.example", "@busy.example"
SCHEMA = """
CREATE TABLE IF NOT EXISTS smtp_messages (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, sender TEXT NOT NULL, recipients TEXT NOT NULL,
    message_id TEXT NOT NULL, subject TEXT NOT NULL, text TEXT NOT NULL);
"""


def refusal(address: str) -> tuple[int, str] | None:
    """Code and text with which a recipient is refused; None for a good one."""
    lowered = address.lower()
    if lowered.endswith(REFUSED):
        return 550, "5.1.1 The email account that you tried to reach does not exist"
    if lowered.endswith(BUSY):
        return 451, "4.7.1 Greylisted, please try again later"
    return None if "@" in address else (553, "5.1.3 Bad recipient address syntax")


def keep(db: sqlite3.Connection, sender: str, recipients: list[str], raw: bytes) -> str:
    """Put a message into the mailbox; gives the number that the server calls it by."""
    message = email.message_from_bytes(raw, policy=email.policy.default)
    body = message.get_body(("plain", "html"))
    text = body.get_content() if body is not None else ""
    cursor = db.execute(
        "INSERT INTO smtp_messages (at, sender, recipients, message_id, subject, text) VALUES (?, ?, ?, ?, ?, ?)",
        (
            time.time(),
            sender,
            ", ".join(recipients),
            str(message["Message-ID"] or ""),
            str(message["Subject"] or ""),
            str(text).replace("\r\n", "\n"),
        ),
    )
    return f"SANDBOX{cursor.lastrowid}"


def messages(call: Call) -> Reply:
    """The mailbox, oldest first."""
    rows = call.db.execute("SELECT * FROM smtp_messages ORDER BY seq")
    return Reply(200, {"messages": [dict(row) for row in rows]})


def authenticate(_call: Call, _accepted: frozenset[str]) -> Reply | None:
    """The mailbox is open to every program of this machine, as the outbox of the control API is."""
    return None


def fault_reply(status: int, message: str) -> Reply:
    return Reply(status, {"message": message})


def seed(_db: sqlite3.Connection) -> None:
    """The mailbox starts empty."""


PROVIDER = Provider(
    name="smtp",
    base="/smtp",
    schema=SCHEMA,
    operations=(Operation("GET", "/messages", "messages.list", messages, writes=False),),
    authenticate=authenticate,
    seed=seed,
    fault_reply=fault_reply,
)
