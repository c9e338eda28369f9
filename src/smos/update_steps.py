# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What the updates share: running programs, comparing versions, and the course of one: look, move, check, go back."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from gettext import gettext as _
from pathlib import Path
from typing import Any, Protocol

from smos import exitcodes, records
from smos.outcome import Error, Failure, Outcome, Speaker, failure
from smos.project import Project
from smos.redact import Redactor
from smos.settings import Settings

PATIENCE_S = 120.0
INSTALL_S = 1800.0  # packages over a slow line
SHOWN = 400  # characters of what a program said
VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?")
_LOGIN = re.compile(r"://[^/\s@]+@")


@dataclass(frozen=True)
class Ended:
    """How a program ended. ``code`` is -1 where it took too long."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """The end of what it said, on one line, without a login that stood in an address."""
        words = " ".join((self.err.strip() or self.out.strip()).split())
        return _LOGIN.sub("://***@", words)[-SHOWN:] or f"it ended with {self.code}"


def run(
    words: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    patience: float = PATIENCE_S,
) -> Ended:
    """Run a program to its end. Raises OSError where it does not start."""
    try:
        done = subprocess.run(
            words,
            cwd=cwd,
            env=env,
            timeout=patience,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
        )
    except subprocess.TimeoutExpired:
        return Ended(-1, "", f"no end within {patience:.0f} s")
    return Ended(done.returncode, done.stdout, done.stderr)


def version_key(text: str) -> tuple[int, int, int, bool, tuple[tuple[bool, int, str], ...]]:
    """What versions are ordered by; a pre-release comes before its release. Raises ValueError for other texts."""
    found = VERSION.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text} is no version")
    major, minor, patch, pre = found.groups()
    parts = tuple((not each.isdigit(), int(each) if each.isdigit() else 0, each) for each in (pre or "").split("."))
    return int(major), int(minor), int(patch), pre is None, parts


def change(tool: str, what: str, before: str | None, after: str) -> dict[str, Any]:
    """One change in the form of the contract."""
    action = "update" if before else "create"
    return {"service": tool, "tenant": None, "action": action, "what": what, "before": before, "after": after}


@dataclass
class Offer:
    """What a look found: the version that is here, the newest one, and the wanted one."""

    what: str
    how: str
    present: str | None
    newest: str
    wanted: str
    due: bool
    """Whether there is anything to do."""
    notes: list[str] = field(default_factory=list)
    """What a person should know."""
    blocked: list[Error] = field(default_factory=list)
    """Why it would be refused."""
    code: int = exitcodes.REFUSED
    """What it ends with where it is blocked."""
    signature: str | None = None

    def as_result(self) -> dict[str, Any]:
        """The look as a result tells it."""
        return {
            "how": self.how,
            "present": self.present,
            "newest": self.newest,
            "wanted": self.wanted,
            "signature": self.signature,
            "notes": list(self.notes),
        }


class Way(Protocol):
    """One way of updating something."""

    tool: str

    def look(self) -> Offer:
        """Find out what is here and what there is. Changes nothing that is in use. Raises Failure."""

    def move(self, offer: Offer) -> None:
        """Bring in the wanted version. Raises Failure, having changed nothing or having gone back."""

    def checks(self, offer: Offer) -> Iterator[dict[str, Any]]:
        """Run what is new; each check gives `what`, `ok` and `message`."""

    def back(self) -> str:
        """Go back to what was there; gives in words where that is. Raises Failure."""

    def settle(self) -> None:
        """Forget the way back, once the new one was found good or left again."""


def carry_out(way: Way, settings: Settings, speaker: Speaker, project: Project) -> int:
    """Look, and unless it is a check, update; gives the exit code."""
    with _alone(project.state_dir, settings.check):
        offer = way.look()
        changes = [change(way.tool, offer.what, offer.present, offer.wanted)] if offer.due else []
        if settings.check:
            return _foretold(offer, changes, speaker)
        if not offer.due:
            result = {**offer.as_result(), "checks": [], "went_back": False}
            return speaker.finish(Outcome(result), lambda: show(offer, [], ""))
        if offer.blocked:
            raise Failure(offer.code, *offer.blocked)
        return _updated(way, offer, changes, settings, speaker, project)


def _foretold(offer: Offer, changes: list[dict[str, Any]], speaker: Speaker) -> int:
    errors = tuple(offer.blocked) if offer.due else ()
    code = offer.code if errors else exitcodes.DONE
    outcome = Outcome({"changes": changes, **offer.as_result()}, errors, bool(changes), code)
    return speaker.finish(outcome, lambda: show(offer, [], f"{offer.wanted} would be installed" if offer.due else ""))


def _updated(
    way: Way, offer: Offer, changes: list[dict[str, Any]], settings: Settings, speaker: Speaker, project: Project
) -> int:
    book, run_id = records.Records(project.state_dir, Redactor(os.environ)), records.new_id()
    book.begin(run_id, speaker.command, settings.env, sys.argv[1:])
    outcome, ending = Outcome(code=exitcodes.INTERRUPTED, run=run_id), "interrupted"
    try:
        outcome, checks, ending = _moved(way, offer, run_id, settings.quiet)
    except Failure as exc:
        outcome = Outcome(errors=exc.outcome.errors, code=exc.outcome.code, run=run_id)
        ending, checks = "failed", []
    finally:
        book.end(run_id, speaker.document(outcome), changes if outcome.changed else [], ending)
    words = "updated" if outcome.changed else ""
    return speaker.finish(outcome, lambda: show(offer, checks, words))


def _moved(way: Way, offer: Offer, run_id: str, quiet: bool) -> tuple[Outcome, list[dict[str, Any]], str]:
    """Move, check, and go back where a check fails or somebody stops it."""
    say(f"{offer.what}: {offer.present or 'nothing'} → {offer.wanted}", quiet)
    checks: list[dict[str, Any]] = []
    try:
        way.move(offer)
        for each in way.checks(offer):
            say(f"{'✓' if each['ok'] else '✗'} {each['what']}", quiet)
            checks.append(each)
    except KeyboardInterrupt:
        say(f"stopped; {way.back()}", quiet)
        way.settle()
        raise
    bad = [each for each in checks if not each["ok"]]
    where = way.back() if bad else ""
    way.settle()
    result = {**offer.as_result(), "checks": checks, "went_back": bool(bad)}
    if not bad:
        return Outcome(result, changed=True, run=run_id), checks, "done"
    following = f"{where}. Tell whoever made the release; --to VERSION takes another one"
    errors = tuple({"what": each["what"], "where": "", "why": each["message"], "next": following} for each in bad)
    return Outcome(result, errors, code=exitcodes.FAILED, run=run_id), checks, "failed"


@contextmanager
def _alone(state: Path, check: bool) -> Iterator[None]:
    """One update at a time; the kernel drops the lock of a process that died. A check neither takes nor minds it."""
    if check:
        yield
        return
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (state / "update.lock").open("w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            why = "another update is being made"
            raise failure(exitcodes.REFUSED, "update", why, str(state), "Wait for its end") from None
        yield


def runs_now(project: Project) -> list[Error]:
    """The runs that lean on what is about to be replaced, as reasons to refuse."""
    book = records.Records(project.state_dir, Redactor(os.environ))
    following = "Wait for its end, then run the same command again"
    return [
        {
            "what": f"run {each['run']}",
            "where": each["who"],
            "why": f"`{each['command']}` runs since {each['started_at']}, with the files that would be replaced",
            "next": following,
        }
        for each in book.all(limit=200)
        if each["state"] == "running"
    ]


def show(offer: Offer, checks: Sequence[Mapping[str, Any]], ending: str) -> None:
    """Tell the outcome to a person."""
    out = sys.stdout.write
    out(f"{offer.what} ({offer.how})\n")
    out("  " + _("here    {version}").format(version=offer.present or _("not installed")) + "\n")
    out("  " + _("newest  {version}").format(version=offer.newest) + "\n")
    if offer.wanted != offer.newest:
        out("  " + _("wanted  {version}").format(version=offer.wanted) + "\n")
    for note in offer.notes:
        out(f"  {note}\n")
    for each in checks:
        out(f"  {'✓' if each['ok'] else '✗'} {each['what']}\n")
    if ending or not offer.due:
        out(f"  {ending or _('nothing to do')}\n")


def say(line: str, quiet: bool) -> None:
    """A line of progress, on stderr."""
    if not quiet:
        sys.stderr.write(f"smos: {line}\n")
        sys.stderr.flush()
