"""What a store of the sandbox holds: facts that follow from its name, webhook subscriptions and metafields in SQLite."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sqlite3
import zlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from smos.sandbox import shopify_search
from smos.sandbox.shopify_graphql import GraphQLError, Resolvers
from smos.sandbox.shopify_schema import METAFIELD_TYPES, TOPICS

SCHEMA = """
CREATE TABLE IF NOT EXISTS shopify_webhooks (
    id INTEGER PRIMARY KEY AUTOINCREMENT, shop TEXT NOT NULL, topic TEXT NOT NULL, uri TEXT NOT NULL,
    format TEXT NOT NULL, filter TEXT NOT NULL, fields TEXT NOT NULL, namespaces TEXT NOT NULL, name TEXT,
    created_at TEXT NOT NULL, updated_at TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS shopify_webhooks_shop ON shopify_webhooks (shop);
CREATE TABLE IF NOT EXISTS shopify_metafields (
    id INTEGER PRIMARY KEY AUTOINCREMENT, shop TEXT NOT NULL, namespace TEXT NOT NULL, key TEXT NOT NULL,
    type TEXT NOT NULL, value TEXT NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL,
    UNIQUE (shop, namespace, key));
CREATE TABLE IF NOT EXISTS shopify_orders (
    id INTEGER PRIMARY KEY AUTOINCREMENT, shop TEXT NOT NULL, name TEXT NOT NULL, processed_at TEXT NOT NULL,
    test INTEGER NOT NULL, cancelled_at TEXT, currency TEXT NOT NULL, total TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS shopify_orders_shop ON shopify_orders (shop);
CREATE TABLE IF NOT EXISTS shopify_tokens (
    token TEXT PRIMARY KEY, shop TEXT NOT NULL, scopes TEXT NOT NULL, expires REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS shopify_buckets (
    shop TEXT PRIMARY KEY, available REAL NOT NULL, at REAL NOT NULL) WITHOUT ROWID;
"""
VERSIONS = ("2025-10", "2026-01", "2026-04", "2026-07", "2026-10", "unstable")
MOST_AT_ONCE, LONGEST_PAGE = 25, 250
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_TAKEN = "Address for this topic has already been taken"

Arguments = Mapping[str, Any]


class Shop:
    """One store as a token of some scopes sees it."""

    def __init__(self, db: sqlite3.Connection, host: str, scopes: Sequence[str], now: float) -> None:
        self.db, self.host, self.scopes = db, host, scopes
        self.label = host.split(".", 1)[0]
        self.now = datetime.fromtimestamp(int(now), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.number = 10_000_000_000 + zlib.crc32(host.encode())
        self.id = f"gid://shopify/Shop/{self.number}"

    def queries(self) -> Resolvers:
        """The fields of ``QueryRoot``."""
        return {
            "shop": lambda _: self.facts(),
            "currentAppInstallation": lambda _: self.installation(),
            "publicApiVersions": lambda _: [_version(handle) for handle in VERSIONS],
            "orders": self._orders,
            "webhookSubscription": self._webhook_by_id,
            "webhookSubscriptions": self._webhooks,
            "webhookSubscriptionsCount": lambda _: {"count": len(self._rows("shopify_webhooks")), "precision": "EXACT"},
        }

    def mutations(self) -> Resolvers:
        """The fields of ``Mutation``."""
        return {
            "webhookSubscriptionCreate": self._create_webhook,
            "webhookSubscriptionUpdate": self._update_webhook,
            "webhookSubscriptionDelete": self._delete_webhook,
            "metafieldsSet": self._set_metafields,
            "metafieldsDelete": self._delete_metafields,
        }

    def facts(self) -> dict[str, Any]:
        """The shop itself."""
        return {
            "id": self.id,
            "name": self.label.replace("-", " ").title(),
            "email": f"owner@{self.label}.example.com",
            "contactEmail": f"contact@{self.label}.example.com",
            "myshopifyDomain": self.host,
            "currencyCode": "CLP",
            "ianaTimezone": "America/Santiago",
            "url": f"https://{self.host}",
            "createdAt": "2026-01-05T12:00:00Z",
            "description": None,
            "taxesIncluded": True,
            "weightUnit": "KILOGRAMS",
            "primaryDomain": {
                "id": f"gid://shopify/Domain/{self.number}",
                "host": self.host,
                "url": f"https://{self.host}",
                "sslEnabled": True,
            },
            "plan": {
                "displayName": "Basic",
                "publicDisplayName": "Basic",
                "partnerDevelopment": False,
                "shopifyPlus": False,
            },
            "metafield": self._metafield,
            "metafields": self._metafields,
        }

    def installation(self) -> dict[str, Any]:
        """This app in this shop."""
        return {
            "id": f"gid://shopify/AppInstallation/{self.number}",
            "launchUrl": f"https://{self.host}/admin/apps/smarteros",
            "accessScopes": [{"handle": scope, "description": scope.replace("_", " ")} for scope in self.scopes],
        }

    # --- orders ---

    def _orders(self, arguments: Arguments) -> dict[str, Any]:
        if not {"read_orders", "write_orders"} & set(self.scopes):
            message = "Access denied for orders field. Required access: `read_orders` access scope."
            raise GraphQLError(message, "ACCESS_DENIED", ["orders"], requiredAccess="`read_orders` access scope.")
        fits = shopify_search.matcher(str(arguments.get("query") or ""))
        rows = [row for row in self._rows("shopify_orders") if fits(row["processed_at"])]
        return _page(rows, arguments, _order)

    # --- webhook subscriptions ---

    def _webhooks(self, arguments: Arguments) -> dict[str, Any]:
        rows = self._rows("shopify_webhooks")
        topics, uri = arguments.get("topics"), arguments.get("uri") or arguments.get("callbackUrl")
        if topics:
            rows = [row for row in rows if row["topic"] in topics]
        if uri:
            rows = [row for row in rows if row["uri"] == uri]
        if arguments.get("format"):
            rows = [row for row in rows if row["format"] == arguments["format"]]
        return _page(rows, arguments, _webhook)

    def _webhook_by_id(self, arguments: Arguments) -> dict[str, Any] | None:
        row = self._row(arguments["id"])
        return None if row is None else _webhook(row)

    def _create_webhook(self, arguments: Arguments) -> dict[str, Any]:
        topic, wish = arguments["topic"], _object(arguments["webhookSubscription"])
        if topic not in TOPICS:
            message = f"Argument 'topic' on Field 'webhookSubscriptionCreate' has an invalid value ({topic})."
            raise GraphQLError(message, "argumentLiteralsIncompatible", ["webhookSubscriptionCreate"])
        fields = _webhook_fields(wish, None)
        problem = self._webhook_problem(topic, fields, 0)
        if problem:
            return {"webhookSubscription": None, "userErrors": [problem]}
        made = self.db.execute(
            "INSERT INTO shopify_webhooks (shop, topic, uri, format, filter, fields, namespaces, name, created_at,"
            " updated_at) VALUES (?,?,?,?,?,?,?,?,?,?)",
            (self.host, topic, *fields.values(), self.now, self.now),
        )
        return {"webhookSubscription": _webhook(self._numbered(made.lastrowid)), "userErrors": []}

    def _update_webhook(self, arguments: Arguments) -> dict[str, Any]:
        row = self._row(arguments["id"])
        if row is None:
            return {"webhookSubscription": None, "userErrors": [_gone()]}
        fields = _webhook_fields(_object(arguments["webhookSubscription"]), row)
        problem = self._webhook_problem(row["topic"], fields, row["id"])
        if problem:
            return {"webhookSubscription": None, "userErrors": [problem]}
        self.db.execute(
            "UPDATE shopify_webhooks SET uri = ?, format = ?, filter = ?, fields = ?, namespaces = ?, name = ?,"
            " updated_at = ? WHERE id = ?",
            (*fields.values(), self.now, row["id"]),
        )
        return {"webhookSubscription": _webhook(self._numbered(row["id"])), "userErrors": []}

    def _delete_webhook(self, arguments: Arguments) -> dict[str, Any]:
        row = self._row(arguments["id"])
        if row is None:
            return {"deletedWebhookSubscriptionId": None, "userErrors": [_gone()]}
        self.db.execute("DELETE FROM shopify_webhooks WHERE id = ?", (row["id"],))
        return {"deletedWebhookSubscriptionId": arguments["id"], "userErrors": []}

    def _webhook_problem(self, topic: str, fields: Mapping[str, Any], own: int) -> dict[str, Any] | None:
        scope = TOPICS[topic]
        if scope and not {scope, scope.replace("read_", "write_")} & set(self.scopes):
            name = topic.lower().replace("_", "/", 1)
            words = f"You do not have permission to create or update webhooks with {name} topic. It needs {scope}."
            return _problem(["webhookSubscription"], words)
        why = _address_problem(fields["uri"], self.host)
        if why:
            return _problem(["webhookSubscription", "callbackUrl"], why)
        if fields["format"] not in ("JSON", "XML"):
            return _problem(["webhookSubscription", "format"], "Format is invalid")
        same = self.db.execute(
            "SELECT 1 FROM shopify_webhooks WHERE shop = ? AND topic = ? AND uri = ? AND filter = ? AND id <> ?",
            (self.host, topic, fields["uri"], fields["filter"], own),
        ).fetchone()
        return _problem(["webhookSubscription", "callbackUrl"], _TAKEN) if same else None

    def _row(self, gid: Any) -> sqlite3.Row | None:
        found = re.fullmatch(r"gid://shopify/WebhookSubscription/(\d{1,18})", str(gid))
        if found is None:
            raise GraphQLError(f"Invalid global id '{gid}'", "argumentLiteralsIncompatible")
        row: sqlite3.Row | None = self.db.execute(
            "SELECT * FROM shopify_webhooks WHERE id = ? AND shop = ?", (int(found.group(1)), self.host)
        ).fetchone()
        return row

    def _numbered(self, number: int | None) -> sqlite3.Row:
        row: sqlite3.Row = self.db.execute("SELECT * FROM shopify_webhooks WHERE id = ?", (number,)).fetchone()
        return row

    def _rows(self, table: str) -> list[sqlite3.Row]:
        return self.db.execute(f"SELECT * FROM {table} WHERE shop = ? ORDER BY id", (self.host,)).fetchall()

    # --- metafields of the shop ---

    def _metafield(self, arguments: Arguments) -> dict[str, Any] | None:
        row = self._kept(str(arguments.get("namespace") or "app"), str(arguments["key"]))
        return None if row is None else _metafield(row)

    def _metafields(self, arguments: Arguments) -> dict[str, Any]:
        rows = self._rows("shopify_metafields")
        if arguments.get("namespace"):
            rows = [row for row in rows if row["namespace"] == arguments["namespace"]]
        if arguments.get("keys"):
            rows = [row for row in rows if f"{row['namespace']}.{row['key']}" in arguments["keys"]]
        return _page(rows, arguments, _metafield)

    def _set_metafields(self, arguments: Arguments) -> dict[str, Any]:
        wishes = _objects(arguments["metafields"])
        if len(wishes) > MOST_AT_ONCE:
            message = f"The input array size of {len(wishes)} is greater than the maximum allowed of {MOST_AT_ONCE}."
            raise GraphQLError(message, "MAX_INPUT_SIZE_EXCEEDED", ["metafieldsSet", "metafields"])
        found = [self._metafield_problem(index, wish) for index, wish in enumerate(wishes)]
        problems = [each for each in found if each]
        if problems:
            return {"metafields": [], "userErrors": problems}
        rows = [self._set_metafield(wish) for wish in wishes]
        return {"metafields": [_metafield(row) for row in rows], "userErrors": []}

    def _set_metafield(self, wish: Mapping[str, Any]) -> sqlite3.Row:
        namespace, was = _namespace(wish), self._kept(_namespace(wish), wish["key"])
        kind = wish.get("type") or (was["type"] if was else "")
        self.db.execute(
            "INSERT INTO shopify_metafields (shop, namespace, key, type, value, created_at, updated_at)"
            " VALUES (?,?,?,?,?,?,?) ON CONFLICT (shop, namespace, key)"
            " DO UPDATE SET type = excluded.type, value = excluded.value, updated_at = excluded.updated_at",
            (self.host, namespace, wish["key"], kind, wish["value"], self.now, self.now),
        )
        row: sqlite3.Row = self.db.execute(
            "SELECT * FROM shopify_metafields WHERE shop = ? AND namespace = ? AND key = ?",
            (self.host, namespace, wish["key"]),
        ).fetchone()
        return row

    def _metafield_problem(self, index: int, wish: Mapping[str, Any]) -> dict[str, Any] | None:
        namespace, key, value = _namespace(wish), wish.get("key"), wish.get("value")
        was = self._kept(namespace, str(key))

        def problem(part: str, message: str, code: str) -> dict[str, Any]:
            return {"field": ["metafields", str(index), part], "message": message, "code": code, "elementIndex": index}

        if wish.get("ownerId") != self.id:
            return problem("ownerId", "Owner does not exist.", "INVALID")
        for part, text, low, high in (("namespace", namespace, 3, 255), ("key", str(key or ""), 2, 64)):
            if not low <= len(text) <= high:
                word, code = ("short", "TOO_SHORT") if len(text) < low else ("long", "TOO_LONG")
                limit = f"(minimum is {low} characters)" if word == "short" else f"(maximum is {high} characters)"
                return problem(part, f"{part.title()} is too {word} {limit}", code)
            if not _NAME.fullmatch(text):
                return problem(part, f"{part.title()} contains one or more invalid characters.", "INVALID")
        if not isinstance(value, str) or not value:
            return problem("value", "Value can't be blank.", "BLANK")
        kind = wish.get("type") or (was["type"] if was else "")
        if kind not in METAFIELD_TYPES:
            return problem(
                "type", "Type can't be blank." if not kind else f"Type must be known, not {kind}.", "INVALID_TYPE"
            )
        if kind == "single_line_text_field" and "\n" in value:
            return problem("value", "Value must be a single line text string.", "INVALID_VALUE")
        if "compareDigest" in wish and wish["compareDigest"] != (_digest(was["value"]) if was else None):
            words = (
                "The resource has been updated since it was loaded. Try again with an updated `compareDigest` value."
            )
            return problem("compareDigest", words, "STALE_OBJECT")
        return None

    def _delete_metafields(self, arguments: Arguments) -> dict[str, Any]:
        gone: list[dict[str, Any] | None] = []
        for wish in _objects(arguments["metafields"]):
            here = wish.get("ownerId") == self.id and self._kept(str(wish.get("namespace")), str(wish.get("key")))
            if here:
                self.db.execute("DELETE FROM shopify_metafields WHERE id = ?", (here["id"],))
            gone.append({key: wish[key] for key in ("ownerId", "namespace", "key")} if here else None)
        return {"deletedMetafields": gone, "userErrors": []}

    def _kept(self, namespace: str, key: str) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self.db.execute(
            "SELECT * FROM shopify_metafields WHERE shop = ? AND namespace = ? AND key = ?", (self.host, namespace, key)
        ).fetchone()
        return row


def _order(row: sqlite3.Row) -> dict[str, Any]:
    money = {"amount": row["total"], "currencyCode": row["currency"]}
    bag = {"shopMoney": money, "presentmentMoney": money}
    return {
        "id": f"gid://shopify/Order/{row['id']}",
        "legacyResourceId": str(row["id"]),
        "name": row["name"],
        "test": bool(row["test"]),
        "cancelledAt": row["cancelled_at"],
        "createdAt": row["processed_at"],
        "processedAt": row["processed_at"],
        "currencyCode": row["currency"],
        "totalPriceSet": bag,
        "currentTotalPriceSet": bag,
    }


def _webhook(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "id": f"gid://shopify/WebhookSubscription/{row['id']}",
        "legacyResourceId": str(row["id"]),
        "topic": row["topic"],
        "uri": row["uri"],
        "callbackUrl": row["uri"],
        "format": row["format"],
        "filter": row["filter"] or None,
        "includeFields": json.loads(row["fields"]),
        "metafieldNamespaces": json.loads(row["namespaces"]),
        "name": row["name"],
        "apiVersion": _version(VERSIONS[-2]),
        "createdAt": row["created_at"],
        "updatedAt": row["updated_at"],
    }


def _metafield(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "id": f"gid://shopify/Metafield/{row['id']}",
        "legacyResourceId": str(row["id"]),
        "namespace": row["namespace"],
        "key": row["key"],
        "type": row["type"],
        "value": row["value"],
        "jsonValue": row["value"],
        "compareDigest": _digest(row["value"]),
        "ownerType": "SHOP",
        "sizeInBytes": len(row["value"].encode()),
        "createdAt": row["created_at"],
        "updatedAt": row["updated_at"],
    }


def _webhook_fields(wish: Mapping[str, Any], was: sqlite3.Row | None) -> dict[str, Any]:
    """The columns of a subscription, in the table's order; what is not named stays as it was."""

    def given(key: str, column: str, default: Any, encode: Callable[[Any], Any] = lambda value: value) -> Any:
        if key in wish:
            return encode(wish[key]) if wish[key] is not None else encode(default)
        return was[column] if was is not None else encode(default)

    uri = wish.get("uri") or wish.get("callbackUrl") or (was["uri"] if was is not None else "")
    return {
        "uri": uri,
        "format": given("format", "format", "JSON"),
        "filter": given("filter", "filter", ""),
        "fields": given("includeFields", "fields", [], json.dumps),
        "namespaces": given("metafieldNamespaces", "namespaces", [], json.dumps),
        "name": given("name", "name", None),
    }


def _address_problem(uri: Any, host: str) -> str:
    if not isinstance(uri, str) or not uri:
        return "Address can't be blank"
    if uri.startswith(("pubsub://", "arn:aws:events:")):
        return ""
    try:
        parts = urlsplit(uri)
        name = parts.hostname or ""
    except ValueError:
        return "Address is invalid"
    if parts.scheme != "https":
        return f"Address protocol {parts.scheme}:// is not supported"
    if not name or any(sign.isspace() for sign in uri):
        return "Address is invalid"
    if name == "localhost" or name.startswith("127.") or name == host or "." not in name:
        return "Address is not allowed"
    return ""


def _page(
    rows: list[sqlite3.Row], arguments: Arguments, shown: Callable[[sqlite3.Row], dict[str, Any]]
) -> dict[str, Any]:
    """A connection over rows in the order of their ids."""
    first, last = arguments.get("first"), arguments.get("last")
    size = first if first is not None else last
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= LONGEST_PAGE:
        raise GraphQLError(f"you must provide one of first or last, of 0 to {LONGEST_PAGE}", "BAD_REQUEST")
    if arguments.get("reverse"):
        rows.reverse()
    after = _number(arguments.get("after"))
    left = [
        row for row in rows if after is None or (row["id"] < after if arguments.get("reverse") else row["id"] > after)
    ]
    chosen = left[:size] if first is not None else left[-size:] if size else []
    nodes = [shown(row) for row in chosen]
    cursors = [_cursor(row["id"]) for row in chosen]
    return {
        "nodes": nodes,
        "edges": [{"cursor": cursor, "node": node} for cursor, node in zip(cursors, nodes, strict=True)],
        "pageInfo": {
            "hasNextPage": first is not None and len(left) > size,
            "hasPreviousPage": len(rows) > len(left),
            "startCursor": cursors[0] if cursors else None,
            "endCursor": cursors[-1] if cursors else None,
        },
    }


def _cursor(number: int) -> str:
    return base64.b64encode(json.dumps({"last_id": number}).encode()).decode()


def _number(cursor: Any) -> int | None:
    if cursor is None:
        return None
    try:
        return int(json.loads(base64.b64decode(str(cursor)))["last_id"])
    except (ValueError, KeyError, TypeError):
        raise GraphQLError(f"Invalid cursor for current pagination sort: {cursor}", "BAD_REQUEST") from None


def _version(handle: str) -> dict[str, Any]:
    return {"handle": handle, "displayName": handle, "supported": handle != "unstable"}


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


def _namespace(wish: Mapping[str, Any]) -> str:
    return str(wish.get("namespace") or "app--1")


def _problem(field: list[str], message: str) -> dict[str, Any]:
    return {"field": field, "message": message}


def _gone() -> dict[str, Any]:
    return _problem(["id"], "Webhook subscription does not exist")


def _object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise GraphQLError("an input object was expected", "argumentLiteralsIncompatible")
    return value


def _objects(value: Any) -> list[Mapping[str, Any]]:
    items = value if isinstance(value, list) else [value]
    return [_object(item) for item in items]
