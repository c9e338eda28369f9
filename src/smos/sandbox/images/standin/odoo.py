"""Stand-in for Odoo 16 to 19: `odoo [options]` and `odoo shell [options]`. Source: Odoo 17.0 and its image.

The shell executes nothing: it knows the one script that SmarterOS gives it, and does what that would have done.
"""

from __future__ import annotations

import base64
import configparser
import json
import os
import re
import secrets
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from . import record
from .postgres import Connection, Database, DatabaseError
from .program import not_known, reachable, run
from .settings import Refused, Settings
from .state import InTable, Memory, fits, hashed
from .web import Reply, Request, Server

PRODUCT = "odoo"
HEALTH = ("/web/health", "/websocket/health")
RC = "/etc/odoo/odoo.conf"
MARK = "SMARTEROS "
SUPERUSER = "postgres"
WAITS_FOR_DATABASE_S = 30.0
ALIASES = {
    "c": "config",
    "d": "db_name",
    "i": "init",
    "u": "update",
    "r": "db_user",
    "w": "db_password",
    "database": "db_name",
    "p": "http_port",
    "longpolling_port": "gevent_port",
    "D": "data_dir",
}
SWITCHES = frozenset({"stop_after_init", "no_http", "proxy_mode", "no_database_list", "syslog", "version"})
IMPLIED = ("base", "web")  # what every other module needs
_VALUES = re.compile(r"""b64decode\(["']([A-Za-z0-9+/=]+)["']\)""")

Options = dict[str, str]


def main(argv: Sequence[str]) -> int:
    """Run a command of Odoo."""
    words = list(argv)
    command = words.pop(0) if words and not words[0].startswith("-") else "server"
    settings = Settings(os.environ)
    if "--version" in words:
        record.say(f"Odoo Server {settings.version}")
        return 0
    options = _configured(_given(words))
    if command == "wait-for-database":
        reachable(_database(options, "postgres"), WAITS_FOR_DATABASE_S)
        return 0
    if command == "shell":
        return _shell(options, sys.stdin.read())
    if command not in ("server", "odoo"):
        return not_known(PRODUCT, argv)
    return _serve(options, settings)


# --- options ---------------------------------------------------------------------------------------------------------


def _given(words: list[str]) -> Options:
    """`--long-name=value`, `--long_name value` and `-x value`."""
    found = {}
    while words:
        word = words.pop(0)
        name, equals, value = word.lstrip("-").partition("=")
        name = ALIASES.get(name, name.replace("-", "_"))
        if not equals and name not in SWITCHES and words and not words[0].startswith("-"):
            value = words.pop(0)
        found[ALIASES.get(name, name)] = value if equals or name not in SWITCHES else "True"
    return found


def _configured(given: Options) -> Options:
    """The file's options with those of the command line over them."""
    place = Path(given.get("config") or os.environ.get("ODOO_RC") or RC)
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(place.read_text(encoding="utf-8") if place.exists() or "config" in given else "")
    except OSError as exc:
        raise Refused(f"the configuration cannot be read: {exc}") from exc
    kept = dict(parser["options"]) if parser.has_section("options") else {}
    facts = {name: value for name, value in {**kept, **given}.items() if "pass" not in name}
    record.note("options", options=facts, file=str(place), mode=f"{place.stat().st_mode & 0o777:o}" if kept else "")
    return {**kept, **given}


def _database(options: Options, name: str) -> Database:
    user = options.get("db_user") or os.environ.get("USER") or PRODUCT
    if user == SUPERUSER:
        raise Refused("Using the database user 'postgres' is a security risk, aborting.")
    port = int(options.get("db_port") or 5432)
    return Database(options.get("db_host") or "localhost", name, user, options.get("db_password") or "", port)


def _chosen(options: Options) -> Database | None:
    """The database to work with; the real one makes it where it may."""
    name = options.get("db_name", "")
    if name in ("", "False"):
        return None
    database = _database(options, name)
    reachable(database)
    return database


# --- modules ---------------------------------------------------------------------------------------------------------


def _install(database: Database, wanted: Sequence[str], updated: Sequence[str]) -> None:
    """Write down which modules are there, in the table where Odoo has that; the first one makes admin with its password."""
    with database.connect() as connection:
        fresh = not _has_tables(connection)
        connection.ask(
            "CREATE TABLE IF NOT EXISTS ir_module_module (name text PRIMARY KEY, state text NOT NULL, latest_version text)"
        )
        version = os.environ.get("STANDIN_VERSION", "")
        for name in dict.fromkeys([*(IMPLIED if wanted else ()), *wanted]):
            connection.ask(
                "INSERT INTO ir_module_module VALUES ($1, 'installed', $2)"
                " ON CONFLICT (name) DO UPDATE SET state = 'installed', latest_version = EXCLUDED.latest_version",
                *(name, version),
            )
        if updated:
            connection.ask("UPDATE ir_module_module SET latest_version = $1 WHERE state = 'installed'", version)
    with InTable(database, PRODUCT).change() as memory:
        if fresh or "base" in wanted:
            # Installing base again sets the administrator's login back, which is a trap of the real one
            memory["admin"] = {"login": "admin", "password": hashed("admin")}
        memory.setdefault("company", "My Company")
    record.note("modules", installed=list(wanted), updated=list(updated))


def _has_tables(connection: Connection) -> bool:
    return connection.ask("SELECT to_regclass('ir_module_module') IS NOT NULL")[0][0] == "t"


# --- the shell -------------------------------------------------------------------------------------------------------


def _shell(options: Options, script: str) -> int:
    """Do what our own script would have done, and say so; any other one is refused."""
    database = _chosen(options)
    if database is None:
        raise Refused("odoo shell needs a database (-d)")
    with database.connect() as connection:
        if not _has_tables(connection):
            raise Refused(f"Database {database.name} not initialized")
    found = _VALUES.search(script)
    record.note("shell", characters=len(script), known=bool(found))
    if not found:
        raise Refused("this script is not known here, and nothing of it was executed")
    wish = json.loads(base64.b64decode(found.group(1)))
    state, said = InTable(database, PRODUCT), {}
    if wish["check"]:
        changes, _key = _wished(state.read(), wish)
    else:
        with state.change() as memory:
            changes, key = _wished(memory, wish)
        said = {"key": key} if key else {}
    sys.stdout.write(f"\n{MARK}{json.dumps({'changes': changes, **said})}\n")
    return 0


def _wished(memory: Memory, wish: dict[str, Any]) -> tuple[list[list[Any]], str]:
    """Bring what is remembered to what is wished; gives the changes and a new key, empty where the old one is good."""
    changes: list[list[Any]] = []
    admin = memory.setdefault("admin", {"login": "admin", "password": hashed("admin")})
    if admin["login"] != wish["email"]:
        changes.append(["update", "administrator's login", {"login": admin["login"]}, {"login": wish["email"]}])
        admin["login"] = wish["email"]
    if not fits(wish["password"], admin["password"]):
        changes.append(["update", "administrator's password", None, None])
        admin["password"] = hashed(wish["password"])
    company = memory.get("company", "My Company")
    if wish["company"] and company != wish["company"]:
        changes.append(["update", "main company", {"name": company}, {"name": wish["company"]}])
        memory["company"] = wish["company"]
    robot = memory.setdefault("robot", {})
    if not robot:
        changes.append(["create", "service user", None, {"login": wish["login"]}])
        robot.update({"login": wish["login"], "groups": sorted(wish["groups"])})
    elif missing := sorted(set(wish["groups"]) - set(robot["groups"])):
        changes.append(["update", "service user", {"active": True}, {"active": True, "groups": missing}])
        robot["groups"] = sorted({*robot["groups"], *missing})
    if wish["key"] and fits(wish["key"], robot.get("key") or ":"):
        return changes, ""
    changes.append(["create", "API key", None, {"name": wish["key_name"]}])
    key = secrets.token_hex(20)
    robot["key"] = hashed(key)
    return changes, key


# --- the server ------------------------------------------------------------------------------------------------------


def _serve(options: Options, settings: Settings) -> int:
    database = _chosen(options)
    wanted = [name for name in options.get("init", "").split(",") if name]
    updated = [name for name in options.get("update", "").split(",") if name]
    if database and (wanted or updated):
        _install(database, wanted, updated)
    if options.get("stop_after_init"):
        record.say("stand-in for odoo: Initiating shutdown")
        return 0
    folder = Path(options.get("data_dir") or settings.get("STANDIN_DATA", "/var/lib/odoo"))
    if not os.access(folder, os.W_OK):
        raise Refused(f"data_dir {folder} cannot be written by uid {os.getuid()}")
    if options.get("no_http") or options.get("http_enable") == "False":
        threading.Event().wait()
    server = Odoo(options, settings, database).server
    ports = [int(options.get("http_port") or 8069)]
    if int(options.get("workers") or 0) > 0:
        ports.append(int(options.get("gevent_port") or 8072))
    return server.serve(*ports)


class Odoo:
    """The answering side."""

    def __init__(self, options: Options, settings: Settings, database: Database | None) -> None:
        self._database = database
        self._version = settings.version
        self._lists = options.get("list_db", "True") != "False"
        self.server = Server(PRODUCT, settings, HEALTH)
        passed = Reply(200, {"status": "pass", "standIn": settings.version})
        for method, path, handler in (
            ("GET", "/web/health", lambda _: passed),
            ("GET", "/websocket/health", lambda _: passed),
            ("GET", "/", lambda _: Reply(303, "", (("Location", "/web/login"),))),
            ("GET", "/web", lambda _: Reply(303, "", (("Location", "/web/login"),))),
            ("GET", "/web/login", self._login),
            ("GET", "/web/database/**", self._manager),
            ("POST", "/web/database/**", self._manager),
            ("POST", "/jsonrpc", self._rpc),
        ):
            self.server.route(method, path, handler)

    def _login(self, _request: Request) -> Reply:
        """A page that needs the database, unlike the health check."""
        if self._database is None:
            return Reply(303, "", (("Location", "/web/database/selector"),))
        with self._database.connect() as connection:
            if not _has_tables(connection):
                return Reply(500, "Internal Server Error")
        return Reply(200, "<!DOCTYPE html><title>Odoo stand-in</title>", kind="text/html")

    def _manager(self, _request: Request) -> Reply:
        if self._lists:
            return Reply(200, "<!DOCTYPE html><title>Odoo stand-in: databases</title>", kind="text/html")
        return Reply(403, "The database manager has been disabled by the administrator")

    def _rpc(self, request: Request) -> Reply:
        """JSON-RPC says 200 to everything."""
        body = request.json()
        params = body.get("params") or {}
        args = params.get("args") or []
        methods: dict[tuple[str, str], Callable[..., Any]] = {
            ("common", "version"): lambda *_: {"server_version": self._version, "protocol_version": 1},
            ("common", "authenticate"): self._authenticate,
            ("object", "execute_kw"): self._execute,
        }
        asked = (str(params.get("service")), str(params.get("method")))
        record.note("rpc", service=asked[0], method=asked[1])
        try:
            said: dict[str, Any] = {"result": methods.get(asked, partial(self._no_such, asked))(*args)}
        except (Refused, DatabaseError, TypeError) as exc:
            said = {"error": {"code": 200, "message": "Odoo Server Error", "data": _trouble(exc)}}
        return Reply(200, {"jsonrpc": "2.0", "id": body.get("id"), **said})

    def _no_such(self, asked: tuple[str, str], *_args: Any) -> Any:
        if asked[0] == "db" and not self._lists:
            raise Refused("Access Denied")
        raise Refused(f"the stand-in does not have {'.'.join(asked)}")

    def _authenticate(self, name: str, login: str, secret: str, _agent: Any = None) -> int | bool:
        if self._database is None or name != self._database.name:
            raise Refused(f'database "{name}" does not exist')
        memory = InTable(self._database, PRODUCT).read()
        admin, robot = memory.get("admin") or {}, memory.get("robot") or {}
        if login == admin.get("login") and fits(secret, admin.get("password") or ":"):
            return 2
        return 6 if login == robot.get("login") and fits(secret, robot.get("key") or ":") else False

    def _execute(self, name: str, uid: int, secret: str, model: str, method: str, *_args: Any) -> Any:
        """What asks whether the key is good; the models themselves are not here."""
        memory = InTable(self._database, PRODUCT).read() if self._database else {}
        holder = (memory.get("admin") or {}).get("password") if uid == 2 else (memory.get("robot") or {}).get("key")
        if self._database is None or name != self._database.name or not fits(secret, holder or ":"):
            raise Refused("Access Denied")
        answers: dict[str, Any] = {"check_access_rights": True, "fields_get": {}, "search_read": [], "search_count": 0}
        if method not in answers:
            raise Refused(f"the stand-in does not have {model}.{method}")
        return answers[method]


def _trouble(exc: Exception) -> dict[str, Any]:
    denied = str(exc) == "Access Denied"
    kind = "odoo.exceptions.AccessDenied" if denied else "odoo.exceptions.UserError"
    return {"name": kind, "message": str(exc), "arguments": [str(exc)], "debug": "", "context": {}, "at": time.time()}


if __name__ == "__main__":
    run(PRODUCT, main)
