"""Stand-in for Chatwoot 3.13 to 4.16, as `bundle`: `bundle exec rails s|db:chatwoot_prepare|runner -` and `bundle exec
sidekiq`. Source: Chatwoot 3.13.0, 4.3.0, 4.14.0.

The runner executes nothing: it knows the one script that SmarterOS gives it, and does what that would have done.
"""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import signal
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

from . import record
from .postgres import Database, DatabaseError
from .program import not_known, reachable, run
from .redis import Redis, RedisError
from .settings import Refused, Settings
from .state import InTable, Memory, State, fits, hashed
from .web import Reply, Request, Server

PRODUCT = "chatwoot"
HEALTH = ("/api", "/health")
MARK = "SMARTEROS "
ONBOARDING = "alfred:CHATWOOT_INSTALLATION_ONBOARDING"
EXTENSIONS = ("pg_stat_statements", "pg_trgm", "pgcrypto")
WITH_VECTOR = (4,)
SHORTEST = 6
HEARTBEAT_S = 5.0
_VALUES = re.compile(r"Base64\.decode64\('([A-Za-z0-9+/=]+)'\)")


def main(argv: Sequence[str]) -> int:
    """Run a command of bundler."""
    words = [word for word in argv if word != "exec"]
    settings = Settings(os.environ)
    if words[:1] == ["wait-for-postgres"]:
        reachable(_database(settings))
        return 0
    if words[:1] not in (["rails"], ["sidekiq"]):
        return not_known(PRODUCT, argv)
    settings.need("SECRET_KEY_BASE", "POSTGRES_HOST", "REDIS_URL")
    database = _database(settings)
    site = Site(settings, database, Redis.at(settings.get("REDIS_URL"), settings.get("REDIS_PASSWORD")))
    if words[0] == "sidekiq":
        return site.work()
    command = words[1] if words[1:] else ""
    if command in ("s", "server"):
        return site.serve(_port(words))
    if command == "db:chatwoot_prepare":
        return site.prepare()
    if command in ("runner", "r") and words[2:] == ["-"]:
        return site.script(sys.stdin.read())
    return not_known(PRODUCT, argv)


def _port(words: Sequence[str]) -> int:
    return int(words[words.index("-p") + 1]) if "-p" in words else 3000


def _database(settings: Settings) -> Database:
    name, user = (
        settings.get("POSTGRES_DATABASE", "chatwoot_production"),
        settings.get("POSTGRES_USERNAME", "chatwoot_prod"),
    )
    host, port = settings.get("POSTGRES_HOST"), settings.number("POSTGRES_PORT", 5432)
    return Database(host, name, user, settings.get("POSTGRES_PASSWORD"), port)


class Site:
    """One installation: its database, its Redis, and what runs on them."""

    def __init__(self, settings: Settings, database: Database, redis: Redis) -> None:
        self._settings = settings
        self._database = database
        self._redis = redis
        self._state: State = InTable(database, PRODUCT)

    # --- commands

    def prepare(self) -> int:
        """Load the schema or migrate it. The extensions are made for real, so one that is not allowed fails for real."""
        wanted = [*EXTENSIONS, *(["vector"] if self._settings.numbers >= WITH_VECTOR else [])]
        with self._database.connect() as connection:
            for name in wanted:
                connection.ask(f'CREATE EXTENSION IF NOT EXISTS "{name}"')
        with self._state.change() as memory:
            fresh = not memory.get("schema")
            record.note("prepared", before=memory.get("schema"), after=self._settings.version)
            memory["schema"] = self._settings.version
        if fresh:
            self._redis.ask("SET", ONBOARDING, "true")
        record.say(f"stand-in for chatwoot: the database is of version {self._settings.version}")
        return 0

    def work(self) -> int:
        """Sidekiq: nothing but a heartbeat. Ends by itself where Redis or the database cannot be reached at its start."""
        reachable(self._database)
        self._redis.ask("PING")
        ended = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_what: ended.set())
        record.say(f"stand-in for chatwoot {self._settings.version}: sidekiq is at work")
        while not ended.wait(HEARTBEAT_S):
            try:
                self._redis.ask("SET", "standin:sidekiq", str(time.time()), "EX", "60")
            except RedisError as exc:
                record.say(f"heartbeat: {exc}")
        return 0

    def script(self, script: str) -> int:
        """Do what our own script would have done, and say so; any other one is refused."""
        found = _VALUES.search(script)
        record.note("runner", characters=len(script), known=bool(found))
        if not found:
            raise Refused("this script is not known here, and nothing of it was executed")
        self._migrated()
        wish = json.loads(base64.b64decode(found.group(1)))
        is_open = self._redis.ask("GET", ONBOARDING) is not None
        if wish["check"]:
            memory = self._state.read()
            had = bool(memory.get("app"))
            changes = _wished(memory, wish, is_open=is_open)
            token = memory["app"]["token"] if had else ""
        else:
            with self._state.change() as memory:
                changes = _wished(memory, wish, is_open=is_open)
            self._redis.ask("DEL", ONBOARDING)
            token = memory["app"]["token"]
        sys.stdout.write(f"\n{MARK}{json.dumps({'changes': changes, **({'token': token} if token else {})})}\n")
        return 0

    def serve(self, port: int) -> int:
        """The web server."""
        reachable(self._database)
        server = Server(PRODUCT, self._settings, HEALTH)
        server.before = self._before
        for method, path, handler in (
            ("GET", "/api", self._api),
            ("GET", "/", lambda _: Reply(302, "", (("Location", "/app/login"),))),
            (
                "GET",
                "/app/login",
                lambda _: Reply(200, "<!DOCTYPE html><title>Chatwoot stand-in</title>", kind="text/html"),
            ),
            ("GET", "/installation/onboarding", self._onboarding),
            ("POST", "/installation/onboarding", self._onboard),
            ("GET", "/platform/api/v1/accounts/*", self._account),
        ):
            server.route(method, path, handler)
        if self._settings.numbers >= WITH_VECTOR:
            server.route("GET", "/health", lambda _: Reply(200, {"status": "woot"}))
        return server.serve(port)

    def _migrated(self) -> None:
        schema = self._state.read().get("schema")
        if not schema:
            raise Refused("ActiveRecord::PendingMigrationError: run db:chatwoot_prepare first")
        if schema != self._settings.version:
            record.note("schema", is_of=schema, server=self._settings.version)

    # --- the web server

    def _before(self, request: Request) -> Reply | None:
        """Plain HTTP is sent away where SSL is forced; without a schema nothing works."""
        if self._settings.yes("FORCE_SSL") and request.header("X-Forwarded-Proto") != "https":
            return Reply(301, "", (("Location", f"https://{request.header('Host')}{request.path}"),))
        if request.path in HEALTH:
            return None
        return None if self._state.read().get("schema") else Reply(500, "We're sorry, but something went wrong")

    def _api(self, _request: Request) -> Reply:
        """200 also when a part is down, as in the real one."""
        parts = {"queue_services": "ok", "data_services": "ok"}
        try:
            self._redis.ask("PING")
        except RedisError:
            parts["queue_services"] = "failing"
        try:
            reachable(self._database)
        except DatabaseError:
            parts["data_services"] = "failing"
        version = self._settings.version.removesuffix("-ce").removeprefix("v")
        return Reply(200, {"version": version, "timestamp": time.strftime("%F %T"), **parts})

    def _onboarding(self, _request: Request) -> Reply:
        if self._redis.ask("GET", ONBOARDING) is None:
            return Reply(302, "", (("Location", "/"),))
        return Reply(200, "<!DOCTYPE html><title>Chatwoot stand-in: become super admin</title>", kind="text/html")

    def _onboard(self, request: Request) -> Reply:
        if self._redis.ask("GET", ONBOARDING) is None:
            return Reply(302, "", (("Location", "/"),))
        user = request.json().get("user") or {}
        if not user.get("email") or not user.get("password"):
            return Reply(422, {"error": "email and password are required"})
        with self._state.change() as memory:
            memory["admin"] = {"email": user["email"], "password": hashed(user["password"])}
        self._redis.ask("DEL", ONBOARDING)
        return Reply(302, "", (("Location", "/"),))

    def _account(self, request: Request) -> Reply:
        """The token is judged before the account is looked for."""
        kept = (self._state.read().get("app") or {}).get("token") or ""
        if not kept or not secrets.compare_digest(kept, request.header("api_access_token")):
            return Reply(401, {"error": "Invalid access_token"})
        return Reply(404, {"error": "Resource could not be found"})


def _wished(memory: Memory, wish: dict[str, Any], *, is_open: bool) -> list[list[Any]]:
    """Bring what is remembered to what is wished; gives the changes."""
    changes: list[list[Any]] = []
    admin = memory.get("admin")
    if admin is None:
        changes.append(["create", "super admin", None, {"email": wish["email"]}])
        if len(wish["password"]) < SHORTEST:
            raise Refused("ActiveRecord::RecordInvalid: Validation failed: Password is too short")
        admin = memory["admin"] = {"email": wish["email"], "password": hashed(wish["password"])}
    if admin["email"] == wish["email"] and not fits(wish["password"], admin["password"]):
        changes.append(["update", "password of the super admin", None, None])
        admin["password"] = hashed(wish["password"])
    if is_open:
        changes.append(["delete", "open set-up page", None, None])
    if not memory.get("app"):
        changes.append(["create", "platform app", None, {"name": wish["app"]}])
        memory["app"] = {"name": wish["app"], "token": secrets.token_urlsafe(18)}
    return changes


if __name__ == "__main__":
    run(PRODUCT, main)
