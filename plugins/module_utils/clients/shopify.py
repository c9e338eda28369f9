# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Shopify's GraphQL Admin API: many stores, each with its own address, token and bucket of points."""

from __future__ import annotations

import threading
import typing as t
from dataclasses import dataclass, field

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors, reconcile
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import shopify_documents as documents
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import shopify_tokens
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.shopify_access import (
    PLACE,
    Access,
    access_of,
    checked_store,
    store_of,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.shopify_wire import (
    DENIED,
    ShopifyHttp,
    code_of,
    rows_of,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Answer, Policy

URL = f"https://{PLACE}"
NAMESPACE = "smarteros"  # of our metafields on the shop
SET_AT_ONCE = 25  # metafields per call, Shopify's limit
PAGES = 50  # more subscriptions than that no store has: an endless list
TRIES = 4  # of a mutation whose outcome is unknown
STORES_AT_ONCE = 8
_TAKEN = "already been taken"
_GONE = ("not found", "not exist", "not be found", "invalid id")
_NO_RIGHT = ("do not have permission", "not authorized", "not approved", "access denied")

Json = t.Mapping[str, t.Any]
Outcome = t.TypeVar("Outcome")


@dataclass(frozen=True)
class Metafield:
    """A metafield of ours on the shop; ``digest`` is Shopify's word for this very value."""

    value: str
    type: str
    digest: str = ""


@dataclass(frozen=True)
class Webhook:
    """A subscription of this app in one store: each delivery of ``topic`` goes to ``uri``."""

    topic: str
    uri: str
    format: str = "JSON"
    filter: str = ""
    fields: tuple[str, ...] = ()
    id: str = ""

    @property
    def content(self) -> tuple[str, str, str, str, tuple[str, ...]]:
        """What is compared."""
        return self.topic, self.uri, self.format, self.filter, self.fields


@dataclass(frozen=True)
class Facts:
    """What a store says of itself. ``metafields``: those of our namespace, by key."""

    id: str
    name: str
    domain: str
    plan: str
    currency: str
    metafields: t.Mapping[str, Metafield] = field(default_factory=dict)


class Store:
    """One store, for one thread at a time. Raises ApiError; never shows a token."""

    def __init__(self, access: Access, store: str, slug: str = "", policy: Policy | None = None) -> None:
        self.name = checked_store(store)
        fixed = access.token(store, slug)
        secrets = tuple(secret for secret in (fixed, access.client_secret) if secret)
        self.http = ShopifyHttp(access.url.replace(PLACE, store), secrets=secrets, policy=policy)
        self._key = shopify_tokens.key_for(access, fixed, self.http, store, slug)

    @property
    def expires(self) -> str:
        """When the token that is in use ends, in UTC; empty for a fixed one."""
        return self._key.expires

    def facts(self) -> Facts:
        """The store's facts and our metafields on it; one request."""
        return facts_of(self.ask(documents.STORE, {}))

    def webhooks(self) -> tuple[Facts, list[Webhook]]:
        """The store's facts, and every subscription that this app made there through the API; reads all pages."""
        found: dict[str, Webhook] = {}
        cursor: str | None = None
        for _page in range(PAGES):
            data = self.ask(documents.STORE_AND_WEBHOOKS, {"first": documents.PAGE, "after": cursor})
            listed = part(data, "webhookSubscriptions")
            for row in rows_of(listed.get("nodes")):
                each = webhook_of(row)
                found[each.id] = each
            info = part(listed, "pageInfo")
            following = info.get("endCursor")
            if not info.get("hasNextPage"):
                return facts_of(data), list(found.values())
            if not isinstance(following, str) or following == cursor:
                break
            cursor = following
        raise ApiError("the list of webhook subscriptions does not end", where=self.http.base_url)

    def subscribe(self, wish: Webhook) -> str:
        """Make a subscription and give its id; one that exists already and is equal is taken over."""
        variables = {"topic": wish.topic, "webhook": _wire(wish)}

        def find() -> str | None:
            made = [each for each in self.webhooks()[1] if each.content == wish.content]
            return made[0].id if made else None

        try:
            data = self.change(documents.CREATE_WEBHOOK, variables, "webhookSubscriptionCreate", find)
        except ApiError as exc:
            adopted = find() if _TAKEN in exc.message else None
            if adopted is None:
                raise
            return adopted
        return data if isinstance(data, str) else webhook_of(part(data, "webhookSubscription")).id

    def resubscribe(self, webhook_id: str, wish: Webhook) -> None:
        """Overwrite a subscription; its topic cannot change. Twice does no harm."""
        self.change(documents.UPDATE_WEBHOOK, {"id": webhook_id, "webhook": _wire(wish)}, "webhookSubscriptionUpdate")

    def unsubscribe(self, webhook_id: str) -> None:
        """Delete a subscription; one that is gone already is fine."""
        try:
            self.change(documents.DELETE_WEBHOOK, {"id": webhook_id}, "webhookSubscriptionDelete")
        except ApiError as exc:
            if exc.kind != errors.MISSING:
                raise

    def set_metafields(self, rows: t.Sequence[t.Mapping[str, t.Any]]) -> None:
        """Set metafields, each of the calls all or none; ``rows`` are ``MetafieldsSetInput`` without owner and namespace.

        A row with ``compareDigest`` is only set while that is (None: while nothing is) its value there; else the
        ApiError is of the kind ``conflict``.
        """
        for start in range(0, len(rows), SET_AT_ONCE):
            chunk = [{"namespace": NAMESPACE, **row} for row in rows[start : start + SET_AT_ONCE]]
            self.change(documents.SET_METAFIELDS, {"metafields": chunk}, "metafieldsSet")

    def delete_metafields(self, owner: str, keys: t.Iterable[str]) -> None:
        """Delete metafields of our namespace; those that are gone already are fine."""
        rows = [{"ownerId": owner, "namespace": NAMESPACE, "key": key} for key in keys]
        if rows:
            self.change(documents.DELETE_METAFIELDS, {"metafields": rows}, "metafieldsDelete")

    def change(self, document: str, variables: Json, payload: str, find: t.Callable[[], t.Any] | None = None) -> t.Any:
        """Carry out a mutation and give its payload; ``userErrors`` are failures.

        Without ``find``, sending it twice must do no harm. With it, an unknown outcome is settled by looking: what
        ``find`` gives (not None) is the result.
        """
        for attempt in range(TRIES):
            try:
                data = part(self.ask(document, variables, repeat=find is None), payload)
            except ApiError as exc:
                if find is None or exc.kind != errors.UNANSWERED or attempt + 1 == TRIES:
                    raise
                found = find()
                if found is not None:
                    return found
                continue
            _judge(data.get("userErrors"), variables, f"POST {self.http.base_url} {payload}", self.http.shown)
            return data
        raise AssertionError("the loop above returns or raises")

    def ask(self, document: str, variables: Json, repeat: bool = True) -> Json:
        """Send a document and give its ``data``. Errors beside data are errors. A 401 gets one new token."""
        try:
            answer = self._post(document, variables, repeat)
        except ApiError as exc:
            if exc.status != 401 or not self._key.renewable:
                raise
            self._key.renew()
            answer = self._post(document, variables, repeat)
        return self._data(answer)

    def _post(self, document: str, variables: Json, repeat: bool) -> Answer:
        body = {"query": document, "variables": dict(variables)}
        headers = {"X-Shopify-Access-Token": self._key.token()}
        path = f"/admin/api/{documents.VERSION}/graphql.json"
        return self.http.request("POST", path, json=body, headers=headers, repeat=repeat)

    def _data(self, answer: Answer) -> Json:
        where = f"POST {self.http.base_url}"
        body = answer.body
        if not isinstance(body, dict):
            raise ApiError("the answer is no GraphQL answer", status=answer.status, where=where)
        told = body.get("errors")
        if told:
            found = rows_of(told)
            first: Json = found[0] if found else {"message": told}
            code = code_of(first)
            words = self.http.shown(first.get("message") or told)
            kind = errors.REFUSED if code == DENIED else errors.INVALID
            raise ApiError(f"{words} ({code})" if code else words, kind, answer.status, self.http.shown(code), where)
        data = body.get("data")
        if not isinstance(data, dict):
            raise ApiError("the answer has neither data nor errors", status=answer.status, where=where)
        return data


class Shopify:
    """All stores that the credentials open."""

    def __init__(self, access: Access, policy: Policy | None = None) -> None:
        self.access = access
        self.sent = 0
        self._policy = policy
        self._lock = threading.Lock()

    def with_store(self, store: str, slug: str, work: t.Callable[[Store], Outcome]) -> Outcome:
        """Work on one store. Its connections end with the work: a thousand stores do not stay open."""
        opened = Store(self.access, store, slug, self._policy)
        try:
            return work(opened)
        finally:
            with self._lock:
                self.sent += opened.http.sent

    def check(self) -> dict[str, t.Any]:
        """What the tokens are good for: state (valid | invalid | insufficient | unreachable), account, message …

        Every fixed token is tried on its store, and the app's own credentials on one more store.
        """
        return shopify_tokens.check(self.access, self.with_store)

    def claimed(self, wishes: t.Sequence[t.Mapping[str, t.Any]]) -> dict[str, str]:
        """For new tenants (merged tenants): id -> why their store cannot be theirs.

        A store that cannot be asked is no claim of anybody: the role tells what is wrong with it.
        """
        found: dict[str, str] = {}
        jobs: dict[str, t.Callable[[], Facts]] = {}
        wanted: dict[str, str] = {}
        for tenant in wishes:
            store = self.access.store_of(tenant)
            if store in wanted.values():
                other = next(key for key, value in wanted.items() if value == store)
                found[tenant["id"]] = f"the store {store} is asked for by tenant {other} as well"
            elif store:
                wanted[tenant["id"]] = store
                jobs[tenant["id"]] = self._reader(store, str(tenant["slug"]))
        for tenant_id, facts in reconcile.run_all(jobs, STORES_AT_ONCE).items():
            why = "" if isinstance(facts, ApiError) else taken(facts, tenant_id, wanted[tenant_id])
            if why:
                found[tenant_id] = why
        return found

    def _reader(self, store: str, slug: str) -> t.Callable[[], Facts]:
        return lambda: self.with_store(store, slug, lambda opened: opened.facts())


def connect(connection: t.Mapping[str, t.Any], policy: Policy | None = None) -> Shopify:
    """A client for all stores; sends nothing yet.

    ``connection``: url (with ``{shop}`` where the store's host name goes), client_id and client_secret, tokens (fixed
    ones by store or slug), stores (by slug, to try the tokens at), default_store (with ``{slug}``).
    """
    return Shopify(access_of(connection), policy)


def lacking(connection: t.Mapping[str, t.Any]) -> list[str]:
    """What is not set and has to be: the app's credentials come in a pair, and fixed tokens can stand in for both."""
    pair = [key for key in ("client_id", "client_secret") if not connection.get(key)]
    return pair if len(pair) == 1 or (pair and not access_of(connection).tokens) else []


def with_tenants(connection: t.Mapping[str, t.Any], tenants: t.Iterable[t.Mapping[str, t.Any]]) -> dict[str, t.Any]:
    """The connection with the stores of merged tenants: a token can only be tried at its store."""
    default = str(connection.get("default_store") or "")
    enabled = [tenant for tenant in tenants if tenant["services"]["shopify"]["enabled"]]
    stores = {tenant["slug"]: store_of(tenant, default) for tenant in enabled}
    return {**connection, "stores": {slug: store for slug, store in stores.items() if store}}


def taken(facts: Facts, tenant: str, store: str) -> str:
    """Why a store is not a tenant's; empty when it is free or the tenant's own."""
    mark = facts.metafields.get("rut")
    if mark is None or mark.value in ("", tenant):
        return ""
    return f"the store {store} belongs to tenant {mark.value} (metafield {NAMESPACE}.rut)"


def facts_of(data: Json) -> Facts:
    """The store's facts in our words. Raises ApiError when the answer has no shop."""
    shop = part(data, "shop")
    metafields = {
        str(row.get("key")): Metafield(
            str(row.get("value") or ""), str(row.get("type") or ""), str(row.get("compareDigest") or "")
        )
        for row in rows_of(part(shop, "metafields").get("nodes"))
    }
    return Facts(
        _text(shop, "id"),
        _text(shop, "name"),
        _text(part(shop, "primaryDomain"), "host"),
        _text(part(shop, "plan"), "publicDisplayName"),
        _text(shop, "currencyCode"),
        metafields,
    )


def webhook_of(row: Json) -> Webhook:
    """A subscription of the API in our words. Raises ApiError when it lacks what makes one."""
    fields = row.get("includeFields")
    names = tuple(sorted(str(name) for name in fields)) if isinstance(fields, list) else ()
    return Webhook(
        _text(row, "topic"),
        _text(row, "uri"),
        str(row.get("format") or "JSON"),
        str(row.get("filter") or ""),
        names,
        _text(row, "id"),
    )


def part(value: Json, key: str) -> Json:
    """A mapping inside an answer. Raises ApiError when it is none."""
    found = value.get(key)
    if not isinstance(found, dict):
        raise ApiError(f"Shopify's answer has no {key}")
    return found


def _text(row: Json, key: str) -> str:
    found = row.get(key)
    if not isinstance(found, str) or not found:
        raise ApiError(f"Shopify's answer has no {key}")
    return found


def _wire(wish: Webhook) -> dict[str, t.Any]:
    return {"uri": wish.uri, "format": wish.format, "filter": wish.filter or None, "includeFields": list(wish.fields)}


def _judge(user_errors: t.Any, variables: Json, where: str, shown: t.Callable[[t.Any], str]) -> None:
    """Raise ApiError for the first of a payload's ``userErrors``."""
    found = rows_of(user_errors)
    if not found:
        if isinstance(user_errors, list):
            return
        raise ApiError("Shopify's answer has no userErrors", where=where)
    first = found[0]
    message, code = str(first.get("message") or "refused without a reason"), str(first.get("code") or "")
    kind = (
        errors.CONFLICT if _TAKEN in message or code in ("STALE_OBJECT", "INVALID_COMPARE_DIGEST") else errors.INVALID
    )
    if any(word in message.lower() for word in _GONE):
        kind = errors.MISSING
    if code == "APP_NOT_AUTHORIZED" or any(word in message.lower() for word in _NO_RIGHT):
        kind = errors.REFUSED
    parts = [_element(first.get("elementIndex"), variables), _path(first.get("field")), message]
    words = ": ".join(each for each in parts if each)
    raise ApiError(shown(f"{words} ({code})" if code else words), kind, 200, shown(code), where)


def _element(index: t.Any, variables: Json) -> str:
    rows = variables.get("metafields")
    if (
        isinstance(index, bool)
        or not isinstance(index, int)
        or not isinstance(rows, list)
        or not 0 <= index < len(rows)
    ):
        return ""
    return f"metafield {rows[index]['namespace']}.{rows[index]['key']}"


def _path(names: t.Any) -> str:
    return ".".join(str(name) for name in names) if isinstance(names, list) else ""
