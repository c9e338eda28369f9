# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Secrets that several services must agree on, computed from one master secret instead of being kept."""

from __future__ import annotations

import base64
import hashlib
import hmac


def secret(master: str, purpose: str, tenant: str) -> str:
    """A secret of 43 URL-safe characters for a purpose (``reader``, say) and a tenant's RUT.

    HMAC-SHA256 keyed with the master secret: the same in every run, and of no use for guessing another one.
    Raises ValueError when the master secret is shorter than 16 characters.
    """
    if len(master) < 16:
        raise ValueError("the master secret has fewer than 16 characters")
    made = hmac.new(master.encode(), f"smarteros\n{purpose}\n{tenant}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(made).decode().rstrip("=")
