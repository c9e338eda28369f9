"""`smos doctor`: what this machine and this environment lack before a command finds out. Only reads."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib import metadata

from smos import exitcodes, remote, work
from smos.outcome import Failure, Outcome, Speaker
from smos.project import Project
from smos.settings import Settings

OK, WARN, FAIL = "ok", "warn", "fail"
MARKS = {OK: "✓", WARN: "!", FAIL: "✗"}
ADVISED_PYTHON = (3, 12)
LEAST_FREE_GB = 2.0
SSH_S = 20
SANDBOX = "sandbox"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. ``next`` is empty where nothing is to be done."""

    what: str
    state: str
    message: str
    next: str = ""


Check = Callable[[Settings, Project], Iterator[Finding]]


def carry_out(settings: Settings) -> int:
    """Look at everything and tell; gives the exit code: 0, or 3 where something would stop a command."""
    project = work.project_for(settings)
    with ThreadPoolExecutor(len(CHECKS)) as pool:
        findings = [each for found in pool.map(lambda check: list(check(settings, project)), CHECKS) for each in found]
    failed = [each for each in findings if each.state == FAIL]
    errors = tuple({"what": each.what, "where": "", "why": each.message, "next": each.next} for each in failed)
    code = exitcodes.UNUSABLE if failed else exitcodes.DONE
    outcome = Outcome({"checks": [asdict(each) for each in findings]}, errors, code=code)
    return Speaker("doctor", settings.env, settings.as_json).finish(outcome, lambda: show(outcome))


def show(outcome: Outcome) -> None:
    """Print each finding on a line, and what to do about it below."""
    for each in outcome.result["checks"]:
        print(f"{MARKS[each['state']]} {each['what']:<14} {each['message']}")
        if each["next"] and each["state"] == WARN:
            print(f"  {'':<14} {each['next']}")


def _python(_settings: Settings, project: Project) -> Iterator[Finding]:
    shown = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < ADVISED_PYTHON:
        yield Finding("python", WARN, f"{shown}: works, with an older ansible-core", "Install Python 3.12 or newer")
    else:
        yield Finding("python", OK, shown)
    yield Finding("ansible-core", OK, metadata.version("ansible-core"))
    free = shutil.disk_usage(project.state_dir if project.state_dir.exists() else project.root).free / 1e9
    state = OK if free >= LEAST_FREE_GB else WARN
    yield Finding("disk", state, f"{free:.0f} GB free for {project.state_dir}", "" if state == OK else "Make room")


def _specs(settings: Settings, project: Project) -> Iterator[Finding]:
    from ansible_collections.smartercl.smarteros.plugins.plugin_utils import rules

    mistakes = rules.judge_specs(project.specs_dir, settings.env, tenants=())
    if mistakes:
        yield Finding("specs", FAIL, f"{len(mistakes)} mistakes in {project.specs_dir}", "See `smos validate`")
    else:
        yield Finding("specs", OK, f"{project.specs_dir} is valid")


def _machine(settings: Settings, project: Project) -> Iterator[Finding]:
    if settings.env == SANDBOX:
        yield _engine()
        return
    if not shutil.which("ssh"):
        yield Finding("ssh", FAIL, "there is no ssh on this machine", "Install an OpenSSH client")
        return
    try:
        machine = remote.machine(project, settings)
    except Failure as exc:
        error = exc.outcome.errors[0]
        yield Finding("inventory", FAIL, error["why"], error["next"])
        return
    yield Finding("inventory", OK, f"{machine.name} is {machine.user}@{machine.host}:{machine.port}")
    yield _login(machine)


def _engine() -> Finding:
    following = "Install and start Docker for deploy, status and logs; everything else works without it"
    if not shutil.which("docker"):
        return Finding("docker", WARN, "there is none on this machine, so the sandbox has no VPS", following)
    done = subprocess.run(
        ["docker", "info", "--format", "{{.ServerVersion}}"], capture_output=True, text=True, timeout=SSH_S, check=False
    )
    if done.returncode != 0:
        return Finding("docker", WARN, "its Engine does not answer, so the sandbox has no VPS", following)
    return Finding("docker", OK, f"Engine {done.stdout.strip()}")


def _login(machine: remote.Machine) -> Finding:
    try:
        done = subprocess.run(machine.ssh(["true"]), capture_output=True, text=True, timeout=SSH_S, check=False)
    except subprocess.TimeoutExpired:
        return Finding("login", FAIL, f"no answer from {machine.host} within {SSH_S} s", "Check address and firewall")
    if done.returncode != 0:
        why = " ".join(done.stderr.split())[:200]
        return Finding(
            "login", FAIL, f"{machine.host}: {why}", "Check the key, the user and, unless root, sudo without password"
        )
    return Finding("login", OK, f"{machine.host} lets us in")


def _secrets(settings: Settings, project: Project) -> Iterator[Finding]:
    if settings.env == SANDBOX:
        return
    folder = project.root / "system" / "env" / settings.env
    files = sorted(path.name for path in folder.glob(".env*") if not path.name.endswith((".template", ".example")))
    open_ones = [name for name in files if (folder / name).stat().st_mode & 0o077]
    if open_ones:
        yield Finding("environment", WARN, f"others can read {', '.join(open_ones)}", f"chmod 600 {folder}/.env*")
    elif files:
        yield Finding("environment", OK, f"{len(files)} files in {folder}")
    else:
        given = [name for name in os.environ if name.endswith(("_TOKEN", "_API_KEY"))]
        text = f"no files in {folder}; {len(given)} tokens in the shell"
        yield Finding(
            "environment", OK if given else WARN, text, "" if given else "See docs/tokens.md, then `smos test all`"
        )


CHECKS: tuple[Check, ...] = (_python, _specs, _machine, _secrets)
