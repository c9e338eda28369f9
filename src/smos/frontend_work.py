"""`smos deploy frontend`: run the playbook, and tell what visitors see now and what has changed.

:func:`job` is the same work as a value, for who runs it as one stage among others or for a plan.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from gettext import gettext as _
from typing import Any

from smos import deploy_work, play, tenant_work, work
from smos.outcome import Outcome, Speaker
from smos.settings import Settings

COMMAND = "deploy frontend"
ACTION = "vercel_deployments"


def job(
    services: Sequence[str], release: str | None, env: str, timeout: float | None = None, *, check: bool = False
) -> work.Job:
    """Deploy these frontends, or all. ``timeout`` (seconds) is for one build; else the specs say so."""
    variables: dict[str, Any] = {"deploy_services": list(services)} if services else {}
    if release:
        variables["deploy_release"] = release.removeprefix("v")
    if timeout is not None:
        variables["deploy_build_timeout"] = timeout
    return work.Job(
        command="deploy",
        playbook="deploy_frontend.yml",
        title=f"deploy {', '.join(services) or 'the frontends'} in {env}",
        variables=variables,
        result=result_of,
        check=check,
    )


def carry_out(services: Sequence[str], release: str | None, timeout: float | None, settings: Settings) -> int:
    """Do it; gives the exit code."""
    wish = job(services, release, settings.env, timeout)
    return work.carry_out(wish, settings, Speaker(COMMAND, settings.env, settings.as_json), show)


def result_of(played: play.Played) -> dict[str, Any]:
    """The result of the contract. ``image`` is the ref, and behind an @ Vercel's id of the deployment."""
    found: dict[str, Any] = {"release": "", "previous": "", "services": {}, "backup": None}
    for action, result in played.results:
        if action == ACTION and "results" in result:
            take(found, result)
    return found


def take(found: dict[str, Any], result: Mapping[str, Any]) -> None:
    """Add what the module tells of the frontends to a result of the contract that may speak of other services, too."""
    found["release"] = found["release"] or result["release"]
    before = [row["before"]["release"] for row in result["results"] if row["before"]["release"] != result["release"]]
    found["previous"] = found["previous"] or next((each for each in before if each), result["release"])
    for row in result["results"]:
        found["services"][row["service"]] = {
            "state": row["state"],
            "image": f"{row['ref']}@{row['deployment']}" if row["deployment"] else row["ref"],
            "changed": bool(row["changed"]),
            "rolled_back": bool(row["rolled_back"]),
            "url": row["url"],
            "message": row["message"],
        }


def show(outcome: Outcome) -> None:
    """Print what visitors see, or the changes that a check predicts."""
    if "changes" in outcome.result:
        tenant_work.show_changes(outcome.result["changes"])
        return
    result = outcome.result
    if not result.get("release"):
        return
    _say(deploy_work.heading(result))
    for name, each in result["services"].items():
        mark = _("rolled back") if each["rolled_back"] else _("changed") if each["changed"] else ""
        _say(f"  {name:<7} {each['state']:<8} {each['image'].partition('@')[0]:<20} {each['url']:<34} {mark}".rstrip())
        if each["message"] and each["state"] != "failed":  # why one failed is told with the errors
            _say(f"          {each['message']}")
    if not outcome.errors:
        _say(_("changed") if outcome.changed else _("nothing to change"))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
