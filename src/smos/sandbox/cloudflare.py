"""Cloudflare's API v4 as far as SmarterOS uses it: token checks, zones, DNS records and their batch call.

Shapes and codes follow Cloudflare's published schemas and documentation; where those name no code for a refusal, the
general 1004 is used. The zone is on the Free plan: comments of up to 100 characters, no record tags, 200 records per
batch. Nothing is seeded with an owner mark, so prune must leave the seeded records alone.

Tokens besides the usual one, which a user owns: ``cfat_sandbox`` is as good, but owned by the account, and therefore
refused at the user's verify call; ``sandbox-cloudflare-limited`` may read the zone and its records only, and ends in
2028. What has the form of a global key is refused as a malformed header, as the real one is.
"""

from __future__ import annotations

import json
import re
import secrets
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from smos.sandbox import cloudflare_settings
from smos.sandbox.cloudflare_records import ADDRESS_KIND, PROXIABLE, Invalid, ascii_name, merged, normalised
from smos.sandbox.provider import Call, Operation, Provider, Reply, Throttle

ACCOUNT = {"id": "5a4d0c1be7f24d6f9b30c8a1e2f30001", "name": "SmarterOS sandbox"}
ZONE_ID = "023e105f4ecef8ad9ca31a8372d0c353"
ZONE_NAME = "smarterbot.cl"
VERIFIED_ID = "ed17574386854bf78a67040be0a770b0"
MAX_BATCH = 200
MAX_PER_PAGE = 5_000_000
OF_ACCOUNT, LIMITED = "cfat_sandbox", "sandbox-cloudflare-limited"
GLOBAL_KEY = re.compile(r"[0-9a-f]{37}")
HEX_ID = re.compile(r"^[0-9a-f]{32}$")

SCHEMA = """
CREATE TABLE IF NOT EXISTS cloudflare_zones (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, status TEXT NOT NULL, account_id TEXT NOT NULL,
    account_name TEXT NOT NULL, created_on TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS cloudflare_records (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, zone_id TEXT NOT NULL REFERENCES cloudflare_zones (id),
    type TEXT NOT NULL, name TEXT NOT NULL, content TEXT NOT NULL, ttl INTEGER NOT NULL, proxied INTEGER NOT NULL,
    comment TEXT, record TEXT NOT NULL, created_on TEXT NOT NULL, modified_on TEXT NOT NULL,
    comment_modified_on TEXT);
CREATE INDEX IF NOT EXISTS cloudflare_records_name ON cloudflare_records (zone_id, name);
"""


class Refused(Exception):
    """A call that Cloudflare refuses: HTTP status, code and message."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.reply = failure(status, code, message)


# --- envelopes -------------------------------------------------------------------------------------------------------


def success(result: Any, info: Mapping[str, int] | None = None, messages: Sequence[Any] = ()) -> Reply:
    """The envelope of every good answer."""
    body: dict[str, Any] = {"result": result, "success": True, "errors": [], "messages": list(messages)}
    if info is not None:
        body["result_info"] = dict(info)
    return Reply(200, body)


def failure(status: int, code: int, message: str) -> Reply:
    """The envelope of every refusal."""
    errors = [{"code": code, "message": message}]
    return Reply(status, {"result": None, "success": False, "errors": errors, "messages": []})


def fault_reply(status: int, message: str) -> Reply:
    """Faults, the rate limit and unknown paths in Cloudflare's envelope."""
    known = {
        400: (6007, "Malformed JSON in request body"),
        404: (7003, "Could not route to the requested path, perhaps your object identifier is invalid?"),
        405: (10405, "Method not allowed for this authentication scheme"),
        429: (10429, "Please wait and consider throttling your request speed"),
    }
    code, text = known.get(status, (10_000 + status, message))
    return failure(status, code, text)


# --- authentication --------------------------------------------------------------------------------------------------


def authenticate(call: Call, tokens: frozenset[str]) -> Reply | None:
    """API tokens as bearer only. On the two verify calls a wrong token has an answer of its own."""
    header = call.headers.get("authorization")
    if header is None:
        return failure(400, 1001, "Missing Authorization header")
    scheme, _, token = header.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or GLOBAL_KEY.fullmatch(token):
        reply = failure(400, 6003, "Invalid request headers")
        reply.body["errors"][0]["error_chain"] = [{"code": 6111, "message": "Invalid format for Authorization header"}]
        return reply
    known = token in {*tokens, OF_ACCOUNT, LIMITED}
    if call.path.endswith("/tokens/verify"):
        # Each kind is known at its own place only
        here = known and call.path.startswith("/accounts/") == (token == OF_ACCOUNT)
        return None if here else failure(401, 1000, "Invalid API Token")
    if known and (token != LIMITED or call.method == "GET"):
        return None
    return failure(403, 10000, "Authentication error")


def _token(call: Call) -> str:
    return call.headers.get("authorization", "").partition(" ")[2].strip()


def verify_user_token(call: Call) -> Reply:
    note = {"code": 10000, "message": "This API Token is valid and active", "type": None}
    result = {"id": VERIFIED_ID, "status": "active"}
    if _token(call) == LIMITED:
        result["expires_on"] = "2028-01-01T00:00:00Z"
    return success(result, messages=[note])


def verify_account_token(call: Call) -> Reply:
    if call.params["account_id"] != ACCOUNT["id"]:
        return failure(403, 9109, "Unauthorized to access requested resource")
    return verify_user_token(call)


# --- zones -----------------------------------------------------------------------------------------------------------


def list_zones(call: Call) -> Reply:
    query = call.query
    clauses, values = ["1"], []
    for key, column in (("name", "name"), ("status", "status"), ("account.id", "account_id")):
        if key in query:
            clauses.append(f"{column} = ?")
            values.append(query[key].lower())
    page, per_page = _page(query, default=20, low=5, high=50)
    where = " AND ".join(clauses)
    total = call.db.execute(f"SELECT count(*) FROM cloudflare_zones WHERE {where}", values).fetchone()[0]
    rows = call.db.execute(
        f"SELECT * FROM cloudflare_zones WHERE {where} ORDER BY name, id LIMIT ? OFFSET ?",
        (*values, per_page, (page - 1) * per_page),
    ).fetchall()
    return success([_zone_shown(row, call) for row in rows], _info(page, per_page, len(rows), total))


def get_zone(call: Call) -> Reply:
    return success(_zone_shown(_zone(call), call))


def _zone(call: Call) -> sqlite3.Row:
    zone_id = call.params["zone_id"]
    row: sqlite3.Row | None = None
    if HEX_ID.match(zone_id):
        row = call.db.execute("SELECT * FROM cloudflare_zones WHERE id = ?", (zone_id,)).fetchone()
    if row is None:
        raise Refused(400, 7003, f"Could not route to {call.path}, perhaps your object identifier is invalid?")
    return row


def _zone_shown(row: sqlite3.Row, call: Call) -> dict[str, Any]:
    limited = call.headers.get("authorization", "").endswith(LIMITED)
    return {
        "id": row["id"],
        "name": row["name"],
        "status": row["status"],
        "paused": False,
        "type": "full",
        "development_mode": 0,
        "name_servers": ["ana.ns.example.com", "bob.ns.example.com"],
        "original_name_servers": None,
        "original_registrar": None,
        "original_dnshost": None,
        "created_on": row["created_on"],
        "modified_on": row["created_on"],
        "activated_on": row["created_on"],
        "meta": {"step": 2, "custom_certificate_quota": 0, "page_rule_quota": 3, "phishing_detected": False},
        "owner": {"id": VERIFIED_ID, "type": "user"},
        "account": {"id": row["account_id"], "name": row["account_name"]},
        "permissions": [*([] if limited else ["#dns_records:edit"]), "#dns_records:read", "#zone:read"],
        "plan": {
            "id": "0feeeeeeeeeeeeeeeeeeeeeeeeeeeeee",
            "name": "Free Website",
            "price": 0,
            "currency": "USD",
            "frequency": "",
            "is_subscribed": False,
            "can_subscribe": False,
            "legacy_id": "free",
            "legacy_discount": False,
            "externally_managed": False,
        },
    }


# --- settings of a zone -----------------------------------------------------------------------------------------------


def get_setting(call: Call) -> Reply:
    return success(cloudflare_settings.read(call.db, _zone(call)["id"], call.params["setting_id"]))


def patch_setting(call: Call) -> Reply:
    zone = _zone(call)["id"]
    return success(cloudflare_settings.write(call.db, zone, call.params["setting_id"], call.body, _stamp(call.now)))


# --- DNS records: reading --------------------------------------------------------------------------------------------

ORDERS = {"type": "type", "name": "name", "content": "content", "ttl": "ttl", "proxied": "proxied"}
TEXT_FILTERS = {
    "exact": "{0} = ?",
    "contains": "instr({0}, ?) > 0",
    "startswith": "substr({0}, 1, length(?1)) = ?1",
    "endswith": "substr({0}, -length(?1)) = ?1",
}


def list_records(call: Call) -> Reply:
    zone = _zone(call)
    conditions, values = _filters(call.query)
    joiner = " OR " if call.query.get("match") == "any" else " AND "
    where = "zone_id = ?" + (f" AND ({joiner.join(conditions)})" if conditions else "")
    arguments = [zone["id"], *values]
    total = call.db.execute(f"SELECT count(*) FROM cloudflare_records WHERE {where}", arguments).fetchone()[0]
    page, per_page = _page(call.query, default=100, low=1, high=MAX_PER_PAGE)
    rows = call.db.execute(
        f"SELECT * FROM cloudflare_records WHERE {where} ORDER BY {_order(call.query)} LIMIT ? OFFSET ?",
        (*arguments, per_page, (page - 1) * per_page),
    ).fetchall()
    return success([_shown(row) for row in rows], _info(page, per_page, len(rows), total))


def _filters(query: Mapping[str, str]) -> tuple[list[str], list[Any]]:
    conditions: list[str] = []
    values: list[Any] = []
    for key, value in query.items():
        found = _filter(key, value)
        if found is not None:
            conditions.append(found[0])
            values += found[1]
    return conditions, values


def _filter(key: str, value: str) -> tuple[str, list[Any]] | None:
    """The SQL condition and values of one query parameter, ``None`` when it filters nothing."""
    field, _, how = key.partition(".")
    if key == "type":
        return "type = ?", [value.upper()]
    if key == "proxied":
        return "proxied = ?", [int(value.lower() == "true")]
    if key == "search":
        return "(instr(name, ?) > 0 OR instr(lower(content), ?) > 0)", [value.lower()] * 2
    if field == "tag":
        return ("1" if how == "absent" else "0"), []
    if key in ("comment.present", "comment.absent"):
        return f"comment IS {'NOT ' if how == 'present' else ''}NULL", []
    if field not in ("name", "content", "comment"):
        return None
    column = "name" if field == "name" else f"lower({field})"
    needle = ascii_name(value) if field == "name" else value.lower()
    if field == "content" and how in ("", "exact"):
        return "(lower(content) = ? OR lower(content) = ?)", [needle, f'"{needle}"']
    pattern = TEXT_FILTERS.get(how or "exact")
    if pattern is None:
        raise Refused(400, 1004, f"DNS Validation Error: unknown filter {key}.")
    if "?1" in pattern:
        return pattern.format(column).replace("?1", "?"), [needle, needle]
    return pattern.format(column), [needle]


def _order(query: Mapping[str, str]) -> str:
    column = ORDERS.get(query.get("order", ""), "seq")
    return f"{column} {'DESC' if query.get('direction') == 'desc' else 'ASC'}, seq"


def get_record(call: Call) -> Reply:
    _zone(call)
    return success(_shown(_record(call, call.params["record_id"])))


def usage(call: Call) -> Reply:
    zone = _zone(call)
    count = call.db.execute("SELECT count(*) FROM cloudflare_records WHERE zone_id = ?", (zone["id"],)).fetchone()[0]
    return success({"record_quota": None, "record_usage": count})


def _record(call: Call, record_id: Any) -> sqlite3.Row:
    row: sqlite3.Row | None = call.db.execute(
        "SELECT * FROM cloudflare_records WHERE id = ? AND zone_id = ?", (str(record_id), call.params["zone_id"])
    ).fetchone()
    if row is None:
        raise Refused(404, 81044, "Record does not exist.")
    return row


def _shown(row: sqlite3.Row) -> dict[str, Any]:
    """A record as Cloudflare answers it."""
    record = json.loads(row["record"])
    shown: dict[str, Any] = {
        "id": row["id"],
        "name": row["name"],
        "type": row["type"],
        "content": row["content"],
        "proxiable": row["type"] in PROXIABLE,
        "proxied": bool(row["proxied"]),
        "ttl": row["ttl"],
        "settings": record["settings"],
        "meta": {},
        "comment": row["comment"],
        "tags": record["tags"],
        "created_on": row["created_on"],
        "modified_on": row["modified_on"],
    }
    if record["priority"] is not None:
        shown["priority"] = record["priority"]
    if record["data"]:
        shown["data"] = record["data"]
    if "private_routing" in record:
        shown["private_routing"] = record["private_routing"]
    if row["comment_modified_on"]:
        shown["comment_modified_on"] = row["comment_modified_on"]
    return shown


# --- DNS records: writing --------------------------------------------------------------------------------------------


def create_record(call: Call) -> Reply:
    return success(_create(call, _zone(call), call.body))


def patch_record(call: Call) -> Reply:
    return success(_patch(call, _zone(call), call.params["record_id"], call.body))


def put_record(call: Call) -> Reply:
    return success(_put(call, _zone(call), call.params["record_id"], call.body))


def delete_record(call: Call) -> Reply:
    _zone(call)
    return success({"id": _delete(call, call.params["record_id"])["id"]})


def batch(call: Call) -> Reply:
    """Deletes, patches, puts, posts, in this order and all or nothing; the first fault is the only one told."""
    zone, body = _zone(call), call.body
    if not isinstance(body, dict):
        raise Refused(400, 1004, "DNS Validation Error: the body must be an object.")
    parts = {name: _items(body, name) for name in ("deletes", "patches", "puts", "posts")}
    size = sum(map(len, parts.values()))
    if size == 0 or size > MAX_BATCH:
        raise Refused(400, 1004, f"DNS Validation Error: a batch takes 1 to {MAX_BATCH} changes, this one has {size}.")
    return success(
        {
            "deletes": [_delete(call, item.get("id")) for item in parts["deletes"]],
            "patches": [_patch(call, zone, item.get("id"), item) for item in parts["patches"]],
            "puts": [_put(call, zone, item.get("id"), item) for item in parts["puts"]],
            "posts": [_create(call, zone, item) for item in parts["posts"]],
        }
    )


def _items(body: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    items = body.get(name) or []
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise Refused(400, 1004, f"DNS Validation Error: {name} must be a list of objects.")
    return items


def _create(call: Call, zone: sqlite3.Row, body: Any) -> dict[str, Any]:
    record = _valid(body, zone)
    _conflicts(call, zone, record, "")
    record_id, now = secrets.token_hex(16), _stamp(call.now)
    call.db.execute(
        "INSERT INTO cloudflare_records (id, zone_id, type, name, content, ttl, proxied, comment, record, created_on,"
        " modified_on, comment_modified_on) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
        (record_id, zone["id"], *_columns(record), now, now, now if record["comment"] else None),
    )
    return _shown(_record(call, record_id))


def _patch(call: Call, zone: sqlite3.Row, record_id: Any, body: Any) -> dict[str, Any]:
    row = _record(call, record_id)
    return _replace(call, zone, row, merged(json.loads(row["record"]), _object(body)))


def _put(call: Call, zone: sqlite3.Row, record_id: Any, body: Any) -> dict[str, Any]:
    return _replace(call, zone, _record(call, record_id), _object(body))


def _replace(call: Call, zone: sqlite3.Row, row: sqlite3.Row, body: Mapping[str, Any]) -> dict[str, Any]:
    record = _valid(body, zone)
    if record["type"] != row["type"]:
        raise Refused(400, 1004, "DNS Validation Error: the type of a record cannot be changed.")
    _conflicts(call, zone, record, row["id"])
    now = _stamp(call.now)
    commented = row["comment_modified_on"] if record["comment"] == row["comment"] else now
    call.db.execute(
        "UPDATE cloudflare_records SET type = ?, name = ?, content = ?, ttl = ?, proxied = ?, comment = ?, record = ?,"
        " modified_on = ?, comment_modified_on = ? WHERE id = ?",
        (*_columns(record), now, commented, row["id"]),
    )
    return _shown(_record(call, row["id"]))


def _delete(call: Call, record_id: Any) -> dict[str, Any]:
    row = _record(call, record_id)
    call.db.execute("DELETE FROM cloudflare_records WHERE id = ?", (row["id"],))
    return _shown(row)


def _valid(body: Any, zone: sqlite3.Row) -> dict[str, Any]:
    return normalised(_object(body), zone["name"])


def _object(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise Refused(400, 1004, "DNS Validation Error: the record must be an object.")
    return body


def _columns(record: Mapping[str, Any]) -> tuple[Any, ...]:
    return (
        record["type"],
        record["name"],
        record["content"],
        record["ttl"],
        int(record["proxied"]),
        record["comment"],
        json.dumps(record),
    )


def _conflicts(call: Call, zone: sqlite3.Row, record: Mapping[str, Any], but_not: str) -> None:
    """Refuse what cannot stand beside the other records of that name."""
    kind, name = record["type"], record["name"]
    others = call.db.execute(
        "SELECT type, content, record FROM cloudflare_records WHERE zone_id = ? AND name = ? AND id != ?",
        (zone["id"], name, but_not),
    ).fetchall()
    types = {row["type"] for row in others}
    for row in others:
        same = row["type"] == kind and row["content"] == record["content"]
        if same and json.loads(row["record"])["priority"] == record["priority"]:
            raise Refused(400, 81058, "An identical record already exists.")
    if kind == "CNAME" and types & (ADDRESS_KIND | {"NS"}):
        raise Refused(400, 81053, "An A, AAAA, or CNAME record with that host already exists.")
    if kind in ("A", "AAAA", "NS") and "CNAME" in types:
        raise Refused(400, 81054, "A CNAME record with that host already exists.")
    delegated = "NS" in types and kind not in ("NS", "DS")
    if name != zone["name"] and (delegated or (kind == "NS" and types - {"NS", "DS"})):
        raise Refused(400, 81056, "NS records cannot share a name with other records.")


# --- small parts -----------------------------------------------------------------------------------------------------


def _page(query: Mapping[str, str], *, default: int, low: int, high: int) -> tuple[int, int]:
    try:
        page, per_page = int(query.get("page", "1")), int(query.get("per_page", str(default)))
    except ValueError:
        raise Refused(400, 1004, "page and per_page must be whole numbers.") from None
    if not 1 <= page <= 10**9 or not low <= per_page <= high:
        raise Refused(400, 1004, f"page must be 1 or more, per_page between {low} and {high}.")
    return page, per_page


def _info(page: int, per_page: int, count: int, total: int) -> dict[str, int]:
    return {
        "page": page,
        "per_page": per_page,
        "count": count,
        "total_count": total,
        "total_pages": -(-total // per_page),
    }


def _stamp(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _guarded(handler: Any) -> Any:
    """A handler whose refusals are raised anywhere below it."""

    def run(call: Call) -> Reply:
        try:
            reply: Reply = handler(call)
        except Refused as refusal:
            return refusal.reply
        except Invalid as fault:
            return failure(400, fault.code, str(fault))
        return reply

    return run


def seed(db: sqlite3.Connection) -> None:
    """One zone with the records an owner has before SmarterOS comes, where none of ours shall be: pages, mail, a text record."""
    created = "2026-01-05T12:00:00.000000Z"
    db.execute(
        "INSERT OR IGNORE INTO cloudflare_zones VALUES (?,?,?,?,?,?)",
        (ZONE_ID, ZONE_NAME, "active", ACCOUNT["id"], ACCOUNT["name"], created),
    )
    owners: tuple[dict[str, Any], ...] = (
        {"type": "A", "name": "www", "content": "192.0.2.10", "proxied": True},
        {"type": "A", "name": "blog", "content": "192.0.2.10", "ttl": 300},
        {"type": "MX", "name": "@", "content": "mail.example.com", "priority": 10},
        {"type": "TXT", "name": "@", "content": "v=spf1 include:mail.example.com -all"},
    )
    for place, body in enumerate(owners, start=1):
        db.execute(
            "INSERT OR IGNORE INTO cloudflare_records (id, zone_id, type, name, content, ttl, proxied, comment, record,"
            " created_on, modified_on) VALUES (?,?,?,?,?,?,?,?,?,?,?)",
            (f"{place:032x}", ZONE_ID, *_columns(normalised(body, ZONE_NAME)), created, created),
        )


def _rate_headers(left: int, reset: int) -> dict[str, str]:
    return {"ratelimit": f'"default";r={left};t={reset}', "ratelimit-policy": '"burst";q=1200;w=300'}


RECORDS = "/zones/{zone_id}/dns_records"
ONE = RECORDS + "/{record_id}"
SETTING = "/zones/{zone_id}/settings/{setting_id}"

PROVIDER = Provider(
    name="cloudflare",
    base="/cloudflare/client/v4",
    schema=SCHEMA + cloudflare_settings.SCHEMA,
    operations=tuple(
        Operation(method, path, name, _guarded(handler), method != "GET")
        for method, path, name, handler in (
            ("GET", "/user/tokens/verify", "user.tokens.verify", verify_user_token),
            ("GET", "/accounts/{account_id}/tokens/verify", "accounts.tokens.verify", verify_account_token),
            ("GET", "/zones", "zones.list", list_zones),
            ("GET", "/zones/{zone_id}", "zones.get", get_zone),
            ("GET", SETTING, "zones.settings.get", get_setting),
            ("PATCH", SETTING, "zones.settings.edit", patch_setting),
            ("GET", RECORDS, "dns_records.list", list_records),
            ("GET", RECORDS + "/usage", "dns_records.usage", usage),
            ("GET", ONE, "dns_records.get", get_record),
            ("POST", RECORDS, "dns_records.create", create_record),
            ("POST", RECORDS + "/batch", "dns_records.batch", batch),
            ("PATCH", ONE, "dns_records.patch", patch_record),
            ("PUT", ONE, "dns_records.put", put_record),
            ("DELETE", ONE, "dns_records.delete", delete_record),
        )
    ),
    authenticate=authenticate,
    seed=seed,
    fault_reply=fault_reply,
    throttle=Throttle(1200, 300, _rate_headers),
)
