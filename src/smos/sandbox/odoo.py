# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Odoo 17 as the sandbox plays it: ``POST /jsonrpc`` with the services common and object, and the health page.

Errors come as HTTP 200 with an ``error`` object, each call is one transaction, and a method that returns nothing
answers without a ``result`` key. The database manager is switched off (``list_db = False``).
"""

from __future__ import annotations

import hmac
import logging
import re
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from smos.sandbox import odoo_methods as methods
from smos.sandbox.odoo_errors import OdooError, access_denied, access_error, python_error, unknown_database
from smos.sandbox.odoo_models import schema
from smos.sandbox.odoo_orm import ADMIN_UID, Env
from smos.sandbox.odoo_seed import seed
from smos.sandbox.passwords import password_fits
from smos.sandbox.provider import Call, Operation, Provider, Reply

logger = logging.getLogger("smos.sandbox")

DATABASE = "smarteros"
LOGIN = "smarteros"
LIMITED = "sandbox-odoo-limited"  # an API key with which the service user may only read
VERSION = "17.0-20260723"
_VERSION_INFO = {
    "server_version": VERSION,
    "server_version_info": [17, 0, 0, "final", 0, ""],
    "server_serie": "17.0",
    "protocol_version": 1,
}
_EXECUTE_KW = ("obj", "method", "args")
_NAME = re.compile(r"^[a-z0-9_.]{1,80}$")


def rpc(call: Call) -> Reply:
    """``POST /jsonrpc``. Who calls has been judged by ``authenticate`` already."""
    if not isinstance(call.body, dict):
        return fault_reply(400, "Invalid JSON data")
    return _answer(call, lambda: _dispatch(call))


def _answer(call: Call, work: Callable[[], Any]) -> Reply:
    """The JSON-RPC answer with what ``work`` gives, or with its error; Odoo tells every exception this way."""
    request_id = call.body.get("id")
    try:
        result = work()
    except OdooError as error:
        return Reply(200, error.body(request_id), rollback=True)
    except Exception as error:  # noqa: BLE001 - as Odoo does
        # malformed arguments mostly; the place in the code tells a developer the rest
        logger.warning("odoo: %s\n%s", type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))
        return Reply(200, python_error(type(error).__name__, str(error)).body(request_id), rollback=True)
    answer = {"jsonrpc": "2.0", "id": request_id}
    return Reply(200, answer if result is None else {**answer, "result": result})


def _dispatch(call: Call) -> Any:
    service, method, args = _params(call.body)
    if service == "common":
        return _common(call, method, args)
    if service == "object":
        return _object(call, method, args)
    if service == "db":
        if method == "server_version":
            return VERSION
        raise access_denied()
    raise python_error("KeyError", str(service))


def _params(body: Mapping[str, Any]) -> tuple[Any, str, Sequence[Any]]:
    params = body.get("params")
    if not isinstance(params, dict) or not {"service", "method", "args"} <= params.keys():
        raise python_error("TypeError", "dispatch_rpc() missing required arguments: 'service', 'method' and 'args'")
    args = params["args"]
    if not isinstance(args, list):
        raise python_error("TypeError", "the arguments of a call must be a list")
    return params["service"], str(params["method"]), args


# -- common ------------------------------------------------------------------------------------------------------


def _common(call: Call, method: str, args: Sequence[Any]) -> Any:
    if method == "version":
        return _VERSION_INFO
    if method in ("authenticate", "login"):
        return _uid_of(call, args)
    raise python_error("Exception", f"Method not found: {method}")


def _uid_of(call: Call, args: Sequence[Any]) -> int:
    """The user of a login whose secret ``authenticate`` found right."""
    row = call.db.execute("SELECT id FROM odoo_res_users WHERE login = ?", (args[1],)).fetchone()
    env = Env(call.db, int(row[0]), {}, call.now)
    call.db.execute("UPDATE odoo_res_users SET login_date = ? WHERE id = ?", (env.stamp, env.uid))
    return env.uid


# -- object ------------------------------------------------------------------------------------------------------


def _object(call: Call, method: str, args: Sequence[Any]) -> Any:
    uid, rest = args[1], args[3:]
    named: Mapping[str, Any]
    if method == "execute":
        if len(rest) < 2:
            raise python_error("TypeError", _missing("execute", ("obj", "method")[len(rest) :]))
        model, function, given, named = rest[0], rest[1], rest[2:], {}
    elif method == "execute_kw":
        model, function, given, named = _execute_kw(rest)
    else:
        raise python_error("NameError", f"Method not available {method}")
    options: dict[str, Any] = dict(named)
    context = options.pop("context", None) or {}
    if not isinstance(context, dict):
        raise python_error("TypeError", "the context must be a dictionary")
    env = Env(call.db, int(uid), context, call.now)
    if args[2] == LIMITED and _too_much(str(model), str(function), given, options):
        return False
    return methods.call(env, str(model), str(function), given, options)


def _too_much(model: str, function: str, given: Sequence[Any], options: Mapping[str, Any]) -> bool:
    """Whether a user who may only read is asked about more; raises OdooError where he tries to do it."""
    asks = function == "check_access_rights" and list(given[:1]) != ["read"]
    if asks and options.get("raise_exception") is False:
        return True
    if asks or function in methods.WRITING:
        raise access_error(f"You are not allowed to change '{model}' records.")
    return False


def _execute_kw(rest: Sequence[Any]) -> tuple[Any, Any, Sequence[Any], Mapping[str, Any]]:
    if len(rest) < len(_EXECUTE_KW):
        raise python_error("TypeError", _missing("execute_kw", _EXECUTE_KW[len(rest) :]))
    if len(rest) > 4:
        raise python_error(
            "TypeError", f"execute_kw() takes from 5 to 6 positional arguments but {len(rest) + 2} were given"
        )
    model, function, given = rest[:3]
    options = rest[3] if len(rest) == 4 and rest[3] else {}
    if not isinstance(given, list) or not isinstance(options, dict):
        raise python_error("TypeError", "execute_kw() takes a list of arguments and a dictionary of options")
    return model, function, given, options


def _missing(function: str, names: Sequence[str]) -> str:
    """Python's own words for arguments that were not given."""
    quoted = [f"'{name}'" for name in names]
    listed = quoted[0] if len(quoted) == 1 else " and ".join(quoted)
    if len(quoted) > 2:
        listed = f"{', '.join(quoted[:-1])}, and {quoted[-1]}"
    return f"{function}() missing {len(quoted)} required positional argument{'s' * (len(quoted) > 1)}: {listed}"


# -- who calls ---------------------------------------------------------------------------------------------------


def authenticate(call: Call, accepted: frozenset[str]) -> Reply | None:
    """Judge the database, the user and the secret inside the call.

    A wrong secret is ``false`` for common.authenticate and AccessDenied for the service object.
    """
    if not call.path.startswith("/jsonrpc") or not isinstance(call.body, dict):
        return None
    refused = _answer(call, lambda: _judged(call, accepted))
    return refused if "error" in refused.body or "result" in refused.body else None


def _judged(call: Call, accepted: frozenset[str]) -> Any:
    """None when the call may go on, False for a login that fails; raises OdooError for all else."""
    service, method, args = _params(call.body)
    if service == "common" and method in ("authenticate", "login"):
        _check_count(method, args)
        _check_database(args[0])
        return None if _secret_fits(call, accepted, "login", args[1], args[2]) is not None else False
    if service == "object":
        _check_caller(call, accepted, args)
    return None


def _check_count(method: str, args: Sequence[Any]) -> None:
    names = ("db", "login", "password", "user_agent_env")[: 4 if method == "authenticate" else 3]
    if len(args) < len(names):
        raise python_error("TypeError", _missing(f"exp_{method}", names[len(args) :]))


def _check_database(name: Any) -> None:
    if name != DATABASE:
        raise unknown_database(str(name))


def _check_caller(call: Call, accepted: frozenset[str], args: Sequence[Any]) -> None:
    if len(args) < 3:
        raise python_error("IndexError", "list index out of range")
    database, uid, secret = args[:3]
    if isinstance(uid, bool) or not isinstance(uid, int):
        raise access_denied()
    _check_database(database)
    if _secret_fits(call, accepted, "id", uid, secret) is None:
        raise access_denied()


def _secret_fits(call: Call, accepted: frozenset[str], key: str, who: Any, secret: Any) -> int | None:
    """The id of the active user that this secret opens: his password, or for the service user any accepted token."""
    row = call.db.execute(
        f"SELECT id, password FROM odoo_res_users WHERE {key} = ? AND active = 1",
        (who if isinstance(who, int | str) else None,),
    ).fetchone()
    if row is None or not isinstance(secret, str) or not secret:
        return None
    is_token = any(hmac.compare_digest(secret.encode(), token.encode()) for token in (*accepted, LIMITED))
    if (row["id"] == ADMIN_UID and is_token) or password_fits(secret, row["password"]):
        return int(row["id"])
    return None


# -- what the sandbox's core asks --------------------------------------------------------------------------------


def name_of(call: Call, operation: Operation) -> str:
    """``common.authenticate``, ``res.company.create`` …; the operation's own name where the call is no RPC."""
    params = call.body.get("params") if isinstance(call.body, dict) else None
    if operation.name != "rpc" or not isinstance(params, dict):
        return operation.name
    service, method, args = params.get("service"), params.get("method"), params.get("args")
    if service == "object" and isinstance(args, list) and len(args) > 4:
        service, method = args[3], args[4]
    name = f"{service}.{method}"
    return name if _NAME.match(name) else operation.name


def writes_of(call: Call, operation: Operation) -> bool:
    """Whether this call changes records."""
    return name_of(call, operation).rpartition(".")[2] in methods.WRITING


def fault_reply(status: int, message: str) -> Reply:
    """What stands in front of Odoo, or its web server, answers in HTML."""
    page = f"<!doctype html>\n<title>{status}</title>\n<h1>{message}</h1>\n"
    return Reply(status, page, {"content-type": "text/html; charset=utf-8"})


def health(_call: Call) -> Reply:
    """``GET /web/health``: the web server only, not the database."""
    return Reply(200, {"status": "pass"}, {"cache-control": "no-store"})


def login_page(_call: Call) -> Reply:
    """``GET /web/login``: enough of a page for a probe."""
    return Reply(200, "<!doctype html>\n<title>Odoo</title>\n", {"content-type": "text/html; charset=utf-8"})


PROVIDER = Provider(
    name="odoo",
    base="/odoo",
    schema=schema(),
    operations=(
        Operation("POST", "/jsonrpc", "rpc", rpc, writes=True),
        Operation("GET", "/web/health", "web.health", health, writes=False),
        Operation("GET", "/web/login", "web.login", login_page, writes=False),
    ),
    authenticate=authenticate,
    seed=seed,
    fault_reply=fault_reply,
    name_of=name_of,
    writes_of=writes_of,
)
