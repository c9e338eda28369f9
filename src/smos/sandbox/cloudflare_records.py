"""What Cloudflare demands of a DNS record, and how it writes one back: pure functions over plain data."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Any

PROXIABLE = frozenset({"A", "AAAA", "CNAME"})
ADDRESS_KIND = frozenset({"A", "AAAA", "CNAME"})
SIMPLE = frozenset({"A", "AAAA", "CNAME", "TXT", "MX", "NS", "PTR", "OPENPGPKEY"})
STRUCTURED = {
    "SRV": ("priority", "weight", "port", "target"),
    "CAA": ("flags", "tag", "value"),
    "CERT": ("type", "key_tag", "algorithm", "certificate"),
    "DNSKEY": ("flags", "protocol", "algorithm", "public_key"),
    "DS": ("key_tag", "algorithm", "digest_type", "digest"),
    "HTTPS": ("priority", "target", "value"),
    "SVCB": ("priority", "target", "value"),
    "NAPTR": ("order", "preference", "flags", "service", "regex", "replacement"),
    "SMIMEA": ("usage", "selector", "matching_type", "certificate"),
    "SSHFP": ("algorithm", "type", "fingerprint"),
    "TLSA": ("usage", "selector", "matching_type", "certificate"),
    "URI": ("weight", "target"),
}
TYPES = SIMPLE | set(STRUCTURED)
WRITABLE = frozenset(
    {"type", "name", "content", "ttl", "proxied", "priority", "comment", "tags", "settings", "data", "private_routing"}
)
MAX_COMMENT = 100
MAX_NAME = 253
LABEL = re.compile(r"^(?:\*|[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)$")
TXT_STRING = 255


class Invalid(Exception):
    """A field that Cloudflare refuses, with its code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def full_name(name: Any, zone: str) -> str:
    """The record's full name: lower case, Punycode, the zone appended when it is missing, ``@`` for the zone itself."""
    if not isinstance(name, str) or not name.strip():
        raise Invalid(9000, "DNS name is invalid.")
    full = ascii_name(name.strip().rstrip("."))
    if full == "@":
        return zone
    if full != zone and not full.endswith(f".{zone}"):
        full = f"{full}.{zone}"
    labels = full.split(".")
    if len(full) > MAX_NAME or not all(LABEL.match(label) for label in labels) or "*" in labels[1:]:
        raise Invalid(9000, "DNS name is invalid.")
    return full


def ascii_name(name: str) -> str:
    """A name in lower case and Punycode, as filters and answers carry it."""
    lowered = name.lower()
    if lowered.isascii():
        return lowered
    try:
        return ".".join(
            label if label.isascii() else "xn--" + label.encode("punycode").decode("ascii")
            for label in lowered.split(".")
        )
    except UnicodeError:
        raise Invalid(9000, "DNS name is invalid.") from None


def normalised(body: Mapping[str, Any], zone: str) -> dict[str, Any]:
    """A full record as it is kept, from a full record as it was sent; raises :class:`Invalid` for the first fault."""
    kind = body.get("type")
    if not isinstance(kind, str) or kind not in TYPES:
        raise Invalid(9002, "Record type is missing or unknown.")
    name = full_name(body.get("name"), zone)
    proxied = _flag(body.get("proxied"), "proxied", 9003)
    if proxied and kind not in PROXIABLE:
        raise Invalid(9004, "This record type cannot be proxied.")
    record = {
        "type": kind,
        "name": name,
        "content": _content(kind, name, body),
        "ttl": 1 if proxied else _ttl(body.get("ttl", 1)),
        "proxied": proxied,
        "priority": _priority(kind, body),
        "comment": _comment(body.get("comment")),
        "tags": _tags(body.get("tags")),
        "settings": _mapping(body.get("settings"), "settings"),
        "data": _mapping(body.get("data"), "data") if kind in STRUCTURED else {},
    }
    if "private_routing" in body and kind in PROXIABLE:
        record["private_routing"] = _flag(body["private_routing"], "private_routing", 1004)
    return record


def merged(record: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The full record to be normalised after PATCHing ``changes`` into ``record``."""
    kept = {key: value for key, value in record.items() if key in WRITABLE}
    if kept["type"] in STRUCTURED and "data" not in changes:
        changes = {key: value for key, value in changes.items() if key != "content"}
    return {**kept, **{key: value for key, value in changes.items() if key in WRITABLE}}


def _content(kind: str, name: str, body: Mapping[str, Any]) -> str:
    if kind in STRUCTURED:
        return _structured(kind, body)
    content = body.get("content")
    if not isinstance(content, str) or not content.strip():
        raise Invalid(9106, "Record content is missing.")
    if kind == "TXT":
        return quoted(content)
    content = content.strip()
    if kind == "A":
        return _address(content, ipaddress.IPv4Address, 9005, "Content for A record must be a valid IPv4 address.")
    if kind == "AAAA":
        return _address(content, ipaddress.IPv6Address, 9006, "Content for AAAA record must be a valid IPv6 address.")
    return _target(kind, name, content)


def _address(content: str, kind: Callable[[str], Any], code: int, refusal: str) -> str:
    try:
        return str(kind(content))
    except ValueError:
        raise Invalid(code, refusal) from None


def _target(kind: str, name: str, content: str) -> str:
    target = ascii_name(content.rstrip("."))
    if kind != "OPENPGPKEY" and (
        len(target) > MAX_NAME or not all(LABEL.match(label) and label != "*" for label in target.split("."))
    ):
        code = {"CNAME": 9007, "MX": 9009, "NS": 9008}.get(kind, 1004)
        raise Invalid(code, f"Content for {kind} record is invalid.")
    if kind == "CNAME" and target == name:
        raise Invalid(9039, "CNAME content cannot reference itself.")
    return target


def quoted(content: str) -> str:
    """TXT content as Cloudflare answers it: quoted strings of up to 255 bytes each."""
    text = unquoted(content)
    raw = text.encode("utf-8", "surrogatepass")
    if len(raw) > 4096:
        raise Invalid(9206, "Content for TXT record must be 4096 bytes or less.")
    pieces, piece, size = [], "", 0
    for character in text:
        width = len(character.encode("utf-8", "surrogatepass"))
        if size + width > TXT_STRING:
            pieces.append(piece)
            piece, size = "", 0
        piece += character
        size += width
    pieces.append(piece)
    escaped = (part.replace("\\", "\\\\").replace('"', '\\"') for part in pieces)
    return " ".join(f'"{part}"' for part in escaped)


def unquoted(content: str) -> str:
    """The text of TXT content, whether it came as quoted strings or bare."""
    stripped = content.strip()
    if not re.fullmatch(r'"(?:[^"\\]|\\.)*"(?:\s*"(?:[^"\\]|\\.)*")*', stripped, re.DOTALL):
        return content
    parts = re.findall(r'"((?:[^"\\]|\\.)*)"', stripped, re.DOTALL)
    return "".join(re.sub(r"\\(.)", r"\1", part) for part in parts)


def _structured(kind: str, body: Mapping[str, Any]) -> str:
    data = body.get("data")
    if not isinstance(data, Mapping):
        raise Invalid(9101, f"{kind} records need data.")
    if kind == "SRV" and {"service", "proto", "name"} & set(data):
        raise Invalid(9102, "SRV data must not hold service, proto or name; they belong in the record's name.")
    missing = [key for key in STRUCTURED[kind] if key not in data]
    if missing:
        raise Invalid(9101, f"{missing[0]} is a required data field.")
    if kind == "CAA":
        return _authority(data)
    if kind == "SRV":
        _service(data)
    return " ".join(str(data[key]) for key in STRUCTURED[kind])


def _authority(data: Mapping[str, Any]) -> str:
    """CAA as zone files have it, with its value in quotes."""
    flags, tag, value = data["flags"], data["tag"], data["value"]
    if not _whole(flags, 255) or not isinstance(tag, str) or not re.fullmatch("[0-9A-Za-z]+", tag):
        raise Invalid(1004, "DNS Validation Error: CAA flags must be 0 to 255, and the tag letters and digits.")
    if not isinstance(value, str) or not value:
        raise Invalid(1004, "DNS Validation Error: the value of a CAA record must be a text.")
    return f"{int(flags)} {tag} {quoted(value)}"


def _service(data: Mapping[str, Any]) -> None:
    if not all(_whole(data[key], 65_535) for key in ("priority", "weight", "port")):
        raise Invalid(1004, "DNS Validation Error: SRV priority, weight and port must be 0 to 65535.")
    if not isinstance(data["target"], str) or not data["target"].strip("."):
        raise Invalid(1004, "DNS Validation Error: the target of an SRV record must be a host name.")


def _whole(number: Any, most: int) -> bool:
    return isinstance(number, (int, float)) and not isinstance(number, bool) and 0 <= number <= most


def _ttl(ttl: Any) -> int:
    if isinstance(ttl, bool) or not isinstance(ttl, (int, float)) or (ttl != 1 and not 60 <= ttl <= 86_400):
        raise Invalid(9021, "TTL must be between 60 and 86400 seconds, or 1 for Automatic.")
    return int(ttl)


def _priority(kind: str, body: Mapping[str, Any]) -> int | None:
    priority = body.get("priority")
    if kind not in ("MX", "URI"):
        return None
    if isinstance(priority, bool) or not isinstance(priority, (int, float)) or not 0 <= priority <= 65_535:
        raise Invalid(9100, "priority is a required field and must be between 0 and 65535.")
    return int(priority)


def _comment(comment: Any) -> str | None:
    if comment is None or comment == "":
        return None
    if not isinstance(comment, str) or not comment.isprintable():
        raise Invalid(1004, "DNS Validation Error: the comment must be a single line of text.")
    if len(comment) > MAX_COMMENT:
        raise Invalid(1004, f"DNS Validation Error: the comment must not exceed {MAX_COMMENT} characters.")
    return comment


def _tags(tags: Any) -> list[str]:
    if tags in (None, []):
        return []
    raise Invalid(1004, "DNS Validation Error: record tags are not available on this zone's plan.")


def _flag(value: Any, name: str, code: int) -> bool:
    if value is None:
        return False
    if not isinstance(value, bool):
        raise Invalid(code, f"{name} must be a boolean.")
    return value


def _mapping(value: Any, name: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise Invalid(1004, f"DNS Validation Error: {name} must be an object.")
    return dict(value)
