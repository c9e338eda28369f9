"""What the sandbox's providers hold, read from its memory: a second opinion, without our clients."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

Content = dict[str, list[dict[str, object]]]
"""Rows by table."""
# What a tenant of the default plan has at the providers when all is well.
COMPLETE: Mapping[str, int] = {
    "odoo company": 1,
    "odoo user": 1,
    "chatwoot account": 1,
    "chatwoot user": 1,
    "chatwoot inbox": 1,
    "n8n workflow": 3,
    "n8n active workflow": 3,
    "n8n tag": 1,
    "cloudflare record": 1,
    "shopify webhook": 4,
    "shopify metafield": 3,
    "supabase tenant": 1,
    "supabase reader": 1,
    "vercel domain": 1,
    "botpress bot": 1,
    "metabase collection": 1,
    "metabase group": 1,
    "metabase database": 1,
    "metabase dashboard": 2,
    "welcome message": 1,
}
# Made once for the whole installation, and shared by all tenants.
SHARED = ("chatwoot operator", "n8n tag smarteros")
_RUT = re.compile(r"(?<![\dK-])(\d{7,8}-[\dK])(?![\dK-])")

_QUERIES = {
    "odoo company": "SELECT name || ' ' || coalesce(vat, '') FROM odoo_res_company WHERE id > 1",
    "odoo user": """
        SELECT c.name || ' ' || coalesce(c.vat, '') FROM odoo_res_users u JOIN odoo_res_company c ON c.id = u.company_id
        WHERE u.id > 2 AND u.active""",
    "chatwoot account": "SELECT name FROM chatwoot_account WHERE id > 1",
    "chatwoot user": """
        SELECT coalesce((SELECT group_concat(a.name) FROM chatwoot_member m JOIN chatwoot_account a ON a.id = m.account_id
                         WHERE m.user_id = u.id), 'belongs to no account')
        FROM chatwoot_user u WHERE u.id > 1 AND u.email NOT LIKE 'operator@%'""",
    "chatwoot inbox": "SELECT a.name FROM chatwoot_inbox i JOIN chatwoot_account a ON a.id = i.account_id",
    "n8n workflow": "SELECT name FROM n8n_workflows WHERE id != 'ownerWorkflow001'",
    "n8n active workflow": "SELECT name FROM n8n_workflows WHERE active",
    "n8n tag": "SELECT name FROM n8n_tags WHERE name LIKE 'rut:%'",
    "cloudflare record": "SELECT comment FROM cloudflare_records WHERE comment LIKE 'smarteros:%'",
    "shopify webhook": "SELECT uri FROM shopify_webhooks",
    "shopify metafield": """
        SELECT coalesce((SELECT o.value FROM shopify_metafields o WHERE o.shop = m.shop AND o.key = 'rut'), m.shop)
        FROM shopify_metafields m WHERE namespace = 'smarteros'""",
    "supabase tenant": "SELECT id FROM supabase_tenants",
    "supabase reader": "SELECT tenant_id FROM supabase_readers",
    "vercel domain": """
        SELECT coalesce((SELECT t.id FROM supabase_tenants t WHERE d.name IN (t.domain, t.custom_domain)), d.name)
        FROM vercel_domains d WHERE d.name NOT IN ('app.smarterbot.cl', 'taken.example.com')""",
    "botpress bot": "SELECT json_extract(config, '$.description') FROM botpress_bots WHERE id != 'house-bot'",
    "metabase collection": "SELECT description FROM metabase_collections WHERE NOT archived",
    "metabase group": "SELECT name FROM metabase_groups WHERE magic IS NULL",
    "metabase database": "SELECT name FROM metabase_databases WHERE NOT sample",
    "metabase dashboard": "SELECT description FROM metabase_dashboards WHERE NOT archived",
    "welcome message": "SELECT message_id FROM smtp_messages WHERE message_id LIKE '%.welcome.%'",
}
_SHARED_QUERIES = {
    "chatwoot operator": "SELECT count(*) FROM chatwoot_user WHERE email LIKE 'operator@%' AND id > 1",
    "n8n tag smarteros": "SELECT count(*) FROM n8n_tags WHERE name = 'smarteros'",
}
# Everything that a tenant's part could be lost in. Requests, settings and sequences say nothing of that.
_HOLDINGS = """
    SELECT name FROM sqlite_master
    WHERE type = 'table' AND substr(name, 1, instr(name, '_') - 1) IN (
        'odoo', 'chatwoot', 'n8n', 'cloudflare', 'shopify', 'supabase', 'vercel', 'botpress', 'metabase')
    AND name NOT IN ('shopify_tokens', 'shopify_buckets', 'supabase_audit_events', 'metabase_revisions')"""


@dataclass(frozen=True)
class Inventory:
    """``tenants``: kind → count by RUT; ``nameless``: what belongs to no RUT at all; ``rows``: rows by table."""

    tenants: dict[str, Counter[str]]
    nameless: list[str]
    shared: dict[str, int]
    rows: dict[str, int]

    def wrong(self, ruts: Iterable[str]) -> list[str]:
        """Everything that is not as it should be when exactly these tenants are complete; empty when all is well."""
        wanted = set(ruts)
        found = [
            f"{rut} should not be there: {dict(kinds)}" for rut, kinds in self.tenants.items() if rut not in wanted
        ]
        for rut in sorted(wanted):
            kinds = self.tenants.get(rut, Counter())
            found += [
                f"{rut}: {kinds[kind]} instead of {count} {kind}"
                for kind, count in COMPLETE.items()
                if kinds[kind] != count
            ]
        found += [f"belongs to nobody: {each}" for each in self.nameless]
        found += [f"{count} {what} instead of 1" for what, count in self.shared.items() if wanted and count != 1]
        return found


def read(file: Path) -> Inventory:
    """The inventory of a sandbox, by the path of its `state.db`; it may be running."""
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=60) as db:
        tenants: dict[str, Counter[str]] = {}
        nameless: list[str] = []
        for kind, query in _QUERIES.items():
            for (text,) in db.execute(query):
                ruts = sorted(set(_RUT.findall(text or "")))
                nameless += [] if ruts else [f"{kind}: {text}"]
                for rut in ruts:
                    tenants.setdefault(rut, Counter())[kind] += 1
        tenants = {rut: kinds for rut, kinds in tenants.items() if kinds}
        shared = {what: int(db.execute(query).fetchone()[0]) for what, query in _SHARED_QUERIES.items()}
        tables = [name for (name,) in db.execute(_HOLDINGS)]
        rows = {name: int(db.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]) for name in tables}
    db.close()
    return Inventory(tenants, nameless, shared, rows)


def content(file: Path) -> Content:
    """Every row of every provider table, to compare two moments; only the time of a user's last login is left out."""
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=60) as db:
        db.row_factory = sqlite3.Row
        tables = [name for (name,) in db.execute(_HOLDINGS)]
        found = {name: [dict(row) for row in db.execute(f'SELECT * FROM "{name}"')] for name in tables}
    db.close()
    for row in found["odoo_res_users"]:
        row.pop("login_date")
    return {name: sorted(rows, key=repr) for name, rows in found.items()}


def differences(before: Content, after: Content) -> list[str]:
    """The rows that came and went between two contents, as text; empty when they are the same."""
    found = []
    for name in before:
        found += [f"{name} gone: {row}" for row in before[name] if row not in after[name]]
        found += [f"{name} came: {row}" for row in after[name] if row not in before[name]]
    return found
