# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""A branch and its remote: pull with rebase, push, and again where somebody was faster. A conflict leaves the checkout as it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ansible_collections.smartercl.smarteros.plugins.plugin_utils.workflow_sync_git import NETWORK_S, Git, GitError

ATTEMPTS = 5  # pushes; each time somebody else may have been faster
_FASTER = ("fetch first", "non-fast-forward", "cannot lock ref", "failed to update ref", "stale info")
_NO_SUCH = "couldn't find remote ref"

Row = dict[str, str]
Judge = Callable[[], list[Row]]


@dataclass
class Sent:
    """What became of it. ``pulled`` and ``pushed`` count commits; with ``errors`` nothing was pushed."""

    pulled: int = 0
    pushed: int = 0
    notes: list[str] = field(default_factory=list)
    errors: list[Row] = field(default_factory=list)


@dataclass(frozen=True)
class Upstream:
    """Where a branch is pulled from and pushed to."""

    remote: str
    ref: str
    is_set: bool

    def __str__(self) -> str:
        return f"{self.remote}/{self.ref.removeprefix('refs/heads/')}"


class Stopped(Exception):
    """It cannot go on; holds the rows that say so."""

    def __init__(self, *rows: Row) -> None:
        super().__init__("; ".join(each["why"] for each in rows))
        self.rows = rows


def upstream(git: Git) -> Upstream | None:
    """The remote of the branch, or the one that it would get; None where the checkout has none. Raises Stopped."""
    branch = git.branch
    remotes = git.asked("remote").split()
    named = git.asked("config", f"branch.{branch}.remote")
    ref = git.asked("config", f"branch.{branch}.merge")
    if named and ref:
        return Upstream(named, ref, True)
    if not remotes:
        return None
    if "origin" not in remotes and len(remotes) > 1:
        why = f"there are several remotes, and the branch {branch} is tied to none"
        raise Stopped(_row("git push", why, str(git.top), f"git push --set-upstream {remotes[0]} {branch}"))
    return Upstream("origin" if "origin" in remotes else remotes[0], f"refs/heads/{branch}", False)


def send(git: Git, where: Upstream, judge: Judge, look: Callable[[str], list[Row]]) -> Sent:
    """Pull, judge what came, look through what goes, push. ``look`` gets a span of commits. Raises nothing."""
    sent = Sent()
    try:
        for attempt in range(1, ATTEMPTS + 1):
            theirs = _fetch(git, where)
            sent.pulled += _rebase(git, where, theirs, judge)
            if _push(git, where, theirs, look, sent, last=attempt == ATTEMPTS):
                break
    except Stopped as exc:
        sent.errors += exc.rows
    except GitError as exc:
        following = "Repair that, then run the same command again: the commit is there, only the push is missing"
        sent.errors.append(_row(exc.command, str(exc), str(where), following))
    return sent


def _fetch(git: Git, where: Upstream) -> str:
    """The newest commit of the remote's branch; empty where it has no such branch yet."""
    try:
        git.run("fetch", "--quiet", "--no-tags", where.remote, where.ref, patience_s=NETWORK_S)
    except GitError as exc:
        if _NO_SUCH in str(exc):
            return ""
        raise
    return git.run("rev-parse", "FETCH_HEAD").strip()


def _rebase(git: Git, where: Upstream, theirs: str, judge: Judge) -> int:
    """Put our commits on top of theirs; gives how many came. Raises Stopped, the checkout as it was before."""
    came = int(git.run("rev-list", "--count", f"HEAD..{theirs}")) if theirs else 0
    if not came:
        return 0
    if not git.asked("merge-base", "HEAD", theirs):
        following = "Look whether the remote is the right one: git remote -v"
        raise Stopped(_row("git pull --rebase", "the remote has another history altogether", str(where), following))
    incoming = set(git.run("diff", "--name-only", "-z", f"HEAD...{theirs}").split("\0"))
    in_the_way = sorted({each.path for each in git.changes(".")} & incoming)
    if in_the_way:
        following = "Commit or put away these files (git stash), then run the same command again"
        why = "it has changes that are not committed, and the remote has changed the same file"
        raise Stopped(*(_row(name, why, str(where), following) for name in in_the_way))
    before = git.head
    try:
        git.run("rebase", "--quiet", "--autostash", theirs)
    except GitError as exc:
        raise Stopped(*_conflict(git, where, exc)) from None
    if git.head != before:
        rows = judge()
        if rows:
            raise Stopped(*rows)
    return came


def _conflict(git: Git, where: Upstream, exc: GitError) -> list[Row]:
    """The rows of a rebase that stopped; it is taken back."""
    files = [each for each in git.asked("diff", "--name-only", "--diff-filter=U", "-z").split("\0") if each]
    if git.under_way():
        git.run("rebase", "--abort")
    branch = where.ref.removeprefix("refs/heads/")
    following = (
        f"git pull --rebase {where.remote} {branch}, correct the file, git add it, git rebase --continue, "
        "then `smos sync specs` again. The checkout is as it was, with our commit"
    )
    why = f"both sides have changed the same lines ({where})"
    return [_row(name, why, name, following) for name in files] or [
        _row("git pull --rebase", str(exc), str(where), following)
    ]


def _push(git: Git, where: Upstream, theirs: str, look: Callable[[str], list[Row]], sent: Sent, *, last: bool) -> bool:
    """Push what the remote has not; False where somebody was faster. Raises Stopped and GitError."""
    span = f"{theirs}..HEAD" if theirs else "HEAD"
    going = int(git.run("rev-list", "--count", span))
    if not going:
        return True
    rows = look(span)
    if rows:
        raise Stopped(*rows)
    words = ["--set-upstream"] * (not where.is_set)
    try:
        git.run("push", "--quiet", *words, where.remote, f"HEAD:{where.ref}", patience_s=NETWORK_S)
    except GitError as exc:
        if last or not any(word in str(exc) for word in _FASTER):
            raise
        return False
    sent.pushed = going
    return True


def _row(what: str, why: str, where: str, following: str) -> Row:
    return {"what": what, "where": where, "why": why, "next": following}
