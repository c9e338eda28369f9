# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Whether a secret is still the one that was written where nobody can read it back.

A fingerprint is kept in the open. It has a salt of its own and is slow to make, so it tells nothing of a good secret.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os

_ROUNDS = 50_000
_SALT = 12  # bytes


def make(secret: str) -> str:
    """A fingerprint of the secret; another one at each call."""
    return _made(secret, os.urandom(_SALT))


def fits(fingerprint: str, secret: str) -> bool:
    """Whether it is the fingerprint of this secret."""
    try:
        salt = base64.b64decode(fingerprint.partition(":")[0], validate=True)
    except ValueError:
        return False
    return hmac.compare_digest(_made(secret, salt).encode(), fingerprint.encode())


def _made(secret: str, salt: bytes) -> str:
    digest = hashlib.pbkdf2_hmac("sha256", secret.encode(), salt, _ROUNDS)
    return f"{base64.b64encode(salt).decode()}:{base64.b64encode(digest[:24]).decode()}"
