"""The settings of a zone on the Free plan: what they are at first, and which values Cloudflare takes."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from smos.sandbox.cloudflare_records import Invalid

SCHEMA = """
CREATE TABLE IF NOT EXISTS cloudflare_settings (
    zone_id TEXT NOT NULL, id TEXT NOT NULL, value TEXT NOT NULL, modified_on TEXT, PRIMARY KEY (zone_id, id));
"""
SWITCH = ("on", "off")
SECONDS = (0, 30, 60, 300, 1200, 1800, 3600, 7200, 10800, 14400, 18000, 28800, 43200, 57600, 72000, 86400, 31536000)
UNKNOWN, REFUSED, NOT_IN_PLAN = 1003, 1007, 1015
# By id: the value of a new zone first, then the others
VALUES: dict[str, tuple[Any, ...]] = {
    "ssl": ("flexible", "off", "full", "strict"),
    "ssl_automatic_mode": ("auto", "custom"),
    "min_tls_version": ("1.0", "1.1", "1.2", "1.3"),
    "tls_1_3": ("on", "off", "zrt"),
    "browser_cache_ttl": (14400, *(each for each in SECONDS if each != 14400)),
    "edge_cache_ttl": (7200, *(each for each in SECONDS[:-1] if each > 7200)),
    **dict.fromkeys(
        ("http3", "http2", "websockets", "automatic_https_rewrites", "opportunistic_encryption", "ipv6"), SWITCH
    ),
    **dict.fromkeys(("always_use_https", "0rtt", "early_hints", "always_online"), ("off", "on")),
}
NOT_EDITABLE = frozenset({"edge_cache_ttl", "http2"})  # without a larger plan


def read(db: sqlite3.Connection, zone: str, name: str) -> dict[str, Any]:
    """One setting as Cloudflare shows it. Raises Invalid."""
    if name not in VALUES:
        raise Invalid(UNKNOWN, "Invalid setting name")
    row = db.execute("SELECT * FROM cloudflare_settings WHERE zone_id = ? AND id = ?", (zone, name)).fetchone()
    value, modified = (json.loads(row["value"]), row["modified_on"]) if row else (VALUES[name][0], None)
    return {"id": name, "value": value, "editable": name not in NOT_EDITABLE, "modified_on": modified}


def write(db: sqlite3.Connection, zone: str, name: str, body: Any, now: str) -> dict[str, Any]:
    """Change one setting. Raises Invalid."""
    read(db, zone, name)
    if not isinstance(body, dict) or "value" not in body or body["value"] not in VALUES[name]:
        raise Invalid(REFUSED, f"Invalid value for zone setting {name}")
    if name in NOT_EDITABLE:
        raise Invalid(NOT_IN_PLAN, f"Not allowed to edit setting for {name}")
    db.execute(
        "INSERT INTO cloudflare_settings VALUES (?,?,?,?) ON CONFLICT (zone_id, id) DO UPDATE"
        " SET value = excluded.value, modified_on = excluded.modified_on",
        (zone, name, json.dumps(body["value"]), now),
    )
    return read(db, zone, name)
