"""A module does not outlive the run that started it."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import lifeline

# Like Ansible: a main process, its forked worker in a session of its own, a shell, and the module below
RUN = """
# ansible-playbook
import os, subprocess, sys, time
if os.fork() == 0:
    os.setsid()
    subprocess.run(["/bin/sh", "-c", sys.executable + " -c \\"$MODULE\\" && sleep 0"])
    os._exit(0)
time.sleep(600)
"""
MODULE = """
import os, time
from ansible_collections.smartercl.smarteros.plugins.module_utils import lifeline
lifeline.hold()
print(os.getpid(), flush=True)
time.sleep(600)
"""


# It says in a file what became of it
HEEDING = """
import os, sys, time
from ansible_collections.smartercl.smarteros.plugins.module_utils import lifeline
lifeline.heed()
told = sys.argv[1]
print("begun", file=open(told, "w"))
try:
    time.sleep(600)
except KeyboardInterrupt:
    with open(told + ".new", "w") as file:
        file.write("taken back")
    os.rename(told + ".new", told)
"""


def until(reached: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 60  # what goes on living does so for ten minutes
    while time.monotonic() < deadline:
        if reached():
            return True
        time.sleep(0.02)
    return False


def gone(pid: int) -> bool:
    return until(lambda: not lifeline.lives(pid))


def test_a_module_ends_soon_after_the_main_process_was_killed() -> None:
    environment = {**os.environ, "MODULE": MODULE, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen([sys.executable, "-c", RUN], env=environment, stdout=subprocess.PIPE, text=True) as main:
        assert main.stdout is not None
        module = int(main.stdout.readline())
        time.sleep(0.5)
        assert lifeline.lives(module)
        main.send_signal(signal.SIGKILL)
        try:
            assert gone(module)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(module, signal.SIGKILL)


def test_a_process_outside_a_run_is_not_watched() -> None:
    assert lifeline.line_to_run(1) == []


def test_a_zombie_does_not_live() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    try:
        assert gone(child)
    finally:
        os.waitpid(child, 0)


def said(told: Path) -> str:
    return told.read_text().strip() if told.exists() else ""


def python_path() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def test_a_module_whose_answer_nobody_reads_any_more_takes_back_what_it_did(tmp_path: Path) -> None:
    told = tmp_path / "told"
    words = [sys.executable, "-c", HEEDING, str(told)]
    with subprocess.Popen(words, env=python_path(), stdout=subprocess.PIPE) as module:
        assert until(lambda: said(told) == "begun")
        time.sleep(0.7)  # longer than it takes to look once
        assert said(told) == "begun"
        assert module.stdout is not None
        module.stdout.close()
        assert until(lambda: said(told) == "taken back")


def test_a_module_whose_session_has_ended_takes_back_what_it_did(tmp_path: Path) -> None:
    """As over SSH with sudo between, which reads the answer itself and notices nothing."""
    told, session = tmp_path / "told", tmp_path / "sshd-session"
    session.symlink_to("/bin/sh")
    script = f"{sys.executable} -c '{HEEDING}' {told} & wait"
    with subprocess.Popen([str(session), "-c", script], env=python_path(), stdout=subprocess.DEVNULL) as there:
        assert until(lambda: said(told) == "begun")
        there.kill()
        assert until(lambda: said(told) == "taken back")


def test_a_process_without_session_or_reader_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifeline, "line_to_session", lambda _pid: [])
    monkeypatch.setattr(lifeline, "_is_read", lambda: False)
    before = signal.getsignal(signal.SIGINT)
    lifeline.heed()
    assert signal.getsignal(signal.SIGINT) is before
