# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Rules between keys and files of the specs that no schema can express.

Each rule is a generator over the documents by kind (``services``, ``dns`` …); it gives the kind of the file that has
the mistake, the place in it, and what is wrong. The documents have passed their schemas before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import (
    consistency_frontends,
    consistency_mcp,
    consistency_schedulers,
    consistency_zone,
    secret_kinds,
)
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.mistakes import Place, shown

Documents = dict[str, Any]


class Broken(NamedTuple):
    """A broken rule: the file's kind, the place in it, the rule, what was found, what to do."""

    kind: str
    place: Place
    rule: str
    message: str
    next: str


def core(documents: Documents) -> Iterator[Broken]:
    """Check what every run leans on: catalogue, plans, templates, environments, versions, DNS."""
    for rule in (_references, _cycles, _ports, _hosts, _provisioning, _order, _plans, _templates, _versions, _zone):
        yield from rule(documents)


def rest(documents: Documents) -> Iterator[Broken]:
    """Check what only single jobs lean on: machines, network, backup, monitoring, decisions, secrets."""
    for rule in (_machines, _backup, _remotes, _monitoring, _decisions, _secrets, _secret_of_database):
        yield from rule(documents)
    yield from (Broken(*each) for each in consistency_frontends.broken(documents))
    yield from (Broken(*each) for each in consistency_mcp.broken(documents))
    yield from (Broken(*each) for each in consistency_schedulers.broken(documents))


def _services(documents: Documents) -> dict[str, dict[str, Any]]:
    services: dict[str, dict[str, Any]] = documents["services"]["services"]
    return services


def _dangling(kind: str, place: Place, name: str, what: str, known: Iterable[str]) -> Iterator[Broken]:
    """Tell of a name that leads nowhere."""
    known = list(known)
    if name not in known:
        listed = ", ".join(known[:12]) + (" …" if len(known) > 12 else "")
        yield Broken(
            kind, place, f"A reference names {what} that exists.", f"{shown(name)} is unknown.", f"Known: {listed}."
        )


def _references(documents: Documents) -> Iterator[Broken]:
    services = _services(documents)
    for name, service in services.items():
        for position, needed in enumerate(service.get("depends_on", ())):
            yield from _dangling("services", ("services", name, "depends_on", position), needed, "a service", services)
        if service.get("entries") and not service.get("role"):
            place = ("services", name, "entries")
            yield Broken("services", place, "Entries belong to a role.", f"{name} has no role.", "Name its role.")
    environments = documents["environments"]
    yield from _dangling(
        "environments", ("default",), environments["default"], "an environment", environments["environments"]
    )


def _cycles(documents: Documents) -> Iterator[Broken]:
    """Tell of services that wait for each other, each circle once."""
    services = _services(documents)
    done: set[str] = set()
    for start in services:
        trail: list[str] = []
        circle = _circle(start, services, trail, done)
        if circle:
            told = " → ".join(circle)
            place = ("services", circle[0], "depends_on")
            yield Broken("services", place, "Dependencies form no circle.", f"{told}.", "Take one of them out.")


def _circle(name: str, services: dict[str, Any], trail: list[str], done: set[str]) -> list[str]:
    """Follow dependencies; give the circle that ``name`` leads into, or nothing."""
    if name in trail:
        return [*trail[trail.index(name) :], name]
    if name in done or name not in services:
        return []
    trail.append(name)
    for needed in services[name].get("depends_on", ()):
        circle = _circle(needed, services, trail, done)
        if circle:
            done.update(circle)
            return circle
    trail.pop()
    done.add(name)
    return []


def _ports(documents: Documents) -> Iterator[Broken]:
    taken: dict[int, str] = {}
    for name, service in _services(documents).items():
        for position, port in enumerate(service.get("publish") or ()):
            place = ("services", name, "publish", position)
            if service.get("internal"):
                rule = "An internal service publishes no port."
                yield Broken("services", place, rule, f"{name} publishes port {port}.", "Take the port out.")
            if port in taken:
                rule = "A port of the machine belongs to one service."
                yield Broken("services", place, rule, f"{taken[port]} has port {port} already.", "Give another port.")
            taken.setdefault(port, name)


def _hosts(documents: Documents) -> Iterator[Broken]:
    taken: dict[str, str] = {}
    reserved = set(documents["tenants"]["reserved_slugs"])
    for name, service in _services(documents).items():
        host = service.get("host")
        place = ("services", name, "host")
        if host and host in taken:
            yield Broken(
                "services", place, "A host name belongs to one service.", f"{taken[host]} has {host}.", "Rename it."
            )
        if host and host not in reserved:
            yield Broken("services", place, _RESERVED_RULE, f"{shown(host)} could be taken by a tenant.", _RESERVE_IT)
        taken.setdefault(host or name, name)


_RESERVED_RULE = "Names of the system are reserved slugs."
_RESERVE_IT = "Add it to reserved_slugs of the tenant registry."


def _provisioning(documents: Documents) -> Iterator[Broken]:
    for name, service in _services(documents).items():
        if "tenant" in service.get("entries", ()) and service.get("provisioning") is None:
            rule = "A service with a tenant entry has a place in the order of provisioning."
            yield Broken("services", ("services", name), rule, f"{name} has none.", "Add provisioning.")


def _order(documents: Documents) -> Iterator[Broken]:
    services = _services(documents)
    order = documents["services"]["deployment"]["order"]
    for position, name in enumerate(order):
        place = ("deployment", "order", position)
        yield from _dangling("services", place, name, "a service", services)
        for needed in services.get(name, {}).get("depends_on", ()):
            if needed in order[position + 1 :]:
                rule = "A service is deployed after what it depends on."
                yield Broken("services", place, rule, f"{name} comes before {needed}.", "Change the order.")


def tenant_services(documents: Documents) -> list[str]:
    """Give the services that a tenant can have, in provisioning order."""
    found = [(one.get("provisioning") or 0, name) for name, one in _services(documents).items() if _for_tenants(one)]
    return [name for _number, name in sorted(found)]


def _for_tenants(service: dict[str, Any]) -> bool:
    return "tenant" in service.get("entries", ())


def _plans(documents: Documents) -> Iterator[Broken]:
    registry = documents["tenants"]
    plans = registry["plans"]
    yield from _dangling("tenants", ("default_plan",), registry["default_plan"], "a plan", plans)
    known = tenant_services(documents)
    flags = {flag for plan in plans.values() for flag in plan["features"]}
    for name, plan in plans.items():
        for service in plan.get("services") or ():
            yield from _dangling("tenants", ("plans", name, "services", service), service, "a tenant's service", known)
        for flag in sorted(flags - set(plan["features"])):
            rule = "Every plan names every feature flag."
            yield Broken("tenants", ("plans", name, "features"), rule, f"{flag} is missing.", "Add it.")
    for kind, bounds in registry["naming"].items():
        if bounds["min_length"] > bounds["max_length"]:
            place = ("naming", kind, "min_length")
            yield Broken("tenants", place, "The least is not above the most.", "No text can keep to it.", "Correct it.")


def _templates(documents: Documents) -> Iterator[Broken]:
    known = tenant_services(documents)
    flags = {flag for plan in documents["tenants"]["plans"].values() for flag in plan["features"]}
    for name, template in documents["templates"]["templates"].items():
        for service in template.get("services") or ():
            place = ("templates", name, "services", service)
            yield from _dangling("templates", place, service, "a tenant's service", known)
        for flag in template.get("features") or ():
            place = ("templates", name, "features", flag)
            yield from _dangling("templates", place, flag, "a feature flag of the plans", sorted(flags))


def _versions(documents: Documents) -> Iterator[Broken]:
    services = _services(documents)
    versions = documents["versions"]
    for name, component in versions["components"].items():
        yield from _of_service(("components", name), name, component, services)
        here, there = component["version"], services.get(name, {}).get("version")
        if name in services and here != there:
            rule = "The version of a service is the same in the catalogue and in the release."
            message = f"{shown(here)} here, {shown(there)} in the catalogue."
            yield Broken("versions", ("components", name, "version"), rule, message, "Make them equal.")
    for name, service in services.items():
        if service.get("version") and name not in versions["components"]:
            place = ("services", name, "version")
            yield Broken(
                "services", place, "A versioned service is part of the release.", f"{name} is not.", "Add it there."
            )
    yield from _releases(versions, services)


def _of_service(
    place: Place, name: str, component: dict[str, Any], services: dict[str, dict[str, Any]]
) -> Iterator[Broken]:
    """A component is a service, or names the one that runs it."""
    named = component.get("service")
    yield from _dangling("versions", (*place, "service") if named else place, named or name, "a service", services)


def _releases(versions: dict[str, Any], services: dict[str, dict[str, Any]]) -> Iterator[Broken]:
    """A release is there once; advisories and upgrades speak of components that are there."""
    yield from _advisories(("release",), versions["release"], versions["components"])
    seen = [versions["release"]["version"]]
    for position, past in enumerate(versions["history"]):
        place: Place = ("history", position)
        if past["version"] in seen:
            rule = "A release is there once."
            yield Broken("versions", (*place, "version"), rule, f"{past['version']} is not.", "Take one out.")
        seen.append(past["version"])
        for name, component in past.get("components", {}).items():
            yield from _of_service((*place, "components", name), name, component, services)
        yield from _advisories(place, past, past.get("components", {}))
    for position, upgrade in enumerate(versions.get("upgrades", ())):
        place = ("upgrades", position, "component")
        yield from _dangling("versions", place, upgrade["component"], "a component", versions["components"])


def _advisories(place: Place, release: dict[str, Any], components: dict[str, Any]) -> Iterator[Broken]:
    for position, advisory in enumerate(release.get("advisories", ())):
        at = (*place, "advisories", position, "component")
        yield from _dangling("versions", at, advisory["component"], "a component of this release", components)


def _zone(documents: Documents) -> Iterator[Broken]:
    yield from (Broken(*each) for each in consistency_zone.broken(documents))


def _machines(documents: Documents) -> Iterator[Broken]:
    hosts = documents["vps"]["hosts"]
    for place, host in consistency_zone.hosts(documents["dns"]):
        yield from _dangling("dns", place, host, "a machine of vps.yml", hosts)
    ssh = documents["vps"]["ssh"]["port"]
    for name, service in _services(documents).items():
        if ssh in (service.get("publish") or ()):
            place = ("services", name, "publish")
            rule = "A port of the machine belongs to one service."
            yield Broken("services", place, rule, f"SSH has port {ssh}.", "Give another port.")
    opened = [entry["port"] for entry in documents["network"]["firewall"]["open"]]
    if ssh not in opened:
        rule = "The firewall leaves SSH open, or nobody gets in again."
        yield Broken("network", ("firewall", "open"), rule, f"Port {ssh} is not open.", "Add it.")


def _backup(documents: Documents) -> Iterator[Broken]:
    for name, service in _services(documents).items():
        block = service.get("backup")
        if block is not None:
            yield from _backup_names(documents, ("services", name, "backup"), service, block)
        for position, database in enumerate(service.get("databases", ())):
            if database not in (block or {}).get("databases", ()):
                place = ("services", name, "databases", position)
                rule = "Each database of a service is backed up."
                yield Broken("services", place, rule, f"{database} is not.", "Add it to backup.databases.")


def _backup_names(
    documents: Documents, place: Place, service: dict[str, Any], block: dict[str, Any]
) -> Iterator[Broken]:
    """What a service's block names has to be there."""
    secrets, services = documents["secrets"]["secrets"], _services(documents)
    for position, key in enumerate(block.get("keys", ())):
        yield from _dangling("services", (*place, "keys", position), key, "a secret", secrets)
    if not block.get("server"):
        known = service.get("databases", ())
        for database in block.get("databases", ()):
            what = "a database of the service"
            yield from _dangling("services", (*place, "databases", database), database, what, known)
    places = [*block.get("volumes", ()), *block.get("folders", ())]
    for name in block.get("leave_out", ()):
        what = "a volume or folder of the service"
        yield from _dangling("services", (*place, "leave_out", name), name, what, places)
    for kind, known in (("database", block.get("databases", ())), ("volume", block.get("volumes", ()))):
        if block.get("attachments"):
            at = (*place, "attachments", kind)
            yield from _dangling("services", at, block["attachments"][kind], f"a {kind} of the service", known)
    named: list[tuple[Place, str]] = [((key,), block[key]) for key in ("server", "redis") if block.get(key)]
    named += [(("writers", position), each) for position, each in enumerate(block.get("writers", ()))]
    for at, each in named:
        yield from _dangling("services", (*place, *at), each.partition("_")[0], "a service", services)


def _remotes(documents: Documents) -> Iterator[Broken]:
    secrets, seen = documents["secrets"]["secrets"], set()
    for position, remote in enumerate(documents["backup"].get("remotes", ())):
        place = ("remotes", position)
        if remote["name"] in seen:
            rule = "The name of a remote is there once."
            yield Broken("backup", (*place, "name"), rule, f"{remote['name']} is not.", "Give another name.")
        seen.add(remote["name"])
        for variable, name in remote.get("secrets", {}).items():
            yield from _dangling("backup", (*place, "secrets", variable), name, "a secret", secrets)


def _monitoring(documents: Documents) -> Iterator[Broken]:
    services = _services(documents)
    for name, board in documents["monitoring"]["dashboards"].items():
        yield from _dangling("monitoring", ("dashboards", name, "service"), board["service"], "a service", services)
    yield from _alerts(documents["monitoring"])


def _alerts(monitoring: dict[str, Any]) -> Iterator[Broken]:
    quiet = monitoring["alerts"].get("quiet_hours")
    if quiet and quiet["begin"] == quiet["end"]:
        rule, place = "Quiet hours end at another time than they begin.", ("alerts", "quiet_hours", "end")
        yield Broken("monitoring", place, rule, f"Both are {quiet['end']}.", "Leave quiet_hours out to have none.")
    silent, every = monitoring["alerts"]["collector_silent_min"] * 60, monitoring["checks"]["every_s"]
    if silent < 2 * every:
        rule, message = (
            "A collector is silent after two looks at the earliest.",
            f"{silent} s are less than twice every_s.",
        )
        following = f"Write {-(-2 * every // 60)} or more."
        yield Broken("monitoring", ("alerts", "collector_silent_min"), rule, message, following)


def _decisions(documents: Documents) -> Iterator[Broken]:
    decisions = documents["decisions"]["decisions"]
    known = [decision["id"] for decision in decisions]
    for position, decision in enumerate(decisions):
        place = ("decisions", position, "id")
        if decision["id"] in known[:position]:
            yield Broken(
                "decisions", place, "A decision's id is there once.", f"{decision['id']} is not.", "Number it anew."
            )
        newer = decision.get("superseded_by")
        if newer:
            yield from _dangling("decisions", ("decisions", position, "superseded_by"), newer, "a decision", known)


def _secrets(documents: Documents) -> Iterator[Broken]:
    services = _services(documents)
    for name, secret in documents["secrets"]["secrets"].items():
        place = ("secrets", name)
        owners = [*services, secret_kinds.MACHINE]
        yield from _dangling("secrets", (*place, "service"), secret["service"], "a service", owners)
        if secret["service"] == secret_kinds.MACHINE and secret["rotation"] not in secret_kinds.BY_HAND:
            rule = "A secret of the machine itself is rotated by a person: no service is deployed for it."
            yield Broken("secrets", (*place, "rotation"), rule, f"{name} is {secret['rotation']}.", "Say documented.")
        for position, user in enumerate(secret.get("used_by", ())):
            yield from _dangling("secrets", (*place, "used_by", position), user, "a service", services)
        if secret["rotation"] in secret_kinds.BY_HAND and not secret.get("how"):
            rule = "A secret that no run rotates says what a person does instead."
            yield Broken("secrets", place, rule, f"{name} has no how.", "Add it.")
        if secret["rotation"] not in secret_kinds.BY_HAND and secret["kind"] not in secret_kinds.GENERATED:
            rule = "Only generated secrets are rotated by a run."
            yield Broken("secrets", (*place, "rotation"), rule, f"{name} is {secret['kind']}.", "Say documented.")
        flaw = secret_kinds.unfit(secret["kind"], secret.get("length"))
        if flaw:
            rule = "A generated secret has at least 128 bits and fits what services take; others have no length."
            yield Broken("secrets", (*place, "length") if "length" in secret else place, rule, flaw, "Correct it.")


def _secret_of_database(documents: Documents) -> Iterator[Broken]:
    known = documents["secrets"]["secrets"]
    for name, service in _services(documents).items():
        for position, database in enumerate(service.get("databases", ())):
            if f"postgresql_{database}_password" not in known:
                place = ("services", name, "databases", position)
                rule = "Each database has its password in the catalogue of secrets."
                message = f"postgresql_{database}_password is not there."
                yield Broken("services", place, rule, message, "Add it to secrets.yml.")
