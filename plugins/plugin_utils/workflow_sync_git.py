# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Git, called as a list of words and in a way that never asks: not for a password, not for a message, not for a host's key."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LOCAL_S, NETWORK_S = 60.0, 300.0  # how long a command may take
SHOWN = 600  # characters of what git says
_OF_OTHERS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY")
"""Set by git for its hooks; they would lead us to another repository."""
_NAMES_GIVEN = ("--pathspec-from-file=-", "--pathspec-file-nul")
_IN_ADDRESS = re.compile(r"://[^/\s@]+@")
_UNDER_WAY = {
    "a merge": "MERGE_HEAD",
    "a rebase": "rebase-merge",
    "a rebase or am": "rebase-apply",
    "a cherry-pick": "CHERRY_PICK_HEAD",
    "a revert": "REVERT_HEAD",
}


class GitError(Exception):
    """A command of git that failed; the message is what git said, without passwords in addresses."""

    def __init__(self, words: Sequence[str], said: str, code: int) -> None:
        super().__init__(" ".join(_IN_ADDRESS.sub("://", said).split())[:SHOWN] or f"git ended with {code}")
        self.command = f"git {words[0]}"
        self.code = code


class Change(t.NamedTuple):
    """A file that differs from the last commit. ``action``: create, update, delete or unmerged. ``path`` is below the top."""

    action: str
    path: str


@dataclass(frozen=True)
class Git:
    """A checkout; ``top`` is its topmost folder."""

    top: Path

    def run(self, *words: str, given: str | None = None, patience_s: float = LOCAL_S, **variables: str) -> str:
        """What a command says on stdout, ``given`` on its stdin. Raises GitError."""
        return _run(self.top, words, patience_s, variables, given)

    def asked(self, *words: str) -> str:
        """What a command says, or nothing where it fails: for questions to which no is an answer."""
        try:
            return self.run(*words).strip()
        except GitError:
            return ""

    @property
    def branch(self) -> str:
        """The branch that is checked out; empty on a detached HEAD."""
        return self.asked("symbolic-ref", "--quiet", "--short", "HEAD")

    @property
    def head(self) -> str:
        """The commit that is checked out; empty before the first one."""
        return self.asked("rev-parse", "--verify", "--quiet", "HEAD")

    def under_way(self) -> str:
        """A merge, rebase or the like that was begun and not ended; empty where there is none."""
        for what, name in _UNDER_WAY.items():
            if self._inside(name).exists():
                return what
        return ""

    def no_identity(self) -> str:
        """Why git could not say who commits; empty where it can."""
        try:
            self.run("var", "GIT_AUTHOR_IDENT")
            self.run("var", "GIT_COMMITTER_IDENT")
        except GitError as exc:
            return str(exc)
        return ""

    def changes(self, *paths: Path | str) -> list[Change]:
        """What differs from the last commit below these paths, untracked files too, ignored ones not."""
        words = ("status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all", "--", *map(str, paths))
        rows = [each for each in self.run(*words).split("\0") if each]
        return sorted(Change(_action(row[:2]), row[3:]) for row in rows)

    def shown(self, path: str, commit: str = "HEAD") -> str | None:
        """The text of a file in a commit; None where it is not there."""
        try:
            return self.run("show", f"{commit}:{path}")
        except GitError:
            return None

    def commit(self, message: str, paths: Sequence[Path | str]) -> str:
        """Commit these paths as they lie there, and nothing else; gives the commit. Raises GitError, the index as it was."""
        index = self._inside("index")
        before = index.read_bytes() if index.exists() else None
        names = "\0".join(map(str, paths))
        try:
            self.run("add", "--all", *_NAMES_GIVEN, given=names)
            self.run("commit", "--quiet", "--message", message, "--only", *_NAMES_GIVEN, given=names)
        except GitError:
            if before is not None:
                part = index.with_name("index.smos")
                part.write_bytes(before)
                part.replace(index)
            raise
        return self.head

    def difference(self, paths: Sequence[Path | str]) -> str:
        """What a commit of these paths would change, untracked files too; nothing of it is kept."""
        index = self._inside("index")
        other = index.with_name("index.smos-diff")
        try:
            if index.exists():
                shutil.copyfile(index, other)
            there = "\0".join(str(path) for path in paths if Path(path).exists())
            if there:
                self.run("add", "--intent-to-add", *_NAMES_GIVEN, given=there, GIT_INDEX_FILE=str(other))
            folders = sorted({str(Path(path).parent) for path in paths})
            return self.run("diff", "--no-color", "--no-ext-diff", "--", *folders, GIT_INDEX_FILE=str(other))
        finally:
            other.unlink(missing_ok=True)

    def _inside(self, name: str) -> Path:
        return self.top / self.run("rev-parse", "--git-path", name).rstrip("\n")


def find(folder: Path) -> Git | None:
    """The checkout that a folder is in; None where it is in none. Raises GitError where git itself cannot say."""
    try:
        top = _run(folder, ("rev-parse", "--show-toplevel"), LOCAL_S, {})
    except GitError as exc:
        if "not a git repository" in str(exc) or "must be run in a work tree" in str(exc):
            return None
        raise
    return Git(Path(top.rstrip("\n")))


def _run(
    folder: Path, words: Sequence[str], patience_s: float, variables: Mapping[str, str], given: str | None = None
) -> str:
    line = ["git", "-C", str(folder), *words]
    try:
        done = subprocess.run(
            line,
            env={**_environment(), **variables},
            input=(given or "").encode(errors="surrogateescape"),
            capture_output=True,
            check=False,
            timeout=patience_s,
        )
    except subprocess.TimeoutExpired:
        raise GitError(words, f"it did not end within {patience_s:.0f} s", -1) from None
    except OSError as exc:
        raise GitError(words, f"git cannot be run: {exc.strerror}", -1) from None
    out = done.stdout.decode(errors="surrogateescape")
    if done.returncode != 0:
        raise GitError(words, done.stderr.decode(errors="replace") or out, done.returncode)
    return out


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in _OF_OTHERS}
    quiet = {
        "GIT_TERMINAL_PROMPT": "0",
        "GCM_INTERACTIVE": "never",
        "SSH_ASKPASS_REQUIRE": "never",
        "GIT_EDITOR": "true",
        "GIT_SEQUENCE_EDITOR": "true",
        "GIT_LITERAL_PATHSPECS": "1",
        "LC_ALL": "C",
    }
    return {"GIT_SSH_COMMAND": "ssh -o BatchMode=yes", **kept, **quiet}


def _action(letters: str) -> str:
    if "U" in letters or letters in ("AA", "DD"):
        return "unmerged"
    if letters == "??" or "A" in letters:
        return "delete" if letters == "AD" else "create"
    return "delete" if "D" in letters else "update"
