# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Where the machines are, as the world reaches them: out of the inventory's group ``vps``, or as the operator says."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from typing import Any

GROUP = "vps"
VARIABLES = {4: ("smos_public_address", "ansible_host"), 6: ("smos_public_address6",)}
"""Variables of a host that hold its address, by version of IP; the first one that is set counts."""
_EXAMPLES = [
    ipaddress.ip_network(net) for net in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
]

Read = Callable[[str, str], Any]
"""The value of a host's variable, by host and name; None where it is not set. Raises NoValue."""


class NoValue(Exception):
    """A variable that is set, but gives no value; the message says why."""


class Machines:
    """The addresses of the machines of vps.yml. What was wrong with one is kept to be told."""

    def __init__(self, names: Sequence[str], read: Read, said: Mapping[str, Any]) -> None:
        """``names`` are the hosts of the group, ``said`` addresses (one or several) by machine that go before the inventory."""
        self._names, self._read, self._said = list(names), read, said
        self._known: dict[tuple[str, int], tuple[str, str]] = {}

    def address_of(self, machine: str, version: int) -> str:
        """The address of a machine; empty where there is none."""
        return self._look(machine, version)[0]

    def why_not(self, machine: str, version: int) -> str:
        """Why there is none."""
        return self._look(machine, version)[1]

    def _look(self, machine: str, version: int) -> tuple[str, str]:
        if (machine, version) not in self._known:
            self._known[machine, version] = self._find(machine, version)
        return self._known[machine, version]

    def _find(self, machine: str, version: int) -> tuple[str, str]:
        said = self._said.get(machine)
        if said:
            values = [(f"zone_addresses.{machine}", each) for each in ([said] if isinstance(said, str) else said)]
        elif not self._names:
            return "", f"group {GROUP} of the inventory has no host"
        else:
            # Machines of the specs and hosts of the inventory need not have the same names: then it is the first
            host = machine if machine in self._names else self._names[0]
            try:
                values = [(f"{name} of {host}", self._read(host, name)) for name in VARIABLES[version]]
            except NoValue as exc:
                return "", str(exc)
        return _first(values, version)


def _first(values: Sequence[tuple[str, Any]], version: int) -> tuple[str, str]:
    """The first usable address of values by where they are from, and why there is none."""
    why = ""
    for source, value in values:
        text = "" if value is None else str(value).strip()
        if not text:
            continue
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            why = why or f"{source} is {text}, which is no address"
            continue
        if address.version != version:
            continue
        if not (address.is_global or any(address in net for net in _EXAMPLES if net.version == version)):
            why = why or f"{source} is {address}, which the world cannot reach"
            continue
        return str(address), ""
    return (
        "",
        why or f"{' and '.join(source for source, _value in values)} {'is' if len(values) == 1 else 'are'} not set",
    )
