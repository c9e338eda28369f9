# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Supabase's keys and tokens by their form: what each is for, and how it is sent. Pure."""

from __future__ import annotations

import base64
import binascii
import json
import re
import typing as t
from dataclasses import dataclass
from datetime import datetime, timezone

SECRET, PUBLISHABLE, LEGACY, MANAGEMENT, UNKNOWN, FLAWED = (
    "secret",
    "publishable",
    "legacy",
    "management",
    "unknown",
    "flawed",
)
SERVICE_ROLE = "service_role"
_PLAIN = re.compile(r"[!#-&(-~]+")  # visible ASCII without quotes


@dataclass(frozen=True)
class Key:
    """What the form of a key tells. ``role`` and ``project`` only where the key itself says them (legacy keys).

    ``expires``: seconds since 1970, 0 for never or not known. The text of the key is not in it.
    """

    kind: str
    role: str = ""
    project: str = ""
    expires: float = 0.0

    @property
    def until(self) -> str:
        """The moment of expiry as ISO 8601 in UTC, empty where there is none."""
        if not self.expires:
            return ""
        return datetime.fromtimestamp(self.expires, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def key_of(text: str) -> Key:
    """What a key or token is. Forms of management tokens vary (``sbp_…``, ``sbp_oauth_…``, ``sbp_fc…``)."""
    if not _PLAIN.fullmatch(text):
        return Key(FLAWED)
    if text.startswith("sb_secret_"):
        return Key(SECRET, SERVICE_ROLE)
    if text.startswith("sb_publishable_"):
        return Key(PUBLISHABLE, "anon")
    if text.startswith("sbp_"):
        return Key(MANAGEMENT)
    claims = _claims(text)
    if claims is None:
        return Key(UNKNOWN)
    return Key(LEGACY, str(claims.get("role") or ""), str(claims.get("ref") or ""), _seconds(claims.get("exp")))


def headers_of(text: str) -> dict[str, str]:
    """The headers that carry a data key. Only a legacy key is a JWT, and only a JWT may stand in ``Authorization``."""
    if key_of(text).kind == LEGACY:
        return {"apikey": text, "Authorization": f"Bearer {text}"}
    return {"apikey": text}


def flaw_of_data_key(text: str, project: str, now: float) -> tuple[str, str] | None:
    """(state, why) of a key that cannot be the secret key of this project, by its form alone; None where it may be.

    ``project``: its ref, empty where it is not known. ``now``: seconds since 1970.
    """
    key = key_of(text)
    if key.kind == FLAWED:
        return "invalid", "the secret key holds a space, a line break, a quote or a letter outside ASCII: copy it again"
    if key.kind == MANAGEMENT:
        return "invalid", "this is an access token (sbp_…), not the project's secret key (sb_secret_… or service_role)"
    if key.kind == PUBLISHABLE or (key.kind == LEGACY and key.role != SERVICE_ROLE):
        shown = key.role or "no role"
        return "insufficient", f"this key acts as {shown}: the secret key (sb_secret_… or service_role) is needed"
    if key.expires and key.expires < now:
        return "invalid", f"the key expired at {key.until}"
    if key.project and project and key.project != project:
        return "invalid", f"the key belongs to the project {key.project}, not to {project}"
    return None


def flaw_of_access_token(text: str) -> str:
    """Why a text can be no management token, by its form alone; empty where it may be one."""
    kind = key_of(text).kind
    if kind == FLAWED:
        return "the access token holds a space, a line break, a quote or a letter outside ASCII: copy it again"
    if kind in (SECRET, PUBLISHABLE, LEGACY):
        return "this is a key of a project, not an access token (sbp_…) of the management API"
    return ""


def _claims(text: str) -> t.Mapping[str, t.Any] | None:
    """The payload of a JWT, unverified; None for what is no JWT."""
    parts = text.split(".")
    if len(parts) != 3 or not text.startswith("eyJ"):
        return None
    try:
        payload = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):
        return None
    return payload if isinstance(payload, dict) else None


def _seconds(value: t.Any) -> float:
    return float(value) if isinstance(value, (int, float)) and 0 < value < 32503680000 else 0.0
