# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Tokens of stores: given once and for all, or asked for by the app and good for a day; and what they are good for."""

from __future__ import annotations

import threading
import time
import typing as t
from datetime import datetime, timezone

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors, reconcile
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import shopify_documents as documents
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.shopify_access import (
    SLUG,
    STORE,
    Access,
    in_environment,
    sound,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.shopify_wire import ShopifyHttp, rows_of
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError

if t.TYPE_CHECKING:
    from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.shopify import Store

NEEDED = ("read_orders",)  # for webhooks about orders; metafields of the shop itself need no scope
LIFE = 86_399  # seconds, where the answer does not tell
MARGIN = 600  # seconds that a token must last still to be used again
TRIAL = "smarteros"  # slug of the store that is asked where the stores follow from slugs and none is known
_WORST_FIRST = ("invalid", "insufficient", "unreachable", "valid")

Verdict = dict[str, t.Any]


class WithStore(t.Protocol):
    """Opens a store for a piece of work and gives what comes of it."""

    def __call__(self, store: str, slug: str, work: t.Callable[[Store], Verdict]) -> Verdict:
        """Called with the store, the tenant's slug, and the work."""


class Key:
    """A fixed token."""

    renewable = False
    expires = ""

    def __init__(self, token: str) -> None:
        self._token = token

    def token(self) -> str:
        """The token to be sent."""
        return self._token

    def renew(self) -> None:
        """A fixed token cannot be replaced."""


class Memory:
    """Tokens for a day that this process was given, so that its next piece of work need not ask again. Never on disk."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[tuple[str, ...], tuple[str, float]] = {}

    def recall(self, key: tuple[str, ...], now: float) -> tuple[str, float]:
        """(token, when it ends in seconds since 1970); an empty token where there is none that lasts long enough."""
        with self._lock:
            token, ends = self._held.get(key, ("", 0.0))
        return (token, ends) if ends - now > MARGIN else ("", 0.0)

    def keep(self, key: tuple[str, ...], token: str, ends: float) -> None:
        """Keep a token in place of an older one."""
        with self._lock:
            self._held[key] = token, ends


MEMORY = Memory()


class GrantedKey(Key):
    """A token that is asked for when it is first needed, and again when Shopify no longer takes it."""

    renewable = True

    def __init__(self, access: Access, http: ShopifyHttp) -> None:
        super().__init__("")
        self._http = http
        sound(access.client_id, "the client id of the app")
        sound(access.client_secret, "the client secret of the app")
        self._body = {
            "grant_type": "client_credentials",
            "client_id": access.client_id,
            "client_secret": access.client_secret,
        }
        self._name = (http.base_url, access.client_id, access.client_secret)

    def token(self) -> str:
        """The token to be sent; the first call asks for it, unless this process has one."""
        if not self._token:
            held, ends = MEMORY.recall(self._name, time.time())
            if held:
                self._take(held, ends)
            else:
                self.renew()
        return self._token

    def renew(self) -> None:
        """Ask for a new one; asking twice does no harm."""
        path = "/admin/oauth/access_token"
        answer = self._http.request("POST", path, json=self._body, repeat=True).body
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not isinstance(token, str) or not token:
            raise ApiError("Shopify's answer has no access_token", where=f"POST {self._http.base_url}{path}")
        ends = time.time() + _seconds(answer.get("expires_in"))
        self._take(sound(token, "the token that Shopify gave"), ends)
        MEMORY.keep(self._name, token, ends)

    def _take(self, token: str, ends: float) -> None:
        self._http.hide(token)
        self._token, self.expires = token, _moment(ends)


def key_for(access: Access, fixed: str, http: ShopifyHttp, store: str, slug: str) -> Key:
    """The key to a store: its fixed token, else one for the app. Raises ApiError where there is neither."""
    if fixed:
        return Key(fixed)
    if access.grants:
        return GrantedKey(access, http)
    name = in_environment(slug or store.split(".", 1)[0])
    why = f"no token for {store}: set SHOPIFY_TOKEN_{name}, or SHOPIFY_CLIENT_ID and SHOPIFY_CLIENT_SECRET"
    raise ApiError(why, errors.REFUSED, where=http.base_url)


def check(access: Access, with_store: WithStore) -> Verdict:
    """Try every fixed token on its store and the app's credentials on one more; the worst finding decides the state."""
    probes, unknown = _probes(access)
    if not probes:
        return _nothing_to_ask(access)
    jobs = {store: _probe(with_store, store, slug) for store, slug in probes.items()}
    found: list[Verdict] = []
    for store, answer in reconcile.run_all(jobs, 8).items():
        found.append(_refused(store, answer) if isinstance(answer, ApiError) else answer)
    worst = min(found, key=lambda each: _WORST_FIRST.index(each["state"]))
    missing = sorted({scope for each in found for scope in each.get("missing_scopes", ())})
    notes = [each["message"] for each in found if each["state"] == worst["state"]]
    if unknown:
        notes.append(f"not tried, because no tenant of that name has a store: {', '.join(unknown)}")
    verdict: Verdict = {
        "state": worst["state"],
        "account": ", ".join(each["account"] for each in found if each["account"]),
        "message": "; ".join(notes),
        "missing_scopes": missing,
    }
    return verdict


def _probes(access: Access) -> tuple[dict[str, str], list[str]]:
    """The stores to be asked, with their slugs, and the keys of fixed tokens whose store nobody knows."""
    slugs = {in_environment(slug): slug for slug in access.stores}
    found: dict[str, str] = {}
    unknown: list[str] = []
    for key in access.tokens:
        slug = slugs.get(in_environment(key), "")
        if STORE.fullmatch(key):
            found[key] = ""
        elif slug:
            found[access.stores[slug]] = slug
        else:
            unknown.append(key)
    if access.grants:
        rest = [(store, slug) for slug, store in access.stores.items() if not access.written(store, slug)]
        trial = access.default_store.replace(SLUG, TRIAL)
        rest += [(trial, "")] if trial else []
        found.update(dict(rest[:1]))
    return found, unknown


def _nothing_to_ask(access: Access) -> Verdict:
    """Nobody has a store: no token can be tried, but one that can be none is told."""
    if not access.grants and not access.tokens:
        why = "neither a token of a store, nor the app's client id and client secret"
        return {"state": "invalid", "account": "", "message": why}
    given = {"the client id of the app": access.client_id, "the client secret of the app": access.client_secret}
    given.update({f"the token {key}": token for key, token in access.tokens.items()})
    try:
        for name, secret in given.items():
            sound(secret or "-", name)
    except ApiError as exc:
        return {"state": "invalid", "account": "", "message": exc.message}
    about = "not tried: each token is good for one store, and no tenant of this environment has one"
    return {"state": "valid", "account": "", "message": about}


def _probe(with_store: WithStore, store: str, slug: str) -> t.Callable[[], Verdict]:
    return lambda: with_store(store, slug, _look)


def _look(store: Store) -> Verdict:
    data = store.ask(documents.WHO, {})
    shop, installation = data.get("shop"), data.get("currentAppInstallation")
    if not isinstance(shop, dict) or not isinstance(installation, dict):
        raise ApiError("the answer is not Shopify's: it has no shop")
    account = f"{shop.get('name') or 'store'} ({shop.get('myshopifyDomain')})"
    granted = {str(row.get("handle")) for row in rows_of(installation.get("accessScopes"))}
    missing = [scope for scope in NEEDED if not {scope, scope.replace("read_", "write_")} & granted]
    verdict: Verdict = {"state": "valid", "account": store.http.shown(account)}
    if shop.get("myshopifyDomain") != store.name:
        words = f"the token belongs to the store {shop.get('myshopifyDomain')}, not to {store.name}"
        return {**verdict, "state": "invalid", "message": store.http.shown(words)}
    if missing:
        words = f"{store.name}: the app lacks {', '.join(missing)}; add it to the app's version and release that"
        return {**verdict, "state": "insufficient", "message": words, "missing_scopes": missing}
    versions = {str(row.get("handle")): row.get("supported") for row in rows_of(data.get("publicApiVersions"))}
    old = "" if versions.get(documents.VERSION, True) else f", but Shopify ended API version {documents.VERSION}"
    how = f"the app, with a token until {store.expires} that renews itself" if store.expires else "its own token"
    return {**verdict, "message": f"{store.name} lets us in by {how}{old}"}


def _refused(store: str, exc: ApiError) -> Verdict:
    """What a failed look says about the token of a store."""
    state = "unreachable"
    if exc.kind == errors.REFUSED:
        known = exc.status == 403 or exc.code == "ACCESS_DENIED"
        state = "insufficient" if known else "invalid"
    elif exc.kind in (errors.MISSING, errors.INVALID, errors.CONFLICT) and exc.status not in (402, 423):
        state = "invalid"
    return {"state": state, "account": "", "message": f"{store}: {exc.message}"}


def _seconds(value: t.Any) -> float:
    return float(value) if isinstance(value, (int, float)) and 0 < value < 10**8 else float(LIFE)


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
