"""Botpress 12 (Community) as far as SmarterOS uses it: login, the bots of the workspace, archives, the studio's form, converse.

Followed from the source of botpress/v12 (12.31) and botpress/studio, traps included: wrong credentials and most refusals
come with status 400, an import appends the id to the bot's name, a settings form without a language or without
``disabled`` does harm, ``/status`` is 200 when parts are down. The file ``data/global/botpress.config.json`` of the
server, which no API of Botpress changes, is at ``/data/global/botpress.config.json`` here (GET, and PUT of what shall differ).
"""

from __future__ import annotations

import json
import re
import sqlite3
from datetime import UTC, datetime
from typing import Any

from smos.sandbox import botpress_login as login
from smos.sandbox.botpress_archive import CONFIG, BadArchive, pack, unpack
from smos.sandbox.botpress_login import Refused, error
from smos.sandbox.provider import Call, Operation, Provider, Reply

ADMIN = "/api/v2/admin"
BOTS = f"{ADMIN}/workspace/bots"
ARCHIVE = "application/tar+gzip"
PLACEHOLDER = "/bots/BOT_ID_PLACEHOLDER/"
BOT_ID = re.compile(r"[A-Z0-9]+[A-Z0-9_-]{1,}[A-Z0-9]+", re.IGNORECASE)
VERSION = "12.31.10"
TEMPLATES = ("empty-bot", "welcome-bot", "small-talk", "learn-botpress")
EDITABLE = (
    "name",
    "description",
    "category",
    "details",
    "disabled",
    "private",
    "defaultLanguage",
    "languages",
    "locked",
)

SCHEMA = (
    login.SCHEMA
    + """
CREATE TABLE IF NOT EXISTS botpress_bots (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, config TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS botpress_files (
    bot TEXT NOT NULL REFERENCES botpress_bots (id) ON DELETE CASCADE, path TEXT NOT NULL, content BLOB NOT NULL,
    PRIMARY KEY (bot, path)) WITHOUT ROWID;
"""
)


def fault_reply(status: int, message: str) -> Reply:
    """Faults and unknown paths as the server tells them."""
    if status == 503:
        return Reply(503, "<html><body>Botpress is loading. Please try again in a minute.</body></html>")
    if status == 429:
        return Reply(429, "Too many requests, please slow down.")
    kinds = {404: "NotFoundError", 401: "UnauthorizedError", 403: "ForbiddenError", 409: "ConflictError"}
    return error(status, message, kinds.get(status, "Exception"))


def authenticate(call: Call, tokens: frozenset[str]) -> Reply | None:
    """A login needs a password that is accepted; what manages bots needs a token, the workspace and the permission."""
    if call.path.startswith(f"{ADMIN}/auth/login/"):
        return login.judged(call, tokens)
    if call.path.startswith("/data/"):
        good = call.headers.get("authorization", "").removeprefix("Bearer ") in tokens
        return None if good else error(401, "Unauthorized: the sandbox's token is needed here", "UnauthorizedError")
    if not call.path.startswith((ADMIN, "/api/v1/studio/")) or call.path.startswith(f"{ADMIN}/auth/"):
        return None
    user = login.user_of(call)
    if isinstance(user, Reply):
        return user
    if not call.headers.get("x-bp-workspace"):
        return error(
            400,
            "Invalid operation: Workspace is missing. Set header X-BP-Workspace",
            "InvalidOperationError",
            "BP_0006",
        )
    if user["isSuperAdmin"] or call.path == f"{ADMIN}/user/profile":
        return None
    return error(403, "Forbidden: No permission to view bots", "ForbiddenError", "BP_0043")


# --- bots ------------------------------------------------------------------------------------------------------------


def list_bots(call: Call) -> Reply:
    rows = call.db.execute("SELECT config FROM botpress_bots ORDER BY id").fetchall()
    workspace = {"name": "Default", "pipeline": [{"id": "prod", "label": "Production", "action": "promote_copy"}]}
    return _success("Retrieved bots", {"bots": [json.loads(row["config"]) for row in rows], "workspace": workspace})


def bot_exists(call: Call) -> Reply:
    return Reply(200, _bot(call) is not None)


def create_bot(call: Call) -> Reply:
    """An empty bot from one of the server's own templates."""
    body = call.body if isinstance(call.body, dict) else {}
    bot, template = str(body.get("id", "")), body.get("template") or {}
    if _bot(call, bot) is not None:
        raise Refused(
            409, f'Conflict: Bot "{bot}" already exists and is already linked in workspace', "ConflictError", "BP_0049"
        )
    if not BOT_ID.fullmatch(bot) or len(bot) > 50 or len(str(body.get("name", ""))) > 50:
        raise _invalid(f'An error occurred while creating the bot: child "id" fails because [{bot!r} is not valid]')
    if template.get("id") not in TEMPLATES or template.get("moduleId") != "builtin":
        raise Refused(400, "Bot template doesn't exist", "Error")
    language = body.get("defaultLanguage")
    config = {
        "id": bot,
        "name": body.get("name", ""),
        "category": body.get("category"),
        "description": "",
        "version": VERSION,
        "imports": {"contentTypes": ["builtin_text"]},
        "locked": False,
        "disabled": not language,
        "private": False,
        "details": {},
        "defaultLanguage": language,
        "languages": [language or "en"],
        "pipeline_status": _stage(call, "operator@smarterbot.cl"),
    }
    _put(call, bot, config, {})
    return _success("Added new bot", {"botId": bot})


def import_bot(call: Call) -> Reply:
    bot = call.params["bot"]
    if call.headers.get("content-type", "").split(";")[0].strip() != ARCHIVE:
        return Reply(400, "Bot should be imported from archive")
    overwrite = call.query.get("overwrite", "").lower() in ("true", "1", "yes", "y")
    if not BOT_ID.fullmatch(bot):
        raise _invalid("Can't import bot; the bot ID contains invalid characters")
    if _bot(call, bot) is not None and not overwrite:
        raise _invalid(f"Cannot import the bot {bot}, it already exists, and overwriting is not allowed")
    try:
        files = unpack(call.raw)
    except BadArchive as exc:
        raise Refused(400, f"[Archive] Error extracting archive: {exc}", "VError") from None
    config, files = _own_files(bot, files)
    name = str(config.get("name", ""))
    config |= {"id": bot, "name": name if bot == name else f"{name} ({bot})", "pipeline_status": _stage(call, "system")}
    _put(call, bot, config, files)
    return Reply(200, "OK")


def _own_files(bot: str, files: dict[str, bytes]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The settings, and the other files of the folder that the settings lie in. Raises :class:`Refused`."""
    found = [path for path in files if path == CONFIG or path.endswith(f"/{CONFIG}")]
    if len(found) > 1:
        raise _invalid("Bots must be imported in separate archives")
    if not found:
        raise _invalid("The archive doesn't seem to contain a bot")
    folder = found[0][: -len(CONFIG)]
    own = {path[len(folder) :]: content for path, content in files.items() if path.startswith(folder)}
    marked = f"/bots/{bot}/".encode()
    own = {
        path: raw.replace(PLACEHOLDER.encode(), marked) if path.endswith(".json") else raw for path, raw in own.items()
    }
    try:
        config = json.loads(own.pop(CONFIG))
    except ValueError:
        config = None
    if not isinstance(config, dict) or config.get("defaultLanguage") not in (config.get("languages") or ()):
        raise Refused(400, f'Error reading configuration file "{CONFIG}"', "FatalError")
    return config, own


def export_bot(call: Call) -> Reply:
    """The archive, without what was trained; addresses inside the bot lose its id."""
    bot = call.params["bot"]
    row = _bot(call)
    if row is None:
        raise Refused(400, f'Error reading configuration file "{CONFIG}"', "FatalError")
    rows = call.db.execute("SELECT path, content FROM botpress_files WHERE bot = ?", (bot,))
    files = {each["path"]: bytes(each["content"]) for each in rows if not each["path"].startswith("models/")}
    files[CONFIG] = (json.dumps(json.loads(row["config"]), indent=2, ensure_ascii=False)).encode()
    marked = f"/bots/{bot}/".encode()
    files = {
        path: raw.replace(marked, PLACEHOLDER.encode()) if path.endswith(".json") else raw
        for path, raw in files.items()
    }
    name = f"attachment; filename=bot_{bot}_{int(call.now * 1000)}.tgz"
    return Reply(200, pack(files), {"content-type": ARCHIVE, "content-disposition": name})


def delete_bot(call: Call) -> Reply:
    bot = call.params["bot"]
    if _bot(call) is None:
        raise Refused(
            400, f"Cannot delete bot: Could not delete bot '{bot}': Bot \"{bot}\" doesn't exist", "UnexpectedError"
        )
    call.db.execute("DELETE FROM botpress_files WHERE bot = ?", (bot,))
    call.db.execute("DELETE FROM botpress_bots WHERE id = ?", (bot,))
    return _success("Removed bot from team", {"botId": bot})


def reload_bot(call: Call) -> Reply:
    return _success(f"Reloaded bot {call.params['bot']}") if _bot(call) is not None else Reply(400, "Bad Request")


# --- the studio's form of settings -----------------------------------------------------------------------------------


def get_config(call: Call) -> Reply:
    row = _bot(call)
    return Reply(404, "Not Found") if row is None else Reply(200, json.loads(row["config"]))


def set_config(call: Call) -> Reply:
    row, body = _bot(call), call.body if isinstance(call.body, dict) else {}
    if row is None:
        raise _form(f'Bot "{call.params["bot"]}" doesn\'t exist')
    _judge_form(body)
    config = json.loads(row["config"])
    fields = {key: body[key] for key in EDITABLE if key in body}
    if fields.get("defaultLanguage") not in (None, config.get("defaultLanguage")):
        fields["disabled"] = False
    config |= fields
    if config.get("defaultLanguage") not in config["languages"]:
        raise _form("Supported languages must include the default language of the bot")
    if body.get("defaultLanguage") != json.loads(row["config"]).get("defaultLanguage"):
        _translate(call, str(row["id"]), str(body.get("defaultLanguage")))
    call.db.execute("UPDATE botpress_bots SET config = ? WHERE id = ?", (json.dumps(config), row["id"]))
    return _success("Updated bot", {"botId": row["id"]})


def _judge_form(body: dict[str, Any]) -> None:
    """What the form's schema refuses, and several languages, which the Community edition does not have."""
    kinds = {"disabled": bool, "private": bool, "languages": list, "details": dict, "name": str, "description": str}
    unknown = sorted(set(body) - (set(EDITABLE) - {"locked"}))
    wrong = [key for key, kind in kinds.items() if key in body and not isinstance(body[key], kind)]
    long = len(body.get("name") or "") > 50 or len(body.get("description") or "") > 500
    language = body.get("defaultLanguage", "es")
    if unknown or wrong or long or not isinstance(language, str) or not 2 <= len(language) <= 3:
        named = (unknown or wrong or ["name" if long else "defaultLanguage"])[0]
        raise _form(f'Invalid operation: An error occurred while updating the bot: "{named}" is not allowed')
    if len(body.get("languages") or ()) > 1:
        raise _form("A single language is allowed on community edition.")


def _translate(call: Call, bot: str, language: str) -> None:
    """Texts of the old language get a copy under the new one; without a language that is ``undefined``."""
    rows = call.db.execute(
        "SELECT path, content FROM botpress_files WHERE bot = ? AND path LIKE 'content-elements/%'", (bot,)
    )
    for row in rows.fetchall():
        elements = json.loads(row["content"])
        for element in elements:
            form = element["formData"]
            form.update({f"{key.split('$')[0]}${language}": value for key, value in list(form.items()) if "$" in key})
        text = json.dumps(elements, ensure_ascii=False, indent=2).encode()
        call.db.execute("UPDATE botpress_files SET content = ? WHERE bot = ? AND path = ?", (text, bot, row["path"]))


# --- talking, health, the server's own file --------------------------------------------------------------------------


def converse(call: Call) -> Reply:
    """Without a token: only where the bot and the server both leave that open."""
    bot = _mounted(call)
    if not _setting(bot, True):
        return Reply(403, f"Unauthenticated Converse API is disabled for {bot['id']}")
    if not _setting(login.server_config(call.db), True):
        return Reply(403, "Unauthenticated Converse API is disabled for all bots")
    body = call.body if isinstance(call.body, dict) else {}
    if body.get("type", "text") != "text" or not isinstance(body.get("text"), str) or not body["text"]:
        raise Refused(400, 'Invalid payload: child "text" fails because ["text" is required]', "StandardError")
    return _answered(call, bot)


def converse_secured(call: Call) -> Reply:
    user = login.user_of(call)
    return user if isinstance(user, Reply) else _answered(call, _mounted(call))


def _mounted(call: Call) -> dict[str, Any]:
    row = _bot(call)
    if row is None:
        raise Refused(404, "Not Found: Invalid Bot ID", "NotFoundError", "BP_0044")
    config: dict[str, Any] = json.loads(row["config"])
    if config.get("disabled"):
        raise Refused(404, "Not Found: Bot is disabled", "NotFoundError", "BP_0044")
    return config


def _setting(config: dict[str, Any], default: bool) -> bool:
    return bool((config.get("converse") or {}).get("enableUnsecuredEndpoint", default))


def _answered(call: Call, bot: dict[str, Any]) -> Reply:
    """What the bot says first: the texts of its first node. The sandbox runs no flows."""
    rows = call.db.execute("SELECT path, content FROM botpress_files WHERE bot = ?", (bot["id"],))
    files = {row["path"]: row["content"] for row in rows}
    flow = json.loads(files.get("flows/main.flow.json", b"{}"))
    texts = {
        each["id"]: each["formData"] for each in json.loads(files.get("content-elements/builtin_text.json", b"[]"))
    }
    first: dict[str, Any] = next(
        (node for node in flow.get("nodes", ()) if node.get("name") == flow.get("startNode")), {}
    )
    said = [step.removeprefix("say #!") for step in first.get("onEnter") or () if step.startswith("say #!")]
    key = f"text${bot.get('defaultLanguage')}"
    responses = [
        {"type": "text", "workflow": {}, "text": texts[ident].get(key, ""), "markdown": True, "typing": True}
        for ident in said
        if ident in texts
    ]
    return Reply(200, {"responses": responses})


def status(_: Call) -> Reply:
    return Reply(200, {"botpress": "up", "database": "up", "messaging": "up", "nlu": "down"})


def version(_: Call) -> Reply:
    return Reply(200, VERSION)


def get_server_config(call: Call) -> Reply:
    return Reply(200, login.server_config(call.db))


def put_server_config(call: Call) -> Reply:
    """Merge into the file: ``converse`` (open or closed), ``users`` (``[]``: nobody has registered yet)."""
    body = call.body if isinstance(call.body, dict) else {}
    if isinstance(body.get("users"), list) and not body["users"]:
        call.db.execute("DELETE FROM botpress_users")
    login.keep(call.db, "config", {**login.server_config(call.db), **{k: v for k, v in body.items() if k != "users"}})
    return get_server_config(call)


# --- small parts -----------------------------------------------------------------------------------------------------


def _bot(call: Call, bot: str | None = None) -> sqlite3.Row | None:
    wanted = call.params["bot"] if bot is None else bot
    row: sqlite3.Row | None = call.db.execute("SELECT * FROM botpress_bots WHERE id = ?", (wanted,)).fetchone()
    return row


def _put(call: Call, bot: str, config: dict[str, Any], files: dict[str, bytes]) -> None:
    """A bot and all its files; files of an existing one that are not among them are gone."""
    call.db.execute(
        "INSERT INTO botpress_bots (id, config) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET config = excluded.config",
        (bot, json.dumps(config)),
    )
    call.db.execute("DELETE FROM botpress_files WHERE bot = ?", (bot,))
    call.db.executemany(
        "INSERT INTO botpress_files (bot, path, content) VALUES (?, ?, ?)",
        [(bot, path, content) for path, content in files.items()],
    )


def _stage(call: Call, who: str) -> dict[str, Any]:
    stamp = datetime.fromtimestamp(call.now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    return {"current_stage": {"id": "prod", "promoted_by": who, "promoted_on": stamp}}


def _success(message: str, payload: Any = None) -> Reply:
    return Reply(200, {"status": "success", "message": message, "payload": payload or {}})


def _invalid(message: str) -> Refused:
    return Refused(400, f"Invalid operation: {message}", "InvalidOperationError", "BP_0006")


def _form(message: str) -> Refused:
    return Refused(400, f"Cannot update bot configuration: {message}", "UnexpectedError")


def _guarded(handler: Any) -> Any:
    """A handler whose refusals are raised anywhere below it."""

    def run(call: Call) -> Reply:
        try:
            reply: Reply = handler(call)
        except Refused as refusal:
            return refusal.reply()
        return reply

    return run


def _writes(call: Call, operation: Operation) -> bool:
    """A message to converse counts as a write only when it is one that the bot would take."""
    if operation.name.startswith("converse"):
        return isinstance(call.body, dict) and bool(call.body.get("text"))
    return operation.writes


def seed(db: sqlite3.Connection) -> None:
    """The operator, the server's settings with converse closed, and a bot that a person made."""
    login.seed(db)
    config = {
        "id": "house-bot",
        "name": "House bot",
        "description": "",
        "version": VERSION,
        "imports": {"contentTypes": ["builtin_text"]},
        "details": {},
        "disabled": False,
        "private": False,
        "locked": False,
        "defaultLanguage": "es",
        "languages": ["es"],
        "pipeline_status": {
            "current_stage": {"id": "prod", "promoted_by": "system", "promoted_on": "2026-01-05T12:00:00.000Z"}
        },
    }
    db.execute("INSERT OR IGNORE INTO botpress_bots (id, config) VALUES ('house-bot', ?)", (json.dumps(config),))


PROVIDER = Provider(
    name="botpress",
    base="/botpress",
    schema=SCHEMA,
    operations=tuple(
        Operation(method, path, name, _guarded(handler), writes)
        for method, path, name, handler, writes in (
            ("GET", "/status", "status", status, False),
            ("GET", "/version", "version", version, False),
            ("GET", ADMIN + "/auth/config", "auth.config", login.config, False),
            ("POST", ADMIN + "/auth/register/basic/default", "auth.register", login.register, True),
            ("POST", ADMIN + "/auth/login/basic/default", "auth.login", login.log_in, False),
            ("GET", ADMIN + "/auth/refresh", "auth.refresh", login.refresh, False),
            ("GET", ADMIN + "/user/profile", "user.profile", login.profile, False),
            ("GET", BOTS, "bots.list", list_bots, False),
            ("POST", BOTS, "bots.create", create_bot, True),
            ("GET", BOTS + "/{bot}/exists", "bots.exists", bot_exists, False),
            ("POST", BOTS + "/{bot}/import", "bots.import", import_bot, True),
            ("GET", BOTS + "/{bot}/export", "bots.export", export_bot, False),
            ("POST", BOTS + "/{bot}/delete", "bots.delete", delete_bot, True),
            ("POST", BOTS + "/{bot}/reload", "bots.reload", reload_bot, True),
            ("GET", "/api/v1/studio/{bot}/config", "studio.config.get", get_config, False),
            ("POST", "/api/v1/studio/{bot}/config", "studio.config.set", set_config, True),
            ("POST", "/api/v1/bots/{bot}/converse/{user}", "converse", converse, True),
            ("POST", "/api/v1/bots/{bot}/converse/{user}/secured", "converse.secured", converse_secured, True),
            ("GET", "/data/global/botpress.config.json", "server.config.get", get_server_config, False),
            ("PUT", "/data/global/botpress.config.json", "server.config.put", put_server_config, True),
        )
    ),
    authenticate=authenticate,
    seed=seed,
    fault_reply=fault_reply,
    writes_of=_writes,
)
