"""A module does not outlive the run that started it."""

import contextlib
import os
import signal
import subprocess
import sys
import time

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


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 60  # what goes on living does so for ten minutes
    while time.monotonic() < deadline:
        if not lifeline.lives(pid):
            return True
        time.sleep(0.02)
    return False


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
