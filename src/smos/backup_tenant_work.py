# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""`smos backup tenant ID` and `smos restore BACKUP --tenant ID`: who is meant is judged here, the work is done on the machine."""

from __future__ import annotations

import difflib
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import tenant_data
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import identify, specs
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.inventory_cache import Entry
from smos import backup_view, backup_work, confirm, exitcodes, tenants, vps_ready, work
from smos.outcome import Speaker, failure
from smos.settings import Settings

TENANT = "tenant"
OURS = "postgresql"  # whose database smarteros has rows of every tenant
NOT_THERE = ("absent", "disabled", "pending")


def take(words: Sequence[str], accept_shrunk: bool, settings: Settings) -> int:
    """Back up the services that hold data of one tenant; gives the exit code."""
    if len(words) != 1:
        why = "it takes one tenant: its RUT or slug"
        raise failure(exitcodes.INVALID, "backup tenant", why, "", "For example: smos backup tenant acme")
    entry = found(words[0], settings)
    services = _holding(entry, settings)
    vps_ready.ready(settings, images=False)
    job = work.Job(
        command="backup",
        playbook="backup.yml",
        title=f"back up {', '.join(services)} for {entry.slug} in {settings.env}",
        variables={"backup_services": services, "backup_accept_shrunk": accept_shrunk},
        result=lambda played: {
            **backup_work.result_of(played, "backup", backup_work.NOTHING_TAKEN),
            "tenant": entry.rut,
        },
        stopped=backup_work.BACKUP_STOPPED,
    )
    return work.carry_out(job, settings, Speaker("backup", settings.env, settings.as_json), backup_view.show_taken)


def restore(wanted: str, words: Sequence[str], identifier: str, settings: Settings, *, drill: bool = False) -> int:
    """Bring one tenant's data back from this backup; gives the exit code."""
    if drill:
        why = "a drill tries out the whole backup, never one tenant"
        following = "Leave one of them out; --check tells what --tenant would bring back"
        raise failure(exitcodes.INVALID, "restore --tenant --drill", why, "", following)
    backup = backup_work.backup_id(wanted)
    services = _separate(backup_work.known(words, settings), backup)
    entry = found(identifier, settings)
    if not settings.check:
        backup = _confirmed(backup, services, entry, settings)
    vps_ready.ready(settings, images=False)
    nothing = {**backup_work.NOTHING_RESTORED, "drill": False, "tenant": entry.rut}
    job = work.Job(
        command="restore",
        playbook="restore_tenant_data.yml",
        title=f"restore {', '.join(services) or 'all'} of {entry.slug} from backup {backup} in {settings.env}",
        variables={"restore_backup": backup, "restore_services": services, "restore_tenant": entry.rut},
        result=lambda played: backup_work.result_of(played, "restore", nothing),
        stopped=f"All rows are as they were. {backup_work.LOCKED}; then the same command starts over",
    )
    return work.carry_out(job, settings, Speaker("restore", settings.env, settings.as_json), backup_view.show_restored)


def found(identifier: str, settings: Settings) -> Entry:
    """The tenant that is meant. Raises Failure, which names the nearest where there is none."""
    project = work.project_for(settings)
    try:
        with tenants.sound_specs():
            return identify.tenants(project.specs_dir, settings.env, [identifier])[0]
    except identify.NoSuchTenant as exc:
        names = [str(row[key]) for row in tenants.listed(project.specs_dir, settings.env) for key in ("slug", "id")]
        near = difflib.get_close_matches(identifier, names, n=1)
        meant = f"Did you mean {near[0]}? " if near else ""
        registry = str(project.specs_dir / "tenants" / "registry")
        raise failure(
            exitcodes.INVALID, f"tenant {identifier}", str(exc), registry, f"{meant}See `smos tenant list`"
        ) from None


def _holding(entry: Entry, settings: Settings) -> list[str]:
    """The services that are backed up and hold data of the tenant, in the catalogue's order."""
    project = work.project_for(settings)
    with tenants.sound_specs():
        catalogue = specs.load(project.specs_dir).services
    seen = entry.merged["status"].get("services") or {}
    there = {name for name, each in seen.items() if each.get("ref") or each.get("state") not in NOT_THERE}
    return [each["id"] for each in catalogue if each.get("backup") and each["id"] in {OURS, *there}]


def _separate(services: Sequence[str], backup: str) -> list[str]:
    """Services of which one tenant's rows can be told from the others'. Raises Failure."""
    for name in services:
        if name not in tenant_data.TOGETHER:
            why = tenant_data.APART.get(name, "it keeps nothing by tenant")
            instead = tenant_data.INSTEAD.format(service=name, backup=backup)
            following = f"{instead[0].upper()}{instead[1:]}" if name in tenant_data.APART else _choose()
            raise failure(exitcodes.INVALID, f"restore --tenant --service {name}", why, "", following)
    return list(services)


def _choose() -> str:
    return f"Choose from {', '.join(sorted(tenant_data.TOGETHER))}"


# --- asking before data are replaced


def _confirmed(backup: str, services: Sequence[str], entry: Entry, settings: Settings) -> str:
    """Have it confirmed where the environment asks; gives the id that a person agreed to. Raises Failure."""
    if not backup_work.asks(settings) or settings.yes:
        return backup
    row: Mapping[str, Any] = {"id": backup}
    if sys.stdin.isatty() and not settings.as_json:
        row = backup_work.chosen(backup, services, settings, preferred=_told_apart(entry))
    confirm.slug(str(row["id"]), replaces(row, services, entry, settings.env, time.time()), settings)
    return str(row["id"])


def replaces(row: Mapping[str, Any], services: Sequence[str], entry: Entry, env: str, now: float) -> str:
    """What it takes away, in words for the person who is asked."""
    whose = services or [name for name in _told_apart(entry) if name in row.get("services", tenant_data.TOGETHER)]
    made = f", {backup_view.age(str(row['id']), now)} old" if row["id"] != backup_work.LATEST else ""
    return (
        f"Replaces what {entry.slug} ({entry.rut}) has in {', '.join(whose)} of {env} by what backup {row['id']}{made} holds; "
        "what was written since stays only in the backup that is made of it first"
    )


def _told_apart(entry: Entry) -> list[str]:
    """The services whose rows of this tenant can be told from the others'."""
    seen = entry.merged["status"].get("services") or {}
    return [
        name
        for name in tenant_data.TOGETHER
        if tenant_data.values(name, entry.rut, (seen.get(name) or {}).get("ref") or {}) is not None
    ]
