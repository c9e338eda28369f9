# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""`smos deploy all`: judge every stage, then run one after the other, and go on where an earlier run stopped.

Nothing is touched before every stage was checked. Each stage is a playbook that may be run again at any time.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime

from smos import (
    confirm,
    deploy_all_view,
    deploy_journal,
    deploy_policy,
    deploy_stages,
    exitcodes,
    plan_work,
    play,
    records,
    stages,
    tenants,
    work,
)
from smos.deploy_stages import Deploy
from smos.outcome import Failure, Outcome, Speaker, failure
from smos.project import Project
from smos.redact import Redactor
from smos.settings import Settings

COMMAND = "deploy all"


def carry_out(release: str | None, skipped: Sequence[str], settings: Settings) -> int:
    """Deploy everything but the ``skipped`` stages; gives the exit code. Raises Failure where nothing was touched."""
    speaker = Speaker(COMMAND, settings.env, settings.as_json)
    _refuse_parts(settings)
    project = work.project_for(settings)
    _refuse_mistakes(project, settings.env)
    policy = deploy_policy.of(project, settings.env)
    deploy_policy.refuse_skips(skipped, policy, settings.env)
    version = _version(project, release)
    if settings.check:
        wanted = [each for each in stages.PLANNED if each.name not in skipped]
        return plan_work.tell(wanted, settings, speaker, release=version)
    plan_work.ready(project, settings)
    with ExitStack() as held:
        try:
            journal = held.enter_context(deploy_journal.opened(project.state_dir, settings.env))
        except deploy_journal.Busy as exc:
            raise _busy(exc, time.time()) from None
        deploy = Deploy(
            project, settings, policy, records.new_id(), version, bool(release), frozenset(skipped), journal
        )
        return _recorded(deploy, speaker)


def _recorded(deploy: Deploy, speaker: Speaker) -> int:
    """Run it, and have its record say how it ended, whatever happens."""
    book = records.Records(deploy.project.state_dir, Redactor(os.environ))
    book.begin(deploy.run, "deploy", deploy.settings.env, sys.argv[1:])
    outcome = Outcome(run=deploy.run, code=exitcodes.FAILED)
    try:
        outcome = _outcome(deploy, *_run(deploy))
    except Failure as exc:  # a rule, or an answer of a person: nothing was touched
        outcome = _outcome(deploy, [dict(row) for row in exc.outcome.errors], exc.outcome.code)
    except KeyboardInterrupt:  # between two plays
        outcome = _outcome(deploy, [deploy_stages.stopped()], exitcodes.INTERRUPTED)
    finally:
        states = {exitcodes.DONE: "done", exitcodes.INTERRUPTED: "interrupted"}
        book.end(deploy.run, speaker.document(outcome), deploy.changes, states.get(outcome.code, "failed"))
    return speaker.finish(outcome, lambda: deploy_all_view.show(outcome))


def _outcome(deploy: Deploy, errors: list[dict[str, str]], code: int) -> Outcome:
    return Outcome(deploy.result(), tuple(errors), deploy.changed, code, deploy.run)


def _run(deploy: Deploy) -> tuple[list[dict[str, str]], int]:
    """(errors, exit code) of the whole: preflight, then stage after stage up to the first that fails."""
    errors, code = _preflight(deploy)
    if errors:
        return errors, code
    done = deploy.journal.begin(deploy.run, deploy.wish, _now())
    try:
        errors, code = _stages(deploy, done)
    except KeyboardInterrupt:
        deploy.journal.end(deploy_journal.STOPPED)
        raise
    deploy.journal.end({0: deploy_journal.DONE, 130: deploy_journal.STOPPED}.get(code, deploy_journal.FAILED))
    if code != exitcodes.INTERRUPTED:
        deploy_stages.notice(deploy, errors)
    return errors, code


def _preflight(deploy: Deploy) -> tuple[list[dict[str, str]], int]:
    """Check every stage; (problems that stand against beginning, exit code). Raises Failure."""
    began = time.monotonic()
    reason = plan_work.made_machine(deploy.settings)
    deploy.no_machine = reason
    if deploy.settings.env == "sandbox" and not reason:
        _make_secrets(deploy)
    wanted = [each for each in stages.PLANNED if each.name not in deploy.skipped]
    reasons = {each.name: reason for each in wanted if each.on_machine}
    found = plan_work.foresee(wanted, deploy.project, deploy.settings, deploy.run, reasons, deploy.release)
    deploy.foreseen = {each.stage.name: each for each in found}
    if any(each.state == stages.STOPPED for each in found):
        deploy.take(stages.PREFLIGHT, stages.STOPPED, began)
        return [deploy_stages.stopped()], exitcodes.INTERRUPTED
    problems, code, notices = stages.judged(found)
    for each in notices:
        deploy.say(each)
    if problems:
        deploy.take(stages.PREFLIGHT, stages.FAILED, began, f"{len(problems)} problems; nothing was touched")
        return [dict(row) for row in problems], code
    changes = [change for each in found for change in each.changes]
    deploy_policy.refuse_purges(changes, deploy.policy, deploy.project, deploy.settings.env)
    deploy.take(stages.PREFLIGHT, stages.DONE, began, f"{len(changes)} changes ahead")
    if deploy.policy.confirm and changes:
        what = f"Deploys release {deploy.version} to {deploy.settings.env}: {len(changes)} changes"
        deploy_all_view.ahead(found, deploy.settings)
        confirm.slug(deploy.version, what, deploy.settings)
    return [], exitcodes.DONE


def _make_secrets(deploy: Deploy) -> None:
    """Nobody is asked to make those of a sandbox; `deploy backend` makes them as well, but not in check mode."""
    wish = play.Play("secrets.yml", deploy.run, {"secrets_job": "init"})
    made = play.run(wish, deploy.project, deploy.settings, lambda _event: None)
    deploy.changes.extend(made.changes)


def _stages(deploy: Deploy, done: dict[str, dict[str, object]]) -> tuple[list[dict[str, str]], int]:
    for name in stages.NAMES:
        if name == stages.NOTICE:
            continue
        errors, code = deploy_stages.carry_out(deploy, name, done.get(name))
        if code != exitcodes.DONE:
            return errors, code
    return [], exitcodes.DONE


# --- what is refused before anything is looked at


def _refuse_parts(settings: Settings) -> None:
    for option, value in (("--limit", settings.limit), ("--tags", settings.tags)):
        if value:
            why = "everything is deployed, or a stage is left out as a whole"
            following = "Use --skip STAGE, or the stage's own command: deploy backend, deploy frontend, tenant apply"
            raise failure(exitcodes.INVALID, option, why, "", following)


def _refuse_mistakes(project: Project, env: str) -> None:
    """Mistakes in what all share. A tenant's broken file is told by its stage, and holds up that tenant alone."""
    from ansible_collections.smartercl.smarteros.plugins.plugin_utils import rules

    mistakes = rules.judge_specs(project.specs_dir, env, tenants=())
    if mistakes:
        raise Failure(exitcodes.INVALID, *(mistake.as_error() for mistake in mistakes))


def _version(project: Project, release: str | None) -> str:
    """The release that is deployed. Raises Failure where the specs know none of this name."""
    from ansible_collections.smartercl.smarteros.plugins.plugin_utils import releases

    with tenants.sound_specs():
        try:
            return str(releases.load(project.specs_dir, release or None).version)
        except releases.UnknownRelease as exc:
            where, following = "specs/smos-version.yml", "See `smos releases`"
            raise failure(exitcodes.INVALID, f"release {release}", str(exc), where, following) from exc


def _busy(busy: deploy_journal.Busy, now: float) -> Failure:
    entry = busy.entry
    if entry.get("state") != deploy_journal.RUNNING:
        why = "another `smos deploy all` of this environment is at its preflight"
        return failure(exitcodes.REFUSED, COMMAND, why, "", "Wait for it; see `smos history`")
    age = max(0.0, now - datetime.fromisoformat(entry["at"]).timestamp())
    why = f"run {entry['run']} (process {entry['pid']}) has deployed for {age:.0f} s"
    return failure(exitcodes.REFUSED, COMMAND, why, "", f"Wait for it; see `smos history {entry['run']}`")


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
