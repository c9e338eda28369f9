"""What `smos doctor` looks at. Whatever is not as it should be comes with the command that mends it, or that shows why."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from smos import doctor_git, doctor_login, envfiles, remote, sync_scan, vault_password
from smos.lang import Said, later
from smos.outcome import Failure
from smos.project import Project
from smos.settings import Settings

OK, WARN, FAIL = "ok", "warn", "fail"
ADVISED_PYTHON = (3, 12)
LEAST_FREE_GB = 2.0
PATIENCE_S = 20
SANDBOX = "sandbox"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. What is not in order has ``next`` in words, and a ``command`` for the shell."""

    what: str
    state: str
    message: Said
    next: Said | None = None
    command: str = ""


Check = Callable[[Settings, Project], Iterator[Finding]]


def _python(_settings: Settings, project: Project) -> Iterator[Finding]:
    shown = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < ADVISED_PYTHON:
        told = later("{version}: works, with an older ansible-core", version=shown)
        following = later("Install Python 3.12 or newer, and start smos with it")
        with_it = "SMOS_PYTHON=python3.12 ./smos doctor" if project.is_checkout else "python3.12 -m pip install ."
        yield Finding("python", WARN, told, following, with_it)
    else:
        yield Finding("python", OK, Said(shown))
    yield Finding("ansible-core", OK, Said(metadata.version("ansible-core")))


def _state(_settings: Settings, project: Project) -> Iterator[Finding]:
    """Room for the state, and the right to write it."""
    state = project.state_dir
    there = next(each for each in (state, *state.parents) if each.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        told, following = later("{folder} cannot be written", folder=there), later("Make it your own, or name another")
        yield Finding("state", FAIL, told, following, f'sudo chown -R "$USER" {shlex.quote(str(there))}')
    free = shutil.disk_usage(there).free / 1e9
    told = later("{free} GB free for {folder}", free=f"{free:.0f}", folder=state)
    if free >= LEAST_FREE_GB:
        yield Finding("disk", OK, told)
    else:
        following = later("See what takes the room, and remove what you do not need")
        yield Finding("disk", WARN, told, following, f"du -xhd1 {shlex.quote(str(there))}")


def _specs(settings: Settings, project: Project) -> Iterator[Finding]:
    from ansible_collections.smartercl.smarteros.plugins.plugin_utils import rules

    mistakes = rules.judge_specs(project.specs_dir, settings.env, tenants=())
    if mistakes:
        told = later("{count} mistakes in {folder}", count=len(mistakes), folder=project.specs_dir)
        named = f" --specs {shlex.quote(settings.specs)}" if settings.specs else ""
        following = later("See each with file, line and key, and correct it")
        yield Finding("specs", FAIL, told, following, f"smos --env {settings.env}{named} validate")
    else:
        yield Finding("specs", OK, later("{folder} is valid", folder=project.specs_dir))


def _git(_settings: Settings, project: Project) -> Iterator[Finding]:
    """Whether `smos sync` could commit the specs; nothing else needs that."""
    if not shutil.which("git"):
        told = later("there is none on this machine, so specs and workflows cannot be synchronized")
        yield Finding("git", WARN, told, later("Install it"), "sudo apt install git")
        return
    hindered = doctor_git.hindrance(project.specs_dir.resolve())
    if hindered:
        yield Finding("git", WARN, *hindered)
    else:
        yield Finding("git", OK, later("{folder} can be committed", folder=project.specs_dir))


def machine(settings: Settings, project: Project) -> Iterator[Finding]:
    """Where services run: the Engine of the sandbox, or a machine that lets us in."""
    if settings.env == SANDBOX:
        yield _engine()
        return
    if not shutil.which("ssh"):
        told = later("there is no ssh on this machine")
        yield Finding("ssh", FAIL, told, later("Install it"), "sudo apt install openssh-client")
        return
    hosts = project.root / "inventories" / settings.env / "hosts.yml"
    try:
        reached = remote.machine(project, settings)
    except Failure as exc:
        told = Said("{why}", {"why": exc.outcome.errors[0]["why"]})
        yield Finding("inventory", FAIL, told, later("Correct the inventory"), _edited(hosts))
        return
    told = later(
        "{name} is {user}@{host}:{port}", **{key: getattr(reached, key) for key in ("name", "user", "host", "port")}
    )
    yield Finding("inventory", OK, told)
    yield _login(reached, hosts)


def _edited(path: Path) -> str:
    return f'"${{EDITOR:-vi}}" {shlex.quote(str(path))}'


def _engine() -> Finding:
    if not shutil.which("docker"):
        told = later("there is none on this machine, so the sandbox has no VPS")
        following = later("Install it for deploy, status and logs; everything else works without it")
        return Finding("docker", WARN, told, following, "sudo apt install docker.io")
    try:
        line = ["docker", "info", "--format", "{{.ServerVersion}}"]
        done = subprocess.run(line, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    except subprocess.TimeoutExpired:
        done = subprocess.CompletedProcess(line, 1, "", "")
    if done.returncode == 0:
        return Finding("docker", OK, later("Engine {version}", version=done.stdout.strip()))
    if "permission denied" in done.stderr.lower():
        told = later("its Engine does not let us in, so the sandbox has no VPS")
        following = later("Become one of its users, then log in anew")
        return Finding("docker", WARN, told, following, 'sudo usermod -aG docker "$USER"')
    told = later("its Engine does not answer, so the sandbox has no VPS")
    following = later("Start it for deploy, status and logs; everything else works without it")
    return Finding("docker", WARN, told, following, "sudo systemctl start docker")


def _login(machine: remote.Machine, hosts: Path) -> Finding:
    try:
        done = subprocess.run(machine.ssh(["true"]), capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    except subprocess.TimeoutExpired:
        done = subprocess.CompletedProcess([], 1, "", f"no answer within {PATIENCE_S} s")
    if done.returncode == 0:
        return Finding("login", OK, later("{host} lets us in", host=machine.host))
    why = " ".join(done.stderr.split())
    following, command = doctor_login.mended(machine, why) or (later("Correct the address"), _edited(hosts))
    return Finding("login", FAIL, Said("{host}: {why}", {"host": machine.host, "why": why[:200]}), following, command)


def _environment(settings: Settings, _project: Project) -> Iterator[Finding]:
    """Files of variables; that others may use one is refused in production before a check begins."""
    if settings.env == SANDBOX:
        return
    folder = envfiles.folder_of(settings.env, os.environ)
    files = sorted(envfiles.files_in(folder))
    open_ones = [path for path in files if path.stat().st_mode & 0o077]
    given = [name for name in os.environ if name.endswith(("_TOKEN", "_API_KEY"))]
    if open_ones:
        told = later("others can read {names}", names=", ".join(path.name for path in open_ones))
        yield Finding(
            "environment",
            WARN,
            told,
            later("Keep them to yourself"),
            shlex.join(["chmod", "600", *map(str, open_ones)]),
        )
    elif files:
        yield Finding("environment", OK, later("{count} files in {folder}", count=len(files), folder=folder))
    else:
        told = later("no files in {folder}; {count} tokens in the shell", folder=folder, count=len(given))
        following = later("Write tokens into files there (docs/tokens.md), and see which are missing")
        state = OK if given else WARN
        yield Finding(
            "environment", state, told, *(() if given else (following, f"smos --env {settings.env} test all"))
        )


def _vault(settings: Settings, project: Project) -> Iterator[Finding]:
    """The vault, and who has its password; the sandbox makes both by itself."""
    env = settings.env
    if env == SANDBOX:
        return
    file = sync_scan.vault_file(project, env)
    if not file.is_file():
        told, following = later("there is no {file}", file=file), later("Make it, with all secrets that can be made")
        yield Finding("vault", WARN, told, following, f"smos --env {env} secrets init")
        return
    following = later("Name the file or program that gives it (docs/secrets.md)")
    command = f"{vault_password.FILE}=FILE smos --env {env} secrets check"
    try:
        password = vault_password.ready(env)
    except Failure as exc:
        error = exc.outcome.errors[0]
        told = later(
            "no password for {file}: {why}", file=file, why=f"{error['what']}, {error['where']}: {error['why']}"
        )
        yield Finding("vault", FAIL, told, following, command)
        return
    if password is None and not any(os.environ.get(name) for name in vault_password.ANSIBLES_OWN):
        yield Finding("vault", FAIL, later("nobody gives the password for {file}", file=file), following, command)
    else:
        yield Finding("vault", OK, later("{file}, and a password for it", file=file))


ALL: tuple[Check, ...] = (_python, _state, _specs, _git, machine, _environment, _vault)
