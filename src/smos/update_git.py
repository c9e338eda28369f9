# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""A git checkout of smos: its releases are tags vX.Y.Z of its remote. Moves to one and back, and loses nothing of its owner's.

- The branch stays where that is possible: it is moved forward, or the release is merged into it where its own commits touch
  the owner's files only. Otherwise the checkout leaves the branch, which stays where it was.
- A tag that was moved, or does not hold the version in its name, is refused; so is a bad signature where a key is configured.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from smos import exitcodes, update_steps
from smos.outcome import Failure, failure
from smos.update_steps import Ended

OWNERS_FILES = ("specs/", "inventories/", "system/env/")
KEY_SETTINGS = ("gpg.ssh.allowedSignersFile", "smos.releaseKey")
FORWARD, LEAVE, MERGE, STAY = "forward", "leave", "merge", "stay"
_RELEASE = re.compile(r"refs/tags/(v\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?)")
_VERSION_LINE = re.compile(r"^version: *[\"']?([^\"'\s]+)", re.MULTILINE)
_SHOWN_COMMITS = 3
_OURS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY")


@dataclass(frozen=True)
class Place:
    """Where a checkout stands. ``branch`` is empty where it is on none."""

    commit: str
    branch: str


def environment() -> dict[str, str]:
    """What git runs with: never a question on the terminal, messages in English, and no folder of a caller's hook."""
    kept = {name: value for name, value in os.environ.items() if name not in _OURS}
    kept.setdefault("GIT_SSH_COMMAND", "ssh -oBatchMode=yes")
    return {**kept, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_EDITOR": "true"}


def git(folder: Path, *words: str) -> Ended:
    """Run git in a folder. Raises Failure where there is no git."""
    try:
        return update_steps.run(["git", *words], cwd=folder, env=environment())
    except OSError as exc:
        why = f"it does not start: {exc.strerror}"
        raise failure(exitcodes.UNUSABLE, "git", why, "", "Install git, then run the same command again") from exc


def releases(folder: Path, remote: str) -> dict[str, str]:
    """The release tags of a remote, each with the object that it names. Raises Failure where the remote does not answer."""
    done = git(folder, "ls-remote", "--tags", "--refs", remote)
    if done.code != 0:
        following = "Check the network and the access to the repository (git ls-remote must work)"
        raise failure(exitcodes.UNUSABLE, f"remote {remote}", done.said, str(folder), following)
    found = {}
    for line in done.out.splitlines():
        object_id, _tab, name = line.partition("\t")
        release = _RELEASE.fullmatch(name)
        if release:
            found[release[1]] = object_id
    return found


def chosen(known: dict[str, str], to: str | None, where: str) -> tuple[str, str]:
    """(newest, wanted) tag. A pre-release is taken only by its name. Raises Failure where there is none."""
    ordered = sorted(known, key=update_steps.version_key)
    final = [tag for tag in ordered if "-" not in tag]
    if not final:
        raise failure(exitcodes.UNUSABLE, "releases", "there is no tag vX.Y.Z", where, "Is it the right remote?")
    if to is None:
        return final[-1], final[-1]
    wanted = to if to.startswith("v") else f"v{to}"
    if wanted not in known:
        raise failure(
            exitcodes.INVALID, f"release {to}", "there is no such tag", where, f"Known: {', '.join(ordered[-5:])}"
        )
    return final[-1], wanted


class Checkout:
    """One checkout. Paths are absolute; commits are whole ids."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def must_be_one(self) -> None:
        """Raise Failure where the folder is no checkout of its own."""
        done = self._git("rev-parse", "--show-toplevel")
        if done.code != 0 or Path(done.out.strip()).resolve() != self.root.resolve():
            why = done.said if done.code != 0 else f"it is a part of the repository {done.out.strip()}"
            following = "Clone the repository with git; an unpacked archive has no releases to move to"
            raise failure(exitcodes.UNUSABLE, "checkout", why, str(self.root), following)

    def place(self) -> Place:
        """Where it stands."""
        branch = self._git("symbolic-ref", "--quiet", "--short", "HEAD").out.strip()
        return Place(self._must("rev-parse", "HEAD^{commit}"), branch)

    def changed_files(self) -> list[str]:
        """Files that git knows and that differ from the last commit."""
        done = self._must("status", "--porcelain=v1", "--untracked-files=no")
        return [line[3:] for line in done.splitlines()]

    def under_way(self) -> str:
        """What git has begun here and not ended; empty where it is nothing."""
        names = {"MERGE_HEAD": "merge", "CHERRY_PICK_HEAD": "cherry-pick", "REVERT_HEAD": "revert"}
        names |= {"rebase-merge": "rebase", "rebase-apply": "rebase", "BISECT_LOG": "bisect"}
        places = self._must("rev-parse", *(word for name in names for word in ("--git-path", name))).splitlines()
        return next(
            (word for word, place in zip(names.values(), places, strict=True) if (self.root / place).exists()), ""
        )

    def remote(self) -> str:
        """The remote of the branch, else `origin`."""
        branch = self.place().branch
        named = self._git("config", "--get", f"branch.{branch}.remote").out.strip() if branch else ""
        return named if named and named != "." else "origin"

    def fetch(self, tag: str, object_id: str, remote: str) -> None:
        """Bring in a tag. Raises Failure where it is not what the remote said, or what it was here before."""
        here = self._git("rev-parse", "--verify", "--quiet", f"refs/tags/{tag}").out.strip()
        if here and here != object_id:
            why = f"it names {here[:12]} here and {object_id[:12]} at {remote}: a release's tag was moved"
            following = (
                f"Ask whoever makes the releases; if it is right so: git tag -d {tag}, and the same command again"
            )
            raise failure(exitcodes.REFUSED, f"tag {tag}", why, str(self.root), following)
        shallow = ["--unshallow"] if self._must("rev-parse", "--is-shallow-repository") == "true" else []
        done = self._git("fetch", "--quiet", "--no-tags", *shallow, remote, f"refs/tags/{tag}:refs/tags/{tag}")
        if done.code != 0:
            raise failure(exitcodes.UNUSABLE, f"tag {tag}", done.said, remote, "Check the network and the access")
        if self._must("rev-parse", f"refs/tags/{tag}") != object_id:
            why = "the remote changed it in this moment"
            raise failure(exitcodes.REFUSED, f"tag {tag}", why, remote, "Run the same command again")

    def commit_of(self, tag: str) -> str:
        """The commit of a tag that was fetched."""
        return self._must("rev-parse", f"refs/tags/{tag}^{{commit}}")

    def verify(self, tag: str) -> str:
        """Judge a tag: its version, and its signature where a key is configured; gives in words what was found.

        Raises Failure where it must not be used.
        """
        found = _VERSION_LINE.search(self._git("show", f"refs/tags/{tag}:galaxy.yml").out)
        if found is None or found[1] != tag[1:]:
            why = f"it holds version {found[1]}" if found else "it holds no galaxy.yml with a version"
            raise failure(exitcodes.REFUSED, f"tag {tag}", why, str(self.root), "Take another one with --to")
        keys = {name: self._git("config", "--get", name).out.strip() for name in KEY_SETTINGS}
        if not any(keys.values()):
            return f"not verified: no key is configured (git config {KEY_SETTINGS[0]} or {KEY_SETTINGS[1]})"
        done = self._git("verify-tag", "--raw", tag)
        wanted = keys[KEY_SETTINGS[1]].replace(" ", "")
        if done.code != 0 or wanted.upper() not in (done.out + done.err).upper():
            why = f"its signature is not good: {done.said}" if done.code else f"it was not signed with {wanted}"
            following = "Ask whoever makes the releases; do not use it"
            raise failure(exitcodes.REFUSED, f"tag {tag}", why, str(self.root), following)
        return "good"

    def way_to(self, tag: str, any_direction: bool) -> str:
        """How to get to a tag without losing a commit. Raises Failure where there is no such way.

        ``any_direction`` is False where only newer releases are wanted: a checkout that is ahead of the tag then stays.
        """
        place, target = self.place(), self.commit_of(tag)
        if place.commit == target:
            return STAY
        if self._is_ancestor(place.commit, target):
            return FORWARD
        if self._is_ancestor(target, place.commit) and not any_direction:
            return STAY
        own = self._own_commits(target)
        if not own:
            return LEAVE
        base = self._git("merge-base", place.commit, target).out.strip()
        files = self._must("diff", "--name-only", base, place.commit).splitlines() if base else []
        owners = bool(files) and all(name.startswith(OWNERS_FILES) for name in files)
        if owners and place.branch and base != target:
            return MERGE
        raise self._would_be_lost(tag, own)

    def move(self, tag: str, way: str) -> None:
        """Go there. Raises Failure, having changed nothing."""
        place = self.place()
        if way == MERGE:
            message = f"chore(specs): merge release {tag}"
            done = self._git("merge", "--quiet", "--no-ff", "-m", message, f"refs/tags/{tag}")
        elif way == FORWARD and place.branch:
            done = self._git("merge", "--quiet", "--ff-only", f"refs/tags/{tag}")
        else:
            done = self._git("checkout", "--quiet", "--detach", f"refs/tags/{tag}")
        if done.code == 0:
            return
        both = self._git("diff", "--name-only", "--diff-filter=U").out.split("\n")
        self.back(place)
        files = ", ".join(filter(None, both))
        why = f"you and the release have both changed {files}" if files else done.said
        following = f"Run git merge {tag} by hand, or move the named files away"
        raise failure(exitcodes.REFUSED, f"release {tag}", why, str(self.root), following)

    def back(self, place: Place) -> None:
        """Go back to where it stood; only files that git knows are touched. Raises Failure with the command to give."""
        if self.under_way() == "merge":
            self._git("merge", "--abort")
        steps = []
        if self.place().branch != place.branch:
            steps.append(["checkout", "--quiet", *([place.branch] if place.branch else ["--detach", place.commit])])
        steps.append(["reset", "--quiet", "--keep", place.commit])
        for words in steps:
            done = self._git(*words)
            if done.code != 0:
                following = f"git -C {self.root} checkout {place.branch or place.commit}; it stood at {place.commit}"
                raise failure(exitcodes.FAILED, "the way back", done.said, str(self.root), following)

    def _own_commits(self, target: str) -> list[str]:
        """Commits of this checkout that no release has, newest first, each with its subject."""
        listed = self._must("for-each-ref", "--format=%(refname)", "refs/tags/v*").splitlines()
        tags = [name for name in listed if _RELEASE.fullmatch(name)]
        return self._must("log", "--format=%h %s", "HEAD", "--not", target, *tags).splitlines()

    def _would_be_lost(self, tag: str, own: list[str]) -> Failure:
        shown = "; ".join(own[:_SHOWN_COMMITS]) + ("; …" if len(own) > _SHOWN_COMMITS else "")
        why = f"{len(own)} commits of this checkout are in no release and would be left behind: {shown}"
        following = (
            f"Merge it by hand (git merge {tag}), or keep the specs in a repository of their own (SMOS_SPECS_REPO)"
        )
        return failure(exitcodes.REFUSED, f"release {tag}", why, str(self.root), following)

    def _is_ancestor(self, older: str, newer: str) -> bool:
        return self._git("merge-base", "--is-ancestor", older, newer).code == 0

    def _git(self, *words: str) -> Ended:
        return git(self.root, *words)

    def _must(self, *words: str) -> str:
        """What git says, where it has to succeed."""
        done = self._git(*words)
        if done.code != 0:
            raise failure(exitcodes.UNUSABLE, f"git {words[0]}", done.said, str(self.root), "Repair the checkout")
        return done.out.rstrip("\n")
