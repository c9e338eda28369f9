# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What the sandbox's WhatsApp keeps: business accounts, numbers, templates, and every message that was sent."""

from __future__ import annotations

import json
import re
import secrets
import sqlite3
from collections.abc import Mapping
from typing import Any

from smos.sandbox.provider import Reply

Row = Mapping[str, Any]

BUSINESS_ACCOUNT, PHONE_NUMBER = "100000000000001", "100000000000002"
SCHEMA = """
CREATE TABLE IF NOT EXISTS whatsapp_accounts (id TEXT PRIMARY KEY, name TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS whatsapp_numbers (
    id TEXT PRIMARY KEY, account_id TEXT NOT NULL, display TEXT NOT NULL, verified_name TEXT NOT NULL,
    registered INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS whatsapp_templates (
    id INTEGER PRIMARY KEY AUTOINCREMENT, account_id TEXT NOT NULL, name TEXT NOT NULL, language TEXT NOT NULL,
    category TEXT NOT NULL, status TEXT NOT NULL, components TEXT NOT NULL, UNIQUE (account_id, name, language));
CREATE TABLE IF NOT EXISTS whatsapp_messages (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, at REAL NOT NULL, sender TEXT NOT NULL,
    recipient TEXT NOT NULL, type TEXT NOT NULL, template TEXT NOT NULL, language TEXT NOT NULL, text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS whatsapp_subscriptions (
    account_id TEXT PRIMARY KEY, override TEXT NOT NULL) WITHOUT ROWID;
"""
# The bodies of the templates in specs/messages, as a person submits them to Meta.
TEMPLATES: Mapping[str, str] = {
    "smarteros_bienvenida": (
        "Hola {{1}}, tu tienda {{2}} ya está lista en {{3}}. Te enviaremos por correo cómo entrar a cada servicio."
        " Si necesitas ayuda, responde a este mensaje."
    ),
    "smarteros_suspension": (
        "Hola {{1}}, la cuenta de {{2}} está suspendida desde el {{3}}. Tus datos se conservan."
        " Responde a este mensaje para reactivarla."
    ),
    "smarteros_reactivacion": "Hola {{1}}, la cuenta de {{2}} está activa de nuevo en {{3}}. Gracias por seguir con nosotros.",
    "smarteros_eliminacion": (
        "Hola {{1}}, la cuenta de {{2}} fue dada de baja el {{3}}. Guardamos tus datos por 30 días;"
        " responde a este mensaje si quieres recuperarla."
    ),
    # of the machine itself: specs/messages/README.md
    "smarteros_respaldo": "Aviso de SmarterOS, ambiente {{1}}: {{2}}. Revisa el estado con smos status.",
    "smarteros_resumen": "SmarterOS {{1}}, resumen del {{2}}: {{3}} Detalle: {{4}}",
    "smarteros_resumen_tienda": "Hola {{1}}, resumen de {{2}} del {{3}}: {{4}} El equipo de SmarterOS.",
    "smarteros_aviso": "SmarterOS, ambiente {{1}}: {{2}}. Tiendas: {{3}}. Revisa el estado con smos tenant list.",
}


class Refused(Exception):
    """A call that Meta refuses, in the envelope of the Graph API."""

    def __init__(self, status: int, code: int, message: str, details: str = "", subcode: int = 0) -> None:
        super().__init__(message)
        self.reply = failure(status, code, message, details, subcode)


def failure(status: int, code: int, message: str, details: str = "", subcode: int = 0) -> Reply:
    """The Graph API's envelope of every error."""
    error: dict[str, Any] = {"message": message, "type": "OAuthException", "code": code}
    if subcode:
        error["error_subcode"] = subcode
    if details:
        error["error_data"] = {"messaging_product": "whatsapp", "details": details}
    error["fbtrace_id"] = "A" + secrets.token_hex(10)
    return Reply(status, {"error": error})


def seed(db: sqlite3.Connection) -> None:
    """The operator's own business account with one number and the templates of the specs, all approved."""
    if db.execute("SELECT 1 FROM whatsapp_accounts LIMIT 1").fetchone():
        return
    db.execute("INSERT INTO whatsapp_accounts VALUES (?, 'SmarterOS sandbox')", (BUSINESS_ACCOUNT,))
    db.execute(
        "INSERT INTO whatsapp_numbers VALUES (?, ?, '+1 555-010-0001', 'SmarterOS', 1)",
        (PHONE_NUMBER, BUSINESS_ACCOUNT),
    )
    for name, body in TEMPLATES.items():
        add_template(db, BUSINESS_ACCOUNT, name, "es", "UTILITY", "APPROVED", [{"type": "BODY", "text": body}])
    hello = [{"type": "BODY", "text": "Welcome and congratulations!! This message demonstrates your ability to send."}]
    add_template(db, BUSINESS_ACCOUNT, "hello_world", "en_US", "UTILITY", "APPROVED", hello)


def add_template(
    db: sqlite3.Connection, account: str, name: str, language: str, category: str, status: str, components: Any
) -> int:
    """A new template; gives its id."""
    cursor = db.execute(
        "INSERT INTO whatsapp_templates (account_id, name, language, category, status, components)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (account, name, language, category, status, json.dumps(components)),
    )
    return int(cursor.lastrowid or 0)


def row(db: sqlite3.Connection, table: str, number: str) -> Row | None:
    """An account (``accounts``) or number (``numbers``) by its id."""
    found: Row | None = db.execute(f"SELECT * FROM whatsapp_{table} WHERE id = ?", (number,)).fetchone()
    return found


def body_of(template: Row) -> str:
    """The text of a template's body, with its places as ``{{1}}``."""
    components = json.loads(template["components"])
    texts = [each.get("text", "") for each in components if str(each.get("type", "")).upper() == "BODY"]
    return str(texts[0]) if texts else ""


def places(text: str) -> int:
    """How many parameters a body takes."""
    return max((int(each) for each in re.findall(r"\{\{(\d+)\}\}", text)), default=0)


def filled(text: str, values: list[str]) -> str:
    """The body as its reader sees it."""
    return re.sub(r"\{\{(\d+)\}\}", lambda match: values[int(match[1]) - 1], text)
