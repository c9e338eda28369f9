# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""`smos update cli` in a checkout: real git repositories on this disk, and a small program in place of `smos`."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from smos import __version__, exitcodes, records, update_cli, update_steps, work
from smos.cli import main
from smos.project import Project
from smos.redact import Redactor

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """#!/bin/sh
echo "$*" >>{log}
case $1 in --version) echo "smos {says}" ;; esac
exit {code}
"""
IDENTITY = {"user.name": "Ana", "user.email": "ana@example.com", "commit.gpgsign": "false", "tag.gpgsign": "false"}
PRESENT = f"v{__version__}"


class World:
    """A bare repository, the clone of whoever makes releases, and the clone of the user."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "calls"
        self.bare, self.maker, self.user = folder / "bare.git", folder / "maker", folder / "user"
        self.git(folder, "init", "--quiet", "--bare", "-b", "main", str(self.bare))
        self.maker.mkdir()
        self.git(self.maker, "init", "--quiet", "-b", "main")
        self.git(self.maker, "remote", "add", "origin", str(self.bare))
        self.release(PRESENT)
        self.git(folder, "clone", "--quiet", str(self.bare), str(self.user))
        self.state = self.user / ".smos"
        self.state.mkdir()
        self.project = Project(self.user, self.user / "collections", self.state, ROOT / "specs", is_checkout=True)

    def git(self, folder: Path, *words: str) -> str:
        settings = [word for name, value in IDENTITY.items() for word in ("-c", f"{name}={value}")]
        done = subprocess.run(["git", *settings, *words], cwd=folder, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def commit(self, folder: Path, files: Mapping[str, str], message: str = "feat: a thing") -> str:
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
            if name == "smos":
                (folder / name).chmod(0o755)
        self.git(folder, "add", "--all")
        self.git(folder, "commit", "--quiet", "-m", message)
        return self.git(folder, "rev-parse", "HEAD")

    def release(
        self,
        tag: str,
        *,
        says: str | None = None,
        code: int = 0,
        holds: str | None = None,
        files: Any = (),
        sign: str = "",
    ) -> str:
        """Commit, tag and push a release. ``says`` is what its program calls its version, ``holds`` its galaxy.yml."""
        program = PROGRAM.format(log=self.log, says=says or tag[1:], code=code)
        version = {"galaxy.yml": f"version: {holds or tag[1:]}\n", ".gitignore": "/.smos/\n", "smos": program}
        made = self.commit(self.maker, {**version, "notes": tag, **dict(files)}, f"chore: release {tag}")
        self.git(self.maker, "tag", sign or "-a", "-m", tag, tag)
        self.git(self.maker, "push", "--quiet", "origin", "HEAD:main", f"refs/tags/{tag}")
        return made

    def head(self) -> tuple[str, str]:
        """(commit, branch) of the user's checkout."""
        named = subprocess.run(
            ["git", "symbolic-ref", "-q", "--short", "HEAD"], cwd=self.user, capture_output=True, text=True
        )
        return self.git(self.user, "rev-parse", "HEAD"), named.stdout.strip()

    def clean(self) -> bool:
        return self.git(self.user, "status", "--porcelain", "--untracked-files=no") == ""

    def calls(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    settings = tmp_path / "gitconfig"
    settings.write_text("[user]\n\tname = Ana\n\temail = ana@example.com\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    made = World(tmp_path)
    monkeypatch.setattr(work, "project_for", lambda settings: made.project)
    return made


@pytest.fixture
def update(world: World, capfd: pytest.CaptureFixture[str]) -> Any:
    """Run the command: (exit code, document)."""

    def call(*words: str) -> tuple[int, dict[str, Any]]:
        capfd.readouterr()
        code = main(["update", "cli", *words, "--json"])
        document = json.loads(capfd.readouterr().out)
        assert document["command"] == "update cli"
        assert document["ok"] == (code == 0) == (not document["errors"])
        return code, document

    return call


def test_the_package_says_one_version() -> None:
    held = re.search(r"^version: (\S+)", (ROOT / "galaxy.yml").read_text(encoding="utf-8"), re.MULTILINE)
    assert held
    assert held[1] == __version__


def test_the_newest_release_is_taken_and_the_branch_goes_along(world: World, update: Any) -> None:
    world.release("v0.9.0")
    newest = world.release("v0.10.0")  # newer than 0.9.0, which text would not say
    world.release("v1.0.0-rc1")
    code, document = update()
    assert (code, document["changed"]) == (exitcodes.DONE, True)
    assert world.head() == (newest, "main")
    assert world.calls() == ["--version", "--help", f"--specs {ROOT / 'specs'} --env sandbox validate"]
    result = document["result"]
    assert (result["present"], result["newest"], result["wanted"]) == (__version__, "0.10.0", "0.10.0")
    assert [check["ok"] for check in result["checks"]] == [True, True, True]
    assert result["signature"].startswith("not verified: no key is configured")
    record = records.Records(world.state, Redactor({})).read(document["run"])
    assert (record["state"], record["command"], record["changes"][0]["after"]) == ("done", "update cli", "0.10.0")
    code, document = update()
    assert (code, document["changed"], document["run"]) == (exitcodes.DONE, False, None)


def test_a_check_tells_and_changes_nothing(world: World, update: Any) -> None:
    before = world.head()
    assert update("--check")[1]["result"]["changes"] == []
    world.release("v0.2.0")
    code, document = update("--check")
    assert (code, document["changed"]) == (exitcodes.DONE, True)
    (change,) = document["result"]["changes"]
    assert change == update_steps.change("smos", "smos", __version__, "0.2.0")
    assert world.head() == before
    assert world.git(world.user, "tag") == PRESENT  # nothing was fetched
    assert not list(world.state.iterdir())
    assert world.calls() == []


@pytest.mark.parametrize("bad", [{"says": "0.1.9"}, {"code": 3}])
def test_a_release_that_does_not_run_is_left_again(world: World, update: Any, bad: dict[str, Any]) -> None:
    before = world.head()
    world.release("v0.2.0", **bad)
    code, document = update()
    assert (code, document["changed"]) == (exitcodes.FAILED, False)
    assert document["result"]["went_back"]
    assert "back at main" in document["errors"][0]["next"]
    assert world.head() == before
    assert world.clean()
    assert [path.name for path in world.state.iterdir() if path.name == "update.json"] == []


def test_the_environment_goes_back_too(world: World, update: Any) -> None:
    (world.state / "venvs" / "old").mkdir(parents=True)
    (world.state / "venvs" / "new").mkdir()
    link = world.state / "venv"
    link.symlink_to("venvs/old")
    switches = f"#!/bin/sh\nln -sfn venvs/new {link}\nexit 1\n"
    world.release("v0.2.0", files={"smos": switches})
    assert update()[0] == exitcodes.FAILED
    assert str(link.readlink()) == "venvs/old"


def test_local_changes_are_refused_and_kept(world: World, update: Any) -> None:
    world.release("v0.2.0")
    (world.user / "notes").write_text("mine")
    (world.user / "new-file").write_text("not known to git")
    for words in ((), ("--check",)):
        code, document = update(*words)
        assert code == exitcodes.REFUSED
        assert "notes" in document["errors"][0]["why"]
        assert "new-file" not in document["errors"][0]["why"]
    assert (world.user / "notes").read_text() == "mine"


def test_a_file_in_the_way_is_refused_and_kept(world: World, update: Any) -> None:
    before = world.head()
    world.release("v0.2.0", files={"in-the-way": "theirs"})
    (world.user / "in-the-way").write_text("mine")
    code, document = update()
    assert code == exitcodes.REFUSED
    assert "in-the-way" in document["errors"][0]["why"]
    assert (world.user / "in-the-way").read_text() == "mine"
    assert world.head() == before


def test_an_older_release_by_name_leaves_the_branch_where_it_was(world: World, update: Any) -> None:
    old = world.git(world.user, "rev-parse", f"{PRESENT}^{{commit}}")
    newest = world.release("v0.2.0")
    world.git(world.user, "pull", "--quiet", "--tags")
    code, document = update("--to", __version__)
    assert (code, document["result"]["wanted"]) == (exitcodes.DONE, __version__)
    assert world.head() == (old, "")
    assert world.git(world.user, "rev-parse", "main") == newest
    code, document = update()
    assert (code, world.head()) == (exitcodes.DONE, (newest, ""))


@pytest.mark.parametrize(("to", "word"), [("v9.9.9", "no such tag"), ("latest", "named as v0.2.0")])
def test_an_unknown_release_is_invalid(update: Any, to: str, word: str) -> None:
    code, document = update("--to", to)
    assert code == exitcodes.INVALID
    assert word in document["errors"][0]["why"]


def test_a_checkout_ahead_of_the_releases_stays(world: World, update: Any) -> None:
    world.commit(world.user, {"plugins/x.py": "new"})
    before = world.head()
    code, document = update()
    assert (code, document["changed"], world.head()) == (exitcodes.DONE, False, before)
    assert "ahead of the newest release" in document["result"]["notes"][-1]


def test_commits_of_the_owners_files_are_merged_with_the_release(world: World, update: Any) -> None:
    own = world.commit(world.user, {"specs/tenants/registry/1-9.yml": "spec: {}"}, "feat(tenants): add acme")
    theirs = world.release("v0.2.0")
    assert update()[0] == exitcodes.DONE
    assert world.head()[1] == "main"
    assert world.git(world.user, "rev-parse", "HEAD^1", "HEAD^2").split() == [own, theirs]
    assert (world.user / "specs/tenants/registry/1-9.yml").read_text() == "spec: {}"
    assert (world.user / "notes").read_text() == "v0.2.0"


def test_a_merge_that_does_not_run_is_undone(world: World, update: Any) -> None:
    own = world.commit(world.user, {"specs/x.yml": "mine"})
    world.release("v0.2.0", code=1)
    assert update()[0] == exitcodes.FAILED
    assert world.head() == (own, "main")
    assert (world.user / "specs/x.yml").read_text() == "mine"


def test_a_conflict_is_shown_and_nothing_is_lost(world: World, update: Any) -> None:
    own = world.commit(world.user, {"specs/x.yml": "mine"})
    world.release("v0.2.0", files={"specs/x.yml": "theirs"})
    code, document = update()
    assert code == exitcodes.REFUSED
    assert "both changed specs/x.yml" in document["errors"][0]["why"]
    assert world.head() == (own, "main")
    assert world.clean()
    assert (world.user / "specs/x.yml").read_text() == "mine"


def test_commits_that_would_be_left_behind_are_refused(world: World, update: Any) -> None:
    own = world.commit(world.user, {"plugins/x.py": "mine"}, "fix(odoo): my own repair")
    world.release("v0.2.0")
    code, document = update()
    assert code == exitcodes.REFUSED
    assert "my own repair" in document["errors"][0]["why"]
    assert world.head() == (own, "main")


def test_a_tag_that_was_moved_is_refused(world: World, update: Any) -> None:
    world.release("v0.2.0")
    world.git(world.user, "fetch", "--quiet", "--tags")
    world.git(world.maker, "tag", "-f", "-a", "-m", "again", "v0.2.0", f"{PRESENT}^{{commit}}")
    world.git(world.maker, "push", "--quiet", "--force", "origin", "refs/tags/v0.2.0")
    before = world.head()
    code, document = update()
    assert code == exitcodes.REFUSED
    assert "was moved" in document["errors"][0]["why"]
    assert world.head() == before


def test_a_tag_that_holds_another_version_is_refused(world: World, update: Any) -> None:
    before = world.head()
    world.release("v0.2.0", holds="0.1.9")
    code, document = update()
    assert code == exitcodes.REFUSED
    assert "holds version 0.1.9" in document["errors"][0]["why"]
    assert world.head() == before


@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="no ssh-keygen on this machine")
def test_signatures_count_where_a_key_is_configured(world: World, update: Any, tmp_path: Path) -> None:
    for name in ("good", "other"):
        made = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)]
        subprocess.run(made, check=True)
    allowed = tmp_path / "allowed"
    allowed.write_text(f"ana@example.com {(tmp_path / 'good.pub').read_text()}")
    world.git(world.maker, "config", "gpg.format", "ssh")
    world.git(world.user, "config", "gpg.ssh.allowedSignersFile", str(allowed))
    before = world.head()
    world.release("v0.2.0")
    assert "signature is not good" in update()[1]["errors"][0]["why"]
    world.git(world.maker, "config", "user.signingkey", str(tmp_path / "other"))
    world.release("v0.3.0", sign="-s")
    assert update()[0] == exitcodes.REFUSED
    assert world.head() == before
    world.git(world.maker, "config", "user.signingkey", str(tmp_path / "good"))
    newest = world.release("v0.4.0", sign="-s")
    code, document = update()
    assert (code, document["result"]["signature"]) == (exitcodes.DONE, "good")
    assert world.head()[0] == newest


def test_a_remote_that_does_not_answer_is_no_environment(world: World, update: Any) -> None:
    world.git(world.user, "remote", "set-url", "origin", f"file://ana:secret@localhost{world.folder}/nowhere")
    code, document = update()
    assert code == exitcodes.UNUSABLE
    assert "secret" not in json.dumps(document)


def test_an_unpacked_archive_is_no_checkout(world: World, update: Any) -> None:
    (world.user / ".git").rename(world.folder / "git-of-the-user")
    code, document = update()
    assert code == exitcodes.UNUSABLE
    assert "Clone the repository" in document["errors"][0]["next"]


def test_a_run_that_leans_on_the_files_is_waited_for(world: World, update: Any) -> None:
    world.release("v0.2.0")
    book = records.Records(world.state, Redactor({}))
    book.begin("20260101-000000-aaaa", "deploy backend", "sandbox", [])  # of this process, which lives
    code, document = update()
    assert code == exitcodes.REFUSED
    assert "deploy backend" in document["errors"][0]["why"]


def test_one_update_at_a_time(world: World, update: Any) -> None:
    with (world.state / "update.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert update()[0] == exitcodes.REFUSED


def test_ctrl_c_goes_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    before = world.head()
    world.release("v0.2.0")

    def stopped(*_words: Any) -> Any:
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(update_cli, "checked", stopped)
    assert main(["update", "cli"]) == exitcodes.INTERRUPTED
    assert world.head() == before
    (record,) = records.Records(world.state, Redactor({})).all(5)
    assert record["state"] == "interrupted"


class Killed(BaseException):
    """Stands for the end of the process: nothing of the command catches it."""


@pytest.mark.parametrize("good", [True, False])
def test_an_update_that_was_killed_goes_on(
    world: World, update: Any, monkeypatch: pytest.MonkeyPatch, good: bool
) -> None:
    before = world.head()
    newest = world.release("v0.2.0", code=0 if good else 1)

    def killed(*_words: Any) -> Any:
        raise Killed
        yield

    with monkeypatch.context() as patched:
        patched.setattr(update_cli, "checked", killed)
        with pytest.raises(Killed):
            main(["update", "cli", "-q"])
    assert world.head()[0] == newest
    assert (world.state / "update.json").exists()
    code, document = update()
    assert "was cut off" in document["result"]["notes"][0]
    assert code == (exitcodes.DONE if good else exitcodes.FAILED)
    assert world.head() == ((newest, "main") if good else before)
    assert not (world.state / "update.json").exists()


def test_one_that_was_killed_before_it_moved_starts_anew(world: World, update: Any) -> None:
    commit, branch = world.head()
    noted = {"to": "v0.2.0", "commit": commit, "branch": branch, "venv": "", "sound": True}
    (world.state / "update.json").write_text(json.dumps(noted))
    newest = world.release("v0.2.0")
    assert update()[0] == exitcodes.DONE
    assert world.head() == (newest, "main")


def test_the_new_one_is_started_as_from_a_plain_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    own = str(Path(sys.prefix) / "bin")
    monkeypatch.setenv("PATH", os.pathsep.join([own, "/usr/bin"]))
    monkeypatch.setenv("SMOS_PROJECT_DIR", "/elsewhere")
    env = update_cli.clean_environment()
    assert env["PATH"] == "/usr/bin"
    assert "SMOS_PROJECT_DIR" not in env


def test_people_get_words(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    world.release("v0.2.0")
    assert main(["update", "cli"]) == exitcodes.DONE
    told = capfd.readouterr()
    assert "newest  0.2.0" in told.out
    assert "updated" in told.out
    assert f"smos: smos: {__version__} → 0.2.0" in told.err


@pytest.mark.parametrize(
    ("older", "newer"),
    [("0.9.0", "0.10.0"), ("v1.0.0-rc1", "1.0.0"), ("1.0.0", "1.0.1-alpha"), ("1.0.0-alpha.2", "1.0.0-alpha.10")],
)
def test_versions_are_ordered_as_people_do(older: str, newer: str) -> None:
    assert update_steps.version_key(older) < update_steps.version_key(newer)


def test_other_packages_are_told_before_they_are_installed(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    (world.state / "venvs" / "old").mkdir(parents=True)
    (world.state / "venvs" / "old" / "requirements.lock").write_text("one==1\n")
    (world.state / "venv").symlink_to("venvs/old")
    world.release("v0.2.0", files={"requirements.lock": "one==2\n"})
    assert main(["update", "cli"]) == exitcodes.DONE
    assert "its packages are others" in capfd.readouterr().err
