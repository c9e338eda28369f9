# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""SPF, DKIM, DMARC and CAA of ``infra/dns.yml`` as DNS has them. Pure functions over plain data."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

LOOKUPS = 10
"""Look-ups in DNS that one SPF record may cost those who receive mail; with more, it is void."""
_OTHERS = {"neutral": "?all", "softfail": "~all", "fail": "-all"}

Record = dict[str, Any]
Addresses = Callable[[str], Sequence[str]]
"""Addresses of a machine of vps.yml by its id; those that are not known are left out."""


def records(mail: Mapping[str, Any], addresses: Addresses) -> Iterator[tuple[tuple[Any, ...], Record]]:
    """The records of the block ``mail``, each with its place in it."""
    for position, one in enumerate(mail.get("spf") or ()):
        yield ("spf", position), _text(one.get("name", "@"), spf(one, addresses))
    for position, one in enumerate(mail.get("dkim") or ()):
        yield ("dkim", position), dkim(one)
    for position, one in enumerate(mail.get("dmarc") or ()):
        yield ("dmarc", position), _text(below("_dmarc", one.get("name", "@")), dmarc(one))


def spf(one: Mapping[str, Any], addresses: Addresses) -> str:
    """Who sends, as text of SPF. Machines come first, since they cost nobody a look-up."""
    known = [address for host in one.get("hosts") or () for address in addresses(host)]
    words = ["v=spf1"]
    words += [_mechanism(address) for address in [*known, *(one.get("addresses") or ())]]
    words += ["mx"] * bool(one.get("mx"))
    words += [f"include:{name}" for name in one.get("include") or ()]
    return " ".join([*words, _OTHERS[one.get("others", "softfail")]])


def lookups(one: Mapping[str, Any]) -> int:
    """Look-ups that the text itself costs; those of what it includes come on top."""
    return len(one.get("include") or ()) + bool(one.get("mx"))


def dkim(one: Mapping[str, Any]) -> Record:
    """The key that mail is signed with, or the alias that leads to it."""
    name = below(f"{one['selector']}._domainkey", one.get("name", "@"))
    if one.get("target"):
        return {"type": "CNAME", "name": name, "content": one["target"], "proxied": False}
    words = ["v=DKIM1", f"k={one.get('algorithm', 'rsa')}"]
    words += ["t=y"] * bool(one.get("testing"))
    return _text(name, "; ".join([*words, f"p={one['key']}"]))


def dmarc(one: Mapping[str, Any]) -> str:
    """What others shall do with mail that is neither sent nor signed as told."""
    words = ["v=DMARC1", f"p={one['policy']}"]
    if one.get("subdomains"):
        words.append(f"sp={one['subdomains']}")
    words += ["adkim=s"] * bool(one.get("strict_dkim"))
    words += ["aspf=s"] * bool(one.get("strict_spf"))
    if one.get("percent", 100) != 100:
        words.append(f"pct={one['percent']}")
    for key, tag in (("reports_to", "rua"), ("failures_to", "ruf")):
        if one.get(key):
            words.append(f"{tag}={','.join(f'mailto:{address}' for address in one[key])}")
    return "; ".join(words)


def caa(blocks: Sequence[Mapping[str, Any]]) -> Iterator[tuple[tuple[Any, ...], Record]]:
    """The records of the block ``caa``, each with its place in it."""
    for position, one in enumerate(blocks):
        tagged = [("issue", issuer) for issuer in one["issuers"] or [";"]]
        if one.get("wildcard_issuers") is not None:
            tagged += [("issuewild", issuer) for issuer in one["wildcard_issuers"] or [";"]]
        if one.get("report_to"):
            tagged.append(("iodef", f"mailto:{one['report_to']}"))
        for tag, value in tagged:
            yield (position,), authority(one.get("name", "@"), 0, tag, value)


def authority(name: str, flags: int, tag: str, value: str) -> Record:
    """One property of CAA."""
    inside = value.replace("\\", "\\\\").replace('"', '\\"')
    return {"type": "CAA", "name": name, "content": f'{flags} {tag} "{inside}"'}


def below(label: str, name: str) -> str:
    """A name below another one of the zone."""
    return label if name == "@" else f"{label}.{name}"


def _mechanism(address: str) -> str:
    return f"ip{ipaddress.ip_address(address).version}:{address}"


def _text(name: str, content: str) -> Record:
    return {"type": "TXT", "name": name, "content": content}
