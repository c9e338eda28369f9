"""Hostinger's DNS zones: record sets, the overwrite flag, the copies made at each change, and where domains are delegated."""

from __future__ import annotations

import ipaddress
import json
import re
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from smos.sandbox.hostinger_replies import Refused, found, unprocessable
from smos.sandbox.provider import Call, Reply

ZONE = "/api/dns/v1/zones/{domain}"
SNAPSHOTS = "/api/dns/v1/snapshots/{domain}"
TYPES = ("A", "AAAA", "CNAME", "ALIAS", "MX", "TXT", "NS", "SOA", "SRV", "CAA")
NAME = re.compile(r"^(@|\*|(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9])?)*)$")
DEFAULT_TTL = 14400

SCHEMA = """
CREATE TABLE IF NOT EXISTS hostinger_domains (
    id INTEGER PRIMARY KEY, domain TEXT NOT NULL UNIQUE, ns1 TEXT NOT NULL, ns2 TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS hostinger_records (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, domain TEXT NOT NULL, name TEXT NOT NULL, type TEXT NOT NULL,
    ttl INTEGER NOT NULL, content TEXT NOT NULL, is_disabled INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS hostinger_zone_copies (
    id INTEGER PRIMARY KEY AUTOINCREMENT, domain TEXT NOT NULL, reason TEXT NOT NULL, zone TEXT NOT NULL,
    created_at TEXT NOT NULL);
"""


def get_zone(call: Call) -> Reply:
    return Reply(200, _zone(call))


def put_zone(call: Call) -> Reply:
    domain, sets, overwrite = _domain(call), _checked(call), call.body.get("overwrite", True)
    _copy(call, "Zone records update request")
    for each in sets:
        key = (domain, each["name"], each["type"])
        if overwrite:
            call.db.execute("DELETE FROM hostinger_records WHERE domain = ? AND name = ? AND type = ?", key)
        known = call.db.execute(
            "SELECT ttl FROM hostinger_records WHERE domain = ? AND name = ? AND type = ?", key
        ).fetchone()
        ttl = each["ttl"] or (known["ttl"] if known else DEFAULT_TTL)
        update = "UPDATE hostinger_records SET ttl = ? WHERE domain = ? AND name = ? AND type = ?"
        call.db.execute(update, (ttl, *key))
        call.db.executemany(
            "INSERT INTO hostinger_records (domain, name, type, ttl, content, is_disabled) VALUES (?, ?, ?, ?, ?, 0)",
            [(*key, ttl, content) for content in each["contents"]],
        )
    return Reply(200, {"message": "Request accepted"})


def delete_records(call: Call) -> Reply:
    domain = _domain(call)
    filters = call.body.get("filters") if isinstance(call.body, Mapping) else None
    if not isinstance(filters, list) or not all(isinstance(each, Mapping) for each in filters):
        raise Refused(unprocessable({"filters": ["The filters field is required."]}))
    _copy(call, "Zone records delete request")
    for each in filters:
        call.db.execute(
            "DELETE FROM hostinger_records WHERE domain = ? AND name = ? AND type = ?",
            (domain, each.get("name"), each.get("type")),
        )
    return Reply(200, {"message": "Request accepted"})


def validate(call: Call) -> Reply:
    _domain(call)
    _checked(call)
    return Reply(200, {"message": "Request accepted"})


def list_copies(call: Call) -> Reply:
    rows = call.db.execute(
        "SELECT id, reason, created_at FROM hostinger_zone_copies WHERE domain = ? ORDER BY id DESC", (_domain(call),)
    ).fetchall()
    return Reply(200, [dict(row) for row in rows])


def restore_copy(call: Call) -> Reply:
    domain, number = _domain(call), int(call.params["copy"])
    query = "SELECT zone FROM hostinger_zone_copies WHERE domain = ? AND id = ?"
    zone = json.loads(found(call.db.execute(query, (domain, number)).fetchone())["zone"])
    _copy(call, "Snapshot restore request")
    call.db.execute("DELETE FROM hostinger_records WHERE domain = ?", (domain,))
    for each in zone:
        call.db.executemany(
            "INSERT INTO hostinger_records (domain, name, type, ttl, content, is_disabled) VALUES (?, ?, ?, ?, ?, ?)",
            [
                (domain, each["name"], each["type"], each["ttl"], r["content"], r["is_disabled"])
                for r in each["records"]
            ],
        )
    return Reply(200, {"message": "Request accepted"})


def list_domains(call: Call) -> Reply:
    rows = call.db.execute("SELECT * FROM hostinger_domains ORDER BY id").fetchall()
    return Reply(200, [_domain_shown(row) for row in rows])


def get_domain(call: Call) -> Reply:
    query = "SELECT * FROM hostinger_domains WHERE domain = ?"
    row = found(call.db.execute(query, (call.params["domain"],)).fetchone())
    return Reply(
        200,
        {
            "domain": row["domain"],
            "status": "active",
            "message": None,
            "is_privacy_protection_allowed": True,
            "is_privacy_protected": True,
            "is_lockable": True,
            "is_locked": True,
            "name_servers": {"ns1": row["ns1"], "ns2": row["ns2"]},
            "child_name_servers": [],
        },
    )


def put_name_servers(call: Call) -> Reply:
    body = call.body if isinstance(call.body, Mapping) else {}
    if not all(isinstance(body.get(name), str) for name in ("ns1", "ns2")):
        raise Refused(unprocessable({"ns1": ["The ns1 field is required."]}))
    update = "UPDATE hostinger_domains SET ns1 = ?, ns2 = ? WHERE domain = ?"
    found(call.db.execute(update, (body["ns1"], body["ns2"], call.params["domain"])).rowcount or None)
    return Reply(200, {"message": "Request accepted"})


def seed(db: sqlite3.Connection) -> None:
    """A domain that Hostinger serves, with records of other people, and one that is delegated elsewhere."""
    domains = (
        (13632, "example.com", "ns1.dns-parking.com", "ns2.dns-parking.com"),
        (13633, "smarterbot.cl", "ana.ns.example.net", "bob.ns.example.net"),
    )
    db.executemany("INSERT INTO hostinger_domains VALUES (?, ?, ?, ?)", domains)
    records = (
        ("example.com", "@", "A", 14400, "203.0.113.7", 0),
        ("example.com", "@", "TXT", 14400, '"v=spf1 include:mail.example.net ~all"', 0),
        ("example.com", "@", "TXT", 14400, '"site-verification=abc"', 0),
        ("example.com", "old", "A", 14400, "203.0.113.8", 1),
        ("example.com", "@", "MX", 14400, "10 mail.example.net.", 0),
    )
    db.executemany(
        "INSERT INTO hostinger_records (domain, name, type, ttl, content, is_disabled) VALUES (?, ?, ?, ?, ?, ?)",
        records,
    )


def _domain(call: Call) -> str:
    query = "SELECT domain FROM hostinger_domains WHERE domain = ?"
    return str(found(call.db.execute(query, (call.params["domain"],)).fetchone())["domain"])


def _zone(call: Call) -> list[dict[str, Any]]:
    sets: dict[tuple[str, str], dict[str, Any]] = {}
    rows = call.db.execute("SELECT * FROM hostinger_records WHERE domain = ? ORDER BY seq", (_domain(call),)).fetchall()
    for row in rows:
        key = (row["name"], row["type"])
        fresh = {"name": row["name"], "type": row["type"], "ttl": row["ttl"], "records": []}
        record = {"content": row["content"], "is_disabled": bool(row["is_disabled"])}
        sets.setdefault(key, fresh)["records"].append(record)
    return list(sets.values())


def _copy(call: Call, reason: str) -> None:
    call.db.execute(
        "INSERT INTO hostinger_zone_copies (domain, reason, zone, created_at) VALUES (?, ?, ?, ?)",
        (_domain(call), reason, json.dumps(_zone(call)), datetime.fromtimestamp(call.now, UTC).isoformat()),
    )


def _checked(call: Call) -> list[dict[str, Any]]:
    body = call.body if isinstance(call.body, Mapping) else {}
    if not isinstance(body.get("zone"), list):
        raise Refused(unprocessable({"zone": ["The zone field is required."]}))
    wrong: dict[str, list[str]] = {}
    sets = [_set(row, f"zone.{number}", wrong) for number, row in enumerate(body["zone"])]
    if wrong:
        raise Refused(unprocessable(wrong))
    return sets


def _set(row: Any, at: str, wrong: dict[str, list[str]]) -> dict[str, Any]:
    each = row if isinstance(row, Mapping) else {}
    name, kind, records, ttl = (each.get(key) for key in ("name", "type", "records", "ttl"))
    if not isinstance(name, str) or not NAME.match(name):
        wrong[f"{at}.name"] = ["The name field format is invalid."]
    if kind not in TYPES:
        wrong[f"{at}.type"] = ["The selected type is invalid."]
    if ttl is not None and (isinstance(ttl, bool) or not isinstance(ttl, int) or not 60 <= ttl <= 86400):
        wrong[f"{at}.ttl"] = ["The ttl field must be between 60 and 86400."]
    listed = records if isinstance(records, list) else []
    contents = [record.get("content") for record in listed if isinstance(record, Mapping)]
    for number, content in enumerate(contents):
        if not isinstance(content, str) or not _fits(str(kind), content):
            wrong[f"{at}.records.{number}.content"] = [f"The content is not valid for a record of type {kind}."]
    if not contents:
        wrong[f"{at}.records"] = ["The records field is required."]
    return {"name": name, "type": kind, "ttl": ttl, "contents": contents}


def _fits(kind: str, content: str) -> bool:
    if kind in ("A", "AAAA"):
        try:
            return ipaddress.ip_address(content).version == (4 if kind == "A" else 6)
        except ValueError:
            return False
    if kind == "MX":
        return re.match(r"^\d{1,5} \S+$", content) is not None
    return bool(content.strip()) and (kind == "TXT" or " " not in content or kind in ("SRV", "CAA"))


def _domain_shown(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "domain": row["domain"],
        "type": "domain",
        "status": "active",
        "created_at": "2026-01-05T12:00:00Z",
        "expires_at": "2027-01-05T12:00:00Z",
    }


OPERATIONS = (
    ("GET", ZONE, "zones.get", get_zone),
    ("PUT", ZONE, "zones.put", put_zone),
    ("DELETE", ZONE, "zones.delete", delete_records),
    ("POST", ZONE + "/validate", "zones.validate", validate),
    ("GET", SNAPSHOTS, "zones.copies", list_copies),
    ("POST", SNAPSHOTS + "/{copy:int}/restore", "zones.restore", restore_copy),
    ("GET", "/api/domains/v1/portfolio", "domains.list", list_domains),
    ("GET", "/api/domains/v1/portfolio/{domain}", "domains.get", get_domain),
    ("PUT", "/api/domains/v1/portfolio/{domain}/nameservers", "domains.name_servers", put_name_servers),
)
