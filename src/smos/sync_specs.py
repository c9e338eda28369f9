# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""`smos sync specs`: validate, look for secrets, commit what is below the specs, pull with rebase, push."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path, PurePosixPath
from typing import Any

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import documents, rules
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.workflow_sync_git import Change, Git, GitError, find
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.workflow_sync_secrets import Known
from smos import exitcodes, records, sync_message, sync_remote, sync_scan, tenant_work, work
from smos.outcome import Failure, Outcome, Speaker, failure
from smos.project import Project
from smos.redact import Redactor
from smos.settings import Settings

COMMAND = "sync specs"


@dataclass(frozen=True)
class Task:
    """What is to be committed and sent, once everything was judged."""

    git: Git
    specs: Path
    edits: Sequence[sync_message.Edit]
    secret: Known
    project: Project
    settings: Settings

    @property
    def message(self) -> str:
        """What the commit says; empty where nothing changed."""
        return sync_message.message(self.edits) if self.edits else ""

    @property
    def rows(self) -> list[Mapping[str, Any]]:
        """The changes in the form of the contract."""
        return [_row(edit) for edit in self.edits]

    def patch(self) -> str:
        """The differences, where they are asked for."""
        return self.git.difference(self.paths) if self.settings.diff and self.edits else ""

    @property
    def paths(self) -> list[Path]:
        """The files that changed."""
        return [self.specs / edit.path for edit in self.edits]


def carry_out(settings: Settings) -> int:
    """Do all of it; gives the exit code."""
    speaker = Speaker(COMMAND, settings.env, settings.as_json)
    project = work.project_for(settings)
    specs = project.specs_dir.resolve()
    git = checkout(specs)
    try:
        changes = [each for each in git.changes(specs) if not _is_passing(each.path)]
        edits = [_edit(git, specs, each) for each in changes]
        _refuse_merge_marks(git, changes)
        _refuse_mistakes(specs, settings.env)
        secret, notes = sync_scan.known(project, settings.env)
        hits = sync_scan.files(git.top, (each.path for each in changes), secret)
        if hits:
            raise Failure(exitcodes.REFUSED, *hits)
        for note in notes if not settings.quiet else ():
            sys.stderr.write(f"smos: {note}\n")
        task = Task(git, specs, edits, secret, project, settings)
        return _foretell(task, speaker) if settings.check else _work(task, speaker)
    except GitError as exc:
        raise failure(exitcodes.UNUSABLE, exc.command, str(exc), str(git.top), "Repair that; see git status") from None


def _is_passing(path: str) -> bool:
    """Whether it is a lock or a half-written file of the registry, in specs whose checkout ignores none of them."""
    name = path.partition("tenants/registry/")[2]
    return name.startswith(".") and name != ".gitkeep"


def checkout(specs: Path) -> Git:
    """The checkout that the specs are in, fit for a commit. Raises Failure (3)."""
    try:
        git = find(specs)
    except GitError as exc:
        raise failure(exitcodes.UNUSABLE, "git", str(exc), str(specs), "Install git, or repair what it names") from None
    if git is None:
        following = (
            f"git -C {specs} init, git -C {specs} add --all, and a first commit; or name a checkout with --specs DIR"
        )
        raise failure(exitcodes.UNUSABLE, "specs", "the folder is in no git checkout", str(specs), following)
    under_way = git.under_way()
    if under_way:
        following = "End it (git status says how), or take it back with --abort; then run the same command again"
        raise failure(exitcodes.UNUSABLE, "specs", f"{under_way} was begun and not ended", str(git.top), following)
    if not git.branch:
        following = "git switch BRANCH, then run the same command again"
        raise failure(exitcodes.UNUSABLE, "specs", "no branch is checked out (detached HEAD)", str(git.top), following)
    nobody = git.no_identity()
    if nobody:
        following = "git config --global user.name 'Your name' and git config --global user.email you@example.com"
        raise failure(exitcodes.UNUSABLE, "git", "it does not know who commits", str(git.top), following)
    return git


def _refuse_merge_marks(git: Git, changes: Sequence[Change]) -> None:
    """Raise Failure (2) for files in which a merge was not ended."""
    rows = []
    for each in changes:
        path = git.top / each.path
        lines = path.read_bytes().decode(errors="replace").splitlines() if path.is_file() else []
        marked = [number for number, line in enumerate(lines, start=1) if line.startswith(documents.MERGE_MARKS)]
        if marked or each.action == "unmerged":
            where = f"{each.path}:{marked[0]}" if marked else each.path
            following = "Choose between the two versions, then git add the file and run the same command again"
            rows.append({"what": "merge", "where": where, "why": "a merge in it was not ended", "next": following})
    if rows:
        raise Failure(exitcodes.INVALID, *rows)


def _refuse_mistakes(specs: Path, env: str) -> None:
    mistakes = _mistakes(specs, env)
    if mistakes:
        raise Failure(exitcodes.INVALID, *mistakes)


def _mistakes(specs: Path, env: str) -> list[dict[str, str]]:
    return [mistake.as_error() for mistake in rules.judge_specs(specs, env)]


def _edit(git: Git, specs: Path, change: Change) -> sync_message.Edit:
    path = str((git.top / change.path).relative_to(specs))
    action = "update" if change.action == "unmerged" else change.action
    if not sync_message.is_tenant(path):
        return sync_message.Edit(path, action)
    before = git.shown(change.path) if action != "create" else None
    file = git.top / change.path
    after = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else None
    return sync_message.Edit(path, action, _spec(before), _spec(after))


def _spec(text: str | None) -> Mapping[str, Any] | None:
    """What a tenant's file wishes; None where it cannot be read, which validation tells."""
    try:
        found = documents.parse(text, "tenant") if text else None
    except documents.DocumentError:
        return None
    spec = found.get("spec") if isinstance(found, dict) else None
    return spec if isinstance(spec, dict) else None


def _row(edit: sync_message.Edit) -> dict[str, Any]:
    tenant = PurePosixPath(edit.path).stem if sync_message.is_tenant(edit.path) else None
    told = [
        {"plan": each.get("plan"), "slug": each.get("slug")} if each else None for each in (edit.before, edit.after)
    ]
    return {
        "service": "specs",
        "tenant": tenant,
        "action": edit.action,
        "what": edit.path,
        "before": told[0],
        "after": told[1],
    }


def _foretell(task: Task, speaker: Speaker) -> int:
    """Tell what would be committed; the remote is not asked."""
    rows, message, patch = task.rows, task.message, task.patch()

    def human() -> None:
        sys.stdout.write(patch)
        tenant_work.show_changes(rows)
        if message:
            sys.stdout.write(_("commit message: {message}").format(message=message.splitlines()[0]) + "\n")

    return speaker.finish(Outcome({"changes": rows, "message": message}, changed=bool(rows)), human)


def _work(task: Task, speaker: Speaker) -> int:
    """Commit, pull, push, on record."""
    run, book = records.new_id(), records.Records(task.project.state_dir, Redactor(os.environ))
    book.begin(run, COMMAND, task.settings.env, sys.argv[1:])
    patch, rows = task.patch(), task.rows
    commit, sent = "", sync_remote.Sent()
    try:
        commit = task.git.commit(task.message, task.paths) if rows else ""
        sent = _send(task)
    except GitError as exc:
        following = "Repair that, then run the same command again: nothing was committed"
        sent.errors.append({"what": exc.command, "where": str(task.git.top), "why": str(exc), "next": following})
    result = {
        "commit": task.git.head if commit else "",  # a rebase gives it another name
        "message": task.message,
        "pushed": bool(sent.pushed),
        "pulled": sent.pulled,
        "changes": rows,
        "notes": sent.notes,
    }
    changed = bool(commit or sent.pulled or sent.pushed)
    code = exitcodes.FAILED if sent.errors else exitcodes.DONE
    outcome = Outcome(result, tuple(sent.errors), changed, code, run)
    book.end(run, speaker.document(outcome), [dict(each) for each in rows], "failed" if sent.errors else "done")
    return speaker.finish(outcome, lambda: _show(outcome, sent, patch))


def _send(task: Task) -> sync_remote.Sent:
    """Pull and push, where there is a remote. Raises nothing: what fails is in the rows."""
    try:
        where = sync_remote.upstream(task.git)
    except sync_remote.Stopped as exc:
        return sync_remote.Sent(errors=list(exc.rows))
    if where is None:
        return sync_remote.Sent(notes=["the checkout has no remote: the commit stays here (git remote add origin URL)"])

    def look(span: str) -> list[dict[str, str]]:
        """What looks like a secret in commits that somebody else, or a person by hand, has made."""
        words = ("--patch", "--no-color", "--no-ext-diff", "--format=", span)
        return sync_scan.patch(task.git.run("log", *words, "--", str(task.specs)), task.secret)

    return sync_remote.send(task.git, where, lambda: _mistakes(task.specs, task.settings.env), look)


def _show(outcome: Outcome, sent: sync_remote.Sent, patch: str) -> None:
    sys.stdout.write(patch)
    result = outcome.result
    lines = [f"{row['action']:<7} {row['what']}" for row in result["changes"]]
    if result["commit"]:
        lines.append(f"commit {result['commit'][:12]}  {result['message'].splitlines()[0]}")
    if sent.pulled:
        lines.append(_("commits pulled: {count}").format(count=sent.pulled))
    if sent.pushed:
        lines.append(_("commits pushed: {count}").format(count=sent.pushed))
    lines += list(result["notes"])
    if not outcome.changed and not outcome.errors:
        lines.append(_("nothing to change"))
    sys.stdout.write("".join(f"{line}\n" for line in lines))
