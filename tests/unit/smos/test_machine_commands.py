"""What the commands that look at the machine make of what they are told."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from smos import deploy_work, exitcodes, history_view, logs_work, play, remote, status_work, vps_ready
from smos.outcome import Failure, Outcome
from smos.settings import Settings

SERVICES = {
    "redis": {"state": "up", "image": "redis:7@sha256:aa", "changed": False, "rolled_back": False},
    "n8n": {"state": "absent", "image": "n8n:2@sha256:bb", "changed": False, "rolled_back": False},
}
PREFLIGHT = ("deploy_preflight", {"release": "0.2.0", "previous": "0.1.0", "services": SERVICES})
MACHINE = remote.Machine("vps1", "203.0.113.10", "ops", 22, "/key", ("-F", "none"))


def settings() -> Settings:
    return Settings("sandbox", None, False, False, True, False, 0, True, None, None, (), None)


def test_a_deploy_tells_what_the_preflight_found_and_each_deploy_made_of_it() -> None:
    hidden = {"service": "n8n", "changes": [{"what": "image"}], "state": {"state": "up"}}
    played = play.Played(
        results=[PREFLIGHT, ("stack_deploy", hidden), ("stack_deploy", {"service": "n8n", "changes": []})]
    )
    found = deploy_work.result_of(played)
    assert (found["release"], found["previous"], found["backup"]) == ("0.2.0", "0.1.0", None)
    assert found["services"]["n8n"] == {**SERVICES["n8n"], "state": "up", "changed": True}
    assert found["services"]["redis"] == SERVICES["redis"]


def test_a_version_that_was_rolled_back_is_failed() -> None:
    failed = {"service": "n8n", "errors": [{}], "rolled_back": True, "changes": []}
    found = deploy_work.result_of(play.Played(results=[PREFLIGHT, ("stack_deploy", failed)]))
    assert (found["services"]["n8n"]["state"], found["services"]["n8n"]["rolled_back"]) == ("failed", True)


def test_a_refused_deploy_has_an_empty_result(capsys: pytest.CaptureFixture[str]) -> None:
    found = deploy_work.result_of(play.Played())
    assert found == {"release": "", "previous": "", "services": {}, "backup": None}
    deploy_work.show(Outcome(found))
    assert capsys.readouterr().out == ""


def test_what_was_deployed_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    deploy_work.show(Outcome(deploy_work.result_of(play.Played(results=[PREFLIGHT])), changed=True))
    shown = capsys.readouterr().out
    assert "release 0.2.0 (before: 0.1.0)" in shown
    assert "redis:7" in shown
    assert "sha256" not in shown


def test_an_unreachable_machine_is_unusable_unless_something_was_changed_before() -> None:
    event = {"event": "runner_on_unreachable", "event_data": {"host": "vps1", "res": {"msg": "timed out"}}}
    before = play.Played()
    before.take(event)
    assert before.code == exitcodes.UNUSABLE
    assert before.errors[0]["what"] == "vps1"
    half = play.Played(changed=True)
    half.take(event)
    assert half.code == exitcodes.FAILED


STATUS = {
    "services": {"n8n": {"state": "up", "latency_ms": 12.3, "version": "2", "message": ""}},
    "host": {
        "name": "vps1",
        "os_title": "Ubuntu 24.04",
        "engine": "28.1",
        "memory_mb": 8192,
        "available_mb": 4096,
        "swap_mb": 4096,
        "disk_gb": 100.0,
        "disk_free_gb": 60.0,
        "load": [0.5, 0.4, 0.3],
        "cpus": 2,
    },
    "certificates": {
        "n8n.example.com": {"expires": "2030-01-01T00:00:00Z", "days": 3, "self_made": False},
        "odoo.example.com": {"expires": "2030-01-01T00:00:00Z", "days": 80, "self_made": False},
    },
    "release": "0.2.0",
    "lock": {"run": "20300101-000000-aaaa", "holder": "ana@control", "reason": "deploy"},
    "tenants": {"active": 3},
    "backups": {},
}


def test_the_status_shows_services_and_only_certificates_that_want_something(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status_work.show(Outcome(STATUS))
    shown = capsys.readouterr().out
    for words in (
        "n8n",
        "4096 of 8192 MiB",
        "40 of 100 GB",
        "release 0.2.0",
        "n8n.example.com: ends 2030",
        "3 active",
        "ana@control",
    ):
        assert words in shown, words
    assert "odoo.example.com" not in shown


def test_one_service_alone_and_an_unknown_one() -> None:
    assert set(status_work._only(STATUS, "n8n")["services"]) == {"n8n"}
    with pytest.raises(Failure) as refused:
        status_work._only(STATUS, "mysql")
    assert refused.value.outcome.code == exitcodes.INVALID


def test_a_login_that_is_not_root_goes_through_sudo() -> None:
    words = MACHINE.ssh(["docker", "ps"])
    assert words[-2:] == ["ops@203.0.113.10", "sudo -n docker ps"]
    assert words[words.index("-i") + 1] == "/key"
    root = remote.Machine("vps1", "203.0.113.10", "root", 2222, "", ())
    assert root.ssh(["true"])[-1] == "true"
    assert "-i" not in root.ssh(["true"])


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that stands for ssh: it runs what it is given, with a docker that has one service."""
    (tmp_path / "ssh").write_text('#!/bin/sh\nfor last; do :; done\nexec sh -c "$last"\n')
    docker = """#!/bin/sh
case "$2" in
  ls) case "$*" in *=n8n*|*=redis*) echo one;; esac;;
  logs) echo "said: $*"; case "$*" in *--follow*) exec sleep 300;; esac;;
esac
"""
    (tmp_path / "docker").write_text(docker)
    (tmp_path / "sudo").write_text('#!/bin/sh\nshift\nexec "$@"\n')
    for name in ("ssh", "docker", "sudo"):
        (tmp_path / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(remote, "machine", lambda *_given: MACHINE)
    monkeypatch.setattr(vps_ready, "ready", lambda *_given, **_more: None)
    return tmp_path


def test_logs_of_several_services_come_at_once(ssh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ssh.is_dir()
    assert logs_work.carry_out(["n8n", "redis"], 7, False, settings()) == exitcodes.DONE
    logs = json.loads(capsys.readouterr().out)["result"]["logs"]
    assert set(logs) == {"n8n", "redis"}
    assert all("--tail 7" in lines[0] for lines in logs.values())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_following_ends_cleanly_and_leaves_no_login_behind(
    ssh: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    assert ssh.is_dir()
    started: list[subprocess.Popen[str]] = []
    start = logs_work._start

    def kept(words: Any) -> subprocess.Popen[str]:
        started.append(start(words))
        return started[-1]

    monkeypatch.setattr(logs_work, "_start", kept)
    before = signal.getsignal(number)

    def stop() -> None:
        until = time.monotonic() + 60
        while (len(started) < 2 or signal.getsignal(number) is before) and time.monotonic() < until:
            time.sleep(0.01)
        os.kill(os.getpid(), number)

    stopper = threading.Thread(target=stop)
    stopper.start()
    assert logs_work.carry_out(["n8n", "redis"], 7, True, settings()) == exitcodes.DONE
    stopper.join()
    assert all(each.poll() is not None for each in started)
    assert signal.getsignal(number) is before


def test_a_service_that_is_not_deployed_is_named(ssh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ssh.is_dir()
    assert logs_work.carry_out(["odoo"], 7, False, settings()) == exitcodes.UNUSABLE
    (error,) = json.loads(capsys.readouterr().out)["errors"]
    assert (error["what"], error["why"]) == ("odoo", "it is not deployed")


def test_an_unknown_service_is_refused(ssh: Path) -> None:
    assert ssh.is_dir()
    with pytest.raises(Failure) as refused:
        logs_work.carry_out(["mysql"], 7, False, settings())
    assert refused.value.outcome.code == exitcodes.INVALID


@pytest.mark.parametrize(("text", "days"), [(None, 0), ("7d", 7), ("30", 30), ("395d", 395)])
def test_a_history_is_of_so_many_days(text: str | None, days: int) -> None:
    assert status_work.days(text) == days


@pytest.mark.parametrize("text", ["", "0d", "396d", "7w", "-1", "d"])
def test_other_histories_are_refused(text: str) -> None:
    with pytest.raises(Failure) as refused:
        status_work.days(text)
    assert refused.value.outcome.code == exitcodes.INVALID


def test_a_history_shows_the_worst_first_and_leaves_good_tenants_out(capsys: pytest.CaptureFixture[str]) -> None:
    def subject(kind: str, title: str, percent: float | None, down_s: int = 0) -> dict[str, object]:
        about = {
            "kind": kind,
            "title": title,
            "tenant": "",
            "service": "",
            "subject": title,
            "state": "up",
            "target": 99.5,
        }
        return {**about, "percent": percent, "up_s": 1, "down_s": down_s, "unknown_s": 0}

    rows = [subject("tenant", f"Shop {number}", 100.0) for number in range(30)]
    rows += [
        subject("tenant", "Pan y Sal", 97.25, 7260),
        subject("service", "n8n", 99.9),
        subject("host", "disk", 50.0),
    ]
    incident = {
        "opened_at": "2026-11-10T12:00:00Z",
        "closed_at": None,
        "minutes": 90.0,
        "severity": "critical",
        "title": "Pan y Sal",
        "what": "pan.example.com does not answer",
    }
    history_view.show({"days": 7, "subjects": rows, "incidents": [incident]})
    shown = capsys.readouterr().out
    lines = [line.split() for line in shown.splitlines()]
    assert lines[1][1:3] == ["service", "n8n"]
    assert "97.25" in lines[2]
    assert "and 11 more, all as aimed at; --json has them" in shown
    assert "disk" not in shown
    assert "90 min  critical  Pan y Sal: pan.example.com does not answer  (still open)" in shown
