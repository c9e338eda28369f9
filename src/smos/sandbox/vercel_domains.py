"""The domains of the sandbox's Vercel projects, and the DNS of their owners as far as Vercel looks at it.

Domains below ``smarterbot.cl`` are verified when they are added and their DNS is right: the zone is the house's own.
Others start unverified. Their owners' DNS is a table that ``POST /_dns`` fills by hand: a TXT record at
``_vercel.<apex>`` verifies, a CNAME or A record as recommended makes ``misconfigured`` false. For a name that begins
with ``verified.`` both are taken to be there. Whether the target of a redirect must be a domain of the same project is
not documented; here it need not be.
"""

from __future__ import annotations

import re
import secrets
import sqlite3
from collections.abc import Mapping
from typing import Any

from smos.sandbox.provider import Call, Reply
from smos.sandbox.vercel_wire import (
    ELSEWHERE_ID,
    PROJECT_TOKEN,
    Refused,
    body_of,
    invalid,
    limit_of,
    moment,
    number,
    project_of,
    stamp,
    text,
)

ZONE = "smarterbot.cl"
CNAMES = ("d1d4fc829fe7bc7c.vercel-dns-017.com", "cname.vercel-dns.com")
ADDRESSES = (["216.198.79.1"], ["76.76.21.21"])
CODES = (301, 302, 307, 308)
NAME = re.compile(r"(?=.{1,253}$)([a-z0-9_*]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]")
SECOND_LEVEL = frozenset({"co", "com", "org", "net", "gob"})  # as in example.com.ar

SCHEMA = """
CREATE TABLE IF NOT EXISTS vercel_domains (
    seq INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, project_id TEXT NOT NULL, redirect TEXT, code INTEGER,
    branch TEXT, verified INTEGER NOT NULL, proof TEXT NOT NULL, created INTEGER NOT NULL UNIQUE,
    updated INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS vercel_dns (name TEXT NOT NULL, type TEXT NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (name, type, value)) WITHOUT ROWID;
"""


def seed(db: sqlite3.Connection) -> None:
    """The application's own domain, and one that the other project holds."""
    for place, (name, project) in enumerate(
        (("app.smarterbot.cl", PROJECT_TOKEN), ("taken.example.com", ELSEWHERE_ID))
    ):
        created = stamp("2026-01-05") + place
        db.execute(
            "INSERT OR IGNORE INTO vercel_domains (name, project_id, verified, proof, created, updated)"
            " VALUES (?,?,1,?,?,?)",
            (name, project, secrets.token_hex(10), created, created),
        )


def listed(call: Call) -> Reply:
    """A page of a project's domains, the newest first; ``until`` and ``since`` are moments that are not included."""
    project, query = project_of(call), call.query
    clauses, values = ["project_id = ?"], [project["id"]]
    for key, sign in (("until", "<"), ("since", ">")):
        at = number(query, key)
        if at is not None:
            clauses.append(f"created {sign} ?")
            values.append(at)
    if "verified" in query:
        clauses.append("verified = ?")
        values.append(int(query["verified"] == "true"))
    if query.get("redirects") == "false":
        clauses.append("redirect IS NULL")
    limit = limit_of(query)
    order = "ASC" if query.get("order") == "ASC" else "DESC"
    rows = call.db.execute(
        f"SELECT * FROM vercel_domains WHERE {' AND '.join(clauses)} ORDER BY created {order} LIMIT ?",
        (*values, limit + 1),
    ).fetchall()
    shown = rows[:limit]
    pages = {
        "count": len(shown),
        "next": shown[-1]["created"] if len(rows) > limit else None,
        "prev": shown[0]["created"] if shown else None,
    }
    return Reply(200, {"domains": [_shown(row) for row in shown], "pagination": pages})


def get(call: Call) -> Reply:
    return Reply(200, _shown(_domain(call)))


def add(call: Call) -> Reply:
    """Add a domain: 400 when this project has it, 409 when another one has."""
    project, body = project_of(call), body_of(call)
    name = (text(body, "name") or "").lower()
    if not NAME.fullmatch(name) or "*" in name[1:]:
        raise Refused(400, "invalid_domain", f"The domain {name!r} is not valid")
    held = call.db.execute("SELECT * FROM vercel_domains WHERE name = ?", (name,)).fetchone()
    if held is not None:
        ours = held["project_id"] == project["id"]
        whose = "it's already in use by your project" if ours else "it's already assigned to another project"
        raise Refused(400 if ours else 409, "domain_already_in_use", f"Cannot add {name} since {whose}.")
    redirect, code, branch = _leads(body, name, {})
    now = moment(call, "vercel_domains")
    verified = _apex(name) == ZONE or name.startswith("verified.")
    call.db.execute(
        "INSERT INTO vercel_domains (name, project_id, redirect, code, branch, verified, proof, created, updated)"
        " VALUES (?,?,?,?,?,?,?,?,?)",
        (name, project["id"], redirect, code, branch, int(verified), secrets.token_hex(10), now, now),
    )
    return Reply(200, _shown(_domain(call, name)))


def update(call: Call) -> Reply:
    row = _domain(call)
    redirect, code, branch = _leads(body_of(call), row["name"], row)
    call.db.execute(
        "UPDATE vercel_domains SET redirect = ?, code = ?, branch = ?, updated = ? WHERE seq = ?",
        (redirect, code, branch, int(call.now * 1000), row["seq"]),
    )
    return Reply(200, _shown(_domain(call)))


def remove(call: Call) -> Reply:
    row = _domain(call)
    if isinstance(call.body, dict) and call.body.get("removeRedirects") is True:
        call.db.execute(
            "DELETE FROM vercel_domains WHERE project_id = ? AND redirect = ?", (row["project_id"], row["name"])
        )
    call.db.execute("DELETE FROM vercel_domains WHERE seq = ?", (row["seq"],))
    return Reply(200, {})


def verify(call: Call) -> Reply:
    """Look for the TXT record: 400 while it is missing or another one."""
    row = _domain(call)
    if not row["verified"]:
        where, wanted = f"_vercel.{_apex(row['name'])}", _proof(row)
        there = _records(call, where, "TXT")
        if wanted not in there and not row["name"].startswith("verified."):
            mine = [value for value in there if value.startswith(f"vc-domain-verify={row['name']},")]
            if mine:
                raise Refused(400, "invalid_verification", f"The TXT record {mine[0]!r} does not match the challenge.")
            text = f'Domain {where} is missing required TXT Record "{wanted}"'
            raise Refused(400, "missing_txt_record", text)
        call.db.execute("UPDATE vercel_domains SET verified = 1 WHERE seq = ?", (row["seq"],))
    shown = _shown(_domain(call))
    shown.pop("verification", None)
    return Reply(200, shown)


def config(call: Call) -> Reply:
    """Whether the name's DNS leads here, and what would lead it here."""
    name = call.params["domain"].lower()
    if call.query.get("projectIdOrName"):
        project_of(call, call.query["projectIdOrName"])
    configured: str | None = None
    if _apex(name) == ZONE or name.startswith("verified.") or set(_records(call, name, "CNAME")) & set(CNAMES):
        configured = "CNAME"
    elif any([value] in ADDRESSES for value in _records(call, name, "A")):
        configured = "A"
    state = {
        "configuredBy": configured,
        "acceptedChallenges": ["http-01"] if configured else [],
        "recommendedIPv4": [{"rank": rank, "value": value} for rank, value in enumerate(ADDRESSES, 1)],
        "recommendedCNAME": [{"rank": rank, "value": f"{value}."} for rank, value in enumerate(CNAMES, 1)],
        "misconfigured": configured is None,
    }
    return Reply(200, state)


def set_dns(call: Call) -> Reply:
    """No part of Vercel: put a record into the DNS of a domain's owner."""
    body = body_of(call, ("name", "type", "value"))
    record = tuple((text(body, key) or "") for key in ("name", "type", "value"))
    if not all(record):
        raise invalid("`name`, `type` and `value` are needed.")
    call.db.execute(
        "INSERT OR IGNORE INTO vercel_dns VALUES (?,?,?)", (record[0].lower(), record[1].upper(), record[2])
    )
    return Reply(200, {"name": record[0].lower(), "type": record[1].upper(), "value": record[2]})


def clear_dns(call: Call) -> Reply:
    """No part of Vercel: take every record of that name out of its owner's DNS."""
    call.db.execute("DELETE FROM vercel_dns WHERE name = ?", (call.params["name"].lower(),))
    return Reply(204)


def _domain(call: Call, name: str | None = None) -> sqlite3.Row:
    project = project_of(call)
    wanted = (name or call.params["domain"]).lower()
    row: sqlite3.Row | None = call.db.execute(
        "SELECT * FROM vercel_domains WHERE name = ? AND project_id = ?", (wanted, project["id"])
    ).fetchone()
    if row is None:
        raise Refused(404, "not_found", f"Project Domain not found: {wanted}")
    return row


def _leads(
    body: Mapping[str, Any], name: str, before: sqlite3.Row | Mapping[str, Any]
) -> tuple[str | None, int | None, str | None]:
    """Redirect, its status and branch after the body; the two exclude each other."""
    kept = dict(before)
    redirect = text(body, "redirect", null=True) if "redirect" in body else kept.get("redirect")
    branch = text(body, "gitBranch", 250, null=True) if "gitBranch" in body else kept.get("branch")
    code = body["redirectStatusCode"] if "redirectStatusCode" in body else kept.get("code")
    if code is not None and (isinstance(code, bool) or code not in CODES):
        raise invalid("`redirectStatusCode` should be equal to one of the allowed values.")
    if redirect is not None and (not NAME.fullmatch(redirect.lower()) or redirect.lower() == name):
        raise Refused(400, "invalid_redirect", "The domain redirect is not valid")
    if redirect and branch:
        raise Refused(400, "bad_request", "You can't set both a git branch and a redirect for the domain")
    return redirect, (code or 307) if redirect else None, branch


def _shown(row: sqlite3.Row) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "name": row["name"],
        "apexName": _apex(row["name"]),
        "projectId": row["project_id"],
        "redirect": row["redirect"],
        "redirectStatusCode": row["code"],
        "gitBranch": row["branch"],
        "customEnvironmentId": None,
        "createdAt": row["created"],
        "updatedAt": row["updated"],
        "verified": bool(row["verified"]),
    }
    if not row["verified"]:
        where = f"_vercel.{shown['apexName']}"
        reason = "pending_domain_verification"
        shown["verification"] = [{"type": "TXT", "domain": where, "value": _proof(row), "reason": reason}]
    return shown


def _proof(row: sqlite3.Row) -> str:
    return f"vc-domain-verify={row['name']},{row['proof']}"


def _apex(name: str) -> str:
    labels = name.split(".")
    deep = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in SECOND_LEVEL
    return ".".join(labels[-3:] if deep else labels[-2:])


def _records(call: Call, name: str, kind: str) -> list[str]:
    rows = call.db.execute("SELECT value FROM vercel_dns WHERE name = ? AND type = ?", (name, kind)).fetchall()
    return [row["value"] for row in rows]
