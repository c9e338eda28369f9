"""`smos doctor`: every problem is told with the command that mends it, in the language of the person."""

from __future__ import annotations

import gettext
import json
import os
import shlex
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer

from smos import doctor, doctor_checks, doctor_login, exitcodes, lang, remote, vault_password
from smos.cli.app import app
from smos.doctor_checks import FAIL, OK, WARN, Finding
from smos.outcome import Outcome
from smos.project import Project, find
from smos.settings import Settings
from support.examples import unknown

ROOT = Path(__file__).resolve().parents[3]
MACHINE = remote.Machine("vps1", "203.0.113.10", "ops", 2222, "/key", ("-F", "none"))
Spoil = Callable[[pytest.MonkeyPatch, Project], None]


def settings(env: str = "production", *, as_json: bool = True) -> Settings:
    return Settings(env, None, False, False, as_json, False, 0, True, None, None, (), None)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A project whose specs are a checkout, in an environment of its own, where nothing is amiss."""
    for name in [each for each in os.environ if each.startswith(("GIT_", "SMOS_", "ANSIBLE_"))]:
        monkeypatch.delenv(name)
    own = {
        "SMOS_PROJECT_DIR": str(ROOT),
        "SMOS_SPECS_REPO": str(tmp_path / "specs"),
        "SMOS_STATE_DIR": str(tmp_path / "state"),
        "SMOS_ENV_DIR": str(tmp_path / "env"),
        "SMOS_VAULT_FILE": str(tmp_path / "vault.yml"),
        vault_password.FILE: str(tmp_path / "password"),
        "HOME": str(tmp_path),
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
    }
    identity = {"GIT_AUTHOR_NAME": "Ana", "GIT_AUTHOR_EMAIL": "ana@example.com"}
    identity |= {"GIT_COMMITTER_NAME": "Ana", "GIT_COMMITTER_EMAIL": "ana@example.com"}
    quiet = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    for name, value in {**own, **identity, **quiet}.items():
        monkeypatch.setenv(name, value)
    shutil.copytree(ROOT / "specs", tmp_path / "specs")
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", "chore: begin")
    for folder in ("bin", "state", "env/production"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("env/production/.env", "vault.yml", "password"):
        (tmp_path / name).write_text("A=1\n")
        (tmp_path / name).chmod(0o600)
    for name in ("docker", "ssh"):
        stand_in(tmp_path, name, "exit 0")
    monkeypatch.setattr(remote, "machine", lambda *_given: MACHINE)
    vault_password._session.passwords.clear()
    yield find()
    vault_password._session.passwords.clear()


def git(home: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(home / "specs"), *words], check=True)


def stand_in(home: Path, name: str, script: str) -> None:
    """A program of that name in front of the real one."""
    path = home / "bin" / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def home(project: Project) -> Path:
    return project.specs_dir.parent


def without(name: str) -> Spoil:
    def spoil(monkeypatch: pytest.MonkeyPatch, _project: Project) -> None:
        real = shutil.which
        monkeypatch.setattr(shutil, "which", lambda asked, *more: None if asked == name else real(asked, *more))

    return spoil


def says(name: str, text: str) -> Spoil:
    return lambda _patch, project: stand_in(home(project), name, f"echo {shlex.quote(text)} >&2; exit 1")


def lacking(name: str) -> Spoil:
    def spoil(_patch: pytest.MonkeyPatch, project: Project) -> None:
        path = home(project) / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return spoil


def readable(name: str) -> Spoil:
    return lambda _patch, project: (home(project) / name).chmod(0o644)


def old(monkeypatch: pytest.MonkeyPatch, _project: Project) -> None:
    monkeypatch.setattr(doctor_checks, "ADVISED_PYTHON", (9, 9))


def full(monkeypatch: pytest.MonkeyPatch, _project: Project) -> None:
    monkeypatch.setattr(doctor_checks, "LEAST_FREE_GB", 1e12)


def detached(_patch: pytest.MonkeyPatch, project: Project) -> None:
    git(home(project), "checkout", "--quiet", "--detach")


def merging(_patch: pytest.MonkeyPatch, project: Project) -> None:
    shutil.copy(project.specs_dir / ".git/HEAD", project.specs_dir / ".git/MERGE_HEAD")


def nobody(monkeypatch: pytest.MonkeyPatch, project: Project) -> None:
    git(home(project), "config", "user.useConfigOnly", "true")
    for name in [each for each in os.environ if each.startswith(("GIT_AUTHOR", "GIT_COMMITTER"))]:
        monkeypatch.delenv(name)


def no_password(monkeypatch: pytest.MonkeyPatch, _project: Project) -> None:
    monkeypatch.delenv(vault_password.FILE)


def unwritable(monkeypatch: pytest.MonkeyPatch, _project: Project) -> None:
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK and real(path, mode))


def no_tokens(monkeypatch: pytest.MonkeyPatch, project: Project) -> None:
    (home(project) / "env/production/.env").unlink()
    for name in [each for each in os.environ if each.endswith(("_TOKEN", "_API_KEY"))]:
        monkeypatch.delenv(name)


PRODUCTION, SANDBOX = "production", "sandbox"
SMOS = "smos --env production "
PROBLEMS: tuple[tuple[str, Spoil, str, str, str, str], ...] = (
    (PRODUCTION, old, "python", WARN, "older", "SMOS_PYTHON="),
    (PRODUCTION, full, "disk", WARN, "free", "du -xhd1 "),
    (PRODUCTION, unwritable, "state", FAIL, "cannot be written", "sudo chown -R "),
    (PRODUCTION, lacking("specs/infra/dns.yml"), "specs", FAIL, "mistakes", f"{SMOS}validate"),
    (PRODUCTION, without("git"), "git", WARN, "none on this machine", "sudo apt install git"),
    (PRODUCTION, lacking("specs/.git"), "git", WARN, "no git checkout", "init && git -C "),
    (PRODUCTION, detached, "git", WARN, "detached", "switch -c specs"),
    (PRODUCTION, merging, "git", WARN, "a merge was begun", "status"),
    (PRODUCTION, nobody, "git", WARN, "who commits", "git config --global user.name"),
    (PRODUCTION, without("ssh"), "ssh", FAIL, "no ssh", "sudo apt install openssh-client"),
    (PRODUCTION, says("ssh", "Permission denied (publickey)."), "login", FAIL, "denied", "ssh-copy-id "),
    (PRODUCTION, says("ssh", "ssh: Could not resolve hostname x"), "login", FAIL, "resolve", "hosts.yml"),
    (PRODUCTION, lacking("vault.yml"), "vault", WARN, "there is no", f"{SMOS}secrets init"),
    (PRODUCTION, no_password, "vault", FAIL, "nobody gives", f"{vault_password.FILE}=FILE {SMOS}secrets check"),
    (PRODUCTION, readable("password"), "vault", FAIL, "0644", f"{vault_password.FILE}="),
    (PRODUCTION, readable("env/production/.env"), "environment", WARN, "can read .env", "chmod 600 "),
    (PRODUCTION, no_tokens, "environment", WARN, "no files", f"{SMOS}test all"),
    (SANDBOX, without("docker"), "docker", WARN, "none on this machine", "sudo apt install docker.io"),
    (SANDBOX, says("docker", "permission denied"), "docker", WARN, "let us in", "sudo usermod -aG docker"),
    (SANDBOX, says("docker", "Cannot connect"), "docker", WARN, "does not answer", "sudo systemctl start docker"),
)


def found(project: Project, env: str) -> list[Finding]:
    return [each for check in doctor_checks.ALL for each in check(settings(env), project)]


@pytest.mark.parametrize("env", ["production", "sandbox"])
def test_where_nothing_is_amiss_nothing_is_advised(project: Project, env: str) -> None:
    assert [each for each in found(project, env) if each.state != OK or each.command or each.next] == []


@pytest.mark.parametrize(
    ("env", "spoil", "what", "state", "told", "command"),
    PROBLEMS,
    ids=[f"{each[2]}: {each[4]}" for each in PROBLEMS],
)
def test_a_problem_is_told_with_the_command_that_mends_it(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    env: str,
    spoil: Spoil,
    what: str,
    state: str,
    told: str,
    command: str,
) -> None:
    spoil(monkeypatch, project)
    (problem,) = [each for each in found(project, env) if each.state != OK]
    shown = doctor.row(problem, str)
    assert (shown["what"], shown["state"]) == (what, state)
    assert told in shown["message"]
    assert shown["next"]
    assert command in shown["command"]
    _variables, ours, words = shown["command"].partition("smos ")
    if ours:
        assert list(unknown(typer.main.get_command(app), words)) == []
    spanish = gettext.translation(lang.DOMAIN, str(lang.FOLDER), [lang.SPANISH]).gettext
    assert doctor.row(problem, spanish)["next"] != shown["next"]
    assert doctor.row(problem, spanish)["command"] == shown["command"]


@pytest.mark.parametrize(
    ("said", "command"),
    [
        ("Permission denied (publickey).", "ssh-copy-id -F none -p 2222 -i /key ops@203.0.113.10"),
        (
            "WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! Host key verification failed.",
            "ssh-keygen -R '[203.0.113.10]:2222'",
        ),
        ("Host key verification failed.", "ssh -F none -p 2222 -i /key ops@203.0.113.10"),
        ("connect to host 203.0.113.10 port 2222: refused", "ssh -v -F none -p 2222 -i /key ops@203.0.113.10 true"),
    ],
)
def test_a_machine_that_does_not_let_us_in_is_told_by_what_ssh_says(said: str, command: str) -> None:
    mended = doctor_login.mended(MACHINE, said)
    assert mended is not None
    assert mended[1] == command


def test_sudo_without_a_password_is_written_where_sudo_reads_it() -> None:
    mended = doctor_login.mended(MACHINE, "sudo: a password is required")
    assert mended is not None
    *line, there = shlex.split(mended[1])
    assert line == ["ssh", "-t", "-F", "none", "-p", "2222", "-i", "/key", "ops@203.0.113.10"]
    assert there == "echo 'ops ALL=(ALL) NOPASSWD: ALL' | sudo tee /etc/sudoers.d/smarteros"


def test_the_machine_is_asked_in_the_main_thread_where_a_play_can_be_stopped(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    threads: list[threading.Thread] = []

    def machine(*_given: object) -> remote.Machine:
        threads.append(threading.current_thread())
        return MACHINE

    monkeypatch.setattr(remote, "machine", machine)
    says("ssh", "Connection refused")(monkeypatch, project)
    assert doctor.carry_out(settings()) == exitcodes.UNUSABLE
    assert threads == [threading.main_thread()]
    document = json.loads(capsys.readouterr().out)
    checks = [each["what"] for each in document["result"]["checks"]]
    assert checks == ["python", "ansible-core", "disk", "specs", "git", "inventory", "login", "environment", "vault"]
    (error,) = document["errors"]
    assert error["what"] == "login"
    assert "ssh -v " in error["next"]


def test_a_warning_is_followed_by_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    good = Finding("python", OK, lang.Said("3.13"))
    bad = Finding("docker", WARN, lang.Said("there is none"), lang.Said("Install it"), "sudo apt install docker.io")
    doctor.show(Outcome({"checks": [doctor.row(each, str) for each in (good, bad)]}))
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "✓ python         3.13",
        "! docker         there is none",
        "Install it",
        "$ sudo apt install docker.io",
    ]
