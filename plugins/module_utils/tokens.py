# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Judge connections and tokens by their looks alone, before any of them is sent anywhere. Nothing here does I/O.

No message holds a value: what is wrong with a token is told, never the token.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import json
import re
import typing as t
from dataclasses import dataclass
from urllib.parse import urlsplit

Connection = t.Mapping[str, t.Any]
"""The variables of a service without the service's name in front (url, token …): texts, or mappings down to texts."""

DOCS = "docs/tokens.md"
SECRET = re.compile(r"(token|secret|passw|_key|^key|_dsn|database_url)")
_PASSWORD = re.compile(r"(passw|_dsn|database_url)")  # these may hold any sign that can be typed
_ADDRESS = re.compile(r"(^|[_.])url$")
_QUOTES = "\"'`\u2018\u2019\u201c\u201d\u00ab\u00bb"  # straight ones, and those that word processors make
_PLACEHOLDER = re.compile(r"<.*>|\$\{?\w+\}?|.*\{\{.*|change_?-?me|todo|\.{3}|…|your[-_ ].*|x{3,}", re.IGNORECASE)
_JWT = re.compile(r"eyJ[\w-]{8,}\.[\w-]{4,}\.[\w-]*")


@dataclass(frozen=True)
class Format:
    """A form of token that tells whose it is. ``fits`` names the variables that take it, by service."""

    pattern: t.Pattern[str]
    name: str
    fits: t.Mapping[str, t.Collection[str]]


FORMATS = (
    Format(re.compile(r"shpat_\w+"), "an Admin API token of Shopify", {"shopify": ("tokens",)}),
    Format(re.compile(r"sbp_\w+"), "a personal access token of Supabase", {"supabase": ("access_token",)}),
    Format(re.compile(r"sb_secret_[\w-]+"), "a secret key of Supabase", {"supabase": ("secret_key",)}),
    Format(re.compile(r"sb_publishable_[\w-]+"), "a publishable key of Supabase", {"supabase": ("publishable_key",)}),
    Format(re.compile(r"cfat_\w+"), "an account token of Cloudflare", {"cloudflare": ("token",)}),
    Format(re.compile(r"EAA[A-Za-z0-9]{27,}"), "an access token of Meta (WhatsApp)", {"whatsapp": ("token",)}),
    Format(re.compile(r"vcp_\w+"), "an access token of Vercel", {"vercel": ("token",)}),
    Format(
        _JWT,
        "a signed token (JWT), as n8n's API keys and Supabase's legacy keys are",
        {"n8n": ("api_key",), "supabase": ("secret_key", "publishable_key")},
    ),
)


def is_secret(key: str) -> bool:
    """Whether the name of a connection variable, or of a part of it (`access.client_secret`), says that it is secret."""
    return bool(SECRET.search(key))


def secrets_of(connection: Connection) -> list[str]:
    """Every secret text of a connection, as it is and without what stands around it."""
    found = [text for name, text in _texts(connection) if is_secret(name)]
    return sorted({form for text in found for form in (text, text.strip()) if len(form) >= 4}, key=len, reverse=True)


def lacking(connection: Connection) -> list[str]:
    """The variables that are empty, in their order."""
    return [key for key, value in connection.items() if not is_set(value)]


def unconfigured(connection: Connection) -> bool:
    """Whether nothing of the service's own but addresses is set: nobody wants to use it here.

    What is SmarterOS's own (`smos_…`) is set for the sake of other services, too.
    """
    own = {key: value for key, value in connection.items() if not key.startswith("smos_")}
    return not any(is_set(value) for key, value in own.items() if is_secret(key) or not _ADDRESS.search(key))


def is_set(value: t.Any) -> bool:
    """Whether there is any text in it."""
    return any(text for _name, text in _texts({"": value}))


def flaws(service: str, connection: Connection) -> dict[str, str]:
    """By variable: what is wrong with its value, as far as one can see. Empty values have no flaw."""
    found = {name: flaw(service, name, text) for name, text in _texts(connection)}
    return {name: why for name, why in found.items() if why}


def flaw(service: str, key: str, text: str) -> str:
    """What is wrong with one value, without the value; empty when it may be sent."""
    if not text:
        return ""
    if not text.strip():
        return "holds nothing but white space"
    return _surroundings(key, text) or _content(service, key, text)


def _surroundings(key: str, text: str) -> str:
    """What came along when the value was copied."""
    if "\n" in text or "\r" in text:
        where = "ends with" if "\n" not in text.strip() and "\r" not in text.strip() else "has"
        return f"{where} a line break"
    if text != text.strip():
        return "has white space at its beginning or end"
    if any(not sign.isprintable() for sign in text):
        return "has an invisible sign in it"
    # A password may well begin and end with a quotation mark
    if text[0] in _QUOTES and text[-1] in _QUOTES and not _PASSWORD.search(key):
        return "has quotation marks around it"
    return ""


def _content(service: str, key: str, text: str) -> str:
    if _ADDRESS.search(key) and not is_secret(key):
        return _address(text)
    if _PLACEHOLDER.fullmatch(text):
        return "is a placeholder, not a value"
    if not is_secret(key) or _PASSWORD.search(key):
        return ""
    if text.lower().startswith("bearer "):
        return "begins with the word Bearer, which is no part of the token"
    if any(sign.isspace() for sign in text):
        return "has a space in it"
    if not text.isascii():
        return "has a letter or sign that no token has (not ASCII)"
    if any(sign in _QUOTES for sign in text):
        return "has a quotation mark in it"
    return _foreign(service, key, text)


def _address(text: str) -> str:
    try:
        parts = urlsplit(text)
        host = parts.hostname
    except ValueError:
        return "is no http(s) address"
    if parts.scheme not in ("http", "https") or not host or any(sign.isspace() for sign in text):
        return "is no http(s) address"
    return "has a user name or password in it" if parts.username or parts.password else ""


def _foreign(service: str, key: str, text: str) -> str:
    """Whether it bears the form of a token that does not belong here."""
    parts = frozenset(key.split("."))
    sandbox = re.fullmatch(r"sandbox-([a-z0-9]+)-(?:token|limited)", text)
    if sandbox and sandbox.group(1) != service:
        return f"looks like the sandbox's token of {sandbox.group(1)}"
    for each in FORMATS:
        if not each.pattern.fullmatch(text) or parts & set(each.fits.get(service, ())):
            continue
        here = "; that belongs into " + " or ".join(f"{service}_{name}" for name in each.fits.get(service, ()))
        return f"looks like {each.name}" + (here if service in each.fits else "")
    role = claims(text).get("role")
    return "is the key of anon; the one of service_role is needed" if key == "secret_key" and role == "anon" else ""


def claims(text: str) -> dict[str, t.Any]:
    """What a signed token (JWT) says of itself, unverified; empty for any other text."""
    if not _JWT.fullmatch(text):
        return {}
    body = text.split(".")[1]
    try:
        found = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (ValueError, binascii.Error):
        return {}
    return found if isinstance(found, dict) else {}


def expiry(connection: Connection) -> str:
    """When the first signed token of a connection ends, as it says itself (ISO 8601, UTC); empty where none tells."""
    moments: list[int] = []
    for name, text in _texts(connection):
        moment = claims(text).get("exp") if is_secret(name) else None
        if isinstance(moment, int) and not isinstance(moment, bool) and 0 < moment < 32503680000:  # the year 3000
            moments.append(moment)
    if not moments:
        return ""
    return datetime.datetime.fromtimestamp(min(moments), datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def days_left(expires: str, now: datetime.datetime) -> int | None:
    """Whole days until an ISO date or time, negative when it is over; None for what is no date. ``now`` has a zone."""
    try:
        moment = datetime.datetime.fromisoformat(expires.replace("Z", "+00:00"))
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.timezone.utc)
    return (moment - now) // datetime.timedelta(days=1)


def scrubbed(text: str, secrets: t.Iterable[str]) -> str:
    """The text without these secrets, the longest first."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


def next_step(service: str, state: str) -> str:
    """What to do about a token that is not valid, with the place to read on."""
    steps = {
        "missing": f"Put it into the environment's .env.{service} or into the shell",
        "invalid": "Make a new one, or correct the value (the shell's goes before the file's)",
        "insufficient": "Give the token what it lacks",
        "unreachable": "Check the address and that the service is up",
    }
    return f"{steps.get(state, 'Check the token')}; see {DOCS}#{service}"


def _texts(value: t.Mapping[str, t.Any], above: str = "") -> t.Iterator[tuple[str, str]]:
    """(name, text) of everything in a connection; what lies deeper is named as `access.client_id`."""
    for key, inner in value.items():
        name = f"{above}.{key}" if above else str(key)
        if isinstance(inner, t.Mapping):
            yield from _texts(inner, name)
        else:
            yield name, "" if inner is None else str(inner)
