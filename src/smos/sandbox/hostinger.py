"""Hostinger's API as far as SmarterOS uses it: virtual machines, their actions, firewalls and snapshots. DNS: ``hostinger_dns``.

Shapes follow Hostinger's OpenAPI file. Actions end after some looks at them or at their machine, and only then have
their effect; meanwhile the machine is locked and refuses others. Actions of the machine ``fails.example.com`` fail.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from smos.sandbox import hostinger_dns
from smos.sandbox.hostinger_replies import Refused, failure, found, paged, unprocessable
from smos.sandbox.provider import Call, Operation, Provider, Reply

LOOKS = 3  # how often one looks until an action has ended
FAILS = "fails.example.com"
VPS = "/api/vps/v1"
MACHINE = VPS + "/virtual-machines/{machine:int}"
FIREWALL = VPS + "/firewall/{firewall:int}"
PROTOCOLS = ("TCP", "UDP", "ICMP", "GRE", "any", "ESP", "AH", "ICMPv6", "SSH", "HTTP", "HTTPS", "MySQL", "PostgreSQL")

SCHEMA = (
    """
CREATE TABLE IF NOT EXISTS hostinger_machines (
    id INTEGER PRIMARY KEY, hostname TEXT NOT NULL, ipv4 TEXT NOT NULL, firewall INTEGER, has_rules INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS hostinger_actions (
    id INTEGER PRIMARY KEY AUTOINCREMENT, machine INTEGER NOT NULL, name TEXT NOT NULL, argument INTEGER,
    state TEXT NOT NULL, looks INTEGER NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS hostinger_firewalls (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, version INTEGER NOT NULL, created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS hostinger_rules (
    id INTEGER PRIMARY KEY AUTOINCREMENT, firewall INTEGER NOT NULL, protocol TEXT NOT NULL, port TEXT NOT NULL,
    source TEXT NOT NULL, source_detail TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS hostinger_snapshots (
    machine INTEGER PRIMARY KEY, id INTEGER NOT NULL, created_at TEXT NOT NULL, expires_at TEXT NOT NULL);
"""
    + hostinger_dns.SCHEMA
)


def authenticate(call: Call, tokens: frozenset[str]) -> Reply | None:
    """Bearer tokens. The limited one may not see virtual machines."""
    scheme, _, token = call.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token in tokens:
        return None
    if scheme.lower() == "bearer" and token == "sandbox-hostinger-limited":  # noqa: S105  # a name in the sandbox
        return failure(403, "This action is unauthorized.") if call.path.startswith(VPS) else None
    return failure(401, "Unauthenticated")


def fault_reply(status: int, message: str) -> Reply:
    """Faults and unknown paths in Hostinger's envelope."""
    known = {404: "Not Found", 405: "Method Not Allowed", 429: "Too Many Attempts."}
    return failure(status, known.get(status, message))


# --- machines and their actions ----------------------------------------------------------------------------------------


def list_machines(call: Call) -> Reply:
    _look(call, None)
    rows = call.db.execute("SELECT * FROM hostinger_machines ORDER BY id").fetchall()
    return Reply(200, [_machine_shown(call.db, row) for row in rows])


def get_machine(call: Call) -> Reply:
    row = _machine(call)
    _look(call, row["id"])
    return Reply(200, _machine_shown(call.db, _machine(call)))


def list_actions(call: Call) -> Reply:
    machine = _machine(call)["id"]
    _look(call, machine)
    rows = call.db.execute("SELECT * FROM hostinger_actions WHERE machine = ? ORDER BY id DESC", (machine,)).fetchall()
    return paged(call, [_action_shown(row) for row in rows])


def get_action(call: Call) -> Reply:
    machine = _machine(call)["id"]
    _look(call, machine)
    row = call.db.execute(
        "SELECT * FROM hostinger_actions WHERE machine = ? AND id = ?", (machine, int(call.params["action"]))
    ).fetchone()
    return Reply(200, _action_shown(found(row)))


def _machine(call: Call) -> sqlite3.Row:
    number = int(call.params["machine"])
    row: sqlite3.Row = found(call.db.execute("SELECT * FROM hostinger_machines WHERE id = ?", (number,)).fetchone())
    return row


def _busy(db: sqlite3.Connection, machine: int) -> bool:
    query = "SELECT 1 FROM hostinger_actions WHERE machine = ? AND state NOT IN ('success', 'error')"
    return db.execute(query, (machine,)).fetchone() is not None


def _start(call: Call, machine: sqlite3.Row, name: str, argument: int | None = None) -> Reply:
    """Accept an action; it has no effect yet."""
    if _busy(call.db, machine["id"]):
        raise Refused(failure(409, "The virtual machine is locked by another action."))
    now = _stamp(call.now)
    cursor = call.db.execute(
        "INSERT INTO hostinger_actions (machine, name, argument, state, looks, created_at, updated_at)"
        " VALUES (?, ?, ?, 'created', 0, ?, ?)",
        (machine["id"], name, argument, now, now),
    )
    row = call.db.execute("SELECT * FROM hostinger_actions WHERE id = ?", (cursor.lastrowid,)).fetchone()
    return Reply(200, _action_shown(row))


def _look(call: Call, machine: int | None) -> None:
    """Each look brings what is under way nearer to its end."""
    query = "SELECT * FROM hostinger_actions WHERE state NOT IN ('success', 'error') AND (? IS NULL OR machine = ?)"
    for row in call.db.execute(query, (machine, machine)).fetchall():
        looks = row["looks"] + 1
        state = ("created", "sent", "delayed")[min(looks, 2)]
        if looks >= LOOKS:
            state = _ended(call, row)
        call.db.execute(
            "UPDATE hostinger_actions SET looks = ?, state = ?, updated_at = ? WHERE id = ?",
            (looks, state, _stamp(call.now), row["id"]),
        )


def _ended(call: Call, action: sqlite3.Row) -> str:
    """Carry the action out; gives its last state."""
    machine, argument, name = action["machine"], action["argument"], action["name"]
    if call.db.execute("SELECT hostname FROM hostinger_machines WHERE id = ?", (machine,)).fetchone()[0] == FAILS:
        return "error"
    if name in ("firewall_activate", "firewall_sync"):
        row = call.db.execute("SELECT version FROM hostinger_firewalls WHERE id = ?", (argument,)).fetchone()
        if row is None:
            return "error"
        update = "UPDATE hostinger_machines SET firewall = ?, has_rules = ? WHERE id = ?"
        call.db.execute(update, (argument, row["version"], machine))
    elif name == "firewall_deactivate":
        call.db.execute("UPDATE hostinger_machines SET firewall = NULL WHERE id = ?", (machine,))
    elif name == "snapshot_create":
        made = datetime.fromtimestamp(call.now, UTC)
        values = (machine, action["id"], _stamp(call.now), _stamp((made + timedelta(days=20)).timestamp()))
        call.db.execute("REPLACE INTO hostinger_snapshots VALUES (?, ?, ?, ?)", values)
    elif name == "snapshot_delete":
        call.db.execute("DELETE FROM hostinger_snapshots WHERE machine = ?", (machine,))
    return "success"


def _action_shown(row: sqlite3.Row) -> dict[str, Any]:
    return {key: row[key] for key in ("id", "name", "state", "created_at", "updated_at")}


def _machine_shown(db: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "firewall_group_id": row["firewall"],
        "subscription_id": "Azz353Uhl1xC54pR0",
        "data_center_id": 21,
        "plan": "KVM 2",
        "hostname": row["hostname"],
        "state": "running",
        "actions_lock": "locked" if _busy(db, row["id"]) else "unlocked",
        "cpus": 2,
        "memory": 8192,
        "disk": 102400,
        "bandwidth": 1048576,
        "ns1": "192.0.2.53",
        "ns2": None,
        "ipv4": [{"id": row["id"] * 10, "address": row["ipv4"], "ptr": row["hostname"]}],
        "ipv6": None,
        "template": {"id": 1077, "name": "Ubuntu 24.04 LTS", "description": "Ubuntu 24.04 LTS", "documentation": None},
        "created_at": "2026-01-05T12:00:00Z",
    }


# --- firewalls -----------------------------------------------------------------------------------------------------------


def list_firewalls(call: Call) -> Reply:
    rows = call.db.execute("SELECT * FROM hostinger_firewalls ORDER BY id").fetchall()
    return paged(call, [_firewall_shown(call.db, row) for row in rows])


def get_firewall(call: Call) -> Reply:
    return Reply(200, _firewall_shown(call.db, _firewall(call)))


def create_firewall(call: Call) -> Reply:
    name = call.body.get("name") if isinstance(call.body, Mapping) else None
    if not isinstance(name, str) or not name.strip():
        raise Refused(unprocessable({"name": ["The name field is required."]}))
    now = _stamp(call.now)
    cursor = call.db.execute(
        "INSERT INTO hostinger_firewalls (name, version, created_at, updated_at) VALUES (?, 1, ?, ?)", (name, now, now)
    )
    row = call.db.execute("SELECT * FROM hostinger_firewalls WHERE id = ?", (cursor.lastrowid,)).fetchone()
    return Reply(200, _firewall_shown(call.db, row))


def delete_firewall(call: Call) -> Reply:
    number = _firewall(call)["id"]
    call.db.execute("DELETE FROM hostinger_rules WHERE firewall = ?", (number,))
    call.db.execute("DELETE FROM hostinger_firewalls WHERE id = ?", (number,))
    call.db.execute("UPDATE hostinger_machines SET firewall = NULL WHERE firewall = ?", (number,))
    return Reply(200, {"message": "Request accepted"})


def replace_rules(call: Call) -> Reply:
    firewall = _firewall(call)
    rules = call.body.get("rules") if isinstance(call.body, Mapping) else None
    if not isinstance(rules, list):
        raise Refused(unprocessable({"rules": ["The rules field must be an array."]}))
    checked = [_rule(rule, f"rules.{number}.") for number, rule in enumerate(rules)]
    call.db.execute("DELETE FROM hostinger_rules WHERE firewall = ?", (firewall["id"],))
    for rule in checked:
        _insert(call, firewall["id"], rule)
    _touched(call, firewall["id"])
    return get_firewall(call)


def create_rule(call: Call) -> Reply:
    firewall = _firewall(call)
    number = _insert(call, firewall["id"], _rule(call.body, ""))
    _touched(call, firewall["id"])
    row = call.db.execute("SELECT * FROM hostinger_rules WHERE id = ?", (number,)).fetchone()
    return Reply(200, _rule_shown(row))


def delete_rule(call: Call) -> Reply:
    firewall = _firewall(call)["id"]
    done = call.db.execute(
        "DELETE FROM hostinger_rules WHERE firewall = ? AND id = ?", (firewall, int(call.params["rule"]))
    )
    found(done.rowcount or None)
    _touched(call, firewall)
    return Reply(200, {"message": "Request accepted"})


def activate(call: Call) -> Reply:
    return _start(call, _machine(call), "firewall_activate", _firewall(call)["id"])


def deactivate(call: Call) -> Reply:
    return _start(call, _machine(call), "firewall_deactivate", _firewall(call)["id"])


def sync(call: Call) -> Reply:
    machine, firewall = _machine(call), _firewall(call)["id"]
    if machine["firewall"] != firewall:
        raise Refused(failure(422, "The firewall is not active on this virtual machine."))
    return _start(call, machine, "firewall_sync", firewall)


def _firewall(call: Call) -> sqlite3.Row:
    number = int(call.params["firewall"])
    row: sqlite3.Row = found(call.db.execute("SELECT * FROM hostinger_firewalls WHERE id = ?", (number,)).fetchone())
    return row


def _touched(call: Call, firewall: int) -> None:
    update = "UPDATE hostinger_firewalls SET version = version + 1, updated_at = ? WHERE id = ?"
    call.db.execute(update, (_stamp(call.now), firewall))


def _insert(call: Call, firewall: int, rule: Mapping[str, str]) -> int:
    cursor = call.db.execute(
        "INSERT INTO hostinger_rules (firewall, protocol, port, source, source_detail) VALUES (?, ?, ?, ?, ?)",
        (firewall, rule["protocol"], rule["port"], rule["source"], rule["source_detail"]),
    )
    return int(cursor.lastrowid or 0)


def _rule(body: Any, at: str) -> Mapping[str, str]:
    """A checked rule; all four fields are needed, and protocols are told by their exact case."""
    rule = body if isinstance(body, Mapping) else {}
    wrong = {
        f"{at}{name}": [f"The {name} field is required."]
        for name in ("protocol", "port", "source", "source_detail")
        if not isinstance(rule.get(name), str) or not rule.get(name)
    }
    if not wrong and rule["protocol"] not in PROTOCOLS:
        wrong[f"{at}protocol"] = ["The selected protocol is invalid."]
    if not wrong and rule["source"] not in ("any", "custom"):
        wrong[f"{at}source"] = ["The selected source is invalid."]
    if wrong:
        raise Refused(unprocessable(wrong))
    return {name: rule[name] for name in ("protocol", "port", "source", "source_detail")}


def _firewall_shown(db: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Any]:
    rules = db.execute("SELECT * FROM hostinger_rules WHERE firewall = ? ORDER BY id", (row["id"],)).fetchall()
    users = db.execute("SELECT has_rules FROM hostinger_machines WHERE firewall = ?", (row["id"],)).fetchall()
    return {
        "id": row["id"],
        "name": row["name"],
        "is_synced": all(each["has_rules"] == row["version"] for each in users),
        "rules": [_rule_shown(rule) for rule in rules],
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
    }


def _rule_shown(row: sqlite3.Row) -> dict[str, Any]:
    return {"action": "accept", **{key: row[key] for key in ("id", "protocol", "port", "source", "source_detail")}}


# --- snapshot --------------------------------------------------------------------------------------------------------------


def get_snapshot(call: Call) -> Reply:
    machine = _machine(call)["id"]
    row = found(call.db.execute("SELECT * FROM hostinger_snapshots WHERE machine = ?", (machine,)).fetchone())
    shown = {key: row[key] for key in ("id", "created_at", "expires_at")}
    return Reply(200, {**shown, "restore_time": 1800})


def create_snapshot(call: Call) -> Reply:
    return _start(call, _machine(call), "snapshot_create")


def delete_snapshot(call: Call) -> Reply:
    return _start(call, _machine(call), "snapshot_delete")


# --- the provider ------------------------------------------------------------------------------------------------------------


def seed(db: sqlite3.Connection) -> None:
    """One machine as in the specs, and one whose actions fail; a firewall made by hand."""
    if db.execute("SELECT 1 FROM hostinger_machines").fetchone():
        return
    machines = ((1268054, "vps.smarterbot.cl", "203.0.113.10"), (1268055, FAILS, "203.0.113.11"))
    db.executemany("INSERT INTO hostinger_machines VALUES (?, ?, ?, NULL, 0)", machines)
    stamp = "2026-01-05T12:00:00Z"
    db.execute("INSERT INTO hostinger_firewalls VALUES (65224, 'made by hand', 1, ?, ?)", (stamp, stamp))
    db.execute("INSERT INTO hostinger_rules VALUES (24541, 65224, 'SSH', '22', 'any', 'any')")
    hostinger_dns.seed(db)


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _guarded(operation: tuple[str, str, str, Any]) -> Operation:
    method, path, name, handler = operation

    def handle(call: Call) -> Reply:
        try:
            reply: Reply = handler(call)
        except Refused as refused:
            return refused.reply
        return reply

    writes = method != "GET" and not path.endswith("/validate")
    return Operation(method, path, name, handle, writes)


PROVIDER = Provider(
    name="hostinger",
    base="/hostinger",
    schema=SCHEMA,
    operations=tuple(
        _guarded(operation)
        for operation in (
            ("GET", VPS + "/virtual-machines", "machines.list", list_machines),
            ("GET", MACHINE, "machines.get", get_machine),
            ("GET", MACHINE + "/actions", "actions.list", list_actions),
            ("GET", MACHINE + "/actions/{action:int}", "actions.get", get_action),
            ("GET", MACHINE + "/snapshot", "snapshot.get", get_snapshot),
            ("POST", MACHINE + "/snapshot", "snapshot.create", create_snapshot),
            ("DELETE", MACHINE + "/snapshot", "snapshot.delete", delete_snapshot),
            ("GET", VPS + "/firewall", "firewalls.list", list_firewalls),
            ("POST", VPS + "/firewall", "firewalls.create", create_firewall),
            ("GET", FIREWALL, "firewalls.get", get_firewall),
            ("DELETE", FIREWALL, "firewalls.delete", delete_firewall),
            ("PUT", FIREWALL + "/rules", "rules.replace", replace_rules),
            ("POST", FIREWALL + "/rules", "rules.create", create_rule),
            ("DELETE", FIREWALL + "/rules/{rule:int}", "rules.delete", delete_rule),
            ("POST", FIREWALL + "/activate/{machine:int}", "firewalls.activate", activate),
            ("POST", FIREWALL + "/deactivate/{machine:int}", "firewalls.deactivate", deactivate),
            ("POST", FIREWALL + "/sync/{machine:int}", "firewalls.sync", sync),
            *hostinger_dns.OPERATIONS,
        )
    ),
    authenticate=authenticate,
    seed=seed,
    fault_reply=fault_reply,
)
