# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What stops `smos sync specs` between a checkout and its remote: it is told, and nothing of either side is lost."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ansible_collections.smartercl.smarteros.plugins.plugin_utils.workflow_sync_git import Git
from smos import exitcodes, sync_remote, sync_specs
from smos.outcome import Failure

IDENTITY = {
    "GIT_AUTHOR_NAME": "Ana",
    "GIT_AUTHOR_EMAIL": "ana@example.com",
    "GIT_COMMITTER_NAME": "Ana",
    "GIT_COMMITTER_EMAIL": "ana@example.com",
}


@dataclass(frozen=True)
class World:
    """A remote with one commit, and two checkouts of it."""

    remote: Path
    ours: Git
    theirs: Git

    def commit(self, git: Git, name: str, text: str) -> str:
        """Write a file and commit it."""
        (git.top / name).write_text(text)
        return git.commit(f"chore: {name}", [git.top / name])

    def send(self, found: list[sync_remote.Row] | None = None) -> sync_remote.Sent:
        """Pull and push ours; ``found`` is what looks like a secret in it."""
        where = sync_remote.upstream(self.ours)
        assert where is not None
        return sync_remote.send(self.ours, where, list, lambda _span: found or [])

    def on_remote(self) -> str:
        """The newest commit of the remote."""
        return Git(self.remote).run("rev-parse", "main").strip()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    for name in [each for each in os.environ if each.startswith("GIT_")]:
        monkeypatch.delenv(name)
    for name, value in {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", **IDENTITY}.items():
        monkeypatch.setenv(name, value)
    remote = tmp_path / "remote.git"
    first = made(tmp_path / "ours")
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", remote], check=True)
    first.run("remote", "add", "origin", str(remote))
    first.run("push", "--quiet", "--set-upstream", "origin", "main")
    subprocess.run(["git", "clone", "--quiet", remote, tmp_path / "theirs"], check=True)
    return World(remote, first, Git(tmp_path / "theirs"))


def made(folder: Path) -> Git:
    """A checkout with one commit."""
    folder.mkdir()
    git = Git(folder)
    git.run("init", "--quiet", "--initial-branch=main")
    (folder / "a.yml").write_text("a: 1\n")
    git.commit(f"chore: begin {folder.name}", [folder / "a.yml"])  # the same commit twice would be one history
    return git


@pytest.fixture
def nothing_lost(world: World) -> Iterator[None]:
    """What was committed, what was written and what the remote had is there afterwards."""
    yield
    assert "our: 1" in (world.ours.top / "ours.yml").read_text()
    assert world.ours.under_way() == ""
    assert world.ours.asked("stash", "list") == ""
    assert world.ours.branch == "main"


def test_a_remote_that_went_on_gets_our_commit_on_top_of_its_own(world: World) -> None:
    theirs = world.commit(world.theirs, "theirs.yml", "their: 1\n")
    world.theirs.run("push", "--quiet")
    world.commit(world.ours, "ours.yml", "our: 1\n")
    (world.ours.top / "a.yml").write_text("a: 2\n")  # not committed: stays as it is
    sent = world.send()
    assert (sent.pulled, sent.pushed, sent.errors) == (1, 1, [])
    assert world.on_remote() == world.ours.head
    assert world.ours.run("rev-parse", "HEAD~1").strip() == theirs
    assert (world.ours.top / "a.yml").read_text() == "a: 2\n"
    assert [each.path for each in world.ours.changes(".")] == ["a.yml"]


@pytest.mark.usefixtures("nothing_lost")
def test_a_remote_with_another_history_is_refused(world: World, tmp_path: Path) -> None:
    stranger = made(tmp_path / "stranger")
    world.commit(stranger, "other.yml", "other: 1\n")
    stranger.run("push", "--quiet", "--force", str(world.remote), "main")
    before, there = world.commit(world.ours, "ours.yml", "our: 1\n"), world.on_remote()
    (row,) = world.send().errors
    assert "another history" in row["why"]
    assert "git remote -v" in row["next"]
    assert (world.ours.head, world.on_remote()) == (before, there)


@pytest.mark.usefixtures("nothing_lost")
def test_both_sides_changed_the_same_line(world: World) -> None:
    world.commit(world.theirs, "ours.yml", "their: 1\n")
    world.theirs.run("push", "--quiet")
    before, there = world.commit(world.ours, "ours.yml", "our: 1\n"), world.on_remote()
    (world.ours.top / "a.yml").write_text("a: 2\n")
    (row,) = world.send().errors
    assert row["where"] == "ours.yml"
    assert "git rebase --continue" in row["next"]
    assert (world.ours.head, world.on_remote()) == (before, there)
    assert (world.ours.top / "a.yml").read_text() == "a: 2\n"


@pytest.mark.usefixtures("nothing_lost")
def test_a_file_that_is_not_committed_is_not_overwritten_by_theirs(world: World) -> None:
    world.commit(world.theirs, "a.yml", "a: 3\n")
    world.theirs.run("push", "--quiet")
    before = world.commit(world.ours, "ours.yml", "our: 1\n")
    (world.ours.top / "a.yml").write_text("a: 2\n")
    (row,) = world.send().errors
    assert row["what"] == "a.yml"
    assert "git stash" in row["next"]
    assert (world.ours.head, (world.ours.top / "a.yml").read_text()) == (before, "a: 2\n")


@pytest.mark.usefixtures("nothing_lost")
def test_a_remote_that_is_gone_or_refuses_leaves_the_commit_here(world: World) -> None:
    before, there = world.commit(world.ours, "ours.yml", "our: 1\n"), world.on_remote()
    hook = world.remote / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'main is protected' >&2\nexit 1\n")
    hook.chmod(0o755)
    (refused,) = world.send().errors
    assert "main is protected" in refused["why"]
    (secret,) = world.send([{"what": "secret", "where": "ours.yml:1", "why": "a token", "next": "Take it out"}]).errors
    assert secret["where"] == "ours.yml:1"
    assert (world.ours.head, world.on_remote()) == (before, there)
    world.remote.rename(world.remote.with_name("elsewhere.git"))
    (gone,) = world.send().errors
    assert "the commit is there, only the push is missing" in gone["next"]
    assert world.ours.head == before


def test_of_several_remotes_none_is_guessed(world: World) -> None:
    world.ours.run("remote", "rename", "origin", "one")
    world.ours.run("remote", "add", "two", str(world.remote))
    assert sync_remote.upstream(world.ours) == sync_remote.Upstream("one", "refs/heads/main", True)
    world.ours.run("branch", "--unset-upstream")
    with pytest.raises(sync_remote.Stopped) as stopped:
        sync_remote.upstream(world.ours)
    assert stopped.value.rows[0]["next"] == "git push --set-upstream one main"


@pytest.mark.parametrize(
    ("spoil", "why", "following"),
    [
        (["checkout", "--quiet", "--detach"], "detached HEAD", "git switch"),
        (["merge", "--quiet", "other"], "a merge was begun and not ended", "--abort"),
        (["config", "user.useConfigOnly", "true"], "does not know who commits", "git config --global user.name"),
    ],
    ids=["detached", "merge", "identity"],
)
def test_a_checkout_that_no_commit_fits_is_refused_as_it_is(
    world: World, monkeypatch: pytest.MonkeyPatch, spoil: list[str], why: str, following: str
) -> None:
    git = world.ours
    git.run("branch", "other")
    world.commit(git, "a.yml", "a: 2\n")
    git.run("switch", "--quiet", "other")
    world.commit(git, "a.yml", "a: 3\n")
    git.run("switch", "--quiet", "main")
    (git.top / "new.yml").write_text("new: 1\n")
    git.asked(*spoil)
    if spoil[0] == "config":
        for name in IDENTITY:
            monkeypatch.delenv(name)
    before, status = git.head, git.run("status", "--porcelain")
    with pytest.raises(Failure) as refused:
        sync_specs.checkout(git.top)
    (error,) = refused.value.outcome.errors
    assert refused.value.outcome.code == exitcodes.UNUSABLE
    assert why in error["why"]
    assert following in error["next"]
    assert (git.head, git.run("status", "--porcelain")) == (before, status)
    assert (git.top / "new.yml").read_text() == "new: 1\n"
