"""Why specs could not be committed by `smos sync`, and the command that mends it."""

from __future__ import annotations

import shlex
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.plugin_utils.workflow_sync_git import Git, GitError, find
from smos.lang import Said, later


def hindrance(specs: Path) -> tuple[Said, Said, str] | None:
    """What is wrong, what is to be done, and its command; None where a commit can be made."""
    here = f"git -C {shlex.quote(str(specs))}"
    try:
        git = find(specs)
    except GitError as exc:
        return Said("{why}", {"why": exc}), later("See what git says of it"), f"{here} status"
    if git is None:
        following = later("Make one of the folder, with a first commit")
        begun = f"{here} init && {here} add --all && {here} commit -m 'chore(specs): begin'"
        return later("{folder} is in no git checkout", folder=specs), following, begun
    return _state(git, here)


def _state(git: Git, here: str) -> tuple[Said, Said, str] | None:
    under_way = git.under_way()
    if under_way:
        told = later("in {folder}, {what} was begun and not ended", folder=git.top, what=under_way)
        return told, later("End it, or take it back; this says how"), f"{here} status"
    if not git.branch:
        told = later("{folder} is on no branch (detached HEAD)", folder=git.top)
        return told, later("Make a branch of what is checked out, or switch to yours"), f"{here} switch -c specs"
    if git.no_identity():
        named = "git config --global user.name 'Your name' && git config --global user.email you@example.com"
        return later("git does not know who commits"), later("Tell it"), named
    return None
