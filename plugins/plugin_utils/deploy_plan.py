# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What a deploy will do, from what is wanted and what was seen; and every reason not to begin. Pure functions."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.smartercl.smarteros.plugins.module_utils import tokens, verdicts
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import releases
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import INVALID, UNUSABLE

SYSTEMS = {"ubuntu": ("24.04",), "debian": ("12", "13")}
SYSTEM_MB = 600
"""What the system, the Engine and the journal take."""
MODERN_ENGINE = 29  # from here on the Engine refuses the API version that older Traefiks ask with
TRAEFIK_NEEDS = {3: (3, 6, 1), 2: (2, 11, 31)}

Row = dict[str, str]
Found = tuple[int, Row]
"""An exit code and an error."""


@dataclass(frozen=True)
class Wanted:
    """A service's stack in short; see ``stacks.Stack``."""

    service: str
    role: str
    config: str
    images: Mapping[str, str]
    memory: Mapping[str, tuple[int, int]]
    hosts: tuple[str, ...]


def visits(wanted: Sequence[Wanted], live: Mapping[str, Mapping[str, t.Any]]) -> list[Wanted]:
    """The services that are not as wanted, in the given order."""
    return [each for each in wanted if not _is_so(each, live.get(each.service))]


def _is_so(wanted: Wanted, now: Mapping[str, t.Any] | None) -> bool:
    return now is not None and (now["config"], now["images"], now["state"]) == (
        wanted.config,
        dict(wanted.images),
        "up",
    )


def changes(visited: Sequence[Wanted], live: Mapping[str, Mapping[str, t.Any]]) -> list[dict[str, t.Any]]:
    """A row of the contract for each image that changes, and one for a changed configuration or a service that is down."""
    rows = []
    for each in visited:
        now = live.get(each.service)
        images = dict(now["images"]) if now else {}
        action = "update" if now else "create"
        found = [
            (f"image of {name}", images.get(name), each.images.get(name))
            for name in sorted(images.keys() | each.images.keys())
            if images.get(name) != each.images.get(name)
        ]
        if now and not found:
            same = now["config"] == each.config
            found = [("state", now["state"], "up") if same else ("configuration", now["config"], each.config)]
        rows += [
            {"service": each.service, "tenant": None, "action": action, "what": what, "before": before, "after": after}
            for what, before, after in found
        ]
    return rows


def budget(wanted: Sequence[Wanted], host: Mapping[str, t.Any], overcommit: float) -> list[Found]:
    """Refuse where the services reserve more memory than there is, or may take more than memory and swap together."""
    if host.get("container"):
        return []  # it sees the memory of the machine that it runs on
    reserved = SYSTEM_MB + sum(pair[0] for each in wanted for pair in each.memory.values())
    limits = SYSTEM_MB + sum(pair[1] for each in wanted for pair in each.memory.values())
    memory, swap = int(host["memory_mb"]), int(host["swap_mb"])
    most = int((memory + swap) * overcommit)
    why = []
    if reserved > memory:
        why.append(f"the services reserve {reserved} MiB and the machine has {memory} MiB")
    if limits > most:
        why.append(f"their limits come to {limits} MiB and memory with swap to {most} MiB")
    if not why:
        return []
    lines = [f"{each.service} {_sum(each, 0)}/{_sum(each, 1)}" for each in wanted]
    table = f"system {SYSTEM_MB}/{SYSTEM_MB}, " + ", ".join(lines)
    following = "Leave optional services out (deploy_without), lower their limits, or take a larger machine"
    return [(INVALID, row("memory", f"{' and '.join(why)}. MiB reserved/limit: {table}", str(host["name"]), following))]


def table(wanted: Sequence[Wanted]) -> list[dict[str, t.Any]]:
    """Memory per service in MiB."""
    return [{"service": each.service, "reservation": _sum(each, 0), "limit": _sum(each, 1)} for each in wanted]


def _sum(wanted: Wanted, place: int) -> int:
    return sum(pair[place] for pair in wanted.memory.values())


def machine(look: Mapping[str, t.Any], least_disk_gb: float, least_cpus: int) -> list[Found]:
    """What is wrong with the machine itself."""
    host = look["host"]
    name, found = str(host["name"]), []
    if host["os_version"] not in SYSTEMS.get(host["os"], ()):
        known = "Ubuntu 24.04, Debian 12 or Debian 13"
        found.append(
            row("the machine", f"it runs {host['os_title']}, and only {known} are supported", name, f"Install {known}")
        )
    if host["cpus"] < least_cpus:
        found.append(
            row("the machine", f"it has {host['cpus']} CPU, and {least_cpus} are needed", name, "Take a larger machine")
        )
    if host["disk_free_gb"] < least_disk_gb:
        why = f"{host['disk_free_gb']} GB of its disk are free, and a deploy needs {least_disk_gb:g} GB"
        found.append(row("disk", why, name, "Make room, for example with `docker image prune`, or take a larger disk"))
    if host["clock_synced"] is False and not host["container"] and look["releases"]:
        why = "its clock does not follow a time server, and certificates and tokens depend on it"
        found.append(row("clock", why, name, "See `timedatectl` and `chronyc tracking` on the machine"))
    for port, who in look["strangers"].items():
        following = f"Stop it, or move it to another port; nothing was changed. Traefik needs port {port}"
        found.append(row(f"port {port}", f"it is taken by {who}", name, following))
    return [(UNUSABLE, each) for each in found]


def engine_and_traefik(look: Mapping[str, t.Any], images: Mapping[str, str]) -> list[Found]:
    """A new Engine with an old Traefik starts and then finds no service: every route is 404."""
    version = str(look["engine"]["version"])
    major = int(version.partition(".")[0] or 0) if version[:1].isdigit() else 0
    traefik = _version(images.get("traefik", ""))
    if major < MODERN_ENGINE or not traefik or traefik >= TRAEFIK_NEEDS.get(traefik[0], (0,)):
        return []
    shown = ".".join(map(str, traefik))
    why = f"Traefik {shown} cannot speak with Docker Engine {version}: it would find no service and answer 404 to everything"
    return [(UNUSABLE, row("traefik", why, str(look["host"]["name"]), "Deploy a release with Traefik 3.6.1 or newer"))]


def _version(image: str) -> tuple[int, ...]:
    tag = image.partition("@")[0].rpartition(":")[2].removeprefix("v")
    parts = tag.split(".")
    return tuple(int(part) for part in parts) if all(part.isdigit() for part in parts) else ()


def unpinned(images: Mapping[str, str]) -> list[Found]:
    """Images without a digest: what they name may be another image tomorrow."""
    without = releases.unpinned(images)
    if not without:
        return []
    why = f"the release names no digest for {', '.join(without)}"
    following = f"Run `smos pin {' '.join(without)}`, look at the difference, and commit it"
    return [(INVALID, row("images", why, "specs/smos-version.yml", following))]


def useless(said: Mapping[str, verdicts.Verdict]) -> list[Found]:
    """Tokens that are missing or wrong, by provider. One whose provider does not answer now may well be good."""
    found = []
    for provider, verdict in said.items():
        if verdict.state in (verdicts.VALID, verdicts.UNREACHABLE):
            continue
        lacks = f" (it lacks {', '.join(verdict.missing_scopes)})" if verdict.missing_scopes else ""
        why = f"{verdict.state}: {verdict.message}{lacks}"
        found.append((UNUSABLE, row(provider, why, "token", tokens.next_step(provider, verdict.state))))
    return found


def missing(
    named: Sequence[str], wanted: Sequence[Wanted], needs: Mapping[str, Sequence[str]], live: t.Container[str]
) -> list[Found]:
    """A service deployed alone needs what it depends on to be there."""
    there = {each.service for each in wanted}
    found = []
    for name in named:
        lacks = [need for need in needs.get(name, ()) if need in there and need not in named and need not in live]
        if lacks:
            option = " ".join(f"--service {each}" for each in lacks)
            why = f"it depends on {', '.join(lacks)}, not deployed yet"
            found.append((UNUSABLE, row(name, why, "", f"Deploy everything, or add {option}")))
    return found
