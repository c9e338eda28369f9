# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Hostinger's API for the DNS zone of one domain. It has an effect only where Hostinger's name servers answer for it."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.hostinger import objects
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Http

NAME_SERVERS = ("dns-parking.com", "hostinger.com")  # the domains of Hostinger's own name servers
TYPES = ("A", "AAAA", "CNAME", "ALIAS", "MX", "TXT", "NS", "SRV", "CAA")  # SOA is the zone's own
_HOST_NAMES = frozenset({"CNAME", "ALIAS", "MX", "NS", "SRV"})  # contents that end with a host name


@dataclass(frozen=True)
class RecordSet:
    """All records of one name and type. ``values`` in one spelling (`normal_value`); ``disabled`` are switched off.

    The API can neither write a record that is switched off nor keep one while it overwrites its set.
    """

    name: str
    type: str
    ttl: int | None
    values: tuple[str, ...]
    disabled: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The natural key: type and name."""
        return f"{self.type} {self.name}"


class Zone:
    """The zone of one domain. Raises ApiError."""

    def __init__(self, http: Http, domain: str) -> None:
        self.http = http
        self.domain = domain.strip().rstrip(".").lower()
        self._path = f"/api/dns/v1/zones/{self.domain}"

    def sets(self) -> dict[str, RecordSet]:
        """Every record set by natural key."""
        rows = self._list(self.http.request("GET", self._path).body, self._path)
        found: dict[str, RecordSet] = {}
        for row in rows:
            each = self._set(row)
            before = found.get(each.key)
            found[each.key] = each if before is None else _joined(before, each)
        return found

    def name_servers(self) -> list[str]:
        """The name servers that the domain is delegated to; empty where the account does not hold the domain."""
        path = f"/api/domains/v1/portfolio/{self.domain}"
        try:
            body = self.http.request("GET", path).body
        except ApiError as exc:
            if exc.kind == errors.MISSING:
                return []
            raise
        listed = body.get("name_servers") if isinstance(body, dict) else None
        names = listed.values() if isinstance(listed, dict) else []
        return sorted(str(name).rstrip(".").lower() for name in names if name)

    def validate(self, sets: t.Sequence[RecordSet], overwrite: bool) -> None:
        """Ask whether the API would take this change; writes nothing. Raises ApiError with what is wrong."""
        self.http.request("POST", f"{self._path}/validate", json=_body(sets, overwrite), repeat=True)

    def overwrite(self, sets: t.Sequence[RecordSet]) -> None:
        """Replace these record sets, each as a whole; other sets stay."""
        self.http.request("PUT", self._path, json=_body(sets, True))

    def append(self, sets: t.Sequence[RecordSet]) -> None:
        """Add these values to their sets. Not repeated by itself: a second time would add them twice.

        Raises ApiError ``unanswered`` when it may have happened.
        """
        self.http.request("PUT", self._path, json=_body(sets, False), repeat=False)

    def delete(self, sets: t.Sequence[RecordSet]) -> None:
        """Delete these record sets, each as a whole."""
        filters = [{"name": each.name, "type": each.type} for each in sets]
        self.http.request("DELETE", self._path, json={"filters": filters})

    def snapshots(self) -> list[int]:
        """The ids of the copies that Hostinger makes of the zone at every change, newest last."""
        path = f"/api/dns/v1/snapshots/{self.domain}"
        rows = self._list(self.http.request("GET", path).body, path)
        return sorted(row["id"] for row in rows if isinstance(row.get("id"), int))

    def _set(self, row: t.Mapping[str, t.Any]) -> RecordSet:
        kind, name, ttl = str(row.get("type") or ""), str(row.get("name") or "").lower(), row.get("ttl")
        records = self._list(row.get("records") or [], self._path)
        on = [normal_value(kind, str(each.get("content") or "")) for each in records if not each.get("is_disabled")]
        off = [normal_value(kind, str(each.get("content") or "")) for each in records if each.get("is_disabled")]
        return RecordSet(name, kind, ttl if isinstance(ttl, int) else None, tuple(on), tuple(off))

    def _list(self, body: t.Any, path: str) -> list[t.Mapping[str, t.Any]]:
        return objects(self.http, body, path)


def hosted(name_servers: t.Iterable[str]) -> bool:
    """Whether all these name servers are Hostinger's; False without any."""
    names = list(name_servers)
    return bool(names) and all(name.endswith(tuple(f".{domain}" for domain in NAME_SERVERS)) for name in names)


def normal_name(name: str, domain: str) -> str:
    """A name relative to the zone as the API wants it; ``@`` is the zone itself."""
    plain = name.strip().rstrip(".").lower()
    if plain in ("", "@", domain):
        return "@"
    return plain[: -len(domain) - 1] if plain.endswith(f".{domain}") else plain


def normal_value(kind: str, content: str) -> str:
    """A content in one spelling: host names in lower case without the last dot, texts without their quotes."""
    text = content.strip()
    if kind in _HOST_NAMES:
        return text.rstrip(".").lower()
    if kind == "TXT" and len(text) >= 2 and text[0] == text[-1] == '"':
        return text[1:-1].replace('" "', "")
    return text.lower() if kind == "AAAA" else text


def _body(sets: t.Sequence[RecordSet], overwrite: bool) -> dict[str, t.Any]:
    zone = []
    for each in sets:
        row: dict[str, t.Any] = {"name": each.name, "type": each.type}
        if each.ttl is not None:
            row["ttl"] = each.ttl
        zone.append({**row, "records": [{"content": _wire(each.type, value)} for value in each.values]})
    return {"overwrite": overwrite, "zone": zone}  # always said: left out it means true


def _wire(kind: str, value: str) -> str:
    return f"{value}." if kind in _HOST_NAMES and "." in value else value


def _joined(one: RecordSet, other: RecordSet) -> RecordSet:
    return RecordSet(one.name, one.type, one.ttl, one.values + other.values, one.disabled + other.disabled)
