"""Who calls the sandbox's Supabase: access tokens of the management API, and the keys of the project.

For a token T of the sandbox these keys are good: T and ``sb_secret_T`` (service_role), ``sb_publishable_T`` (anon), and
legacy JWTs signed with T (HS256) with the role in them. ``sandbox-supabase-limited`` is a scoped access token that may see
the project, and not its database; as a key of the project it is anon.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

from smos.sandbox.provider import Call, Reply

REF = "sandboxsandboxsandbo"  # twenty letters
LIMITED = "sandbox-supabase-limited"
BROWSERS = ("Mozilla/", "Chrome/", "Safari/")
ROLES = ("anon", "authenticated", "service_role")


def legacy_key(token: str, role: str, **claims: Any) -> str:
    """A legacy key of the sandbox's project."""
    head = _encoded(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    body = _encoded(json.dumps({"iss": "supabase", "ref": REF, "role": role, **claims}).encode())
    return f"{head}.{body}.{_signature(token, f'{head}.{body}')}"


def authenticate(call: Call, tokens: frozenset[str]) -> Reply | None:
    """The management API wants a bearer token, the project's gateway an ``apikey``."""
    if call.path.startswith("/v1/"):
        return _management(call, tokens)
    key = call.headers.get("apikey", "")
    if not key:
        hint = "No `apikey` request header or url param was found."
        return Reply(401, {"message": "No API key found in request", "hint": hint})
    if not any(_is_good(key, token) for token in tokens):
        hint = "Double check your Supabase `anon` or `service_role` API key."
        return Reply(401, {"message": "Invalid API key", "hint": hint})
    secret = role_of(call) == "service_role" and not key.startswith("eyJ")
    if secret and any(word in call.headers.get("user-agent", "") for word in BROWSERS):
        return Reply(401, {"message": "Forbidden use of secret API key in browser"})
    bearer = call.headers.get("authorization", "")
    if bearer and bearer != f"Bearer {key}":
        parts = len(bearer.partition(" ")[2].split("."))
        message = "JWSError JWSInvalidSignature" if parts == 3 else f"Expected 3 parts in JWT; got {parts}"
        return Reply(401, {"code": "PGRST301", "details": None, "hint": None, "message": message})
    return None


def role_of(call: Call) -> str:
    """The database role of a key that passed."""
    key = call.headers.get("apikey", "")
    if key == LIMITED or key.startswith("sb_publishable_"):
        return "anon"
    if key.startswith("eyJ"):
        return str(_payload(key).get("role"))
    return "service_role"


def lacks(call: Call, permission: str) -> Reply | None:
    """The refusal of a scoped access token that lacks a permission."""
    if call.headers.get("authorization", "") != f"Bearer {LIMITED}":
        return None
    message = "Your access token does not have the required permissions to perform this action"
    return Reply(403, {"message": message, "missing_permissions": [permission]})


def _management(call: Call, tokens: frozenset[str]) -> Reply | None:
    scheme, _, token = call.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token in {*tokens, *(f"sbp_{each}" for each in tokens), LIMITED}:
        return None
    return Reply(401, {"message": "Unauthorized"})


def _is_good(key: str, token: str) -> bool:
    if key in (token, f"sb_secret_{token}", f"sb_publishable_{token}", LIMITED):
        return True
    signed, _, signature = key.rpartition(".")
    good = key.startswith("eyJ") and hmac.compare_digest(signature, _signature(token, signed))
    return good and _payload(key).get("role") in ROLES


def _payload(key: str) -> dict[str, Any]:
    part = key.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def _signature(token: str, signed: str) -> str:
    return _encoded(hmac.new(token.encode(), signed.encode(), hashlib.sha256).digest())


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
