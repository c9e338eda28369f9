"""Stand-in for Metabase 0.58 to 0.6x: `run_metabase.sh [command]`. Source: Metabase's source and its API description."""

from __future__ import annotations

import os
import secrets
import uuid
from collections.abc import Sequence
from typing import Any

from . import record
from .postgres import Database
from .program import not_known, reachable, run
from .settings import Refused, Settings
from .state import InFile, InTable, State, fits, hashed
from .web import Reply, Request, Server

PRODUCT = "metabase"
HEALTH = ("/api/health",)
FROM_FILES = ("MB_DB_USER", "MB_DB_PASS", "MB_DB_CONNECTION_URI")
SHORTEST_KEY = 16
SHORTEST_PASSWORD = 6
ADMINISTRATORS = 2
GROUPS = (
    {"id": 1, "name": "All Users", "magic_group_type": "all-internal-users", "member_count": 1},
    {"id": ADMINISTRATORS, "name": "Administrators", "magic_group_type": "admin", "member_count": 1},
)


def main(argv: Sequence[str]) -> int:
    """Serve, or run a command of the jar."""
    settings = Settings(os.environ, FROM_FILES)
    words = list(argv)
    while words and (words[0].startswith("-") or words[0].endswith(".jar")):
        words.pop(0)
    key = settings.get("MB_ENCRYPTION_SECRET_KEY")
    if key and len(key) < SHORTEST_KEY:
        raise Refused("MB_ENCRYPTION_SECRET_KEY must be at least 16 characters")
    database = _database(settings)
    if database:
        reachable(database)
    state: State = InTable(database, PRODUCT) if database else InFile(record.home() / "metabase.json")
    _same_key(state, key)
    if words[:1] == ["rotate-encryption-key"] and words[1:]:
        with state.change() as memory:
            memory["key"] = hashed(words[1])
        record.say("Encryption key rotation OK.")
        return 0
    if words:
        return not_known(PRODUCT, words)
    return Metabase(settings, state, database).server.serve(settings.number("MB_JETTY_PORT", 3000))


def _database(settings: Settings) -> Database | None:
    if settings.get("MB_DB_TYPE", "h2") != "postgres":
        return None  # its own file, which is lost with the container
    if settings.get("MB_DB_CONNECTION_URI"):
        return Database.at(settings.get("MB_DB_CONNECTION_URI").removeprefix("jdbc:"))
    settings.need("MB_DB_HOST", "MB_DB_DBNAME", "MB_DB_USER", "MB_DB_PASS")
    host, name, user, password = (settings.get(f"MB_DB_{part}") for part in ("HOST", "DBNAME", "USER", "PASS"))
    return Database(host, name, user, password, settings.number("MB_DB_PORT", 5432))


def _same_key(state: State, key: str) -> None:
    with state.change() as memory:
        if memory.get("key") and not (key and fits(key, memory["key"])):
            what = "is different from the one it was encrypted with" if key else "is not set"
            raise Refused(f"Database is encrypted, and MB_ENCRYPTION_SECRET_KEY {what}")
        if key and not memory.get("key"):
            memory["key"] = hashed(key)
        if not memory.get("user"):
            memory.setdefault("token", str(uuid.uuid4()))


class Metabase:
    """The server."""

    def __init__(self, settings: Settings, state: State, database: Database | None) -> None:
        self._settings = settings
        self._state = state
        self._database = database
        self.server = Server(PRODUCT, settings, HEALTH)
        self.server.starting = lambda _request: Reply(503, {"status": "initializing", "progress": 0.5})
        self._sessions: set[str] = set()
        for method, path, handler in (
            ("GET", "/api/health", self._health),
            ("GET", "/", lambda _: Reply(200, "<!DOCTYPE html><title>Metabase stand-in</title>", kind="text/html")),
            ("GET", "/api/session/properties", self._properties),
            ("POST", "/api/setup", self._set_up),
            ("POST", "/api/session", self._log_in),
            ("GET", "/api/user/current", self._current),
            ("GET", "/api/permissions/group", self._groups),
            ("GET", "/api/api-key", self._keys),
            ("POST", "/api/api-key", self._make_key),
            ("DELETE", "/api/api-key/*", self._delete_key),
        ):
            self.server.route(method, path, handler)

    def _health(self, _request: Request) -> Reply:
        if self._database:
            reachable(self._database)
        return Reply(200, {"status": "ok", "standIn": self._settings.version})

    def _properties(self, _request: Request) -> Reply:
        memory = self._state.read()
        done = bool(memory.get("user"))
        version = {"tag": f"v{self._settings.version.removeprefix('v')}"}
        token = None if done else memory.get("token")
        return Reply(200, {"has-user-setup": done, "setup-token": token, "version": version, "engines": {}})

    def _set_up(self, request: Request) -> Reply:
        body, user = request.json(), request.json().get("user") or {}
        with self._state.change() as memory:
            if memory.get("user"):
                return Reply(
                    403, "The /api/setup route can only be used to create the first user, however a user exists."
                )
            if body.get("token") != memory.get("token"):
                return Reply(400, {"errors": {"token": "Token does not match the setup token."}})
            errors = _mistakes(user)
            if errors:
                return Reply(400, {"errors": errors})
            memory["user"] = {"email": user["email"].lower(), "password": hashed(user["password"])}
            memory["prefs"] = body.get("prefs") or {}
        return self._signed_in()

    def _log_in(self, request: Request) -> Reply:
        body = request.json()
        user = self._state.read().get("user") or {"email": "", "password": ":"}
        good = fits(str(body.get("password") or ""), user["password"])
        if not good or str(body.get("username") or "").lower() != user["email"]:
            return Reply(401, {"errors": {"password": "did not match stored password"}})
        return self._signed_in()

    def _signed_in(self) -> Reply:
        session = str(uuid.uuid4())
        self._sessions.add(session)
        cookie = f"metabase.SESSION={session}; Path=/; HttpOnly; SameSite=Lax"
        return Reply(200, {"id": session}, (("Set-Cookie", cookie),))

    def _admin(self, request: Request) -> bool:
        """Whether a session or a key of the group Administrators comes with the call."""
        key = request.header("X-API-Key")
        if key:
            rows = self._state.read().get("keys") or []
            return any(fits(key, row["key"]) for row in rows if row["group_id"] == ADMINISTRATORS)
        return (request.header("X-Metabase-Session") or request.cookie("metabase.SESSION")) in self._sessions

    def _current(self, request: Request) -> Reply:
        if not self._admin(request):
            return Reply(401, "Unauthenticated")
        email = self._state.read()["user"]["email"]
        return Reply(200, {"id": 1, "email": email, "common_name": "SmarterOS", "is_superuser": True})

    def _groups(self, request: Request) -> Reply:
        return Reply(200, list(GROUPS)) if self._admin(request) else Reply(401, "Unauthenticated")

    def _keys(self, request: Request) -> Reply:
        if not self._admin(request):
            return Reply(401, "Unauthenticated")
        rows = self._state.read().get("keys") or []
        return Reply(200, [{name: row[name] for name in ("id", "name", "masked_key")} for row in rows])

    def _make_key(self, request: Request) -> Reply:
        if not self._admin(request):
            return Reply(401, "Unauthenticated")
        body, key = request.json(), f"mb_{secrets.token_urlsafe(32)}"
        if body.get("group_id") not in (1, ADMINISTRATORS) or not body.get("name"):
            return Reply(400, {"errors": {"group_id": "value must be an integer greater than zero."}})
        with self._state.change() as memory:
            rows: list[dict[str, Any]] = memory.setdefault("keys", [])
            if any(row["name"] == body["name"] for row in rows):
                return Reply(400, {"errors": {"name": "An API key with that name already exists."}})
            row = {"id": 1 + max((each["id"] for each in rows), default=0), "name": body["name"]}
            rows.append({**row, "group_id": body["group_id"], "masked_key": f"{key[:7]}****", "key": hashed(key)})
        return Reply(200, {**row, "unmasked_key": key, "masked_key": f"{key[:7]}****"})

    def _delete_key(self, request: Request) -> Reply:
        if not self._admin(request):
            return Reply(401, "Unauthenticated")
        with self._state.change() as memory:
            memory["keys"] = [row for row in memory.get("keys") or [] if str(row["id"]) != request.parts[0]]
        return Reply(204)


def _mistakes(user: dict[str, Any]) -> dict[str, str]:
    found = {name: "value must be a non-blank string." for name in ("email", "password") if not user.get(name)}
    if user.get("password") and len(str(user["password"])) < SHORTEST_PASSWORD:
        found["password"] = "password is too common."  # noqa: S105 - a message
    return found


if __name__ == "__main__":
    run(PRODUCT, main)
