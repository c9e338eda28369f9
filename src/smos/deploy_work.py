"""`smos deploy backend`: run the playbook, and tell what runs now and what has changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from gettext import gettext as _
from typing import Any

from smos import play, tenant_work, vps_ready, work
from smos.outcome import Outcome, Speaker
from smos.settings import Settings


def carry_out(
    services: Sequence[str], release: str | None, settings: Settings, acknowledged: Sequence[str] = ()
) -> int:
    """Deploy these services, or all; gives the exit code. ``acknowledged`` are names whose step somebody knows of."""
    vps_ready.ready(settings)
    variables: dict[str, Any] = {"deploy_services": list(services)} if services else {}
    if release:
        variables["deploy_release"] = release.removeprefix("v")
    if acknowledged:
        variables["deploy_acknowledged"] = [
            name.removeprefix("v") if name[1:2].isdigit() else name for name in acknowledged
        ]
    job = work.Job(
        command="deploy",
        playbook="deploy.yml",
        title=f"deploy {', '.join(services) or 'the backend'} in {settings.env}",
        variables=variables,
        result=result_of,
    )
    return work.carry_out(job, settings, Speaker("deploy backend", settings.env, settings.as_json), show)


def result_of(played: play.Played) -> dict[str, Any]:
    """The result of the contract: what the preflight found, and what each deploy made of it."""
    found: dict[str, Any] = {"release": "", "previous": "", "services": {}, "backup": None}
    for action, result in played.results:
        if action == "deploy_preflight" and "services" in result:
            services = {name: dict(each) for name, each in result["services"].items()}
            found.update(release=result["release"], previous=result["previous"], services=services)
        elif action == "stack_deploy":
            _take(found["services"], result)
        elif action == "backup_take" and isinstance(result.get("backup"), Mapping):
            found["backup"] = result["backup"].get("backup")
    return found


def _take(services: dict[str, dict[str, Any]], result: Mapping[str, Any]) -> None:
    """One service may be deployed twice in a run: without its route, and with it."""
    name = str(result.get("service", ""))
    if name not in services:
        return
    services[name]["changed"] = services[name]["changed"] or bool(result.get("changes"))
    services[name]["rolled_back"] = bool(result.get("rolled_back"))
    if result.get("errors"):  # of a failed task Ansible tells no more
        services[name]["state"] = "failed"
    elif result.get("state"):
        services[name]["state"] = result["state"]["state"]


def heading(result: Mapping[str, Any]) -> str:
    """The release, and the one before where it is another."""
    if result["previous"] in ("", result["release"]):
        return _("release {release}").format(release=result["release"])
    return _("release {release} (before: {previous})").format(release=result["release"], previous=result["previous"])


def show(outcome: Outcome) -> None:
    """Print what runs, or the changes that a check predicts."""
    if "changes" in outcome.result:
        tenant_work.show_changes(outcome.result["changes"])
        return
    result = outcome.result
    if not result.get("release"):
        return
    print(heading(result))
    if result.get("backup"):
        print(_("backup {backup} was made first").format(backup=result["backup"]))
    for name, service in result["services"].items():
        mark = _("rolled back") if service["rolled_back"] else _("changed") if service["changed"] else ""
        print(f"  {name:<13} {service['state']:<9} {service['image'].partition('@')[0]:<44} {mark}".rstrip())
    if not outcome.errors:
        print(_("changed") if outcome.changed else _("nothing to change"))
