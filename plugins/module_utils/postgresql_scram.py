# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Passwords as PostgreSQL keeps them. They are made and compared here, so that no statement ever holds a password.

Sources: RFC 5802 and 7677; PostgreSQL's pg_authid.rolpassword, `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os

METHOD = "SCRAM-SHA-256"
ITERATIONS = 4096  # the server's own default
SALT_BYTES = 16


def usable(password: str) -> bool:
    """Whether client and server surely take the password for the same one: others pass through SASLprep first."""
    return bool(password) and password.isascii() and password.isprintable()


def verifier(password: str, salt: bytes | None = None, iterations: int = ITERATIONS) -> str:
    """What the server keeps of this password."""
    salt = os.urandom(SALT_BYTES) if salt is None else salt
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored = hashlib.sha256(_mac(salted, b"Client Key")).digest()
    return f"{METHOD}${iterations}:{_text(salt)}${_text(stored)}:{_text(_mac(salted, b'Server Key'))}"


def matches(password: str, kept: str | None) -> bool:
    """Whether one who gives this password gets in. A password that is kept the old way (MD5) is to be set anew."""
    try:
        method, parameters, _keys = (kept or "").split("$")
        iterations, _colon, salt = parameters.partition(":")
        if method != METHOD:
            return False
        made = verifier(password, base64.b64decode(salt, validate=True), int(iterations))
    except (ValueError, binascii.Error):
        return False
    return hmac.compare_digest(made, kept or "")


def _mac(key: bytes, text: bytes) -> bytes:
    return hmac.new(key, text, hashlib.sha256).digest()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
