# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The single stages of `smos deploy all`: which play each is, whether it has to run, and what it came to."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from smos import (
    backup_work,
    deploy_policy,
    deploy_work,
    exitcodes,
    frontend_work,
    plan_work,
    play,
    stages,
    view,
    work,
)
from smos.deploy_journal import Journal, fingerprint
from smos.deploy_policy import Policy
from smos.project import Project
from smos.settings import Settings
from smos.stages import Foreseen

NAMES_PATIENCE_S = 300.0  # until a record that was just made is known to resolvers
NAMES_PAUSE_S = 2.0
GOES_ON = "The same command goes on from here"

Row = dict[str, Any]
Ended = tuple[list[dict[str, str]], int]
"""Errors and exit code of a stage."""


@dataclass
class Deploy:
    """One deploy of everything: what is wanted, and what it came to so far."""

    project: Project
    settings: Settings
    policy: Policy
    run: str
    version: str
    is_named: bool
    skipped: frozenset[str]
    journal: Journal
    no_machine: str = ""
    """Why there is no machine; empty where there is one."""
    foreseen: dict[str, Foreseen] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    changes: list[Row] = field(default_factory=list)
    changed: bool = False
    found: Row = field(default_factory=lambda: {"previous": "", "services": {}, "backup": None})

    @property
    def release(self) -> str | None:
        """The release as it was asked for; the plays find the current one by themselves."""
        return self.version if self.is_named else None

    @property
    def wish(self) -> dict[str, Any]:
        """What must be the same, so that a run may go on where another one stopped."""
        return {"release": self.version, "specs": fingerprint(self.project.specs_dir), "skipped": sorted(self.skipped)}

    def take(self, name: str, state: str, began: float, message: str = "", *, changed: bool = False) -> None:
        """Add the row of a stage."""
        seconds = round(time.monotonic() - began, 3)
        self.rows.append({"stage": name, "state": state, "changed": changed, "duration_s": seconds, "message": message})

    def result(self) -> Row:
        """The result of the contract. Stages that the run did not come to are told as such."""
        told = {row["stage"] for row in self.rows}
        left = [
            {"stage": name, "state": stages.NOT_RUN, "changed": False, "duration_s": 0.0, "message": ""}
            for name in stages.NAMES
            if name not in told
        ]
        return {"release": self.version, **self.found, "stages": [*self.rows, *left]}

    def say(self, text: str) -> None:
        """A notice for a person, on stderr."""
        if not self.settings.quiet:
            sys.stderr.write(f"! {text}\n")


def stopped() -> dict[str, str]:
    """The error of Ctrl-C."""
    return {"what": "deploy all", "where": "", "why": "stopped by Ctrl-C", "next": GOES_ON}


def carry_out(deploy: Deploy, name: str, before: Mapping[str, Any] | None) -> Ended:
    """Run a stage, or say why not. ``before``: what the journal says where an unfinished deploy has done it already."""
    began = time.monotonic()
    state, message = _why_not(deploy, name, before)
    if state:
        deploy.take(name, state, began, message)
        if state in (stages.NOTHING, stages.DONE):
            deploy.journal.stage(name, **(before or {"state": stages.DONE, "run": deploy.run, "changed": False}))
        return [], exitcodes.DONE
    deploy.journal.stage(name, state="running", run=deploy.run, changed=False)
    if name == stages.BACKEND.name:
        _wait_for_names(deploy)
    errors, code, changed, message = _RUN.get(name, _play)(deploy, name)
    ended = {exitcodes.DONE: stages.DONE if changed else stages.NOTHING, exitcodes.INTERRUPTED: stages.STOPPED}
    deploy.take(name, ended.get(code, stages.FAILED), began, message, changed=changed)
    done = stages.DONE if code == exitcodes.DONE else ended.get(code, stages.FAILED)
    deploy.journal.stage(name, state=done, run=deploy.run, changed=changed)
    return errors, code


def _why_not(deploy: Deploy, name: str, before: Mapping[str, Any] | None) -> tuple[str, str]:
    """(state, message) of a stage that does not run; empty where it has to."""
    if name in deploy.skipped:
        return stages.SKIPPED, "by --skip"
    if name in (stages.BACKUP, stages.BACKEND.name, stages.HEALTH) and deploy.no_machine:
        return stages.UNAVAILABLE, deploy.no_machine
    if name == stages.BACKUP:
        return _no_backup(deploy, before)
    if name == stages.HEALTH:
        return "", ""
    found = deploy.foreseen[name]
    if found.state != stages.NOTHING:
        return "", ""
    if before:
        return stages.DONE, f"done in run {before['run']}"
    return ("", "") if found.stage.keeps_books else (stages.NOTHING, "")


def _no_backup(deploy: Deploy, before: Mapping[str, Any] | None) -> tuple[str, str]:
    if not deploy.policy.backup:
        return stages.NOTHING, f"environment {deploy.settings.env} asks for none"
    if before:
        return stages.DONE, f"done in run {before['run']}"
    backend = deploy.foreseen.get(stages.BACKEND.name)
    if backend and backend.previous == "":
        return stages.NOTHING, "nothing was ever deployed on the machine"
    if not any(each.changes or each.state == stages.FAILED for each in deploy.foreseen.values()):
        return stages.NOTHING, "nothing will change"
    return "", ""


def _played(deploy: Deploy, title: str, wish: play.Play) -> play.Played:
    """Run a play of this deploy with a view of its own, and learn what it changed."""
    settings = deploy.settings
    quiet = settings.quiet or settings.verbose > 0 or (settings.as_json and not sys.stderr.isatty())
    lines = view.View(f"{title} in {settings.env}", quiet, warnings=not settings.quiet and not settings.verbose)
    with lines:
        played = play.run(wish, deploy.project, settings, lines.take)
    if played.interrupted:
        work.release_locks(deploy.project, settings.env, deploy.run)
    return played


def _ended(played: play.Played) -> Ended:
    """Errors and exit code. A stage that fails was attempted, whatever its own command would end with."""
    if played.interrupted:
        return [*played.errors, stopped()], exitcodes.INTERRUPTED
    failed = played.code != exitcodes.DONE or bool(played.errors)
    return list(played.errors), exitcodes.FAILED if failed else exitcodes.DONE


def _play(deploy: Deploy, name: str) -> tuple[list[dict[str, str]], int, bool, str]:
    stage = next(each for each in stages.PLANNED if each.name == name)
    wish = plan_work.play_of(stage, deploy.run, None, deploy.release)
    played = _played(deploy, stage.title, wish)
    changes = [stages.complete(change, stage) for change in played.changes]
    deploy.changes += changes
    deploy.changed = deploy.changed or played.changed
    _learn(deploy, stage, played)
    counted = ", ".join(f"{count} {action}" for action, count in stages.counts(changes).items() if count)
    errors, code = _ended(played)
    return errors, code, played.changed, errors[0]["why"] if errors else counted


def _learn(deploy: Deploy, stage: stages.Stage, played: play.Played) -> None:
    """Take what the machine and Vercel say of releases and services into the result."""
    if stage is stages.BACKEND:
        told = deploy_work.result_of(played)
        deploy.found["previous"] = told["previous"]
        deploy.found["backup"] = told["backup"] or deploy.found["backup"]
    elif stage is stages.FRONTEND:
        told = frontend_work.result_of(played)
        deploy.found["previous"] = deploy.found["previous"] or told["previous"]
    else:
        return
    deploy.found["services"].update(told["services"])


def _backup(deploy: Deploy, _name: str) -> tuple[list[dict[str, str]], int, bool, str]:
    variables = {"backup_services": [], "backup_accept_shrunk": False}
    played = _played(deploy, "backup", play.Play("backup.yml", deploy.run, variables))
    taken = backup_work.result_of(played, "backup", backup_work.NOTHING_TAKEN)
    deploy.found["backup"] = taken["backup"]
    deploy.changes += [stages.complete(change, stages.BACKEND) for change in played.changes]
    deploy.changed = deploy.changed or played.changed
    errors, code = _ended(played)
    return errors, code, played.changed, errors[0]["why"] if errors else f"backup {taken['backup']}"


def _health(deploy: Deploy, _name: str) -> tuple[list[dict[str, str]], int, bool, str]:
    played = _played(deploy, "health", play.Play("status.yml", deploy.run))
    errors, code = _ended(played)
    found: Mapping[str, Any] = next((result["status"] for _action, result in played.results if "status" in result), {})
    wrong = deploy_policy.unhealthy(found.get("services") or {})
    if code == exitcodes.DONE and wrong and deploy.policy.health:
        errors, code = wrong, exitcodes.FAILED
    for row in wrong if code == exitcodes.DONE else []:
        deploy.say(f"{row['what']}: {row['why']}")
    return errors, code, False, errors[0]["why"] if errors else f"{len(wrong)} services are not up" if wrong else ""


_RUN = {stages.BACKUP: _backup, stages.HEALTH: _health}


def _wait_for_names(deploy: Deploy) -> None:
    """Wait for names that stage dns has just made, and that the machine's deploy would miss; it judges by itself then."""
    found = deploy.foreseen[stages.BACKEND.name]
    names = [row["what"] for row in found.errors if stages.held_back(row, found.stage, deploy.foreseen)]
    until = time.monotonic() + NAMES_PATIENCE_S
    if names:
        deploy.say(f"waiting for {', '.join(names)} to resolve")
    while names and time.monotonic() < until:
        names = [name for name in names if not _resolves(name)]
        if names:
            time.sleep(NAMES_PAUSE_S)


def _resolves(name: str) -> bool:
    try:
        return bool(socket.getaddrinfo(name, 443, type=socket.SOCK_STREAM))
    except OSError:
        return False


def notice(deploy: Deploy, errors: list[dict[str, str]]) -> None:
    """Tell the admin, where the environment wants it and there is something to tell. That it fails is only told."""
    began = time.monotonic()
    if stages.NOTICE in deploy.skipped:
        return deploy.take(stages.NOTICE, stages.SKIPPED, began, "by --skip")
    if not deploy.policy.notice:
        return deploy.take(stages.NOTICE, stages.NOTHING, began, f"environment {deploy.settings.env} asks for none")
    if not deploy.changed and not errors:
        return deploy.take(stages.NOTICE, stages.NOTHING, began)
    variables = {"notice_text": notice_text(deploy, errors), "notice_channels": []}
    played = _played(deploy, "notice", play.Play("notify.yml", deploy.run, variables))
    why = played.errors[0]["why"] if played.errors else ""
    if why:
        deploy.say(f"the admin was not told: {why}")
    return deploy.take(stages.NOTICE, stages.FAILED if why else stages.DONE, began, why)


def notice_text(deploy: Deploy, errors: list[dict[str, str]]) -> str:
    """What the admin reads: short, without line ends that a message template refuses."""
    failed = [row["stage"] for row in deploy.rows if row["state"] == stages.FAILED]
    if errors:
        why = " ".join(f"{errors[0]['what']}: {errors[0]['why']}".split())
        text = f"deploy of {deploy.version} to {deploy.settings.env} failed at {', '.join(failed)}: {why} (run {deploy.run})"
    else:
        text = f"release {deploy.version} was deployed to {deploy.settings.env}: {len(deploy.changes)} changes (run {deploy.run})"
    return text[:400]
