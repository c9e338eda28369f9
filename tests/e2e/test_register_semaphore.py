"""playbooks/register_semaphore.yml against a stand-in of Semaphore: twice, foretold, and refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.semaphore import TOKEN, running

ROOT = Path(__file__).resolve().parents[2]
SECRET = "planted-key-of-the-provider"


def play(url: str, *more: str, given: bool = True) -> subprocess.CompletedProcess[str]:
    variables = [
        f"scheduler_url={url}",
        "scheduler_repository=https://git.example.com/shop.git",
        "scheduler_specs=/srv/specs",
    ]
    words = [word for each in variables if given for word in ("-e", each)]
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
        "SMOS_SPECS_REPO": str(ROOT / "specs"),
        "SEMAPHORE_TOKEN": TOKEN,
        "N8N_API_KEY": SECRET,
    }
    book = "playbooks/register_semaphore.yml"
    line = [sys.executable, "-m", "ansible", "playbook", "-i", "inventories/staging", book, "--diff", *words, *more]
    done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert SECRET not in done.stdout + done.stderr
    assert TOKEN not in done.stdout + done.stderr
    return done


@pytest.mark.slow
def test_the_jobs_come_into_semaphore_once() -> None:
    with running() as world:
        foretold = play(world.url, "--check")
        assert foretold.returncode == 0, foretold.stdout + foretold.stderr
        assert world.writes == []
        done = play(world.url)
        assert done.returncode == 0, done.stdout + done.stderr
        assert [row["name"] for row in world.projects.values()] == ["SmarterOS staging"]
        assert "SmarterOS: Weekly drill" in world.of("schedules")
        assert world.of("inventory")["SmarterOS: inventory"]["inventory"] == "inventories/staging"
        assert world.named_secrets()["env.N8N_API_KEY"] == {"string": SECRET}
        writes = len(world.writes)
        again = play(world.url)
        assert "changed=0" in again.stdout, again.stdout
        assert len(world.writes) == writes
        refused = play(world.url, given=False)
        assert refused.returncode == 2
        for name in ("scheduler_url", "scheduler_repository", "scheduler_specs"):
            assert f"variable {name}" in " ".join(refused.stdout.split())
        assert len(world.writes) == writes
