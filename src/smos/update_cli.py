# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""`smos update cli`: a checkout moves to the tag of a release; an installed package is updated by pip (update_pip.py)."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import rules
from smos import __version__, exitcodes, update_git, update_steps, work
from smos.outcome import Failure, Speaker, failure
from smos.project import Project
from smos.settings import Settings
from smos.update_git import LEAVE, MERGE, STAY, Checkout, Place
from smos.update_steps import Offer, Way

TOOL = "smos"
_NOT_FOR_THE_NEW_ONE = ("SMOS_PROJECT_DIR", "ANSIBLE_CONFIG", "ANSIBLE_COLLECTIONS_PATH", "VIRTUAL_ENV", "PYTHONPATH")
_SHOWN_FILES = 5


def carry_out(to: str | None, settings: Settings) -> int:
    """Update smos; gives the exit code."""
    speaker = Speaker("update cli", settings.env, settings.as_json)
    if to is not None and update_steps.VERSION.fullmatch(to) is None:
        raise failure(exitcodes.INVALID, f"release {to}", "a release is named as v0.2.0", "--to", "See `git tag`")
    project = work.project_for(settings)
    way: Way
    if project.is_checkout:
        way = CheckoutWay(project, to, settings)
    else:
        from smos import update_pip

        way = update_pip.PipWay(project, to, settings)
    return update_steps.carry_out(way, settings, speaker, project)


class CheckoutWay:
    """The checkout that this command runs from. The launcher makes its environment anew where the packages changed."""

    tool = TOOL

    def __init__(self, project: Project, to: str | None, settings: Settings) -> None:
        self._project = project
        self._to = to
        self._settings = settings
        self._checkout = Checkout(project.root)
        self._mark = project.state_dir / "update.json"
        self._venv = project.state_dir / "venv"
        self._way = STAY
        self._from = Place("", "")
        self._environment = ""
        self._sound = True

    def look(self) -> Offer:
        """Ask the remote for its releases; unless it is a check, bring in the wanted tag and judge it."""
        self._checkout.must_be_one()
        left = self._cut_off()
        remote = self._checkout.remote()
        known = update_git.releases(self._project.root, remote)
        newest, wanted = update_git.chosen(known, left or self._to, remote)
        self._from = self._checkout.place() if not left else self._from
        offer = Offer(TOOL, f"checkout {self._project.root}", __version__, newest[1:], wanted[1:], due=True)
        offer.blocked += [*self._local_changes(), *update_steps.runs_now(self._project)]
        if left:
            offer.notes.append(f"the update to {left} was cut off; it goes on with the check of what is there")
        elif self._settings.check:
            offer.due = self._differs(wanted)
            offer.notes.append("what a tag holds is judged when it is fetched, which a check does not do")
        elif not offer.blocked:
            self._checkout.fetch(wanted, known[wanted], remote)
            offer.signature = self._checkout.verify(wanted)
            self._way = self._checkout.way_to(wanted, any_direction=self._to is not None)
            offer.due = self._way != STAY
            offer.notes += self._said_of_the_way(wanted, offer)
        return offer

    def move(self, offer: Offer) -> None:
        """Move the files. The note beside them lets the next call go on, should this one be killed."""
        if self._mark.exists():
            return
        self._sound = not rules.judge_specs(self._project.specs_dir, self._settings.env)
        self._environment = str(self._venv.readlink()) if self._venv.is_symlink() else ""
        tag = f"v{offer.wanted}"
        noted = {"to": tag, "commit": self._from.commit, "branch": self._from.branch}
        self._mark.write_text(json.dumps({**noted, "venv": self._environment, "sound": self._sound}), encoding="utf-8")
        try:
            self._checkout.move(tag, self._way)
        except Failure:
            self.settle()
            raise

    def checks(self, offer: Offer) -> Iterator[dict[str, Any]]:
        """Start the new one, which also makes its environment; look whether it knows its commands and takes the specs."""
        smos = str(self._project.root / "smos")
        if self._other_packages():
            log = self._project.state_dir / "setup.log"
            update_steps.say(
                f"its packages are others: making its environment takes a while ({log})", self._settings.quiet
            )
        said = yield from checked(f"smos --version says {offer.wanted}", [smos, "--version"], f"smos {offer.wanted}")
        if not said:
            return
        yield from checked("smos --help", [smos, "--help"])
        if self._sound:
            specs = ["--specs", str(self._project.specs_dir), "--env", self._settings.env]
            yield from checked("smos validate", [smos, *specs, "validate"])

    def back(self) -> str:
        """Put files, branch and environment back as they were."""
        self._checkout.back(self._from)
        if self._environment and (self._venv.parent / self._environment).is_dir():
            fresh = self._venv.with_name("venv.back")
            fresh.unlink(missing_ok=True)
            fresh.symlink_to(self._environment)
            fresh.replace(self._venv)
        return f"This checkout is back at {self._from.branch or 'commit'} {self._from.commit[:12]}"

    def settle(self) -> None:
        """Take the note away."""
        self._mark.unlink(missing_ok=True)

    def _other_packages(self) -> bool:
        """Whether the launcher will make the environment anew."""
        wanted, made = self._project.root / "requirements.lock", self._venv / "requirements.lock"
        return wanted.exists() and made.exists() and wanted.read_bytes() != made.read_bytes()

    def _cut_off(self) -> str:
        """The tag of an update that was killed half-way, or nothing. Where it did not come to move, it never was."""
        if self._settings.check or not self._mark.exists():
            return ""
        try:
            noted = json.loads(self._mark.read_text(encoding="utf-8"))
            self._from = Place(noted["commit"], noted["branch"])
            self._environment, self._sound, tag = noted["venv"], noted["sound"], str(noted["to"])
        except (ValueError, KeyError):
            self.settle()  # it was killed while it wrote this, which is before it moved
            return ""
        if self._checkout.under_way() == "merge":
            self._checkout.back(self._from)
        if self._checkout.place() == self._from:
            self.settle()
            return ""
        return tag

    def _differs(self, tag: str) -> bool:
        """Whether a tag that was not fetched is another version than this one, in the wanted direction."""
        here, there = update_steps.version_key(__version__), update_steps.version_key(tag)
        return here != there if self._to else here < there

    def _local_changes(self) -> list[dict[str, str]]:
        files, begun = self._checkout.changed_files(), self._checkout.under_way()
        if not files and not begun:
            return []
        shown = ", ".join(files[:_SHOWN_FILES]) + (", …" if len(files) > _SHOWN_FILES else "")
        why = f"a {begun} is under way" if begun else f"{len(files)} files are changed and not committed: {shown}"
        following = "Commit them or put them away (git stash), then run the same command again"
        return [{"what": "local changes", "where": str(self._project.root), "why": why, "next": following}]

    def _said_of_the_way(self, tag: str, offer: Offer) -> list[str]:
        notes = [f"signature {offer.signature}"]
        if self._way == MERGE:
            notes.append(f"the release is merged into {self._from.branch}, which has commits of its own")
        elif self._way == LEAVE and self._from.branch:
            notes.append(f"the checkout leaves the branch {self._from.branch}, which stays where it was")
        elif self._way == STAY and self._checkout.commit_of(tag) != self._from.commit:
            notes.append("this checkout is ahead of the newest release")
        return notes


def checked(what: str, words: list[str], expected: str = "") -> Generator[dict[str, Any], None, bool]:
    """Run a program of the new version; a generator that gives its check, and whether it went well."""
    try:
        done = update_steps.run(words, env=clean_environment(), patience=update_steps.INSTALL_S)
    except OSError as exc:
        yield {"what": what, "ok": False, "message": f"it does not start: {exc.strerror}"}
        return False
    good = done.code == 0 and (not expected or done.out.strip() == expected)
    message = "" if good else f"it ended with {done.code}: {done.said}"
    yield {"what": what, "ok": good, "message": message}
    return good


def clean_environment() -> dict[str, str]:
    """What a new version is started with: as from a shell in which this one does not run."""
    env = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_THE_NEW_ONE}
    own = str(Path(sys.prefix) / "bin")
    folders = [
        each for each in env.get("PATH", "").split(os.pathsep) if os.path.realpath(each) != os.path.realpath(own)
    ]
    return {**env, "PATH": os.pathsep.join(folders)}
