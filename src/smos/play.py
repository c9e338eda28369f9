"""Runs a playbook through ansible-runner: a value says what to run, one function runs it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from smos import exitcodes, vault_password
from smos.project import Project
from smos.redact import Redactor
from smos.settings import Settings

# Actions up to the first write: when one of them refuses, nothing was touched
BEFORE_WRITES = (
    "playbook_input",
    "tenant_request",
    "tenant_change",
    "tenant_import",
    "tenant_open",
    "tenant_preflight",
    "tenant_hold",
    "tenant_register",
    "tenant_activity",
    "token_check",
    "deploy_open",
    "stack_look",
    "deploy_preflight",
    "rollback_open",
    "rollback_plan",
    "deploy_lock",
    "secrets",
    "release_pin",
)
# Actions that do all of their work themselves: a refusal touched nothing unless the play had changed something before
REFUSE_WHOLE = (
    "backup_take",
    "backups_info",
    "backup_restore",
    "backup_tenant",
    "daily_digest",
    "admin_notice",
    "frontend_open",
    "vercel_deployments",
    "zone_open",
    "cloudflare_zone_records",
    "cloudflare_zone",
    "supabase_migrations",
    "supabase_buckets",
)
# Actions whose successful results carry changes, and errors of single tenants
TELL_CHANGES = (
    "tenant_register",
    "tenant_record",
    "tenant_carry_out",
    "deploy_preflight",
    "rollback_plan",
    "host_settings",
    "backup_setup",
    "health_setup",
    "swarm_node",
    "postgresql_databases",
    "daily_figures",
    "stack_deploy",
    "secrets",
    "release_pin",
    "backup_take",
    "backup_restore",
    "backup_tenant",
    "daily_digest",
    "admin_notice",
    "vercel_deployments",
    "cloudflare_zone_records",
    "cloudflare_zone",
    "supabase_migrations",
    "supabase_buckets",
)
# Actions whose results a command tells of
TELL_RESULTS = (
    "deploy_preflight",
    "stack_deploy",
    "vps_status",
    "health_history",
    "secrets",
    "release_pin",
    "rollback_plan",
    "backup_take",
    "backups_info",
    "backup_restore",
    "backup_tenant",
    "daily_digest",
    "admin_notice",
    "vercel_deployments",
    "workflow_sync",
    "cloudflare_zone_records",
    "cloudflare_zone",
)
TELL_ERRORS = ("tenant_open", "tenant_preflight", "tenant_hold", "tenant_export", "tenant_record", "tenant_carry_out")
COLLECTION = "smartercl.smarteros."
CANCEL_PERIOD_S = 0.1  # how often ansible-runner asks whether Ctrl-C came
MOST_OF_A_RESULT = 1_000_000_000  # characters; ansible-runner empties a larger result (its own limit: 0.7 million)
TOGETHER = 3  # plays at the same time: they wait for providers more than they compute
GRACE_S = 10.0  # how long a run may take to stop after Ctrl-C before it is killed

Event = Mapping[str, Any]


@dataclass(frozen=True)
class Play:
    """A playbook of this project with its variables."""

    playbook: str
    run: str
    variables: Mapping[str, Any] = field(default_factory=dict)
    limit: str | None = None
    check: bool = False


@dataclass
class Played:
    """What a play came to. ``changes`` and ``errors`` have the form of the contract."""

    rc: int = 0
    code: int = exitcodes.DONE
    changed: bool = False
    interrupted: bool = False
    changes: list[dict[str, Any]] = field(default_factory=list)
    errors: list[dict[str, str]] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    results: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    """Names and results of the actions in TELL_RESULTS, in the order of their ends."""

    def take(self, event: Event) -> None:
        """Learn from one event of the run."""
        kind, data = event["event"], event.get("event_data", {})
        if kind in ("runner_on_ok", "runner_on_failed", "runner_item_on_failed"):
            self._take_result(kind, data)
        elif kind == "runner_on_unreachable":
            self._take_unreachable(data)
        elif kind in ("warning", "error") and event.get("stdout"):
            self.notices.append(str(event["stdout"]))

    def _take_result(self, kind: str, data: Mapping[str, Any]) -> None:
        result = data.get("res") or {}
        action = str(data.get("resolved_action") or data.get("task_action") or "").removeprefix(COLLECTION)
        self.changed = self.changed or bool(result.get("changed"))
        if action in TELL_CHANGES:
            self.changes.extend(result.get("changes") or [])
        if action in TELL_RESULTS:
            self.results.append((action, result))
        if action in TELL_ERRORS:
            self._add_errors(result.get("errors") or [])
        if kind == "runner_on_failed" and not action.endswith(".fail") and action != "fail":
            row = {
                "what": str(data.get("task", "a task")),
                "where": str(data.get("host", "")),
                "why": _why(result),
                "next": "",
            }
            self._add_errors(result.get("errors") or [row])
            if action in BEFORE_WRITES or (action in REFUSE_WHOLE and not self.changed):
                self.code = int(result.get("exit_code") or exitcodes.FAILED)

    def _take_unreachable(self, data: Mapping[str, Any]) -> None:
        """A machine that cannot be reached; where nothing had been done yet, nothing was touched."""
        result = data.get("res") or {}
        following = "Check the address in the inventory, the SSH key and that the machine is up; then run the same command again"
        row = {"what": str(data.get("host", "")), "where": "SSH", "why": _why(result), "next": following}
        self._add_errors([row])
        self.code = exitcodes.FAILED if self.changed else exitcodes.UNUSABLE

    def _add_errors(self, rows: list[dict[str, str]]) -> None:
        self.errors.extend(row for row in rows if row not in self.errors)


def _why(result: Mapping[str, Any]) -> str:
    return " ".join(str(result.get("msg") or result.get("censored") or "it failed without a message").split())


def run(play: Play, project: Project, settings: Settings, on_event: Callable[[Event], None]) -> Played:
    """Run the playbook to its end, or stop it cleanly on Ctrl-C."""
    import ansible_runner

    with _stop_on_signal(ansible_runner) as stopped:
        return _run(play, project, settings, on_event, stopped)


def run_together(
    plays: Sequence[Play],
    project: Project,
    settings: Settings,
    on_event: Callable[[Play, Event], None],
    on_end: Callable[[Play, Played, float], None],
) -> list[Played]:
    """Run playbooks that know nothing of each other, several at the same time; Ctrl-C stops all of them cleanly.

    ``on_event`` and ``on_end`` (with the seconds that the play took) are called from several threads, one at a time.
    """
    import ansible_runner

    speaking = threading.Lock()

    def one(play: Play) -> Played:
        def take(event: Event) -> None:
            with speaking:
                on_event(play, event)

        began = time.monotonic()
        played = _run(play, project, settings, take, stopped)
        with speaking:
            on_end(play, played, time.monotonic() - began)
        return played

    at_once = 1 if settings.verbose else TOGETHER  # what Ansible itself prints would be mixed up
    with _stop_on_signal(ansible_runner) as stopped, ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(one, plays))


def _run(
    play: Play, project: Project, settings: Settings, on_event: Callable[[Event], None], stopped: threading.Event
) -> Played:
    import ansible_runner

    played = Played()
    if stopped.is_set():
        played.interrupted, played.code = True, exitcodes.INTERRUPTED
        return played
    redactor = Redactor(os.environ)

    def take(event: dict[str, Any]) -> bool:
        clean = redactor.data(event) if event.get("event_data", {}).get("res") else event
        played.take(clean)
        on_event(clean)
        return False  # nothing of it is kept on disk

    with _private_folder(project.state_dir) as folder:
        _set_up(folder)
        finished = ansible_runner.run(
            private_data_dir=str(folder),
            project_dir=str(project.root),
            playbook=f"playbooks/{play.playbook}",
            inventory=str(project.root / "inventories" / settings.env),
            limit=play.limit,
            cmdline=_cmdline(play, settings, folder, vault_password.arguments(settings.env, folder)),
            envvars=environment(project),
            suppress_env_files=True,
            quiet=settings.verbose == 0 or settings.as_json,
            event_handler=take,
            status_handler=_forget_environment(folder),
            cancel_callback=stopped.is_set,
            fact_cache_type="memory",  # on disk it is a file per host and task
        )
        played.rc = int(finished.rc if finished.rc is not None else 1)
        played.interrupted = stopped.is_set()
    if played.interrupted:
        played.code = exitcodes.INTERRUPTED
    elif played.rc != 0 and played.code == exitcodes.DONE:
        played.code = exitcodes.FAILED
        if not played.errors:
            _explain(played, play, project, settings)
    return played


def _set_up(folder: Path) -> None:
    """Settings of ansible-runner. It forgets those that are given as an argument where this file is not there."""
    (folder / "env").mkdir()
    (folder / "env" / "settings").write_text(json.dumps({"pexpect_timeout": CANCEL_PERIOD_S}), encoding="utf-8")


def _explain(played: Played, play: Play, project: Project, settings: Settings) -> None:
    """Find words for a failure that no task told: broken specs leave Ansible without an inventory."""
    from ansible_collections.smartercl.smarteros.plugins.plugin_utils import rules

    mistakes = rules.judge_specs(project.specs_dir, settings.env, tenants=())
    if mistakes:
        played.code = exitcodes.INVALID
        played.errors.extend(mistake.as_error() for mistake in mistakes)
    else:
        played.errors.append(_unexplained(played, play))


def _unexplained(played: Played, play: Play) -> dict[str, str]:
    words = " ".join(" ".join(played.notices).split()) or f"ansible-playbook ended with {played.rc}"
    return {
        "what": f"playbook {play.playbook}",
        "where": "",
        "why": words[:600],
        "next": "Run it again with -vvv to see more",
    }


def _cmdline(play: Play, settings: Settings, folder: Path, further: Sequence[str]) -> str:
    """The further arguments. Variables go through a private file: an argument list is visible to every user."""
    import shlex

    variables = folder / "variables.json"
    variables.touch(mode=0o600)
    variables.write_text(json.dumps({**play.variables, "smos_run": play.run}), encoding="utf-8")
    words = []
    for each in settings.extra_vars:
        words += ["-e", each] if each.startswith("@") else ["-e", f"@{_as_file(each, folder)}"]
    words += ["-e", f"@{variables}", *further]
    words += ["--check"] * play.check + ["--diff"] * settings.diff
    words += ["--tags", settings.tags] if settings.tags else []
    words += ["--forks", str(settings.forks)] if settings.forks else []
    words += [f"-{'v' * settings.verbose}"] if settings.verbose else []
    return shlex.join(words)


def _as_file(assignment: str, folder: Path) -> Path:
    """`-e name=value` as a private file that Ansible reads in the same way."""
    import shlex

    data: Any
    if assignment.lstrip().startswith("{"):
        data = json.loads(assignment)
    else:
        data = dict(word.partition("=")[::2] for word in shlex.split(assignment))
    path = folder / f"extra-{len(list(folder.glob('extra-*')))}.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def environment(project: Project) -> dict[str, str]:
    """What Ansible must find in its environment."""
    return {
        "ANSIBLE_CONFIG": str(project.root / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(project.collections_path),
        "SMOS_SPECS_REPO": str(project.specs_dir),
        "SMOS_STATE_DIR": str(project.state_dir),
        "MAX_EVENT_RES": str(MOST_OF_A_RESULT),
        "SMOS_PID": str(os.getpid()),  # a run must not outlive the command that started it
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
    }


def _forget_environment(folder: Path) -> Callable[..., None]:
    """ansible-runner writes the whole environment, secrets and all, beside its artifacts: remove it at once."""

    def handler(status: Mapping[str, Any], **_more: Any) -> None:
        if status["status"] == "running":
            for file in folder.glob("artifacts/*/command"):
                file.unlink()

    return handler


@contextmanager
def _private_folder(state: Path) -> Iterator[Path]:
    """A folder that only we can read and that goes with the run; what killed runs left is swept first."""
    parent = state / "running"
    parent.mkdir(parents=True, exist_ok=True)
    parent.chmod(0o700)
    for left in parent.iterdir():
        if not _alive(left.name.partition("-")[0]):
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def _stop_on_signal(ansible_runner: Any) -> Iterator[threading.Event]:
    """Ctrl-C (or SIGTERM) sets the event; ansible-runner then stops the play the way that `_stop_softly` does."""
    stopped = threading.Event()
    runner = ansible_runner.runner.Runner
    hard = runner.handle_termination
    before = {each: signal.signal(each, lambda *_: stopped.set()) for each in (signal.SIGINT, signal.SIGTERM)}
    # Its own way is SIGKILL; Ansible deserves the chance to end its workers
    runner.handle_termination = staticmethod(_soft_then(hard))
    try:
        yield stopped
    finally:
        runner.handle_termination = hard
        for each, handler in before.items():
            signal.signal(each, handler)


def _soft_then(hard: Callable[[int, str | None], None]) -> Callable[..., None]:
    def stop(pid: int, pidfile: str | None = None) -> None:
        _stop_softly(pid)
        hard(pid, pidfile)

    return stop


def _stop_softly(pid: int) -> None:
    os.kill(pid, signal.SIGINT)
    deadline = time.monotonic() + GRACE_S
    while time.monotonic() < deadline:
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return
        time.sleep(0.05)
