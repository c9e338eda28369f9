# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Hostinger's public API: virtual machines, their firewall and snapshot, and what a token is good for.

The same token may buy, wipe and cancel; only the calls that SmarterOS needs exist here. The DNS zones of domains on
Hostinger's name servers are in ``hostinger_dns.py``.
"""

from __future__ import annotations

import ipaddress
import typing as t
from dataclasses import dataclass, replace

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors, waiting
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Answer, Http, Policy

URL = "https://developers.hostinger.com"
VPS = "/api/vps/v1"
MACHINES = f"{VPS}/virtual-machines"
# Protocols that are another word for TCP and a port; answers may use either
ALIASES: t.Mapping[str, str] = {"SSH": "22", "HTTP": "80", "HTTPS": "443", "MySQL": "3306", "PostgreSQL": "5432"}
PROTOCOLS = ("TCP", "UDP", "ICMP", "ICMPv6", "GRE", "ESP", "AH", "any", *ALIASES)
ANY = "any"


@dataclass(frozen=True)
class Machine:
    """A virtual machine. Sizes in megabytes; ``firewall`` is the id of the active one, None without."""

    id: int
    hostname: str
    state: str
    locked: bool
    firewall: int | None
    ipv4: tuple[str, ...]
    ipv6: tuple[str, ...]
    plan: str
    cpus: int
    memory_mb: int
    disk_mb: int
    traffic_mb: int
    template: str
    created_at: str


@dataclass(frozen=True)
class Rule:
    """A firewall rule in one spelling (`normal_rule`): ``source`` is an address, a network, a range, or ``any``."""

    protocol: str
    port: str
    source: str
    action: str = "accept"

    @property
    def key(self) -> str:
        """The natural key: the whole rule."""
        return f"{self.action} {self.protocol} {self.port} from {self.source}"


@dataclass(frozen=True)
class Firewall:
    """A firewall; ``synced`` False: some machine does not have its present rules yet."""

    id: int
    name: str
    synced: bool
    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class Action:
    """Something that a machine is doing; ``state``: created, sent, delayed, success or error."""

    id: int
    name: str
    state: str


@dataclass(frozen=True)
class Snapshot:
    """The one snapshot that a machine can have."""

    id: int
    created_at: str
    expires_at: str


class HostingerHttp(Http):
    """The common HTTP policy with Hostinger's error body."""

    def error(self, answer: Answer, where: str) -> ApiError:
        """Message, what is wrong with each field, and the correlation id that Hostinger's support asks for."""
        plain = super().error(answer, where)
        body = answer.body if isinstance(answer.body, dict) else {}
        message = body.get("message") or body.get("error")
        if not message:
            return plain
        fields = body.get("errors")
        details = [f"{name}: {texts}" for name, texts in fields.items()] if isinstance(fields, dict) else []
        told = f"; correlation id {body['correlation_id']}" if body.get("correlation_id") else ""
        text = self.shown("; ".join([str(message), *details]))
        return ApiError(f"{text} (HTTP {answer.status}{self.shown(told)})", plain.kind, answer.status, where=where)


class Hostinger:
    """One account. Raises ApiError; never holds the token itself."""

    def __init__(self, http: Http) -> None:
        self.http = http

    def machines(self) -> list[Machine]:
        """Every virtual machine of the account; the API gives them as one bare array."""
        return [self._machine(row, MACHINES) for row in self._rows(self._get(MACHINES), MACHINES)]

    def machine(self, wanted: str) -> Machine:
        """The machine of this id, host name or address. Raises ApiError ``missing`` or ``conflict``."""
        found = [each for each in self.machines() if wanted in (str(each.id), each.hostname, *each.ipv4, *each.ipv6)]
        if len(found) != 1:
            kind, count = (errors.CONFLICT, len(found)) if found else (errors.MISSING, "no")
            raise ApiError(
                f"{count} virtual machine with id, host name or address {wanted}", kind, where=self._at(MACHINES)
            )
        return found[0]

    def unlocked(self, machine: Machine, patience: waiting.Patience) -> Machine:
        """The machine once nothing else is under way on it; a second action would be refused."""
        path = f"{MACHINES}/{machine.id}"
        what = f"what machine {machine.hostname} is busy with"
        return waiting.until(lambda: self._machine(self._get(path), path), lambda seen: not seen.locked, patience, what)

    def carried_out(self, machine: Machine, action: Action, patience: waiting.Patience) -> None:
        """Wait until an action has come to its end and the machine is free again. Raises ApiError when it failed."""
        path = f"{MACHINES}/{machine.id}/actions/{action.id}"
        what = f"action {action.name} of machine {machine.hostname}"
        seen = waiting.until(
            lambda: self._action(self._get(path), path), lambda each: each.state in ("success", "error"), patience, what
        )
        if seen.state == "error":
            raise ApiError(f"{what} ended with an error", errors.SERVER, where=self._at(path))
        self.unlocked(machine, patience)

    # --- firewall

    def firewalls(self) -> list[Firewall]:
        """Every firewall; reads all pages."""
        path = f"{VPS}/firewall"
        return [self._firewall(row, path) for row in self._pages(path)]

    def firewall(self, name: str) -> Firewall | None:
        """The one firewall of this name. Names are not unique: raises ApiError ``conflict`` where there are more."""
        found = [each for each in self.firewalls() if each.name == name]
        if len(found) > 1:
            why = f"there are {len(found)} firewalls named {name}; which one is meant cannot be told"
            raise ApiError(why, errors.CONFLICT, where=self._at(f"{VPS}/firewall"))
        return found[0] if found else None

    def create_firewall(self, name: str) -> Firewall:
        """Make a firewall without rules. An unknown outcome is settled by looking for the name."""
        path = f"{VPS}/firewall"
        made = self.http.create(path, {"name": name}, lambda: self.firewall(name))
        return made if isinstance(made, Firewall) else self._firewall(made, path)

    def replace_rules(self, firewall: Firewall, rules: t.Sequence[Rule]) -> None:
        """Set all rules in one step; they have no effect on a machine before `sync`."""
        body = {"rules": [_wire(rule) for rule in rules], "sync": False}
        self.http.request("PUT", f"{VPS}/firewall/{firewall.id}/rules", json=body)

    def activate(self, firewall: Firewall, machine: Machine) -> Action:
        """Make it the machine's active firewall (in place of another); doing it twice does no harm."""
        return self._start(f"{VPS}/firewall/{firewall.id}/activate/{machine.id}", repeat=True)

    def sync(self, firewall: Firewall, machine: Machine) -> Action:
        """Bring the firewall's present rules to a machine; doing it twice does no harm."""
        return self._start(f"{VPS}/firewall/{firewall.id}/sync/{machine.id}", repeat=True)

    # --- snapshot

    def snapshot(self, machine: Machine) -> Snapshot | None:
        """The machine's snapshot; None without one (told as 404 or as an empty answer)."""
        path = f"{MACHINES}/{machine.id}/snapshot"
        try:
            body = self._get(path)
        except ApiError as exc:
            if exc.kind == errors.MISSING:
                return None
            raise
        if not body:
            return None
        row = self._row(body, path)
        return Snapshot(self._id(row, path), str(row.get("created_at") or ""), str(row.get("expires_at") or ""))

    def create_snapshot(self, machine: Machine) -> Action:
        """Begin to make a snapshot, which overwrites the one that is there.

        Raises ApiError ``unanswered`` when it may have begun: the caller looks whether the machine is busy.
        """
        return self._start(f"{MACHINES}/{machine.id}/snapshot", repeat=False)

    def delete_snapshot(self, machine: Machine) -> Action:
        """Begin to delete the snapshot."""
        path = f"{MACHINES}/{machine.id}/snapshot"
        return self._action(self.http.request("DELETE", path).body, path)

    # --- token

    def check(self) -> dict[str, t.Any]:
        """What the token is good for: state (valid | invalid | insufficient | unreachable), account, message.

        Tokens have no scopes, and neither their owner nor their expiry can be asked for.
        """
        try:
            machines = self.machines()
        except ApiError as exc:
            return _verdict(exc)
        names = ", ".join(each.hostname for each in machines[:5])
        message = f"active, and sees {len(machines)} virtual machines" + (f": {names}" if names else "")
        return {"state": "valid", "account": names, "message": message}

    # --- inside

    def _get(self, path: str, params: t.Mapping[str, t.Any] | None = None) -> t.Any:
        return self.http.request("GET", path, params=params).body

    def _start(self, path: str, repeat: bool) -> Action:
        return self._action(self.http.request("POST", path, repeat=repeat).body, path)

    def _pages(self, path: str) -> t.Iterator[t.Mapping[str, t.Any]]:
        guard, page, seen = self.http.pages(path), 1, 0
        while True:
            guard.turn()
            body = self._row(self._get(path, {"page": page}), path)
            rows, meta = self._rows(body.get("data"), path), body.get("meta")
            yield from rows
            seen += len(rows)
            total = meta.get("total") if isinstance(meta, dict) else None
            if not rows or not isinstance(total, int) or seen >= total:
                return
            page += 1

    def _machine(self, body: t.Any, path: str) -> Machine:
        row = self._row(body, path)
        template, firewall = row.get("template"), row.get("firewall_group_id")
        return Machine(
            id=self._id(row, path),
            hostname=str(row.get("hostname") or ""),
            state=str(row.get("state") or ""),
            locked=row.get("actions_lock") == "locked",
            firewall=firewall if isinstance(firewall, int) else None,
            ipv4=_addresses(row.get("ipv4")),
            ipv6=_addresses(row.get("ipv6")),
            plan=str(row.get("plan") or ""),
            cpus=_whole(row.get("cpus")),
            memory_mb=_whole(row.get("memory")),
            disk_mb=_whole(row.get("disk")),
            traffic_mb=_whole(row.get("bandwidth")),
            template=str(template.get("name") or "") if isinstance(template, dict) else "",
            created_at=str(row.get("created_at") or ""),
        )

    def _firewall(self, body: t.Any, path: str) -> Firewall:
        row = self._row(body, path)
        rules = tuple(rule_of(each) for each in self._rows(row.get("rules") or [], path))
        return Firewall(self._id(row, path), str(row.get("name") or ""), bool(row.get("is_synced")), rules)

    def _action(self, body: t.Any, path: str) -> Action:
        row = self._row(body, path)
        return Action(self._id(row, path), str(row.get("name") or ""), str(row.get("state") or ""))

    def _row(self, body: t.Any, path: str) -> t.Mapping[str, t.Any]:
        if isinstance(body, dict):
            return body
        raise self._strange(body, path)

    def _rows(self, body: t.Any, path: str) -> list[t.Mapping[str, t.Any]]:
        return objects(self.http, body, path)

    def _id(self, row: t.Mapping[str, t.Any], path: str) -> int:
        if isinstance(row.get("id"), int):
            return int(row["id"])
        raise self._strange(row, path)

    def _strange(self, body: t.Any, path: str) -> ApiError:
        return strange(self.http, body, path)

    def _at(self, path: str) -> str:
        return f"{self.http.base_url}{path}"


def connect(connection: t.Mapping[str, str], policy: Policy | None = None) -> Hostinger:
    """A client for one account. ``connection`` has url (without ``/api``) and token; sends nothing yet."""
    return Hostinger(http_for(connection, policy))


def objects(http: Http, body: t.Any, path: str) -> list[t.Mapping[str, t.Any]]:
    """The objects of an answer that is a list of them. Raises ApiError for anything else."""
    if isinstance(body, list) and all(isinstance(row, dict) for row in body):
        return body
    raise strange(http, body, path)


def strange(http: Http, body: t.Any, path: str) -> ApiError:
    """What to say of an answer of another form."""
    return ApiError(f"not what Hostinger answers here: {http.shown(body)}", where=f"{http.base_url}{path}")


def http_for(connection: t.Mapping[str, str], policy: Policy | None = None) -> Http:
    """The transport that all parts of Hostinger's API share."""
    token = connection["token"]
    headers = {"Authorization": f"Bearer {token}"}
    return HostingerHttp(connection["url"], headers, secrets=(token,), policy=policy)


def normal_rule(protocol: str, port: str, source: str) -> Rule:
    """A rule in one spelling. Raises ApiError for a port or an address that is none."""
    name = next((each for each in PROTOCOLS if each.lower() == protocol.strip().lower()), None)
    if name is None:
        raise ApiError(f"not a protocol of Hostinger's firewall: {protocol!r}; there are {', '.join(PROTOCOLS)}")
    if name in ALIASES:
        return Rule("TCP", ALIASES[name], normal_source(source))
    return Rule(name, _port(port) if name in ("TCP", "UDP") else ANY, normal_source(source))


def normal_source(source: str) -> str:
    """An address, a network, a range «first-last», or ``any``; Raises ApiError for anything else."""
    text = source.strip()
    if text.lower() in ("", ANY, "0.0.0.0/0"):
        return ANY
    try:
        if "-" in text:
            first, last = (ipaddress.ip_address(part.strip()) for part in text.split("-", 1))
            return f"{first}-{last}"
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ApiError(f"not an address, network or range: {source!r}") from None
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def rule_of(row: t.Mapping[str, t.Any]) -> Rule:
    """A rule of the API in our words; an oddity is kept as it is, so that it differs from every wish."""
    custom = row.get("source") != ANY
    texts = [str(row.get(name) or ANY) for name in ("protocol", "port")]
    source = str(row.get("source_detail") or ANY) if custom else ANY
    action = str(row.get("action") or "accept")
    try:
        return replace(normal_rule(texts[0], texts[1], source), action=action)
    except ApiError:
        return Rule(texts[0], texts[1], source, action)


def _port(port: str) -> str:
    text = port.strip().lower().replace("-", ":")
    parts = text.split(":")
    if text == ANY:
        return ANY
    if len(parts) > 2 or not all(part.isascii() and part.isdigit() and 1 <= int(part) <= 65535 for part in parts):
        raise ApiError(f"not a port or range of ports: {port!r}")
    numbers = [int(part) for part in parts]
    if numbers[0] > numbers[-1]:
        raise ApiError(f"a range of ports goes from the lower to the higher: {port!r}")
    return ":".join(str(each) for each in dict.fromkeys(numbers))


def _wire(rule: Rule) -> dict[str, str]:
    source = ANY if rule.source == ANY else "custom"
    return {"protocol": rule.protocol, "port": rule.port, "source": source, "source_detail": rule.source}


def _addresses(rows: t.Any) -> tuple[str, ...]:
    listed = rows if isinstance(rows, list) else []
    return tuple(str(row["address"]) for row in listed if isinstance(row, dict) and row.get("address"))


def _whole(value: t.Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _verdict(exc: ApiError) -> dict[str, t.Any]:
    if exc.kind == errors.REFUSED:
        if exc.status == 403:
            return {"state": "insufficient", "account": "", "message": exc.message}
        help_text = "unknown, expired or revoked: make a token in hPanel under Account, API"
        return {"state": "invalid", "account": "", "message": f"{exc.message}; {help_text}"}
    if exc.kind in (errors.INVALID, errors.CONFLICT, errors.MISSING):
        return {"state": "invalid", "account": "", "message": exc.message}
    return {"state": "unreachable", "account": "", "message": exc.message}
