# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""`smos update codex`, with a small program in place of npm: it keeps what is installed in a folder, and fails on demand."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from smos import exitcodes, update_codex, work
from smos.cli import main
from smos.project import Project

ROOT = Path(__file__).resolve().parents[3]
NPM = r"""
import json, os, pathlib, sys
home = pathlib.Path(os.environ["FAKE_NPM"])
words = [word for word in sys.argv[1:] if not word.startswith("--")]
with (home / "calls").open("a") as log:
    log.write(" ".join(words) + "\n")
state = json.loads((home / "state.json").read_text())
package = home / "prefix/lib/node_modules/@openai/codex"
program = home / "prefix/bin/codex"
if words[0] == state.get("fails"):
    sys.exit("npm error code E500")
if words[0] == "root":
    print(home / "prefix/lib/node_modules")
elif words[0] == "ls":
    found = {"@openai/codex": {"version": package.read_text()}} if package.exists() else {}
    print(json.dumps({"name": "lib", "dependencies": found}))
    sys.exit(0 if found else 1)
elif words[0] == "view":
    print(json.dumps(state["newest"]))
elif words[0] == "uninstall":
    package.unlink(); program.unlink()
elif words[0] == "install":
    version = words[1].rpartition("@")[2]
    for each in (package, program):
        each.parent.mkdir(parents=True, exist_ok=True)
    package.write_text(version)
    ending = state.get("broken", {}).get(version, "echo codex-cli " + version)
    program.write_text("#!/bin/sh\n" + ending + "\n")
    program.chmod(0o755)
"""


class Npm:
    """What the fake npm knows and was asked."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.says(newest="0.169.0")

    def says(self, **state: Any) -> None:
        (self.home / "state.json").write_text(json.dumps(state))

    def has(self, version: str) -> None:
        package = self.home / "prefix/lib/node_modules/@openai/codex"
        program = self.home / "prefix/bin/codex"
        for path, text in ((package, version), (program, f"#!/bin/sh\necho codex-cli {version}\n")):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o755)

    @property
    def installed(self) -> str | None:
        package = self.home / "prefix/lib/node_modules/@openai/codex"
        return package.read_text() if package.exists() else None

    @property
    def writes(self) -> list[str]:
        calls = self.home / "calls"
        lines = calls.read_text().splitlines() if calls.exists() else []
        return [line for line in lines if line.split()[0] in ("install", "uninstall")]


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Npm:
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "npm"
    program.write_text(f"#!{sys.executable} -IS\n{NPM}")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setenv("FAKE_NPM", str(tmp_path))
    project = Project(ROOT, ROOT / "collections", tmp_path / "state", ROOT / "specs", is_checkout=True)
    monkeypatch.setattr(work, "project_for", lambda settings: project)
    return Npm(tmp_path)


@pytest.fixture
def update(npm: Npm, capfd: pytest.CaptureFixture[str]) -> Any:
    def call(*words: str) -> tuple[int, dict[str, Any]]:
        capfd.readouterr()
        code = main(["update", "codex", *words, "--json"])
        return code, json.loads(capfd.readouterr().out)

    return call


def test_an_old_one_is_updated_and_run(npm: Npm, update: Any) -> None:
    npm.has("0.9.0")
    code, document = update()
    assert (code, document["changed"], npm.installed) == (exitcodes.DONE, True, "0.169.0")
    result = document["result"]
    assert (result["present"], result["newest"], result["went_back"]) == ("0.9.0", "0.169.0", False)
    assert [check["ok"] for check in result["checks"]] == [True]
    assert document["run"]
    code, document = update()
    assert (code, document["changed"], len(npm.writes)) == (exitcodes.DONE, False, 1)


def test_where_there_is_none_it_is_installed(npm: Npm, update: Any) -> None:
    assert update("--check")[1]["result"]["changes"][0]["action"] == "create"
    assert update()[0] == exitcodes.DONE
    assert npm.installed == "0.169.0"


def test_a_check_only_tells(npm: Npm, update: Any) -> None:
    npm.has("0.9.0")
    code, document = update("--check")
    (change,) = document["result"]["changes"]
    assert (code, change["before"], change["after"]) == (exitcodes.DONE, "0.9.0", "0.169.0")
    assert (npm.writes, npm.installed) == ([], "0.9.0")


def test_one_that_is_newer_than_the_newest_stays(npm: Npm, update: Any) -> None:
    npm.has("0.170.0-alpha.1")
    code, document = update()
    assert (code, document["changed"], npm.writes) == (exitcodes.DONE, False, [])
    assert document["result"]["wanted"] == "0.170.0-alpha.1"


@pytest.mark.parametrize("ending", ["exit 1", "echo codex-cli 0.1.0", "kill -9 $$"])
@pytest.mark.parametrize("former", ["0.9.0", None])
def test_one_that_does_not_run_is_replaced_by_the_former(
    npm: Npm, update: Any, ending: str, former: str | None
) -> None:
    if former:
        npm.has(former)
    npm.says(newest="0.169.0", broken={"0.169.0": ending})
    code, document = update()
    assert (code, document["changed"], npm.installed) == (exitcodes.FAILED, False, former)
    assert document["result"]["went_back"]
    assert document["errors"][0]["next"]


def test_an_install_that_fails_leaves_the_former(npm: Npm, update: Any) -> None:
    npm.has("0.9.0")
    npm.says(newest="0.169.0", fails="install")
    code, document = update()
    assert (code, npm.installed) == (exitcodes.FAILED, "0.9.0")
    assert "E500" in document["errors"][0]["why"]


def test_an_npm_that_cannot_tell_is_no_environment(npm: Npm, update: Any) -> None:
    npm.says(newest="0.169.0", fails="view")
    code, document = update()
    assert (code, npm.writes) == (exitcodes.UNUSABLE, [])
    assert "E500" in document["errors"][0]["why"]


def test_without_npm_it_says_what_to_install(npm: Npm, update: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(npm.home / "prefix"))
    code, document = update()
    assert code == exitcodes.UNUSABLE
    assert "Install Node.js" in document["errors"][0]["next"]


def test_a_codex_of_somebody_else_is_left_alone(npm: Npm, update: Any) -> None:
    other = npm.home / "bin/codex"
    other.write_text("#!/bin/sh\necho codex-cli 0.1.0\n")
    other.chmod(0o755)
    for words in ((), ("--check",)):
        code, document = update(*words)
        assert (code, npm.writes) == (exitcodes.REFUSED, [])
        assert document["errors"][0]["where"] == str(other)


def test_a_folder_that_cannot_be_written_is_told_first(npm: Npm, update: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    npm.has("0.9.0")
    access = os.access  # for root there is no such folder
    monkeypatch.setattr(update_codex.os, "access", lambda place, how: how != os.W_OK and access(place, how))
    code, document = update()
    assert (code, npm.writes) == (exitcodes.UNUSABLE, [])
    assert "npm config set prefix" in document["errors"][0]["next"]
