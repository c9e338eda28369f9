"""The commands that change a tenant or take it along its life: which playbook, which variables, what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import archive, changes, specs
from smos import confirm, exitcodes, tenant_work, tenants, work
from smos.outcome import Outcome, Speaker, failure
from smos.settings import Settings

TAKES_AWAY = {"delete": "Deletes", "purge": "Purges for good, with all data,"}


def change(job: str, identifier: str, wish: Mapping[str, Any], command: str, settings: Settings) -> int:
    """Run the playbook of a job (update, suspend, resume, delete, restore, purge) on one tenant; gives the exit code."""
    project = work.project_for(settings)
    entry = tenants.found(identifier, project.specs_dir, settings.env)
    variables: dict[str, Any] = {**wish, "tenant_id": identifier}
    if job in TAKES_AWAY:
        with tenants.sound_specs():
            policy = specs.load(project.specs_dir).environments.get(settings.env, {})
        if changes.must_be_confirmed(job, policy):
            what = f"{TAKES_AWAY[job]} tenant {entry.slug} ({entry.rut}) in {settings.env}"
            confirm.slug(entry.slug, what, settings)
        variables["tenant_confirm"] = [entry.slug]
    before = tenants.shown(entry.merged) if entry.merged else {}

    def result(_played: object) -> dict[str, Any]:
        return tenant_work.result_for(identifier, settings) or {"tenant": _gone(before)}

    todo = work.Job(command, f"{job}_tenant.yml", f"{command} {entry.slug} in {settings.env}", variables, result)
    return work.carry_out(todo, settings, Speaker(command, settings.env, settings.as_json), tenant_work.show)


def export(identifier: str, folder: Path | None, settings: Settings) -> int:
    """Write the archive of one tenant; gives the exit code. Result: ``{"tenant", "archive": {file, sha256, bytes, at}}``."""
    project = work.project_for(settings)
    slug = tenants.found(identifier, project.specs_dir, settings.env).slug

    def result(_played: object) -> dict[str, Any]:
        entry = tenants.found(identifier, project.specs_dir, settings.env)
        return {"tenant": tenants.shown(entry.merged), "archive": entry.merged["status"].get("export")}

    def show(outcome: Outcome) -> None:
        written = outcome.result.get("archive")
        if written and not outcome.errors:
            print(f"{written['file']}  {written['bytes']} bytes  sha256 {written['sha256']}")

    variables = {"smos_exports_dir": str(folder.resolve())} if folder else {}
    todo = work.Job(
        "tenant export", "export_tenant.yml", f"tenant export {slug} in {settings.env}", variables, result, limit=slug
    )
    return work.carry_out(todo, settings, Speaker("tenant export", settings.env, settings.as_json), show)


def import_archive(path: Path, settings: Settings) -> int:
    """Make the tenant of an archive stand again; gives the exit code."""
    try:
        rut = archive.read(path).manifest["tenant"]
    except (archive.ArchiveError, KeyError) as exc:
        following = "Give an archive of `smos tenant export`"
        raise failure(exitcodes.INVALID, "archive", str(exc), str(path), following) from exc
    todo = work.Job(
        command="tenant import",
        playbook="import_tenant.yml",
        title=f"tenant import {path.name} in {settings.env}",
        variables={"tenant_archive": str(path.resolve())},
        result=lambda _played: tenant_work.result_for(rut, settings),
    )
    return work.carry_out(todo, settings, Speaker("tenant import", settings.env, settings.as_json), tenant_work.show)


def _gone(before: Mapping[str, Any]) -> dict[str, Any]:
    """A tenant that has left the registry, as the last thing that can be said of it."""
    services = {name: {"state": "absent", "ref": {}, "url": "", "message": ""} for name in before.get("services") or {}}
    return {**before, "phase": "purged", "services": services}
