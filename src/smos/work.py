"""A command that runs a playbook: sandbox, run record, live view, outcome. The same for every such command."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from smos import envfiles, exitcodes, play, records, vault_password
from smos.outcome import Outcome, Speaker, failure
from smos.project import Project, find
from smos.redact import Redactor
from smos.settings import Settings

LOCK_WAIT_S = 10.0  # an interrupted run of the same command may still be ending


@dataclass(frozen=True)
class Job:
    """Which playbook a command runs, and how its result is read once the play has ended."""

    command: str
    playbook: str
    title: str
    variables: Mapping[str, Any]
    result: Callable[[play.Played], Mapping[str, Any]]
    limit: str | None = None
    check: bool = False
    code_when_pending: int = exitcodes.DONE
    """What a check that found changes ends with."""
    stopped: str = "The same command goes on from here"
    """What follows after Ctrl-C."""


def project_for(settings: Settings) -> Project:
    """The project with the spec repository that the command line names; refuses an unknown environment.

    The environment's files are taken in first: they may name specs and state as well.
    """
    envfiles.enter(settings.env, settings.quiet)
    project = find({**os.environ, **({"SMOS_SPECS_REPO": settings.specs} if settings.specs else {})})
    folder = project.root / "inventories" / settings.env
    if not settings.env.isidentifier() or not folder.is_dir():
        known = ", ".join(sorted(path.name for path in folder.parent.iterdir() if path.is_dir()))
        why = "there is no such inventory"
        raise failure(
            exitcodes.INVALID, f"environment {settings.env}", why, str(folder.parent), f"Choose one of: {known}"
        )
    if not (project.specs_dir / "index.yml").is_file():
        following = "Give --specs DIR or SMOS_SPECS_REPO"
        raise failure(exitcodes.INVALID, "specs", "there is no index.yml", str(project.specs_dir), following)
    return project


def carry_out(job: Job, settings: Settings, speaker: Speaker, human: Callable[[Outcome], None]) -> int:
    """Run the job and tell its outcome; gives the exit code."""
    from smos import view  # not at the top: an agent's server is never shown, and starts for each conversation

    project = project_for(settings)
    check = job.check or settings.check
    ready_sandbox(settings, project)
    vault_password.ready(settings.env)
    run = records.new_id()
    book = records.Records(project.state_dir, Redactor(os.environ))
    if not check:
        book.begin(run, job.command, settings.env, sys.argv[1:])
    quiet = settings.quiet or settings.verbose > 0 or (settings.as_json and not sys.stderr.isatty())
    lines = view.View(job.title, quiet, warnings=not settings.quiet and not settings.verbose)
    wish = play.Play(job.playbook, run, {"lock_wait": LOCK_WAIT_S, **job.variables}, job.limit or settings.limit, check)
    with lines:
        played = play.run(wish, project, settings, lines.take)
    if played.interrupted:
        release_locks(project, settings.env, run)
        played.errors.append({"what": job.command, "where": "", "why": "stopped by Ctrl-C", "next": job.stopped})
    foretold = check and played.code == exitcodes.DONE
    result = {"changes": played.changes} if foretold else job.result(played)
    changed = bool(played.changes) if check else played.changed
    code = _code_of_check(job, played) if foretold else played.code
    outcome = Outcome(result, tuple(played.errors), changed, code, None if check else run)
    if not check:
        book.end(run, speaker.document(outcome), played.changes, _state(played))
    return speaker.finish(outcome, lambda: human(outcome))


def _code_of_check(job: Job, played: play.Played) -> int:
    """A check that foresees a failure ends as the run would."""
    if played.errors:
        return exitcodes.FAILED
    return job.code_when_pending if played.changes else exitcodes.DONE


def _state(played: play.Played) -> str:
    if played.interrupted:
        return "interrupted"
    return "done" if played.code == exitcodes.DONE else "failed"


def ready_sandbox(settings: Settings, project: Project) -> None:
    """Start the embedded sandbox where the environment is the sandbox and it does not run yet."""
    if settings.env != "sandbox" or os.environ.get("SMOS_SANDBOX_URL"):
        return
    from smos.sandbox import server

    try:
        server.ensure(project.state_dir / "sandbox")
    except server.SandboxError as exc:
        raise failure(
            exitcodes.UNUSABLE, "sandbox", str(exc), str(project.state_dir / "sandbox"), "See `smos sandbox status`"
        ) from exc


def release_locks(project: Project, env: str, run: str) -> None:
    """Give back the locks of a run that was stopped before it could do so itself."""
    from ansible_collections.smartercl.smarteros.plugins.plugin_utils import locks

    locks.Locks(project.specs_dir / "tenants" / "registry", env).release(run)
