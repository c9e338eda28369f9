"""Shopify's Admin API for any number of stores: tokens, the GraphQL endpoint with its costs, webhooks, metafields.

Any store exists whose name fits, but ``missing-*`` (404), ``frozen-*`` (402), ``locked-*`` (423) and, for the app's
credentials, ``foreign-*`` (a store of another organization). Every token of the sandbox opens every store.
"""

from __future__ import annotations

import re
import secrets
import sqlite3
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from smos.sandbox.provider import Call, Operation, Provider, Reply
from smos.sandbox.shopify_graphql import Document, GraphQLError, Selection, cost, execute, parse, prepared, validate
from smos.sandbox.shopify_schema import TYPES
from smos.sandbox.shopify_store import SCHEMA, VERSIONS, Shop

CLIENT_ID = "sandbox-shopify-client"
LIMITED = "sandbox-shopify-limited"
FULL_SCOPES = ("read_orders", "write_products", "read_customers", "read_inventory", "read_fulfillments")
LIMITED_SCOPES = ("read_products",)
TOKEN_SECONDS = 86_399
BUCKET, RESTORE, DEAREST = 2_000.0, 100.0, 1_000  # points, points per second, points of one document
HOST = re.compile(r"[a-z0-9][a-z0-9-]{0,62}\.myshopify\.com")
NAMED = re.compile(r"\b(query|mutation)\s+(\w+)")
UNKNOWN = "[API] Invalid API key or access token (unrecognized login or wrong password)"
CLOSED = {"missing-": (404, "Not Found"), "frozen-": (402, "Unavailable Shop"), "locked-": (423, "Shop is locked")}


def fault_reply(status: int, message: str) -> Reply:
    """Faults, rate limits and unknown paths: Shopify's edge answers with ``errors`` as a text."""
    known = {404: "Not Found", 429: "Exceeded the request limit. Reduce request rates to resume uninterrupted service."}
    return Reply(status, {"errors": known.get(status, message)})


def authenticate(call: Call, tokens: frozenset[str]) -> Reply | None:
    """First whether there is such a store, then the token; the app's own credentials are in the body."""
    host = call.params["shop"]
    if not HOST.fullmatch(host):
        return fault_reply(404, "Not Found")
    for prefix, (status, words) in CLOSED.items():
        if host.startswith(prefix):
            return Reply(status, {"errors": words})
    if call.path.endswith("/oauth/access_token"):
        return _refuse_grant(call, tokens)
    return None if _scopes(call, tokens) else Reply(401, {"errors": UNKNOWN})


def grant_token(call: Call) -> Reply:
    """The client credentials grant: a token for a day, with the scopes of the app's released version."""
    scopes = LIMITED_SCOPES if _grant(call)["client_secret"] == LIMITED else FULL_SCOPES
    token = f"shpat_{secrets.token_hex(16)}"
    call.db.execute("DELETE FROM shopify_tokens WHERE expires < ?", (call.now,))
    call.db.execute(
        "INSERT INTO shopify_tokens (token, shop, scopes, expires) VALUES (?,?,?,?)",
        (token, call.params["shop"], ",".join(scopes), call.now + TOKEN_SECONDS),
    )
    return Reply(200, {"access_token": token, "scope": ",".join(scopes), "expires_in": TOKEN_SECONDS})


def graphql(call: Call) -> Reply:
    """One document: refused as a whole, throttled, or carried out."""
    version = call.params["version"]
    if version not in VERSIONS and not re.fullmatch(r"20\d\d-(01|04|07|10)", version):
        return fault_reply(404, "Not Found")
    # One that is no longer served falls forward to the oldest that is
    headers = {"X-Shopify-API-Version": version if version in VERSIONS else VERSIONS[0]}
    body = call.body if isinstance(call.body, dict) else {}
    if not isinstance(body.get("query"), str):
        return Reply(400, {"errors": {"query": "Required parameter missing or invalid"}}, headers)
    shop = Shop(call.db, call.params["shop"], _granted(call), call.now)
    try:
        document = parse(body["query"])
        selections = prepared(document, body.get("variables") or {})
        root = "Mutation" if document.kind == "mutation" else "QueryRoot"
        validate(TYPES, root, selections)
        asked = cost(TYPES, root, selections)
    except GraphQLError as error:
        return Reply(200, {"errors": [error.shown()]}, headers)
    return Reply(200, _carried_out(call, shop, document, selections, asked), headers)


def _carried_out(call: Call, shop: Shop, document: Document, selections: list[Selection], asked: int) -> dict[str, Any]:
    if asked > DEAREST:
        message = f"Query cost is {asked}, which exceeds the single query max cost limit ({DEAREST})."
        return {"errors": [GraphQLError(message, "MAX_COST_EXCEEDED", cost=asked, maxCost=DEAREST).shown()]}
    available = _available(call, shop.host)
    if asked > available:
        error = {"message": "Throttled", "extensions": {"code": "THROTTLED"}}
        return {"errors": [error], "extensions": _told(asked, None, available)}
    root, resolvers = ("Mutation", shop.mutations()) if document.kind == "mutation" else ("QueryRoot", shop.queries())
    sizes: dict[int, int] = {}
    call.db.execute("SAVEPOINT shopify_document")
    try:
        data = execute(TYPES, root, selections, resolvers, sizes)
    except GraphQLError as error:
        call.db.execute("ROLLBACK TO shopify_document")
        return {"data": None, "errors": [error.shown()], "extensions": _told(asked, 0, available)}
    used = cost(TYPES, root, selections, sizes)
    _spend(call, shop.host, available - used)
    return {"data": data, "extensions": _told(asked, used, available - used)}


def _told(asked: int, used: int | None, available: float) -> dict[str, Any]:
    status = {"maximumAvailable": BUCKET, "currentlyAvailable": int(available), "restoreRate": RESTORE}
    return {"cost": {"requestedQueryCost": asked, "actualQueryCost": used, "throttleStatus": status}}


def _available(call: Call, host: str) -> float:
    """The points in a store's bucket; always full while the sandbox keeps no rate limits."""
    if not _limits(call.db):
        return BUCKET
    row = call.db.execute("SELECT available, at FROM shopify_buckets WHERE shop = ?", (host,)).fetchone()
    if row is None:
        return BUCKET
    left, at = float(row["available"]), float(row["at"])
    return min(BUCKET, left + max(0.0, call.now - at) * RESTORE)


def _spend(call: Call, host: str, left: float) -> None:
    if _limits(call.db):
        call.db.execute("REPLACE INTO shopify_buckets (shop, available, at) VALUES (?,?,?)", (host, left, call.now))


def _limits(db: sqlite3.Connection) -> bool:
    row = db.execute("SELECT value FROM sandbox_settings WHERE key = 'rate_limits'").fetchone()
    return row is not None and row["value"] == "true"


def _refuse_grant(call: Call, tokens: frozenset[str]) -> Reply | None:
    body = _grant(call)
    if body.get("grant_type") != "client_credentials":
        return _no_grant("unsupported_grant_type", "the grant type is not supported")
    known = body.get("client_secret") in {*tokens, LIMITED}
    if body.get("client_id") != CLIENT_ID or not known:
        return _no_grant("invalid_client", "the client secret is wrong, or the app is not installed")
    if call.params["shop"].startswith("foreign-"):
        return _no_grant("shop_not_permitted", "client credentials cannot be performed on this shop")
    return None


def _grant(call: Call) -> Mapping[str, Any]:
    """What is asked for: as a form, which is documented, or as JSON, which is taken as well."""
    if call.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return dict(parse_qsl(call.raw.decode("utf-8", "replace")))
    return call.body if isinstance(call.body, dict) else {}


def _no_grant(error: str, words: str) -> Reply:
    return Reply(400, {"error": error, "error_description": words})


def _scopes(call: Call, tokens: frozenset[str]) -> tuple[str, ...]:
    token = call.headers.get("x-shopify-access-token", "")
    return FULL_SCOPES if token in tokens else _granted(call, unknown=())


def _granted(call: Call, unknown: tuple[str, ...] = FULL_SCOPES) -> tuple[str, ...]:
    """The scopes of the call's token; a fixed one of the sandbox has all of them."""
    token = call.headers.get("x-shopify-access-token", "")
    if token == LIMITED:
        return LIMITED_SCOPES
    row = call.db.execute(
        "SELECT scopes FROM shopify_tokens WHERE token = ? AND shop = ? AND expires > ?",
        (token, call.params["shop"], call.now),
    ).fetchone()
    return tuple(row["scopes"].split(",")) if row else unknown


def _name_of(call: Call, operation: Operation) -> str:
    if operation.name != "graphql":
        return operation.name
    found = NAMED.search(call.body["query"])
    return f"graphql.{found.group(2)}" if found else "graphql"


def _writes_of(call: Call, operation: Operation) -> bool:
    if operation.name != "graphql":
        return operation.writes
    return str(call.body["query"]).lstrip().startswith("mutation")


def _seed(_db: sqlite3.Connection) -> None:
    """Stores exist by their names; nothing is needed."""


PROVIDER = Provider(
    name="shopify",
    base="/shopify",
    schema=SCHEMA,
    operations=(
        Operation("POST", "/{shop}/admin/oauth/access_token", "tokens.grant", grant_token, writes=False),
        Operation("POST", "/{shop}/admin/api/{version}/graphql.json", "graphql", graphql, writes=True),
    ),
    authenticate=authenticate,
    seed=_seed,
    fault_reply=fault_reply,
    name_of=_name_of,
    writes_of=_writes_of,
)
