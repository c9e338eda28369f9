# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""`smos secrets …`: which playbook, which variables, what comes of it. No value is shown or kept here."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from gettext import gettext as _
from typing import Any

from smos import confirm, exitcodes, play, records, tenant_work, vault_password, view, vps_ready, work
from smos.outcome import Failure, Outcome, Speaker
from smos.settings import Settings

ACTION = "secrets"
MARKS = {
    "ok": "[green]✓[/]",
    "missing": "[red]✗[/]",
    "weak": "[red]✗[/]",
    "shared": "[red]✗[/]",
    "pending": "[red]✗[/]",
}
LEFT_OUT = "[yellow]![/]"
WIDE = 1000  # characters


def init(settings: Settings) -> int:
    """Make what is missing; gives the exit code."""
    job = work.Job(
        command="secrets init",
        playbook="secrets.yml",
        title=f"make the missing secrets of {settings.env}",
        variables={"secrets_job": "init"},
        result=lambda played: _told(played, "file", "rows"),
    )
    return work.carry_out(job, settings, Speaker(job.command, settings.env, settings.as_json), _show_made)


def check(settings: Settings) -> int:
    """Judge every secret; gives the exit code. Nothing is recorded: it only reads."""
    speaker = Speaker("secrets check", settings.env, settings.as_json)
    project = work.project_for(settings)
    vault_password.ready(settings.env)
    quiet = settings.quiet or settings.verbose > 0 or settings.as_json or not sys.stderr.isatty()
    lines = view.View(f"judge the secrets of {settings.env}", quiet, warnings=not settings.quiet)
    with lines:
        wish = play.Play("secrets.yml", "", {"secrets_job": "check"}, settings.limit)
        played = play.run(wish, project, settings, lines.take)
    outcome = Outcome(_told(played, "file", "rows"), tuple(played.errors), code=played.code)
    return speaker.finish(outcome, lambda: _show(outcome))


def keep(name: str, value: str, settings: Settings) -> int:
    """Keep a value that a person gives; gives the exit code."""
    job = work.Job(
        command="secrets set",
        playbook="secrets.yml",
        title=f"keep {name} of {settings.env}",
        variables={"secrets_job": "set", "secret_name": name, "secret_value": value},
        result=lambda played: {"name": name, **_told(played, "file")},
    )
    return work.carry_out(job, settings, Speaker(job.command, settings.env, settings.as_json), _show_changed)


def rotate(name: str, settings: Settings, *, back: bool = False) -> int:
    """Rotate a secret live, or take a rotation back; gives the exit code. A deploy that fails brings the old value back."""
    speaker = Speaker("secrets rotate", settings.env, settings.as_json)
    _refuse_early(name, settings)
    if settings.check:
        return work.carry_out(_foretelling(name, settings, back), settings, speaker, tenant_work.show)
    if not back:
        _confirm(name, settings)
    vps_ready.ready(settings)
    played_once: list[play.Played] = []

    def result(played: play.Played) -> dict[str, Any]:
        played_once.append(played)
        if not back and _half_done(played):
            (_forget if _is_refused(played) else _take_back)(name, settings, played)
        return {
            "name": name,
            **_told(played, "file", "services"),
            "rotated": played.code == exitcodes.DONE and not back,
        }

    job = work.Job(
        command=speaker.command,
        playbook="rotate_secret.yml",
        title=f"{'take back the rotation of' if back else 'rotate'} {name} in {settings.env}",
        variables={"secret_name": name, "secret_back": back},
        result=result,
    )
    return work.carry_out(job, settings, speaker, _show_changed)


def _foretelling(name: str, settings: Settings, back: bool) -> work.Job:
    return work.Job(
        command="secrets rotate",
        playbook="secrets.yml",
        title=f"what rotating {name} in {settings.env} would change",
        variables={"secrets_job": "back" if back else "rotate", "secret_name": name},
        result=lambda played: _told(played, "file", "services"),
        check=True,
    )


def _refuse_early(name: str, settings: Settings) -> None:
    """Refuse what no run rotates before a person is asked or a machine is started. Raises Failure."""
    from ansible_collections.smartercl.smarteros.plugins.plugin_utils import secret_jobs
    from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import Stop
    from smos import tenants

    project = work.project_for(settings)
    with tenants.sound_specs():
        known = secret_jobs.catalogue(project.specs_dir)
    try:
        secret_jobs.rotatable(known, name)
    except Stop as stop:
        raise Failure(stop.exit_code, *stop.errors) from None


def _confirm(name: str, settings: Settings) -> None:
    """Where the environment asks before what is destructive: a service restarts, sessions may end."""
    from ansible_collections.smartercl.smarteros.plugins.plugin_utils import specs
    from smos import tenants

    project = work.project_for(settings)
    with tenants.sound_specs():
        policy = specs.load(project.specs_dir).environments.get(settings.env, {"confirm": True})
    if policy["confirm"]:
        confirm.slug(name, f"Gives {name} a new value in {settings.env} and deploys the services that use it", settings)


def _half_done(played: play.Played) -> bool:
    """Whether the new value is in the vault and what followed failed; a person who pressed Ctrl-C goes on by himself."""
    begun = any("services" in result and not result.get("failed") for result in _results(played))
    return begun and played.code != exitcodes.DONE and not played.interrupted


def _is_refused(played: play.Played) -> bool:
    """Whether the deploy did not begin, so that no service has got the new value in this run."""
    judged = any(action == "deploy_preflight" and "services" in result for action, result in played.results)
    return played.code == exitcodes.REFUSED or (played.code in (exitcodes.INVALID, exitcodes.UNUSABLE) and not judged)


def _forget(name: str, settings: Settings, played: play.Played) -> None:
    """Put the old value back into the vault alone; the refusal stands. A rotation of a former run is left as it was."""
    if not any(result.get("changes") for result in _results(played)):
        return
    variables = {"secrets_job": "back", "secret_name": name}
    wish = play.Play("secrets.yml", records.new_id(), variables, settings.limit)
    after = play.run(wish, work.project_for(settings), replace(settings, check=False), lambda _event: None)
    if after.code == exitcodes.DONE:
        played.changed, played.changes = False, []
        return
    following = f"smos secrets rotate {name}, or take it back with --back"
    played.code = exitcodes.FAILED
    played.errors += [
        *after.errors,
        {
            "what": name,
            "where": "",
            "why": "the old value could not be put back; the vault has both",
            "next": following,
        },
    ]


def _take_back(name: str, settings: Settings, played: play.Played) -> None:
    """Put the old value back and deploy it, since parts may have got the new one; adds to the errors how that went."""
    quiet = settings.quiet or settings.verbose > 0 or (settings.as_json and not sys.stderr.isatty())
    lines = view.View(f"take back the rotation of {name} in {settings.env}", quiet, warnings=not settings.quiet)
    variables = {"secret_name": name, "secret_back": True, "lock_wait": work.LOCK_WAIT_S}
    project = work.project_for(settings)
    with lines:
        wish = play.Play("rotate_secret.yml", records.new_id(), variables, settings.limit)
        after = play.run(wish, project, replace(settings, check=False), lines.take)
    put_back = any("services" in result and not result.get("failed") for result in _results(after))
    if after.code == exitcodes.DONE:
        why, following = "the old value is back in the vault and runs again", f"smos secrets rotate {name}"
    elif put_back:
        why = "the old value is back in the vault, but deploying it failed: parts may still have the new one"
        following = "smos deploy backend" + "".join(f" --service {each}" for each in _services(played))
        played.errors.extend(after.errors)
    else:
        why = "the old value could not be put back; the vault has both"
        following = f"smos secrets rotate {name} --back"
        played.errors.extend(after.errors)
    played.code = exitcodes.FAILED
    played.errors.append({"what": name, "where": "", "why": why, "next": following})


def _results(played: play.Played) -> list[Mapping[str, Any]]:
    return [result for action, result in played.results if action == ACTION]


def _services(played: play.Played) -> list[str]:
    return next((list(result["services"]) for result in _results(played) if "services" in result), [])


def _told(played: play.Played, *keys: str) -> dict[str, Any]:
    """These keys of the first result that has them."""
    found: dict[str, Any] = {}
    for result in _results(played):
        for key in keys:
            if key in result:
                found.setdefault(key, result[key])
    return found


def _show_made(outcome: Outcome) -> None:
    if "changes" in outcome.result:
        tenant_work.show_changes(outcome.result["changes"])
        return
    if "rows" not in outcome.result:
        return
    rows = outcome.result["rows"]
    sound = sum(each["state"] == "ok" for each in rows)
    _say(_("{count} secrets in {file}").format(count=sound, file=outcome.result["file"]))
    for each in rows:
        if each["state"] != "ok":
            _say(f"  {each['name']:<34} {each['state']:<8} {each['message']}")
    _say(_("changed") if outcome.changed else _("nothing to change"))


def _show(outcome: Outcome) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    if "rows" not in outcome.result:
        return
    table = Table(
        "", _("secret"), _("state"), _("age"), _("rotation"), "", box=None, pad_edge=False, header_style="dim"
    )
    for each in outcome.result["rows"]:
        age = "" if each["age_days"] is None else f"{each['age_days']} d"
        cells = [each["name"], each["state"], age, each["rotation"], each["message"]]
        table.add_row(MARKS.get(each["state"], LEFT_OUT), *map(escape, cells))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDE
    console.print(table)


def _show_changed(outcome: Outcome) -> None:
    if "changes" in outcome.result:
        tenant_work.show_changes(outcome.result["changes"])
        return
    if not outcome.errors:
        services = ", ".join(outcome.result.get("services", ()))
        _say(f"{outcome.result['name']}: {_('changed') if outcome.changed else _('nothing to change')}")
        if services:
            _say("  " + _("deployed: {services}").format(services=services))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
