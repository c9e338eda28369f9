"""One job at a time, its outcome kept, a failure told, and nobody waits for a dead one."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import target_lock
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import job, notice
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.config import Config
from ansible_collections.smartercl.smarteros.plugins.module_utils.target_lock import TargetLock

CONFIG = Config("production", "/backups", "/p", {})


@pytest.fixture
def lock(tmp_path: Path) -> TargetLock:
    return TargetLock(folder=tmp_path / "locks")


@pytest.fixture(autouse=True)
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool, str]]:
    found: list[tuple[str, bool, str]] = []
    monkeypatch.setattr(notice, "tell", lambda _, name, ok, message: found.append((name, ok, message)))
    monkeypatch.setattr(job, "gently", lambda: None)
    monkeypatch.setattr(job, "POLL_S", 0.02)
    monkeypatch.delenv(target_lock.RUN, raising=False)
    return found


def perform(lock: TargetLock, tmp_path: Path, work: Any, **more: Any) -> Any:
    return job.perform(CONFIG, job.BACKUP, "one", work, lock=lock, last=tmp_path / "state" / "last.json", **more)


def held(lock: TargetLock, **more: Any) -> None:
    lock.take({"run": "deploy-1", "holder": "ana@control", "reason": "deploy", "expires_at": time.time() + 900, **more})


def test_an_outcome_is_kept_and_told(lock: TargetLock, tmp_path: Path, told: list[Any]) -> None:
    def work() -> tuple[job.Outcome, str]:
        holder = lock.holder()
        assert holder is not None
        assert (holder["run"], holder["reason"]) == ("one", "backup")
        return job.Outcome(True, "complete", "20261123-020000", 77), "found"

    assert perform(lock, tmp_path, work) == "found"
    assert lock.holder() is None
    path = tmp_path / "state" / "last.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    entry = job.read_last(path)["backup"]
    assert entry["ok"]
    assert entry["id"] == "20261123-020000"
    assert entry["good"] == {"at": entry["at"], "id": "20261123-020000", "added": 77}
    assert told == [("backup", True, "complete")]
    perform(lock, tmp_path, lambda: (job.Outcome(True, "complete", "20261123-030000", 4), None))
    good = job.read_last(path)["backup"]["good"]
    assert (good["id"], good["added"]) == ("20261123-030000", 57), "a small one does not make little of the next"


def test_of_each_service_the_last_backup_that_holds_it_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "last.json"
    for backup, ok, held in (
        ("1", True, ["n8n", "odoo"]),
        ("2", True, ["odoo"]),
        ("3", False, ["n8n"]),
        ("4", False, []),
    ):
        job.write_last(job.BACKUP, job.Outcome(ok, "", backup, 0, held), 0.0, path)
    entry = job.read_last(path)["backup"]
    assert entry["held"] == {"n8n": "3", "odoo": "2"}
    assert entry["good"]["id"] == "2"


def test_a_failure_is_kept_told_and_the_last_good_one_is_remembered(
    lock: TargetLock, tmp_path: Path, told: list[Any]
) -> None:
    perform(lock, tmp_path, lambda: (job.Outcome(True, "complete", "20261123-020000", 77), None))

    def broken() -> tuple[job.Outcome, None]:
        raise OSError("no space\nleft")

    with pytest.raises(OSError, match="no space"):
        perform(lock, tmp_path, broken)
    assert lock.holder() is None
    entry = job.read_last(tmp_path / "state" / "last.json")["backup"]
    assert (entry["ok"], entry["message"]) == (False, "no space left")
    assert entry["good"]["id"] == "20261123-020000"
    assert told[-1] == ("backup", False, "no space left")


def test_a_notice_that_cannot_be_sent_fails_nothing(
    lock: TargetLock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("planted")

    monkeypatch.setattr(notice, "tell", broken)
    assert perform(lock, tmp_path, lambda: (job.Outcome(True, ""), 5)) == 5


def test_what_became_of_a_notice_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> list[str]:
        raise RuntimeError("planted-secret")

    said: list[str] = []
    outcome = job.Outcome(False, "no space left")
    monkeypatch.setattr(notice, "tell", lambda *_: ["webhook: could not be told"])
    job.tell(CONFIG, "backup", outcome, said.append)
    monkeypatch.setattr(notice, "tell", broken)
    job.tell(CONFIG, "backup", outcome, said.append)
    assert said == ["webhook: could not be told", "nobody could be told how backup ended: RuntimeError"]


def test_a_busy_machine_refuses_people_at_once_and_timers_later_with_a_notice(
    lock: TargetLock, tmp_path: Path, told: list[Any]
) -> None:
    held(lock)
    said: list[str] = []
    with pytest.raises(job.Busy, match=r"run deploy-1 \(deploy\) of ana@control"):
        perform(lock, tmp_path, lambda: (job.Outcome(True, ""), None))
    assert told == []
    with pytest.raises(job.Busy):
        perform(lock, tmp_path, lambda: (job.Outcome(True, ""), None), patience_s=0.1, say=said.append)
    assert said == ["waiting for run deploy-1 (deploy) to end"]
    assert [each[:2] for each in told] == [("backup", False)]
    holder = lock.holder()
    assert holder is not None
    assert holder["run"] == "deploy-1"


def test_a_lock_that_is_given_back_in_time_is_taken(lock: TargetLock, tmp_path: Path) -> None:
    held(lock)

    def say(_: str) -> None:
        lock.release("deploy-1")

    assert perform(lock, tmp_path, lambda: (job.Outcome(True, ""), 1), patience_s=30, say=say) == 1


def test_the_lock_of_the_run_that_it_belongs_to_is_used_and_left(lock: TargetLock, tmp_path: Path) -> None:
    lock.take({"run": "one", "holder": "ana@control", "reason": "deploy", "expires_at": time.time() + 5})
    perform(lock, tmp_path, lambda: (job.Outcome(True, ""), None))
    holder = lock.holder()
    assert holder is not None
    assert (holder["run"], holder["holder"]) == ("one", "ana@control")


def test_nobody_waits_for_a_process_that_was_killed(lock: TargetLock, tmp_path: Path) -> None:
    script = (
        "import sys, time, pathlib\n"
        "from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import job\n"
        "from ansible_collections.smartercl.smarteros.plugins.module_utils.target_lock import TargetLock\n"
        "with job.alone('dead', 'backup', lock=TargetLock(folder=pathlib.Path(sys.argv[1]))):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(600)\n"
    )
    words = [sys.executable, "-c", script, str(tmp_path / "locks")]
    path = os.pathsep.join(sys.path)
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(job.Busy, match="run dead"):
            perform(lock, tmp_path, lambda: (job.Outcome(True, ""), None))
        other.kill()
    said: list[str] = []
    assert perform(lock, tmp_path, lambda: (job.Outcome(True, ""), 3), say=said.append) == 3
    assert "took over the lock of run dead" in said[0]


def test_broken_state_counts_as_none(tmp_path: Path) -> None:
    path = tmp_path / "last.json"
    assert job.read_last(path) == {}
    path.write_text("[1]")
    assert job.read_last(path) == {}
    path.write_text(json.dumps({"backup": 3, "copy": {"ok": True}}))
    assert job.read_last(path) == {"copy": {"ok": True}}


def test_gently_asks_for_less_and_never_fails() -> None:
    code = (
        "import os, sys\n"
        "from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import job\n"
        "job.gently(); job.gently(); os.environ['PATH'] = '/nowhere'; job.gently(); print(os.nice(0))\n"
    )
    path = os.pathsep.join(sys.path)
    words = [sys.executable, "-c", code]
    found = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path})
    assert found.stdout.strip() == str(max(10, os.nice(0))), found.stderr


def test_a_run_without_a_control_node_has_an_id_of_its_own() -> None:
    assert job.new_run("timer").startswith("timer-2")
