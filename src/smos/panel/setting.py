# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What the panel takes from the environment: the numbers on its list, three secrets, and by which number it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from smos import exitcodes
from smos.outcome import failure
from smos.panel import people

NUMBERS, APP, CARRIER, VERIFY = (
    "SMOS_PANEL_NUMBERS",
    "SMOS_PANEL_APP_SECRET",
    "SMOS_PANEL_TOKEN",
    "SMOS_PANEL_VERIFY_TOKEN",
)
OWN, TOKEN, URL = "WHATSAPP_PHONE_NUMBER_ID", "WHATSAPP_TOKEN", "SMOS_PANEL_GRAPH_URL"
GRAPH = "https://graph.facebook.com/v23.0"
HIDDEN = frozenset({NUMBERS, APP, CARRIER, VERIFY})
"""Variables that no command of the panel gets."""
SHORTEST: Mapping[str, int] = {APP: 16, CARRIER: 24, VERIFY: 16}  # characters
_MADE: Mapping[str, str] = {
    APP: "It stands in the app's basic settings at Meta",
    CARRIER: "Take `openssl rand -hex 24`",
    VERIFY: "Take `openssl rand -hex 16`",
}
_SANDBOX: Mapping[str, str] = {TOKEN: "sandbox-whatsapp-token", OWN: "100000000000002"}
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_DOCS = "docs/panel.md"


@dataclass(frozen=True)
class Secrets:
    """What requests are judged by."""

    app: str = field(repr=False)
    carrier: str = field(repr=False)
    verify: str = field(repr=False)


@dataclass(frozen=True)
class Setting:
    """All that is taken from the environment. ``connection`` is for the client of WhatsApp."""

    secrets: Secrets
    numbers: frozenset[str]
    connection: Mapping[str, str] = field(repr=False)


def taken(environ: Mapping[str, str], sandbox: str) -> Setting:
    """The setting. ``sandbox``: address of the sandbox's WhatsApp, empty in other environments. Raises Failure (2, 3)."""
    try:
        numbers = people.allowed(environ.get(NUMBERS, ""))
    except people.BadNumber as exc:
        raise failure(exitcodes.INVALID, NUMBERS, str(exc), "", "Separate numbers by commas") from None
    if not numbers:
        raise _missing(NUMBERS, "Name who may give commands, as +56912345678")
    found = {name: _secret(name, environ.get(name, "")) for name in SHORTEST}
    usual = _SANDBOX if sandbox else {}
    connection = {name: environ.get(name) or usual.get(name, "") for name in (TOKEN, OWN)}
    for name, value in connection.items():
        if not value:
            raise _missing(name, "See docs/tokens.md#whatsapp")
    url = _address(environ.get(URL) or sandbox or GRAPH)
    return Setting(
        Secrets(found[APP], found[CARRIER], found[VERIFY]),
        numbers,
        {"url": url, "token": connection[TOKEN], "phone_number_id": connection[OWN]},
    )


def _secret(name: str, value: str) -> str:
    if not value:
        raise _missing(name, _MADE[name])
    if len(value) < SHORTEST[name] or not (value.isascii() and value.isprintable()):
        why = f"it is shorter than {SHORTEST[name]} characters, or has a sign that is not plain"
        raise failure(exitcodes.INVALID, name, why, "", _MADE[name])
    return value


def _address(url: str) -> str:
    parts = urlsplit(url)
    secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    if not secure or not parts.hostname or "@" in parts.netloc:
        following = f"Leave it out for {GRAPH}"
        raise failure(exitcodes.INVALID, URL, "it is no address that begins with https://", "", following)
    return url.rstrip("/")


def _missing(name: str, following: str) -> Exception:
    return failure(exitcodes.UNUSABLE, name, "it is not set", _DOCS, following)
