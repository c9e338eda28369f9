# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Odoo's master password as its configuration file may hold it: hashed, in the form that Odoo's own library reads."""

from __future__ import annotations

import base64
import hashlib
import typing as t

ROUNDS = 25_000  # passlib's own default; the password is long and random, so that more would only cost time
SALT_BYTES = 16
SALT_OF_SALT = b"smarteros odoo admin_passwd"


def hashed(password: str) -> str:
    """``$pbkdf2-sha512$…`` of a password. The salt comes from the password, so that equal ones give equal files.

    It is derived as slowly as the hash itself: whoever reads the salt has no shorter way to the password.
    """
    secret = str(password).encode()
    salt = hashlib.pbkdf2_hmac("sha512", secret, SALT_OF_SALT, ROUNDS)[:SALT_BYTES]
    digest = hashlib.pbkdf2_hmac("sha512", secret, salt, ROUNDS)
    return f"$pbkdf2-sha512${ROUNDS}${_base64(salt)}${_base64(digest)}"


def _base64(data: bytes) -> str:
    """Base64 as passlib writes it: a dot for the plus, no padding."""
    return base64.b64encode(data, b"./").decode().rstrip("=")


class FilterModule:
    """Found by Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filters of this file."""
        return {"odoo_master": hashed}
