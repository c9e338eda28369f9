# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""`smos backup`, `smos backups` and `smos restore`: what is asked for is judged here, the work is done on the machine."""

from __future__ import annotations

import difflib
import re
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from smos import backup_view, confirm, exitcodes, play, tenants, view, vps_ready, work
from smos.outcome import Failure, Outcome, Speaker, failure
from smos.settings import Settings

ALL, LATEST = "all", "latest"
OURS = "restore"  # reason of the backup that a restore makes of what it replaces


def take(words: Sequence[str], accept_shrunk: bool, settings: Settings) -> int:
    """Back up these services, or `all`; gives the exit code."""
    services = _asked_for(words, settings)
    vps_ready.ready(settings, images=False)
    job = work.Job(
        command="backup",
        playbook="backup.yml",
        title=f"back up {', '.join(services) or 'everything'} in {settings.env}",
        variables={"backup_services": services, "backup_accept_shrunk": accept_shrunk},
        result=lambda played: result_of(played, "backup", NOTHING_TAKEN),
        stopped=BACKUP_STOPPED,
    )
    return work.carry_out(job, settings, Speaker("backup", settings.env, settings.as_json), backup_view.show_taken)


def tell(settings: Settings) -> int:
    """List the backups; gives the exit code. Nothing is recorded: it only reads."""
    speaker = Speaker("backups", settings.env, settings.as_json)
    vps_ready.ready(settings, images=False)
    played = _look(settings)
    rows, silent = _rows(played), _silent(played)
    outcome = Outcome({"backups": rows}, (*played.errors, *silent), code=played.code)
    asked = played.code == exitcodes.DONE and not silent
    return speaker.finish(outcome, lambda: backup_view.show_all(rows, time.time()) if rows or asked else None)


def restore(wanted: str, words: Sequence[str], settings: Settings, *, drill: bool = False) -> int:
    """Restore this backup, or try it out beside what runs (``drill``); gives the exit code."""
    backup = backup_id(wanted)
    services = known(words, settings)
    if not drill and not settings.check:
        backup = _confirmed(backup, services, settings)
    vps_ready.ready(settings, images=False)
    what = f"{', '.join(services) or 'everything'} of backup {backup}"
    job = work.Job(
        command="restore",
        playbook="restore.yml",
        title=f"{'try out' if drill else 'restore'} {what} in {settings.env}",
        variables={"restore_backup": backup, "restore_services": services, "restore_drill": drill},
        result=lambda played: result_of(played, "restore", {**NOTHING_RESTORED, "drill": drill}),
        stopped=DRILL_STOPPED if drill else STOPPED,
    )
    return work.carry_out(job, settings, Speaker("restore", settings.env, settings.as_json), backup_view.show_restored)


LOCKED = "`smos status` names the run for as long as the machine is still at it"
BACKUP_STOPPED = f"What was half saved goes with the next backup. {LOCKED}"
STOPPED = f"The machine puts back what was there before and starts it. {LOCKED}; then the same command starts over"
DRILL_STOPPED = f"The machine removes what the drill has made. {LOCKED}"
NOTHING_TAKEN: Mapping[str, Any] = {"backup": None, "services": {}, "bytes": 0, "files": 0, "verified": False}
NOTHING_RESTORED: Mapping[str, Any] = {"backup": None, "services": [], "checks": []}


def result_of(played: play.Played, key: str, otherwise: Mapping[str, Any]) -> dict[str, Any]:
    """What the machine said under this key, in the form of the contract; ``otherwise`` where nothing came about."""
    found = [result[key] for _action, result in played.results if isinstance(result.get(key), Mapping)]
    return {**otherwise, **(found[-1] if found else {})}


def _look(settings: Settings) -> play.Played:
    project = work.project_for(settings)
    quiet = settings.quiet or settings.verbose > 0 or settings.as_json or not sys.stderr.isatty()
    lines = view.View(f"backups of {settings.env}", quiet, warnings=not settings.quiet)
    with lines:
        return play.run(play.Play("backups.yml", "", limit=settings.limit), project, settings, lines.take)


def _rows(played: play.Played) -> list[dict[str, Any]]:
    found = [result["backups"] for _action, result in played.results if "backups" in result]
    return [dict(row) for row in found[-1]] if found else []


def _silent(played: play.Played) -> list[dict[str, str]]:
    """What places did not answer: whose backups are missing in the list, which is no word about whether there are any."""
    told = [row for _action, result in played.results for row in result.get("errors") or []]
    return [row for row in told if row not in played.errors]


# --- what is asked for


def _asked_for(words: Sequence[str], settings: Settings) -> list[str]:
    """The services; an empty list is all of them. Raises Failure."""
    from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import manifest

    if ALL not in words:
        return known(words, settings, beside=manifest.BY_HAND)
    if len(words) > 1:
        raise failure(exitcodes.INVALID, "backup", f"`{ALL}` stands alone", "", "See `smos backup --help`")
    work.project_for(settings)  # an unknown environment is told before a machine is started
    return []


def known(words: Sequence[str], settings: Settings, *, beside: Sequence[str] = ()) -> list[str]:
    """Each service once. Raises Failure, which names every one that is not there or has nothing to back up.

    ``beside``: what may be named as well and is no service.
    """
    from ansible_collections.smartercl.smarteros.plugins.plugin_utils import specs

    project = work.project_for(settings)
    with tenants.sound_specs():
        services = specs.load(project.specs_dir).services
    kept = sorted([*beside, *(entry["id"] for entry in services if entry.get("backup"))])
    every = {entry["id"] for entry in services}
    wrong = [_wrong(name, kept, name in every) for name in dict.fromkeys(words) if name not in kept]
    if wrong:
        raise Failure(exitcodes.INVALID, *wrong)
    return list(dict.fromkeys(words))


def _wrong(name: str, kept: Sequence[str], known: bool) -> dict[str, str]:
    close = [] if known else difflib.get_close_matches(name, kept, n=1)
    meant = f"Did you mean {close[0]}? " if close else ""
    why = "nothing of it is backed up" if known else "no service has this id"
    return {"what": name, "where": "", "why": why, "next": f"{meant}Choose from {', '.join(kept)}"}


def backup_id(wanted: str) -> str:
    """The id of a backup, or `latest`. Raises Failure."""
    from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import manifest

    if wanted == LATEST or (manifest.ID.match(wanted) and backup_view.begun(wanted)):
        return wanted
    digits = re.sub(r"\D", "", wanted)
    near = f"{digits[:8]}-{digits[8:]}" if len(digits) == len("YYYYMMDDHHMMSS") else ""
    near = near if backup_view.begun(near) else ""
    near = near or next(iter(difflib.get_close_matches(wanted, [LATEST], n=1)), "")
    following = (f"Did you mean {near}? " if near else "") + "`smos backups` lists them"
    raise failure(
        exitcodes.INVALID, f"backup {wanted}", f"the id of a backup is YYYYMMDD-HHMMSS, or {LATEST}", "", following
    )


# --- asking before data are replaced


def _confirmed(backup: str, services: Sequence[str], settings: Settings) -> str:
    """Have it confirmed where the environment asks; gives the id that a person agreed to. Raises Failure."""
    if not asks(settings) or settings.yes:
        return backup
    row = chosen(backup, services, settings) if sys.stdin.isatty() and not settings.as_json else None
    what = replaces(row or {"id": backup}, services, settings.env, time.time())
    asked = str(row["id"] if row else backup)
    confirm.slug(asked, what, settings)
    return asked


def asks(settings: Settings) -> bool:
    """Whether a person has to agree in this environment."""
    from ansible_collections.smartercl.smarteros.plugins.plugin_utils import specs

    project = work.project_for(settings)
    with tenants.sound_specs():
        policy = specs.load(project.specs_dir).environments.get(settings.env, {"confirm": True})
    return bool(policy["confirm"])


def chosen(
    backup: str, services: Sequence[str], settings: Settings, *, preferred: Sequence[str] = ()
) -> dict[str, Any]:
    """The backup that is meant, as the machine lists it. Raises Failure where there is none, or it lacks a service.

    ``preferred``: services by which the latest is chosen, though it may lack some of them.
    """
    from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import restore_plan

    played = _look(settings)
    if played.code != exitcodes.DONE:
        raise Failure(played.code, *played.errors)
    rows = _rows(played)
    row = (
        newest(rows, services or preferred)
        if backup == LATEST
        else next((row for row in rows if row["id"] == backup), None)
    )
    if row is None:
        why = "there is no such backup" if backup != LATEST else "there is no complete backup"
        near = sorted(rows, key=lambda row: _apart(row["id"], backup))[:3]
        following = f"Nearest: {', '.join(row['id'] for row in near)}" if near else "See docs/backup.md"
        raise failure(exitcodes.INVALID, f"backup {backup}", why, settings.env, following)
    if backup == LATEST and row.get("doubt"):
        raise failure(exitcodes.REFUSED, f"backup {backup}", row["doubt"], settings.env, restore_plan.WHICH)
    lacking = [name for name in services if name not in row["services"]]
    if lacking:
        why = f"it has nothing of {', '.join(lacking)}"
        raise failure(exitcodes.INVALID, f"backup {row['id']}", why, settings.env, f"It has: {_names(row)}")
    return row


def newest(rows: Sequence[Mapping[str, Any]], services: Sequence[str] = ()) -> dict[str, Any] | None:
    """What `latest` means, as the machine has it: the newest backup that holds most of these services, or of all.

    One that a restore made of what it replaced is passed over: it holds what somebody wanted to be rid of.
    """
    held = {row["id"]: _restorable(row) for row in rows if row.get("reason") != OURS}
    wanted = set(services).union(*([] if services else held.values()))
    fit = [row for row in rows if wanted & held.get(row["id"], set())]
    best = max(fit, key=lambda row: (len(wanted & held[row["id"]]), str(row["id"])), default=None)
    return dict(best) if best else None


def _restorable(row: Mapping[str, Any]) -> set[str]:
    """The services that a restore brings back from a backup."""
    from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import manifest

    return set(row["services"]).difference(row.get("failed", ()), manifest.BY_HAND)


def _apart(one: str, other: str) -> float:
    """Seconds between two backups; `latest` is away from all of them alike, so that their order stays."""
    return abs((backup_view.begun(one) or 0.0) - (backup_view.begun(other) or 0.0)) if other != LATEST else 0.0


def replaces(row: Mapping[str, Any], services: Sequence[str], env: str, now: float) -> str:
    """What a restore takes away, in words for the person who is asked."""
    whose = ", ".join(services) or (_names(row) if row.get("services") else "every service that the backup holds")
    made = f", {backup_view.age(str(row['id']), now)} old" if row["id"] != LATEST else ""
    release = f", release {row['release']}" if row.get("release") else ""
    return (
        f"Replaces the data of {whose} in {env} by those of backup {row['id']}{made}{release}; "
        "what was written since stays only in the backup that is made of it first"
    )


def _names(row: Mapping[str, Any]) -> str:
    return ", ".join(sorted(_restorable(row)))
