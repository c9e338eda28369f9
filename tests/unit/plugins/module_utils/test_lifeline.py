"""A module does not outlive the run that started it."""

import os
import signal
import subprocess
import sys
import time

from ansible_collections.smartercl.smarteros.plugins.module_utils import lifeline

CHILD = """
import os, subprocess, sys, time
from ansible_collections.smartercl.smarteros.plugins.module_utils import lifeline
if sys.argv[1] == "parent":
    child = subprocess.Popen([sys.executable, "-c", os.environ["PROGRAM"], "child"], start_new_session=True)
    print(child.pid, flush=True)
    time.sleep(60)
else:
    lifeline.hold()
    time.sleep(60)
"""


def gone(pid: int, within: float) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if not lifeline.lives(pid):
            return True
        time.sleep(0.02)
    return False


def test_a_module_ends_soon_after_an_ancestor_was_killed() -> None:
    environment = {**os.environ, "PROGRAM": CHILD, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", CHILD, "parent"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        time.sleep(0.5)
        assert lifeline.lives(child)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        assert gone(child, within=3)


def test_the_line_starts_with_the_process_itself() -> None:
    assert lifeline.ancestors(os.getpid(), 1) == [os.getpid(), os.getppid()]


def test_a_zombie_does_not_live() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    try:
        assert gone(child, within=3)
    finally:
        os.waitpid(child, 0)
