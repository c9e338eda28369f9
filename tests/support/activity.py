"""What customers do in the shops of the sandbox: rows as the providers keep them, written into its state."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path

PATIENCE_S = 60.0  # for the sandbox, which writes the same file
Order = tuple[str, datetime, str]
"""Host name of a store, moment, total."""


def _write(state: Path, sql: str, rows: Iterable[Sequence[object]]) -> None:
    with closing(sqlite3.connect(state, timeout=PATIENCE_S)) as db, db:
        db.executemany(sql, list(rows))


def orders(state: Path, rows: Iterable[Order], *, test: bool = False, cancelled: bool = False) -> None:
    """Orders in stores of Shopify."""
    sql = (
        "INSERT INTO shopify_orders (shop, name, processed_at, test, cancelled_at, currency, total)"
        " VALUES (?, '#1', ?, ?, ?, 'CLP', ?)"
    )
    _write(
        state,
        sql,
        ((shop, _iso(at), int(test), _iso(at) if cancelled else None, total) for shop, at, total in rows),
    )


def failures(state: Path, name_starts: str, at: datetime, count: int = 1) -> None:
    """Executions that failed, of the first workflow whose name begins so."""
    stamp = at.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    sql = (
        "INSERT INTO n8n_executions (workflow_id, status, mode, started, stopped)"
        " SELECT id, 'error', 'webhook', ?, ? FROM n8n_workflows WHERE substr(name, 1, length(?3)) = ?3"
        " ORDER BY seq LIMIT 1"
    )
    _write(state, sql, [(stamp, stamp, name_starts)] * count)


def conversation(state: Path, account: int, at: datetime, answered_s: float, *, resolved: bool = True) -> None:
    """A conversation in Chatwoot that was answered, and resolved."""
    moment = at.timestamp()
    _write(
        state,
        "INSERT INTO chatwoot_conversation (account_id, display, inbox_id, contact_id, status, custom_attributes,"
        " additional_attributes, created_at) SELECT ?1, coalesce(max(display), 0) + 1, 0, 0, 'open', '{}', '{}', ?2"
        " FROM chatwoot_conversation WHERE account_id = ?1",
        [(account, moment)],
    )
    events = [(account, "first_response", answered_s, moment)]
    events += [(account, "conversation_resolved", answered_s, moment)] if resolved else []
    sql = "INSERT INTO chatwoot_event (account_id, conversation_id, name, value, created_at) VALUES (?, 0, ?, ?, ?)"
    _write(state, sql, events)


def sales(state: Path, rut: str, at: datetime, total: float, *, confirmed: bool = True) -> None:
    """A sales order of a tenant's company in Odoo."""
    sql = (
        "INSERT INTO odoo_sale_order (name, partner_id, company_id, currency_id, date_order, state, amount_total)"
        " SELECT 'S1', partner_id, id, currency_id, ?, ?, ? FROM odoo_res_company WHERE company_registry = ?"
    )
    moment = at.strftime("%Y-%m-%d %H:%M:%S")
    _write(state, sql, [(moment, "sale" if confirmed else "draft", total, f"smarteros:{rut}")])


def _iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
