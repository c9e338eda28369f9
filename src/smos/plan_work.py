# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""`smos plan`: run the playbooks of the stages in check mode, at the same time, and tell what they would do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from smos import exitcodes, plan_view, play, records, stages, vault_password, vps_ready, work
from smos.outcome import Failure, Outcome, Speaker, failure
from smos.project import Project
from smos.settings import Settings
from smos.stages import Foreseen, Stage

NO_VPS = "the sandbox has no VPS that runs: start a Docker Engine, then `smos sandbox up --vps` (docs/deploy.md)"


def carry_out(part: str, settings: Settings, *, exit_code: bool = False) -> int:
    """Plan this part, or all; gives the exit code. Raises Failure."""
    if part not in stages.PARTS:
        raise failure(exitcodes.INVALID, f"plan {part}", f"there is no such part; known: {', '.join(stages.PARTS)}")
    return tell(stages.of_part(part), settings, Speaker("plan", settings.env, settings.as_json), exit_code=exit_code)


def tell(
    wanted: Sequence[Stage],
    settings: Settings,
    speaker: Speaker,
    *,
    release: str | None = None,
    exit_code: bool = False,
) -> int:
    """Plan these stages and tell what was found; gives the exit code."""
    project = work.project_for(settings)
    ready(project, settings)
    reasons = {each.name: no_machine(project, settings) for each in wanted if each.on_machine}
    found = foresee(wanted, project, settings, records.new_id(), reasons, release)
    outcome = outcome_of(found, exitcodes.PENDING if exit_code else exitcodes.DONE)
    return speaker.finish(outcome, lambda: plan_view.show(found))


def outcome_of(found: Sequence[Foreseen], pending: int) -> Outcome:
    """The end of the command. The changes of a stage that could not be foreseen to its end are told as well."""
    changes = [change for each in found for change in each.changes]
    errors: list[Mapping[str, str]] = []
    for each in found:
        errors += [row for row in each.errors if row not in errors]
    if any(each.state == stages.STOPPED for each in found):
        following = "Nothing was touched; run the same command again"
        errors.append({"what": "plan", "where": "", "why": "stopped by Ctrl-C", "next": following})
    result = {"changes": changes, "stages": [each.as_row() for each in found]}
    return Outcome(result, tuple(errors), bool(changes), stages.code_of(found, pending))


def ready(project: Project, settings: Settings) -> None:
    """What every play needs. Raises Failure."""
    work.ready_sandbox(settings, project)
    vault_password.ready(settings.env)


def no_machine(project: Project, settings: Settings) -> str:
    """Why there is no machine to look at, which only a sandbox may say; a plan does not make it one."""
    if settings.env != vps_ready.SANDBOX:
        return ""
    from smos.sandbox import vps

    runs = any(row["state"] == "running" and row["role"] != "registry" for row in vps.status(project.state_dir))
    return "" if runs else NO_VPS


def made_machine(settings: Settings) -> str:
    """The same for a deploy, which makes the sandbox its machine where there is an Engine."""
    try:
        vps_ready.ready(settings)
    except Failure as exc:
        row = exc.outcome.errors[0]
        return f"{row['why']}. {row['next'].partition('. ')[0]}"
    return ""


def foresee(
    wanted: Sequence[Stage],
    project: Project,
    settings: Settings,
    run: str,
    reasons: Mapping[str, str],
    release: str | None = None,
) -> list[Foreseen]:
    """Check these stages, several at the same time. ``reasons``: why a stage is not available, by its name."""
    found = {each.name: stages.unavailable(each, reasons[each.name]) for each in wanted if reasons.get(each.name)}
    # Tenants take longest, so they begin first
    by_playbook = {each.playbook: each for each in reversed(wanted) if each.name not in found}
    plays = [
        play_of(each, run, limit_of(each, wanted, settings.limit), release, check=True) for each in by_playbook.values()
    ]
    lines = plan_view.Progress(f"plan {', '.join(each.name for each in wanted)} in {settings.env}", settings)

    def ended(wish: play.Play, played: play.Played, seconds: float) -> None:
        stage = by_playbook[wish.playbook]
        found[stage.name] = stages.foreseen(stage, played, seconds)
        lines.ended(found[stage.name])

    with lines:
        play.run_together(
            plays, project, settings, lambda wish, event: lines.take(by_playbook[wish.playbook], event), ended
        )
    return [found[each.name] for each in wanted]


def limit_of(stage: Stage, wanted: Sequence[Stage], limit: str | None) -> str | None:
    """What of `--limit` is for a stage: it names tenants, or machines where the machine alone is planned."""
    return limit if stage is stages.TENANTS or tuple(wanted) == (stages.BACKEND,) else None


def play_of(stage: Stage, run: str, limit: str | None, release: str | None, *, check: bool = False) -> play.Play:
    """The play of a stage."""
    variables: dict[str, Any] = {"lock_wait": work.LOCK_WAIT_S}
    if release and stage.variable:
        variables[stage.variable] = release.removeprefix("v")
    return play.Play(stage.playbook, run, variables, limit, check)
