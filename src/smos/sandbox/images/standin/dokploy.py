"""Stand-in for Dokploy 0.30: `pnpm start`. Source: recorded answers of v0.30.2, and its source."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import record
from .postgres import Database, DatabaseError
from .program import not_known, reachable, run
from .settings import Settings
from .state import InTable, State, fits, hashed
from .web import Reply, Request, Server

PRODUCT = "dokploy"
HEALTH = ("/api/health", "/api/trpc/settings.health", "/api/settings.health")
FROM_FILES = ("POSTGRES_PASSWORD", "BETTER_AUTH_SECRET", "ENCRYPTION_KEY")
COOKIE = "better-auth.session_token"
SHORTEST = 8
LONGEST_NAME = 32
WAITS_FOR_DATABASE_S = 30.0
# What the real one writes where nothing is: the hazards of it are what a deploy must have prevented
TRAEFIK = """\
api:
  insecure: true
certificatesResolvers:
  letsencrypt:
    acme:
      email: test@localhost.com
"""
UNAUTHORIZED = Reply(401, {"message": "Unauthorized"})


def main(argv: Sequence[str]) -> int:
    """Start the server."""
    words = [word for word in argv if word not in ("run", "--")]
    if words and words[0] != "start":
        return not_known(PRODUCT, argv)
    settings = Settings(os.environ, FROM_FILES)
    database = _database(settings)
    reachable(database, WAITS_FOR_DATABASE_S)
    if not settings.get("BETTER_AUTH_SECRET"):
        record.say("WARNING: BETTER_AUTH_SECRET is not set, a public constant is used")
    _lay_out(Path(settings.get("STANDIN_DATA", "/etc/dokploy")))
    return Dokploy(settings, InTable(database, PRODUCT), database).server.serve(settings.number("PORT", 3000))


def _database(settings: Settings) -> Database:
    if settings.get("DATABASE_URL"):
        return Database.at(settings.get("DATABASE_URL"))
    settings.need("POSTGRES_PASSWORD")
    host, name = settings.get("POSTGRES_HOST", "dokploy-postgres"), settings.get("POSTGRES_DB", "dokploy")
    user, password = settings.get("POSTGRES_USER", "dokploy"), settings.get("POSTGRES_PASSWORD")
    return Database(host, name, user, password, settings.number("POSTGRES_PORT", 5432))


def _lay_out(folder: Path) -> None:
    socket = Path("/var/run/docker.sock").exists()
    record.note("surroundings", docker_socket=socket, traefik_file=(folder / "traefik/traefik.yml").exists())
    for name in ("traefik/dynamic/certificates", "applications", "compose", "logs", "ssh", "registry", "schedules"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    place = folder / "traefik/traefik.yml"
    if not place.exists():
        record.say("Main config not found, writing the default one")
        place.write_text(TRAEFIK, encoding="utf-8")


class Dokploy:
    """The server."""

    def __init__(self, settings: Settings, state: State, database: Database) -> None:
        self._settings = settings
        self._state = state
        self._database = database
        self._sessions: set[str] = set()
        self.server = Server(PRODUCT, settings, HEALTH)
        self.server.before = self._origin
        for method, path, handler in (
            ("GET", "/api/health", lambda _: Reply(200, {"ok": True})),
            ("GET", "/api/trpc/settings.health", self._health),
            ("GET", "/", lambda _: Reply(200, "<!DOCTYPE html><title>Dokploy stand-in</title>", kind="text/html")),
            ("POST", "/api/auth/sign-up/email", self._sign_up),
            ("POST", "/api/auth/sign-in/email", self._sign_in),
            ("GET", "/api/organization.all", self._known(self._organisations)),
            ("GET", "/api/user.get", self._known(self._user)),
            ("POST", "/api/user.createApiKey", self._known(self._make_key)),
            ("POST", "/api/user.deleteApiKey", self._known(self._delete_key)),
            ("GET", "/api/settings.health", self._known(lambda _: Reply(200, {"status": "ok"}))),
            ("GET", "/api/settings.getDokployVersion", self._known(self._version)),
            ("GET", "/api/project.all", self._known(lambda _: Reply(200, []))),
        ):
            self.server.route(method, path, handler)

    def _origin(self, request: Request) -> Reply | None:
        """A call of a browser says where it comes from."""
        if request.path.startswith("/api/auth/") and request.header("Cookie") and not request.header("Origin"):
            return Reply(403, {"message": "Missing or null Origin", "code": "MISSING_OR_NULL_ORIGIN"})
        return None

    def _health(self, _request: Request) -> Reply:
        try:
            reachable(self._database)
        except DatabaseError:
            return Reply(500, {"error": {"json": {"message": "database"}}})
        data = {"json": {"status": "ok", "standIn": self._settings.version}}
        return Reply(200, {"result": {"data": data}})

    def _sign_up(self, request: Request) -> Reply:
        body = request.json()
        email, password = str(body.get("email") or "").lower(), str(body.get("password") or "")
        if not email or len(password) < SHORTEST:
            return Reply(400, {"message": "Password too short", "code": "PASSWORD_TOO_SHORT"})
        with self._state.change() as memory:
            if memory.get("user"):
                if memory["user"]["email"] == email:
                    code = "USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL"
                    return Reply(422, {"message": "User already exists. Use another email.", "code": code})
                return Reply(400, {"message": "Admin is already created"})
            memory["user"] = {"email": email, "password": hashed(password)}
            memory["organisation"] = secrets.token_urlsafe(12)
        return self._signed_in()

    def _sign_in(self, request: Request) -> Reply:
        body, user = request.json(), self._state.read().get("user") or {"email": "", "password": ":"}
        good = fits(str(body.get("password") or ""), user["password"])
        if not good or str(body.get("email") or "").lower() != user["email"]:
            return Reply(401, {"message": "Invalid email or password", "code": "INVALID_EMAIL_OR_PASSWORD"})
        return self._signed_in()

    def _signed_in(self) -> Reply:
        session = secrets.token_urlsafe(24)
        self._sessions.add(session)
        cookie = f"{COOKIE}={session}; Path=/; HttpOnly; SameSite=Lax"
        return Reply(200, {"token": session, "user": {"id": "1"}}, (("Set-Cookie", cookie),))

    def _known(self, handler: Any) -> Any:
        """A call needs a session or a key; without its database the real one says 401 to good ones, too."""

        def judged(request: Request) -> Reply:
            try:
                keys = self._state.read().get("keys") or []
            except DatabaseError:
                return UNAUTHORIZED
            key = request.header("x-api-key")
            good = request.cookie(COOKIE) in self._sessions or any(key and fits(key, row["key"]) for row in keys)
            answer: Reply = handler(request) if good else UNAUTHORIZED
            return answer

        return judged

    def _organisations(self, _request: Request) -> Reply:
        return Reply(200, [{"id": self._state.read()["organisation"], "name": "My Organization"}])

    def _user(self, _request: Request) -> Reply:
        memory = self._state.read()
        keys = [{"id": row["id"], "name": row["name"]} for row in memory.get("keys") or []]
        user = {"id": "1", "email": memory["user"]["email"], "apiKeys": keys}
        return Reply(200, {"role": "owner", "organizationId": memory["organisation"], "user": user})

    def _make_key(self, request: Request) -> Reply:
        body = request.json()
        name, wanted = str(body.get("name") or ""), (body.get("metadata") or {}).get("organizationId")
        if not 0 < len(name) <= LONGEST_NAME or wanted is None:
            return Reply(400, {"message": "Input validation failed", "code": "BAD_REQUEST"})
        key, number = secrets.token_urlsafe(48), secrets.token_urlsafe(12)
        with self._state.change() as memory:
            if wanted and wanted != memory["organisation"]:
                return Reply(403, {"message": "You are not a member of this organization", "code": "FORBIDDEN"})
            # One of no organisation is made and good for nothing
            row = {"id": number, "name": name, "key": hashed(key) if wanted else ":"}
            memory.setdefault("keys", []).append(row)
        limited = body.get("rateLimitEnabled", True)
        record.note("api-key", limited=limited)
        return Reply(200, {"id": number, "name": name, "key": key, "rateLimitEnabled": limited})

    def _delete_key(self, request: Request) -> Reply:
        number = request.json().get("apiKeyId")
        with self._state.change() as memory:
            memory["keys"] = [row for row in memory.get("keys") or [] if row["id"] != number]
        return Reply(200, True)

    def _version(self, _request: Request) -> Reply:
        return Reply(200, f'"v{self._settings.version.removeprefix("v")}"', kind="application/json")


if __name__ == "__main__":
    run(PRODUCT, main)
