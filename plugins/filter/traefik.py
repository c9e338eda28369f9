# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""From a login and its password to the line by which Traefik knows them."""

from __future__ import annotations

import hashlib
import typing as t

from ansible.errors import AnsibleFilterError

MAGIC = b"$apr1$"
ROUNDS = 1000
_DIGITS = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ORDER = ((0, 6, 12), (1, 7, 13), (2, 8, 14), (3, 9, 15), (4, 10, 5))


def users(password: str, login: str = "admin") -> str:
    """A line of an htpasswd file.

    The same password gives the same line, since a line that differs would be a change of the service: its salt comes from
    login and password. Of the forms that Traefik reads (MD5, SHA1, bcrypt), this is the one that is made without a library and
    yet has a salt; the password itself is long and made by chance.
    """
    if not password or not login or ":" in login:
        raise AnsibleFilterError("traefik_users: a password and a login without a colon are needed")
    salt = _text(hashlib.sha256(f"{login}:{password}".encode()).digest()[:6])
    return f"{login}:{apr1(password, salt)}\n"


def apr1(password: str, salt: str) -> str:
    """Apache's variant of crypt's MD5, as `htpasswd -m` writes it. Source: APR, apr_md5_encode."""
    secret, seed = password.encode(), salt.encode()
    start = _md5(secret + seed + secret)
    text = secret + MAGIC + seed + (start * (len(secret) // 16 + 1))[: len(secret)]
    bits = len(secret)
    while bits:
        text += b"\0" if bits & 1 else secret[:1]
        bits >>= 1
    final = _md5(text)
    for number in range(ROUNDS):
        part = secret if number & 1 else final
        part += seed if number % 3 else b""
        part += secret if number % 7 else b""
        final = _md5(part + (final if number & 1 else secret))
    shown = "".join(_four(final[one] << 16 | final[two] << 8 | final[three], 4) for one, two, three in _ORDER)
    return f"{MAGIC.decode()}{salt}${shown}{_four(final[11], 2)}"


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def _four(value: int, digits: int) -> str:
    """Six bits per digit, the lowest first."""
    return "".join(_DIGITS[value >> (6 * place) & 0x3F] for place in range(digits))


def _text(data: bytes) -> str:
    """Eight digits of a salt."""
    return _four(int.from_bytes(data, "big"), 8)


class FilterModule:
    """Names the filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """By the name that templates use."""
        return {"traefik_users": users}
