# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What a restore may do, decided before anything is done: which backup, which services, whether it can be, and what follows
from one that was cut off. Nothing here looks at the machine.
"""

from __future__ import annotations

import re
import typing as t
import zlib
from dataclasses import dataclass, field

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import guard, journal
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.checks import Check, keys, wrong
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.config import Config, ServiceData
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.manifest import (
    BY_HAND,
    DATABASE,
    FOLDER,
    REDIS,
    VOLUME,
    Manifest,
    Part,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.refused import Refused

LATEST = "latest"
SAFETY = "restore"  # reason of a backup that was taken before a restore
PLACED = (DATABASE, VOLUME, FOLDER, REDIS)  # kinds that have a place on the machine; the deploy makes the others
WHICH = "Name the one that is meant: smos restore ID"
SPACE = 2  # times the bytes of the backup must be free
NAME_BYTES = 63  # of a PostgreSQL identifier; what is longer would be cut off without a word

# What follows from a journal
BEGIN, OVER, FORWARD, TIDY, BACK = "begin", "start over", "go on", "tidy", "switch back"
INVALID, UNUSABLE, REFUSED = 2, 3, 4  # exit codes


@dataclass(frozen=True)
class Asked:
    """What the command says."""

    backup: str
    services: t.Sequence[str] = ()


@dataclass(frozen=True)
class Plan:
    """What is brought back, by service in the backup's order."""

    manifest: Manifest
    parts: t.Mapping[str, t.Sequence[Part]]
    writers: t.Sequence[str]  # Swarm services that are stopped meanwhile
    checks: t.Sequence[Check] = ()
    warnings: t.Sequence[str] = field(default_factory=list)

    @property
    def services(self) -> list[str]:
        """Their names."""
        return list(self.parts)


def following(there: journal.State | None, asked: Asked) -> str:
    """What this command does, given a restore that has not ended. Raises Refused where it is another one."""
    if there is None:
        return BEGIN
    same = asked.backup in (there.asked, there.backup)
    if not same or set(asked.services) not in (set(there.wanted), set(there.services)):
        why = f"the restore of {there.backup} ({', '.join(there.services)}), begun at {there.began}, was cut off"
        raise Refused(why, REFUSED, f"Run `{there.command}` first: it goes on with it, or puts everything back")
    if there.stage in (journal.SWITCHING, journal.STARTING):
        return FORWARD
    return {journal.TIDYING: TIDY, journal.UNDOING: BACK}.get(there.stage, OVER)


def latest(manifests: t.Sequence[Manifest], config: Config, services: t.Sequence[str]) -> Manifest:
    """The newest backup that holds most of what is wanted, whole. Raises Refused.

    One that was taken before a restore is passed over: it holds what somebody wanted to be rid of. The backup of a single
    service does not count as the latest of all.
    """
    wanted = set(services or config.services)
    held = {one.id: len(wanted & {name for name, each in one.services.items() if not each.error}) for one in manifests}
    usable = [
        one for one in manifests if one.reason != SAFETY and one.environment == config.environment and held[one.id]
    ]
    if not usable:
        names = ", ".join(sorted(wanted))
        raise Refused(f"no backup of {names} is there", INVALID, "List what there is by: smos backups")
    return max(usable, key=lambda one: (held[one.id], one.id))


def doubt(manifest: Manifest, manifests: t.Iterable[Manifest], floor_percent: int) -> str:
    """Why a backup cannot simply be the latest: another machine's, which is older, holds far more. Empty where it can.

    A machine that was made anew after a disaster backs up empty databases until something is brought back. One that has
    once held as much itself is no such machine.
    """
    alike = [one for one in manifests if one.environment == manifest.environment and one.id < manifest.id]
    own = [manifest, *(one for one in alike if one.machine == manifest.machine)]
    for other in sorted(alike, key=lambda one: one.id, reverse=True):
        if other.machine == manifest.machine or other.reason == SAFETY:
            continue
        most = {key: max(_databases(one).get(key, 0) for one in own) for key in _databases(manifest)}
        for (service, name), before in _databases(other).items():
            now = most.get((service, name))
            if now is not None and guard.shrunk(before, now, floor_percent):
                return (
                    f"backup {manifest.id} of the machine {manifest.machine} holds far less than the older backup {other.id} of"
                    f" {other.machine}: of database {name} {guard.size(now)}, not {guard.size(before)}"
                )
    return ""


def plan(manifest: Manifest, config: Config, asked: Asked) -> Plan:
    """What this backup brings back here. Raises Refused."""
    _belongs(manifest, config)
    names = _names(manifest, config, asked)
    found = keys([key for name in names for key in config.services[name].keys], manifest.keys, config.fingerprints)
    if any(not one.ok for one in found):
        raise Refused(_keys_told(found, names, config), UNUSABLE, _KEYS_NEXT)
    _alone(names, config)
    parts = {name: [part for part in manifest.services[name].parts if part.kind in PLACED] for name in names}
    servers = {each.server for each in config.services.values()}
    writers = [one for name in names for one in _stopped(config.services[name]) if one not in servers]
    warnings = [*_left_out(manifest, config, asked, names), *_untold(manifest, config, names)]
    return Plan(manifest, parts, list(dict.fromkeys(writers)), found, warnings)


def fits_server(plan: Plan, config: Config, versions: t.Mapping[str, str]) -> None:
    """Refuse dumps of a newer PostgreSQL than the one that runs; ``versions`` by Swarm service. Raises Refused."""
    for name, parts in plan.parts.items():
        server = config.services[name].server
        told, here = plan.manifest.versions.get(server, ""), versions.get(server, "")
        if any(part.kind == DATABASE for part in parts) and told and here and _numbers(told)[:1] > _numbers(here)[:1]:
            why = f"the databases of {name} were dumped by PostgreSQL {told}; {here}, which runs here, cannot read them"
            raise Refused(why, UNUSABLE, "Deploy the release of the backup, then run the same command again")


def space_needed(parts: t.Iterable[Part]) -> tuple[int, int]:
    """Bytes that must be free for databases, and for folders."""
    databases = folders = 0
    for part in parts:
        if part.kind == DATABASE:
            databases += part.bytes
        else:
            folders += part.bytes
    return SPACE * databases, SPACE * folders


def enough_space(needs: t.Iterable[tuple[int, str, int, int]]) -> None:
    """Refuse what would fill a disk. Of each need: the file system's number, a path in it, bytes needed and free."""
    together: dict[int, tuple[str, int, int]] = {}
    for device, path, needed, free in needs:
        before = together.get(device, (path, 0, free))
        together[device] = (before[0], before[1] + needed, free)
    for path, needed, free in together.values():
        if free < needed:
            why = f"{_told(needed)} must be free where {path} is, and {_told(free)} are"
            raise Refused(why, UNUSABLE, "Make room or give the machine a larger disk, then run the same command again")


def sibling(name: str, what: str, backup: str) -> str:
    """The name beside a database's own under which it is filled (``restore``) or kept (``before``), never one that is cut off."""
    whole = f"{name}_{what}_{backup}"
    if len(whole.encode()) <= NAME_BYTES:
        return whole
    ending = f"_{zlib.crc32(name.encode()):08x}_{what}_{backup}"
    return name.encode()[: NAME_BYTES - len(ending)].decode(errors="ignore") + ending


def newer(release: str, than: str) -> bool:
    """Whether a release is newer; what is not a version is not."""
    mine, other = _numbers(release), _numbers(than)
    longest = max(len(mine), len(other))
    padded = [(*each, *[0] * (longest - len(each))) for each in (mine, other)]
    return bool(mine and other and padded[0] > padded[1])


def _databases(manifest: Manifest) -> dict[tuple[str, str], int]:
    """Bytes of each dump, by service and database, of the services that are whole."""
    whole = {name: each for name, each in manifest.services.items() if not each.error}
    return {(name, one.name): one.bytes for name, each in whole.items() for one in each.parts if one.kind == DATABASE}


_KEYS_NEXT = (
    "Put the secrets of the time of the backup into the environment's vault and deploy, then run the same command again"
)


def _belongs(manifest: Manifest, config: Config) -> None:
    if manifest.environment != config.environment:
        why = f"backup {manifest.id} is of the environment {manifest.environment}, this machine belongs to {config.environment}"
        raise Refused(why, INVALID, f"List the backups of this environment by: smos backups --env {config.environment}")
    if newer(manifest.release, config.release):
        why = f"backup {manifest.id} is of release {manifest.release}, newer than the installed {config.release}: it cannot read those data"
        raise Refused(
            why, INVALID, f"Deploy {manifest.release} first: smos deploy backend --release {manifest.release}"
        )


def _names(manifest: Manifest, config: Config, asked: Asked) -> list[str]:
    """The services, in the backup's order. Those that were named must all be whole; of all, every one that has a place here."""
    aside = [name for name in asked.services if name in BY_HAND]
    if aside:
        raise Refused(
            f"a restore does not bring {' and '.join(aside)} back",
            INVALID,
            f"Read it by hand, {_by_hand(manifest, config, aside[0])}",
        )
    held = [
        name
        for name, each in manifest.services.items()
        if name not in BY_HAND and (each.error or any(one.kind in PLACED for one in each.parts))
    ]
    unknown = [name for name in asked.services if name not in held]
    if unknown:
        why = f"backup {manifest.id} holds nothing of {', '.join(unknown)}; it holds {', '.join(held) or 'nothing'}"
        raise Refused(why, INVALID, "Name services that it holds, or another backup")
    absent = [name for name in asked.services if name not in config.services]
    if absent:
        raise Refused(
            f"{', '.join(absent)} is not installed on this machine", UNUSABLE, "Deploy it first: smos deploy backend"
        )
    names = [name for name in held if name in (asked.services or config.services)]
    broken = [f"{name} ({manifest.services[name].error})" for name in names if manifest.services[name].error]
    whole = [name for name in names if not manifest.services[name].error]
    if broken:
        others = (
            f"restore the others by naming them ({' '.join(f'--service {name}' for name in whole)}), or "
            if whole
            else ""
        )
        why = f"backup {manifest.id} is not whole: {'; '.join(broken)} failed when it was taken"
        following = f"{others}choose another backup (smos backups)"
        raise Refused(why, INVALID, following[0].upper() + following[1:])
    if not names:
        raise Refused(
            f"backup {manifest.id} holds no service of this machine", INVALID, "Choose another backup (smos backups)"
        )
    return names


def _alone(names: t.Sequence[str], config: Config) -> None:
    """Services may share a database server, never a database: another one's data would go back as well."""
    for name in names:
        mine = config.services[name]
        for other in config.services.values():
            if other.name == name or other.server != mine.server:
                continue
            shared = sorted(set(mine.databases) & set(other.databases))
            if shared:
                why = f"{name} and {other.name} both keep data in the database {shared[0]}: one cannot go back without the other"
                raise Refused(why, UNUSABLE, "Give each service a database of its own (specs/services/registry.yml)")


def _stopped(data: ServiceData) -> list[str]:
    return [*data.writers, *([data.redis] if data.redis else [])]


def _left_out(manifest: Manifest, config: Config, asked: Asked, names: t.Sequence[str]) -> list[str]:
    if asked.services:
        return []
    lacking = [name for name in config.services if name not in manifest.services]
    more = [
        name
        for name, each in manifest.services.items()
        if name not in names and any(part.kind in PLACED for part in each.parts)
    ]
    aside = [name for name in BY_HAND if name in manifest.services and manifest.services[name].parts]
    return [
        *([f"backup {manifest.id} holds nothing of {', '.join(lacking)}: they stay as they are"] if lacking else []),
        *([f"{', '.join(more)} of backup {manifest.id} is not installed here: left out"] if more else []),
        *([f"{' and '.join(aside)} can only be read by hand, {_by_hand(manifest, config, aside[0])}"] if aside else []),
    ]


def _by_hand(manifest: Manifest, config: Config, name: str) -> str:
    """How to read what no restore puts anywhere: accounts have owners of their own, and the deploy makes a machine's files."""
    where = f"-r {config.path} -p {config.password_file}"
    command = f"restic {where} dump --tag id={manifest.id},service={name} latest {name}.tar | tar -tv"
    return f"on the machine: `{command}`, see docs/backup.md"


def _untold(manifest: Manifest, config: Config, names: t.Sequence[str]) -> list[str]:
    needed = {key for name in names for key in config.services[name].keys}
    untold = sorted(key for key in needed if not manifest.keys.get(key))
    return (
        [f"backup {manifest.id} does not tell its {', '.join(untold)}: whether it fits is seen only later"]
        if untold
        else []
    )


def _keys_told(found: t.Sequence[Check], names: t.Sequence[str], config: Config) -> str:
    texts = []
    for one in found:
        if not one.ok:
            key = one.what.removeprefix("key ")
            whose = ", ".join(name for name in names if key in config.services[name].keys)
            here = f"has another {key} than" if one.found else f"lacks the {key} of"
            prints = f"({one.found or 'none'}, not {one.expected})"
            texts.append(f"this environment {here} the backup {prints}: {whose} could not read its data")
    return "; ".join(texts) or wrong(found)


def _numbers(release: str) -> tuple[int, ...]:
    found = re.match(r"v?(\d+(?:\.\d+)*)", release)
    return tuple(int(each) for each in found[1].split(".")) if found else ()


def _told(size: int) -> str:
    return f"{size / 1024**3:.1f} GiB" if size >= 1024**3 else f"{size / 1024**2:.0f} MiB"
