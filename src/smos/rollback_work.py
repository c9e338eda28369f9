# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""`smos rollback`: show the plan, have it confirmed where the environment asks, go back, and tell what runs now."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from smos import confirm, deploy_work, exitcodes, frontend_work, play, tenants, vault_password, view, vps_ready, work
from smos.outcome import Failure, Speaker, failure
from smos.settings import Settings

PREVIOUS = "previous"


def carry_out(version: str, with_data: bool, settings: Settings) -> int:
    """Roll the backend back to this release, or to the previous one; gives the exit code."""
    version = _known(version, settings)
    variables = {"rollback_release": version, "rollback_with_data": with_data}
    if _must_be_confirmed(settings):
        _confirmed(version, variables, settings)
    vps_ready.ready(settings, images=False)
    job = work.Job(
        command="rollback",
        playbook="rollback.yml",
        title=f"roll back to {version} in {settings.env}",
        variables=variables,
        result=result_of,
    )
    return work.carry_out(job, settings, Speaker("rollback", settings.env, settings.as_json), deploy_work.show)


def result_of(played: play.Played) -> dict[str, Any]:
    """The result of the contract, and ``data``: of which backup the data of which service were brought back.

    The backup is that of the first run, where an earlier one was cut off. What was refused tells of no service.
    """
    found = deploy_work.result_of(played)
    found["backup"] = found["backup"] or plan_of(played).get("backup")
    restores = [result["restore"] for action, result in played.results if _is_restore(action, result)]
    if played.code in (exitcodes.INVALID, exitcodes.UNUSABLE, exitcodes.REFUSED):
        found["services"] = {}
    for action, result in played.results:
        if action == frontend_work.ACTION and "results" in result:
            frontend_work.take(found, result)
    return {**found, "data": {name: done["backup"] for done in restores for name in done["services"]}}


def _is_restore(action: str, result: Mapping[str, Any]) -> bool:
    return action == "backup_restore" and "restore" in result and not result.get("errors")


def plan_of(played: play.Played) -> Mapping[str, Any]:
    """What the rollback does; empty where it did not come to a plan."""
    found = [result["plan"] for action, result in played.results if action == "rollback_plan" and "plan" in result]
    return dict(found[-1]) if found else {}


def in_words(plan: Mapping[str, Any], changes: list[dict[str, Any]]) -> list[str]:
    """The plan for a person who is asked."""
    lines = [f"release {plan['previous']} → {plan['release']}"]
    for name in plan["services"]:
        lines += [
            f"  {name:<13} {each['what']}: {each['before']} → {each['after']}"
            for each in changes
            if each["service"] == name
        ]
    for each in plan["data"]:
        if each["restored"]:
            lines.append(
                f"  {each['service']:<13} LOSES what was written in the last {each['lost']} ({each['backup']})"
            )
    return lines


def _known(version: str, settings: Settings) -> str:
    """The version as the specs write it. Raises Failure, which names the nearest."""
    from ansible_collections.smartercl.smarteros.plugins.plugin_utils import releases

    project = work.project_for(settings)
    if version == PREVIOUS:
        return version
    with tenants.sound_specs():
        try:
            return releases.load(project.specs_dir, version).version
        except releases.UnknownRelease as exc:
            following = "See `smos releases --deployed`"
            where = "specs/smos-version.yml"
            raise failure(exitcodes.INVALID, f"release {version}", str(exc), where, following) from exc


def _must_be_confirmed(settings: Settings) -> bool:
    from ansible_collections.smartercl.smarteros.plugins.plugin_utils import specs

    if settings.yes or settings.check:
        return False
    project = work.project_for(settings)
    with tenants.sound_specs():
        return bool(specs.load(project.specs_dir).environments.get(settings.env, {}).get("confirm", True))


def _confirmed(version: str, variables: Mapping[str, Any], settings: Settings) -> None:
    """Show the plan and have the release typed. Raises Failure where that is refused, or nobody can be asked."""
    what = f"Rolls {settings.env} back to release {version}"
    if settings.as_json or not sys.stdin.isatty():
        confirm.slug(version, what, settings)  # nobody to ask: it refuses
    vps_ready.ready(settings, images=False)
    project = work.project_for(settings)
    vault_password.ready(settings.env)
    lines = view.View(f"plan of the rollback in {settings.env}", settings.quiet, warnings=not settings.quiet)
    wish = play.Play("rollback.yml", "", variables, settings.limit, check=True)
    with lines:
        played = play.run(wish, project, settings, lines.take)
    plan = plan_of(played)
    if played.code != exitcodes.DONE or not plan:
        raise Failure(played.code or exitcodes.FAILED, *played.errors)
    sys.stderr.write("\n".join([*in_words(plan, played.changes), ""]))
    asked = str(plan["release"])
    confirm.slug(asked, f"Rolls {settings.env} back to release {asked}", settings)
