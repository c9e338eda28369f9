# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""`smos sync workflows`: run the playbook that compares n8n with the files, and show what came of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from gettext import gettext as _
from typing import Any

from smos import exitcodes, play, records, tenant_work, vault_password, view, work
from smos.outcome import Outcome, Speaker, failure
from smos.redact import Redactor
from smos.settings import Settings

ACTION = "workflow_sync"
COMMAND = "sync workflows"
SIDES = ("n8n", "file")
TOLD = ("commit", "message", "changes", "files", "states", "copies", "deviations", "masked")


def carry_out(push: bool, resolve: Sequence[str], commit: bool, settings: Settings) -> int:
    """Compare, write or push, commit, tell; gives the exit code."""
    speaker = Speaker(COMMAND, settings.env, settings.as_json)
    variables = {"sync_push": push, "sync_resolve": decided(resolve), "sync_commit": commit}
    project = work.project_for(settings)
    work.ready_sandbox(settings, project)
    vault_password.ready(settings.env)
    run, book = records.new_id(), records.Records(project.state_dir, Redactor(os.environ))
    if not settings.check:
        book.begin(run, COMMAND, settings.env, sys.argv[1:])
    quiet = settings.quiet or settings.verbose > 0 or (settings.as_json and not sys.stderr.isatty())
    lines = view.View(_title(push, settings.env), quiet, warnings=not settings.quiet and not settings.verbose)
    wish = play.Play("sync_workflows.yml", run, variables, settings.limit, settings.check)
    with lines:
        played = play.run(wish, project, settings, lines.take)
    if played.interrupted:
        work.release_locks(project, settings.env, run)
        following = "The same command goes on from here"
        played.errors.append({"what": COMMAND, "where": "", "why": "stopped by Ctrl-C", "next": following})
    told = [result for action, result in played.results if action == ACTION]
    result = told[-1] if told else {}
    outcome = _outcome(result, played, None if settings.check else run)
    if not settings.check:
        state = "interrupted" if played.interrupted else "done" if outcome.code == exitcodes.DONE else "failed"
        book.end(run, speaker.document(outcome), list(outcome.result.get("changes", ())), state)
    return speaker.finish(outcome, lambda: _show(outcome, result, settings))


def decided(words: Sequence[str]) -> dict[str, str]:
    """`NAME=n8n` and `NAME=file` as a mapping. Raises Failure for anything else."""
    found = {}
    for word in words:
        name, _equals, side = word.partition("=")
        if side not in SIDES or not name:
            following = "Write --resolve NAME=n8n or --resolve NAME=file, NAME being a file without its ending"
            raise failure(exitcodes.INVALID, "--resolve", f"{word!r} names no side", "", following)
        found[name.removesuffix(".json")] = side
    return found


def _title(push: bool, env: str) -> str:
    return f"apply the files to n8n of {env}" if push else f"bring the workflows of n8n of {env} into the specs"


def _outcome(result: Mapping[str, Any], played: play.Played, run: str | None) -> Outcome:
    code = played.code
    if code == exitcodes.FAILED and result.get("exit_code"):
        code = int(result["exit_code"])
    told = {key: result[key] for key in TOLD if key in result}
    return Outcome(told, tuple(played.errors), bool(told.get("changes")), code, run)


def _show(outcome: Outcome, result: Mapping[str, Any], settings: Settings) -> None:
    """Print the changes, what is ahead, and the commit."""
    if settings.diff and not settings.verbose:
        sys.stdout.write(str((result.get("diff") or {}).get("prepared", "")))
    if not result.get("states") and outcome.errors:
        return
    if settings.check:
        tenant_work.show_changes(outcome.result.get("changes", []))
    else:
        for change in outcome.result.get("changes", []):
            _say(f"{change['action']:<7} {change['what']}")
    for state, following in (
        ("n8n_ahead", _("changed in n8n; `smos sync workflows` takes them over")),
        ("file_ahead", _("changed in the file; --push applies them to n8n")),
        ("file_gone", _("the file was removed; the workflow is still in n8n")),
        ("gone_from_n8n", _("gone from n8n; remove the file, or make it again with --push")),
    ):
        named = [each for each in result.get("states", {}).get(state, ()) if each not in result["due"]]
        if named:
            _say(f"{', '.join(named)}: {following}")
    copies = ", ".join(f"{name} {count}" for name, count in result.get("copies", {}).items())
    if copies:
        _say(_("tenants' copies of templates, which get no file: {copies}").format(copies=copies))
    if result.get("commit"):
        _say(f"commit {result['commit'][:12]}  {result['message']}")
    if not outcome.errors and not outcome.changed and not settings.check:
        _say(_("nothing to change"))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
