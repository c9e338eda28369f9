# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""How careful a deploy of everything is in an environment (specs/environments.yml), and what it therefore refuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from smos import exitcodes, stages, tenants
from smos.outcome import Failure
from smos.project import Project

PURGED = "purged"
SPEC = "specs/environments.yml"


@dataclass(frozen=True)
class Policy:
    """The rules of an environment; one that the specs do not name is treated as production is."""

    confirm: bool = True
    backup: bool = True
    health: bool = True
    dangerous: bool = False
    notice: bool = True


def of(project: Project, env: str) -> Policy:
    """The environment's rules. Raises Failure that names every mistake where the specs are broken."""
    from ansible_collections.smartercl.smarteros.plugins.plugin_utils import specs

    with tenants.sound_specs():
        found = specs.load(project.specs_dir).environments.get(env)
    return Policy() if found is None else read(found)


def read(entry: Mapping[str, Any]) -> Policy:
    """The rules as the specs write them."""
    return Policy(
        confirm=bool(entry["confirm"]),
        backup=bool(entry["backup_before_deploy"]),
        health=bool(entry["health_check_required"]),
        dangerous=bool(entry["dangerous_operations"]),
        notice=bool(entry.get("deploy_notice", False)),
    )


def refuse_skips(skipped: Sequence[str], policy: Policy, env: str) -> None:
    """Raise Failure for stages that do not exist, or that this environment never goes without."""
    unknown = [name for name in skipped if name not in stages.NAMES]
    if unknown:
        following = f"Choose from {', '.join(stages.NAMES)}"
        rows = [_row(f"--skip {name}", "there is no such stage", "", following) for name in unknown]
        raise Failure(exitcodes.INVALID, *rows)
    must = {stages.BACKUP: policy.backup, stages.HEALTH: policy.health}
    rows = [
        _row(f"--skip {name}", f"environment {env} never deploys without it", SPEC, "Leave the option out")
        for name in skipped
        if must.get(name)
    ]
    if rows:
        raise Failure(exitcodes.REFUSED, *rows)


def refuse_purges(changes: Sequence[Mapping[str, Any]], policy: Policy, project: Project, env: str) -> None:
    """Raise Failure where tenants would be purged in passing and the environment forbids what loses data."""
    from ansible_collections.smartercl.smarteros.plugins.plugin_utils import inventory_cache

    deleted = sorted({str(each["tenant"]) for each in changes if each["action"] == "delete" and each["tenant"]})
    if policy.dangerous or not deleted:
        return
    entries = inventory_cache.load_ruts(project.specs_dir, env, deleted)
    wishes = {entry.merged["slug"]: entry.merged["wish"] for entry in entries.values() if entry.merged}
    rows = purges(wishes)
    if rows:
        raise Failure(exitcodes.REFUSED, *rows)


def purges(wishes: Mapping[str, str]) -> list[dict[str, str]]:
    """Rows for tenants (by slug) whose data a deploy would purge."""
    why = "the specs purge it, and this environment loses no data in passing"
    return [
        _row(f"tenant {slug}", why, SPEC, f"`smos tenant delete {slug} --purge` first, or --skip tenants")
        for slug, wish in wishes.items()
        if wish == PURGED
    ]


def unhealthy(services: Mapping[str, Mapping[str, Any]]) -> list[dict[str, str]]:
    """Rows for services that are not up after a deploy; one that was never deployed is not among them."""
    return [
        _row(name, str(each.get("message") or f"it is {each['state']}"), "health", f"`smos logs {name} 100`")
        for name, each in services.items()
        if each["state"] in ("down", "degraded")
    ]


def _row(what: str, why: str, where: str, following: str) -> dict[str, str]:
    return {"what": what, "where": where, "why": why, "next": following}
