"""How fast is a deploy? Measures the first one, one with nothing to do, and `smos status`, on the sandbox's VPS.

    python tests/load/deploy.py                  # ten minutes, needs a Docker Engine

Times are never asserted: machines differ. It fails when a result is wrong: a second deploy that changes something.
Everything happens in a state folder of its own, which is removed at the end.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
GOALS = {"second deploy": 25.0, "status": 3.0}  # seconds
SLOWEST = 8  # tasks that are shown


def main() -> int:
    """Measure, print a table, remove what was made."""
    with tempfile.TemporaryDirectory(prefix="smos-load-") as folder:
        state = Path(folder)
        try:
            return measure(state)
        finally:
            smos(state, "sandbox", "down", "--purge")


def measure(state: Path) -> int:
    """The figures; 1 when a result is wrong."""
    figures = {
        "machine": smos(state, "sandbox", "up", "--vps")[0],
        "images": smos(state, "sandbox", "images")[0],
        "first deploy": smos(state, "deploy", "backend")[0],
    }
    figures["second deploy"], second = smos(state, "deploy", "backend")
    figures["status"] = min(smos(state, "status")[0] for _turn in range(3))
    for what, seconds in figures.items():
        goal = f"   goal {GOALS[what]:g}" if what in GOALS else ""
        print(f"{what:<16} {seconds:7.1f} s{goal}")
    print("\nWhere a deploy with nothing to do spends its time:")
    for seconds, name in sorted(tasks(state), reverse=True)[:SLOWEST]:
        print(f"  {seconds:5.2f} s  {name}")
    return 1 if second["changed"] or not second["ok"] else 0


def smos(state: Path, *words: str) -> tuple[float, dict[str, Any]]:
    """Run a command; gives how long it took, in seconds, and its document."""
    environment = {**os.environ, "SMOS_STATE_DIR": str(state)}
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "smos", *words, "--json"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    took = time.perf_counter() - began
    if done.returncode != 0:
        raise SystemExit(
            f"smos {' '.join(words)} ended with {done.returncode}: {done.stdout[-2000:]} {done.stderr[-2000:]}"
        )
    document: dict[str, Any] = json.loads(done.stdout)
    return took, document


def tasks(state: Path) -> list[tuple[float, str]]:
    """Seconds and name of every task of one more deploy, as ansible-playbook itself measures them."""
    report = state / "report"
    environment = {
        **os.environ,
        "SMOS_STATE_DIR": str(state),
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_CALLBACKS_ENABLED": "ansible.builtin.junit",
        "JUNIT_OUTPUT_DIR": str(report),
    }
    words = ["ansible-playbook", "-i", str(ROOT / "inventories/sandbox"), str(ROOT / "playbooks/deploy.yml")]
    subprocess.run(words, cwd=ROOT, env=environment, check=True, capture_output=True)
    cases = [case for path in report.glob("*.xml") for case in ElementTree.parse(path).iter("testcase")]
    # After a task's name its arguments follow.
    return [
        (float(case.get("time", 0)), re.sub(r"\s\w+=.*", "", str(case.get("name")), flags=re.DOTALL)) for case in cases
    ]


if __name__ == "__main__":
    sys.exit(main())
