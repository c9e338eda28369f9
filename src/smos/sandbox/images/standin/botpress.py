"""Stand-in for Botpress v12: `bp [serve]`. Source: botpress/v12, tags v12.26.0 and v12.31.10."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from .postgres import Database, DatabaseError
from .program import not_known, reachable, run
from .settings import Refused, Settings
from .state import InFile, InTable, State, fits, hashed
from .web import Reply, Request, Server

PRODUCT = "botpress"
HEALTH = ("/status",)
AUTH = "/api/v2/admin/auth"
BOTS = "/api/v2/admin/workspace/bots"
PROFILE = "/api/v2/admin/user/profile"
WORKSPACE = "default"
LOADING = "<!DOCTYPE html><html><head><title>Botpress is loading</title></head><body>Botpress is loading</body></html>"


def main(argv: Sequence[str]) -> int:
    """Start the server; the options of the real one are taken and not looked at."""
    words = [word for word in argv if not word.startswith("-")]
    if words and words[0] != "serve":
        return not_known(PRODUCT, argv)
    settings = Settings(os.environ)
    folder = Path(settings.get("STANDIN_DATA", "/botpress/data"))
    (folder / "global").mkdir(parents=True, exist_ok=True)
    database = Database.at(settings.get("DATABASE_URL")) if settings.get("DATABASE_URL") else None
    if database:
        reachable(database)
    state: State = InTable(database, PRODUCT) if database else InFile(folder / "database.json")
    _open(settings, state)
    return Botpress(settings, state, database).server.serve(settings.number("PORT", 3000))


def _open(settings: Settings, state: State) -> None:
    """Data of an older version is touched only when told to; the first user comes from the environment."""
    email, password = settings.get("BP_ADMIN_EMAIL"), settings.get("BP_ADMIN_PASSWORD")
    with state.change() as memory:
        known = memory.get("version")
        if known and known != settings.version and not settings.yes("AUTO_MIGRATE"):
            raise Refused(
                f"Data is of version {known}, the server is {settings.version}: migration required. "
                "Please start Botpress with the flag AUTO_MIGRATE=true"
            )
        memory["version"] = settings.version
        if email and password and not memory.get("user"):
            memory["user"] = {"email": email.lower(), "password": hashed(password)}


class Botpress:
    """The server."""

    def __init__(self, settings: Settings, state: State, database: Database | None) -> None:
        self._settings = settings
        self._state = state
        self._database = database
        self._tokens: set[str] = set()
        self.server = Server(PRODUCT, settings, HEALTH)
        self.server.starting = lambda _request: Reply(503, LOADING, kind="text/html")
        for method, path, handler in (
            ("GET", "/status", self._status),
            ("GET", "/version", lambda _: Reply(200, settings.version)),
            ("GET", "/", lambda _: Reply(302, "", (("Location", "/admin"),))),
            (
                "GET",
                "/admin",
                lambda _: Reply(200, "<!DOCTYPE html><title>Botpress stand-in</title>", kind="text/html"),
            ),
            ("GET", f"{AUTH}/config", self._config),
            ("POST", f"{AUTH}/register/basic/default", self._register),
            ("POST", f"{AUTH}/login/basic/default", self._log_in),
            ("GET", BOTS, self._bots),
            ("GET", PROFILE, self._profile),
        ):
            self.server.route(method, path, handler)

    def _status(self, _request: Request) -> Reply:
        """200 also when the database is gone, as in the real one."""
        parts = {"botpress": "up", "database": "up", "messaging": "up", "nlu": "down"}
        try:
            if self._database:
                reachable(self._database)
        except DatabaseError:
            parts["database"] = "down"
        return Reply(200, {**parts, "standIn": self._settings.version})

    def _config(self, _request: Request) -> Reply:
        return _payload({"strategies": [], "isFirstUser": not self._state.read().get("user")})

    def _register(self, request: Request) -> Reply:
        body = request.json()
        if not body.get("email") or not body.get("password"):
            return _error(400, "email and password are required")
        with self._state.change() as memory:
            if memory.get("user"):
                return Reply(403, "Registration is disabled")
            memory["user"] = {"email": str(body["email"]).lower(), "password": hashed(str(body["password"]))}
        return self._signed_in()

    def _log_in(self, request: Request) -> Reply:
        body, user = request.json(), self._state.read().get("user") or {"email": "", "password": ":"}
        good = fits(str(body.get("password") or ""), user["password"])
        if not good or str(body.get("email") or "").lower() != user["email"]:
            return _error(401, "Invalid credentials")
        return self._signed_in()

    def _signed_in(self) -> Reply:
        token = secrets.token_urlsafe(32)
        self._tokens.add(token)
        return _payload({"jwt": token, "csrf": secrets.token_urlsafe(8), "exp": 3600})

    def _known(self, request: Request) -> bool:
        return request.header("Authorization").removeprefix("Bearer ") in self._tokens

    def _profile(self, request: Request) -> Reply:
        if not self._known(request):
            return _error(401, "Invalid authentication token")
        return _payload({"email": self._state.read()["user"]["email"], "isSuperAdmin": True, "permissions": []})

    def _bots(self, request: Request) -> Reply:
        if not self._known(request):
            return _error(401, "Invalid authentication token")
        if request.header("X-BP-Workspace") != WORKSPACE:
            return _error(400, "Workspace is missing. Set header X-BP-Workspace")
        return _payload({"bots": []})


def _payload(payload: object) -> Reply:
    return Reply(200, {"status": "success", "message": "", "payload": payload})


def _error(status: int, message: str) -> Reply:
    return Reply(status, {"statusCode": status, "errorCode": f"BP_{status:04}", "type": "Error", "message": message})


if __name__ == "__main__":
    run(PRODUCT, main)
