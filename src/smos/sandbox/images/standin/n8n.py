"""Stand-in for n8n 1.6x to 2.x: `n8n [start|worker|webhook|--version]`. Source: n8n's package, 1.64.3 and 2.41.1."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import record
from .postgres import Database
from .program import not_known, reachable, run
from .settings import Refused, Settings
from .state import InFile, InTable, Memory, State, fits, hashed
from .web import Reply, Request, Server

PRODUCT = "n8n"
COOKIE = "n8n-auth"
HEALTH = ("/healthz", "/healthz/readiness")
DATABASE = tuple(f"DB_POSTGRESDB_{name}" for name in ("HOST", "PORT", "DATABASE", "USER", "PASSWORD"))
FROM_FILES = (
    *("N8N_ENCRYPTION_KEY", "N8N_USER_MANAGEMENT_JWT_SECRET", "N8N_RUNNERS_AUTH_TOKEN", "N8N_SMTP_PASS"),
    *("DB_TYPE", *DATABASE),
)
SCOPES = ("credential:create", "tag:create", "tag:list", "workflow:activate", "workflow:create", "workflow:list")
_PASSWORD = re.compile(r"(?=.*\d)(?=.*[A-Z]).{8,64}", re.DOTALL)
WITH_SCOPES = (1, 123)
WITH_LONG_LOGIN = (1, 80)


def main(argv: Sequence[str]) -> int:
    """Run a command of n8n."""
    settings = Settings(os.environ, FROM_FILES)
    command = argv[0] if argv else "start"
    if command in ("--version", "-v"):
        record.say(settings.version)
        return 0
    if command not in ("start", "worker", "webhook"):
        return not_known(PRODUCT, argv)
    folder = Path(settings.get("N8N_USER_FOLDER") or Path.home()) / ".n8n"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = _database(settings)
    if database:
        reachable(database)
    _same_key(folder, settings.get("N8N_ENCRYPTION_KEY"))
    state: State = InTable(database, PRODUCT) if database else InFile(folder / "database.json")
    return N8n(settings, state, database).serve()


def _database(settings: Settings) -> Database | None:
    if settings.get("DB_TYPE", "sqlite") != "postgresdb":
        return None
    host, name = settings.get(DATABASE[0], "localhost"), settings.get(DATABASE[2], "n8n")
    user, password = settings.get(DATABASE[3], "postgres"), settings.get(DATABASE[4])
    return Database(host, name, user, password, settings.number(DATABASE[1], 5432))


def _same_key(folder: Path, key: str) -> None:
    """n8n keeps the key that it first ran with and refuses another one, or credentials would be unreadable."""
    kept = InFile(folder / "config.json")
    with kept.change() as memory:
        if key and memory.get("key") and not fits(key, memory["key"]):
            raise Refused(
                "Mismatching encryption keys. The encryption key in the settings file does not match N8N_ENCRYPTION_KEY"
            )
        memory.setdefault("key", hashed(key or secrets.token_urlsafe(24)))


class N8n:
    """The server."""

    def __init__(self, settings: Settings, state: State, database: Database | None) -> None:
        self._settings = settings
        self._state = state
        self._database = database
        self.server = Server(PRODUCT, settings, HEALTH)
        self.server.starting = self._starting
        self._sessions: dict[str, str] = {}
        for method, path, handler in (
            ("GET", "/healthz", lambda _: Reply(200, {"status": "ok"})),
            ("GET", "/healthz/readiness", self._readiness),
            ("GET", "/", lambda _: Reply(200, "<!DOCTYPE html><title>n8n stand-in</title>", kind="text/html")),
            ("GET", "/rest/settings", self._public_settings),
            ("POST", "/rest/owner/setup", self._set_up),
            ("POST", "/rest/login", self._log_in),
            ("GET", "/rest/api-keys", self._keys),
            ("GET", "/rest/api-keys/scopes", self._scopes),
            ("POST", "/rest/api-keys", self._make_key),
            ("DELETE", "/rest/api-keys/*", self._delete_key),
            ("GET", "/api/v1/*", self._listed),
            ("GET", "/metrics", self._metrics),
        ):
            self.server.route(method, path, handler)

    def serve(self) -> int:
        """Answer until told to end."""
        return self.server.serve(self._settings.number("N8N_PORT", 5678))

    def _starting(self, request: Request) -> Reply:
        """The trap of the real one: it says 200 to everything while it starts."""
        if request.path == "/healthz":
            return Reply(200, {"status": "ok"})
        if request.path == "/healthz/readiness":
            return Reply(503, {"status": "error"})
        return Reply(200, "n8n is starting up. Please wait")

    def _readiness(self, _request: Request) -> Reply:
        if self._database:
            reachable(self._database)
        return Reply(200, {"status": "ok", "standIn": self._settings.version})

    def _public_settings(self, _request: Request) -> Reply:
        free = not self._state.read().get("owner")
        facts = {"versionCli": self._settings.version, "userManagement": {"showSetupOnFirstLoad": free}}
        return Reply(200, {"data": facts})

    def _set_up(self, request: Request) -> Reply:
        body = request.json()
        if not all(body.get(name) for name in ("email", "firstName", "lastName", "password")):
            return _error(400, "First and last names are mandatory")
        if not _PASSWORD.fullmatch(str(body["password"])):
            return _error(400, "Password must be 8 to 64 characters long with a number and an uppercase letter")
        with self._state.change() as memory:
            if memory.get("owner"):
                return _error(400, "Instance owner already setup")
            memory["owner"] = {"email": str(body["email"]).lower(), "password": hashed(str(body["password"]))}
        return self._signed_in(request, memory)

    def _log_in(self, request: Request) -> Reply:
        body = request.json()
        name = "emailOrLdapLoginId" if self._settings.numbers >= WITH_LONG_LOGIN else "email"
        if not body.get(name) or not body.get("password"):
            return _error(400, f"{name} and password are required to log in")
        memory = self._state.read()
        owner = memory.get("owner") or {"email": "", "password": ":"}
        if str(body[name]).lower() != owner["email"] or not fits(str(body["password"]), owner["password"]):
            return _error(401, "Wrong username or password. Do you have caps lock on?")
        return self._signed_in(request, memory)

    def _signed_in(self, request: Request, memory: Memory) -> Reply:
        cookie = secrets.token_urlsafe(32)
        self._sessions[cookie] = request.header("browser-id")
        secure = "; Secure" if self._settings.yes("N8N_SECURE_COOKIE", default=True) else ""
        header = ("Set-Cookie", f"{COOKIE}={cookie}; Path=/; HttpOnly; SameSite=Lax{secure}")
        return Reply(200, {"data": {"id": "1", "email": memory["owner"]["email"], "role": "global:owner"}}, (header,))

    def _known(self, request: Request) -> bool:
        """Whether the session is good; one that began with a `browser-id` needs the same one in every call."""
        cookie = request.cookie(COOKIE)
        return cookie in self._sessions and self._sessions[cookie] == request.header("browser-id")

    def _keys(self, request: Request) -> Reply:
        if not self._known(request):
            return _error(401, "Unauthorized")
        keys = self._state.read().get("keys") or []
        return Reply(200, {"data": [{name: key[name] for name in ("id", "label")} for key in keys]})

    def _scopes(self, request: Request) -> Reply:
        if self._settings.numbers < WITH_SCOPES:
            return _error(404, "Cannot GET /rest/api-keys/scopes")
        return Reply(200, {"data": list(SCOPES)}) if self._known(request) else _error(401, "Unauthorized")

    def _make_key(self, request: Request) -> Reply:
        if not self._known(request):
            return _error(401, "Unauthorized")
        body, scoped = request.json(), self._settings.numbers >= WITH_SCOPES
        label = str(body.get("label") or "") if scoped else "My API Key"
        if scoped and (not label or not body.get("scopes")):
            return _error(400, "label and scopes are required")
        key, number = f"n8n_api_{secrets.token_hex(40)}", secrets.token_hex(8)
        with self._state.change() as memory:
            keys: list[dict[str, Any]] = memory.setdefault("keys", [])
            if any(each["label"] == label for each in keys):
                return _error(500 if not scoped else 409, "There is already an entry with this name")
            keys.append({"id": number, "label": label, "key": hashed(key)})
        shown = {"apiKey": f"******{key[-4:]}", "rawApiKey": key} if scoped else {"apiKey": key}
        return Reply(200, {"data": {"id": number, "label": label, **shown}})

    def _delete_key(self, request: Request) -> Reply:
        if not self._known(request):
            return _error(401, "Unauthorized")
        with self._state.change() as memory:
            memory["keys"] = [each for each in memory.get("keys") or [] if each["id"] != request.parts[0]]
        return Reply(200, {"data": {"success": True}})

    def _listed(self, request: Request) -> Reply:
        given = request.header("X-N8N-API-KEY")
        keys = self._state.read().get("keys") or []
        if not given:
            return Reply(401, {"message": "'X-N8N-API-KEY' header required"})
        if not any(fits(given, each["key"]) for each in keys):
            return Reply(401, {"message": "unauthorized"})
        return Reply(200, {"data": [], "nextCursor": None})

    def _metrics(self, _request: Request) -> Reply:
        if not self._settings.yes("N8N_METRICS"):
            return _error(404, "Cannot GET /metrics")
        return Reply(200, f'n8n_version_info{{version="v{self._settings.version}"}} 1\n')


def _error(status: int, message: str) -> Reply:
    return Reply(status, {"code": 0, "message": message})


if __name__ == "__main__":
    run(PRODUCT, main)
