# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""One spelling for what DNS lets people write in several ways: names, addresses, texts, and contents made of parts."""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError

STRUCTURED = {"CAA": ("flags", "tag", "value"), "SRV": ("priority", "weight", "port", "target")}
"""The parts of a content, for the types whose content has some."""
_STRING = r'"(?:[^"\\]|\\.)*"'
_STRINGS = re.compile(rf"\s*{_STRING}(?:\s*{_STRING})*\s*", re.DOTALL)  # a whole content of quoted strings
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPED = re.compile(r"\\(\d{3}|.)", re.DOTALL)
_CAA = re.compile(r"\s*(\d{1,3})\s+([0-9A-Za-z]+)\s+(.*\S)\s*", re.DOTALL)
_SRV = re.compile(r"\s*(\d{1,5})\s+(\d{1,5})\s+(\d{1,5})\s+(\S+)\s*")


def normal_name(name: str, zone: str) -> str:
    """A full host name in lower-case Punycode without the last dot; ``@`` is the zone itself.

    Raises ApiError for what can be no host name.
    """
    plain = zone if name == "@" else name.rstrip(".")
    if plain.isascii():
        return plain.lower()
    try:
        return plain.encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise ApiError(f"not a host name: {name!r}") from None


def normal_content(kind: str, content: str, zone: str) -> str:
    """The content in one spelling: addresses compressed, host names as names, texts without their quotes.

    Raises ApiError for an address or a host name that is none.
    """
    if kind in ("A", "AAAA"):
        try:
            address = ipaddress.ip_address(content.strip())
        except ValueError:
            raise ApiError(f"not an IP address: {content!r}") from None
        if address.version != (4 if kind == "A" else 6):
            raise ApiError(f"not an address for type {kind}: {content!r}")
        return str(address)
    if kind in ("CNAME", "MX"):
        return normal_name(content.strip(), zone)
    if kind == "TXT":
        return _text_of(content)
    if kind in STRUCTURED:
        return _structured(kind, content, zone)
    return content


def _text_of(content: str) -> str:
    """The text of quoted character-strings, or what is no such thing as it is; ``\\DDD`` is a byte."""
    if not _STRINGS.fullmatch(content):
        return content

    def plain(found: re.Match[str]) -> str:
        escaped = found.group(1)
        return chr(int(escaped)) if len(escaped) == 3 and int(escaped) < 256 else escaped

    text = "".join(_QUOTED.findall(content))
    if not re.search(r"\\\d{3}", text):
        return _ESCAPED.sub(plain, text)
    # Bytes, of which several may be one character
    raw = _ESCAPED.sub(plain, text.encode().decode("latin-1"))
    return raw.encode("latin-1").decode("utf-8", "replace")


def _structured(kind: str, content: str, zone: str) -> str:
    found = (_CAA if kind == "CAA" else _SRV).fullmatch(content)
    if found is None:
        form = '0 issue "ca.example.com"' if kind == "CAA" else "10 5 443 host.example.com"
        raise ApiError(f"not the content of a {kind} record, as {form}: {content!r}")
    if kind == "CAA":
        flags, tag, value = found.groups()
        return f"{int(flags)} {tag.lower()} {quoted(_text_of(value))}"
    priority, weight, port, target = found.groups()
    return f"{int(priority)} {int(weight)} {int(port)} {normal_name(target, zone)}"


def parts_of(kind: str, content: str) -> dict[str, t.Any]:
    """The parts of a content of a type that has some, in the form of `normal_content`."""
    if kind == "CAA":
        flags, tag, value = content.split(" ", 2)
        return {"flags": int(flags), "tag": tag, "value": _text_of(value)}
    *numbers, target = content.split(" ")
    return {**dict(zip(STRUCTURED["SRV"], map(int, numbers))), "target": target}


def quoted(text: str) -> str:
    """A text as quoted character-strings of at most 255 bytes each."""
    parts: list[bytes] = [b""]
    for char in text:
        raw = char.encode()
        if len(parts[-1]) + len(raw) > 255:
            parts.append(b"")
        parts[-1] += raw
    escaped = [part.decode().replace("\\", "\\\\").replace('"', '\\"') for part in parts]
    return " ".join(f'"{part}"' for part in escaped)
