# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The passwords of users inside the emulated providers: hashed, so that none lies in the state file in the clear."""

from __future__ import annotations

import hashlib
import hmac
import secrets

_ROUNDS = 500  # a rehearsal's passwords: thousands of users are made in a second


def hashed(password: str) -> str:
    """A salted hash, ``salt$hash``, of a password."""
    salt = secrets.token_hex(8)
    return f"{salt}${_digest(password, salt)}"


def password_fits(password: object, stored: str | None) -> bool:
    """Whether a password is the one behind a stored hash; no hash means that nobody can log in."""
    if not stored or not isinstance(password, str):
        return False
    salt, _, digest = stored.partition("$")
    return hmac.compare_digest(_digest(password, salt), digest)


def _digest(password: str, salt: str) -> str:
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt.encode(), _ROUNDS).hex()
