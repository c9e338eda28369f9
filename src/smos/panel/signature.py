# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Whether Meta sent it: the HMAC of the bytes as they came, under the secret of the app. Who carries them need not be trusted."""

from __future__ import annotations

import hashlib
import hmac
import re

HEADER = "x-hub-signature-256"
_FORM = re.compile(r"sha256=[0-9a-f]{64}")


def signed(secret: str, body: bytes) -> str:
    """The header's value for this body."""
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"


def genuine(secret: str, body: bytes, given: str) -> bool:
    """Whether the header's value is that of this body; compared in constant time."""
    if not _FORM.fullmatch(given):
        return False
    return hmac.compare_digest(signed(secret, body).encode(), given.encode())
