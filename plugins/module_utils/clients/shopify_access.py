# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Which token opens which store: a fixed one of the store's own, or one that Shopify gives the app for a day."""

from __future__ import annotations

import ast
import json
import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError

STORE = re.compile(r"[a-z0-9][a-z0-9-]{0,62}\.myshopify\.com")
PLACE = "{shop}"  # stands in the url for the store's host name
SLUG = "{slug}"  # stands in the default store for the tenant's slug
_VISIBLE = re.compile(r"[\x21\x23-\x26\x28-\x5f\x61-\x7e]+")  # ASCII without spaces, quotes and control characters


@dataclass(frozen=True)
class Access:
    """What opens stores. ``tokens``: fixed tokens by store, slug, or slug as an environment variable has it (ACME_CL).

    ``stores``: the tenants' stores by slug, as far as they are known; only used to try the tokens. No secret is in its
    representation.
    """

    url: str
    client_id: str = field(default="", repr=False)
    client_secret: str = field(default="", repr=False)
    tokens: t.Mapping[str, str] = field(default_factory=dict, repr=False)
    stores: t.Mapping[str, str] = field(default_factory=dict)
    default_store: str = ""

    @property
    def grants(self) -> bool:
        """Whether the app can ask for tokens."""
        return bool(self.client_id and self.client_secret)

    def token(self, store: str, slug: str = "") -> str:
        """The fixed token of a store; empty where there is none. Raises ApiError for one that can be no token."""
        found = self.written(store, slug)
        return sound(found, f"the token of {store}") if found else ""

    def written(self, store: str, slug: str = "") -> str:
        """The fixed token of a store as it was written, good or not; empty where there is none."""
        keys = (store, slug, in_environment(slug), in_environment(store.split(".", 1)[0]))
        return next((self.tokens[key] for key in keys if key and self.tokens.get(key)), "")

    def store_of(self, tenant: t.Mapping[str, t.Any]) -> str:
        """The store of a merged tenant; empty where it has none."""
        return store_of(tenant, self.default_store)


def access_of(connection: t.Mapping[str, t.Any]) -> Access:
    """The connection's variables in one value; mappings may come as text. Raises ApiError for a url without a place."""
    url = str(connection.get("url") or "").rstrip("/")
    if PLACE not in url or not url.startswith(("https://", "http://")):
        raise ApiError(f"shopify url: {url!r} is no address with {PLACE} in it; write https://{PLACE}")
    tokens = {str(key): str(value) for key, value in _mapping(connection.get("tokens"), "tokens").items() if value}
    stores = {str(key): str(value) for key, value in _mapping(connection.get("stores"), "stores").items() if value}
    client_id, secret = str(connection.get("client_id") or ""), str(connection.get("client_secret") or "")
    return Access(
        url,
        client_id,
        secret,
        tokens,
        stores,
        str(connection.get("default_store") or ""),
    )


def store_of(tenant: t.Mapping[str, t.Any], default_store: str = "") -> str:
    """The store of a merged tenant, or the default one of its slug; empty where it has none."""
    own = (tenant.get("shopify") or {}).get("store") or ""
    return str(own or default_store.replace(SLUG, str(tenant.get("slug") or "")))


def checked_store(value: str, key: str = "store") -> str:
    """A store's host name at Shopify. Raises ApiError that names key and value for anything else."""
    if not STORE.fullmatch(value):
        raise ApiError(f"{key}: {value!r} is no store; write its host name at Shopify alone, as acme.myshopify.com")
    return value


def sound(secret: str, name: str) -> str:
    """A secret that can travel in a header as it is. Raises ApiError that does not show it."""
    if not _VISIBLE.fullmatch(secret):
        why = "has a space, a line break, a quote or another character that no token has; copy it again"
        raise ApiError(f"{name} {why}", errors.REFUSED)
    return secret


def in_environment(slug: str) -> str:
    """A slug as it stands in the name of an environment variable."""
    return slug.upper().replace("-", "_")


def _mapping(value: t.Any, name: str) -> t.Mapping[str, t.Any]:
    """A mapping, also when it comes as text: JSON, or as templates write one down."""
    if not value:
        return {}
    found = value
    if isinstance(value, str):
        try:
            found = json.loads(value)
        except ValueError:
            try:
                found = ast.literal_eval(value)
            except (ValueError, SyntaxError, MemoryError, RecursionError):
                found = None
    if not isinstance(found, dict):
        raise ApiError(f"shopify {name}: must be a mapping")
    return found
