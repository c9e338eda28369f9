# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Rules of the zone that no schema can express: which names, which records beside each other, and what mail can stand."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from itertools import count
from typing import Any

from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import zone_records
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import zone_mail, zone_wishes
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.mistakes import Place, shown

SHORTEST_TTL = 60
_BLOCKS = ("spf", "dkim", "dmarc")

Row = tuple[str, Place, str, str, str]
"""The file's kind, the place in it, the rule, what was found, what to do."""


def broken(documents: dict[str, Any]) -> Iterator[Row]:
    """All that is broken; the documents have passed their schemas before."""
    dns, zone = documents["dns"], documents["tenants"]["zone"]
    if dns["zone"] != zone:
        rule = "Tenants' domains lie in the zone that the system manages."
        yield "dns", ("zone",), rule, f"{dns['zone']} here, {zone} in the tenant registry.", "Make them equal."
    single = [*_one_of_two(dns), *_senders(dns), *_too_short(dns), *_lookups(dns)]
    yield from single
    yield from _reserved(dns, set(documents["tenants"]["reserved_slugs"]))
    if not single:  # else the records cannot be made
        yield from _side_by_side(dns, documents["services"]["services"])


def hosts(dns: dict[str, Any]) -> Iterator[tuple[Place, str]]:
    """The machines that are named, each with its place."""
    for position, record in enumerate(dns["records"]):
        if record.get("host") is not None:
            yield ("records", position, "host"), record["host"]
    for position, one in enumerate((dns.get("mail") or {}).get("spf") or ()):
        for number, host in enumerate(one.get("hosts") or ()):
            yield ("mail", "spf", position, "hosts", number), host


def _one_of_two(dns: dict[str, Any]) -> Iterator[Row]:
    for position, record in enumerate(dns["records"]):
        if record["type"] in ("A", "AAAA") and (record.get("host") is None) == (record.get("address") is None):
            found = "neither" if record.get("host") is None else "both"
            rule = "An address record has a host or an address."
            yield "dns", ("records", position), rule, f"{shown(record['name'])} has {found}.", "Give one of them."
    for position, one in enumerate((dns.get("mail") or {}).get("dkim") or ()):
        if (one.get("key") is None) == (one.get("target") is None):
            found = "neither" if one.get("key") is None else "both"
            rule = "A selector of DKIM has a key or a target."
            yield "dns", ("mail", "dkim", position), rule, f"{shown(one['selector'])} has {found}.", "Give one of them."


def _senders(dns: dict[str, Any]) -> Iterator[Row]:
    for position, one in enumerate((dns.get("mail") or {}).get("spf") or ()):
        for number, address in enumerate(one.get("addresses") or ()):
            try:
                ipaddress.ip_address(address)
            except ValueError:
                place = ("mail", "spf", position, "addresses", number)
                rule = "A sender is an address, as 203.0.113.10 or 2001:db8::10."
                yield "dns", place, rule, f"{shown(address)} is none.", "Correct it."


def _too_short(dns: dict[str, Any]) -> Iterator[Row]:
    entries: list[tuple[Place, Any]] = [((), dns), (("frontend_record",), dns.get("frontend_record") or {})]
    entries += [(("records", position), record) for position, record in enumerate(dns["records"])]
    for place, entry in entries:
        ttl = entry.get("ttl")
        if ttl is not None and 1 < ttl < SHORTEST_TTL:
            rule = f"A record lasts {SHORTEST_TTL} to 86400 seconds, or 1: as the provider chooses."
            yield "dns", (*place, "ttl"), rule, f"{ttl} is less.", f"Write 1, or {SHORTEST_TTL} and more."


def _lookups(dns: dict[str, Any]) -> Iterator[Row]:
    for position, one in enumerate((dns.get("mail") or {}).get("spf") or ()):
        many = zone_mail.lookups(one)
        if many > zone_mail.LOOKUPS:
            rule = f"SPF may cost those who receive mail {zone_mail.LOOKUPS} look-ups; with more it is void."
            yield "dns", ("mail", "spf", position, "include"), rule, f"It costs {many}.", "Take some out."


def _reserved(dns: dict[str, Any], slugs: set[str]) -> Iterator[Row]:
    """What stands directly below the zone could be a tenant's name, were it not reserved."""
    named: list[tuple[Place, str]] = [(("records", n, "name"), each["name"]) for n, each in enumerate(dns["records"])]
    mail = dns.get("mail") or {}
    named += [
        (("mail", key, n, "name"), each.get("name", "@"))
        for key in _BLOCKS
        for n, each in enumerate(mail.get(key) or ())
    ]
    named += [(("caa", n, "name"), each.get("name", "@")) for n, each in enumerate(dns.get("caa") or ())]
    for place, name in named:
        nearest = name.rpartition(".")[2]
        if nearest not in ("@", "*") and not nearest.startswith("_") and nearest not in slugs:
            rule, what_next = (
                "Names of the system are reserved slugs.",
                "Add it to reserved_slugs of the tenant registry.",
            )
            yield "dns", place, rule, f"{shown(nearest)} could be taken by a tenant.", what_next


def _side_by_side(dns: dict[str, Any], services: dict[str, Any]) -> Iterator[Row]:
    """Make the records, with addresses made up for the machines, and see whether they can be at all and beside each other."""
    numbers, known = count(1), dict[tuple[str, int], str]()

    def address_of(host: str, version: int) -> str:
        start = ipaddress.ip_address("192.0.2.0" if version == 4 else "2001:db8::")
        return known.setdefault((host, version), str(start + next(numbers)))

    found, places = [], []
    for place, record in zone_wishes.of_specs(dns, services, address_of).records:
        try:
            found.append(zone_records.wish_of(record, dns["zone"]))
            places.append(place)
        except ApiError as exc:
            yield (
                "dns",
                place,
                "A record can be as it is written.",
                f"{exc.message[:1].upper()}{exc.message[1:]}.",
                "Correct it.",
            )
    for position, why in zone_records.clashes(found).items():
        place = places[position]
        at = (*place, "name") if place[0] == "records" else place
        rule = "What stands at a name fits together: a CNAME is the one record there, and of SPF, DKIM and DMARC there is one each."
        yield "dns", at, rule, f"{why[:1].upper()}{why[1:]}.", "Take one out."
