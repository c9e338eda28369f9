# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""All records of the system, out of ``infra/dns.yml`` and the frontends, in the form of ``cloudflare_zone_records``. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import zone_mail
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.mistakes import Place

FRONTEND = "frontend"

AddressOf = Callable[[str, int], str]
"""The address of a machine of vps.yml by its id and the version of IP; empty where none is known."""
Placed = tuple[Place, zone_mail.Record]
"""Where in ``infra/dns.yml`` a record is written, and the record."""


@dataclass
class Wishes:
    """The records, and those that lack the address of their machine: where, which machine, which version of IP."""

    records: list[Placed] = field(default_factory=list)
    lacking: list[tuple[Place, zone_mail.Record, str, int]] = field(default_factory=list)


def of_specs(dns: Mapping[str, Any], services: Mapping[str, Mapping[str, Any]], address_of: AddressOf) -> Wishes:
    """Every record that the specs wish, in the order of the file; then those of frontends that have none there."""
    wishes = Wishes()
    for place, record in _written(dns, wishes, address_of):
        wishes.records.append((place, {"ttl": dns["ttl"], **record}))
    named = {record["name"] for _place, record in wishes.records}
    lacked = {record["name"] for _place, record, _host, _version in wishes.lacking}
    for place, record in _frontends(dns, services):
        if record["name"] not in named | lacked:
            wishes.records.append((place, {"ttl": dns["ttl"], **record}))
    return wishes


def items(wishes: Wishes, file: str, key_of: Callable[[Place], str]) -> list[dict[str, Any]]:
    """The records as items of the module, each with where it is written."""
    return [{**record, "source": f"{file}: {key_of(place)}"} for place, record in wishes.records]


def _written(dns: Mapping[str, Any], wishes: Wishes, address_of: AddressOf) -> Iterator[Placed]:
    for position, entry in enumerate(dns["records"]):
        place: Place = ("records", position)
        record = _MADE[entry["type"]](entry)
        if entry.get("ttl") is not None:
            record["ttl"] = entry["ttl"]
        if entry.get("host") is not None:
            version = 4 if entry["type"] == "A" else 6
            record["content"] = address_of(entry["host"], version)
            if not record["content"]:
                wishes.lacking.append(((*place, "host"), record, entry["host"], version))
                continue
        yield place, record

    def addresses(host: str) -> Sequence[str]:
        return [found for found in (address_of(host, 4), address_of(host, 6)) if found]

    mail = dns.get("mail") or {}
    for place, record in zone_mail.records(mail, addresses):
        yield ("mail", *place), record
    for position, one in enumerate(mail.get("spf") or ()):
        for number, host in enumerate(one.get("hosts") or ()):
            if not addresses(host):
                lacks = {"type": "TXT", "name": one.get("name", "@")}
                wishes.lacking.append((("mail", "spf", position, "hosts", number), lacks, host, 4))
    for place, record in zone_mail.caa(dns.get("caa") or ()):
        yield ("caa", *place), record


def _frontends(dns: Mapping[str, Any], services: Mapping[str, Mapping[str, Any]]) -> Iterator[Placed]:
    entry: Mapping[str, Any] | None = dns.get("frontend_record")
    if not entry:
        return
    lasting = {"ttl": entry["ttl"]} if entry.get("ttl") is not None else {}
    for service in services.values():
        if service["kind"] == FRONTEND and service.get("host"):
            yield ("frontend_record",), {**_alias({**entry, "name": service["host"]}), **lasting}


def _address(entry: Mapping[str, Any]) -> zone_mail.Record:
    return {
        "type": entry["type"],
        "name": entry["name"],
        "content": entry.get("address") or "",
        "proxied": entry["proxied"],
    }


def _alias(entry: Mapping[str, Any]) -> zone_mail.Record:
    return {"type": "CNAME", "name": entry["name"], "content": entry["target"], "proxied": entry["proxied"]}


def _text(entry: Mapping[str, Any]) -> zone_mail.Record:
    return {"type": "TXT", "name": entry["name"], "content": entry["text"]}


def _mail_server(entry: Mapping[str, Any]) -> zone_mail.Record:
    return {"type": "MX", "name": entry["name"], "content": entry["target"], "priority": entry["priority"]}


def _service(entry: Mapping[str, Any]) -> zone_mail.Record:
    numbers = f"{entry['priority']} {entry['weight']} {entry['port']}"
    return {"type": "SRV", "name": entry["name"], "content": f"{numbers} {entry['target']}"}


def _authority(entry: Mapping[str, Any]) -> zone_mail.Record:
    return zone_mail.authority(entry["name"], entry.get("flags") or 0, entry["tag"], entry["value"])


_MADE: dict[str, Callable[[Mapping[str, Any]], zone_mail.Record]] = {
    "A": _address,
    "AAAA": _address,
    "CNAME": _alias,
    "TXT": _text,
    "MX": _mail_server,
    "SRV": _service,
    "CAA": _authority,
}
