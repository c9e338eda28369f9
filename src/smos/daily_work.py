# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""`smos daily`: the day of all shops and the state of the system, shown, and sent once."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from gettext import gettext as _
from typing import Any

from smos import cost_work, exitcodes, play, records, tenant_work, work
from smos.outcome import Failure, Outcome, Speaker, failure
from smos.project import Project
from smos.redact import Redactor
from smos.settings import Settings

ACTION = "daily_digest"
UNKNOWN = "unknown"
SANDBOX = "sandbox"
NEWEST = 200  # records that are looked through for runs that failed


@dataclass(frozen=True)
class Wish:
    """What is asked for; ``date`` is empty for yesterday."""

    date: str = ""
    send: bool = False
    force: bool = False
    channels: tuple[str, ...] = ()
    drift: bool = False


def carry_out(wish: Wish, settings: Settings) -> int:
    """Show the digest, send it where that is wanted; gives the exit code. Raises Failure."""
    from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.notice_ways import NAMES

    for name in wish.channels:
        if name not in NAMES:
            following = f"Choose from {', '.join(NAMES)}"
            raise failure(exitcodes.INVALID, f"--via {name}", "there is no such way to the admin", "", following)
    if wish.force and not wish.send:
        raise failure(exitcodes.INVALID, "--force", "it goes with --send", "", "Add --send, or leave it out")
    project = work.project_for(settings)
    work.ready_sandbox(settings, project)
    status = _machine(settings, project)
    job = work.Job(
        command="daily",
        playbook="daily_cycle.yml",
        title=f"digest of {settings.env}",
        variables={
            "daily_date": wish.date,
            "daily_send": wish.send,
            "daily_force": wish.force,
            "daily_channels": list(wish.channels),
            "daily_status": status,
            "daily_machine": UNKNOWN not in status,
            "daily_system": _system(wish, settings, project),
        },
        result=_result,
    )
    return work.carry_out(job, settings, Speaker("daily", settings.env, settings.as_json), _show)


def _machine(settings: Settings, project: Project) -> dict[str, Any]:
    """What `smos status` tells, or why it is not known: a machine that does not answer is no reason to tell nothing."""
    if settings.env == SANDBOX:
        return {UNKNOWN: "the sandbox's machine is not looked at"}
    played = play.run(play.Play("status.yml", ""), project, settings, lambda _event: None)
    found = next((result["status"] for _action, result in played.results if "status" in result), None)
    if found is None:
        return {UNKNOWN: played.errors[0]["why"] if played.errors else "the machine cannot be asked"}
    from smos import status_work

    return dict(status_work.with_target(found, project.specs_dir))


def _system(wish: Wish, settings: Settings, project: Project) -> dict[str, Any]:
    """The parts that only the command knows: costs by the specs, runs that failed, and drift where it is asked for."""
    found: dict[str, Any] = {"cost": _cost(settings, project), "runs": {"failed": _failed_runs(settings, project)}}
    if wish.drift:
        found["drift"] = _drift(settings, project)
    return found


def _cost(settings: Settings, project: Project) -> dict[str, Any]:
    try:
        return {"usd": cost_work.monthly(project, settings.env)}
    except Failure as exc:
        return {UNKNOWN: str(exc)}


def _failed_runs(settings: Settings, project: Project) -> list[dict[str, str]]:
    """Runs of this environment that failed or died since yesterday's midnight, the newest first."""
    from datetime import datetime, timedelta

    since = f"{datetime.now() - timedelta(days=1):%Y%m%d}"
    book = records.Records(project.state_dir, Redactor(os.environ))
    return [
        {"run": str(each["run"]), "command": str(each["command"])}
        for each in book.all(NEWEST)
        if each["run"] >= since
        and each["env"] == settings.env
        and each["state"] in ("failed", "died")
        # The panel's own record stands beside the one of the run that it made, which tells the same
        and not str(each["command"]).startswith(records.PANEL)
    ]


def _drift(settings: Settings, project: Project) -> dict[str, Any]:
    """How many changes `smos plan tenants` foresees."""
    played = play.run(play.Play("apply_tenants.yml", "", check=True), project, settings, lambda _event: None)
    if played.code != exitcodes.DONE:
        return {UNKNOWN: played.errors[0]["why"] if played.errors else "it cannot be foreseen"}
    return {"pending": len(played.changes)}


def _result(played: play.Played) -> dict[str, Any]:
    found = [result for action, result in played.results if action == ACTION and "digest" in result]
    return {"digest": found[-1]["digest"], "sent": found[-1].get("sent") or {}} if found else {}


def _show(outcome: Outcome) -> None:
    result = outcome.result
    if "changes" in result and "digest" not in result:
        tenant_work.show_changes(result["changes"])
        return
    if "digest" not in result:
        return
    digest = result["digest"]
    _say(
        _("digest of {date}, {hours} h in {zone}").format(
            date=digest["date"], hours=f"{digest['hours']:g}", zone=digest["zone"]
        )
    )
    _say("")
    _say(digest["message"])
    _say("")
    for row in digest["problems"]:
        whose = f"{row['tenant']}: " if row["tenant"] else ""
        _say(f"  ! {whose}{row['kind']} {row['what']}: {row['why']}")
    unknown = [name for name, each in digest["system"].items() if UNKNOWN in each]
    if unknown:
        _say("  " + _("not known: {names}").format(names=", ".join(unknown)))
    _show_sent(result["sent"])


def _show_sent(sent: Mapping[str, Any]) -> None:
    marks = {"sent": "✓", "already sent": "=", "not sent": "✗", "no way": "-"}
    for name, each in sent.get("founder", {}).items():
        at = f" {each['at']}" if each.get("at") else ""
        _say(f"{marks[each['state']]} {name}: {each['state']}{at}")
    counts: dict[str, int] = {}
    for each in sent.get("owners", {}).values():
        counts[each["state"]] = counts.get(each["state"], 0) + 1
    for state, count in counts.items():
        _say(f"{marks[state]} " + _("owners: {count} {state}").format(count=count, state=state))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
