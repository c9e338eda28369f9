"""Users and tokens of the sandbox's Botpress: the first user, logins, and JSON web tokens that last an hour."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import sqlite3
from typing import Any

from smos.sandbox.provider import Call, Reply

HOUR = 3600
OPERATOR = "operator@smarterbot.cl"
LIMITED = "sandbox-botpress-limited"
AUDIENCE = "collaborators"

SCHEMA = """
CREATE TABLE IF NOT EXISTS botpress_settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS botpress_users (email TEXT PRIMARY KEY, digest TEXT NOT NULL) WITHOUT ROWID;
"""


class Refused(Exception):
    """A call that Botpress refuses, with its status, its error's type and its own code."""

    def __init__(self, status: int, message: str, kind: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.kind, self.code = status, kind, code

    def reply(self) -> Reply:
        """The refusal in the server's envelope."""
        return error(self.status, str(self), self.kind, self.code)


def error(status: int, message: str, kind: str, code: str | None = None) -> Reply:
    """An error in the server's envelope, with its slashes escaped as there."""
    body: dict[str, Any] = {"statusCode": status, "type": kind, "message": message.replace("/", "&#x2F;")}
    body |= {"errorCode": code} if code else {}
    return Reply(status, {**body, "details": "", "docs": "https://botpress.com/docs"})


def judged(call: Call, tokens: frozenset[str]) -> Reply | None:
    """Whether a login may pass: an e-mail that is a user's, with one of the sandbox's passwords or the registered one."""
    body = call.body if isinstance(call.body, dict) else {}
    email, password = body.get("email"), body.get("password")
    if not isinstance(email, str):
        return error(400, "Cannot read property 'toLowerCase' of undefined", "TypeError")
    row = call.db.execute("SELECT digest FROM botpress_users WHERE email = ?", (email.lower(),)).fetchone()
    known = row is not None and isinstance(password, str)
    if known and (password in tokens or password == LIMITED or row["digest"] == _digest(str(password))):
        return None
    return error(400, "Invalid credentials", "InvalidCredentialsError", "BP_0009")


def log_in(call: Call) -> Reply:
    return _given(call, "Login successful", call.body["email"].lower(), call.body["password"] == LIMITED)


def register(call: Call) -> Reply:
    """Open to anybody while there is no user; that user is super admin."""
    if not _unclaimed(call.db):
        return Reply(403, "Registration is disabled")
    body = call.body if isinstance(call.body, dict) else {}
    email, password = str(body.get("email", "")), str(body.get("password", ""))
    if len(email) < 4 or len(password) < 4:
        raise Refused(400, "Bad Request: Email or password is too short.", "BadRequestError", "BP_0040")
    call.db.execute("INSERT INTO botpress_users (email, digest) VALUES (?, ?)", (email.lower(), _digest(password)))
    return _given(call, "Registration successful", email.lower(), limited=False)


def config(call: Call) -> Reply:
    strategies = [{"strategyType": "basic", "strategyId": "default"}]
    payload = {"strategies": strategies, "isFirstUser": _unclaimed(call.db)}
    return Reply(200, {"status": "success", "message": "Auth Config", "payload": payload})


def refresh(call: Call) -> Reply:
    user = user_of(call)
    if isinstance(user, Reply):
        return user
    given = _token(call, user["email"], user["isSuperAdmin"])
    payload = {"newToken": {"jwt": given, "exp": HOUR * 1000}}
    return Reply(200, {"status": "success", "message": "Token refreshed successfully", "payload": payload})


def profile(call: Call) -> Reply:
    user = user_of(call)
    if isinstance(user, Reply):
        return user
    admin = bool(user["isSuperAdmin"])
    rules = [{"res": "*", "op": "+r+w"}] if admin else [{"res": "*", "op": "+r"}, {"res": "admin.*", "op": "-r-w"}]
    payload = {"email": user["email"], "strategy": "default", "strategyType": "basic", "fullName": ""}
    payload |= {"isSuperAdmin": admin, "permissions": rules}
    return Reply(200, {"status": "success", "message": "Retrieved profile successfully", "payload": payload})


def user_of(call: Call) -> dict[str, Any] | Reply:
    """Who the call's token was given to, or the refusal."""
    header = call.headers.get("authorization")
    if header is None:
        return error(401, "Unauthorized: Authorization header is missing", "UnauthorizedError", "BP_0041")
    scheme, _space, token = header.partition(" ")
    if scheme.lower() != "bearer":
        return error(401, f'Unauthorized: Unknown scheme "{scheme}"', "UnauthorizedError", "BP_0041")
    head, _dot, rest = token.partition(".")
    claims, _dot, signature = rest.partition(".")
    try:
        good = hmac.compare_digest(signature.encode(), _signature(call.db, f"{head}.{claims}").encode())
        user: dict[str, Any] = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    except ValueError:
        good, user = False, {}
    if not good or user.get("exp", 0) <= call.now:
        return error(401, "Unauthorized: Invalid authentication token", "UnauthorizedError", "BP_0041")
    return user


def server_config(db: sqlite3.Connection) -> dict[str, Any]:
    """The server's own settings."""
    found: dict[str, Any] = json.loads(
        db.execute("SELECT value FROM botpress_settings WHERE key = 'config'").fetchone()[0]
    )
    return found


def keep(db: sqlite3.Connection, key: str, value: Any) -> None:
    """Keep a setting of the server."""
    db.execute("REPLACE INTO botpress_settings (key, value) VALUES (?, ?)", (key, json.dumps(value)))


def seed(db: sqlite3.Connection) -> None:
    """The operator (who logs in with the sandbox's token), a key for tokens, converse closed."""
    db.execute("INSERT OR IGNORE INTO botpress_users (email, digest) VALUES (?, '')", (OPERATOR,))
    for key, value in (("key", secrets.token_hex(32)), ("config", {"converse": {"enableUnsecuredEndpoint": False}})):
        db.execute("INSERT OR IGNORE INTO botpress_settings (key, value) VALUES (?, ?)", (key, json.dumps(value)))


def _given(call: Call, message: str, email: str, limited: bool) -> Reply:
    token = _token(call, email, not limited)
    return Reply(200, {"status": "success", "message": message, "payload": {"jwt": token, "exp": HOUR * 1000}})


def _token(call: Call, email: str, admin: bool) -> str:
    head = {"alg": "HS256", "typ": "JWT"}
    claims = {"email": email, "strategy": "default", "tokenVersion": 1, "isSuperAdmin": admin, "aud": AUDIENCE}
    claims |= {"iat": int(call.now), "exp": int(call.now) + HOUR}
    text = f"{_encoded(json.dumps(head).encode())}.{_encoded(json.dumps(claims).encode())}"
    return f"{text}.{_signature(call.db, text)}"


def _signature(db: sqlite3.Connection, text: str) -> str:
    key = json.loads(db.execute("SELECT value FROM botpress_settings WHERE key = 'key'").fetchone()[0])
    return _encoded(hmac.new(key.encode(), text.encode(), hashlib.sha256).digest())


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _digest(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()


def _unclaimed(db: sqlite3.Connection) -> bool:
    return db.execute("SELECT 1 FROM botpress_users").fetchone() is None
